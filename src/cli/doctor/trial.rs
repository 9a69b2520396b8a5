//! Tries whether the file system does what a palace needs of it.
//!
//! Invariants: what is made stands in `tmp/` of the palace, under names of its own, and is removed again. Nothing is
//! tried where this process may not write. The name of the file system decides nothing but the weight of a lock that
//! does not hold.

use super::check::Check;
use super::directory::may_write_in;
use super::second_process::SecondProcess;
use crate::format::filename::TMP;
use crate::format::id::SegmentId;
use crate::fs::fs_type::lock_trusted;
use crate::fs::name_events::NameEvents;
use crate::fs::os::OsFs;
use crate::fs::visibility::{shows_writes, write};
use crate::fs::{Fs as _, exists};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs::hard_link;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

const CHECK: &str = "tried";
const MOVE: &str = "move the palace to a local disk";
const NOTHING: &str = "nothing: a palace does not need it";

/// The result of one trial: a check only if something is other than on a local disk.
type Found = io::Result<Option<Check>>;

/// Tries everything.
pub(super) fn checks(path: &Path) -> Vec<Check> {
    let tmp = path.join(TMP);
    if let Err(reason) = may_try(path, &tmp) {
        return vec![Check::note(
            CHECK,
            format!("nothing was tried: {reason}"),
            "call doctor as the owner of the palace, where it can be written",
        )];
    }
    let words = "renames, appends, locks, syncs, links, names and events, with a second process";
    let mut found = vec![Check::ok(CHECK, words)];
    for trial in [renames, appends, locks, directory_syncs, symbolic_links, letter_case, events] {
        match trial(&tmp) {
            Ok(other) => found.extend(other),
            Err(error) => found.push(Check::refused(CHECK, &error, &tmp)),
        }
    }
    found
}

/// Fails with the reason if this process has no right to write in the palace.
fn may_try(path: &Path, tmp: &Path) -> Result<(), String> {
    match OsFs.owned(path) {
        Ok(true) => may_write_in(tmp).map_err(|error| format!("{TMP}/ cannot be written: {error}")),
        Ok(false) => Err("the palace belongs to another user".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The files of one trial. They are removed with this value.
struct Scratch(PathBuf);

impl Scratch {
    fn new(tmp: &Path) -> io::Result<Self> {
        Ok(Scratch(tmp.join(format!("doctor-{}.draft", SegmentId(OsFs.random()?)))))
    }

    fn draft(&self) -> PathBuf {
        self.0.clone()
    }

    fn name(&self) -> PathBuf {
        self.0.with_extension("name")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for path in [self.draft(), self.name()] {
            match OsFs.remove(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    // A compaction removes it after an hour.
                    tracing::debug!(%error, path = %path.display(), "a trial left a file behind");
                }
                _ => {}
            }
        }
    }
}

fn renames(tmp: &Path) -> Found {
    let scratch = Scratch::new(tmp)?;
    let (draft, name) = (scratch.draft(), scratch.name());
    let rename = || renameat_with(CWD, &draft, CWD, &name, RenameFlags::NOREPLACE);
    OsFs.create(&draft)?;
    match rename() {
        Ok(()) => {
            OsFs.create(&draft)?;
            let replaced = rename() != Err(Errno::EXIST);
            let words = "a rename replaced a file that it was to leave: two processes could make one palace.json";
            Ok(replaced.then(|| Check::problem("renames", words, MOVE)))
        }
        Err(Errno::INVAL | Errno::NOSYS) => Ok(Some(match hard_link(&draft, &name) {
            Ok(()) => Check::note(
                "renames",
                "no rename refuses a taken name here: palace.json and snapshots are named by a link",
                NOTHING,
            ),
            Err(error) => Check::problem(
                "renames",
                format!(
                    "no rename refuses a taken name here, and there are no links ({error}): nothing can be compacted"
                ),
                MOVE,
            ),
        })),
        Err(error) => Err(error.into()),
    }
}

fn appends(tmp: &Path) -> Found {
    let scratch = Scratch::new(tmp)?;
    let (draft, name) = (scratch.draft(), scratch.name());
    let here = shows_writes(&OsFs, &draft, &name)?;
    let file = OsFs.create(&draft)?;
    write(&*file, b"one", 0)?;
    OsFs.rename(&draft, &name)?;
    let (mut second, before) = SecondProcess::open(&name)?;
    write(&*file, b"two", 3)?;
    let there = before.content == "one" && second.look()?.content == "onetwo";
    let reader = match (here, there) {
        (true, true) => return Ok(None),
        (false, _) => {
            "an open file does not show what is appended to it through another descriptor"
        }
        (true, false) => "a process does not see what another appends to a file that it has open",
    };
    let words = format!("{reader}: writes are refused, or other processes do not see them");
    Ok(Some(Check::problem("appends", words, MOVE)))
}

fn locks(tmp: &Path) -> Found {
    let name = Scratch::new(tmp)?;
    let file = OsFs.create(&name.draft())?;
    if let Err(error) = file.try_lock() {
        let words = format!("files cannot be locked: {error}; every write fails");
        return Ok(Some(Check::problem("locks", words, MOVE)));
    }
    let twice = OsFs.open_lock(&name.draft())?.try_lock()?;
    let seen = SecondProcess::open(&name.draft())?.1.locked;
    if !twice && seen {
        return Ok(None);
    }
    let holders = if twice { "two open files get" } else { "two processes get" };
    let words = format!("{holders} one lock at the same time");
    Ok(Some(match lock_trusted(OsFs.fs_type(tmp)?) {
        true => Check::problem(
            "locks",
            format!("{words}: a condition does not keep another write out"),
            "use no if_match and no create_only here, or move the palace to another disk",
        ),
        false => Check::note(
            "locks",
            format!(
                "{words}: conditional writes are refused, and no compaction takes the files of a killed process"
            ),
            "crdt-compact --adopt takes them, once no process writes",
        ),
    }))
}

fn directory_syncs(tmp: &Path) -> Found {
    let failed = OsFs.sync_dir(tmp).err();
    Ok(failed.map(|error| {
        let words = format!("directories cannot be synced: {error}; every write fails");
        Check::problem("syncs", words, MOVE)
    }))
}

fn symbolic_links(tmp: &Path) -> Found {
    let scratch = Scratch::new(tmp)?;
    OsFs.create(&scratch.draft())?;
    // Where there are no symbolic links, none is followed.
    if symlink(scratch.draft(), scratch.name()).is_err() || OsFs.open(&scratch.name()).is_err() {
        return Ok(None);
    }
    let words =
        "a symbolic link is followed that was not to be: a link in the palace can lead out of it";
    Ok(Some(Check::problem("links", words, MOVE)))
}

fn letter_case(tmp: &Path) -> Found {
    let scratch = Scratch::new(tmp)?;
    OsFs.create(&scratch.draft())?;
    let name = scratch.draft().file_name().map(|name| name.to_ascii_uppercase());
    let folded = name.map_or(Ok(false), |name| exists(&OsFs, &tmp.join(name)))?;
    let words = "names that differ only in their case are one name here; no two of a palace do";
    Ok(folded.then(|| Check::note("names", words, NOTHING)))
}

fn events(tmp: &Path) -> Found {
    // A limit of the machine is another check.
    let Ok(events) = NameEvents::of(&[tmp.to_owned()]) else { return Ok(None) };
    let scratch = Scratch::new(tmp)?;
    OsFs.create(&scratch.draft())?;
    let words = "the kernel reports no new names here: every read lists the directories";
    Ok((!events.take()?).then(|| Check::note("news of names", words, NOTHING)))
}
