//! Tests of calls that a client repeats because their answer was lost, and of answers on a failing disk.

use super::*;
use crate::fs::sim::{Call, Event, Failure, SimDisk};
use crate::memory::{MemoryError, Result};
use crate::palace::{Options, WriteOptions};
use crate::store::StoreError;
use serde_json::Map;
use std::sync::Arc;

fn on(disk: &SimDisk) -> Facts {
    let options = Options::default().fs(Arc::new(disk.process()));
    Facts::new(options.auto_compact(false).open("/p").unwrap())
}

fn triple(object: &str) -> Triple {
    Triple::new("Ada", "works at", object).unwrap()
}

/// Returns every period, with its beginning and its end.
fn periods(facts: &Facts) -> Vec<(String, Option<String>, Option<String>)> {
    let asked = FactQuery { entity: Some("ada"), ..FactQuery::default() };
    let found = facts.about(&asked).unwrap().facts;
    found.into_iter().map(|fact| (fact.triple.object, fact.valid_from, fact.valid_to)).collect()
}

fn period(object: &str, from: &str, to: Option<&str>) -> (String, Option<String>, Option<String>) {
    (object.to_owned(), Some(from.to_owned()), to.map(str::to_owned))
}

type Step = fn(&Facts) -> Result<()>;
type Probe = fn(&Facts);

const STEPS: [(&str, Step); 3] = [
    ("assert", |facts| facts.assert(&triple("New"), Some("2026-01-01"), None, None).map(drop)),
    ("end", |facts| facts.end(&triple("Acme"), Some("2026-02-01")).map(drop)),
    ("replace", |facts| facts.replace(&triple("Acme"), "Bolt", Some("2026-03-01")).map(drop)),
];

#[test]
fn fact_of_a_failed_call_is_not_written() {
    let looks = [Call::Open, Call::Read, Call::List, Call::Stat];
    let mut failed = 0;
    for (name, step) in STEPS {
        for call in looks {
            for nth in 1.. {
                let disk = SimDisk::new(nth);
                let facts = on(&disk);
                facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
                let before = periods(&on(&disk));
                disk.advance(60_000);
                disk.fail_nth(call, nth, Failure::Io);
                let done = step(&facts);
                let spent = disk.events().of(Event::Failed(call, Failure::Io)) > 0;
                disk.heal();
                let after = periods(&on(&disk));
                match &done {
                    Ok(()) => assert_ne!(after, before, "{name}, {call:?} {nth}"),
                    Err(MemoryError::Palace(crate::palace::Error::Store(
                        StoreError::OutcomeUnknown { .. },
                    ))) => {}
                    Err(error) => {
                        failed += 1;
                        assert_eq!(after, before, "{name}, {call:?} {nth}: {error}");
                    }
                }
                if !spent {
                    break;
                }
            }
        }
    }
    assert!(failed > 3, "only {failed} calls failed");
}

#[test]
fn repeated_replace_undoes_no_later_change() {
    let dates = [Some("2026-03-01"), Some("2026-05-01")];
    for repeated in [dates[0], None, Some("2026-06-01")] {
        let disk = SimDisk::new(1);
        disk.advance(2 * 365 * 86_400_000); // to 2027
        let (ann, bob) = (on(&disk), on(&disk));
        ann.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
        ann.replace(&triple("Acme"), "Bolt", dates[0]).unwrap();
        bob.replace(&triple("Bolt"), "Core", dates[1]).unwrap();
        let before = periods(&ann);
        let (old, new) = ann.replace(&triple("Acme"), "Bolt", repeated).unwrap();
        assert_eq!(periods(&ann), before, "{repeated:?}");
        assert_eq!((old.changed, old.fact.valid_to.as_deref()), (false, dates[0]));
        assert!(!new.new);
        let fact = new.fact;
        assert_eq!(
            period("Bolt", "2026-03-01", dates[1]),
            (fact.triple.object, fact.valid_from, fact.valid_to)
        );
    }
}

#[test]
fn repeated_replace_of_a_reverted_fact_changes_nothing() {
    let disk = SimDisk::new(1);
    let (ann, bob) = (on(&disk), on(&disk));
    let from = Some("2026-03-01");
    ann.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
    ann.replace(&triple("Acme"), "Bolt", from).unwrap();
    bob.replace(&triple("Bolt"), "Acme", Some("2026-05-01")).unwrap();
    let before = periods(&ann);
    let (old, new) = ann.replace(&triple("Acme"), "Bolt", from).unwrap();
    assert_eq!(periods(&ann), before);
    assert_eq!((old.changed, new.new, old.fact.valid_to.as_deref()), (false, false, from));
    // From a later moment on it is another call, so a reverted change can be made again.
    let (old, new) = ann.replace(&triple("Acme"), "Bolt", Some("2026-07-01")).unwrap();
    assert!(old.changed && new.new && new.fact.valid_to.is_none());
}

#[test]
fn replacement_holds_if_the_old_fact_ended_at_that_moment() {
    let disk = SimDisk::new(1);
    let facts = on(&disk);
    facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
    facts.assert(&triple("Bolt"), Some("2026-03-01"), Some("2026-05-01"), None).unwrap();
    let (old, new) = facts.replace(&triple("Acme"), "Bolt", Some("2026-03-01")).unwrap();
    assert!(old.changed && new.new && new.fact.valid_to.is_none());
}

#[test]
fn repeated_assert_of_an_ended_period_changes_nothing() {
    let [from, to] = [Some("2026-01-01"), Some("2026-09-01")];
    for until in [None, to] {
        let disk = SimDisk::new(1);
        let (ann, bob) = (on(&disk), on(&disk));
        let first = ann.assert(&triple("Acme"), from, until, None).unwrap().fact;
        bob.end(&triple("Acme"), Some("2026-04-01")).unwrap();
        let again = ann.assert(&triple("Acme"), from, until, None).unwrap();
        assert_eq!((again.new, &again.fact.id), (false, &first.id));
        assert_eq!(again.fact.valid_to.as_deref(), Some("2026-04-01"));
        assert_eq!(periods(&ann), [period("Acme", "2026-01-01", Some("2026-04-01"))]);
        // It can hold again, later or from now on. That is another period than the one that ended.
        let later = ann.assert(&triple("Acme"), Some("2026-05-01"), None, None).unwrap();
        assert!(later.new && later.fact.valid_to.is_none());
        let once_more = ann.assert(&triple("Acme"), from, until, None).unwrap();
        assert_eq!((once_more.new, once_more.fact.id), (false, first.id));
    }
    let disk = SimDisk::new(1);
    let facts = on(&disk);
    facts.assert(&triple("Acme"), None, None, None).unwrap();
    facts.end(&triple("Acme"), Some("2026-04-01")).unwrap();
    assert!(facts.assert(&triple("Acme"), None, None, None).unwrap().new, "it holds now");
    // A period with an end is another period than one without.
    facts.assert(&triple("Core"), from, to, None).unwrap();
    assert!(facts.assert(&triple("Core"), from, None, None).unwrap().new);
}

#[test]
fn repeated_end_of_a_fact_asserted_again_changes_nothing() {
    for from in [Some("2026-05-01"), Some("2026-03-01"), None] {
        let disk = SimDisk::new(1);
        let (ann, bob) = (on(&disk), on(&disk));
        let ended = Some("2026-03-01");
        let first = ann.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap().fact;
        ann.end(&triple("Acme"), ended).unwrap();
        bob.assert(&triple("Acme"), from, None, None).unwrap();
        let before = periods(&ann);
        let again = ann.end(&triple("Acme"), ended).unwrap();
        assert_eq!((again.changed, again.fact.id), (false, first.id), "{from:?}");
        assert_eq!(again.fact.valid_to.as_deref(), ended);
        assert_eq!(periods(&ann), before);
    }
    // No call ended this one at that moment: it was asserted with its end.
    let disk = SimDisk::new(1);
    let facts = on(&disk);
    facts.assert(&triple("Acme"), Some("2024-01-01"), Some("2026-03-01"), None).unwrap();
    facts.assert(&triple("Acme"), None, None, None).unwrap();
    assert!(facts.end(&triple("Acme"), Some("2026-03-01")).unwrap().changed);
}

#[test]
fn fact_answers_without_a_write_rest_on_durable_state() {
    for seed in 0..20 {
        let [acme, bolt] = ["Acme", "Bolt"].map(triple);
        let steps: [(&str, Probe); 2] = [
            ("end", |facts| {
                assert!(!facts.end(&triple("Acme"), Some("2026-05-01")).unwrap().changed);
            }),
            ("replace", |facts| {
                let at = Some("2026-03-01");
                let (old, new) = facts.replace(&triple("Acme"), "Bolt", at).unwrap();
                assert!(!old.changed && !new.new);
            }),
        ];
        for (name, step) in steps {
            let disk = SimDisk::new(seed);
            let (ann, bob) = (on(&disk), on(&disk));
            ann.assert(&acme, Some("2024-01-01"), None, None).unwrap();
            ann.assert(&bolt, Some("2026-03-01"), None, None).unwrap();
            let (key, _) = ann.scan(&acme.prefix()).unwrap().remove(0);
            let ends = Map::from_iter([("ends".to_owned(), serde_json::json!(["2026-03-01"]))]);
            let buffered = WriteOptions::new().buffered();
            bob.palace.with(buffered.clone()).patch(key.as_str(), &ends).unwrap();
            step(&ann);
            disk.power_cut(seed);
            let found = periods(&on(&disk));
            assert_eq!(found[0], period("Acme", "2024-01-01", Some("2026-03-01")), "{name} {seed}");
        }
    }
}
