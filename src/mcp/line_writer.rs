//! Writes lines to a client, and notices if it does not read.
//!
//! Invariants: lines are never mixed; a client is given up only after the end of its input, and only while a line waits
//! for it to read.

use super::message::Refusal;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until};

/// Time after the end of the input in which the client has to read something of its answers.
const UNREAD_WAIT: Duration = Duration::from_secs(60);

/// The progress of a client.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The time at which its input ended.
    input_ended: Option<Instant>,
    /// The time since which a line waits, from the last part that it read.
    waits_since: Option<Instant>,
    given_up: bool,
}

/// The output to a client.
pub(super) struct LineWriter<W> {
    /// `None` once it is closed.
    stream: Mutex<Option<W>>,
    progress: watch::Sender<Progress>,
    /// [`UNREAD_WAIT`], shorter in tests.
    wait: Duration,
}

impl<W: AsyncWrite + Unpin> LineWriter<W> {
    pub fn new(stream: W) -> Self {
        let stream = Mutex::new(Some(stream));
        LineWriter { stream, progress: watch::Sender::default(), wait: UNREAD_WAIT }
    }

    #[cfg(test)]
    pub fn with_wait(stream: W, wait: Duration) -> Self {
        LineWriter { wait, ..LineWriter::new(stream) }
    }

    /// Closes the output, unless a line waits for the client to read. That one ends with the runtime.
    pub fn close(&self) {
        if let Ok(mut stream) = self.stream.try_lock() {
            drop(stream.take());
        }
    }

    /// Writes the answer to a message that rmcp does not get.
    pub async fn refuse(&self, refusal: &Refusal) -> io::Result<()> {
        self.send(serde_json::to_vec(refusal)?).await
    }

    /// Writes a line. Lines that are sent at once are written one after the other.
    pub async fn send(&self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let mut stream = self.stream.lock().await;
        let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut rest = &line[..];
        while !rest.is_empty() {
            self.note_waits(true);
            let written = tokio::select! {
                biased;
                written = stream.write(rest) => written?,
                () = self.is_given_up() => return Err(io::ErrorKind::TimedOut.into()),
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
        }
        self.note_waits(false);
        stream.flush().await
    }

    fn note_waits(&self, waits: bool) {
        let since = waits.then(Instant::now);
        self.progress.send_if_modified(|progress| {
            let before = std::mem::replace(&mut progress.waits_since, since);
            // Who waits for a time looks again at its end.
            before.is_none() && waits && progress.input_ended.is_some()
        });
    }

    /// Notes that the client has ended its input. From now on it is given up if it does not read.
    pub fn note_input_ended(&self) {
        self.progress.send_if_modified(|progress| {
            let is_new = progress.input_ended.is_none();
            progress.input_ended.get_or_insert_with(Instant::now);
            is_new
        });
    }

    async fn is_given_up(&self) {
        // Its sender is in `self`, so that the wait ends with the value, never with an error.
        drop(self.progress.subscribe().wait_for(|progress| progress.given_up).await);
    }

    /// Waits until the client has read nothing for [`UNREAD_WAIT`] after the end of its input, and gives it up: lines
    /// that wait for it fail. Never ends if it reads.
    pub async fn is_unread(&self) {
        let mut progress = self.progress.subscribe();
        loop {
            let Progress { input_ended, waits_since, given_up } = *progress.borrow_and_update();
            if given_up {
                return;
            }
            let last = input_ended.zip(waits_since).map(|(ended, since)| ended.max(since));
            match last.map(|last| last + self.wait) {
                Some(until) if until <= Instant::now() => {
                    tracing::warn!("the client did not read its last answers");
                    self.progress.send_modify(|progress| progress.given_up = true);
                }
                Some(until) => {
                    // Its sender is in `self`.
                    tokio::select! { () = sleep_until(until) => {}, changed = progress.changed() => drop(changed) }
                }
                None => drop(progress.changed().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn closing_does_not_wait_for_a_client_that_does_not_read() {
        let (_client, server) = tokio::io::duplex(8);
        let output = std::sync::Arc::new(LineWriter::new(server));
        let writer = output.clone();
        let writing = tokio::spawn(async move { writer.send(vec![b'a'; 100]).await });
        while output.stream.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        output.close();
        assert!(!writing.is_finished());
    }

    #[tokio::test]
    async fn only_a_client_that_does_not_read_is_given_up_and_only_at_its_end() {
        let (mut client, server) = tokio::io::duplex(8);
        let output = LineWriter::with_wait(server, SOON);
        let waits = |time| tokio::time::timeout(time, output.is_unread());
        output.note_input_ended();
        assert!(waits(5 * SOON).await.is_err(), "nothing waits to be read");
        output.send(b"short".to_vec()).await.unwrap();
        assert!(waits(5 * SOON).await.is_err(), "it was written");
        let (sent, ()) = tokio::join!(output.send(vec![b'a'; 100]), output.is_unread());
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        client.read_u8().await.unwrap();
        let (_client, server) = tokio::io::duplex(8);
        let output = LineWriter::with_wait(server, SOON);
        let long = async { tokio::join!(output.send(vec![b'a'; 100]), output.is_unread()) };
        assert!(tokio::time::timeout(5 * SOON, long).await.is_err(), "its input goes on");
    }
}
