//! The server on standard input and output: one client, until its input ends or a signal comes.

use super::error::ServeError;
use super::lines::Lines;
use super::process::{EndSignals, runtime};
use super::server::Server;
use super::std_streams::{Input, Output};
use super::tool_sets::Offer;
use crate::palace::Palace;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Time after a signal in which the client can read the last replies.
const END_WAIT: Duration = Duration::from_secs(10);

/// Serves on standard input and output until the input ends, or SIGTERM or SIGINT comes. Calls that are running then
/// are finished, and the segment is sealed.
///
/// # Errors
/// [`ServeError`].
pub fn serve(palace: Palace, offer: &Offer) -> Result<(), ServeError> {
    let server = Server::new(palace.clone(), offer);
    let result = runtime()?.block_on(until_the_end(server));
    palace.close().map_err(ServeError::Close)?;
    result
}

async fn until_the_end(server: Server) -> Result<(), ServeError> {
    let (input, output) = (Input::take()?, Output::take()?);
    let mut signals = EndSignals::listen()?;
    let client = server.for_another_client();
    let session = client.session.clone();
    let mut served = std::pin::pin!(serve_client(client, input, output));
    let result = tokio::select! {
        result = &mut served => result,
        () = signals.next() => {
            // Calls that are running still send their replies, and the client has a while to read them.
            server.finish().await;
            session.end();
            tokio::time::timeout(END_WAIT, served).await.unwrap_or(Ok(()))
        }
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
    let lines = Lines::new(input, output, server.session.clone(), server.in_flight.clone());
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
