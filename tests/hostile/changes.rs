//! Hostile changes in a sound segment: each is refused on its own.

use crate::bomb::{change, chunk, deflated_zeros, puts, run, unsigned};
use crate::child::works_with;
use crate::made;
use crate::support::{manual, object};
use crdt_palace::merge::automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use crdt_palace::merge::automerge::{ActorId, Change, ExpandedChange, ObjType};
use crdt_palace::merge::{MergeError, OPERATIONS_MAX};
use crdt_palace::palace::Error;
use serde_json::json;

/// Enough for a process that does the same with a palace that nobody harmed, and something on top.
const MEMORY: u64 = 200;

#[test]
fn deflated_changes_are_refused_without_inflating() {
    let made = made::palace();
    // 512 MiB of zeros.
    let bomb = chunk(2, &deflated_zeros(512 << 20));
    assert!(bomb.len() < 4 << 20);
    let path = made.add_changes("bombed", &[bomb, puts(1, 1, 2)]);
    let outcome = works_with(&made.path);
    outcome.tells("a change of bombed is refused");
    outcome.tells("its chunk type is not 1");
    assert!(outcome.memory < MEMORY, "{} MiB", outcome.memory);
    assert!(!path.exists(), "the refused change is in the snapshot, so the segment is folded");
    let bombed = manual(&made.path).get("bombed").unwrap().unwrap();
    assert_eq!(bombed.value, object(json!({"x": null})), "the good change beside it counts");
}

#[test]
fn operation_bombs_are_refused_without_expanding() {
    let made = made::palace();
    let insert = |count: u64| vec![(52, [vec![0], unsigned(count)].concat())];
    let bombs = [
        puts(1, 1, 1_000_000),
        puts(2, 1, i64::MAX >> 1),
        // Columns of which no operation needs as much.
        change(
            3,
            1,
            &[(66, [run(2), vec![1]].concat()), (112, [run(2), unsigned(1 << 40)].concat())],
        ),
        change(4, 1, &insert(1 << 60)),
        change(5, 1, &[(1, [run(1 << 40), vec![0]].concat())]),
        change(6, 1, &[(19, [run(1 << 40), vec![0]].concat())]),
        change(7, 1, &[(86, [run(1 << 40), vec![0x16]].concat())]),
        change(8, 1, &[(21, [run(1 << 40), unsigned(1), vec![b'n']].concat())]),
    ];
    assert!(bombs.iter().all(|bomb| bomb.len() < 120));
    made.add_changes("bombed", &bombs);
    let outcome = works_with(&made.path);
    let refused = outcome.problems.iter().filter(|problem| problem.contains("is refused"));
    assert_eq!(refused.count(), bombs.len(), "{:#?}", outcome.problems);
    outcome.tells("a change has at most 100000 operations; this one has 1000000");
    assert!(outcome.memory < MEMORY, "{} MiB", outcome.memory);
}

/// Each is as large as a change may be, and all of them together are not: 400 million operations in half a
/// megabyte.
#[test]
#[ignore = "the long form: it takes a minute to apply as much as is allowed, several times"]
fn many_changes_of_one_document_stay_bounded() {
    let made = made::palace();
    let bombs: Vec<_> = (0..4_000).map(|n| puts(n, 1, OPERATIONS_MAX as i64)).collect();
    assert!(bombs.concat().len() < 600_000);
    made.add_changes("bombed", &bombs);
    let outcome = works_with(&made.path);
    outcome.tells("a document has at most 4000000 operations in its whole history");
    println!("{} MiB", outcome.memory);
    assert!(outcome.memory < 2_500, "{} MiB", outcome.memory);
}

#[test]
fn poisoned_operation_counters_are_refused() {
    let made = made::palace();
    made.add_changes(
        "poisoned",
        &[puts(1, u32::MAX.into(), 1), puts(2, 1 << 40, 1), puts(3, 1, 1)],
    );
    let outcome = works_with(&made.path);
    outcome.tells("operation counter 4294967295 is too far ahead");
    let palace = manual(&made.path);
    palace.put("poisoned", &object(json!({"y": 1}))).unwrap();
    assert_eq!(palace.get("poisoned").unwrap().unwrap().value, object(json!({"y": 1})));
}

/// Automerge would take it, save it, and not be able to load what it saved: neither the document nor a compaction
/// would come to an end.
#[test]
fn changes_that_cannot_be_reloaded_are_refused() {
    let made = made::palace();
    let nothing = expanded(1, 11, &[], Vec::new()).raw_bytes().to_vec();
    let path = made.add_changes("harmed", &[nothing, puts(2, 1, 1)]);
    let outcome = works_with(&made.path);
    outcome.tells("operation counter 11 does not go on from the changes before it, which end at 0");
    assert!(!path.exists(), "the refused change is in the snapshot, so the segment is folded");
    let palace = manual(&made.path);
    palace.put("harmed", &object(json!({"y": 1}))).unwrap();
    assert_eq!(palace.get("harmed").unwrap().unwrap().value, object(json!({"y": 1})));
}

/// In steps that are each allowed, the counter of a document can be driven to its end. Then it can be read, and
/// writes are refused with a reason; every other document goes on.
#[test]
fn exhausted_counters_refuse_writes_and_never_panic() {
    const END: u64 = (1 << 31) - 2;
    let made = made::palace();
    let (mut changes, mut start) = (Vec::new(), 1);
    let mut deps: Vec<crdt_palace::merge::automerge::ChangeHash> = Vec::new();
    while start < 1 << 31 {
        let put = Op {
            action: OpType::Put(1.into()),
            obj: ObjectId::Root,
            key: Key::Map("x".into()),
            pred: vec![].into(),
            insert: false,
        };
        let change = expanded(changes.len() as u64, start, &deps, vec![put]);
        deps = vec![change.hash()];
        changes.push(change.raw_bytes().to_vec());
        // The last step is a short one, to where not even one operation fits any more.
        start = if start == END { 1 << 31 } else { (start + 1_000_000).min(END) };
    }
    made.add_changes("poisoned", &changes);
    works_with(&made.path);
    let palace = manual(&made.path);
    assert_eq!(palace.get("poisoned").unwrap().unwrap().value["x"], 1);
    let error = palace.put("poisoned", &object(json!({"y": 1}))).unwrap_err();
    let Error::Document { source: MergeError::CounterTooFar { .. }, .. } = error else {
        panic!("{error}")
    };
    palace.put("another", &object(json!({"y": 1}))).unwrap();
}

fn expanded(
    actor: u64,
    start_op: u64,
    deps: &[crdt_palace::merge::automerge::ChangeHash],
    operations: Vec<Op>,
) -> Change {
    let actor_id = ActorId::from([[9; 8], actor.to_be_bytes()].concat());
    Change::from(ExpandedChange {
        operations,
        actor_id,
        author: None,
        hash: None,
        seq: 1,
        start_op: start_op.try_into().unwrap(),
        time: 0,
        message: None,
        deps: deps.to_vec(),
        extra_bytes: Vec::new(),
    })
}

#[test]
fn endless_nesting_is_shown_to_a_fixed_depth() {
    let made = made::palace();
    let actor = ActorId::from([[9; 8], 0u64.to_be_bytes()].concat());
    let make = |n: u64| {
        let obj = if n == 0 { ObjectId::Root } else { ObjectId::Id(OpId(n, actor.clone())) };
        let action = OpType::Make(ObjType::Map);
        Op { action, obj, key: Key::Map("d".into()), pred: vec![].into(), insert: false }
    };
    let deep = expanded(0, 1, &[], (0..50_000).map(make).collect());
    made.add_changes("deep", &[deep.raw_bytes().to_vec()]);
    let outcome = works_with(&made.path);
    assert_eq!(outcome.problems, [""; 0], "it is only strange");
    assert!(outcome.memory < MEMORY, "{} MiB", outcome.memory);
    let text = serde_json::to_string(&manual(&made.path).get("deep").unwrap().unwrap().value);
    assert!(text.unwrap().len() < 10_000);
}

/// Each of them has to be tried by itself.
#[test]
fn a_thousand_changes_automerge_rejects_harm_one_document() {
    let made = made::palace();
    let lost = |n: u64| {
        let op = Op {
            action: OpType::Put(1.into()),
            obj: ObjectId::Id(OpId(99, ActorId::from([8; 16]))),
            key: Key::Map("x".into()),
            pred: vec![].into(),
            insert: false,
        };
        expanded(n, 1, &[], vec![op]).raw_bytes().to_vec()
    };
    let mut changes: Vec<_> = (0..1_000).map(lost).collect();
    changes.push(puts(1, 1, 1));
    made.add_changes("harmed", &changes);
    let outcome = works_with(&made.path);
    let refused = outcome.problems.iter().filter(|problem| problem.contains("is refused"));
    assert_eq!(refused.count(), 1_000);
    let harmed = manual(&made.path).get("harmed").unwrap().unwrap();
    assert_eq!(harmed.value, object(json!({"x": null})));
}
