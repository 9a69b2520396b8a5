//! One document's row of a new snapshot.
//!
//! Invariant: a row that is given holds every change of what it was made from: applied in its document, or
//! raw among those that wait. That is asked of a document that was loaded from the very bytes of the row.

use crate::format::hash::{ChangeHash, Heads};
use crate::format::key::Key;
use crate::format::plural::count;
use crate::merge::{self, Doc};
use crate::palace::error::{Error, Result};
use crate::palace::view::rows::{doc_of_rows, load_row, parse_view};
use crate::palace::view::text::text_of;
use crate::snapshot::Row;
use bytes::Bytes;
use std::collections::{BTreeSet, HashSet};

/// Number of absorbed rows whose heads a row remembers. Forgetting one costs a reader a merge, nothing else.
const ABSORBED_MAX: usize = 32;

/// Bytes that stood in a segment as a change of a document.
pub struct Incoming {
    /// As they stood there.
    pub bytes: Bytes,
    /// Their hash, if they are a change.
    pub hash: Option<ChangeHash>,
}

/// The row, and the text that it is to be found by, from the rows of older snapshots, oldest first, and
/// the changes of segments. A single row is taken as it is.
///
/// # Errors
/// [`Error::Unverified`] if something of it would not be in the row.
pub fn make_row(key: Key, mut found: Vec<Row>, new: &[Incoming]) -> Result<(Row, String)> {
    if let (true, [row]) = (new.is_empty(), found.as_slice()) {
        let view = parse_view(&row.view, &key)?;
        // A server of an earlier version hides what was edited in an object that was removed at once, and the readings of
        // a place of a text that a write left open.
        if !view.predates_text_merge(key.prose_field())
            && !merge::may_be_concurrent(&row.document)
            && let Some(row) = found.pop()
        {
            return Ok((row, text_of(&view.value, &view.conflicts)));
        }
    }
    let merged = merge_all(&key, &found, new)?;
    row_of(key, &found, new, merged)
}

fn row_of(key: Key, found: &[Row], new: &[Incoming], merged: Merged) -> Result<(Row, String)> {
    let wanted = Wanted::of(found, new);
    let absorbed = absorbed(found, &merged.doc.heads());
    let view = merged.doc.view();
    let text = text_of(&view.value, &view.conflicts);
    let view =
        serde_json::to_string(&view).map_err(|source| Error::View { key: key.clone(), source })?;
    let mut waiting: Vec<_> = merged.doc.pending().map(|(_, change)| change.to_vec()).collect();
    waiting.extend(merged.refused);
    let heads = merged.doc.heads();
    let row = Row { key, document: merged.saved, heads, view, waiting, absorbed };
    match wanted.missing(&merged.doc, &row) {
        None => Ok((row, text)),
        Some(what) => Err(Error::Unverified { problem: format!("lacks {what} of {}", row.key) }),
    }
}

/// Returns the digest that a row must have when it is read back.
pub fn digest(row: &Row) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once(&row.document).chain(&row.waiting) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

struct Merged {
    /// Loaded from `saved`.
    doc: Doc,
    saved: Vec<u8>,
    /// Changes that Automerge refuses, now or in an earlier compaction. They are kept with the pending changes, because
    /// nothing is ever dropped.
    refused: Vec<Vec<u8>>,
}

fn merge_all(key: &Key, found: &[Row], new: &[Incoming]) -> Result<Merged> {
    let before = found.iter().flat_map(|row| row.waiting.iter().map(Vec::as_slice));
    let given: Vec<&[u8]> = new.iter().map(|change| &change.bytes[..]).chain(before).collect();
    let doc = doc_of_rows(found, key)?;
    let merged = found.iter().all(|row| doc.contains_all(&row.heads));
    if merged && let Some((doc, saved)) = doc.apply_and_save(given.iter().copied()) {
        return Ok(Merged { doc, saved, refused: Vec::new() });
    }
    // Slower, but it tells what is refused.
    let mut doc = doc_of_rows(found, key)?;
    let own = changes_beyond(&doc, found, key)?;
    let all: Vec<&[u8]> = own.iter().map(Vec::as_slice).chain(given).collect();
    let refused = match doc.apply(all.iter().copied()).rejected.is_empty() {
        true => Vec::new(),
        false => refused(&doc, all.clone()),
    };
    match doc.apply_and_save([]) {
        Some((doc, saved)) => Ok(Merged { doc, saved, refused }),
        None => unmerged(key, found, all),
    }
}

/// Keeps a document that could not be loaded once it is saved: the newest row as it is, and all other changes beside it.
/// Compaction must not stop at it for good.
fn unmerged(key: &Key, found: &[Row], given: Vec<&[u8]>) -> Result<Merged> {
    tracing::warn!(%key, "Automerge cannot save the merge of this document: its changes are kept beside it");
    let (doc, saved) = match found.last() {
        Some(row) => (load_row(row, key)?.with_prose(key.prose_field()), row.document.clone()),
        None => (Doc::new(), Doc::new().save()),
    };
    let beyond = changes_beyond(&doc, found, key)?;
    let refused = refused(&doc, beyond.iter().map(Vec::as_slice).chain(given).collect());
    Ok(Merged { doc, saved, refused })
}

/// Returns the changes of rows that cannot be merged into one document.
fn changes_beyond(doc: &Doc, found: &[Row], key: &Key) -> Result<Vec<Vec<u8>>> {
    let mut beyond = Vec::new();
    for row in found.iter().filter(|row| !doc.contains_all(&row.heads)) {
        let changes = load_row(row, key)?.changes();
        let changes = changes.map_err(|source| Error::Document { key: key.clone(), source })?;
        let changes = changes.into_iter().filter(|(hash, _)| !doc.contains(hash));
        beyond.extend(changes.map(|(_, bytes)| bytes));
    }
    Ok(beyond)
}

fn refused(doc: &Doc, given: Vec<&[u8]>) -> Vec<Vec<u8>> {
    let waiting: HashSet<ChangeHash> = doc.pending().map(|(hash, _)| *hash).collect();
    let refused = |change: &&[u8]| match merge::hash_of(change) {
        Ok(hash) => !doc.contains(&hash) && !waiting.contains(&hash),
        Err(_) => true,
    };
    let refused: BTreeSet<&[u8]> = given.into_iter().filter(refused).collect();
    refused.into_iter().map(<[u8]>::to_vec).collect()
}

fn absorbed(found: &[Row], now: &Heads) -> Vec<Heads> {
    let own = found.iter().rev().map(|row| &row.heads);
    let earlier = found.iter().rev().flat_map(|row| &row.absorbed);
    let mut seen = HashSet::new();
    let others = own.chain(earlier).filter(|heads| *heads != now && seen.insert(*heads));
    others.take(ABSORBED_MAX).cloned().collect()
}

/// The content that a row must have.
struct Wanted {
    heads: Vec<Heads>,
    changes: Vec<ChangeHash>,
    /// Bytes that are no change: they have no name, and can only be kept as they are.
    nameless: Vec<Bytes>,
}

impl Wanted {
    fn of(found: &[Row], new: &[Incoming]) -> Self {
        let heads = found.iter().map(|row| row.heads.clone()).collect();
        let mut wanted = Wanted { heads, changes: Vec::new(), nameless: Vec::new() };
        for Incoming { bytes, hash } in new {
            // A change that was accepted once may be refused now, and has a hash all the same.
            let hash = hash.or_else(|| merge::hash_of(bytes).ok());
            wanted.add(hash, || bytes.clone());
        }
        for change in found.iter().flat_map(|row| &row.waiting) {
            // Bytes without a hash are wanted as they are.
            wanted.add(merge::hash_of(change).ok(), || Bytes::from(change.clone()));
        }
        wanted
    }

    fn add(&mut self, hash: Option<ChangeHash>, bytes: impl FnOnce() -> Bytes) {
        match hash {
            Some(hash) => self.changes.push(hash),
            None => self.nameless.push(bytes()),
        }
    }

    /// Describes something that is neither in the document nor kept beside it; `None` if all is there.
    fn missing(&self, doc: &Doc, row: &Row) -> Option<String> {
        let kept = row.waiting.iter().filter_map(|change| merge::hash_of(change).ok());
        let kept: HashSet<ChangeHash> = kept.collect();
        let held = |hash: &&ChangeHash| doc.contains(hash) || kept.contains(*hash);
        let version =
            self.heads.iter().find(|heads| !heads.hashes().iter().all(|hash| held(&hash)));
        let change = self.changes.iter().find(|hash| !held(hash));
        let bytes = self.nameless.iter().find(|bytes| !row.waiting.iter().any(|w| w == *bytes));
        let version = version.map(|heads| format!("version {}", heads.etag()));
        version
            .or_else(|| change.map(|hash| format!("change {hash}")))
            .or_else(|| bytes.map(|bytes| format!("{} of no change", count(bytes.len(), "byte"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merge::Stamp;

    fn change(actor: u8) -> Vec<u8> {
        let stamp = Stamp { actor: [actor; 16], time_ms: 1, by: "", undoes: "" };
        let value = serde_json::Map::from_iter([("n".to_owned(), actor.into())]);
        Doc::new().put(&stamp, None, &value).unwrap().unwrap().bytes
    }

    fn incoming(bytes: &[u8]) -> Incoming {
        Incoming { bytes: Bytes::copy_from_slice(bytes), hash: merge::hash_of(bytes).ok() }
    }

    fn made_of(changes: &[&[u8]]) -> Row {
        let new: Vec<_> = changes.iter().map(|change| incoming(change)).collect();
        make_row(Key::new("k").unwrap(), Vec::new(), &new).unwrap().0
    }

    #[test]
    fn a_row_keeps_what_is_no_change() {
        let row = made_of(&[b"noise", &change(1), b"more noise"]);
        assert_eq!(row.waiting, [b"more noise".to_vec(), b"noise".to_vec()]);
        let again =
            make_row(row.key.clone(), vec![row.clone()], &[incoming(&change(2))]).unwrap().0;
        assert_eq!(again.waiting, row.waiting);
        let doc = Doc::load(&again.document).unwrap();
        assert_eq!((doc.history().len(), again.absorbed), (2, vec![row.heads]));
    }

    /// Two changes of one actor with one number, from a program that was copied while it ran, say: Automerge takes one.
    /// Compaction must not stop at it for good.
    #[test]
    fn rows_that_cannot_be_merged_are_kept() {
        let key = Key::new("k").unwrap();
        let one_of = |n: u64| {
            let stamp = Stamp { actor: [1; 16], time_ms: 1, by: "", undoes: "" };
            let value = serde_json::Map::from_iter([("n".to_owned(), n.into())]);
            Doc::new().put(&stamp, None, &value).unwrap().unwrap().bytes
        };
        let (one, two, three) = (one_of(1), one_of(2), change(3));
        let rows = vec![made_of(&[&one]), made_of(&[&two])];
        let merged = make_row(key.clone(), rows.clone(), &[]).unwrap().0;
        assert_eq!(
            (merged.heads.clone(), &merged.waiting),
            (rows[1].heads.clone(), &vec![one.clone()])
        );
        let again = make_row(key, vec![merged], &[incoming(&three)]).unwrap().0;
        assert_eq!(again.waiting, [one]);
        assert_eq!(Doc::load(&again.document).unwrap().history().len(), 2);
    }

    /// No such document is known: what can be read can be saved, as far as anybody knows.
    #[test]
    fn what_cannot_be_saved_is_kept_beside_the_newest_row() {
        let key = Key::new("k").unwrap();
        let (one, two, three) = (change(1), change(2), change(3));
        let rows = [made_of(&[&one, b"noise"]), made_of(&[&two])];
        for found in [&rows[..], &[]] {
            let new: Vec<_> = [&three[..], b"more"].map(incoming).into();
            let noise = found.iter().flat_map(|row| row.waiting.iter().map(Vec::as_slice));
            let given = new.iter().map(|change| &change.bytes[..]).chain(noise).collect();
            let merged = unmerged(&key, found, given).unwrap();
            // It says itself if anything is missing.
            let row = super::row_of(key.clone(), found, &new, merged).unwrap().0;
            assert_eq!(row.heads, found.last().map(|row| row.heads.clone()).unwrap_or_default());
            let again = make_row(key.clone(), vec![row], &[]).unwrap().0;
            let again = make_row(key.clone(), vec![again], &[incoming(&change(4))]).unwrap().0;
            let merged = Doc::load(&again.document).unwrap();
            assert_eq!(
                merged.history().len(),
                if found.is_empty() { 2 } else { 4 },
                "it is tried again"
            );
        }
    }

    /// A change that was taken once and is refused by now, in a segment that was put back: the document has it.
    #[test]
    fn a_change_that_is_in_the_document_is_not_missed_where_it_is_not_taken() {
        let (one, two) = (change(1), change(2));
        let back = Incoming { bytes: Bytes::copy_from_slice(&one), hash: None };
        let row = make_row(Key::new("k").unwrap(), vec![made_of(&[&one])], &[back, incoming(&two)]);
        assert_eq!(Doc::load(&row.unwrap().0.document).unwrap().history().len(), 2);
    }

    /// A row of a server that shows one of two texts. Nothing else is changed by what is made of it.
    #[test]
    fn a_view_that_predates_the_merge_of_texts_is_made_again() {
        let key = Key::new("drawer/w/r/0000").unwrap();
        let stamp = |actor: u8| Stamp { actor: [actor; 16], time_ms: 1, by: "", undoes: "" };
        let value = |text: &str| serde_json::Map::from_iter([("content".to_owned(), text.into())]);
        let mut doc = Doc::new();
        doc.put(&stamp(1), None, &value("One. Two.")).unwrap().unwrap();
        let base = doc.heads();
        doc.put(&stamp(2), Some(&base), &value("Eins. Two.")).unwrap().unwrap();
        doc.put(&stamp(3), Some(&base), &value("One. Zwei.")).unwrap().unwrap();
        let (view, heads) = (serde_json::to_string(&doc.view()).unwrap(), doc.heads());
        assert!(!view.contains("Eins. Zwei."), "such a server shows one of them");
        let document = doc.save();
        let (waiting, absorbed) = (Vec::new(), Vec::new());
        let old = Row { key: key.clone(), document, heads, view, waiting, absorbed };
        let (new, text) = make_row(key.clone(), vec![old.clone()], &[]).unwrap();
        assert_eq!(parse_view(&new.view, &key).unwrap().value, value("Eins. Zwei."));
        assert_eq!((text.as_str(), &new.heads), ("Eins. Zwei.\n", &old.heads));
        assert_eq!(make_row(key, vec![new.clone()], &[]).unwrap().0, new);
    }

    #[test]
    fn a_row_that_lacks_anything_of_its_inputs_is_noticed() {
        let (one, two) = (change(1), change(2));
        let input = made_of(&[&one, b"no change"]);
        let wanted = Wanted::of(&[input], &[incoming(&two), incoming(b"noise")]);
        let lacks = |changes: &[&[u8]]| {
            let row = made_of(changes);
            wanted.missing(&Doc::load(&row.document).unwrap(), &row)
        };
        assert_eq!(lacks(&[&one, &two, b"noise", b"no change"]), None);
        let hash = merge::hash_of(&two).unwrap();
        assert_eq!(lacks(&[&one, b"noise", b"no change"]), Some(format!("change {hash}")));
        let lost = lacks(&[&two, b"noise", b"no change"]).unwrap();
        assert!(lost.starts_with("version "), "{lost}");
        for (kept, length) in [(&b"noise"[..], 9), (b"no change", 5)] {
            let lost = lacks(&[&one, &two, kept]);
            assert_eq!(lost, Some(format!("{length} bytes of no change")));
        }
    }
}
