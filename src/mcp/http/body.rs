//! The body of a `POST /mcp`: checked before rmcp gets it, so that what cannot be read is answered in words.
//!
//! Invariants: a body that comes slowly, or not to its end, is given up; all large bodies together take a bounded number of
//! bytes, and a message is parsed only when it has its share of the memory of all requests.
//!
//! An error that names the request is an answer like any other, with status 200. One that does not is status 400. Since
//! 2026-07-28, a method that there is not is status 404.

use super::answer::{HttpAnswer, text, with};
use super::connections::{Doing, Progress};
use crate::mcp::in_flight::{InFlight, Share, bytes_of};
use crate::mcp::json_values::values_in;
use crate::mcp::message::{Checked, MESSAGE_BYTES_MAX, Refusal, check, goes_on, no_method};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use rmcp::model::{ClientJsonRpcMessage, ErrorCode, ErrorData, NumberOrString};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The header with the version of the protocol, and the one version that has batches. Without the header it is that.
const VERSION: &str = "mcp-protocol-version";
const WITH_BATCHES: &str = "2025-03-26";
/// The first version in which a method that there is not has a status of its own.
const WITH_NOT_FOUND: &str = "2026-07-28";
/// The methods that this version has no more.
const OF_SESSIONS: [&str; 3] = ["initialize", "resources/subscribe", "resources/unsubscribe"];

/// Time in which a body has to arrive.
const BODY_WAIT: Duration = Duration::from_secs(60);
/// Bytes of a body that every request may have. Larger ones need one of [`LARGE_BODIES`] places.
const SMALL_BYTES: usize = 64 << 10;
/// Most bodies at once that are larger.
const LARGE_BODIES: usize = 8;
/// Most streams of notices at once, of all clients.
const STREAMS_MAX: usize = 256;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A part of the memory, or the place of a stream. A request holds it until its client has taken the answer.
pub(super) struct Place {
    _share: Option<Share>,
    _stream: Option<OwnedSemaphorePermit>,
}

/// A request that rmcp can read, or several, or the answer.
pub(super) enum Received {
    Message(Request<Full<Bytes>>, Place),
    Batch(Vec<OfBatch>, Place),
    Answer(HttpAnswer),
}

/// A message of a batch.
pub(super) enum OfBatch {
    /// A request with its id, or a message without one.
    Readable(Option<NumberOrString>, Box<Request<Full<Bytes>>>),
    /// The errors to answer with.
    Refused(Vec<Refusal>),
}

/// Why a body was not read.
enum Unread {
    TooLong,
    TooSlow,
    Broken,
}

/// Receives bodies, of all connections together.
pub(super) struct Bodies {
    large: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    in_flight: InFlight,
    /// [`BODY_WAIT`], shorter in tests.
    wait: Duration,
}

impl Bodies {
    pub fn new(in_flight: InFlight) -> Self {
        let large = Arc::new(Semaphore::new(LARGE_BODIES));
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Bodies { large, streams, in_flight, wait: BODY_WAIT }
    }

    /// Returns the place of a stream of notices; an answer if there is none.
    pub fn stream(&self) -> Result<Place, Box<HttpAnswer>> {
        let words = format!(
            "all {STREAMS_MAX} streams of notices are taken: end one, or come back later\n"
        );
        match self.streams.clone().try_acquire_owned() {
            Ok(permit) => Ok(Place { _share: None, _stream: Some(permit) }),
            Err(_) => Err(Box::new(text(StatusCode::SERVICE_UNAVAILABLE, words))),
        }
    }

    /// Reads and checks the body of a request.
    pub async fn receive<B>(&self, request: Request<B>) -> Received
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let (mut head, body) = request.into_parts();
        let progress = head.extensions.remove::<Progress>();
        let read = tokio::time::timeout(self.wait, self.read(body)).await;
        let (mut bytes, place) = match read.unwrap_or(Err(Unread::TooSlow)) {
            Ok(read) => read,
            Err(why) => return Received::Answer(unread(&why)),
        };
        // From here on the client waits for the server.
        progress.iter().for_each(|progress| progress.note(Doing::Busy));
        let share = self.in_flight.take(bytes_of(bytes.len(), values_in(&bytes))).await;
        drop(place);
        head.extensions.insert(share.clone());
        let place = Place { _share: Some(share), _stream: None };
        match check(&mut bytes, has_batches(&head.headers)) {
            Checked::Batch(messages) => batch(&head, messages, place),
            Checked::Readable(message, _) if goes_on(&message) => {
                head.extensions.remove::<Share>();
                match self.stream() {
                    Ok(place) => Received::Message(Request::from_parts(head, bytes.into()), place),
                    Err(answer) => Received::Answer(*answer),
                }
            }
            checked => match one(head, bytes, checked) {
                Ok(request) => Received::Message(request, place),
                Err(answer) => Received::Answer(*answer),
            },
        }
    }

    /// Reads a body, and its place if it is a large one.
    async fn read<B>(&self, body: B) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Unread>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let (mut body, mut bytes, mut place) =
            (Limited::new(body, MESSAGE_BYTES_MAX), Vec::new(), None);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
                true => Unread::TooLong,
                false => Unread::Broken,
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if place.is_none() && bytes.len() + data.len() > SMALL_BYTES {
                // It is never closed.
                place = self.large.clone().acquire_owned().await.ok();
            }
            bytes.extend_from_slice(&data);
        }
        Ok((bytes, place))
    }
}

fn has_batches(headers: &HeaderMap) -> bool {
    headers.get(VERSION).is_none_or(|version| version == WITH_BATCHES)
}

/// Returns the request for rmcp, or the answer.
fn one(
    mut head: Parts,
    bytes: Vec<u8>,
    checked: Checked,
) -> Result<Request<Full<Bytes>>, Box<HttpAnswer>> {
    match checked {
        Checked::Readable(_, noticed) => {
            head.extensions.insert(noticed);
            Ok(Request::from_parts(head, bytes.into()))
        }
        Checked::Answered(errors) if has_not_found(&head.headers) => {
            Err(Box::new(answer_of_new_era(errors, &bytes)))
        }
        Checked::Answered(errors) => Err(Box::new(answer(&errors))),
        Checked::Batch(_) => Err(Box::new(answer(&[]))),
    }
}

fn has_not_found(headers: &HeaderMap) -> bool {
    // Versions are dates, which compare as texts.
    headers.get(VERSION).is_some_and(|version| version.as_bytes() >= WITH_NOT_FOUND.as_bytes())
}

/// Errors as an answer since 2026-07-28. Whatever its params are, a method of sessions is one that there is not.
fn answer_of_new_era(errors: Vec<Refusal>, message: &[u8]) -> HttpAnswer {
    #[derive(Deserialize)]
    struct Named {
        method: String,
    }
    let [Refusal { id, error }] = errors.as_slice() else { return answer(&errors) };
    let gone = serde_json::from_slice::<Named>(message)
        .ok()
        .filter(|named| OF_SESSIONS.contains(&named.method.as_str()))
        .map(|named| no_method(&named.method));
    let error = gone.unwrap_or_else(|| error.clone());
    let is_unknown = error.code == ErrorCode::METHOD_NOT_FOUND;
    let mut answer = answer(&[Refusal::new(id.clone(), error)]);
    if is_unknown {
        *answer.status_mut() = StatusCode::NOT_FOUND;
    }
    answer
}

/// Checks the messages of a batch. One that cannot be read keeps no other from being carried out.
fn batch(head: &Parts, messages: Vec<Vec<u8>>, place: Place) -> Received {
    let messages = messages.into_iter().map(|mut bytes| match check(&mut bytes, false) {
        Checked::Readable(message, noticed) => {
            let id = id_of(&message);
            if goes_on(&message) {
                let words = "a call that goes on cannot be part of a batch: send it alone";
                return OfBatch::Refused(vec![Refusal::new(
                    id,
                    ErrorData::invalid_request(words, None),
                )]);
            }
            let mut head = head.clone();
            head.extensions.insert(noticed);
            OfBatch::Readable(id, Box::new(Request::from_parts(head, bytes.into())))
        }
        Checked::Answered(errors) => OfBatch::Refused(errors),
        Checked::Batch(_) => OfBatch::Refused(Vec::new()),
    });
    Received::Batch(messages.collect(), place)
}

fn id_of(message: &ClientJsonRpcMessage) -> Option<NumberOrString> {
    match message {
        ClientJsonRpcMessage::Request(request) => Some(request.id.clone()),
        _ => None,
    }
}

/// Errors as the answer to a batch.
pub(super) fn errors_of_batch(errors: &[Refusal]) -> HttpAnswer {
    in_json(errors, serde_json::to_string(errors))
}

/// Errors as the body of an answer: one alone, several as a batch.
fn answer(errors: &[Refusal]) -> HttpAnswer {
    let body = match errors {
        [] => {
            return text(
                StatusCode::BAD_REQUEST,
                "the message cannot be read, and has no id to answer\n",
            );
        }
        [error] => serde_json::to_string(error),
        errors => serde_json::to_string(errors),
    };
    in_json(errors, body)
}

fn in_json(errors: &[Refusal], body: serde_json::Result<String>) -> HttpAnswer {
    let status = match errors.iter().all(|error| error.id.is_some()) {
        true => StatusCode::OK,
        false => StatusCode::BAD_REQUEST,
    };
    match body {
        Ok(body) => with(text(status, body), CONTENT_TYPE, "application/json"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The answer to a body that was not read.
fn unread(why: &Unread) -> HttpAnswer {
    let (status, words) = match why {
        Unread::TooLong => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the message is longer than {MESSAGE_BYTES_MAX} bytes: send less in one message"
            ),
        ),
        Unread::TooSlow => (
            StatusCode::REQUEST_TIMEOUT,
            format!("the message did not come within {} s", BODY_WAIT.as_secs()),
        ),
        Unread::Broken => {
            (StatusCode::BAD_REQUEST, "the message did not come to its end".to_owned())
        }
    };
    let mut refused = answer(&[Refusal::new(None, ErrorData::invalid_request(words, None))]);
    *refused.status_mut() = status;
    refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    const SOON: Duration = Duration::from_millis(20);

    /// A body of these parts that does not end.
    struct Endless(VecDeque<Bytes>);

    impl Body for Endless {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop_front() {
                Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
                None => Poll::Pending,
            }
        }
    }

    fn status(received: &Received) -> u16 {
        match received {
            Received::Answer(answer) => answer.status().as_u16(),
            _ => 0,
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_end_is_given_up() {
        let bodies = Bodies { wait: SOON, ..Bodies::new(InFlight::new()) };
        let body = Endless(VecDeque::from([Bytes::from_static(b"{")]));
        assert_eq!(status(&bodies.receive(Request::new(body)).await), 408);
    }

    #[tokio::test]
    async fn large_bodies_wait_for_one_another() {
        let bodies = Bodies { wait: SOON, ..Bodies::new(InFlight::new()) };
        let places = bodies.large.clone().acquire_many_owned(LARGE_BODIES as u32).await;
        let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let large = || Full::new(Bytes::from([&b" ".repeat(SMALL_BYTES)[..], ping].concat()));
        assert_eq!(status(&bodies.receive(Request::new(large())).await), 408);
        drop(places);
        let bodies = Bodies { wait: BODY_WAIT, ..bodies };
        assert!(matches!(bodies.receive(Request::new(large())).await, Received::Message(..)));
        assert_eq!(bodies.large.available_permits(), LARGE_BODIES);
    }

    #[tokio::test]
    async fn a_request_holds_its_share_until_its_answer_was_taken() {
        let in_flight = InFlight::new();
        let bodies = Bodies::new(in_flight.clone());
        let ping = Full::new(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#));
        let received = bodies.receive(Request::new(ping)).await;
        let Received::Message(request, place) = received else { panic!("not handed on") };
        drop(request);
        assert!(!in_flight.is_unused());
        drop(place);
        assert!(in_flight.is_unused());
    }
}
