//! The server: the tool sets that it offers, on one palace, for one client or several.
//!
//! Invariant: calls that are in flight together run side by side, on threads of their own, so that their commits share
//! a sync. Must not know: what a tool does.

use super::change_watch::ChangeWatch;
use super::feed_cursors::FeedCursors;
use super::in_flight::{InFlight, Share};
use super::noticed::Noticed;
use super::progress::Progress;
use super::session::Session;
use super::threads::Threads;
use super::tool::{Call, error_result};
use super::tool_sets::{Offer, Tools};
use super::unseen::went_back_in_words;
use crate::fs::shell::quoted;
use crate::palace::{self, Palace, Sessions};
use hyper::http::request::Parts;
use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::{RwLock, watch};

/// Most characters of a client's name and version in history.
const CLIENT_CHARS: usize = 120;

/// Tool sets on a palace, for one client. Cheap to clone; a clone is for the same client.
#[derive(Clone)]
pub struct Server {
    palace: Palace,
    pub(super) tools: Arc<Tools>,
    /// Held shared by every call while it runs.
    running: Arc<RwLock<()>>,
    /// True once no call starts any more.
    ending: Arc<AtomicBool>,
    pub(super) threads: Threads,
    pub(super) in_flight: InFlight,
    pub(super) changes: Arc<ChangeWatch>,
    pub(super) session: Arc<Session>,
    /// Hands out what is remembered of each client.
    sessions: Sessions,
    /// The versions of each document that this client has seen.
    seen: palace::Session,
    feed_cursors: Arc<FeedCursors>,
    /// The time of the last going back that this client was told of, in milliseconds since 1970.
    told_back: Arc<AtomicI64>,
    /// True when the server is about to stop, for all clients.
    stopping: Arc<watch::Sender<bool>>,
    /// True if several clients are served, so that the writes of this process may be news to one of them.
    shared: bool,
}

impl Server {
    /// These tools on this palace.
    #[must_use]
    pub fn new(palace: Palace, offer: &Offer) -> Self {
        let tools = Arc::new(Tools::new(offer));
        let threads = Threads::new();
        let changes = ChangeWatch::new(palace.clone(), tools.clone(), threads.clone());
        let (running, ending, session) = (Arc::default(), Arc::default(), Arc::default());
        let (feed_cursors, stopping) = (Arc::default(), Arc::default());
        let (shared, told_back) = (false, Arc::default());
        let sessions = Sessions::new(palace.clone());
        let seen = sessions.session();
        Server {
            palace,
            tools,
            running,
            ending,
            threads,
            in_flight: InFlight::new(),
            changes,
            session,
            sessions,
            seen,
            feed_cursors,
            told_back,
            stopping,
            shared,
        }
    }

    /// The same server, for several clients.
    pub(super) fn for_several(self) -> Self {
        Server { shared: true, ..self }
    }

    /// The same server for another client: it shares everything but what the client subscribes to and what it has seen.
    #[must_use]
    pub fn for_another_client(&self) -> Self {
        let (session, told_back) = (Arc::default(), Arc::default());
        Server { session, told_back, seen: self.sessions.session(), ..self.clone() }
    }

    /// Ends, for all clients, the calls that would go on for ever.
    pub(super) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Waits until the server is about to stop.
    pub(super) async fn is_stopping(&self) {
        let mut stopping = self.stopping.subscribe();
        // Its sender is in `self`, so that the wait ends with the value, never with an error.
        drop(stopping.wait_for(|stopping| *stopping).await);
    }

    /// Waits until no call is running; none starts after that.
    pub(super) async fn finish(&self) {
        self.ending.store(true, Ordering::Release);
        drop(self.running.write().await);
    }

    /// Runs a tool; `None` if the server has none of that name.
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Option<CallToolResult> {
        let tool = self.tools.get(&request.name)?.clone();
        if tool.is_large {
            may_be_large(context).await;
        }
        let arguments = request.arguments.unwrap_or_default();
        let noticed = noted::<Noticed>(context).cloned().unwrap_or_default();
        let result = self.run(context, move |call| tool.run(call, arguments, &noticed)).await;
        let mut result = result.unwrap_or_else(error_result);
        result.content.extend(self.missing_part().map(ContentBlock::text));
        result.content.extend(self.went_back().map(ContentBlock::text));
        Some(result)
    }

    /// A note for the next answer after the palace went back to an older state: each client gets it once.
    fn went_back(&self) -> Option<String> {
        let back = self.palace.went_back()?;
        let told = self.told_back.swap(back.noticed_ms, Ordering::Relaxed);
        (told != back.noticed_ms).then(|| format!("WARNING: {}", went_back_in_words(&back)))
    }

    /// A warning for every answer while a file is damaged, cut off or missing. Without it, what only that file holds
    /// would look as if it had never been.
    fn missing_part(&self) -> Option<String> {
        let problems = self.palace.problems();
        let files: BTreeSet<_> = problems.into_iter().filter_map(|problem| problem.path).collect();
        let name = files.first()?.display();
        let more = match files.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let palace = quoted(self.palace.path());
        Some(format!(
            "WARNING: a part of the memory cannot be read, and is missing from answers: {name}{more}. Nothing of it \
             is overwritten or deleted. Tell the user: `crdt-log verify {palace}` says what is wrong; put the file \
             back from a copy."
        ))
    }

    /// Runs a function on a thread where it may block.
    ///
    /// # Errors
    /// A text for the client if there is no thread, if the server is ending, or if the function panicked, which is a bug.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        context: &RequestContext<RoleServer>,
        function: impl FnOnce(&Call) -> T + Send + 'static,
    ) -> Result<T, String> {
        let call = Call {
            palace: self.palace.clone(),
            client: client(context),
            session: self.seen.clone(),
            once: None,
            feed_cursors: self.feed_cursors.clone(),
            shared: self.shared,
            offered: self.tools.sets().clone(),
            progress: Progress::of(context),
        };
        // Held until the call is done: its client may have cancelled it.
        let share = noted::<Share>(context).cloned();
        let running = self.running.clone().read_owned().await;
        if self.ending.load(Ordering::Acquire) {
            return Err("the call was not made: the server is ending".to_owned());
        }
        let done = self.threads.run(move || {
            let result = function(&call);
            drop((running, share));
            result
        });
        done.await.map_err(|error| error.to_string())
    }
}

/// Returns what was noted about a message when it came. Over HTTP, a request of the protocol has the parts of that of
/// HTTP.
fn noted<T: Clone + Send + Sync + 'static>(context: &RequestContext<RoleServer>) -> Option<&T> {
    let by_http = || context.extensions.get::<Parts>()?.extensions.get();
    context.extensions.get().or_else(by_http)
}

/// Waits until the answer may be a large one.
pub(super) async fn may_be_large(context: &RequestContext<RoleServer>) {
    if let Some(share) = noted::<Share>(context) {
        share.may_be_large().await;
    }
}

/// The client's name and version, for history. A client can call itself anything: the name is cut, and kept on one
/// line.
fn client(context: &RequestContext<RoleServer>) -> Option<String> {
    let client = context.client_info()?;
    let name = format!("{}/{}", client.name, client.version);
    Some(name.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS).collect())
}
