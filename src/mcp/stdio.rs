//! The process around the tools: standard streams, signals, a clean end.

use super::http::GuardError;
use super::session::Session;
use super::{Offer, Server};
use crate::palace::{self, Palace};
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use std::fs::File;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, ReadBuf, Stdin};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Why the server stopped other than by the end of its input or a signal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The system refused what a server needs.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Anybody could come in.
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

pub(super) trait Doing<T> {
    fn doing(self, action: &'static str) -> Result<T, ServeError>;
}

impl<T, E: Into<io::Error>> Doing<T> for Result<T, E> {
    fn doing(self, action: &'static str) -> Result<T, ServeError> {
        self.map_err(|source| ServeError::System { action, source: source.into() })
    }
}

/// Serves on standard input and output until the input ends, or SIGTERM or SIGINT comes. Calls that
/// are running then are finished, and the segment is sealed. The server's threads stay, and do nothing, until the
/// process ends.
///
/// # Errors
/// [`ServeError`].
pub fn serve(palace: Palace, offer: &Offer) -> Result<(), ServeError> {
    let output = take_stdout()?;
    let runtime = runtime()?;
    let server = Server::new(palace.clone(), offer);
    let result = runtime.block_on(until_the_end(server, output));
    leave(runtime);
    palace.close().map_err(ServeError::Close)?;
    result
}

/// The threads of a server.
pub(super) fn runtime() -> Result<Runtime, ServeError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().doing("start the server's threads")
}

/// Leaves the threads of a server to the end of the process. One may sit in a read of standard input for ever, so they
/// are not waited for. They are not told to end either: tokio detaches what it does not wait for, and glibc (2.36 as
/// others) looks at a thread once more after it has detached it. If that thread ends just then, its memory is gone.
pub(super) fn leave(runtime: Runtime) {
    std::mem::forget(runtime);
}

/// What asks a process to end.
pub(super) struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl EndSignals {
    pub fn listen() -> Result<Self, ServeError> {
        let terminate = signal(SignalKind::terminate()).doing("listen for SIGTERM")?;
        let interrupt = signal(SignalKind::interrupt()).doing("listen for SIGINT")?;
        Ok(EndSignals { terminate, interrupt })
    }

    /// Waits for SIGTERM or SIGINT.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Standard output for the protocol alone: whatever else prints there, a library for example, goes to
/// standard error from now on.
fn take_stdout() -> Result<File, ServeError> {
    let output = rustix::io::dup(rustix::stdio::stdout()).doing("duplicate standard output")?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).doing("redirect standard output")?;
    Ok(File::from(output))
}

async fn until_the_end(server: Server, output: File) -> Result<(), ServeError> {
    let mut signals = EndSignals::listen()?;
    // Not dropped before the end: calls that a signal finds running still get their replies out.
    let mut session = std::pin::pin!(session(server.for_another_client(), output));
    let result = tokio::select! {
        result = &mut session => result,
        () = signals.next() => Ok(()),
    };
    server.finish().await;
    result
}

async fn session(server: Server, output: File) -> Result<(), ServeError> {
    let input = Input { bytes: tokio::io::stdin(), session: server.session.clone() };
    let transport = (input, tokio::fs::File::from_std(output));
    match server.serve(transport).await {
        Ok(running) => running.waiting().await.map(drop).map_err(ServeError::Stopped),
        // Clients start servers to see whether they can, and hang up.
        Err(error) if is_hang_up(&error) => Ok(()),
        Err(error) => Err(ServeError::Initialize(Box::new(error))),
    }
}

/// Standard input, which tells the session of its end: the protocol's loop waits for calls that are running, and a
/// client that listens has one that runs until somebody ends it.
struct Input {
    bytes: Stdin,
    session: Arc<Session>,
}

impl AsyncRead for Input {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = Pin::new(&mut self.bytes).poll_read(context, buffer);
        if read.is_ready() && room > 0 && buffer.filled().len() == before {
            self.session.end();
        }
        read
    }
}

/// Whether the client went away, at the end of the input or before it read the reply.
fn is_hang_up(error: &ServerInitializeError) -> bool {
    match error {
        ServerInitializeError::ConnectionClosed(_) => true,
        ServerInitializeError::TransportError { error, .. } => error
            .error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe),
        _ => false,
    }
}
