//! Tests of deleted facts: what is hidden, and what brings a fact back.

use super::*;
use crate::fs::os::OsFs;
use crate::memory::MemoryError;
use crate::palace::Options;
use crate::palace::compact::CompactOptions;
use crate::palace::into::merge_into;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

fn open(path: &Path) -> Facts {
    Facts::new(Options::default().auto_compact(false).open(path).unwrap())
}

fn acme() -> Triple {
    Triple::new("Ada", "works at", "Acme").unwrap()
}

fn all(facts: &Facts) -> Vec<Fact> {
    facts.about(&FactQuery::default()).unwrap().facts
}

#[test]
fn deleted_fact_is_gone_and_stays_in_history() {
    let dir = tempfile::tempdir().unwrap();
    let (ann, bob) = (open(&dir.path().join("p")), open(&dir.path().join("p")));
    let id = ann.assert(&acme(), Some("2026-03-01"), None, None).unwrap().fact.id;
    let other = Triple::new("Bob", "knows", "Ada").unwrap();
    ann.assert(&other, None, None, None).unwrap();
    let deleted = bob.delete(&id).unwrap();
    let again = ann.delete(&id).unwrap();
    assert_eq!((deleted.changed, again.changed), (true, false));
    assert_eq!(deleted.etag, again.etag);
    for compacted in [false, true] {
        if compacted {
            ann.palace.compact(CompactOptions::default()).unwrap();
        }
        for facts in [&ann, &bob] {
            assert_eq!(all(facts).len(), 1, "compacted: {compacted}");
            let about = FactQuery { entity: Some("Acme"), ..FactQuery::default() };
            assert_eq!(facts.about(&about).unwrap().total, 0);
            let stats = facts.stats().unwrap();
            assert_eq!((stats.facts, stats.predicates.len(), facts.count().unwrap()), (1, 1, 1));
            assert!(facts.palace.search("Acme").hits().unwrap().is_empty());
        }
        assert!(!ann.delete(&id).unwrap().changed, "compacted: {compacted}");
    }
    let key = fact::fact_key(&id).unwrap();
    assert_eq!(ann.palace.history(key.as_str()).unwrap().len(), 3, "filed twice, deleted");
    let ended = ann.end(&acme(), None).unwrap_err();
    assert!(matches!(ended, MemoryError::NoFact { .. }), "{ended}");
}

#[test]
fn delete_of_an_unknown_fact_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir.path().join("p"));
    let zeros = "0".repeat(32);
    let upper = format!("t_{zeros}_{}", "A".repeat(32));
    for id in ["", "t_", "drawer_w_r_0", &format!("t_{zeros}_{zeros}"), &upper, &"x".repeat(9_000)]
    {
        let error = facts.delete(id).unwrap_err();
        assert!(matches!(error, MemoryError::NoFactId { .. }), "{id}: {error}");
        assert!(error.to_string().len() < 300);
    }
    assert!(facts.palace.search("t").hits().unwrap().is_empty());
}

#[test]
fn asserting_a_deleted_fact_brings_it_back() {
    for (from, compacted) in [(None, false), (Some("2026-03-01"), false), (None, true)] {
        let dir = tempfile::tempdir().unwrap();
        let facts = open(&dir.path().join("p"));
        let source = Source { file: Some("cv.md".to_owned()), ..Source::default() };
        let first = facts.assert(&acme(), from, None, Some(&source)).unwrap().fact;
        facts.delete(&first.id).unwrap();
        if compacted {
            facts.palace.compact(CompactOptions::default()).unwrap();
        }
        let again = facts.assert(&acme(), from, None, None).unwrap();
        assert!(again.new);
        assert_eq!((&again.fact.id, &again.fact.sources), (&first.id, &first.sources));
        assert_eq!(all(&facts), [again.fact]);
    }
}

#[test]
fn assertion_of_a_fact_ended_and_deleted_is_another() {
    for from in [None, Some("2024-01-01")] {
        let dir = tempfile::tempdir().unwrap();
        let facts = open(&dir.path().join("p"));
        let first = facts.assert(&acme(), from, None, None).unwrap().fact;
        facts.end(&acme(), Some("2025-01-01")).unwrap();
        facts.delete(&first.id).unwrap();
        let again = facts.assert(&acme(), from, None, None).unwrap();
        assert!(again.new && again.fact.id != first.id && again.fact.valid_to.is_none());
        assert_eq!(all(&facts), [again.fact]);
    }
}

/// Makes two copies of a palace with one fact, lets each process write to its own, and returns what the merged copies
/// show.
fn apart(ann: impl FnOnce(&Facts, &str), bob: impl FnOnce(&Facts, &str)) -> Vec<Fact> {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, merged] = ["one", "two", "merged"].map(|name| dir.path().join(name));
    let id = open(&one).assert(&acme(), Some("2024-01-01"), None, None).unwrap().fact.id;
    merge_into(Arc::new(OsFs), &two, std::slice::from_ref(&one), &BTreeSet::new()).unwrap();
    ann(&open(&one), &id);
    bob(&open(&two), &id);
    merge_into(Arc::new(OsFs), &merged, &[one, two], &BTreeSet::new()).unwrap();
    all(&open(&merged))
}

#[test]
fn concurrent_assertion_wins_over_a_delete() {
    let delete = |facts: &Facts, id: &str| drop(facts.delete(id).unwrap());
    let assert_again = |facts: &Facts, id: &str| {
        facts.delete(id).unwrap();
        assert!(facts.assert(&acme(), Some("2024-01-01"), None, None).unwrap().new);
    };
    let found = apart(delete, assert_again);
    assert_eq!((found.len(), found[0].valid_to.as_deref()), (1, None));
    // A source that the delete has not seen brings it back, too.
    let found = apart(delete, |facts, _| {
        let source = Source { file: Some("cv.md".to_owned()), ..Source::default() };
        facts.assert(&acme(), None, None, Some(&source)).unwrap();
    });
    assert_eq!(found[0].sources[0].file.as_deref(), Some("cv.md"));
    assert!(apart(delete, delete).is_empty(), "both deleted it");
}

#[test]
fn concurrent_end_brings_a_deleted_fact_back_ended() {
    let delete = |facts: &Facts, id: &str| drop(facts.delete(id).unwrap());
    let found = apart(delete, |facts, _| drop(facts.end(&acme(), Some("2025-01-01")).unwrap()));
    assert_eq!((found.len(), found[0].valid_to.as_deref()), (1, Some("2025-01-01")));
}

#[test]
fn delete_and_assertion_at_once_lose_neither() {
    let dir = tempfile::tempdir().unwrap();
    let (ann, bob) = (open(&dir.path().join("p")), open(&dir.path().join("p")));
    let from = Some("2024-01-01");
    let id = ann.assert(&acme(), from, None, None).unwrap().fact.id;
    for round in 0..30 {
        ann.assert(&acme(), from, None, None).unwrap();
        let asserted = std::thread::scope(|scope| {
            scope.spawn(|| assert!(ann.delete(&id).unwrap().changed));
            scope.spawn(|| bob.assert(&acme(), from, None, None).unwrap()).join().unwrap()
        });
        // If the assertion found the fact, it came before the delete. Otherwise it came after, and stays.
        let found = all(&ann);
        assert_eq!(found, all(&bob), "round {round}");
        assert!(found.len() <= 1 && (!asserted.new || found[0].id == id), "round {round}");
    }
}

#[cfg(feature = "mcp")]
#[test]
fn repeated_import_does_not_bring_a_deleted_fact_back() {
    use import::{ForeignFact, ImportedFact};
    let foreign = |valid_to: Option<&str>| {
        [ForeignFact {
            id: "t_old".to_owned(),
            triple: acme(),
            valid_from: Some("2020-01-01".to_owned()),
            valid_to: valid_to.map(str::to_owned),
            offsets: [None, None],
            source: Source::default(),
            known: serde_json::Map::new(),
        }]
    };
    // With the end from the first import on, from the second one on, or from here.
    for (first, second) in
        [(None, None), (None, Some("2023-01-01")), (Some("2023-01-01"), Some("2023-01-01"))]
    {
        for known_here in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let facts = open(&dir.path().join("p"));
            if known_here {
                facts.assert(&acme(), Some("2020-01-01"), None, None).unwrap();
                first.map(|to| facts.end(&acme(), Some(to)).unwrap());
            }
            assert_eq!(facts.import(&foreign(first)).unwrap(), [ImportedFact::New]);
            let found = all(&facts);
            assert_eq!(found.len(), 1);
            facts.delete(&found[0].id).unwrap();
            for _ in 0..2 {
                assert_eq!(facts.import(&foreign(second)).unwrap(), [ImportedFact::Known]);
                assert!(all(&facts).is_empty(), "{first:?} {second:?} {known_here}");
            }
            // An assertion does, and the import knows it then.
            facts.assert(&acme(), Some("2020-01-01"), None, None).unwrap();
            assert_eq!(all(&facts).len(), 1);
        }
    }
}
