//! The server on standard input and output: one client, until its input ends or a signal comes.

use super::error::{OrCannot, ServeError};
use super::lines::Lines;
use super::process::{EndSignals, leave, runtime};
use super::server::Server;
use super::tool_sets::Offer;
use crate::palace::Palace;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use std::fs::File;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};

/// Serves on standard input and output until the input ends, or SIGTERM or SIGINT comes. Calls that are running then
/// are finished, and the segment is sealed. The server's threads stay idle until the process ends.
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

/// Takes standard output for the protocol alone. Anything else that prints there, a library for example, goes to
/// standard error from now on.
fn take_stdout() -> Result<File, ServeError> {
    let output = rustix::io::dup(rustix::stdio::stdout()).or_cannot("duplicate standard output")?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr()).or_cannot("redirect standard output")?;
    Ok(File::from(output))
}

async fn until_the_end(server: Server, output: File) -> Result<(), ServeError> {
    let mut signals = EndSignals::listen()?;
    let (input, output) = (tokio::io::stdin(), tokio::fs::File::from_std(output));
    // Dropped at the end only: calls that are running when a signal comes still send their replies.
    let mut session = std::pin::pin!(serve_client(server.for_another_client(), input, output));
    let result = tokio::select! {
        result = &mut session => result,
        () = signals.next() => Ok(()),
    };
    server.finish().await;
    result
}

/// Serves one client on a pair of streams, until its input ends. Calls that are running then are finished.
///
/// # Errors
/// [`ServeError`].
pub async fn serve_client<R, W>(server: Server, input: R, output: W) -> Result<(), ServeError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let lines = Lines::new(input, output, server.session.clone());
    match server.serve(lines).await {
        Ok(running) => running.waiting().await.map(drop).map_err(ServeError::Stopped),
        // Some clients start a server only to see whether they can, and hang up.
        Err(error) if is_hang_up(&error) => Ok(()),
        Err(error) => Err(ServeError::Initialize(Box::new(error))),
    }
}

/// Returns true if the client hung up, at the end of the input or before it read the reply.
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
