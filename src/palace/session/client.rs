//! The handles of sessions, and what is noted about a read.

use super::memory::Memory;
use super::versions::Versions;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::palace::handle::shared::Palace;
use crate::palace::write::request::Outcome;
use std::ops::Range;
use std::sync::Arc;

/// Most bytes that all sessions of one [`Sessions`] take together.
pub const SESSIONS_BYTES_MAX: usize = 64 << 20;

/// Hands out sessions that share one bound of memory, [`SESSIONS_BYTES_MAX`]. Cheap to clone.
///
/// A server has one, and a [`Session`] for each client. If the bound is reached, the document that was used least
/// lately is forgotten, whichever session it belongs to.
///
/// ```
/// use crdt_palace::palace::Sessions;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("k", &json!({"title": "Plan", "done": false}))?;
///
/// let sessions = Sessions::new(palace.clone());
/// let (ann, bob) = (sessions.session(), sessions.session());
/// assert!(ann.get("k")?.is_some() && bob.get("k")?.is_some());
/// ann.put("k", &json!({"title": "A plan", "done": false}))?;
/// bob.put("k", &json!({"title": "Plan", "done": true}))?;
/// let found = palace.get("k")?.ok_or("it was written")?;
/// assert_eq!(serde_json::Value::Object(found.value), json!({"title": "A plan", "done": true}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    palace: Palace,
    memory: Arc<Memory>,
}

impl Sessions {
    /// Makes a source of sessions on this palace.
    #[must_use]
    pub fn new(palace: Palace) -> Self {
        Sessions { palace, memory: Arc::new(Memory::new(SESSIONS_BYTES_MAX)) }
    }

    /// Starts the session of a client. Nothing is known of what that client has seen.
    #[must_use]
    pub fn session(&self) -> Session {
        let (palace, memory) = (self.palace.clone(), self.memory.clone());
        let client = memory.add_client();
        Session { client: Arc::new(Client { palace, memory, client }) }
    }
}

/// A client's session: it remembers which versions of each document the client has seen whole, and makes the client's
/// writes from those. So what others changed since is kept, and merges. Cheap to clone; clones are the same session,
/// and dropping the last one forgets it.
///
/// A write is made from the remembered version from which its value differs least. Each whole read is a base for one
/// write. After that, the client's own last write is. At most [`VERSIONS_MAX`](crate::palace::VERSIONS_MAX) versions
/// of a document are remembered. Without any, a write is made from the present version, and says what it replaced.
///
/// ```
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
/// palace.put("k", &json!({"title": "Plan", "done": false}))?;
/// let (ann, bob) = (palace.session(), palace.session());
///
/// // Both read the document, change a field, and write back all of it.
/// let mut read_by_ann = ann.get("k")?.ok_or("it was written")?.value;
/// let mut read_by_bob = bob.get("k")?.ok_or("it was written")?.value;
/// read_by_ann["title"] = json!("A plan");
/// read_by_bob["done"] = json!(true);
/// assert!(ann.put("k", &read_by_ann)?.merged.is_none()); // it is what she sent
/// let merged = bob.put("k", &read_by_bob)?.merged.ok_or("Ann wrote in between")?;
///
/// // Both edits are there.
/// assert_eq!(serde_json::Value::Object(merged.value), json!({"title": "A plan", "done": true}));
///
/// // A client that has not read it is told what it replaces.
/// let carl = palace.session();
/// let unseen = carl.put("k", &json!({"title": "Mine"}))?.replaced_unseen.ok_or("it was there")?;
/// assert_eq!(unseen.value["title"], "A plan");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Session {
    client: Arc<Client>,
}

#[derive(Debug)]
struct Client {
    palace: Palace,
    memory: Arc<Memory>,
    /// Its number in the memory.
    client: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.memory.forget(self.client);
    }
}

impl Palace {
    /// Starts a session for a client, with a bound of memory of its own. A program with many clients takes
    /// [`Sessions`].
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let session = palace.session();
    /// let written = session.put("k", &json!({"n": 1}))?;
    /// assert!(written.outcome.changed && written.replaced_unseen.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn session(&self) -> Session {
        Sessions::new(self.clone()).session()
    }
}

impl Session {
    pub(super) fn palace(&self) -> &Palace {
        &self.client.palace
    }

    /// Returns what the client has seen of a document.
    pub(super) fn versions(&self, key: &Key) -> Versions {
        self.client.memory.of(self.client.client, key)
    }

    pub(super) fn note(&self, key: &Key, change: impl FnOnce(&mut Versions)) {
        self.client.memory.change(self.client.client, key, change);
    }

    /// Notes that the client was shown the whole value of the present version. Once for each read: a version that was
    /// read n times is a base for n writes.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// let first = palace.put("k", &json!({"a": 1}))?;
    /// let read = palace.get("k")?.ok_or("it was written")?;
    /// palace.put("k", &json!({"a": 1, "b": 2}))?;
    ///
    /// let session = palace.session();
    /// session.saw_whole(&read.key, &read.heads); // a program showed it in its own way
    /// session.put("k", &json!({"a": 3}))?;
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["b"], 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saw_whole(&self, key: &Key, heads: &Heads) {
        self.note(key, |versions| versions.saw_whole(heads));
    }

    /// Notes that the client was shown a part of the present version, of a value of `total` bytes or characters. Once
    /// the parts cover all of it, that counts as [`Session::saw_whole`].
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// let read = palace.get("k")?.ok_or("it was written")?;
    /// palace.put("k", &json!({"a": 1, "b": 2}))?;
    ///
    /// let session = palace.session();
    /// session.saw_part(&read.key, &read.heads, 0..4, 7);
    /// session.saw_further_part(&read.key, &read.heads, 4..7, 7);
    /// assert!(session.put("k", &json!({"a": 3}))?.merged.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saw_part(&self, key: &Key, heads: &Heads, part: Range<usize>, total: usize) {
        self.note(key, |versions| versions.saw_part(heads, part, total));
    }

    /// Notes a part of a version that the client has begun to read with [`Session::saw_part`], and that need not be the
    /// present one any more. Of any other version, nothing is noted.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// let read = palace.get("k")?.ok_or("it was written")?;
    /// let session = palace.session();
    /// session.saw_further_part(&read.key, &read.heads, 0..7, 7); // it was not begun: an older version, perhaps
    /// assert!(session.put("k", &json!({"a": 3}))?.replaced_unseen.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saw_further_part(&self, key: &Key, heads: &Heads, part: Range<usize>, total: usize) {
        self.note(key, |versions| versions.saw_further_part(heads, part, total));
    }

    /// Notes that the client was told the number at a JSON pointer, by the answer to an increment. If the client then writes
    /// that number from an older version, it is not added a second time. The last four numbers of a document count.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.increment("k", &["n"], 3)?;
    /// let session = palace.session();
    /// let key = session.get("k")?.ok_or("it was written")?.key;
    /// palace.patch("k", &json!({"b": 1}))?;
    /// let counted = palace.increment("k", &["n"], 1)?;
    /// session.saw_number(&key, "/n", 4, &counted);
    /// session.put("k", &json!({"n": 4}))?; // made from what it read, where n was 3
    /// assert_eq!(palace.get("k")?.ok_or("it was written")?.value["n"], 4);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saw_number(&self, key: &Key, path: &str, value: i64, outcome: &Outcome) {
        self.note(key, |versions| versions.told_number(path, value, &outcome.own));
    }

    /// Notes that the client was shown anything of the present version: a snippet, or the row of a list. That is never a
    /// base. A delete compares it with the version that it would hide.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// palace.put("k", &json!({"a": 1}))?;
    /// let session = palace.session();
    /// let listed = palace.get("k")?.ok_or("it was written")?;
    /// session.saw_some(&listed.key, &listed.heads);
    /// palace.put("k", &json!({"a": 2}))?;
    /// assert!(session.delete("k")?.changed_since.is_some()); // nothing was deleted
    /// assert!(session.delete("k")?.changed_since.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn saw_some(&self, key: &Key, heads: &Heads) {
        self.note(key, |versions| versions.saw_some(heads));
    }
}
