use super::*;
use crate::merge::{
    ChangeKind, FIELD_NAME_BYTES_MAX, MergeError, OPERATIONS_MAX, deps_of, explain, hash_of,
};
use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::json;

#[test]
fn a_put_writes_only_what_differs() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"title": "x", "tags": ["p", "q"], "meta": {"n": 1, "m": null}}));
    let change = put(&mut doc, 'a', json!({"title": "x", "tags": ["p", "q"], "meta": {"n": 2}}));
    let info = explain(&change.bytes).unwrap();
    assert_eq!(info.ops, ["delete m in 1@61616161", "set n in 1@61616161 = 2"]);
    assert_eq!(value(&doc), json!({"title": "x", "tags": ["p", "q"], "meta": {"n": 2}}));
    let again = doc.put(&by('a'), None, &doc.view().value).unwrap();
    assert_eq!(again, None);
    assert_eq!(doc.history().len(), 2);
}

#[test]
fn putting_an_empty_map_creates_the_document() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({}));
    assert_eq!((doc.history().len(), doc.is_deleted()), (1, false));
    assert_eq!(doc.put(&by('a'), None, &map(json!({}))).unwrap(), None);
}

#[test]
fn a_patch_follows_rfc_7396() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"a": 1, "b": {"c": 1, "d": 2}, "l": [1, 2]}));
    patch(&mut doc, 'a', json!({"a": null, "b": {"c": null, "e": {"f": 1, "g": null}}, "l": [2]}));
    assert_eq!(value(&doc), json!({"b": {"d": 2, "e": {"f": 1}}, "l": [2]}));
    let nothing = map(json!({"zzz": null, "b": {"d": 2}}));
    assert_eq!(doc.patch(&by('a'), None, &nothing).unwrap(), None);
    patch(&mut doc, 'a', json!({"b": {"d": {"now": "a map"}}}));
    assert_eq!(value(&doc)["b"]["d"], json!({"now": "a map"}));
}

#[test]
fn strings_are_scalars_and_numbers_keep_their_type() {
    let mut doc = Doc::new();
    let numbers = json!({"i": -3, "u": u64::MAX, "f": 1.0, "s": "text", "b": true});
    put(&mut doc, 'a', numbers.clone());
    assert_eq!(value(&doc), numbers);
    let scalar = |key: &str| doc.am.get(ROOT, key).unwrap().unwrap().0.into_scalar().unwrap();
    assert_eq!(scalar("i"), ScalarValue::Int(-3));
    assert_eq!(scalar("u"), ScalarValue::Uint(u64::MAX));
    assert_eq!(scalar("f"), ScalarValue::F64(1.0));
    assert_eq!(scalar("s"), ScalarValue::Str("text".into()));
    assert_eq!(doc.put(&by('a'), None, &map(numbers)).unwrap(), None);
    let change = put(&mut doc, 'a', json!({"i": -3.0, "u": u64::MAX, "f": 1, "s": "t", "b": true}));
    assert_eq!(explain(&change.bytes).unwrap().operations, 3);
}

#[test]
fn a_first_write_in_one_batch_equals_single_writes() {
    let content = json!({"m": {"x": {"y": [1, {"z": 2}]}}, "l": [[], [["deep"]]], "s": "é"});
    let mut fresh = Doc::new();
    put(&mut fresh, 'a', content.clone());
    let mut grown = Doc::new();
    put(&mut grown, 'a', json!({"to go": 1}));
    put(&mut grown, 'a', content.clone());
    assert_eq!(value(&fresh), content);
    assert_eq!(value(&grown), content);
}

#[test]
fn a_put_over_a_text_edits_its_characters() {
    let mut doc = Doc::new();
    doc.edit(&by('a'), None, |tx| {
        let text = tx.put_object(ROOT, "t", ObjType::Text)?;
        tx.splice_text(&text, 0, 0, "hello world")
    })
    .unwrap();
    assert_eq!(value(&doc), json!({"t": "hello world"}));
    let mut other = doc.clone();
    put(&mut doc, 'a', json!({"t": "hello big world"}));
    put(&mut other, 'b', json!({"t": "hello world!"}));
    sync(&mut doc, &mut other);
    assert_eq!(value(&doc), json!({"t": "hello big world!"}));
    assert_eq!(conflicts(&doc), []);
}

#[test]
fn a_failed_edit_leaves_nothing_behind() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"x": 1}));
    let before = doc.heads();
    let failed = doc.edit(&by('b'), None, |tx| {
        tx.put(ROOT, "y", 2)?;
        tx.increment(ROOT, "x", 1)
    });
    assert!(matches!(failed, Err(MergeError::Refused { .. })), "{failed:?}");
    assert_eq!((doc.heads(), value(&doc)), (before, json!({"x": 1})));
    let (number, change) = doc.edit(&by('b'), None, |_| Ok(7)).unwrap();
    assert_eq!((number, change), (7, None));
    put(&mut doc, 'b', json!({"x": 2}));
    assert_eq!(doc.history()[1].sequence, 1);
}

#[test]
fn a_change_names_its_writer_time_and_dependencies() {
    let mut doc = Doc::new();
    let first = put(&mut doc, 'a', json!({"x": 1}));
    let second = put(&mut doc, 'b', json!({"x": 2}));
    assert_eq!(hash_of(&second.bytes).unwrap(), second.hash);
    assert_eq!(deps_of(&second.bytes).unwrap(), [first.hash]);
    let info = explain(&second.bytes).unwrap();
    assert_eq!((info.by.as_str(), info.time_ms, info.kind), ("b", 1001, ChangeKind::Edit));
    assert_eq!((info.sequence, info.start_op, info.deps.as_slice()), (1, 2, &[first.hash][..]));
    assert_eq!(info.ops, ["set x = 2"]);
    let history = doc.history();
    assert_eq!(history[1].hash, info.hash);
    assert_eq!(history[1].actor, "62".repeat(16));
    let modified = doc.view().modified.unwrap();
    assert_eq!((modified.by.as_str(), modified.time_ms, modified.change), ("b", 1001, second.hash));
    assert_eq!(doc.change_bytes(&first.hash).unwrap(), Some(first.bytes.clone()));
    assert_eq!(doc.changes().unwrap(), [(first.hash, first.bytes), (second.hash, second.bytes)]);
}

#[test]
fn a_foreign_change_message_is_taken_as_the_writers_name() {
    use crate::merge::change_message::Message;
    assert_eq!(Message::parse(Some("bumped the version")).by, "bumped the version");
    assert_eq!(Message::parse(Some(r#"{"by":"x"}"#)).by, "x");
    assert_eq!(Message::parse(Some(r#"{"by":"x","kind":"novel"}"#)).kind, ChangeKind::Unknown);
    assert_eq!(Message::parse(Some("[1]")).kind, ChangeKind::Edit);
    assert_eq!(Message::new("", ChangeKind::Edit).encode(), None);
    let delete = Message::new("me", ChangeKind::Delete).encode().unwrap();
    assert_eq!(delete, r#"{"by":"me","kind":"delete"}"#);
}

#[test]
fn a_write_at_a_base_is_concurrent_with_later_changes() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"x": 1, "y": 1}));
    let base = doc.heads();
    put(&mut doc, 'b', json!({"x": 2, "y": 1}));
    let late = doc.put(&by('c'), Some(&base), &map(json!({"x": 3, "y": 1}))).unwrap().unwrap();
    assert_eq!(deps_of(&late.bytes).unwrap(), base.hashes());
    assert_eq!(explain(&late.bytes).unwrap().ops, ["set x = 3"]);
    assert_eq!(value(&doc), json!({"x": 3, "y": 1}));
    assert_eq!(conflicts(&doc), [("/x".to_owned(), vec![json!(2)])]);
    let patched = doc.patch(&by('d'), Some(&base), &map(json!({"y": null}))).unwrap();
    assert!(patched.is_some());
    assert_eq!(value(&doc), json!({"x": 3}));
    let unknown = Heads::new(vec![crate::format::hash::ChangeHash([9; 32])]);
    let error = doc.put(&by('a'), Some(&unknown), &map(json!({}))).unwrap_err();
    assert!(matches!(error, MergeError::UnknownVersion { .. }));
}

#[test]
fn writes_at_old_versions_never_repeat_a_sequence_number() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"x": 1}));
    let base = doc.heads();
    // The delete has no operations: Automerge's own choice of an actor overlooks it.
    doc.delete(&by('a')).unwrap().unwrap();
    for n in 0..3 {
        doc.put(&by('a'), Some(&base), &map(json!({"x": 10 + n}))).unwrap().unwrap();
    }
    doc.put(&by('a'), Some(&Heads::default()), &map(json!({"z": 1}))).unwrap().unwrap();
    let mut ids: Vec<_> = doc.history().into_iter().map(|c| (c.actor, c.sequence)).collect();
    assert_eq!(ids.len(), 6);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6, "{ids:?}");
    let mut copy = Doc::new();
    let changes = doc.changes().unwrap();
    for (_, bytes) in changes.iter().rev() {
        assert_eq!(copy.apply([bytes.as_slice()]).rejected, []);
    }
    assert_eq!((copy.heads(), copy.view()), (doc.heads(), doc.view()));
    // The next number follows the last one of the same actor.
    let next = put(&mut doc, 'a', json!({"x": 99}));
    assert_eq!(explain(&next.bytes).unwrap().sequence, 3);
}

#[test]
fn an_actor_with_pending_changes_writes_under_another_id() {
    let mut theirs = Doc::new();
    let first = put(&mut theirs, 'b', json!({"x": 1}));
    let second = put(&mut theirs, 'a', json!({"x": 2}));
    let mut doc = Doc::new();
    assert_eq!(doc.apply([second.bytes.as_slice()]).new, 0);
    let mine = put(&mut doc, 'a', json!({"y": 1}));
    assert_eq!(doc.pending().map(|(hash, _)| *hash).collect::<Vec<_>>(), [second.hash]);
    let applied = doc.apply([first.bytes.as_slice()]);
    assert_eq!((applied.new, applied.rejected), (2, vec![]));
    assert_eq!(value(&doc), json!({"x": 2, "y": 1}));
    assert_ne!(explain(&mine.bytes).unwrap().actor, "61".repeat(16));
}

#[test]
fn an_etag_resolves_to_a_past_version() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"x": 1}));
    let old = doc.heads();
    let mut other = doc.clone();
    put(&mut doc, 'a', json!({"x": 2}));
    put(&mut other, 'b', json!({"x": 3}));
    sync(&mut doc, &mut other);
    assert_eq!(doc.resolve(&doc.heads().etag()), Some(doc.heads()));
    assert_eq!(doc.heads().hashes().len(), 2);
    let heads = doc.resolve(&old.etag()).unwrap();
    assert_eq!(heads, old);
    assert_eq!(view_at(&doc, &heads).value, map(json!({"x": 1})));
    let half = Heads::new(vec![doc.heads().hashes()[0]]);
    assert_eq!(doc.resolve(&half.etag()), Some(half));
    assert_eq!(doc.resolve(&"0000000000000000".parse().unwrap()), None);
    let mixed = format!("{}.0000000000000000", old.etag());
    assert_eq!(doc.resolve(&mixed.parse().unwrap()), None);
}

#[test]
fn values_over_the_limits_are_refused() {
    let mut doc = Doc::new();
    let long = map(json!({"t": "x".repeat(1 << 20)}));
    let error = doc.put(&by('a'), None, &long).unwrap_err();
    assert_eq!(error, MergeError::TooLarge { bytes: (1 << 20) + 8, limit: 1 << 20 });
    let nested = |depth: usize| (1..depth).fold(json!({}), |inner, _| json!({"d": inner}));
    assert!(doc.put(&by('a'), None, &map(nested(64))).unwrap().is_some());
    let error = doc.put(&by('a'), None, &map(nested(65))).unwrap_err();
    assert_eq!(error, MergeError::TooDeep { limit: 64 });
    let many = map(json!({"l": vec![1; 100_001]}));
    let error = doc.put(&by('a'), None, &many).unwrap_err();
    assert!(matches!(error, MergeError::TooMany { count: 100_002.., .. }), "{error:?}");
    let error = Doc::new().put(&by('a'), None, &many).unwrap_err();
    assert!(matches!(error, MergeError::TooMany { .. }), "{error:?}");
    assert_eq!(doc.history().len(), 1);
    assert_eq!(value(&doc), nested(64));
}

#[test]
fn content_filed_twice_is_one_document() {
    let key = crate::format::key::Key::new("drawer/3f9a").unwrap();
    let content = map(json!({"content": "hello", "meta": {"a": [1, 2.5]}, "room": "r"}));
    let filed = |content| {
        let first = Doc::content_derived_change(&key, content).unwrap();
        let mut doc = Doc::new();
        assert_eq!(doc.apply([&first.bytes[..]]).rejected, []);
        (doc, first)
    };
    let (mut a, first_a) = filed(&content);
    let (mut b, first_b) = filed(&content);
    assert_eq!(first_a, first_b);
    // The format promises this: another encoder must take another domain.
    assert_eq!(explain(&first_a.bytes).unwrap().time_ms, 0);
    let noted = a.record_filing(&by('a')).unwrap();
    b.record_filing(&by('b')).unwrap();
    sync(&mut a, &mut b);
    assert_eq!(a.view().value, content);
    assert_eq!(conflicts(&a), []);
    assert_eq!(a.history().len(), 3);
    assert_eq!(explain(&noted.bytes).unwrap().kind, ChangeKind::Filed);
    assert_eq!(a.view().modified.unwrap().by, "b");
    let other = map(json!({"content": "hello!", "room": "r"}));
    let (mut c, _) = filed(&other);
    assert_eq!(c.merge(&a).unwrap().rejected, [], "two contents under one key must merge");
    let (empty, change) = filed(&Map::new());
    assert_eq!((empty.view().value, explain(&change.bytes).unwrap().operations), (Map::new(), 0));
}

#[test]
fn a_saved_document_loads_unchanged() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"x": 1, "l": ["p"]}));
    let mut other = doc.clone();
    put(&mut doc, 'a', json!({"x": 2, "l": ["p", "q"]}));
    put(&mut other, 'b', json!({"x": 3, "l": ["r", "p"]}));
    sync(&mut doc, &mut other);
    let loaded = Doc::load(&doc.save()).unwrap();
    assert_eq!((loaded.heads(), loaded.view()), (doc.heads(), doc.view()));
    assert_eq!(loaded.changes().unwrap().len(), 3);
    let text = serde_json::to_string(&doc.view()).unwrap();
    assert_eq!(serde_json::from_str::<View>(&text).unwrap(), doc.view());
    for bad in [&doc.save()[..40], &[], &[0; 64]] {
        assert!(matches!(Doc::load(bad), Err(MergeError::NotADocument { .. })));
    }
    let mut flipped = doc.save();
    flipped[60] ^= 1;
    assert!(Doc::load(&flipped).is_err());
    assert_eq!(Doc::load(&Doc::new().save()).unwrap().heads(), Heads::default());
}

/// A change that is acknowledged must be visible to every process.
#[test]
fn a_change_that_readers_would_refuse_is_not_made() {
    let (name, mut doc) = ("n".repeat(200), Doc::new());
    let error = doc
        .edit(&by('a'), None, |tx| (0..90_000).try_for_each(|n| tx.put(ROOT, &name, n)))
        .unwrap_err();
    let names = MergeError::TooMany {
        what: "bytes of field names",
        count: 90_000 * 200,
        limit: FIELD_NAME_BYTES_MAX,
    };
    assert_eq!(error, names);
}

#[test]
fn too_many_conflicts_are_settled_in_several_changes() {
    let fields = |n: u64| -> Map<String, Json> {
        (0..50_001).map(|field| (format!("f{field:05}"), (field + n).into())).collect()
    };
    let mut base = Doc::new();
    put(&mut base, 'a', fields(0).into());
    let mut doc = base.clone();
    for (n, name) in (1..).zip('b'..='c') {
        let mut other = base.clone();
        put(&mut other, name, fields(n).into());
        assert_eq!(doc.merge(&other).unwrap().rejected, []);
    }
    let (heads, mut all) = (doc.heads(), doc.view().value);
    assert_eq!(all, fields(2));
    all.insert("f00000".to_owned(), "new".into());
    let error = doc.patch(&by('m'), None, &all).err();
    // A value that is shown already is written as null first.
    let count = 2 * 50_000 + 1;
    assert_eq!(
        error,
        Some(MergeError::TooMany { what: "operations", count, limit: OPERATIONS_MAX })
    );
    assert_eq!(doc.heads(), heads, "nothing was done");
    let some = all.into_iter().take(1_000).collect();
    let settled = doc.patch(&by('m'), None, &some).unwrap().unwrap().settled;
    assert_eq!((settled.len(), doc.view().conflicts.len()), (1_000, 49_001));
}
