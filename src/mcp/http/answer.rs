//! The answer to an HTTP request.

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

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

/// Keeps something until the client has taken the answer, or is gone.
pub(super) fn keeping<B, K>(answer: Response<B>, kept: K) -> HttpAnswer
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    K: Send + Unpin + 'static,
{
    answer.map(|body| KeepingBody { body, _kept: kept }.boxed_unsync())
}

struct KeepingBody<B, K> {
    body: B,
    _kept: K,
}

impl<B: Body + Unpin, K: Unpin> Body for KeepingBody<B, K> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
