//! Errors of the library. Each text says what happened, to which file or document, and what to do next.

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
/// use crdt_palace::palace::{Error, WriteOptions};
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("k", &json!({"n": 1}))?;
/// match palace.with(WriteOptions::new().if_absent()).put("k", &json!({"n": 2})) {
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
    /// A text that cannot be a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The document or the value: too large, too deep, no object, the wrong type at a path …
    #[error("{key}: {source}")]
    Document {
        /// The document.
        key: Key,
        /// The problem.
        #[source]
        source: MergeError,
    },
    /// The value of a document is not of the type that was asked for.
    #[error("the value of {key} is not of the type that the program reads it as")]
    Type {
        /// The document.
        key: Key,
        /// The problem.
        #[source]
        source: serde_json::Error,
    },
    /// The view of a document in a snapshot cannot be read.
    #[error("a snapshot's view of {key} cannot be read; run `crdt-log verify` for details")]
    View {
        /// The document.
        key: Key,
        /// The problem.
        #[source]
        source: serde_json::Error,
    },
    /// A conditional write found another version than it named.
    #[error(
        "ETAG_MISMATCH: {key} is {}: read it again, apply your change to what you find, and retry",
        describe(current)
    )]
    EtagMismatch {
        /// The document.
        key: Key,
        /// Its present version; `None` if there is no such document.
        current: Option<Box<Document>>,
    },
    /// A conditional write while a snapshot cannot be read, so that the condition cannot be checked.
    #[error(
        "snapshot {snapshot} cannot be read, so the condition cannot be checked; run `crdt-log verify` for details"
    )]
    Unreadable {
        /// The snapshot.
        snapshot: SnapshotId,
    },
    /// A `base` or a version that is not in the document's history.
    #[error("{key} has no version {etag}; `history` lists the versions it has")]
    NoSuchVersion {
        /// The document.
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
    /// A query without a word.
    #[error("the query has no word; name at least one letter or digit")]
    EmptyQuery,
    /// A batch without a write.
    #[error("the batch has no write; add at least one before the commit")]
    EmptyBatch,
    /// A batch with two writes of the same document.
    #[error("the batch has two writes of {key}; put both changes into one write, or commit twice")]
    TwoWrites {
        /// The document.
        key: Key,
    },
    /// The closure of a write calls a write of the same palace.
    #[error(
        "this thread is in the middle of a write to the same palace: the closure of a write may read; \
         call other writes, sync, seal, compact and close after it"
    )]
    Nested,
    /// A new snapshot does not hold exactly its inputs. It was not published, and no input was retired.
    #[error("the new snapshot {problem}; it was not published, and nothing was changed")]
    Unverified {
        /// The difference, as a verb and its object: "lacks …", "holds …".
        problem: String,
    },
    /// The directory that palaces are to be merged into exists.
    #[error("{} exists already; name a directory that does not", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The directory that palaces are to be merged into is inside one of them, or the reverse.
    #[error(
        "{} and {} are one inside the other; name a directory outside of the palaces",
        path.display(), into.display()
    )]
    Inside {
        /// The directory for the new palace.
        into: PathBuf,
        /// The palace to be merged.
        path: PathBuf,
    },
    /// No source has a document that was to be left out of a merge. Nothing was made.
    #[error(
        "none of the palaces has {}: nothing was written; `crdt-log dump --raw` shows the keys",
        names.join(", ")
    )]
    NothingToForget {
        /// The keys, or the ids that the caller gave.
        names: Vec<String>,
    },
    /// A file of a source cannot be read, so a merge of it would not be whole.
    #[error(
        "{} cannot be read, and the merge would lack the changes that only this file holds; \
         run `crdt-log verify` for details", path.display()
    )]
    Unread {
        /// The file.
        path: PathBuf,
    },
    /// A record of a source cannot be read, so a merge of it would not be whole.
    #[error("{} is damaged at byte {offset}; run `crdt-log verify` for details", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The position of the damage, in bytes.
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

/// Returns what was done, and the advice to try again, where nothing was written. It is not in the text of the error
/// itself, because the same error is also the cause of an [`OutcomeUnknown`](StoreError::OutcomeUnknown). A program that tries that again
/// may write twice.
fn advice(error: &StoreError) -> &'static str {
    match error {
        StoreError::Busy { .. } => "; nothing was written: try again",
        StoreError::Replaced { .. } | StoreError::WentBack { .. } => "; try again",
        _ => "",
    }
}

fn describe(current: &Option<Box<Document>>) -> String {
    match current {
        Some(document) => format!("at version {} now", document.etag),
        None => "not there now".to_owned(),
    }
}

/// The result of the library's calls.
pub type Result<T> = std::result::Result<T, Error>;

/// Returns the text of an error and of its causes, on one line. A cause that the text before it contains is left out.
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
        // SQLite's errors repeat their text behind a number.
        let told = next.split_once(": ").filter(|(number, _)| number.starts_with("Error code "));
        if !text.contains(told.map_or(next.as_str(), |(_, words)| words)) {
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

    /// A program that reads "try again" does so, and may write twice.
    #[test]
    fn only_where_nothing_was_written_is_it_said_to_try_again() {
        let replaced = || StoreError::Replaced { path: "/p".into() };
        let busy = || StoreError::Busy { path: "/p/CAS".into(), holder: "pid 7".to_owned() };
        for (error, says, advice) in [
            (replaced(), "another palace was put", "; try again"),
            (busy(), "locked by another process (pid 7)", "; nothing was written: try again"),
        ] {
            let refused = chain(&Error::Store(error));
            assert!(refused.contains(says) && refused.ends_with(advice), "{refused}");
        }
        for (error, says) in
            [(replaced(), "another palace was put"), (busy(), "locked by another process (pid 7)")]
        {
            let unknown = StoreError::OutcomeUnknown { source: Arc::new(error) };
            let told = chain(&Error::Store(unknown));
            assert!(told.contains(says) && told.contains("read before you repeat"), "{told}");
            assert!(!told.contains("try again") && !told.contains("nothing was written"), "{told}");
        }
    }
}
