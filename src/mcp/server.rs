//! The server: the tool sets that it offers, on one palace, for one client or several.
//!
//! Invariant: calls that are in flight together run side by side, each on a thread of its own, so
//! that their commits share a sync. Must not know: what a tool does.

use super::notices::{Subscribed, changes};
use super::palace::Cursors;
use super::sets::{Offer, Tools};
use crate::palace::{Palace, chain};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use std::error::Error;
use std::sync::Arc;
use tokio::sync::RwLock;
use tokio::sync::mpsc::Receiver;

/// How much of a client's name history keeps.
const BY_CHARS_MAX: usize = 120;

/// Tool sets on a palace. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    palace: Palace,
    pub(super) tools: Arc<Tools>,
    /// Held shared by every call while it runs.
    running: Arc<RwLock<()>>,
    pub(super) subscribed: Arc<Subscribed>,
    pub(super) cursors: Arc<Cursors>,
}

impl Server {
    /// These tools on this palace.
    #[must_use]
    pub fn new(palace: Palace, offer: &Offer) -> Self {
        let tools = Arc::new(Tools::new(offer));
        let (running, subscribed, cursors) = (Arc::default(), Arc::default(), Arc::default());
        Server { palace, tools, running, subscribed, cursors }
    }

    /// Waits until no call is running; none starts after that.
    pub(super) async fn finish(&self) {
        let guard = self.running.clone().write_owned().await;
        // Never released: what comes now comes too late.
        std::mem::forget(guard);
    }

    /// Runs a call on a thread where it may block. It is given the palace, and who calls, for history.
    ///
    /// # Errors
    /// What to tell the model: the error with its causes.
    pub(super) async fn run<T: Send + 'static, E: Error>(
        &self,
        context: &RequestContext<RoleServer>,
        call: impl FnOnce(&Palace, Option<String>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, String> {
        let (palace, by) = (self.palace.clone(), writer(context));
        let running = self.running.clone().read_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let result = call(&palace, by).map_err(|error| chain(&error));
            drop(running);
            result
        });
        match done.await {
            Ok(result) => result,
            Err(error) => Err(format!("the call failed ({error}); see the server's log")),
        }
    }

    pub(super) async fn changes(&self) -> Result<Receiver<()>, ErrorData> {
        let changes = changes(self.palace.clone()).await;
        changes.map_err(|error| ErrorData::internal_error(error, None))
    }
}

/// Who calls, for history. A name is anybody's text: it is kept short, and on one line.
fn writer(context: &RequestContext<RoleServer>) -> Option<String> {
    let client = context.client_info()?;
    let name = format!("{}/{}", client.name, client.version);
    Some(name.chars().filter(|c| !c.is_control()).take(BY_CHARS_MAX).collect())
}
