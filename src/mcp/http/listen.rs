//! The server over HTTP: its start, its connections and its end.
//!
//! Invariants: no request is answered that the guard has not let in; requests that came before the signal to end are
//! answered before the end. Must not know: what a tool does.

use super::address::{Address, resolve};
use super::answer::keeping;
use super::connections::{Connection, Connections, Doing, Progress, Watched};
use super::guard::Guard;
use super::request::RequestHandler;
use super::socket::{Listener, Socket, Stream};
use super::token::Token;
use crate::mcp::error::{OrCannot, ServeError};
use crate::mcp::process::{EndSignals, runtime};
use crate::mcp::server::Server;
use crate::mcp::tool_sets::Offer;
use crate::palace::Palace;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Time in which the head of a request has to arrive. A connection without a request is kept as long.
const HEAD_WAIT: Duration = Duration::from_secs(60);
/// Time at the end for clients that are slow to send the rest of a request, or to read their answers.
const END_WAIT: Duration = Duration::from_secs(10);
/// Most bytes of the head of a request, and of what is read or written at once.
const BUFFER_BYTES: usize = 64 << 10;
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
    /// once it serves. `token` is called only if the system can listen there: a token that is made for a server that
    /// does not start would be left behind.
    ///
    /// # Errors
    /// [`ServeError::Open`] if other machines could come in without a token, [`ServeError::Socket`] if the file of a
    /// Unix socket cannot be made, [`ServeError::System`] if the system cannot listen there, and that of `token`.
    pub fn bind<E: From<ServeError>>(
        address: &Address,
        token: impl FnOnce() -> Result<Option<Token>, E>,
    ) -> Result<Self, E> {
        let (host, found, socket) = match address {
            Address::Tcp { host, port } => {
                let found = resolve(host, *port).or_cannot("find the address to listen at")?;
                let socket = Socket::tcp(&found)?;
                (host.as_str(), found, socket)
            }
            // No web page reaches a Unix socket, unless a program passes a port on to it: then the guard's checks count.
            Address::Unix(path) => (UNIX_HOST, Vec::new(), Socket::unix(path)?),
        };
        let url = socket.url()?;
        let guard = Guard::new(host, &found, token()?)?;
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
        let server = Server::new(palace.clone(), offer).for_several();
        let handler = Arc::new(RequestHandler::new(palace.clone(), server.clone(), self.guard));
        let ready = || ready(&self.url);
        let result = runtime()?.block_on(until_the_end(self.socket, &server, &handler, ready));
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
    let all = Arc::new(Connections::default());
    loop {
        match listener.accept().await {
            Ok(stream) => {
                let (watcher, handler, place) =
                    (connections.watcher(), handler.clone(), all.add().await);
                drop(match stream {
                    Stream::Tcp(stream) => {
                        tokio::spawn(connection(stream, watcher, handler, place))
                    }
                    Stream::Unix(stream) => {
                        tokio::spawn(connection(stream, watcher, handler, place))
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
    place: Connection,
) {
    let progress = place.progress();
    let stream = TokioIo::new(Watched::new(stream, progress.clone()));
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (handler, progress) = (handler.clone(), progress.clone());
        progress.note(match request.body().is_end_stream() {
            true => Doing::Busy,
            false => Doing::Unfinished,
        });
        request.extensions_mut().insert(progress.clone());
        async move {
            let answer = keeping(handler.answer(request).await, UntilAnswered(progress));
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT).max_buf_size(BUFFER_BYTES);
    let served = watcher.watch(protocol.serve_connection(stream, service));
    tokio::select! {
        ended = served => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended");
            }
        }
        () = place.has_to_close() => {}
    }
}

/// Notes that a connection is idle once its answer was sent.
struct UntilAnswered(Progress);

impl Drop for UntilAnswered {
    fn drop(&mut self) {
        self.0.note(Doing::Idle);
    }
}
