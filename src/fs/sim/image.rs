//! The simulated medium: files, directories, and which names are on disk.
//!
//! Owns: the tree as processes see it, and as a power cut leaves it. Invariant: the changes of one file's
//! names, and of one name's files, survive in order; a rename survives as a whole or not at all. Other
//! changes survive each on its own. A name survives for certain only after a sync of its directory. Must
//! not know: processes, locks, faults.

use super::content::Content;
use super::events::{Event, Events};
use super::splitmix::SplitMix;
use crate::fs::Listed;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

/// An inode number.
pub(super) type Ino = u64;

/// The inode of `/`, which always exists.
const ROOT: Ino = 1;

/// One entry of one directory, by the directory's inode and the name.
type DirEntry = (Ino, String);

/// The names in one directory.
#[derive(Clone, Debug, Default)]
struct Names {
    /// The names that processes see.
    live: BTreeMap<String, Ino>,
    /// The names that survive for certain.
    durable: BTreeMap<String, Ino>,
}

/// One change of names that no sync of a directory has covered. `from` is `None` for a creation, `to` for
/// a removal.
#[derive(Clone, Debug)]
struct NameChange {
    ino: Ino,
    from: Option<DirEntry>,
    to: Option<DirEntry>,
}

impl NameChange {
    fn places(&self) -> impl Iterator<Item = &DirEntry> {
        self.from.iter().chain(&self.to)
    }

    fn survived(&self, kept: bool) -> Event {
        match (self.from.is_some() && self.to.is_some(), kept) {
            (true, true) => Event::RenameKept,
            (true, false) => Event::RenameDropped,
            (false, true) => Event::NameKept,
            (false, false) => Event::NameDropped,
        }
    }
}

/// Files and names that some changes touch, to compare other changes with.
#[derive(Default)]
struct Touched {
    inodes: BTreeSet<Ino>,
    places: BTreeSet<DirEntry>,
}

impl Touched {
    fn add(&mut self, change: &NameChange) {
        self.inodes.insert(change.ino);
        self.places.extend(change.places().cloned());
    }

    fn meets(&self, change: &NameChange) -> bool {
        self.inodes.contains(&change.ino) || change.places().any(|p| self.places.contains(p))
    }
}

/// Everything on the disk.
#[derive(Clone, Debug)]
pub(super) struct Image {
    files: BTreeMap<Ino, Content>,
    dirs: BTreeMap<Ino, Names>,
    /// The changes that are not durable yet, oldest first.
    pending: Vec<NameChange>,
    last_ino: Ino,
}

impl Image {
    pub(super) fn new() -> Self {
        let dirs = BTreeMap::from([(ROOT, Names::default())]);
        Self { files: BTreeMap::new(), dirs, pending: Vec::new(), last_ino: ROOT }
    }

    /// Returns the inode of a path, file or directory.
    pub(super) fn find(&self, path: &Path) -> io::Result<Ino> {
        normal(path)?.into_iter().try_fold(ROOT, |dir, name| self.entry(dir, name))
    }

    fn entry(&self, dir: Ino, name: &str) -> io::Result<Ino> {
        let names = self.names(dir)?;
        names.live.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn names(&self, dir: Ino) -> io::Result<&Names> {
        self.dirs.get(&dir).ok_or_else(|| io::ErrorKind::NotADirectory.into())
    }

    /// Returns the directory that would hold `path`, and its last component.
    fn place(&self, path: &Path) -> io::Result<DirEntry> {
        let mut names = normal(path)?;
        let last = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = names.into_iter().try_fold(ROOT, |dir, name| self.entry(dir, name))?;
        self.names(dir)?;
        Ok((dir, last.to_owned()))
    }

    /// Returns a directory entry that is free.
    fn free_place(&self, path: &Path) -> io::Result<DirEntry> {
        let (dir, name) = self.place(path)?;
        match self.entry(dir, &name) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => Ok((dir, name)),
        }
    }

    /// Returns the inode of a path; fails for directories.
    pub(super) fn find_file(&self, path: &Path) -> io::Result<Ino> {
        let ino = self.find(path)?;
        self.file(ino).map(|_| ino)
    }

    pub(super) fn is_file(&self, ino: Ino) -> bool {
        self.files.contains_key(&ino)
    }

    pub(super) fn file(&self, ino: Ino) -> io::Result<&Content> {
        self.files.get(&ino).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> io::Result<&mut Content> {
        self.files.get_mut(&ino).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<Listed>> {
        let names = self.names(self.find(path)?)?.live.iter();
        Ok(names.map(|(name, ino)| Listed { name: name.clone(), ino: *ino }).collect())
    }

    /// Returns the inode of a directory.
    pub(super) fn find_dir(&self, path: &Path) -> io::Result<Ino> {
        let ino = self.find(path)?;
        self.names(ino).map(|_| ino)
    }

    /// Returns the path of a directory; `None` if it has no name any more.
    pub(super) fn path_of_dir(&self, ino: Ino) -> Option<PathBuf> {
        if ino == ROOT {
            return Some(PathBuf::from("/"));
        }
        let names = |names: &Names| {
            let found = names.live.iter().find(|(_, named)| **named == ino);
            found.map(|(name, _)| name.clone())
        };
        let (parent, name) = self.dirs.iter().find_map(|(dir, of)| Some((*dir, names(of)?)))?;
        Some(self.path_of_dir(parent)?.join(name))
    }

    pub(super) fn create(&mut self, path: &Path, modified_ms: i64) -> io::Result<Ino> {
        let place = self.free_place(path)?;
        let ino = self.next_ino();
        self.files.insert(ino, Content::new(modified_ms));
        self.change(NameChange { ino, from: None, to: Some(place) });
        Ok(ino)
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let place = self.free_place(path)?;
        let ino = self.next_ino();
        self.dirs.insert(ino, Names::default());
        self.change(NameChange { ino, from: None, to: Some(place) });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ino = self.find_file(from)?;
        let (from, to) = (self.place(from)?, self.free_place(to)?);
        self.change(NameChange { ino, from: Some(from), to: Some(to) });
        Ok(())
    }

    /// Gives a file a second name.
    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (ino, to) = (self.find_file(from)?, self.free_place(to)?);
        self.change(NameChange { ino, from: None, to: Some(to) });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let ino = self.find(path)?;
        if !self.is_file(ino) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        let from = Some(self.place(path)?);
        self.change(NameChange { ino, from, to: None });
        Ok(())
    }

    fn next_ino(&mut self) -> Ino {
        self.last_ino += 1;
        self.last_ino
    }

    fn change(&mut self, change: NameChange) {
        self.apply(&change, |names| &mut names.live);
        self.pending.push(change);
    }

    fn apply(&mut self, change: &NameChange, side: fn(&mut Names) -> &mut BTreeMap<String, Ino>) {
        if let Some((dir, name)) = &change.from
            && let Some(names) = self.dirs.get_mut(dir)
        {
            side(names).remove(name);
        }
        if let Some((dir, name)) = &change.to
            && let Some(names) = self.dirs.get_mut(dir)
        {
            side(names).insert(name.clone(), change.ino);
        }
    }

    /// Makes every change that touches this directory durable, with the changes that it builds on.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.find(path)?;
        self.names(dir)?;
        let mut needed = Touched::default();
        let (mut durable, mut pending) = (Vec::new(), Vec::new());
        // From the newest back: a change that becomes durable needs the earlier ones of its file and
        // names.
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            if change.places().any(|place| place.0 == dir) || needed.meets(&change) {
                needed.add(&change);
                durable.push(change);
            } else {
                pending.push(change);
            }
        }
        pending.reverse();
        self.pending = pending;
        for change in durable.iter().rev() {
            self.apply(change, |names| &mut names.durable);
        }
        Ok(())
    }

    /// Keeps what survives: see the module head for names, [`Content::power_cut`] for bytes.
    pub(super) fn power_cut(&mut self, chance: &mut SplitMix, events: &mut Events) {
        // Some cuts keep nearly all changes and some nearly none. A coin for each change would seldom do
        // either.
        let kept_of_16 = [0, 3, 8, 13, 16].get(chance.below(5)).copied().unwrap_or(8);
        let mut lost = Touched::default();
        for change in std::mem::take(&mut self.pending) {
            // A change that builds on a lost one is lost too.
            let kept = chance.below(16) < kept_of_16 && !lost.meets(&change);
            events.count(change.survived(kept));
            if kept {
                self.apply(&change, |names| &mut names.durable);
            } else {
                lost.add(&change);
            }
        }
        let named_twice = self.forget_the_unreachable();
        (0..named_twice).for_each(|_| events.count(Event::BothNames));
        for names in self.dirs.values_mut() {
            names.live.clone_from(&names.durable);
        }
        for content in self.files.values_mut() {
            content.power_cut(chance).into_iter().for_each(|event| events.count(event));
        }
    }

    /// Drops files and directories without a durable name, with all that is in them. Returns the number
    /// of second names.
    fn forget_the_unreachable(&mut self) -> usize {
        let mut second_names = 0;
        let mut reached = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(dir) = open.pop() {
            for &ino in self.dirs.get(&dir).into_iter().flat_map(|names| names.durable.values()) {
                if reached.insert(ino) {
                    open.push(ino);
                } else {
                    second_names += 1;
                }
            }
        }
        self.dirs.retain(|ino, _| reached.contains(ino));
        self.files.retain(|ino, _| reached.contains(ino));
        second_names
    }
}

/// Returns the components of a path. There is one working directory, `/`, and no symbolic link.
fn normal(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => {
                names.push(name.to_str().ok_or(io::ErrorKind::InvalidInput)?);
            }
            Component::ParentDir => {
                names.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    Ok(names)
}
