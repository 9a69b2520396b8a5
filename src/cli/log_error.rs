//! The errors of the names and times that `crdt-log` is given.

/// The reason why an argument of `crdt-log` means nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The text is no time.
    #[error(
        "{text:?} is not a time: write 2026-03-01, 2026-03-01T10:00, 10:00, yesterday, or 2h for two hours ago"
    )]
    Time {
        /// The text.
        text: String,
    },
    /// No commit and no document has this name.
    #[error(
        "{name:?} is neither a commit nor a document of this palace: `crdt-log dump` shows the commits, and `crdt-log dump \
         --json` also the ids and keys"
    )]
    Unknown {
        /// The name.
        name: String,
    },
    /// Several commits begin with this name.
    #[error("{name:?} may be any of {}: write more of its first digits", commits.join(", "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The commits.
        commits: Vec<String>,
    },
    /// The name is one of a commit, and the command needs a document.
    #[error("{name:?} is a commit, and this needs a document: pass an id or a key")]
    NotADocument {
        /// The name.
        name: String,
    },
    /// There was no such document at the time.
    #[error(
        "{name:?} was not there at that time, or it was deleted: `crdt-log history` lists its versions"
    )]
    NotThere {
        /// The document.
        name: String,
    },
    /// No commit has this name.
    #[error("{name:?} is no commit of this palace: `crdt-log dump` shows the commits")]
    NoCommit {
        /// The name.
        name: String,
    },
    /// No process has an id that begins with this.
    #[error(
        "{text:?} is not the beginning of the id of a process that wrote here: `crdt-log dump` shows ids, as the part of a \
         commit before the hyphen"
    )]
    NoInstance {
        /// The text.
        text: String,
    },
    /// The name has no version behind it.
    #[error(
        "{text:?} names no version: write ID@COMMIT, with a commit that `crdt-log history ID` shows"
    )]
    NoVersion {
        /// The text.
        text: String,
    },
    /// A commit did not change the document.
    #[error("commit {commit} did not change {document:?}: `crdt-log history` lists its versions")]
    NotAVersion {
        /// The commit.
        commit: String,
        /// The document.
        document: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_reviewed_text() {
        let named = |name: &str| name.to_owned();
        for (error, text) in [
            (
                LogError::Time { text: named("soon") },
                "\"soon\" is not a time: write 2026-03-01, 2026-03-01T10:00, 10:00, yesterday, or 2h for two hours ago",
            ),
            (
                LogError::Unknown { name: named("x") },
                "\"x\" is neither a commit nor a document of this palace: `crdt-log dump` shows the commits, and \
                 `crdt-log dump --json` also the ids and keys",
            ),
            (
                LogError::Ambiguous {
                    name: named("a1b2-7"),
                    commits: vec![named("a1b2c-7"), named("a1b2d-7")],
                },
                "\"a1b2-7\" may be any of a1b2c-7, a1b2d-7: write more of its first digits",
            ),
            (
                LogError::NotADocument { name: named("a1b2-7") },
                "\"a1b2-7\" is a commit, and this needs a document: pass an id or a key",
            ),
            (
                LogError::NotThere { name: named("k") },
                "\"k\" was not there at that time, or it was deleted: `crdt-log history` lists its versions",
            ),
            (
                LogError::NoCommit { name: named("x") },
                "\"x\" is no commit of this palace: `crdt-log dump` shows the commits",
            ),
            (
                LogError::NoInstance { text: named("a1b2") },
                "\"a1b2\" is not the beginning of the id of a process that wrote here: `crdt-log dump` shows ids, as the \
                 part of a commit before the hyphen",
            ),
            (
                LogError::NoVersion { text: named("k") },
                "\"k\" names no version: write ID@COMMIT, with a commit that `crdt-log history ID` shows",
            ),
            (
                LogError::NotAVersion { commit: named("a1b2-7"), document: named("k") },
                "commit a1b2-7 did not change \"k\": `crdt-log history` lists its versions",
            ),
        ] {
            assert_eq!(error.to_string(), text);
        }
    }
}
