//! The MCP server on stdio.
//!
//! Owns: the tools, their arguments and results, and how a session begins and ends. Invariants:
//! standard output carries the protocol and nothing else; nothing is written to the palace before the
//! first call that writes, because clients start servers only to look at them, and kill them. Must not
//! know: how the graph is stored (`memory`).

mod tools;

use crate::fs::os::take_stdout;
use crate::memory::Memory;
use crate::palace::Palace;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use std::fs::File;
use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// Why the server stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Standard input or output, signals or threads could not be set up.
    #[error("cannot set up the server")]
    Setup(#[from] io::Error),
    /// The session could not be started.
    #[error("the client did not start a session")]
    Session(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The last commits could not be put on disk, or the segment not be sealed.
    #[error("the palace could not be closed cleanly")]
    Close(#[source] crate::palace::Error),
}

/// Serves the tool set `memory` on standard input and output, until the input ends or the process is
/// asked to stop. Both eras of the protocol are spoken.
///
/// # Errors
/// [`ServeError`]. That the client hung up, also before it said anything, is none.
pub fn serve(palace: &Palace) -> Result<(), ServeError> {
    let out = take_stdout()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(session(palace, out));
    // Reading standard input blocks a thread of the runtime until the next line: do not wait for it.
    runtime.shutdown_background();
    done?;
    palace.seal().map_err(ServeError::Close)
}

async fn session(palace: &Palace, out: File) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let server = tools::Server::new(palace.clone());
    let transport = (tokio::io::stdin(), tokio::fs::File::from_std(out));
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);
    let running = tokio::select! {
        started = server.serve(transport) => match started {
            Ok(running) => running,
            // A client that only looked whether there is a server.
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(ServeError::Session(Box::new(error))),
        },
        () = &mut stop => return Ok(()),
    };
    let cancel = running.cancellation_token();
    let waiting = running.waiting();
    tokio::pin!(waiting);
    tokio::select! {
        ended = &mut waiting => ended,
        () = &mut stop => {
            cancel.cancel();
            waiting.await
        }
    }
    .map(|_| ())
    .map_err(|error| ServeError::Session(Box::new(error)))
}

/// The graph as this client writes it.
fn memory(palace: &Palace, client: Option<rmcp::model::Implementation>) -> Memory {
    let by = client.map(|client| format!("{} {}", client.name, client.version));
    Memory::new(palace.clone(), by)
}
