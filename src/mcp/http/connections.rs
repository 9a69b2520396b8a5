//! The connections of a server: how many there may be, and which one is closed when there are too many.
//!
//! Invariants: a connection whose request is being answered stays, unless its client does not read. Every other one gives
//! way to a new connection, that with an unfinished request first. So connections on which nothing comes keep nobody out.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep};

/// Most connections at once.
pub(super) const CONNECTIONS_MAX: usize = 512;
/// Time in which a client has to read something of its answer.
const UNREAD_WAIT: Duration = Duration::from_secs(60);

/// The state of a connection. Of two states, that further up is closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Doing {
    /// The body of a request has not come to its end.
    Unfinished,
    /// No request has come yet.
    New,
    /// The last request is answered.
    Idle,
    /// A request is being answered.
    Busy,
}

/// All connections.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    changed: Notify,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Entry>,
    last: u64,
}

struct Entry {
    doing: Doing,
    since: Instant,
    /// True while the client does not read its answer. Such a connection is closed before all others.
    unread: bool,
    close: Arc<Notify>,
}

/// One connection. It counts until it is dropped.
pub(super) struct Connection {
    all: Arc<Connections>,
    number: u64,
    close: Arc<Notify>,
}

/// Notes what a connection is doing.
#[derive(Clone)]
pub(super) struct Progress {
    all: Arc<Connections>,
    number: u64,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a connection, as soon as there is a place for it: if all are taken, another one is closed.
    pub async fn add(self: &Arc<Self>) -> Connection {
        loop {
            let changed = self.changed.notified();
            if let Some(connection) = self.try_add() {
                return connection;
            }
            changed.await;
        }
    }

    fn try_add(self: &Arc<Self>) -> Option<Connection> {
        let mut open = self.lock();
        if open.connections.len() >= CONNECTIONS_MAX {
            open.close_one()?;
        }
        open.last += 1;
        let (number, close) = (open.last, Arc::new(Notify::new()));
        let (doing, since) = (Doing::New, Instant::now());
        let entry = Entry { doing, since, unread: false, close: close.clone() };
        open.connections.insert(number, entry);
        Some(Connection { all: self.clone(), number, close })
    }
}

impl Open {
    /// Closes the connection that can be spared best; `None` if all are busy.
    fn close_one(&mut self) -> Option<()> {
        let spare = |entry: &Entry| entry.unread || entry.doing != Doing::Busy;
        let spare = self.connections.iter().filter(|(_, entry)| spare(entry));
        let number = spare
            .map(|(number, entry)| (!entry.unread, entry.doing, entry.since, *number))
            .min()?
            .3;
        let entry = self.connections.remove(&number)?;
        entry.close.notify_one();
        tracing::debug!(doing = ?entry.doing, "a connection was closed for another one");
        Some(())
    }
}

impl Connection {
    pub fn progress(&self) -> Progress {
        Progress { all: self.all.clone(), number: self.number }
    }

    /// Waits until this connection has to be closed for another one.
    pub async fn has_to_close(&self) {
        self.close.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.all.lock().connections.remove(&self.number);
        self.all.changed.notify_one();
    }
}

impl Progress {
    pub fn note(&self, doing: Doing) {
        if let Some(entry) = self.all.lock().connections.get_mut(&self.number) {
            (entry.doing, entry.since) = (doing, Instant::now());
        }
        if doing != Doing::Busy {
            self.all.changed.notify_one();
        }
    }

    fn note_unread(&self, unread: bool) {
        if let Some(entry) = self.all.lock().connections.get_mut(&self.number) {
            entry.unread = unread;
        }
        if unread {
            self.all.changed.notify_one();
        }
    }
}

/// A stream whose writes fail if the client reads nothing for [`UNREAD_WAIT`].
pub(super) struct Watched<S> {
    stream: S,
    progress: Progress,
    unread: Option<Pin<Box<Sleep>>>,
    /// [`UNREAD_WAIT`], shorter in tests.
    wait: Duration,
}

impl<S> Watched<S> {
    pub fn new(stream: S, progress: Progress) -> Self {
        Watched { stream, progress, unread: None, wait: UNREAD_WAIT }
    }

    /// Begins or ends to wait for the client, by the outcome of a write.
    fn after<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.unread.take().is_some() {
                self.progress.note_unread(false);
            }
            return written;
        }
        let (progress, wait) = (&self.progress, self.wait);
        let unread = self.unread.get_or_insert_with(|| {
            progress.note_unread(true);
            Box::pin(sleep(wait))
        });
        ready!(unread.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client did not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.after(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(connection: &Connection) -> bool {
        !connection.all.lock().connections.contains_key(&connection.number)
    }

    #[tokio::test]
    async fn unfinished_connections_give_way_and_busy_ones_stay() {
        let all = Arc::new(Connections::default());
        let mut connections = Vec::new();
        for n in 0..CONNECTIONS_MAX {
            let connection = all.add().await;
            let doing = [Doing::Busy, Doing::Idle, Doing::New, Doing::Unfinished, Doing::Busy];
            connection.progress().note(doing[n % doing.len()]);
            connection.progress().note_unread(n % doing.len() == 4);
            connections.push(connection);
        }
        let mut further = Vec::new();
        let closed_now = |connections: &[Connection]| {
            connections.iter().enumerate().filter(|(_, it)| is_closed(it)).map(|(n, _)| n).collect()
        };
        for first in [4, 9] {
            further.push(all.add().await);
            further.last().unwrap().progress().note(Doing::Busy);
            let closed: Vec<usize> = closed_now(&connections);
            assert_eq!(*closed.last().unwrap(), first);
        }
        connections[4].has_to_close().await;
        let spare = connections.len() - connections.len().div_ceil(5) - 2;
        for _ in 0..spare {
            further.push(all.add().await);
            further.last().unwrap().progress().note(Doing::Busy);
        }
        let closed: Vec<usize> = closed_now(&connections);
        assert!(closed.iter().all(|n| n % 5 != 0) && closed.len() == spare + 2);
        let late = tokio::time::timeout(Duration::from_millis(20), all.add()).await;
        assert!(late.is_err(), "all are busy");
        let waiting = tokio::spawn(async move { all.add().await.number });
        further[0].progress().note(Doing::Idle);
        assert!(waiting.await.unwrap() > 0);
    }

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_given_up() {
        use tokio::io::AsyncWriteExt;
        let all = Arc::new(Connections::default());
        let connection = all.add().await;
        let (near, _far) = tokio::io::duplex(64);
        let stream = Watched::new(near, connection.progress());
        let mut stream = Watched { wait: Duration::from_millis(20), ..stream };
        let error = stream.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(all.lock().connections[&connection.number].unread);
    }
}
