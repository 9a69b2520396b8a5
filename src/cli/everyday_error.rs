//! The errors of the everyday commands: names that mean nothing, and texts that were not written.

use crate::fs::shell::quoted;
use crate::memory::MemoryError;
use std::io;
use std::path::PathBuf;

/// The reason why an everyday command did nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EverydayError {
    /// Nothing has this id.
    #[error(
        "{name:?} is the id of nothing in this palace: `crdt-palace list WING` and `crdt-palace search WORDS` show ids, and \
         the first four digits of one are the fewest"
    )]
    Unknown {
        /// The id, or the beginning of one.
        name: String,
    },
    /// Several ids begin like this.
    #[error("{name:?} may be any of {}: write more of it", ids.join(", "))]
    Ambiguous {
        /// The beginning.
        name: String,
        /// The first of the ids.
        ids: Vec<String>,
    },
    /// The id is one of a fact, and the command needs a drawer.
    #[error("{name:?} is a fact, and this needs a drawer")]
    NotADrawer {
        /// The id.
        name: String,
    },
    /// The text is not UTF-8.
    #[error("{path} is not UTF-8, and a drawer holds nothing else")]
    NotText {
        /// The file, or standard input.
        path: String,
    },
    /// The editor could not be started.
    #[error("cannot start the editor {command:?}: set VISUAL or EDITOR to another one")]
    NoEditor {
        /// The command.
        command: String,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
    /// The editor failed.
    #[error("the editor {command:?} ended with {status}, so nothing was written")]
    EditorFailed {
        /// The command.
        command: String,
        /// Its exit code or signal.
        status: std::process::ExitStatus,
    },
    /// The file for the editor cannot be made or read.
    #[error("cannot make or read the file for the editor")]
    File(#[source] io::Error),
    /// The text could not be written to the palace.
    #[error("the text was not written; it is kept in {}", quoted(path))]
    Unsaved {
        /// The file with the text.
        path: PathBuf,
        /// The reason.
        #[source]
        source: MemoryError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palace::chain;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn every_error_has_its_reviewed_text() {
        let name = || "ab12".to_owned();
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        for (error, text) in [
            (
                EverydayError::Unknown { name: name() },
                "\"ab12\" is the id of nothing in this palace: `crdt-palace list WING` and `crdt-palace search WORDS` show \
                 ids, and the first four digits of one are the fewest",
            ),
            (
                EverydayError::Ambiguous {
                    name: name(),
                    ids: vec!["ab123".into(), "ab124".into()],
                },
                "\"ab12\" may be any of ab123, ab124: write more of it",
            ),
            (
                EverydayError::NotADrawer { name: name() },
                "\"ab12\" is a fact, and this needs a drawer",
            ),
            (
                EverydayError::NotText { path: "/f".to_owned() },
                "/f is not UTF-8, and a drawer holds nothing else",
            ),
            (
                EverydayError::NoEditor { command: "vi".to_owned(), source: refused() },
                "cannot start the editor \"vi\": set VISUAL or EDITOR to another one: permission denied",
            ),
            (
                EverydayError::EditorFailed {
                    command: "vi".to_owned(),
                    status: std::process::ExitStatus::from_raw(256),
                },
                "the editor \"vi\" ended with exit status: 1, so nothing was written",
            ),
            (
                EverydayError::File(refused()),
                "cannot make or read the file for the editor: permission denied",
            ),
            (
                EverydayError::Unsaved {
                    path: "/it's".into(),
                    source: MemoryError::Argument {
                        field: "content",
                        why: "it is empty".to_owned(),
                    },
                },
                "the text was not written; it is kept in '/it'\\''s': content: it is empty",
            ),
        ] {
            assert_eq!(chain(&error), text);
        }
    }
}
