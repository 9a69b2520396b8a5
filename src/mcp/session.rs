//! One client: what it wants to be told of, and the telling.
//!
//! Invariants: what one client subscribes to is told to no other. A notice names the resource as the client did.
//! What changes all the time (the list of resources, the status) is told once a second at most, and never
//! forgotten.

use super::notices::News;
use super::resources::Subject;
use rmcp::RoleServer;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::{Peer, SubscriptionSink};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// How often a client is told of what changes all the time.
const PACE: Duration = Duration::from_secs(1);

/// What a client wants to be told of.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// By their URIs, as the client wrote them.
    pub subjects: BTreeMap<String, Subject>,
    /// Whether it wants to know of changes of the list.
    pub list: bool,
}

/// A client and, if it is of an era before 2026-07-28, what it subscribed to call by call.
#[derive(Debug, Default)]
pub(super) struct Session {
    wanted: Arc<Mutex<Wanted>>,
    /// The task that tells the client, while there is one.
    telling: Mutex<Option<AbortHandle>>,
    /// Held while that task is started: of two, one would be ended with news that it has not told.
    pub(super) starting: tokio::sync::Mutex<()>,
    /// Whether the client will ask for nothing more.
    over: watch::Sender<bool>,
}

impl Session {
    /// Changes what is wanted. The client has to be followed before it is told that it is.
    pub fn want(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut lock(&self.wanted));
    }

    /// Whether nobody tells the client yet.
    pub fn is_silent(&self) -> bool {
        lock(&self.telling).as_ref().is_none_or(AbortHandle::is_finished)
    }

    /// Tells the client from now on of what it wants.
    pub fn tell(&self, peer: Peer<RoleServer>, news: Receiver<News>) {
        let wanted = self.wanted.clone();
        let task = tokio::spawn(Teller::new(Ear::Session(peer), news, wanted).tell());
        *lock(&self.telling) = Some(task.abort_handle());
    }

    /// The client will ask for nothing more. Calls that would go on for ever end.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits until the client will ask for nothing more.
    pub async fn is_over(&self) {
        let mut over = self.over.subscribe();
        // Its sender is in `self`, so there is no other end than this.
        drop(over.wait_for(|over| *over).await);
    }

    /// Stops if nothing is wanted any more.
    pub fn rest(&self) {
        let wanted = lock(&self.wanted);
        if wanted.subjects.is_empty()
            && !wanted.list
            && let Some(task) = lock(&self.telling).take()
        {
            task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.telling).take() {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whom to tell.
pub(super) enum Ear {
    /// The whole session.
    Session(Peer<RoleServer>),
    /// One `subscriptions/listen`.
    Listen(SubscriptionSink),
}

/// The client is gone.
struct Gone;

impl Ear {
    async fn updated(&self, uri: String) -> Result<(), Gone> {
        match self {
            Ear::Session(peer) => {
                let notice = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(notice).await.map_err(|_| Gone)
            }
            Ear::Listen(sink) => sink.notify_resource_updated(uri).await.map_err(|_| Gone),
        }
    }

    async fn list_changed(&self) -> Result<(), Gone> {
        match self {
            Ear::Session(peer) => peer.notify_resource_list_changed().await.map_err(|_| Gone),
            Ear::Listen(sink) => sink.notify_resource_list_changed().await.map_err(|_| Gone),
        }
    }
}

/// Tells one client.
pub(super) struct Teller {
    ear: Ear,
    news: Receiver<News>,
    wanted: Arc<Mutex<Wanted>>,
    /// What is to be told at the next beat; `None` is the list.
    due: BTreeSet<Option<String>>,
    next_beat: Instant,
}

impl Teller {
    pub fn new(ear: Ear, news: Receiver<News>, wanted: Arc<Mutex<Wanted>>) -> Self {
        Teller { ear, news, wanted, due: BTreeSet::new(), next_beat: Instant::now() }
    }

    /// Tells of everything that is wanted, then of what changes, until the client is gone.
    pub async fn tell_all_and_on(mut self) {
        if self.everything().await.is_ok() {
            self.tell().await;
        }
    }

    /// Tells of what changes, until the client is gone.
    pub async fn tell(mut self) {
        loop {
            let told = tokio::select! {
                news = self.news.recv() => match news {
                    Ok(news) => self.these(&news).await,
                    Err(RecvError::Lagged(_)) => self.everything().await,
                    Err(RecvError::Closed) => return,
                },
                () = sleep_until(self.next_beat), if !self.due.is_empty() => self.beat().await,
            };
            if told.is_err() {
                return;
            }
        }
    }

    async fn these(&mut self, news: &News) -> Result<(), Gone> {
        let touched = |subject: &Subject| subject.is_touched_by(&news.keys);
        self.tell_of(touched, news.list_changed).await
    }

    async fn everything(&mut self) -> Result<(), Gone> {
        self.tell_of(|_| true, true).await
    }

    async fn tell_of(
        &mut self,
        touched: impl Fn(&Subject) -> bool,
        list_changed: bool,
    ) -> Result<(), Gone> {
        let mut now = Vec::new();
        {
            let wanted = lock(&self.wanted);
            for (uri, subject) in wanted.subjects.iter().filter(|(_, subject)| touched(subject)) {
                if subject.changes_all_the_time() {
                    self.due.insert(Some(uri.clone()));
                } else {
                    now.push(uri.clone());
                }
            }
            if list_changed && wanted.list {
                self.due.insert(None);
            }
        }
        for uri in now {
            self.ear.updated(uri).await?;
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), Gone> {
        self.next_beat = Instant::now() + PACE;
        for due in std::mem::take(&mut self.due) {
            match due {
                Some(uri) => self.ear.updated(uri).await?,
                None => self.ear.list_changed().await?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::mcp::{Offer, Server, ToolSet};
    use crate::palace::Palace;
    use rmcp::model::{ResourceUpdatedNotificationParam, SubscribeRequestParams};
    use rmcp::service::{NotificationContext, RoleClient, RunningService};
    use rmcp::{ClientHandler, ServiceExt};
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

    struct Client(UnboundedSender<String>);

    impl ClientHandler for Client {
        async fn on_resource_updated(
            &self,
            notice: ResourceUpdatedNotificationParam,
            _: NotificationContext<RoleClient>,
        ) {
            self.0.send(notice.uri).unwrap();
        }
    }

    async fn client(
        server: &Server,
    ) -> (RunningService<RoleClient, Client>, UnboundedReceiver<String>) {
        let (here, there) = tokio::io::duplex(1 << 16);
        let server = server.for_another_client();
        drop(tokio::spawn(async move { server.serve(there).await.unwrap().waiting().await }));
        let (sender, heard) = unbounded_channel();
        (Client(sender).serve(here).await.unwrap(), heard)
    }

    #[tokio::test]
    #[expect(deprecated, reason = "clients of eras before 2026-07-28 ask in this way")]
    async fn what_one_client_subscribes_to_is_told_to_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path().join("palace")).unwrap();
        let server = Server::new(
            palace.clone(),
            &Offer { sets: vec![ToolSet::Documents], ..Offer::default() },
        );
        let (ann, mut to_ann) = client(&server).await;
        let (bob, mut to_bob) = client(&server).await;
        let (a, b) = ("palace://document/a", "palace://document/b");
        ann.subscribe(SubscribeRequestParams::new(a)).await.unwrap();
        bob.subscribe(SubscribeRequestParams::new(b)).await.unwrap();
        for key in ["a", "b", "a", "b"] {
            palace.increment(key, &["n"], 1).unwrap();
            let (heard, uri) = if key == "a" { (&mut to_ann, a) } else { (&mut to_bob, b) };
            assert_eq!(heard.recv().await.unwrap(), uri);
        }
        for (client, mut heard) in [(ann, to_ann), (bob, to_bob)] {
            client.cancel().await.unwrap();
            assert_eq!(heard.recv().await, None, "told of what another client asked for");
        }
    }
}
