//! One client: its subscriptions, and the task that notifies it.
//!
//! Invariants: a client is notified of its own subscriptions only. A notice names the resource as the client did.
//! Notices of what changes all the time (the list of resources, the status) go out once a second at most, and are
//! never dropped.

use super::rescan_changes::RescanChanges;
use super::resources::OfferedResource;
use rmcp::RoleServer;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::{Peer, SubscriptionSink};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// Time between two notices of a resource that changes all the time.
const PACE: Duration = Duration::from_secs(1);

/// The resources that a client wants notices of.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// The resources by their URIs, as the client wrote them.
    pub resources: BTreeMap<String, OfferedResource>,
    /// True if it wants notices of changes of the list.
    pub list: bool,
    /// A place for each resource.
    pub places: Option<OwnedSemaphorePermit>,
}

impl Subscriptions {
    /// Adds a resource, with a place for it.
    pub fn add(&mut self, uri: String, resource: OfferedResource, place: OwnedSemaphorePermit) {
        if self.resources.insert(uri, resource).is_some() {
            return;
        }
        match &mut self.places {
            Some(places) => places.merge(place),
            none => *none = Some(place),
        }
    }

    /// Removes a resource, and frees its place.
    pub fn remove(&mut self, uri: &str) {
        if self.resources.remove(uri).is_some() {
            drop(self.places.as_mut().and_then(|places| places.split(1)));
        }
    }
}

/// A client and, if its protocol is older than 2026-07-28, what it subscribed to call by call.
#[derive(Debug, Default)]
pub(super) struct Session {
    wanted: Arc<Mutex<Subscriptions>>,
    /// The task that notifies the client, while there is one.
    notifying: Mutex<Option<AbortHandle>>,
    /// Held while that task is started: of two, one would be ended with notices that it has not sent.
    pub(super) starting: tokio::sync::Mutex<()>,
    /// True once the client will send no more requests.
    over: watch::Sender<bool>,
}

impl Session {
    /// Changes the subscriptions. The watch has to follow before the client is told that it is subscribed.
    pub fn subscribe(&self, change: impl FnOnce(&mut Subscriptions)) {
        change(&mut lock(&self.wanted));
    }

    /// Returns true if no task notifies the client.
    pub fn is_silent(&self) -> bool {
        lock(&self.notifying).as_ref().is_none_or(AbortHandle::is_finished)
    }

    /// Notifies the client from now on of what it has subscribed to.
    pub fn notify(&self, peer: Peer<RoleServer>, changes: Receiver<RescanChanges>) {
        let wanted = self.wanted.clone();
        let task = tokio::spawn(Notifier::new(Recipient::Session(peer), changes, wanted).notify());
        *lock(&self.notifying) = Some(task.abort_handle());
    }

    /// Notes that the client will send no more requests. Calls that would go on for ever end.
    pub fn end(&self) {
        self.over.send_replace(true);
    }

    /// Waits until the client will send no more requests.
    pub async fn is_over(&self) {
        let mut over = self.over.subscribe();
        // Its sender is in `self`, so that the wait ends with the value, never with an error.
        drop(over.wait_for(|over| *over).await);
    }

    /// Stops to notify the client if it has no subscription left.
    pub fn stop_if_unused(&self) {
        let wanted = lock(&self.wanted);
        if wanted.resources.is_empty()
            && !wanted.list
            && let Some(task) = lock(&self.notifying).take()
        {
            task.abort();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(task) = lock(&self.notifying).take() {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where notices go.
pub(super) enum Recipient {
    /// The session, before 2026-07-28.
    Session(Peer<RoleServer>),
    /// One call of `subscriptions/listen`.
    Listen(SubscriptionSink),
}

/// The client is gone.
struct ClientGone;

impl Recipient {
    async fn updated(&self, uri: String) -> Result<(), ClientGone> {
        match self {
            Recipient::Session(peer) => {
                let notice = ResourceUpdatedNotificationParam::new(uri);
                peer.notify_resource_updated(notice).await.map_err(|_| ClientGone)
            }
            Recipient::Listen(sink) => {
                sink.notify_resource_updated(uri).await.map_err(|_| ClientGone)
            }
        }
    }

    async fn list_changed(&self) -> Result<(), ClientGone> {
        match self {
            Recipient::Session(peer) => {
                peer.notify_resource_list_changed().await.map_err(|_| ClientGone)
            }
            Recipient::Listen(sink) => {
                sink.notify_resource_list_changed().await.map_err(|_| ClientGone)
            }
        }
    }
}

/// Notifies one client.
pub(super) struct Notifier {
    recipient: Recipient,
    changes: Receiver<RescanChanges>,
    wanted: Arc<Mutex<Subscriptions>>,
    /// Notices for the next beat; `None` is the list.
    due: BTreeSet<Option<String>>,
    next_beat: Instant,
}

impl Notifier {
    pub fn new(
        recipient: Recipient,
        changes: Receiver<RescanChanges>,
        wanted: Arc<Mutex<Subscriptions>>,
    ) -> Self {
        Notifier { recipient, changes, wanted, due: BTreeSet::new(), next_beat: Instant::now() }
    }

    /// Sends a notice of every subscription, then of what changes, until the client is gone.
    pub async fn notify_all_and_go_on(mut self) {
        if self.notify_of_everything().await.is_ok() {
            self.notify().await;
        }
    }

    /// Sends notices of what changes, until the client is gone.
    pub async fn notify(mut self) {
        loop {
            let sent = tokio::select! {
                changes = self.changes.recv() => match changes {
                    Ok(changes) => self.notify_of_changes(&changes).await,
                    Err(RecvError::Lagged(_)) => self.notify_of_everything().await,
                    Err(RecvError::Closed) => return,
                },
                () = sleep_until(self.next_beat), if !self.due.is_empty() => self.beat().await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    async fn notify_of_changes(&mut self, changes: &RescanChanges) -> Result<(), ClientGone> {
        let touched = |resource: &OfferedResource| resource.is_touched_by(changes);
        self.notify_of(touched, changes.list_changed).await
    }

    async fn notify_of_everything(&mut self) -> Result<(), ClientGone> {
        self.notify_of(|_| true, true).await
    }

    async fn notify_of(
        &mut self,
        touched: impl Fn(&OfferedResource) -> bool,
        list_changed: bool,
    ) -> Result<(), ClientGone> {
        let mut now = Vec::new();
        {
            let wanted = lock(&self.wanted);
            for (uri, resource) in wanted.resources.iter().filter(|(_, r)| touched(r)) {
                if resource.changes_all_the_time() {
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
            self.recipient.updated(uri).await?;
        }
        Ok(())
    }

    async fn beat(&mut self) -> Result<(), ClientGone> {
        self.next_beat = Instant::now() + PACE;
        for due in std::mem::take(&mut self.due) {
            match due {
                Some(uri) => self.recipient.updated(uri).await?,
                None => self.recipient.list_changed().await?,
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
    async fn each_client_is_notified_of_its_own_subscriptions_only() {
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
            assert_eq!(heard.recv().await, None, "notified of what another client asked for");
        }
    }
}
