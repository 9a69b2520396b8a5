//! The errors of the token of a server over HTTP.

use crate::fs::FsError;
use crate::fs::shell::quoted;
use crate::mcp::BadToken;
use std::path::PathBuf;

/// The reason why a server over HTTP has no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The value in the environment is no token.
    #[error("CRDT_PALACE_TOKEN is no token")]
    Variable(#[source] BadToken),
    /// The file has no token.
    #[error("{} has no token", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: BadToken,
    },
    /// Other users can read or write the file.
    #[error(
        "other users can read or write the token in {0}: run chmod 600 {1}, and put another token into it",
        path.display(),
        quoted(path)
    )]
    Readable {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to another user.
    #[error("the token in {} belongs to uid {owner}, who knows it: name a file of this user", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Other users can enter the directory of the tokens.
    #[error(
        "{0} must be a directory of this user that no other user can enter: run chmod 700 {1}, or pass --token-file FILE",
        directory.display(),
        quoted(directory)
    )]
    Directory {
        /// The directory.
        directory: PathBuf,
    },
    /// The directory of the tokens is in the palace, whose copies would have the token.
    #[error(
        "the token would be in the palace, in {}, and with it in every copy: pass --token-file FILE",
        directory.display()
    )]
    InPalace {
        /// The directory.
        directory: PathBuf,
    },
    /// The environment names no directory.
    #[error(
        "there is no directory for the token, because neither XDG_RUNTIME_DIR nor XDG_STATE_HOME nor HOME is set: pass \
         --token-file FILE, or set CRDT_PALACE_TOKEN"
    )]
    NoDirectory,
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::palace::chain;
    use std::io::ErrorKind;

    /// The text that a user reads. A new variant does not compile without a line here: add one, and a sample below.
    fn reviewed(error: &TokenError) -> &'static str {
        match error {
            TokenError::Variable(_) => {
                "CRDT_PALACE_TOKEN is no token: a token needs at least 16 characters, all of them visible ASCII without \
             spaces: take a longer one, for example from `openssl rand -hex 32`"
            }
            TokenError::Bad { .. } => {
                "/it's has no token: a token needs at least 16 characters, all of them visible ASCII without spaces: \
             take a longer one, for example from `openssl rand -hex 32`"
            }
            TokenError::Readable { .. } => {
                "other users can read or write the token in /it's: run chmod 600 '/it'\\''s', and put another token into it"
            }
            TokenError::Foreign { .. } => {
                "the token in /it's belongs to uid 1, who knows it: name a file of this user"
            }
            TokenError::Directory { .. } => {
                "/it's must be a directory of this user that no other user can enter: run chmod 700 '/it'\\''s', or pass \
             --token-file FILE"
            }
            TokenError::InPalace { .. } => {
                "the token would be in the palace, in /it's, and with it in every copy: pass --token-file FILE"
            }
            TokenError::NoDirectory => {
                "there is no directory for the token, because neither XDG_RUNTIME_DIR nor XDG_STATE_HOME nor HOME is \
             set: pass --token-file FILE, or set CRDT_PALACE_TOKEN"
            }
            TokenError::Fs(_) => "cannot read /it's: permission denied",
        }
    }

    #[test]
    fn every_failure_of_a_token_has_its_reviewed_text() {
        let path = || PathBuf::from("/it's");
        let refused = || ErrorKind::PermissionDenied.into();
        for error in [
            TokenError::Variable(BadToken),
            TokenError::Bad { path: path(), source: BadToken },
            TokenError::Readable { path: path() },
            TokenError::Foreign { path: path(), owner: 1 },
            TokenError::Directory { directory: path() },
            TokenError::InPalace { directory: path() },
            TokenError::NoDirectory,
            TokenError::Fs(FsError { action: "read", path: path(), source: refused() }),
        ] {
            assert_eq!(chain(&error), reviewed(&error));
        }
    }
}
