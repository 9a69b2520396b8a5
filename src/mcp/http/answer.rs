//! The answer to an HTTP request.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::convert::Infallible;

pub(super) type HttpAnswer = Response<UnsyncBoxBody<Bytes, Infallible>>;

pub(super) fn text(status: StatusCode, words: impl Into<Bytes>) -> HttpAnswer {
    let mut answer = Response::new(Full::new(words.into()).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

pub(super) fn with(mut answer: HttpAnswer, name: HeaderName, value: &'static str) -> HttpAnswer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}
