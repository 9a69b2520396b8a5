//! One HTTP request: whether the guard lets it in, and which part of the server answers it.
//!
//! Invariant: the guard decides before anything else of a request is read.

use super::answer::{HttpAnswer, keeping, text, with};
use super::batch::BatchAnswer;
use super::body::{Bodies, OfBatch, Received};
use super::guard::{Guard, Refusal};
use super::health::{health, locks};
use super::sessions::{BoundedSessions, noting_what_is_gone};
use crate::mcp::message::MESSAGE_BYTES_MAX;
use crate::mcp::server::Server;
use crate::palace::Palace;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Answers the requests of all connections.
pub(super) struct RequestHandler {
    palace: Palace,
    server: Server,
    guard: Guard,
    bodies: Bodies,
    mcp: StreamableHttpService<Server, BoundedSessions>,
}

impl RequestHandler {
    pub fn new(palace: Palace, server: Server, guard: Guard) -> Self {
        // The guard has looked at the host and the origin of every request, not only of those for this service.
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(MESSAGE_BYTES_MAX)
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let clients = server.clone();
        let factory = move || Ok(clients.for_another_client());
        let sessions = Arc::new(BoundedSessions::new());
        let mcp = StreamableHttpService::new(factory, sessions, config);
        let bodies = Bodies::new(server.in_flight.clone());
        RequestHandler { palace, server, guard, bodies, mcp }
    }

    pub async fn answer(&self, request: Request<Incoming>) -> HttpAnswer {
        if let Err(refusal) = self.guard.check(request.headers()) {
            return refused(refusal);
        }
        match (request.uri().path(), request.method()) {
            ("/mcp", &Method::GET) => self.notices(request).await,
            ("/mcp", &Method::POST) => self.message(request).await,
            ("/mcp", _) => self.mcp.handle(request).await.map(BodyExt::boxed_unsync),
            ("/health", &Method::GET) => self.status(health).await,
            ("/health/locks", &Method::GET) => self.status(locks).await,
            ("/health" | "/health/locks", _) => {
                let answer = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n");
                with(answer, ALLOW, "GET")
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "not found: the paths are /mcp, /health and /health/locks\n",
            ),
        }
    }

    /// Answers with a stream of notices.
    async fn notices(&self, request: Request<Incoming>) -> HttpAnswer {
        match self.bodies.stream() {
            Ok(place) => {
                let (answer, is_gone) = noting_what_is_gone(self.mcp.handle(request)).await;
                if is_gone {
                    return gone();
                }
                let answer = with_reason(answer.map(BodyExt::boxed_unsync));
                self.until_the_server_stops(keeping(answer, place))
            }
            Err(answer) => *answer,
        }
    }

    /// Answers a message, or those of a batch.
    async fn message(&self, request: Request<Incoming>) -> HttpAnswer {
        match self.bodies.receive(request).await {
            Received::Message(request, place) => {
                keeping(with_reason(self.handle(request).await), place)
            }
            Received::Batch(messages, place) => {
                keeping(with_reason(self.batch(messages).await), place)
            }
            Received::Answer(answer) => answer,
        }
    }

    async fn handle(&self, request: Request<Full<Bytes>>) -> HttpAnswer {
        self.mcp.handle(request).await.map(BodyExt::boxed_unsync)
    }

    /// Answers the messages of a batch one after the other.
    async fn batch(&self, messages: Vec<OfBatch>) -> HttpAnswer {
        let mut answers = BatchAnswer::default();
        for message in messages {
            match message {
                OfBatch::Refused(errors) => answers.add_errors(errors),
                OfBatch::Readable(id, _) if answers.is_full() => answers.leave_out(id),
                OfBatch::Readable(id, request) => {
                    answers.add(id, self.handle(*request).await).await
                }
            }
            if answers.is_refused() {
                break;
            }
        }
        answers.finish()
    }

    /// Ends a stream of notices with the server. It would go on as long as the client listens.
    fn until_the_server_stops<B>(&self, answer: Response<B>) -> HttpAnswer
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let server = self.server.clone();
        let stop = Box::pin(async move { server.is_stopping().await });
        answer.map(|body| StoppableBody { body, stop }.boxed_unsync())
    }

    async fn status(&self, what: fn(&Palace) -> Result<String, String>) -> HttpAnswer {
        let palace = self.palace.clone();
        let found = self.server.threads.run(move || what(&palace)).await;
        let found = found.unwrap_or_else(|error| Err(error.to_string()));
        let answer = match found {
            Ok(json) => text(StatusCode::OK, json),
            Err(error) => {
                let json = serde_json::json!({"status": "error", "error": error}).to_string();
                text(StatusCode::SERVICE_UNAVAILABLE, json)
            }
        };
        with(with(answer, CONTENT_TYPE, "application/json"), CACHE_CONTROL, "no-store")
    }
}

/// Adds to rmcp's answer for a session that there is not why that may be, and what to do.
fn with_reason(answer: HttpAnswer) -> HttpAnswer {
    if answer.status() != StatusCode::NOT_FOUND || answer.headers().contains_key(CONTENT_TYPE) {
        return answer;
    }
    text(
        StatusCode::NOT_FOUND,
        "there is no such session: it was ended, was not used for long, or was of a server that has ended. Send \
         initialize to begin another one\n",
    )
}

/// The answer to a request for the rest of an answer that is not kept.
fn gone() -> HttpAnswer {
    text(
        StatusCode::GONE,
        "the answer with this Last-Event-ID is not kept: the call has ended, and what it wrote stays. Read before you \
         call again; a call with an idempotency_key can be repeated\n",
    )
}

fn refused(refusal: Refusal) -> HttpAnswer {
    let forbidden = |words| text(StatusCode::FORBIDDEN, words);
    match refusal {
        Refusal::Host => forbidden(
            "Host header not allowed: use 127.0.0.1, localhost, or the host that the server listens at\n",
        ),
        Refusal::Origin => forbidden(
            "Origin not allowed: only pages of this machine or of the server's host may use it\n",
        ),
        Refusal::Token => {
            let words = "token missing or wrong: send it as Authorization: Bearer TOKEN; the server says on standard error where the token is\n";
            with(text(StatusCode::UNAUTHORIZED, words), WWW_AUTHENTICATE, "Bearer")
        }
    }
}

/// A body that ends early when `stop` is ready.
struct StoppableBody<B> {
    body: B,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<B: Body + Unpin> Body for StoppableBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.stop.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut self.body).poll_frame(context),
        }
    }
}
