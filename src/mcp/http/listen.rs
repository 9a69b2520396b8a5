//! The server over HTTP: many clients at once, one session each.
//!
//! Owns: the socket, its connections, their end. Invariants: nothing is answered that the guard has not let in; what
//! was asked before the signal to end is answered before the end. Must not know: what a tool does.

mod address;
mod answer;
mod guard;
mod health;

pub use address::Address;
pub use guard::GuardError;

use super::serve::{Doing, EndSignals, ServeError, leave, runtime};
use super::{Offer, Server};
use crate::palace::Palace;
use answer::Answerer;
use guard::Guard;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::net::{SocketAddr, TcpListener as Socket};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many connections there are at once. More wait until one of these ends.
const CONNECTIONS: usize = 512;
/// How long a client may take for the head of a request; so long, too, a connection is kept that asks for nothing.
const HEAD_WAIT: Duration = Duration::from_secs(60);
/// How long the end waits for clients that are slow to send what they began, or to read their answers.
const END_WAIT: Duration = Duration::from_secs(10);
/// How long nobody is let in after the system could not.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A socket that listens, and whom it lets in.
#[derive(Debug)]
pub struct Http {
    socket: Socket,
    address: SocketAddr,
    guard: Guard,
}

impl Http {
    /// Listens at `address`; with a token, only to who sends it. Clients can connect from now on, and are answered once
    /// it serves.
    ///
    /// # Errors
    /// [`ServeError::Guard`] if others than this machine could come in without a token, or if the token is none;
    /// [`ServeError::System`] if nobody can listen there.
    pub fn bind(address: &Address, token: Option<&str>) -> Result<Self, ServeError> {
        let found = address.resolve().doing("find the address to listen at")?;
        let guard = Guard::new(address, &found, token)?;
        let socket = Socket::bind(found.as_slice()).doing("listen at that address")?;
        socket.set_nonblocking(true).doing("listen without blocking")?;
        let address = socket.local_addr().doing("see where it listens")?;
        Ok(Http { socket, address, guard })
    }

    /// Serves until SIGTERM or SIGINT comes. Then nobody new is let in, what was asked is answered, and the segment is
    /// sealed. A second signal ends it without waiting. `ready` is given the URL for clients, once a signal would end
    /// it well.
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
        let answerer = Arc::new(Answerer::new(palace.clone(), server.clone(), self.guard));
        let ready = || ready(&format!("http://{}/mcp", self.address));
        let result = runtime.block_on(until_the_end(self.socket, &server, &answerer, ready));
        leave(runtime);
        palace.close().map_err(ServeError::Close)?;
        result
    }
}

async fn until_the_end(
    socket: Socket,
    server: &Server,
    answerer: &Arc<Answerer>,
    ready: impl FnOnce(),
) -> Result<(), ServeError> {
    let mut signals = EndSignals::listen()?;
    let listener = TcpListener::from_std(socket).doing("listen")?;
    ready();
    let connections = GracefulShutdown::new();
    tokio::select! {
        () = let_in(&listener, &connections, answerer) => {}
        () = signals.next() => {}
    }
    drop(listener);
    tokio::select! {
        () = end(connections, server) => {}
        () = signals.next() => tracing::warn!("ended without waiting for what was asked"),
    }
    Ok(())
}

/// Answers everything that was asked, and ends what would go on for ever.
async fn end(connections: GracefulShutdown, server: &Server) {
    server.stop();
    if tokio::time::timeout(END_WAIT, connections.shutdown()).await.is_err() {
        tracing::warn!("clients that did not read their answers were left");
    }
    // Calls whose clients have gone away.
    server.finish().await;
}

async fn let_in(listener: &TcpListener, connections: &GracefulShutdown, answerer: &Arc<Answerer>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // Nobody closes the semaphore, so there is no other end than the caller's.
    while let Ok(place) = places.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (watcher, answerer) = (connections.watcher(), answerer.clone());
                drop(tokio::spawn(connection(stream, watcher, answerer, place)));
            }
            // One that hung up again, or no more descriptors: the next may fare better.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    watcher: Watcher,
    answerer: Arc<Answerer>,
    _place: OwnedSemaphorePermit,
) {
    // Answers are small and somebody waits for them. Without it they are later, not wrong.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be slow");
    }
    let service = service_fn(move |request| {
        let answerer = answerer.clone();
        async move { Ok::<_, std::convert::Infallible>(answerer.answer(request).await) }
    });
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    let served = protocol.serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(served).await {
        tracing::debug!(%error, "a connection ended");
    }
}
