//! What a commit did to a document, and with whom it is in conflict.

use crdt_palace::palace::ChangeEffect::{self, Created, Deleted, Edited, Filed, Restored, Settled};
use crdt_palace::palace::feed::Cursor;
use crdt_palace::palace::{DocumentEffects, Key, Palace, WriteOptions};
use serde_json::json;

/// What each commit did to its first document, in order.
fn effects(palace: &Palace) -> Vec<DocumentEffects> {
    let commits = palace.changes_since(&Cursor::default(), 100).unwrap().commits;
    commits.iter().map(|it| palace.effects(it, &it.keys[0]).unwrap().unwrap()).collect()
}

#[test]
fn effects_of_commits_are_the_same_after_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let palace = Palace::open(dir.path().join("palace")).unwrap();
    let first = palace.put("k", &json!({"a": 1, "b": 1})).unwrap().etag;
    palace.put("k", &json!({"a": 2, "b": 1})).unwrap();
    let beside = palace.with(WriteOptions::new().base(first));
    beside.put("k", &json!({"a": 3, "b": 2})).unwrap();
    palace.patch("k", &json!({"a": 4})).unwrap();
    palace.delete("k").unwrap();
    palace.put("k", &json!({"a": 5, "b": 2})).unwrap();
    palace.delete("k").unwrap();
    palace.session().undelete("k").unwrap();
    let key = Key::new("f").unwrap();
    for _ in 0..2 {
        let filing = palace.write("f", |draft| draft.file(&key, &json!({"text": "once"})));
        filing.unwrap();
        palace.delete("f").unwrap();
    }
    let expected: [(&[ChangeEffect], &[&str]); 12] = [
        (&[Created], &[]),
        (&[Edited], &["a"]),
        (&[Edited], &["a", "b"]),
        (&[Edited, Settled], &["a"]),
        (&[Deleted], &[]),
        (&[Edited, Restored], &["a"]),
        (&[Deleted], &[]),
        (&[Restored], &[]),
        (&[Created], &[]),
        (&[Deleted], &[]),
        (&[Filed, Restored], &[]),
        (&[Deleted], &[]),
    ];
    let found = effects(&palace);
    let words: Vec<_> = found.iter().map(|it| (it.effects.as_slice(), it.fields.clone())).collect();
    let named = |fields: &[&str]| fields.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let expected: Vec<_> = expected.into_iter().map(|(did, it)| (did, named(it))).collect();
    assert_eq!(words, expected);
    palace.compact(Default::default()).unwrap();
    assert_eq!(effects(&Palace::open(palace.path()).unwrap()), found);
}

/// A change names the last change of its process too, beside the delete that it builds on.
#[test]
fn restored_documents_are_told_of_an_earlier_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (ann, bob) = (Palace::open(dir.path()).unwrap(), Palace::open(dir.path()).unwrap());
    ann.put("k", &json!({"n": 1})).unwrap();
    bob.put("k", &json!({"n": 2})).unwrap();
    ann.delete("k").unwrap();
    bob.session().undelete("k").unwrap();
    let mut did: Vec<_> = effects(&ann).into_iter().map(|it| it.effects).collect();
    did.sort_unstable();
    assert_eq!(did, [[Created], [Edited], [Deleted], [Restored]]);
}

#[test]
fn rivals_are_the_other_writers_of_open_conflicts() {
    let dir = tempfile::tempdir().unwrap();
    let palace = Palace::open(dir.path().join("palace")).unwrap();
    let first = palace.put("k", &json!({"a": 0, "b": 0})).unwrap().etag;
    for (n, by) in [(1, "ann"), (2, "bob"), (3, "carl")] {
        let options = WriteOptions::new().base(first.clone()).by(by);
        palace.with(options).patch("k", &json!({"a": n})).unwrap();
    }
    palace.with(WriteOptions::new().by("dora")).patch("k", &json!({"b": 1})).unwrap();
    let rivals = || -> Vec<Vec<String>> {
        let by = |it: DocumentEffects| {
            let mut by: Vec<String> = it.rivals.into_iter().map(|it| it.written.by).collect();
            by.sort();
            by
        };
        effects(&palace).into_iter().skip(1).map(by).collect()
    };
    assert_eq!(rivals(), [vec!["bob", "carl"], vec!["ann", "carl"], vec!["ann", "bob"], vec![]]);
    palace.patch("k", &json!({"a": 4})).unwrap();
    assert!(rivals().iter().all(Vec::is_empty), "it is settled");
}
