//! Random histories: three replicas agree, whatever they do and however their changes travel.

use super::*;
use crate::merge::{Conflict, hash_of, may_be_concurrent};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::json;

/// Fixes the seed unless `PROPTEST_RNG_SEED` is set, and writes no files.
pub(super) fn config(cases: u32) -> Config {
    Config { cases, failure_persistence: None, rng_seed: seed(), ..Config::default() }
}

fn seed() -> RngSeed {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    RngSeed::Fixed(seed.unwrap_or(20_260_801))
}

#[derive(Debug, Clone)]
enum Act {
    Put(Json),
    Patch(Json),
    PutAtAnOldVersion(Json, usize),
    Increment(usize, i64),
    Append(usize, Json),
    RemoveItems(usize),
    Delete,
    Refile,
    Settle,
    /// Apply all changes of another replica, in one of four ways.
    Pull {
        from: usize,
        how: usize,
    },
    /// Save and load.
    Restart,
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("m"), Just("l")].prop_map(str::to_owned)
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        (0..4i64).prop_map(Json::from),
        Just(json!("s")),
        Just(json!("t")),
        Just(json!("s\nt\ns")),
        Just(json!("s\nu\ns")),
        Just(json!("t\nt\nu\ns")),
        Just(Json::Null),
        Just(json!(1.5)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            proptest::collection::btree_map(key(), inner, 0..4)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

pub(super) fn document() -> impl Strategy<Value = Json> {
    proptest::collection::btree_map(key(), json(), 0..4)
        .prop_map(|map| Json::Object(map.into_iter().collect()))
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => document().prop_map(Act::Put),
        4 => document().prop_map(Act::Patch),
        1 => (document(), 0..100usize).prop_map(|(value, at)| Act::PutAtAnOldVersion(value, at)),
        2 => (0..3usize, -3..5i64).prop_map(|(at, by)| Act::Increment(at, by)),
        2 => (0..3usize, json()).prop_map(|(at, value)| Act::Append(at, value)),
        1 => (0..3usize).prop_map(Act::RemoveItems),
        1 => Just(Act::Delete),
        1 => Just(Act::Refile),
        1 => Just(Act::Settle),
        6 => (0..3usize, 0..4usize).prop_map(|(from, how)| Act::Pull { from, how }),
        1 => Just(Act::Restart),
    ]
}

const COUNTERS: [&[&str]; 3] = [&["n"], &["m", "n"], &["m", "m", "n"]];
const LISTS: [&[&str]; 3] = [&["l"], &["m", "l"], &["m", "m", "l"]];

fn deliver(to: &mut Doc, from: &Doc, how: usize) {
    let mut changes = from.changes().unwrap();
    match how {
        0 => {
            let applied = to.merge(from).unwrap();
            assert_eq!(applied.rejected, []);
            return;
        }
        1 => changes.reverse(),
        2 => changes.extend(changes.clone()),
        _ => changes.sort_by_key(|(hash, _)| hash.0[7]),
    }
    for group in changes.chunks(how + 1) {
        let group = group.iter().map(|(_, bytes)| bytes.as_slice());
        match how {
            1 => *to = std::mem::take(to).apply_and_save(group).unwrap().0,
            2 => *to = std::mem::take(to).apply_without_copy(group).unwrap(),
            _ => assert_eq!(to.apply(group).rejected, []),
        }
    }
    assert_eq!(to.pending().count(), 0);
}

fn perform(docs: &mut [Doc; 3], who: usize, act: &Act) {
    let stamp = Stamp { time_ms: docs[who].history().len() as i64, ..by(['a', 'b', 'c'][who]) };
    let others = docs.clone();
    let doc = &mut docs[who];
    let before = doc.heads();
    let written = match act {
        Act::Put(value) => {
            let shown = doc.view();
            let written = doc.put(&stamp, None, &map(value.clone())).unwrap();
            let view = doc.view();
            assert_eq!(Json::Object(view.value.clone()), *value);
            for open in &view.conflicts {
                let kept = |before: &Conflict| {
                    before.shown_value(&shown.value) == open.shown_value(&view.value)
                };
                assert!(shown.conflicts.iter().any(kept), "a put makes no conflict: {open:?}");
            }
            assert!(!doc.is_deleted() || value == &json!({}));
            assert_eq!(doc.put(&stamp, None, &map(value.clone())).unwrap(), None);
            written
        }
        Act::Patch(value) => doc.patch(&stamp, None, &map(value.clone())).unwrap(),
        Act::PutAtAnOldVersion(value, at) => {
            let history = doc.history();
            let base = match history.get(at % (history.len() + 1)) {
                Some(change) => Heads::new(vec![change.hash]),
                None => Heads::default(),
            };
            doc.put(&stamp, Some(&base), &map(value.clone())).unwrap()
        }
        Act::Increment(at, by) => doc.increment(&stamp, None, COUNTERS[*at], *by).unwrap_or(None),
        Act::Append(at, value) => {
            doc.append(&stamp, LISTS[*at], std::slice::from_ref(value)).unwrap_or(None)
        }
        Act::RemoveItems(at) => {
            doc.remove_items(&stamp, LISTS[*at], &|item| item.is_i64()).unwrap_or(None)
        }
        Act::Delete => doc.delete(&stamp).unwrap(),
        Act::Refile => Some(doc.record_filing(&stamp).unwrap()),
        Act::Settle => {
            let View { value: shown, deleted, .. } = doc.view();
            let exists = !deleted && !doc.heads().is_empty();
            assert!(!exists || doc.put(&stamp, None, &shown).unwrap().is_none());
            // A patch cannot say null.
            if serde_json::to_string(&shown).unwrap().contains("null") {
                return;
            }
            let written = doc.patch(&stamp, None, &shown).unwrap();
            assert_eq!((doc.view().value, doc.view().conflicts), (shown, vec![]));
            written
        }
        Act::Pull { from, how } => {
            deliver(doc, &others[*from], *how);
            return;
        }
        Act::Restart => {
            let loaded = Doc::load(&doc.save()).unwrap();
            assert_eq!((loaded.heads(), loaded.view()), (doc.heads(), doc.view()));
            *doc = loaded;
            return;
        }
    };
    match written {
        None => assert_eq!(doc.heads(), before),
        Some(change) => {
            assert_eq!(hash_of(&change.bytes).unwrap(), change.hash);
            assert_eq!(doc.change_bytes(&change.hash).unwrap().as_ref(), Some(&change.bytes));
        }
    }
}

fn converge(docs: &mut [Doc; 3]) {
    for (to, from, how) in [(0, 1, 1), (0, 2, 3), (1, 0, 2), (2, 0, 0)] {
        let from = docs[from].clone();
        deliver(&mut docs[to], &from, how);
    }
    let [a, b, c] = docs;
    assert_eq!((a.heads(), a.view()), (b.heads(), b.view()));
    assert_eq!((a.heads(), a.view()), (c.heads(), c.view()));
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn replicas_converge_after_random_histories(acts in proptest::collection::vec((0..3usize, act()), 1..30)) {
        let mut docs = [Doc::new(), Doc::new(), Doc::new()];
        for (who, act) in &acts {
            perform(&mut docs, *who, act);
        }
        converge(&mut docs);
        let saved = docs[0].save();
        let loaded = Doc::load(&saved).unwrap();
        prop_assert_eq!((loaded.heads(), loaded.view()), (docs[0].heads(), docs[0].view()));
        let is_chain = loaded.graph.of(&loaded.am).order().is_chain();
        prop_assert_eq!(may_be_concurrent(&saved), !is_chain);
        let text = serde_json::to_string(&docs[0].view()).unwrap();
        prop_assert_eq!(serde_json::from_str::<View>(&text).unwrap(), docs[0].view());
        // The past is the same too.
        for change in docs[0].history() {
            let at = Heads::new(vec![change.hash]);
            prop_assert_eq!(docs[0].view_at(&at).unwrap(), docs[1].view_at(&at).unwrap());
        }
    }

    #[test]
    fn changes_stay_pending_until_their_dependencies_come(
        acts in proptest::collection::vec((0..3usize, act()), 5..25),
        taken in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let mut docs = [Doc::new(), Doc::new(), Doc::new()];
        for (who, act) in &acts {
            perform(&mut docs, *who, act);
        }
        converge(&mut docs);
        let all = docs[0].changes().unwrap();
        let (now, later): (Vec<_>, Vec<_>) =
            all.iter().zip(taken.iter().cycle()).partition(|(_, taken)| **taken);
        let mut doc = Doc::new();
        let applied = doc.apply(now.iter().map(|((_, bytes), _)| bytes.as_slice()));
        prop_assert_eq!(applied.rejected, vec![]);
        prop_assert_eq!(doc.changes().unwrap().len() + doc.pending().count(), now.len());
        prop_assert_eq!(doc.missing_dependencies().is_empty(), doc.pending().count() == 0);
        for hash in doc.missing_dependencies() {
            prop_assert!(later.iter().any(|((other, _), _)| *other == hash));
        }
        // The pending changes are not saved with the document: they travel beside it.
        let mut copy = Doc::load(&doc.save()).unwrap();
        prop_assert_eq!(copy.apply(doc.pending().map(|(_, bytes)| bytes)).rejected, vec![]);
        prop_assert_eq!(copy.merge(&doc).unwrap().new, 0);
        let applied = copy.apply(later.iter().rev().map(|((_, bytes), _)| bytes.as_slice()));
        prop_assert_eq!(applied.rejected, vec![]);
        prop_assert_eq!((copy.heads(), copy.view()), (docs[0].heads(), docs[0].view()));
        prop_assert_eq!(copy.pending().count(), 0);
    }
}

#[test]
fn the_seed_is_fixed() {
    let mut runner = TestRunner::new(config(1));
    let first = document().new_tree(&mut runner).unwrap().current();
    let mut again = TestRunner::new(config(1));
    assert_eq!(document().new_tree(&mut again).unwrap().current(), first);
}
