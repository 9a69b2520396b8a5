//! The two lock files: `LOCK` for compactors, `CAS` for conditional writers.
//!
//! Neither protects an acknowledged write. `LOCK` saves work that two compactors would do twice. `CAS`
//! makes a condition hold until the write is acknowledged. The files are never unlinked, and their
//! content is for people.

use super::StoreError;
use super::root::Root;
use crate::format::controls::escape;
use crate::format::filename::{CAS, LOCK};
use crate::fs::fs_type::FileSystem;
use crate::fs::{At, File, LockOwner, is_irregular, read_between};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest time that a conditional writer waits for the one before it.
pub const CAS_WAIT: Duration = Duration::from_secs(2);

/// The number of times in a row that a free lock may be missed because another process asks for its
/// holder.
const ASKED_AT_MOST: u32 = 100;

/// The longest note that is read from a lock file, in bytes.
const NOTE_BYTES_MAX: u64 = 4 << 10;

/// A lock, held until this is dropped.
#[derive(Debug)]
pub struct Guard {
    file: Box<dyn File>,
    path: PathBuf,
}

impl Guard {
    /// Fails if the next process would take another file for the lock. If the file, or the whole
    /// directory, was removed, the lock excludes nobody.
    ///
    /// # Errors
    /// [`StoreError::Busy`]: the write is to be tried again. Or an error of the operating system.
    pub fn still_there(&self, root: &Root) -> Result<(), StoreError> {
        if self.has_name(root)? {
            return Ok(());
        }
        let holder = "the lock file was replaced".to_owned();
        Err(StoreError::Busy { path: self.path.clone(), holder })
    }

    fn has_name(&self, root: &Root) -> Result<bool, StoreError> {
        let locked = self.file.stat().at("access", &self.path)?;
        match root.fs().stat(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            found => Ok(found.at("access", &self.path)?.same_file(&locked)),
        }
    }
}

/// The note of the last process that took a lock.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// use std::io::Write;
///
/// palace.put("a", &json!({"n": 1}))?;
/// assert!(palace.status()?.compaction.is_none());
///
/// // What another program does that compacts:
/// let mut lock = std::fs::File::create(palace.path().join("LOCK"))?;
/// lock.lock()?;
/// lock.write_all(br#"{"resource":"compaction","holder":"pid 7 other","acquired_ms":0}"#)?;
/// let holder = palace.status()?.compaction.ok_or("it is locked")?;
/// assert_eq!((holder.resource.as_str(), holder.holder.as_str()), ("compaction", "pid 7 other"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// "compaction" or "conditional write".
    pub resource: String,
    /// Process id and program. If the process is stopped, the text says so, and what lets it go on.
    pub holder: String,
    /// The time it took the lock, in milliseconds since 1970, UTC; 0 if that is not known.
    pub acquired_ms: i64,
}

fn take(root: &Root, name: &str) -> Result<Option<Guard>, StoreError> {
    let path = root.path().join(name);
    let file = root.fs().open_lock(&path).at("open", &path)?;
    for _ in 0..ASKED_AT_MOST {
        if file.try_lock().at("lock", &path)? {
            return Ok(Some(Guard { file, path }));
        }
        if file.is_locked().at("check the lock of", &path)? {
            return Ok(None);
        }
        // The lock is free: another process only asked for its holder, as this one just did.
        std::thread::yield_now();
    }
    Ok(None)
}

fn note(root: &Root, name: &str, resource: &str, program: &str) -> Result<(), StoreError> {
    let holder = Holder {
        resource: resource.to_owned(),
        holder: format!("pid {} {program}", std::process::id()),
        acquired_ms: root.fs().now_ms(),
    };
    let text = serde_json::to_vec(&holder).map_err(std::io::Error::other);
    let path = root.path().join(name);
    Ok(text.and_then(|text| root.fs().write_note(&path, &text)).at("write", &path)?)
}

/// Takes `LOCK` unless another compactor has it.
///
/// # Errors
/// An error of the operating system.
pub fn try_compaction(root: &Root, program: &str) -> Result<Option<Guard>, StoreError> {
    let guard = take(root, LOCK)?;
    // The note is for people: the lock is held with or without it.
    if guard.is_some()
        && let Err(error) = note(root, LOCK, "compaction", program)
    {
        tracing::warn!(%error, "the note in LOCK could not be written: it names an earlier holder");
    }
    Ok(guard)
}

/// Takes `CAS`, waiting up to [`CAS_WAIT`]. It leaves no note: the lock is held for less time than a
/// person needs to look.
///
/// # Errors
/// [`StoreError::Busy`] after that time, [`StoreError::LockUntrusted`] where a lock means nothing.
pub fn conditional(root: &Root) -> Result<Guard, StoreError> {
    if !root.lock_trusted()? {
        let file_system = FileSystem::of(root.fs_type()?);
        return Err(StoreError::LockUntrusted { path: root.path().to_owned(), file_system });
    }
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        // Between opening and locking, another file may have been put in its place.
        if let Some(guard) = take(root, CAS)?
            && guard.has_name(root)?
        {
            return Ok(guard);
        }
        if start.elapsed() >= CAS_WAIT {
            let holder = conditional_holder(root)?
                .map_or_else(|| "a slow conditional write".to_owned(), |holder| holder.holder);
            return Err(StoreError::Busy { path: root.path().join(CAS), holder });
        }
        // There is no flock with a time limit. The pause grows to 5 ms.
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Returns the present holder of `LOCK`; `None` too if it is no regular file, which no process can lock.
///
/// # Errors
/// An error of the operating system.
pub fn compaction_holder(root: &Root) -> Result<Option<Holder>, StoreError> {
    let path = root.path().join(LOCK);
    let Some(file) = locked(root, &path)? else { return Ok(None) };
    let text = read_between(&*file, 0, NOTE_BYTES_MAX).at("read", &path)?;
    let owner = file.lock_owner().at("find the holder of", &path)?;
    // The note is for people: one that is being written just now counts as none.
    let mut holder = serde_json::from_slice(&text).unwrap_or_else(|_| Holder {
        resource: "compaction".to_owned(),
        holder: owner.as_ref().map_or_else(|| "unknown".to_owned(), named),
        acquired_ms: 0,
    });
    // The note names the last process that took the lock, and its program with the version. It does not know of a stop.
    if let Some(owner) = owner.filter(|owner| owner.stopped) {
        holder.holder = named(&owner);
    }
    Ok(Some(holder))
}

/// Returns the present holder of `CAS`, as far as the system tells; `None` too if it is no regular file.
///
/// # Errors
/// An error of the operating system.
pub fn conditional_holder(root: &Root) -> Result<Option<Holder>, StoreError> {
    let path = root.path().join(CAS);
    let Some(file) = locked(root, &path)? else { return Ok(None) };
    let owner = file.lock_owner().at("find the holder of", &path)?;
    Ok(owner.map(|owner| Holder {
        resource: "conditional write".to_owned(),
        holder: named(&owner),
        acquired_ms: 0,
    }))
}

/// A program may have any name.
fn named(owner: &LockOwner) -> String {
    escape(&owner.to_string())
}

/// Opens a lock file that another open file has locked.
fn locked(root: &Root, path: &Path) -> Result<Option<Box<dyn File>>, StoreError> {
    let file = match root.fs().open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        // No process can hold it. A call that needs it gets the error, and the doctor says what to do.
        Err(error) if is_irregular(&error) => return Ok(None),
        Err(error) => return Ok(Err(error).at("open", path)?),
    };
    let is_locked = file.is_locked().at("check the lock of", path)?;
    Ok(is_locked.then_some(file))
}
