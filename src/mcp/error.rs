//! Why a server does not start, or stops.

use crate::fs::FsError;
use crate::palace;
use rmcp::service::ServerInitializeError;
use std::io;
use std::path::PathBuf;

/// Why the server stopped other than by the end of its input or a signal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system refused what a server needs.
    #[error("cannot {action}")]
    System {
        /// The action that failed.
        action: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// The address can be reached from other machines, and no token would be asked for.
    #[error(
        "this address can be reached from other machines, so a token is needed: leave out --no-token, or listen on \
         127.0.0.1"
    )]
    Open,
    /// The Unix socket cannot be made.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The client does not speak MCP.
    #[error("the client did not open a session")]
    Initialize(#[source] Box<ServerInitializeError>),
    /// The server's task failed.
    #[error("the server stopped")]
    Stopped(#[source] tokio::task::JoinError),
    /// The palace could not be closed.
    #[error("the palace was not closed cleanly; nothing that was acknowledged is lost")]
    Close(#[source] palace::Error),
}

/// Why a Unix socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// Other users could put another socket in its place.
    #[error(
        "other users can change the files in {}, so clients could be led to another server: choose a directory that \
         only this user can write, such as $XDG_RUNTIME_DIR",
        directory.display()
    )]
    Directory {
        /// The directory of the socket.
        directory: PathBuf,
    },
    /// Another process listens there.
    #[error("another server listens at {}: end it, or choose another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{} is there already and is no socket: move it away, or choose another path", path.display())]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// A system call failed.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Says which action failed.
pub(super) trait OrCannot<T> {
    /// Turns the error into [`ServeError::System`]: "cannot {action}".
    fn or_cannot(self, action: &'static str) -> Result<T, ServeError>;
}

impl<T, E: Into<io::Error>> OrCannot<T> for Result<T, E> {
    fn or_cannot(self, action: &'static str) -> Result<T, ServeError> {
        self.map_err(|source| ServeError::System { action, source: source.into() })
    }
}
