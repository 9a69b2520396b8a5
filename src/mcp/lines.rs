//! Messages on lines: one client on a pair of streams.
//!
//! A task reads the lines, answers what rmcp could not read, and hands on the rest. One message at most waits for
//! rmcp. A request keeps its share of the memory until its answer was written: a client that does not read its answers
//! is not read from either, but for a little ahead. Invariants: a line that cannot be read ends nothing; at the end of the
//! input, every answer is still written, unless the client does not read.

use super::in_flight::{InFlight, Share, bytes_of};
use super::json_values::values_in;
use super::line_reader::{Line, LineReader};
use super::line_writer::LineWriter;
use super::message::{Checked, Refusal, check, goes_on, in_use, too_long};
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// A message, with the share of the memory that it takes if it is a request.
type Message = (ClientJsonRpcMessage, Option<Share>);

/// A request whose answer was not written yet.
struct Unanswered {
    _share: Share,
    _end: Sender<()>,
}

/// The messages of one client.
pub(super) struct Lines<W> {
    messages: Receiver<Message>,
    output: Arc<LineWriter<W>>,
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
        Lines::to(input, LineWriter::new(output), session, in_flight)
    }

    fn to<R>(input: R, output: LineWriter<W>, session: Arc<Session>, in_flight: InFlight) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
    {
        let output = Arc::new(output);
        let (sender, messages) = channel(1);
        let (end, ended) = channel(1);
        let (started, batches) = (false, false);
        let intake = Intake { sender, output: output.clone(), in_flight, started, batches };
        drop(tokio::spawn(intake.run(LineReader::new(input))));
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

    /// Waits until all answers were written, as long as the client reads. A call that still runs is waited for.
    async fn until_answered(&mut self) {
        self.end = None;
        self.output.note_input_ended();
        tokio::select! {
            _ = self.ended.recv() => {}
            () = self.output.is_unread() => {}
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
                // Messages that came before the end of the input wait for answers that the client does not read.
                () = self.output.is_unread() => None,
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
        self.output.close();
        Ok(())
    }
}

/// Why no more is read: the client or the server is gone.
struct Gone;

/// Decides about each line.
struct Intake<W> {
    sender: Sender<Message>,
    output: Arc<LineWriter<W>>,
    in_flight: InFlight,
    /// True once a request has opened the session. A notice or a response before that would end the server.
    started: bool,
    /// True if the session's era has batches.
    batches: bool,
}

impl<W: AsyncWrite + Send + Unpin + 'static> Intake<W> {
    async fn run<R: AsyncRead + Unpin>(mut self, mut lines: LineReader<R>) {
        let output = self.output.clone();
        loop {
            let line = match lines.next().await {
                Ok(Some(line)) => line,
                Ok(None) => return output.note_input_ended(),
                Err(error) => {
                    tracing::error!("cannot read from the client: {error}");
                    return output.note_input_ended();
                }
            };
            let taken = lines.ahead_of(self.line(line), || output.note_input_ended()).await;
            if taken.is_err() {
                return;
            }
        }
    }

    async fn line(&mut self, line: Line) -> Result<(), Gone> {
        match line {
            Line::Whole(mut line) => self.take(&mut line).await,
            Line::TooLong { start, end } => self.answer(too_long(&start, &end)).await,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
    async fn unread_requests_do_not_hide_the_end_of_the_input() {
        const WAIT: Duration = Duration::from_millis(20);
        let ping = |n: usize| format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"ping"}}"#) + "\n";
        let input: String = (0..200).map(ping).collect();
        let (_client, server) = tokio::io::duplex(8);
        let output = LineWriter::with_wait(server, WAIT);
        let input = std::io::Cursor::new(input);
        let mut lines = Lines::to(input, output, Arc::default(), InFlight::new());
        let (mut taken, mut answers) = (0, Vec::new());
        while let Some(message) = lines.receive().await {
            let ClientJsonRpcMessage::Request(request) = message else { continue };
            let answer =
                serde_json::json!({"jsonrpc": "2.0", "id": request.id, "result": {"tools": []}});
            answers.push(tokio::spawn(lines.send(serde_json::from_value(answer).unwrap())));
            taken += 1;
        }
        // Each holds its share of the memory, so that not all are begun.
        assert!(taken < 200, "{taken}");
        for answer in answers {
            assert_eq!(answer.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }
}
