//! Messages on lines: one client on a pair of streams.
//!
//! A task reads the lines, answers what rmcp could not read, and hands on the rest. One message at most waits for
//! rmcp. A request keeps its share of the memory until its answer was written: a client that does not read its answers
//! is not read from either. Invariants: a line that cannot be read ends nothing; no line takes more memory than
//! [`MESSAGE_BYTES_MAX`]; lines of the output are never mixed; at the end of the input, every answer is still written.

use super::in_flight::{InFlight, Share, bytes_of};
use super::json_values::values_in;
use super::message::{Checked, MESSAGE_BYTES_MAX, Refusal, check, goes_on, in_use, too_long};
use super::request_ids::{RequestIds, answered_by};
use super::session::Session;
use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, GetExtensions, GetMeta, NumberOrString, ProtocolVersion,
    ServerJsonRpcMessage,
};
use rmcp::transport::Transport;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of the end of a line that is too long, in which its id is looked for.
const END_BYTES: usize = 256;
/// Bytes that the buffer of a line keeps for the next one.
const LINE_BYTES_KEPT: usize = 1 << 20;
/// Time after the end of the input in which the client has to read something of its answers.
const UNREAD_WAIT: Duration = Duration::from_secs(60);

/// A message, with the share of the memory that it takes if it is a request.
type Message = (ClientJsonRpcMessage, Option<Share>);

/// Where answers go.
struct Output<W> {
    /// `None` once it is closed.
    stream: Mutex<Option<W>>,
    /// Number of writes that went through.
    writes: AtomicU64,
}

/// A request whose answer was not written yet.
struct Unanswered {
    _share: Share,
    _end: Sender<()>,
}

/// The messages of one client.
pub(super) struct Lines<W> {
    messages: Receiver<Message>,
    output: Arc<Output<W>>,
    session: Arc<Session>,
    /// A call that goes on as long as its client listens keeps nothing.
    ids: RequestIds<Option<Unanswered>>,
    /// Until the end of the input, the sender that each unanswered request has a clone of.
    end: Option<Sender<()>>,
    /// Ends when no sender is left.
    ended: Receiver<()>,
}

impl<W: AsyncWrite + Send + Unpin + 'static> Lines<W> {
    /// Starts to read. The session is told when rmcp has got the last message: its loop waits for calls that are
    /// running, and a client that listens has one that runs until the session ends it.
    pub fn new<R>(input: R, output: W, session: Arc<Session>, in_flight: InFlight) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let stream = Mutex::new(Some(output));
        let output = Arc::new(Output { stream, writes: AtomicU64::new(0) });
        let (sender, messages) = channel(1);
        let (end, ended) = channel(1);
        let reader = LineReader { input: BufReader::new(input), line: Vec::new(), end: Vec::new() };
        let (started, batches) = (false, false);
        let intake = Intake { sender, output: output.clone(), in_flight, started, batches };
        drop(tokio::spawn(intake.run(reader)));
        let (ids, end) = (RequestIds::default(), Some(end));
        Lines { messages, output, session, ids, end, ended }
    }

    /// Notes what is to be answered, and what the client gives up.
    ///
    /// # Errors
    /// The id of a request, if it is taken.
    fn note(
        &mut self,
        message: &ClientJsonRpcMessage,
        share: Option<Share>,
    ) -> Result<(), NumberOrString> {
        self.ids.note_cancelled(message);
        let ClientJsonRpcMessage::Request(request) = message else { return Ok(()) };
        let unanswered = share.zip(self.end.clone());
        let unanswered = unanswered.map(|(_share, _end)| Unanswered { _share, _end });
        match self.ids.begin(&request.id, unanswered) {
            true => Ok(()),
            false => Err(request.id.clone()),
        }
    }

    /// Waits until all answers were written, as long as the client reads.
    async fn until_answered(&mut self) {
        self.end = None;
        let mut writes = None;
        while tokio::time::timeout(UNREAD_WAIT, self.ended.recv()).await.is_err() {
            let now = Some(self.output.writes.load(Ordering::Relaxed));
            if std::mem::replace(&mut writes, now) == now {
                tracing::warn!("the client did not read its last answers");
                return;
            }
        }
    }
}

impl<W: AsyncWrite + Send + Unpin + 'static> Transport<RoleServer> for Lines<W> {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let answered = answered_by(&message).and_then(|id| self.ids.end(id));
        // As text it takes less than as values, and it may wait for long.
        let (output, line) = (self.output.clone(), serde_json::to_vec(&message));
        async move {
            let sent = output.send(line?).await;
            drop(answered);
            sent
        }
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let received = tokio::select! {
                biased;
                () = self.session.is_over() => None,
                received = self.messages.recv() => received,
            };
            let Some((message, share)) = received else {
                self.session.end();
                self.until_answered().await;
                return None;
            };
            let Err(id) = self.note(&message, share) else { return Some(message) };
            if let Err(error) = self.output.refuse(&in_use(id)).await {
                // rmcp notices by itself that nobody reads.
                tracing::debug!(%error, "a refusal was not read");
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        // A write to a client that does not read has it, for ever. It ends with the runtime.
        if let Ok(mut stream) = self.output.stream.try_lock() {
            drop(stream.take());
        }
        Ok(())
    }
}

impl<W: AsyncWrite + Unpin> Output<W> {
    /// Writes the answer to a message that rmcp does not get.
    async fn refuse(&self, refusal: &Refusal) -> io::Result<()> {
        self.send(serde_json::to_vec(refusal)?).await
    }

    /// Writes a line. Lines that are sent at once are written one after the other.
    async fn send(&self, mut line: Vec<u8>) -> io::Result<()> {
        line.push(b'\n');
        let mut stream = self.stream.lock().await;
        let stream = stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let mut rest = &line[..];
        while !rest.is_empty() {
            let written = stream.write(rest).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.writes.fetch_add(1, Ordering::Relaxed);
            rest = rest.get(written..).unwrap_or_default();
        }
        stream.flush().await
    }
}

/// Why no more is read: the client or the server is gone.
struct Gone;

/// Decides about each line.
struct Intake<W> {
    sender: Sender<Message>,
    output: Arc<Output<W>>,
    in_flight: InFlight,
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
        let share = self.share_of(line).await;
        match check(line, self.batches) {
            Checked::Batch(messages) => {
                // Its messages take their own.
                drop(share);
                for mut message in messages {
                    let share = self.share_of(&message).await;
                    // Batches are not nested, so that this one does not wait for itself.
                    let checked = check(&mut message, false);
                    self.pass(checked, share).await?;
                }
                Ok(())
            }
            checked => self.pass(checked, share).await,
        }
    }

    async fn share_of(&self, message: &[u8]) -> Share {
        self.in_flight.take(bytes_of(message.len(), values_in(message))).await
    }

    /// Hands the message on, or answers it.
    async fn pass(&mut self, checked: Checked, share: Share) -> Result<(), Gone> {
        match checked {
            Checked::Readable(mut message, noticed) => {
                let share = (!goes_on(&message)).then_some(share);
                if let ClientJsonRpcMessage::Request(request) = &mut *message {
                    request.request.extensions_mut().insert(noticed);
                    if let Some(share) = &share {
                        request.request.extensions_mut().insert(share.clone());
                    }
                    self.started |= opens_session(&request.request);
                    if let ClientRequest::InitializeRequest(it) = &request.request {
                        self.batches = it.params.protocol_version == ProtocolVersion::V_2025_03_26;
                    }
                }
                match self.started || matches!(*message, ClientJsonRpcMessage::Request(_)) {
                    true => self.sender.send((*message, share)).await.map_err(|_| Gone),
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
        // rmcp notices by itself that nobody reads.
        self.output.refuse(&error).await.map_err(|_| Gone)
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
        self.line.shrink_to(LINE_BYTES_KEPT);
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

    #[tokio::test]
    async fn id_of_a_cancelled_or_listening_request_stays_taken() {
        const INPUT: &[u8] = br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"a","version":"1"}}}
{"jsonrpc":"2.0","id":7,"method":"ping"}
{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}
{"jsonrpc":"2.0","id":7,"method":"ping"}
{"jsonrpc":"2.0","id":8,"method":"subscriptions/listen","params":{"notifications":{}}}
{"jsonrpc":"2.0","id":8,"method":"ping"}
{"jsonrpc":"2.0","id":9,"method":"ping"}
"#;
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let mut lines = Lines::new(INPUT, server, Arc::default(), InFlight::new());
        let mut ids = Vec::new();
        while ids.last() != Some(&NumberOrString::Number(9)) {
            let message = lines.receive().await.unwrap();
            if let ClientJsonRpcMessage::Request(request) = message {
                ids.push(request.id);
            }
        }
        assert_eq!(ids, [0, 7, 8, 9].map(NumberOrString::Number));
        lines.close().await.unwrap();
        let mut said = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut client, &mut said).await.unwrap();
        let refused: Vec<serde_json::Value> =
            said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(refused.len(), 2, "{said}");
        for (refusal, id) in refused.iter().zip([7, 8]) {
            assert_eq!((&refusal["id"], &refusal["error"]["code"]), (&id.into(), &(-32600).into()));
        }
    }

    #[tokio::test]
    async fn closing_does_not_wait_for_a_client_that_does_not_read() {
        let (_client, server) = tokio::io::duplex(8);
        let mut lines = Lines::new(&b""[..], server, Arc::default(), InFlight::new());
        let output = lines.output.clone();
        let writing = tokio::spawn(async move { output.send(vec![b'a'; 100]).await });
        while lines.output.stream.try_lock().is_ok() {
            tokio::task::yield_now().await;
        }
        lines.close().await.unwrap();
        assert!(!writing.is_finished());
    }
}
