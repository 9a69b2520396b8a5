//! The server over HTTP: its start, its connections and its end.
//!
//! Invariants: no request is answered that the guard has not let in; requests that came before the signal to end are
//! answered before the end. Must not know: what a tool does.

use super::address::{Address, resolve};
use super::guard::Guard;
use super::request::RequestHandler;
use super::socket::{Connection, Listener, Socket};
use super::token::Token;
use crate::mcp::error::{OrCannot, ServeError};
use crate::mcp::process::{EndSignals, leave, runtime};
use crate::mcp::server::Server;
use crate::mcp::tool_sets::Offer;
use crate::palace::Palace;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Most connections at once. Another one waits until one of these ends.
const CONNECTIONS: usize = 512;
/// Time in which the head of a request has to arrive. A connection without a request is kept as long.
const HEAD_WAIT: Duration = Duration::from_secs(60);
/// Time at the end for clients that are slow to send the rest of a request, or to read their answers.
const END_WAIT: Duration = Duration::from_secs(10);
/// Pause after the system could not accept a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The host of requests over a Unix socket, besides the addresses of loopback.
const UNIX_HOST: &str = "localhost";

/// A socket that listens, and the guard of its requests.
#[derive(Debug)]
pub struct Http {
    socket: Socket,
    url: String,
    guard: Guard,
}

impl Http {
    /// Listens at `address`; with a token, requests have to bring it. Clients can connect from now on, and are answered
    /// once it serves.
    ///
    /// # Errors
    /// [`ServeError::Open`] if other machines could come in without a token, [`ServeError::Socket`] if the file of a
    /// Unix socket cannot be made, and [`ServeError::System`] if the system cannot listen there.
    pub fn bind(address: &Address, token: Option<Token>) -> Result<Self, ServeError> {
        let (socket, guard) = match address {
            Address::Tcp { host, port } => {
                let found = resolve(host, *port).or_cannot("find the address to listen at")?;
                let guard = Guard::new(host, &found, token)?;
                (Socket::tcp(&found)?, guard)
            }
            // No web page reaches a Unix socket, unless a program passes a port on to it: then the guard's checks count.
            Address::Unix(path) => (Socket::unix(path)?, Guard::new(UNIX_HOST, &[], token)?),
        };
        let url = socket.url()?;
        Ok(Http { socket, url, guard })
    }

    /// Serves until SIGTERM or SIGINT comes. Then no new client is let in, pending requests are answered, and the
    /// segment is sealed. A second signal ends it without waiting. `ready` is called with the URL for clients, once a
    /// signal would end the server well.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn serve(
        self,
        palace: Palace,
        offer: &Offer,
        ready: impl FnOnce(&str),
    ) -> Result<(), ServeError> {
        let runtime = runtime()?;
        let server = Server::new(palace.clone(), offer).for_several();
        let handler = Arc::new(RequestHandler::new(palace.clone(), server.clone(), self.guard));
        let ready = || ready(&self.url);
        let result = runtime.block_on(until_the_end(self.socket, &server, &handler, ready));
        leave(runtime);
        palace.close().map_err(ServeError::Close)?;
        result
    }
}

async fn until_the_end(
    socket: Socket,
    server: &Server,
    handler: &Arc<RequestHandler>,
    ready: impl FnOnce(),
) -> Result<(), ServeError> {
    let mut signals = EndSignals::listen()?;
    let listener = socket.listen()?;
    ready();
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = let_in(&listener, &connections, handler) => {}
        () = signals.next() => {}
    }
    drop(listener);
    tokio::select! {
        () = end(connections, server) => {}
        () = signals.next() => tracing::warn!("ended without answering the pending requests"),
    }
    Ok(())
}

/// Answers the pending requests, and ends the streams that would go on for ever.
async fn end(connections: GracefulShutdown, server: &Server) {
    server.stop();
    if tokio::time::timeout(END_WAIT, connections.shutdown()).await.is_err() {
        tracing::warn!("the connections of clients that did not read their answers were closed");
    }
    // Calls whose clients have gone away.
    server.finish().await;
}

async fn let_in(
    listener: &Listener,
    connections: &GracefulShutdown,
    handler: &Arc<RequestHandler>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed: the loop ends when the caller drops it.
    while let Ok(permit) = permits.clone().acquire_owned().await {
        match listener.accept().await {
            Ok(stream) => {
                let (watcher, handler) = (connections.watcher(), handler.clone());
                drop(match stream {
                    Connection::Tcp(stream) => {
                        tokio::spawn(connection(stream, watcher, handler, permit))
                    }
                    Connection::Unix(stream) => {
                        tokio::spawn(connection(stream, watcher, handler, permit))
                    }
                });
            }
            // The client hung up again, or there are no more descriptors: the next one may fare better.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    watcher: Watcher,
    handler: Arc<RequestHandler>,
    _permit: OwnedSemaphorePermit,
) {
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, std::convert::Infallible>(handler.answer(request).await) }
    });
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    let served = protocol.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "a connection ended");
    }
}
