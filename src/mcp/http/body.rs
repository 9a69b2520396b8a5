//! The body of a `POST /mcp`: checked before rmcp gets it, so that what cannot be read is answered in words.
//!
//! An error that names the request is an answer like any other, with status 200. One that does not is status 400. Since
//! 2026-07-28, a method that there is not is status 404.

use super::answer::{HttpAnswer, text, with};
use crate::mcp::message::{Checked, MESSAGE_BYTES_MAX, Refusal, check, no_method};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Request, StatusCode};
use rmcp::model::{ErrorCode, ErrorData};
use serde::Deserialize;

/// The header with the version of the protocol, and the one version that has batches. Without the header it is that.
const VERSION: &str = "mcp-protocol-version";
const WITH_BATCHES: &str = "2025-03-26";
/// The first version in which a method that there is not has a status of its own.
const WITH_NOT_FOUND: &str = "2026-07-28";
/// The methods that this version has no more.
const OF_SESSIONS: [&str; 3] = ["initialize", "resources/subscribe", "resources/unsubscribe"];

/// A request that rmcp can read, or several, or the answer.
pub(super) enum Received {
    Message(Request<Full<Bytes>>),
    Batch(Vec<Request<Full<Bytes>>>),
    Answer(HttpAnswer),
}

/// Reads and checks the body of a request.
pub(super) async fn receive(request: Request<Incoming>) -> Received {
    let (head, body) = request.into_parts();
    let mut bytes: Vec<u8> = match Limited::new(body, MESSAGE_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes().into(),
        Err(error) => return Received::Answer(unread(error.is::<LengthLimitError>())),
    };
    match check(&mut bytes, has_batches(&head.headers)) {
        Checked::Batch(messages) => batch(&head, messages),
        checked => one(head, bytes, checked),
    }
}

fn has_batches(headers: &HeaderMap) -> bool {
    headers.get(VERSION).is_none_or(|version| version == WITH_BATCHES)
}

fn one(mut head: Parts, bytes: Vec<u8>, checked: Checked) -> Received {
    match checked {
        Checked::Readable(_, replaced) => {
            head.extensions.insert(replaced);
            Received::Message(Request::from_parts(head, Full::new(Bytes::from(bytes))))
        }
        Checked::Answered(errors) if has_not_found(&head.headers) => {
            Received::Answer(answer_of_new_era(errors, &bytes))
        }
        Checked::Answered(errors) => Received::Answer(answer(&errors)),
        Checked::Batch(_) => Received::Answer(answer(&[])),
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

/// Takes a batch apart. If one of its messages cannot be read, none is carried out.
fn batch(head: &Parts, messages: Vec<Vec<u8>>) -> Received {
    let mut requests = Vec::new();
    for mut bytes in messages {
        let checked = check(&mut bytes, false);
        match one(head.clone(), bytes, checked) {
            Received::Message(request) => requests.push(request),
            other => return other,
        }
    }
    Received::Batch(requests)
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
    let status = match errors.iter().all(|error| error.id.is_some()) {
        true => StatusCode::OK,
        false => StatusCode::BAD_REQUEST,
    };
    match body {
        Ok(body) => with(text(status, body), CONTENT_TYPE, "application/json"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The answer to a body that is too long, or that did not come to its end.
fn unread(is_too_long: bool) -> HttpAnswer {
    let (status, words) = match is_too_long {
        true => (
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the message is longer than {MESSAGE_BYTES_MAX} bytes: send less in one message"
            ),
        ),
        false => (StatusCode::BAD_REQUEST, "the message did not come to its end".to_owned()),
    };
    let mut refused = answer(&[Refusal::new(None, ErrorData::invalid_request(words, None))]);
    *refused.status_mut() = status;
    refused
}
