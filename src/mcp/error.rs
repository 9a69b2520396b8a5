//! Why a server does not start, or stops.

use crate::palace;
use rmcp::service::ServerInitializeError;
use std::io;

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
    /// The address and the token do not keep strangers out.
    #[error(transparent)]
    Guard(#[from] GuardError),
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

/// Why a server over HTTP does not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The address can be reached from other machines, and there is no token.
    #[error(
        "this address can be reached from other machines: set CRDT_PALACE_TOKEN to a secret of at least 16 \
         characters that clients send as bearer token, or listen on 127.0.0.1"
    )]
    TokenMissing,
    /// The token can be guessed, or no client can send it.
    #[error(
        "CRDT_PALACE_TOKEN needs at least 16 characters, all of them visible ASCII without spaces: set a longer \
         one, for example from `openssl rand -hex 32`, or unset it to serve this machine without"
    )]
    TokenBad,
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
