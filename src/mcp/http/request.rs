//! One request: let in or not, and to whom it goes.
//!
//! Invariant: the guard is asked before anything else is looked at.

use super::guard::{Guard, Refusal};
use super::health::{health, locks};
use crate::mcp::Server;
use crate::palace::Palace;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
};
use hyper::{Method, Request, Response, StatusCode};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// How many bytes a request may have: as many as a line of the protocol on standard input.
const REQUEST_BYTES: usize = 16 << 20;
/// How long a session without any message is kept. A client that comes back later has to open a new one.
const SESSION_WAIT: Duration = Duration::from_secs(3600);

pub(super) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers the requests of all connections.
pub(super) struct Answerer {
    palace: Palace,
    server: Server,
    guard: Guard,
    mcp: StreamableHttpService<Server, LocalSessionManager>,
    /// Held while a status is made: two at once would take each other's look at a lock for an owner.
    looking: tokio::sync::Mutex<()>,
}

impl Answerer {
    pub fn new(palace: Palace, server: Server, guard: Guard) -> Self {
        let mut sessions = LocalSessionManager::default();
        sessions.session_config.keep_alive = Some(SESSION_WAIT);
        // The guard has looked at the host and the origin of every request, not only of those for this service.
        let config = StreamableHttpServerConfig::default()
            .with_max_request_body_bytes(REQUEST_BYTES)
            .disable_allowed_hosts()
            .disable_allowed_origins();
        let clients = server.clone();
        let factory = move || Ok(clients.for_another_client());
        let mcp = StreamableHttpService::new(factory, Arc::new(sessions), config);
        Answerer { palace, server, guard, mcp, looking: tokio::sync::Mutex::default() }
    }

    pub async fn answer(&self, request: Request<Incoming>) -> Answer {
        if let Err(refusal) = self.guard.check(request.headers()) {
            return refused(refusal);
        }
        match (request.uri().path(), request.method()) {
            ("/mcp", &Method::GET) => self.until_the_server_stops(self.mcp.handle(request).await),
            ("/mcp", _) => self.mcp.handle(request).await.map(BodyExt::boxed_unsync),
            ("/health", &Method::GET) => self.look(health).await,
            ("/health/locks", &Method::GET) => self.look(locks).await,
            ("/health" | "/health/locks", _) => {
                let answer = text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n");
                with(answer, ALLOW, "GET")
            }
            _ => text(StatusCode::NOT_FOUND, "there are /mcp, /health and /health/locks\n"),
        }
    }

    /// A stream of notices, which would go on as long as the client listens.
    fn until_the_server_stops<B>(&self, answer: Response<B>) -> Answer
    where
        B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
    {
        let server = self.server.clone();
        let stop = Box::pin(async move { server.is_stopping().await });
        answer.map(|body| Until { body, stop }.boxed_unsync())
    }

    async fn look(&self, what: fn(&Palace) -> Result<String, String>) -> Answer {
        let _looking = self.looking.lock().await;
        let palace = self.palace.clone();
        let found = tokio::task::spawn_blocking(move || what(&palace)).await;
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

fn refused(refusal: Refusal) -> Answer {
    let forbidden = |words| text(StatusCode::FORBIDDEN, words);
    match refusal {
        Refusal::Host => forbidden(
            "this server is not called so: use 127.0.0.1, localhost, or the host that it was told to listen at\n",
        ),
        Refusal::Origin => forbidden("pages of that origin may not use this server\n"),
        Refusal::Token => {
            let words = "send the server's CRDT_PALACE_TOKEN: Authorization: Bearer TOKEN\n";
            with(text(StatusCode::UNAUTHORIZED, words), WWW_AUTHENTICATE, "Bearer")
        }
    }
}

fn text(status: StatusCode, words: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(words.into()).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

fn with(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

/// A body that ends early when `stop` is ready.
struct Until<B> {
    body: B,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<B: Body + Unpin> Body for Until<B> {
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
