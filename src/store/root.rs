//! The root of a palace: its paths, the right to write, and its creation.
//!
//! Invariant: opening changes nothing on disk. The first write creates what is missing. Wherever that is
//! cut off, it leaves a directory that the next attempt completes.

use super::read_only::ReadOnlyReason;
use super::{StoreError, directories, mounted};
use crate::format::filename::{self, DIRECTORIES, MANIFEST, TMP};
use crate::format::id::PalaceId;
use crate::format::manifest::{Manifest, ManifestError};
use crate::fs::{At, Directory, Fs, Identity, Listed, exists, fs_type, read_between, stop};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest `palace.json` that is read, in bytes. The file's own length is not trusted.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

/// An opened palace directory.
#[derive(Debug)]
pub struct Root {
    pub(super) fs: Arc<dyn Fs>,
    path: PathBuf,
    known: Mutex<KnownManifest>,
    read_only: Option<ReadOnlyReason>,
    /// True once this process has synced the directories and the manifest. That they exist is not enough:
    /// the process that made them may have died before it synced them.
    durable: AtomicBool,
}

/// The state of `palace.json` as this process last saw it.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownManifest {
    /// The palace that it names, or named.
    pub(super) palace: Option<PalaceId>,
    /// The format that it names, if that is newer than ours and can be read all the same.
    pub(super) newer: Option<u32>,
    /// The file itself. It never changes, so another file or length means another palace. A time alone
    /// does not: `touch` changes it, and then the content decides.
    pub(super) file: Option<(Manifest, Identity)>,
    /// The device of its directory, also after the file was forgotten; `None` if this process has never
    /// read the palace.
    pub(super) device: Option<u64>,
    /// Its directory, to learn where that is if it is renamed.
    pub(super) directory: Option<Arc<dyn Directory>>,
}

impl Root {
    /// Opens the directory and creates nothing. A directory that does not exist, or is empty, is a palace
    /// without documents, unless `read_only`.
    ///
    /// # Errors
    /// [`StoreError::NoPalace`], [`StoreError::NotAPalace`], [`StoreError::NotADirectory`],
    /// [`StoreError::Newer`], [`StoreError::Manifest`], or an error of the operating system.
    pub fn open(fs: Arc<dyn Fs>, path: &Path, read_only: bool) -> Result<Self, StoreError> {
        let mut root = Root {
            fs,
            path: path.to_owned(),
            known: Mutex::default(),
            read_only: read_only.then_some(ReadOnlyReason::OpenedReadOnly),
            durable: AtomicBool::new(false),
        };
        match root.find_manifest()? {
            Some(read) => drop(root.note_manifest(read)?),
            None if !read_only => {}
            None => return Err(StoreError::NoPalace { path: root.path }),
        }
        // A segment that root created could not be read by the owner, so root may not write either.
        if root.read_only.is_none() && root.exists()? && !root.fs.owned(path).at("access", path)? {
            root.read_only = Some(ReadOnlyReason::NotOwner);
        }
        Ok(root)
    }

    fn exists(&self) -> Result<bool, StoreError> {
        Ok(exists(&*self.fs, &self.path).at("access", &self.path)?)
    }

    /// Locks the state. Every change leaves it whole, so the poison of a panic is ignored.
    pub(super) fn known(&self) -> MutexGuard<'_, KnownManifest> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note_manifest(
        &self,
        (manifest, file): (Manifest, Identity),
    ) -> Result<PalaceId, StoreError> {
        let (palace, device) =
            (Some(manifest.palace), Some(mounted::device(&*self.fs, &self.path)?));
        let newer = manifest.is_newer().then_some(manifest.format);
        let directory = match self.fs.open_dir(&self.path) {
            Ok(directory) => Some(Arc::from(directory)),
            // It only helps to say where a palace went.
            Err(error) => {
                tracing::debug!(%error, "the directory cannot be held open");
                None
            }
        };
        let id = manifest.palace;
        *self.known() =
            KnownManifest { palace, newer, file: Some((manifest, file)), device, directory };
        Ok(id)
    }

    pub(super) fn check_mounted(&self) -> Result<(), StoreError> {
        let device = self.known().device;
        mounted::check(&*self.fs, &self.path, device)
    }

    /// Reads the manifest. Returns `None` if there is no palace yet: no directory, or one with only what
    /// an interrupted creation leaves.
    fn find_manifest(&self) -> Result<Option<(Manifest, Identity)>, StoreError> {
        if let Some(read) = self.read_manifest()? {
            return Ok(Some(read));
        }
        let not_a_palace = || StoreError::NotAPalace { path: self.path.clone() };
        // The palace itself may be a symbolic link. Its directories may not: `Fs::list` follows none.
        match self.fs.list(&self.path.join(".")) {
            Ok(names) if names.iter().all(|name| name == TMP) => Ok(None),
            // Another process made the palace since this one read the manifest.
            Ok(names) if names.iter().any(|name| name == MANIFEST) => {
                Ok(Some(self.read_manifest()?.ok_or_else(not_a_palace)?))
            }
            Ok(_) => Err(not_a_palace()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Ok(Err(error).at("list", &self.path)?),
        }
    }

    pub(super) fn read_manifest(&self) -> Result<Option<(Manifest, Identity)>, StoreError> {
        let path = self.path.join(MANIFEST);
        // In this order, a file that is replaced in between counts as replaced.
        let seen = self.fs.identity(&path).and_then(|seen| Ok((seen, self.fs.open(&path)?)));
        let (mut identity, file) = match seen {
            Ok(seen) => seen,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                return Err(StoreError::NotADirectory { path: self.path.clone() });
            }
            Err(error) => return Ok(Err(error).at("open", &path)?),
        };
        let bytes = read_between(&*file, 0, MANIFEST_BYTES_MAX).at("read", &path)?;
        match Manifest::decode(&bytes) {
            Ok(manifest) => {
                // Elsewhere it may be made up from times that change. Without it the content decides, so that
                // nothing depends on this question.
                if !self.lock_trusted().unwrap_or(false) {
                    identity.born_ns = None;
                }
                Ok(Some((manifest, identity)))
            }
            Err(ManifestError::Newer { found }) => {
                Err(StoreError::Newer { path: self.path.clone(), found })
            }
            Err(source) => Err(StoreError::Manifest { path, source }),
        }
    }

    /// Makes sure that the palace exists on disk, durably, and returns its id. Two processes may do this
    /// at once: the first to name its `palace.json` decides the id, and the other takes it over.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::Replaced`], [`StoreError::Unmounted`], or an error of the operating system.
    pub fn ensure_created(&self) -> Result<PalaceId, StoreError> {
        self.check_writable()?;
        self.still_there()?;
        // The usual case costs a few stats: all of it exists, and this process has synced it.
        let whole = DIRECTORIES.iter().all(|name| self.fs.stat(&self.path.join(name)).is_ok());
        if let KnownManifest { palace: Some(palace), newer: None, file: Some(_), .. } =
            *self.known()
            && whole
            && self.durable.load(Ordering::Relaxed)
        {
            return Ok(palace);
        }
        // No lock is held while the disk works.
        let known = self.known().clone();
        if known.file.is_none() && known.device.is_some() && self.read_manifest()?.is_none() {
            return Err(self.gone());
        }
        // Another process, of another user, may have created it in the meantime.
        if self.exists()? && !self.fs.owned(&self.path).at("access", &self.path)? {
            let reason = ReadOnlyReason::NotOwner;
            return Err(StoreError::ReadOnly { path: self.path.clone(), reason });
        }
        self.ensure_tmp()?;
        let read = self.ensure_manifest()?;
        if read.0.is_newer() {
            let path = self.path.clone();
            return Err(StoreError::Newer { path, found: read.0.format });
        }
        stop::at!("root.known");
        for name in DIRECTORIES {
            directories::create(&*self.fs, &self.path.join(name))?;
        }
        stop::at!("root.directories");
        self.fs.sync_dir(&self.path).at("sync", &self.path)?;
        stop::at!("root.whole");
        // The commit about to be written builds on what was read in the directory that was here before.
        let known = self.known().file.clone();
        if known.is_some_and(|known| !is_same(&known, &read)) {
            return Err(StoreError::Replaced { path: self.path.clone() });
        }
        let palace = self.note_manifest(read)?;
        self.durable.store(true, Ordering::Relaxed);
        Ok(palace)
    }

    /// Makes the directory and its `tmp/`. That is no palace yet.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], or an error of the operating system.
    pub fn ensure_tmp(&self) -> Result<(), StoreError> {
        self.check_writable()?;
        directories::create_with_parents(&*self.fs, &self.path)?;
        stop::at!("root.directory");
        directories::sync_ancestors(&*self.fs, &self.path)?;
        directories::create(&*self.fs, &self.path.join(TMP))?;
        stop::at!("root.tmp");
        Ok(())
    }

    /// Creates the palace as a copy of another, with that one's id; otherwise as
    /// [`Root::ensure_created`].
    ///
    /// # Errors
    /// As [`Root::ensure_created`].
    pub fn create_as(&self, palace: Option<PalaceId>) -> Result<PalaceId, StoreError> {
        if let Some(palace) = palace {
            self.known().palace.get_or_insert(palace);
        }
        self.ensure_created()
    }

    fn ensure_manifest(&self) -> Result<(Manifest, Identity), StoreError> {
        if let Some(read) = self.read_manifest()? {
            // The manifest must be on disk before the directories beside it: a directory that has those
            // without it would be no palace.
            self.fs.sync_dir(&self.path).at("sync", &self.path)?;
            return Ok(read);
        }
        let id = self.random()?;
        // A copy of a palace has its id.
        let palace = self.palace().unwrap_or(PalaceId(id));
        let (tmp, path) = (self.tmp(&format!("{}.json", PalaceId(id))), self.path.join(MANIFEST));
        let manifest = Manifest::new(palace, self.fs.now_ms());
        self.write_whole(&tmp, manifest.encode().as_bytes())?;
        stop::at!("root.draft");
        // Of two processes that create the palace at once, the second must not replace the first one's
        // id.
        match self.fs.rename_noreplace(&tmp, &path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.fs.remove(&tmp).at("remove", &tmp)?;
            }
            done => done.at("create", &path)?,
        }
        stop::at!("root.named");
        self.fs.sync_dir(&self.path).at("sync", &self.path)?;
        self.read_manifest()?.ok_or(StoreError::NoPalace { path })
    }

    /// Creates a file with this content and syncs it.
    ///
    /// # Errors
    /// An error of the operating system; a part of the file may stay behind.
    pub fn write_whole(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        let file = self.fs.create(path).at("create", path)?;
        let mut done = 0;
        while let Some(rest) = content.get(done..).filter(|rest| !rest.is_empty()) {
            let written = file.write_at(rest, done as u64).at("write", path)?;
            // Otherwise this loop would not end on a full disk.
            if written == 0 {
                Err(std::io::Error::from(ErrorKind::StorageFull)).at("write", path)?;
            }
            done += written;
        }
        Ok(file.sync().at("sync", path)?)
    }

    /// Returns the names in one of the palace's directories; none if there is no such directory yet.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn list(&self, directory: &str) -> Result<Vec<String>, StoreError> {
        let path = self.path.join(directory);
        match self.fs.list(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            found => Ok(found.at("list", &path)?),
        }
    }

    /// Returns the names in one of the palace's directories with their inodes; none if there is no such
    /// directory yet.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn entries(&self, directory: &str) -> Result<Vec<Listed>, StoreError> {
        let path = self.path.join(directory);
        match self.fs.entries(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            found => Ok(found.at("list", &path)?),
        }
    }

    /// Returns 128 random bits for a new name.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn random(&self) -> Result<[u8; 16], StoreError> {
        Ok(self.fs.random().at("get random bytes for", &self.path)?)
    }

    /// Returns the `statfs` type of the palace's file system.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn fs_type(&self) -> Result<u64, StoreError> {
        Ok(self.fs.fs_type(&self.path).at("find the file system of", &self.path)?)
    }

    /// Returns true if flock can be trusted here.
    ///
    /// # Errors
    /// An error of the operating system.
    pub fn lock_trusted(&self) -> Result<bool, StoreError> {
        Ok(fs_type::lock_trusted(self.fs_type()?))
    }

    /// Returns the system calls that this palace goes through.
    #[must_use]
    pub fn fs(&self) -> &dyn Fs {
        &*self.fs
    }

    /// Returns the palace's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns a path in `tmp/`.
    #[must_use]
    pub fn tmp(&self, name: &str) -> PathBuf {
        self.path.join(filename::TMP).join(name)
    }

    /// Returns a path in one of the palace's directories.
    #[must_use]
    pub fn file(&self, directory: &str, name: &str) -> PathBuf {
        self.path.join(directory).join(name)
    }

    /// Returns the palace's id; `None` before it exists on disk.
    #[must_use]
    pub fn palace(&self) -> Option<PalaceId> {
        self.known().palace
    }

    /// Forgets the directory, so that the present one is read, or made, anew.
    pub fn forget(&self) {
        self.known().file = None;
        self.durable.store(false, Ordering::Relaxed);
    }

    /// Returns the reason why this palace cannot be written, if there is one.
    #[must_use]
    pub fn read_only(&self) -> Option<ReadOnlyReason> {
        let newer = self.known().newer.map(|_| ReadOnlyReason::NewerFormat);
        newer.or(self.read_only).or_else(|| self.mounted_read_only())
    }

    /// A mount can change while this process runs. So it is asked for each time, and a write finds it out by itself.
    fn mounted_read_only(&self) -> Option<ReadOnlyReason> {
        match self.fs.is_mounted_read_only(&self.path) {
            Ok(is) => is.then_some(ReadOnlyReason::MountedReadOnly),
            // There is no palace yet, or its directory is out of reach: reads and writes say so.
            Err(error) => {
                tracing::debug!(%error, "cannot tell whether the palace is mounted read-only");
                None
            }
        }
    }

    /// Fails if this palace may not be written.
    ///
    /// # Errors
    /// [`StoreError::Newer`], [`StoreError::ReadOnly`].
    pub fn check_writable(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        match (self.known().newer, self.read_only) {
            (Some(found), _) => Err(StoreError::Newer { path, found }),
            (None, Some(reason)) => Err(StoreError::ReadOnly { path, reason }),
            (None, None) => Ok(()),
        }
    }
}

/// Returns true if these are one file with one content, at whatever time it was touched.
pub(super) fn is_same(
    (manifest, seen): &(Manifest, Identity),
    (read, found): &(Manifest, Identity),
) -> bool {
    let reborn = found.born_ns.zip(seen.born_ns).is_some_and(|(found, seen)| found != seen);
    found.stat.same_file(&seen.stat) && !reborn && read == manifest
}
