use super::*;
use crate::format::hash::ChangeHash;
use crate::merge::{MergeError, deps_of, explain, hash_of};
use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::marks::{ExpandMark, Mark};
use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, Change, ExpandedChange, ObjType, ROOT, ReadDoc, ScalarValue};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Returns a chunk with a right length and checksum around any content.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    hashed.extend(unsigned(body.len() as u64));
    hashed.extend(body);
    let checksum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &checksum[..4], hashed.as_slice()].concat()
}

fn unsigned(mut n: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
    bytes
}

/// Encodes the length of a run of equal values. One value alone is a literal run.
fn run(n: i64) -> Vec<u8> {
    if n == 1 {
        return vec![0x7f];
    }
    let mut bytes = unsigned(n as u64);
    if bytes.last().unwrap() & 0x40 != 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
    }
    bytes
}

/// Returns a change with raw columns `(name, bytes)`.
fn with_columns(start_op: u64, columns: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut body = vec![0, 16];
    body.extend([7; 16]);
    body.push(1);
    body.extend(unsigned(start_op));
    body.extend([0, 0, 0]);
    body.extend(unsigned(columns.len() as u64));
    for (name, bytes) in columns {
        body.extend(unsigned(*name));
        body.extend(unsigned(bytes.len() as u64));
    }
    columns.iter().for_each(|(_, bytes)| body.extend(bytes));
    frame(1, &body)
}

/// Returns a change with `count` puts of `null` to one field.
fn puts(start_op: u64, count: i64, name: &str) -> Vec<u8> {
    let mut names = run(count);
    names.extend(unsigned(name.len() as u64));
    names.extend(name.as_bytes());
    let columns = [
        (21, names),
        (52, unsigned(count as u64)),
        (66, [run(count), vec![1]].concat()),
        (86, [run(count), vec![0]].concat()),
        (112, [run(count), vec![0]].concat()),
    ];
    with_columns(start_op, &columns)
}

/// Applies bytes that must be refused, and returns the error.
fn refused(doc: &mut Doc, bytes: &[u8]) -> MergeError {
    assert!(doc.clone().apply_without_copy([bytes]).is_none());
    assert!(doc.clone().apply_and_save([bytes]).is_none());
    let before = (doc.heads(), doc.view());
    let mut applied = doc.apply([bytes]);
    assert_eq!((applied.new, applied.rejected.len()), (0, 1), "{:?}", doc.view());
    assert_eq!((doc.heads(), doc.view()), before);
    assert_eq!(doc.pending().count(), 0);
    applied.rejected.remove(0).1
}

fn expanded(actor: u8, seq: u64, start_op: u64, deps: &[ChangeHash], ops: Vec<Op>) -> Change {
    let native = |hash: &ChangeHash| automerge::ChangeHash(hash.0);
    Change::from(ExpandedChange {
        operations: ops,
        actor_id: ActorId::from([actor; 16]),
        author: None,
        hash: None,
        seq,
        start_op: start_op.try_into().unwrap(),
        time: 0,
        message: None,
        deps: deps.iter().map(native).collect(),
        extra_bytes: Vec::new(),
    })
}

fn put_op(key: &str, value: i64) -> Op {
    let action = OpType::Put(ScalarValue::Int(value));
    Op {
        action,
        obj: ObjectId::Root,
        key: Key::Map(key.into()),
        pred: vec![].into(),
        insert: false,
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let mut doc = Doc::new();
    let change = put(&mut Doc::new(), 'a', json!({"x": "some text", "l": [1, 2, 3]}));
    for at in 0..change.bytes.len() {
        let mut bytes = change.bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let error = refused(&mut doc, &bytes);
        let expected = matches!(error, MergeError::Checksum | MergeError::NotAChange { .. });
        assert!(expected, "{at}: {error:?}");
        assert!(hash_of(&bytes).is_err() && deps_of(&bytes).is_err() && explain(&bytes).is_err());
    }
    for end in 0..change.bytes.len() {
        let error = refused(&mut doc, &change.bytes[..end]);
        assert!(matches!(error, MergeError::NotAChange { .. }), "{end}: {error:?}");
    }
    let longer = [change.bytes.as_slice(), &[0]].concat();
    assert!(matches!(refused(&mut doc, &longer), MergeError::NotAChange { .. }));
}

#[test]
fn chunks_other_than_plain_changes_are_refused() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"x": "y".repeat(500)}));
    let hash = doc.heads().hashes()[0];
    let mut change = doc.am.get_changes(&[]).remove(0);
    let compressed = change.bytes().to_vec();
    assert_eq!(compressed[8], 2);
    for bytes in [compressed, doc.save(), frame(3, &[0]), frame(9, &[])] {
        let error = refused(&mut Doc::new(), &bytes);
        assert_eq!(error, MergeError::NotAChange { why: "its chunk type is not 1" });
    }
    assert_eq!(hash_of(change.raw_bytes()).unwrap(), hash);
}

#[test]
fn run_lengths_are_bounded_before_anything_is_decoded() {
    let mut doc = Doc::new();
    assert_eq!(doc.apply([puts(1, 2, "x").as_slice()]).new, 1, "{:?}", doc.view());
    let bomb = puts(1, 1_000_000, "x");
    assert!(bomb.len() < 120, "{}", bomb.len());
    let too_many = |what, count, limit| MergeError::TooMany { what, count, limit };
    assert_eq!(refused(&mut doc, &bomb), too_many("operations", 1_000_000, 100_000));
    let huge = puts(1, i64::MAX >> 1, "x");
    assert!(matches!(refused(&mut doc, &huge), MergeError::TooMany { .. }));
    let names = puts(1, 90_000, &"n".repeat(1000));
    assert_eq!(refused(&mut doc, &names), too_many("bytes of field names", 90_000_000, 16 << 20));
    let preds = with_columns(1, &[(66, vec![1, 1]), (112, [vec![1], unsigned(1 << 40)].concat())]);
    assert!(matches!(refused(&mut doc, &preds), MergeError::TooMany { .. }));
    let nulls = with_columns(1, &[(66, [vec![0], unsigned(1 << 50)].concat())]);
    assert!(matches!(refused(&mut doc, &nulls), MergeError::TooMany { .. }));
    assert!(matches!(explain(&bomb), Err(MergeError::TooMany { .. })));
}

#[test]
fn an_operation_counter_too_far_ahead_is_refused() {
    let mut doc = Doc::new();
    for start in [1_000_002, u64::from(u32::MAX), 1 << 40, u64::MAX] {
        let error = refused(&mut doc, &puts(start, 1, "x"));
        assert!(
            matches!(error, MergeError::CounterTooFar { .. } | MergeError::Refused { .. }),
            "{start}: {error:?}"
        );
    }
    let far = puts(1_000_000, 1, "x");
    assert_eq!(doc.apply([far.as_slice()]).new, 1);
    // A local write goes on from there.
    put(&mut doc, 'a', json!({"y": 1}));
    assert_eq!(doc.history()[1].start_op, 1_000_001);
}

#[test]
fn a_bad_change_in_a_batch_does_not_block_the_others() {
    let mut good = Doc::new();
    let mut changes: Vec<Vec<u8>> =
        (0..20).map(|n| put(&mut good, 'a', json!({"x": n, "y": [n]})).bytes).collect();
    // Overwrites a value that does not exist: Automerge panics or refuses.
    let mut op = put_op("x", 1);
    op.pred = vec![OpId(77, ActorId::from([8; 16]))].into();
    let lost = expanded(8, 1, 1, &[], vec![op]);
    let mut op = put_op("x", 1);
    op.obj = ObjectId::Id(OpId(99, ActorId::from([9; 16])));
    let nowhere = expanded(9, 1, 1, &[], vec![op]);
    let gap = expanded(10, 5, 1, &[], vec![put_op("z", 1)]);
    let bad = [lost, nowhere, gap].map(|change| change.raw_bytes().to_vec());
    changes.splice(7..7, bad.iter().cloned());
    let mut doc = Doc::new();
    let applied = doc.apply(changes.iter().map(Vec::as_slice));
    let rejected: Vec<_> = applied.rejected.iter().map(|(hash, _)| hash.unwrap()).collect();
    for change in &bad[1..] {
        assert!(rejected.contains(&hash_of(change).unwrap()));
    }
    assert!(applied.new >= 20);
    for (hash, _) in good.changes().unwrap() {
        assert!(doc.contains(&hash));
    }
    assert_eq!(doc.pending().count(), 0);
    // The document can be saved and loaded with what was accepted.
    assert_eq!(Doc::load(&doc.save()).unwrap().view(), doc.view());
}

#[test]
fn a_repeated_sequence_number_is_refused_alone() {
    let one = expanded(5, 1, 1, &[], vec![put_op("x", 1)]);
    let two = expanded(5, 1, 1, &[], vec![put_op("x", 2)]);
    let after = |change: &Change| {
        let deps = [hash_of(change.raw_bytes()).unwrap()];
        expanded(6, 1, 2, &deps, vec![put_op("y", 1)])
    };
    let (after_one, after_two) = (after(&one), after(&two));
    let other = expanded(7, 1, 1, &[], vec![put_op("z", 1)]);
    let mut doc = Doc::new();
    assert_eq!(doc.apply([one.raw_bytes()]).new, 1);
    let batch = [&two, &other, &after_two, &after_one].map(Change::raw_bytes);
    let applied = doc.apply(batch);
    assert_eq!(applied.new, 2);
    let actor = "05".repeat(16);
    let error = MergeError::DuplicateSequence { actor, sequence: 1 };
    assert_eq!(applied.rejected, [(Some(hash_of(two.raw_bytes()).unwrap()), error)]);
    assert_eq!(value(&doc), json!({"x": 1, "y": 1, "z": 1}));
    assert_eq!(doc.missing_dependencies(), [hash_of(two.raw_bytes()).unwrap()]);
    // In one batch one of them is applied, the same one in any order.
    let pair = [one.raw_bytes(), two.raw_bytes()];
    let (mut a, mut b) = (Doc::new(), Doc::new());
    assert_eq!(a.apply(pair).rejected, b.apply(pair.into_iter().rev()).rejected);
    assert_eq!(a.heads(), b.heads());
}

#[test]
fn a_change_in_noncanonical_encoding_is_refused() {
    // The operations that Automerge would write, with the runs split.
    let canonical = puts(1, 2, "x");
    assert_eq!(Doc::new().apply([canonical.as_slice()]).new, 1);
    let split = with_columns(
        1,
        &[
            (21, vec![1, 1, b'x', 1, 1, b'x']),
            (52, vec![2]),
            (66, vec![1, 1, 1, 1]),
            (86, vec![2, 0]),
            (112, vec![2, 0]),
        ],
    );
    let error = refused(&mut Doc::new(), &split);
    assert_eq!(error, MergeError::NotCanonical);
}

#[test]
fn a_change_that_marks_text_is_refused() {
    let mut author = Automerge::new().with_actor(ActorId::from([7; 16]));
    let mut tx = author.transaction();
    let text = tx.put_object(ROOT, "t", ObjType::Text).unwrap();
    tx.splice_text(&text, 0, 0, "some text").unwrap();
    tx.commit();
    let mut tx = author.transaction();
    tx.mark(&text, Mark::new("bold".to_owned(), true, 0, 4), ExpandMark::Both).unwrap();
    tx.commit();
    let changes = author.get_changes(&[]);
    let mut doc = Doc::new();
    assert_eq!(doc.apply([changes[0].raw_bytes()]).new, 1);
    let error = refused(&mut doc, changes[1].raw_bytes());
    let expected = MergeError::TooMany { what: "marks of text", count: 2, limit: 0 };
    assert_eq!(error, expected);
    // A document that was saved with marks is loaded.
    let loaded = Doc::load(&author.save()).unwrap();
    assert_eq!(loaded.view().value, doc.view().value);
}

/// Operations 1 and 2 of actor 7 make a list and a text, with an element each (3 and 4).
fn list_and_text() -> (Doc, ChangeHash) {
    let op = |action, obj, key, insert| Op { action, obj, key, insert, pred: vec![].into() };
    let id = |counter| OpId::new(counter, &ActorId::from([7; 16]));
    let make =
        |kind, key: &str| op(OpType::Make(kind), ObjectId::Root, Key::Map(key.into()), false);
    let fill = |object| {
        let value = OpType::Put(ScalarValue::Str("c".into()));
        op(value, ObjectId::Id(id(object)), Key::head(), true)
    };
    let ops = vec![make(ObjType::List, "list"), make(ObjType::Text, "text"), fill(1), fill(2)];
    let change = expanded(7, 1, 1, &[], ops);
    let mut doc = Doc::new();
    assert_eq!(doc.apply([change.raw_bytes()]).new, 1);
    assert_eq!(doc.view().value, *json!({"list": ["c"], "text": "c"}).as_object().unwrap());
    (doc, ChangeHash(change.hash().0))
}

/// A release build of Automerge accepts each of them. Some hide other fields of the same map.
#[test]
fn operations_that_do_not_fit_their_object_are_refused() {
    let (mut doc, dep) = list_and_text();
    let id = |counter| OpId::new(counter, &ActorId::from([7; 16]));
    let elem = |counter| Key::Seq(id(counter).into());
    let (root, list, text) = (ObjectId::Root, ObjectId::Id(id(1)), ObjectId::Id(id(2)));
    let (element, nothing) = (ObjectId::Id(id(3)), ObjectId::Id(id(9)));
    let put = || OpType::Put(ScalarValue::Int(5));
    let map_key = || Key::Map("x".into());
    let cases = vec![
        ("names no field", put(), &root, Key::head(), vec![], true),
        ("names no field", put(), &root, Key::head(), vec![], false),
        ("names no field", put(), &root, elem(3), vec![], false),
        ("names no field", put(), &root, map_key(), vec![], true),
        ("names no element", put(), &list, map_key(), vec![], false),
        ("names no element", put(), &text, map_key(), vec![], true),
        ("names no element", put(), &list, Key::head(), vec![id(3)], false),
        ("overwrites no value of it", put(), &list, elem(3), vec![], false),
        ("overwrites no value of it", OpType::Delete, &text, elem(4), vec![], false),
        ("overwrites a value", put(), &list, elem(3), vec![id(3)], true),
        ("inserts no value", OpType::Delete, &list, elem(3), vec![], true),
        ("inserts no value", OpType::Increment(1), &list, elem(3), vec![], true),
        ("sets a character", put(), &text, elem(4), vec![id(4)], false),
        ("a table", OpType::Make(ObjType::Table), &root, map_key(), vec![], false),
        ("does not exist", put(), &element, map_key(), vec![], false),
        ("does not exist", put(), &nothing, map_key(), vec![], false),
        ("does not come before", put(), &list, elem(5), vec![], true),
        ("does not come before", put(), &root, map_key(), vec![id(6)], false),
    ];
    for (n, (what, action, object, key, pred, insert)) in cases.into_iter().enumerate() {
        let op = Op { action, obj: object.clone(), key, pred: pred.into(), insert };
        for actor in [7, 8] {
            let seq = if actor == 7 { 2 } else { 1 };
            let change = expanded(actor, seq, 5, &[dep], vec![op.clone()]);
            let error = refused(&mut doc, change.raw_bytes());
            let told = matches!(&error, MergeError::MalformedOperation { counter: 5, why } if why.contains(what));
            assert!(told, "case {n} of actor {actor}: {error}");
        }
    }
    // An object that is made in the same batch, or the same change, can be used in it.
    let op = |action, obj, key, insert| Op { action, obj, key, insert, pred: vec![].into() };
    let theirs = |counter| OpId::new(counter, &ActorId::from([8; 16]));
    let made = op(OpType::Make(ObjType::Map), list.clone(), elem(3), true);
    let filled = op(put(), ObjectId::Id(theirs(5)), Key::Map("n".into()), false);
    let one = expanded(8, 1, 5, &[dep], vec![made, filled.clone()]);
    let more = Op { key: Key::Map("m".into()), ..filled };
    let two = expanded(8, 2, 7, &[ChangeHash(one.hash().0)], vec![more]);
    assert_eq!(doc.apply([two.raw_bytes(), one.raw_bytes()]).new, 2);
    assert_eq!(doc.view().value["list"], json!(["c", {"m": 5, "n": 5}]));
}

#[test]
fn an_edit_that_readers_would_refuse_is_an_error() {
    let (mut doc, _) = list_and_text();
    let before = doc.view();
    let stamp = Stamp { actor: [1; 16], time_ms: 0, by: "", undoes: "" };
    let set = |doc: &mut Doc| {
        doc.edit(&stamp, None, |tx| {
            let (_, text) = tx.get(ROOT, "text")?.unwrap();
            tx.put(&text, 0, "X")
        })
    };
    assert!(matches!(
        set(&mut doc.clone()),
        Err(MergeError::MalformedOperation { counter: 5, .. })
    ));
    let table = |doc: &mut Doc| {
        doc.edit(&stamp, None, |tx| tx.put_object(ROOT, "t", ObjType::Table).map(drop))
    };
    assert!(matches!(
        table(&mut doc.clone()),
        Err(MergeError::MalformedOperation { counter: 5, .. })
    ));
    let splice = |doc: &mut Doc| {
        doc.edit(&stamp, None, |tx| {
            let (_, text) = tx.get(ROOT, "text")?.unwrap();
            tx.splice_text(&text, 0, 1, "X")
        })
    };
    splice(&mut doc).unwrap();
    assert_eq!((&before.value["text"], &doc.view().value["text"]), (&json!("c"), &json!("X")));
}

#[test]
fn a_time_out_of_range_is_refused() {
    let at = |time| {
        let mut change = ExpandedChange::from(&expanded(7, 1, 1, &[], vec![put_op("x", 1)]));
        (change.time, change.hash) = (time, None);
        Change::from(change)
    };
    for time in [i64::MIN, i64::MAX, 1 << 62, -(1 << 62)] {
        let error = refused(&mut Doc::new(), at(time).raw_bytes());
        assert_eq!(error, MergeError::NotAChange { why: "its time is out of range" });
    }
    // The largest difference that is accepted.
    let mut doc = Doc::new();
    assert_eq!(doc.apply([at((1 << 62) - 1).raw_bytes()]).new, 1);
    let stamp = Stamp { actor: [1; 16], time_ms: -(1 << 62) + 1, by: "", undoes: "" };
    doc.put(&stamp, None, json!({"x": 2}).as_object().unwrap()).unwrap();
    assert_eq!(Doc::load(&doc.save()).unwrap().view(), doc.view());
}

#[test]
fn a_dependency_named_twice_is_refused() {
    let (mut doc, dep) = list_and_text();
    let change = expanded(8, 1, 5, &[dep, dep], vec![put_op("x", 1)]);
    let error = refused(&mut doc, change.raw_bytes());
    assert_eq!(error, MergeError::NotAChange { why: "it names a dependency twice" });
}

#[test]
fn deep_nesting_is_read_to_a_limit() {
    let make = |n: u64| {
        let actor = ActorId::from([3; 16]);
        let obj = if n == 0 { ObjectId::Root } else { ObjectId::Id(OpId(n, actor)) };
        let action = OpType::Make(automerge::ObjType::Map);
        Op { action, obj, key: Key::Map("d".into()), pred: vec![].into(), insert: false }
    };
    let deep = expanded(3, 1, 1, &[], (0..20_000).map(make).collect());
    let mut doc = Doc::new();
    assert_eq!(doc.apply([deep.raw_bytes()]).new, 1);
    let text = serde_json::to_string(&doc.view()).unwrap();
    assert_eq!(serde_json::from_str::<View>(&text).unwrap(), doc.view());
    assert_eq!(text.matches("{\"d\":").count(), crate::merge::tree::READ_DEPTH_MAX + 1);
}

#[test]
fn random_bytes_in_a_valid_frame_do_no_harm() {
    let mut state = 0x1234_5678_9abc_def0u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let source = put(&mut Doc::new(), 'a', json!({"x": "text", "l": [1, {"k": 2}], "n": 7}));
    let mut start = Doc::new();
    assert_eq!(start.apply([source.bytes.as_slice()]).new, 1);
    let next = put(&mut start.clone(), 'a', json!({"x": "texts", "l": [1, {"k": 3}, 4]}));
    assert!(next.bytes.len() > 138, "its length takes two bytes");
    let mut taken = 0;
    for _ in 0..1500 {
        let mut body = next.bytes[11..].to_vec();
        for _ in 0..1 + random() % 3 {
            let at = random() as usize % body.len();
            body[at] = random() as u8;
        }
        let mut doc = start.clone();
        let bytes = frame(1, &body);
        let _explained = explain(&bytes);
        let applied = doc.apply([bytes.as_slice()]);
        taken += applied.new;
        assert_eq!(Doc::load(&doc.save()).unwrap().heads(), doc.heads());
        assert_eq!(doc.changes().unwrap().len(), 1 + applied.new);
        let _shown = doc.view();
    }
    assert!(taken > 0, "no change passed the first checks");
}

#[test]
fn plain_automerge_expands_the_bomb() {
    let bomb = puts(1, 1_000_000, "x");
    assert_eq!(Change::try_from(bomb.as_slice()).unwrap().len(), 1_000_000);
}

/// Automerge accepts a change that starts to count among the operations of those that it builds on, or that has no
/// operations and starts later. It returns it byte for byte and saves it, but cannot load what it saved.
#[test]
fn a_change_with_a_misplaced_counter_is_refused() {
    let mut whole = Doc::new();
    put(&mut whole, 'a', json!({"x": 1, "y": [1, 2]}));
    let all: Vec<_> = whole.heads().hashes().to_vec();
    for (deps, before) in [(&[][..], 0), (&all[..], 4)] {
        for (start, count) in (1..12).flat_map(|start| [0, 1, 3, 7].map(|count| (start, count))) {
            let ops = (0..count).map(|n| put_op(&format!("field {n}"), 1)).collect();
            let change = expanded(9, 1, start, deps, ops);
            let goes_on = start == before + 1 || start > before && count > 0;
            let context = format!("{count} operations from {start} on, after {before}");
            let mut am = whole.am.clone();
            am.apply_changes([change.clone()]).unwrap();
            assert_eq!(automerge::Automerge::load(&am.save()).is_ok(), goes_on, "{context}");
            let mut doc = whole.clone();
            if goes_on {
                assert_eq!(doc.apply([change.raw_bytes()]).new, 1, "{context}");
                assert_eq!(Doc::load(&doc.save()).unwrap().view(), doc.view(), "{context}");
            } else {
                let error = refused(&mut doc, change.raw_bytes());
                assert_eq!(error, MergeError::CounterMisplaced { start, before }, "{context}");
            }
        }
    }
}

/// Automerge does the same with a change that does not build on the previous change of its actor.
#[test]
fn a_change_not_built_on_its_actors_last_is_refused() {
    let one = expanded(9, 1, 1, &[], vec![put_op("a", 1)]);
    let first = hash_of(one.raw_bytes()).unwrap();
    let alone = expanded(9, 2, 3, &[], vec![put_op("b", 1)]);
    let mut am = automerge::Automerge::new();
    am.apply_changes([one.clone()]).unwrap();
    am.apply_changes([alone.clone()]).unwrap();
    assert!(automerge::Automerge::load(&am.save()).is_err());
    let mut doc = Doc::new();
    assert_eq!(doc.apply([one.raw_bytes()]).new, 1);
    let actor = "09".repeat(16);
    let error = MergeError::SequenceGap { actor, sequence: 2 };
    assert_eq!(refused(&mut doc, alone.raw_bytes()), error);
    // The same in one batch, with changes of other actors between.
    let mut last = first;
    let mut changes = vec![one.raw_bytes().to_vec()];
    for n in 0..5 {
        let other = expanded(20 + n, 1, 2 + u64::from(n), &[last], vec![put_op("c", 1)]);
        last = hash_of(other.raw_bytes()).unwrap();
        changes.push(other.raw_bytes().to_vec());
    }
    let other = expanded(30, 1, 9, &[], vec![put_op("d", 1)]);
    changes.push(other.raw_bytes().to_vec());
    let deps = [last, hash_of(other.raw_bytes()).unwrap()];
    let good = expanded(9, 2, 12, &deps, vec![put_op("e", 1)]);
    let beside = expanded(9, 2, 12, &deps[1..], vec![put_op("e", 1)]);
    for (second, taken) in [(&good, 8), (&beside, 7)] {
        let mut doc = Doc::new();
        let all = changes.iter().map(Vec::as_slice).chain([second.raw_bytes()]);
        let applied = doc.apply(all.clone());
        assert_eq!((applied.new, applied.rejected.len()), (taken, 8 - taken), "{applied:?}");
        assert_eq!(Doc::load(&doc.save()).unwrap().heads(), doc.heads());
        let mut steps = Doc::new();
        all.for_each(|change| drop(steps.apply([change])));
        assert_eq!((steps.heads(), steps.view()), (doc.heads(), doc.view()));
    }
}
