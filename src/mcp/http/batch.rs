//! The answer to a batch of version 2025-03-26: one stream of events with the answer to each of its messages.
//!
//! Invariant: each message with an id gets an answer, whatever becomes of the others.

use super::answer::{HttpAnswer, text};
use super::body::errors_of_batch;
use crate::mcp::message::{MESSAGE_BYTES_MAX, Refusal};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use rmcp::model::{ErrorData, NumberOrString};

/// The answers to the messages of a batch so far.
#[derive(Default)]
pub(super) struct BatchAnswer {
    events: Vec<u8>,
    errors: Vec<Refusal>,
    /// The head of an answer with events, or else of one to a notice.
    head: Option<Parts>,
    /// The answer to the whole batch, if none of its messages can be taken, for example because its session has ended.
    refused: Option<HttpAnswer>,
}

impl BatchAnswer {
    /// Returns true if no more messages are to be carried out, because their answers would be too long together.
    pub fn is_full(&self) -> bool {
        self.events.len() > MESSAGE_BYTES_MAX
    }

    /// Returns true if no message was taken, and none can be.
    pub fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Adds the answer to a message that is not carried out because [`BatchAnswer::is_full`].
    pub fn leave_out(&mut self, id: Option<NumberOrString>) {
        const WORDS: &str = "not carried out: the answers to this batch are too long for one answer. Send each message alone";
        if id.is_some() {
            self.add_errors(vec![Refusal::new(id, ErrorData::internal_error(WORDS, None))]);
        }
    }

    /// Adds errors, in the place of messages that nothing can read.
    pub fn add_errors(&mut self, errors: Vec<Refusal>) {
        for error in errors {
            // A refusal is of strings and numbers, so that it always becomes JSON.
            let json = serde_json::to_string(&error).unwrap_or_default();
            self.events.extend_from_slice(format!("data: {json}\n\n").as_bytes());
            self.errors.push(error);
        }
    }

    /// Adds the answer to the request with this id, or to a notice.
    pub async fn add(&mut self, id: Option<NumberOrString>, answer: HttpAnswer) {
        let (head, body) = answer.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        match head.status {
            StatusCode::OK => {
                self.events.extend_from_slice(&body);
                self.head = Some(head);
            }
            StatusCode::ACCEPTED => {
                self.head.get_or_insert(head);
            }
            _ if self.head.is_none() => {
                self.refused = Some(Response::from_parts(head, Full::new(body).boxed_unsync()));
            }
            status if id.is_some() => {
                let words = format!("{status}: {}", String::from_utf8_lossy(&body).trim_end());
                self.add_errors(vec![Refusal::new(id, ErrorData::invalid_request(words, None))]);
            }
            _ => {}
        }
    }

    /// Returns the answer to the batch.
    pub fn finish(self) -> HttpAnswer {
        match (self.refused, self.head) {
            (Some(answer), _) => answer,
            (None, Some(head)) if head.status == StatusCode::OK => {
                Response::from_parts(head, Full::new(Bytes::from(self.events)).boxed_unsync())
            }
            (None, Some(head)) if self.errors.is_empty() => {
                Response::from_parts(head, Full::default().boxed_unsync())
            }
            (None, None) if self.errors.is_empty() => text(
                StatusCode::BAD_REQUEST,
                "no message of the batch can be read, and none has an id to answer\n",
            ),
            (None, _) => errors_of_batch(&self.errors),
        }
    }
}
