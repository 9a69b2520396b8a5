//! Messages on lines: one client on a pair of streams.
//!
//! A task reads the lines, answers what rmcp could not read, and hands on the rest. One message at most waits for
//! rmcp: if it does not keep up, no more is read. Invariants: a line that cannot be read ends nothing; no line takes
//! more memory than [`MESSAGE_BYTES_MAX`]; lines of the output are never mixed.

use super::message::{Checked, MESSAGE_BYTES_MAX, Refusal, check, too_long};
use super::session::Session;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetExtensions, GetMeta, ProtocolVersion,
    ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of the end of a line that is too long, in which its id is looked for.
const END_BYTES: usize = 256;

/// Where answers go; `None` once it is closed.
type Output<W> = Arc<Mutex<Option<W>>>;

/// The messages of one client.
pub(super) struct Lines<W> {
    messages: Receiver<ClientJsonRpcMessage>,
    output: Output<W>,
    session: Arc<Session>,
}

impl<W: AsyncWrite + Send + Unpin + 'static> Lines<W> {
    /// Starts to read. The session is told when rmcp has got the last message: its loop waits for calls that are
    /// running, and a client that listens has one that runs until the session ends it.
    pub fn new<R>(input: R, output: W, session: Arc<Session>) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let output = Arc::new(Mutex::new(Some(output)));
        let (sender, messages) = channel(1);
        let reader = LineReader { input: BufReader::new(input), line: Vec::new(), end: Vec::new() };
        let intake = Intake { sender, output: output.clone(), started: false, batches: false };
        drop(tokio::spawn(intake.run(reader)));
        Lines { messages, output, session }
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> Transport<RoleServer> for Lines<W> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        send(self.output.clone(), message)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        let message = self.messages.recv().await;
        if message.is_none() {
            self.session.end();
        }
        message
    }

    async fn close(&mut self) -> io::Result<()> {
        drop(self.output.lock().await.take());
        Ok(())
    }
}

async fn send<W>(output: Output<W>, message: impl Serialize) -> io::Result<()>
where
    W: AsyncWrite + Send + Unpin + 'static,
{
    let mut line = serde_json::to_vec(&message)?;
    line.push(b'\n');
    let mut output = output.lock().await;
    let output = output.as_mut().ok_or(io::ErrorKind::NotConnected)?;
    output.write_all(&line).await?;
    output.flush().await
}

/// Why no more is read: the client or the server is gone.
struct Gone;

/// Decides about each line.
struct Intake<W> {
    sender: Sender<ClientJsonRpcMessage>,
    output: Output<W>,
    /// True once a request has opened the session. A notice or a response before that would end the server.
    started: bool,
    /// True if the session's era has batches.
    batches: bool,
}

impl<W: AsyncWrite + Send + Unpin + 'static> Intake<W> {
    async fn run<R: AsyncRead + Unpin>(mut self, mut lines: LineReader<R>) {
        loop {
            let taken = match lines.next().await {
                Ok(Some(Line::Whole(line))) => self.take(line).await,
                Ok(Some(Line::TooLong { start, end })) => self.answer(too_long(start, end)).await,
                Ok(None) => return,
                Err(error) => {
                    tracing::error!("cannot read from the client: {error}");
                    return;
                }
            };
            if taken.is_err() {
                return;
            }
        }
    }

    async fn take(&mut self, line: &mut [u8]) -> Result<(), Gone> {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        match check(line, self.batches) {
            Checked::Batch(messages) => {
                for mut message in messages {
                    // Batches are not nested, so that this one does not wait for itself.
                    let checked = check(&mut message, false);
                    self.pass(checked).await?;
                }
                Ok(())
            }
            checked => self.pass(checked).await,
        }
    }

    /// Hands the message on, or answers it.
    async fn pass(&mut self, checked: Checked) -> Result<(), Gone> {
        match checked {
            Checked::Readable(mut message, replaced) => {
                if let ClientJsonRpcMessage::Request(request) = &mut *message {
                    request.request.extensions_mut().insert(replaced);
                    self.started |= opens_session(&request.request);
                    if let ClientRequest::InitializeRequest(it) = &request.request {
                        self.batches = it.params.protocol_version == ProtocolVersion::V_2025_03_26;
                    }
                }
                match self.started || matches!(*message, ClientJsonRpcMessage::Request(_)) {
                    true => self.sender.send(*message).await.map_err(|_| Gone),
                    false => Ok(()),
                }
            }
            Checked::Answered(errors) => {
                for error in errors {
                    self.answer(error).await?;
                }
                Ok(())
            }
            Checked::Batch(_) => Ok(()),
        }
    }

    async fn answer(&self, error: Refusal) -> Result<(), Gone> {
        let sent = send(self.output.clone(), error).await;
        // rmcp notices by itself that nobody reads.
        sent.map_err(|_| Gone)
    }
}

/// Returns true if rmcp takes this for the beginning of a session: of one era an `initialize`, of the other a request
/// that says who asks, and is no question about the server.
fn opens_session(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        request => {
            let meta = request.get_meta();
            let is_known = |version| ProtocolVersion::KNOWN_VERSIONS.contains(&version);
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && meta.protocol_version().is_some_and(is_known)
        }
    }
}

/// A line of the input, without its end.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Whole(&'a mut [u8]),
    /// The parts of it that are known; it was skipped.
    TooLong {
        start: &'a [u8],
        end: &'a [u8],
    },
}

struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    end: Vec<u8>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    /// Reads the next line; `None` at the end of the input. The last line may lack its end.
    ///
    /// # Errors
    /// The input's.
    async fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        self.end.clear();
        let (mut any, mut too_long) = (false, false);
        loop {
            let bytes = self.input.fill_buf().await?;
            let end = memchr::memchr(b'\n', bytes);
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            any |= !bytes.is_empty();
            if !too_long && self.line.len() + part.len() > MESSAGE_BYTES_MAX {
                too_long = true;
                keep_end(&mut self.end, &self.line);
            }
            match too_long {
                false => self.line.extend_from_slice(part),
                true => keep_end(&mut self.end, part),
            }
            let read = part.len() + usize::from(end.is_some());
            self.input.consume(read);
            if end.is_some() || read == 0 {
                break;
            }
        }
        Ok(match too_long {
            true => Some(Line::TooLong { start: &self.line, end: &self.end }),
            false => any.then(|| Line::Whole(&mut self.line)),
        })
    }
}

/// Adds bytes, and keeps the last [`END_BYTES`] of them.
fn keep_end(end: &mut Vec<u8>, bytes: &[u8]) {
    end.extend_from_slice(bytes.get(bytes.len().saturating_sub(END_BYTES)..).unwrap_or_default());
    drop(end.drain(..end.len().saturating_sub(END_BYTES)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_with_a_newline_or_the_input() {
        let input = &b"one\n\ntwo"[..];
        let mut lines =
            LineReader { input: BufReader::with_capacity(2, input), line: vec![], end: vec![] };
        for expected in ["one", "", "two"] {
            let Some(Line::Whole(line)) = lines.next().await.unwrap() else { panic!("no line") };
            assert_eq!(line, expected.as_bytes());
        }
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn too_long_lines_are_skipped_to_their_end() {
        let mut input = b"{\"id\":1,\"x\":\"".to_vec();
        input.resize(MESSAGE_BYTES_MAX + 100, b'a');
        input.extend_from_slice(b"\"}\nnext\n");
        let mut lines = LineReader { input: BufReader::new(&input[..]), line: vec![], end: vec![] };
        let Some(Line::TooLong { start, end }) = lines.next().await.unwrap() else {
            panic!("taken")
        };
        assert!(start.starts_with(b"{\"id\":1") && start.len() <= MESSAGE_BYTES_MAX);
        assert!(end.ends_with(b"aaa\"}") && end.len() == END_BYTES);
        let Some(Line::Whole(next)) = lines.next().await.unwrap() else { panic!("no line") };
        assert_eq!(next, b"next");
    }
}
