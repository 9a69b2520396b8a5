//! What can go wrong with a palace, in words that say what to do.

use crate::format::hash::Etag;
use crate::format::id::SnapshotId;
use crate::format::key::{Key, KeyError};
use crate::fs::FsError;
use crate::merge::MergeError;
use crate::palace::view::document::Document;
use crate::segment::SegmentError;
use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use std::path::PathBuf;

/// An error of the library.
///
/// ```
/// use crdt_palace::palace::{Condition, Error, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", json!({"n": 1}).as_object().ok_or("an object")?)?;
/// let absent = WriteOptions { if_match: Some(Condition::Absent), ..WriteOptions::default() };
/// match palace.put_with("k", json!({"n": 2}).as_object().ok_or("an object")?, &absent) {
///     Err(Error::EtagMismatch { current: Some(document), .. }) => assert_eq!(document.value["n"], 1),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory or a file in it.
    #[error("{}{}", .0, advice(.0))]
    Store(#[from] StoreError),
    /// A snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A key that cannot be one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The document or the value: too large, too deep, the wrong type at a path …
    #[error("{key}: {source}")]
    Document {
        /// Which document.
        key: Key,
        /// What is wrong.
        #[source]
        source: MergeError,
    },
    /// The view of a document in a snapshot cannot be read.
    #[error("what the snapshot shows of {key} cannot be read; `crdt-log verify` tells more")]
    View {
        /// Which document.
        key: Key,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A conditional write found another version than it named.
    #[error(
        "ETAG_MISMATCH: {key} is {}: read it again, apply your change to what you find, and retry",
        describe(current)
    )]
    EtagMismatch {
        /// Which document.
        key: Key,
        /// What is there now; `None` if there is no such document.
        current: Option<Box<Document>>,
    },
    /// A conditional write while a snapshot cannot be read: nobody can say whether the condition holds.
    #[error(
        "snapshot {snapshot} cannot be read, so nobody can say whether the condition holds; \
         `crdt-log verify` tells more"
    )]
    Unreadable {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// A `base` or a version that is not in the document's history.
    #[error("{key} has no version {etag}; `history` lists the versions it has")]
    NoSuchVersion {
        /// Which document.
        key: Key,
        /// The version that was named.
        etag: Etag,
    },
    /// A cursor that this palace did not give.
    #[error(
        "{:?} is not a cursor of this call: pass back the next_cursor of an earlier call, or none",
        text.chars().take(80).collect::<String>()
    )]
    Cursor {
        /// The text that was offered.
        text: String,
    },
    /// A query without a word in it.
    #[error("the query has no word to look for; name at least one letter or digit")]
    EmptyQuery,
    /// The commit has no write in it, or more than one for the same document.
    #[error(
        "a commit needs at least one write, and at most one for each document ({key:?} has two)"
    )]
    Batch {
        /// The document with two writes.
        key: Option<Key>,
    },
    /// A closure that a write was given writes to the same palace.
    #[error(
        "this thread is in the middle of a write to the same palace; a closure that was given to a write may read, and \
         must leave other writes, sync, seal, compact and close for afterwards"
    )]
    Nested,
    /// A snapshot that was just built does not hold what went into it. Nothing was retired.
    #[error("the new snapshot lacks {what}; it was not published, and nothing was changed")]
    Unverified {
        /// What it lacks.
        what: String,
    },
    /// `compact --into` needs a place of its own.
    #[error("{} exists already; name a directory that does not", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// A file of a source cannot be read, so a merge of it would not be whole.
    #[error(
        "{} is not read, and the merge would lack what only it holds; `crdt-log verify` tells more",
        path.display()
    )]
    Unread {
        /// The file.
        path: PathBuf,
    },
    /// A record of a source cannot be read, so a merge of it would not be whole.
    #[error("{} is damaged at byte {offset}; `crdt-log verify` tells more", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
}

impl From<FsError> for Error {
    fn from(error: FsError) -> Self {
        Error::Store(error.into())
    }
}

impl From<SegmentError> for Error {
    fn from(error: SegmentError) -> Self {
        Error::Store(error.into())
    }
}

/// What to do about it. Here, and not in the text of the error itself: the same error is also the cause of an
/// [`OutcomeUnknown`](StoreError::OutcomeUnknown), and who tries that again may write twice.
fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Replaced { .. } | StoreError::Busy { .. } => "; try again",
        _ => "",
    }
}

fn describe(current: &Option<Box<Document>>) -> String {
    match current {
        Some(document) => format!("at version {} now", document.etag),
        None => "not there now".to_owned(),
    }
}

/// What the library's calls return.
pub type Result<T> = std::result::Result<T, Error>;

/// An error and what caused it, on one line. Causes that the text before names already are left out.
///
/// ```
/// use crdt_palace::palace::{Palace, chain};
///
/// # let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("palace.json"), "something else")?;
/// let text = chain(&Palace::open(dir.path()).unwrap_err());
/// assert!(text.contains("palace.json is damaged"), "{text}");
/// assert!(text.contains("it is not the palace.json of a palace: expected value"), "{text}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;
    use std::sync::Arc;

    /// Whoever reads "try again" does so, and doubles what was written.
    #[test]
    fn only_where_nothing_was_written_is_it_said_to_try_again() {
        let replaced = || StoreError::Replaced { path: "/p".into() };
        let busy = || StoreError::Busy { path: "/p/CAS".into(), holder: "pid 7".to_owned() };
        for (error, says) in [
            (replaced(), "deleted, moved or replaced"),
            (busy(), "locked by another process (pid 7)"),
        ] {
            let refused = chain(&Error::Store(error));
            assert!(refused.contains(says) && refused.ends_with("; try again"), "{refused}");
        }
        for (error, says) in [
            (replaced(), "deleted, moved or replaced"),
            (busy(), "locked by another process (pid 7)"),
        ] {
            let unknown = StoreError::OutcomeUnknown { source: Arc::new(error) };
            let told = chain(&Error::Store(unknown));
            assert!(told.contains(says) && told.contains("read before you repeat"), "{told}");
            assert!(!told.contains("try again"), "{told}");
        }
    }
}
