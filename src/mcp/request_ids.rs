//! The ids of one client's requests that are not answered yet.
//!
//! rmcp finds the request of an answer by the id alone. Of two requests with one id it would answer one, perhaps with the
//! other's result. So the second one is refused. The protocol forbids such ids.
//! Invariant: of the requests with one id, no two are carried out at the same time.

use rmcp::model::{ClientJsonRpcMessage, ClientNotification, NumberOrString, ServerJsonRpcMessage};
use std::collections::hash_map::{Entry, HashMap, RandomState};
use std::collections::vec_deque::VecDeque;
use std::hash::BuildHasher;

/// Most cancelled requests of a client whose ids stay taken.
const CANCELLED_MAX: usize = 1024;

/// The ids that are taken. With each unanswered request, a `T` is kept.
pub(super) struct RequestIds<T> {
    unanswered: HashMap<NumberOrString, T>,
    /// Hashes of ids: an id can be long. A cancelled call may still run, and its answer would be taken for that of a
    /// later request with its id.
    cancelled: VecDeque<u64>,
    hasher: RandomState,
}

impl<T> Default for RequestIds<T> {
    fn default() -> Self {
        RequestIds {
            unanswered: HashMap::new(),
            cancelled: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<T> RequestIds<T> {
    /// Takes the id of a request. Returns false if it is taken.
    pub fn begin(&mut self, id: &NumberOrString, kept: T) -> bool {
        if self.cancelled.contains(&self.hasher.hash_one(id)) {
            return false;
        }
        match self.unanswered.entry(id.clone()) {
            Entry::Occupied(_) => false,
            Entry::Vacant(free) => {
                free.insert(kept);
                true
            }
        }
    }

    /// Frees the id of a request that is answered, or that was not handed on.
    pub fn end(&mut self, id: &NumberOrString) -> Option<T> {
        self.unanswered.remove(id)
    }

    /// Notes which request a client gives up. rmcp drops its answer, and the call may go on for a while.
    pub fn note_cancelled(&mut self, message: &ClientJsonRpcMessage) {
        if let ClientJsonRpcMessage::Notification(notification) = message
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(id) = &cancelled.params.request_id
            && self.unanswered.remove(id).is_some()
        {
            self.cancelled.push_back(self.hasher.hash_one(id));
            self.cancelled.drain(..self.cancelled.len().saturating_sub(CANCELLED_MAX));
        }
    }
}

/// Returns the id of the request that a message answers; `None` if it answers none.
pub(super) fn answered_by(message: &ServerJsonRpcMessage) -> Option<&NumberOrString> {
    match message {
        ServerJsonRpcMessage::Response(response) => Some(&response.id),
        ServerJsonRpcMessage::Error(error) => error.id.as_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cancel(ids: &mut RequestIds<()>, id: i64) {
        let text = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
        );
        ids.note_cancelled(&serde_json::from_str(&text).unwrap());
    }

    #[test]
    fn ids_are_free_again_once_answered_but_not_once_cancelled() {
        let mut ids = RequestIds::default();
        let [one, text] = [NumberOrString::Number(1), NumberOrString::String("1".into())];
        assert!(ids.begin(&one, ()) && ids.begin(&text, ()));
        assert!(!ids.begin(&one, ()));
        assert!(ids.end(&one).is_some() && ids.begin(&one, ()));
        cancel(&mut ids, 1);
        assert!(!ids.begin(&one, ()), "its call may still run");
        assert!(!ids.begin(&text, ()));
        cancel(&mut ids, 2);
        assert!(ids.begin(&NumberOrString::Number(2), ()), "it was no request's");
    }

    #[test]
    fn cancelled_ids_are_bounded() {
        let mut ids = RequestIds::default();
        let last = 2 * CANCELLED_MAX as i64;
        for id in 0..=last {
            assert!(ids.begin(&NumberOrString::Number(id), ()));
            cancel(&mut ids, id);
        }
        assert_eq!((ids.cancelled.len(), ids.unanswered.len()), (CANCELLED_MAX, 0));
        assert!(!ids.begin(&NumberOrString::Number(last), ()));
    }
}
