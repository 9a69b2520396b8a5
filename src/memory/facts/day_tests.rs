//! Tests of dates and times: whole days, offsets, the future, and what is refused.

use super::*;
use crate::fs::sim::SimDisk;
use crate::memory::MemoryError;
use crate::memory::moment::Moment;
use crate::palace::Options;
use jiff::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::{Offset, TimeZone};
use proptest::prelude::*;
use std::sync::Arc;

fn on(disk: &SimDisk) -> Facts {
    let options = Options::default().fs(Arc::new(disk.process()));
    Facts::new(options.auto_compact(false).open("/p").unwrap()).in_zone(&TimeZone::UTC)
}

fn triple(object: &str) -> Triple {
    Triple::new("Ada", "works at", object).unwrap()
}

/// Returns the objects of the facts that hold at a time.
fn at(facts: &Facts, as_of: &str) -> Vec<String> {
    let page = facts.about(&FactQuery { as_of: Some(as_of), ..FactQuery::default() }).unwrap();
    page.facts.into_iter().map(|fact| fact.triple.object).collect()
}

#[test]
fn two_equal_dates_are_that_whole_day() {
    let day = Some("2026-03-01");
    for ended in [false, true] {
        let facts = on(&SimDisk::new(1));
        match ended {
            true => {
                facts.assert(&triple("Acme"), day, None, None).unwrap();
                assert!(facts.end(&triple("Acme"), day).unwrap().changed);
                assert!(!facts.end(&triple("Acme"), day).unwrap().changed, "once more");
            }
            false => drop(facts.assert(&triple("Acme"), day, day, None).unwrap()),
        }
        for (as_of, holds) in [
            ("2026-02-28", false),
            ("2026-03-01", true),
            ("2026-03-01T00:00:00Z", true),
            ("2026-03-01T23:59:59Z", true),
            ("2026-03-01T23:59:59-08:00", true),
            ("2026-03-02T00:00:00Z", false),
            ("2026-03-02", false),
        ] {
            assert_eq!(!at(&facts, as_of).is_empty(), holds, "{as_of}, ended: {ended}");
        }
    }
}

#[test]
fn fact_replaced_on_its_first_day_leaves_the_day_to_the_next() {
    let disk = SimDisk::new(1);
    let facts = on(&disk);
    let day = Some("2026-03-01");
    facts.assert(&triple("Acme"), day, None, None).unwrap();
    facts.replace(&triple("Acme"), "Bolt", day).unwrap();
    assert_eq!((at(&facts, "2026-03-01"), at(&facts, "2026-02-28")), (vec!["Bolt".into()], vec![]));
    let again = facts.replace(&triple("Acme"), "Bolt", day).unwrap();
    assert!(!again.0.changed && !again.1.new);
    // An end of that day says no more, whether another process notes it before or after.
    on(&disk).end(&triple("Acme"), day).unwrap();
    assert_eq!(at(&facts, "2026-03-01"), ["Bolt"]);
    facts.assert(&triple("Core"), day, day, None).unwrap();
    facts.replace(&triple("Core"), "Dash", day).unwrap();
    assert_eq!(at(&facts, "2026-03-01").len(), 2, "Bolt and Dash");
}

#[test]
fn successor_at_midnight_is_alone_on_its_day() {
    for moment in ["2026-03-01", "2026-03-01T00:00:00+09:00"] {
        let facts = on(&SimDisk::new(1)).in_zone(&TimeZone::posix("JST-9").unwrap());
        facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
        facts.replace(&triple("Acme"), "Bolt", Some(moment)).unwrap();
        assert_eq!(at(&facts, "2026-02-28"), ["Acme"], "{moment}");
        assert_eq!(at(&facts, "2026-03-01"), ["Bolt"], "{moment}");
        assert_eq!(at(&facts, "2026-03-01T00:00:00+09:00"), ["Bolt"], "{moment}");
    }
    // At noon both held on that day.
    let facts = on(&SimDisk::new(1));
    facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
    facts.replace(&triple("Acme"), "Bolt", Some("2026-03-01T12:00:00Z")).unwrap();
    assert_eq!(at(&facts, "2026-03-01"), ["Acme", "Bolt"]);
}

/// Returns the refusal of a period, from each call that can refuse one.
fn refusals(from: &str, to: &str) -> Vec<Result<(), MemoryError>> {
    let facts = on(&SimDisk::new(1));
    let asserted = facts.assert(&triple("Acme"), Some(from), Some(to), None).map(drop);
    facts.assert(&triple("Bolt"), Some(from), None, None).unwrap();
    let replaced = facts.replace(&triple("Bolt"), "Core", Some(to)).map(drop);
    vec![asserted, replaced, facts.end(&triple("Bolt"), Some(to)).map(drop)]
}

#[test]
fn empty_and_reversed_periods_are_refused_in_the_same_words() {
    for (from, to, words) in [
        ("2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z", "the very moment"),
        ("2026-03-01T10:00:00Z", "2026-03-01T19:00:00+09:00", "the very moment"),
        ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "the very moment"),
        ("2026-03-01", "2026-03-01T00:00:00Z", "the very moment"),
        ("2026-03-01T00:00:00Z", "2026-03-01", "the very moment"),
        ("2026-03-02", "2026-03-01", "before the beginning, 2026-03-02"),
        ("2026-03-01T10:00:00Z", "2026-03-01T09:59:59Z", "before the beginning"),
        ("2026-03-01T10:00:00Z", "2026-03-01", "before the beginning"),
        ("2026-03-02", "2026-03-01T23:00:00Z", "before the beginning"),
    ] {
        let mut whys = Vec::new();
        for refused in refusals(from, to) {
            match refused {
                Err(MemoryError::Argument { why, .. }) => whys.push(why),
                other => panic!("{from} to {to}: {other:?}"),
            }
        }
        assert!(whys[0].contains(words), "{from} to {to}: {}", whys[0]);
        assert!(whys.iter().all(|why| *why == whys[0]), "{whys:?}");
    }
    for (from, to) in [
        ("2026-03-01", "2026-03-01"),
        ("2026-03-01", "2026-03-01T00:00:01Z"),
        ("2026-03-01T23:59:59Z", "2026-03-02"),
        ("2026-02-28T19:00:00-05:00", "2026-03-01"),
    ] {
        assert!(refusals(from, to)[..2].iter().all(Result::is_ok), "{from} to {to}");
    }
}

#[test]
fn midnight_in_utc_given_with_a_time_stays_a_time() {
    // In New York it is the evening before.
    let facts = on(&SimDisk::new(1)).in_zone(&TimeZone::posix("EST5").unwrap());
    facts.assert(&triple("Acme"), Some("2026-02-28T19:00:00-05:00"), None, None).unwrap();
    for (as_of, holds) in [
        ("2026-02-27", false),
        ("2026-02-28T18:59:59-05:00", false),
        ("2026-02-28T19:00:00-05:00", true),
        ("2026-02-28", true),
    ] {
        assert_eq!(!at(&facts, as_of).is_empty(), holds, "{as_of}");
    }
    // A fact of the date is the same document, and a later call does not change what it means.
    let facts = on(&SimDisk::new(1)).in_zone(&TimeZone::posix("EST5").unwrap());
    let dated = facts.assert(&triple("Acme"), Some("2026-03-01"), None, None).unwrap().fact;
    let timed = facts.assert(&triple("Acme"), Some("2026-03-01T00:00:00Z"), None, None).unwrap();
    assert_eq!((timed.fact, timed.new), (dated, false));
    assert!(at(&facts, "2026-02-28").is_empty());
}

#[test]
fn offsets_of_one_moment_make_one_fact_without_conflict() {
    for seed in 0..10 {
        let disk = SimDisk::new(seed);
        let (ann, bob) = (on(&disk), on(&disk));
        let [tokyo, delhi] = ["2026-03-01T10:00:00+09:00", "2026-03-01T06:30:00+05:30"];
        let acme = &triple("Acme");
        std::thread::scope(|scope| {
            scope.spawn(|| ann.assert(acme, Some(tokyo), None, None).unwrap());
            scope.spawn(|| bob.assert(acme, Some(delhi), None, None).unwrap());
        });
        ann.end(acme, Some("2026-04-01T10:00:00+09:00")).unwrap();
        let page = bob.about(&FactQuery::default()).unwrap();
        let fact = &page.facts[0];
        assert_eq!((page.total, fact.valid_from.as_deref()), (1, Some("2026-03-01T01:00:00Z")));
        assert!(["+09:00", "+05:30"].contains(&fact.valid_from_offset.as_deref().unwrap()));
        assert_eq!(ann.about(&FactQuery::default()).unwrap().facts[0], *fact);
        assert_eq!(fact.valid_to.as_deref(), Some("2026-04-01T01:00:00Z"));
        assert_eq!(fact.valid_to_offset.as_deref(), Some("+09:00"));
        let (key, _) = ann.scan("fact/").unwrap().remove(0);
        assert!(ann.palace.get(key.as_str()).unwrap().unwrap().conflicts.is_empty());
    }
    // Two flags of one moment, as two processes that did not see each other leave them.
    let facts = on(&SimDisk::new(1));
    let [late, early] = ["2026-03-01T10:00:00+09:00", "2026-03-01T06:30:00+05:30"];
    let id = facts.assert(&triple("Acme"), Some(late), None, None).unwrap().fact.id;
    let again = facts.assert(&triple("Acme"), Some(early), None, None).unwrap();
    assert_eq!((again.new, &again.fact.id), (false, &id));
    assert_eq!(again.fact.valid_from_offset.as_deref(), Some("+09:00"), "the first one stays");
    let (key, _) = facts.scan("fact/").unwrap().remove(0);
    let other = serde_json::json!({"began/2026-03-01T01:00:00Z/+05:30": true});
    facts.palace.patch(key.as_str(), &other).unwrap();
    let fact = facts.about(&FactQuery::default()).unwrap().facts.remove(0);
    assert_eq!(fact.valid_from_offset.as_deref(), Some("+05:30"), "the first in byte order");
}

#[test]
fn fact_of_the_future_is_not_current() {
    let facts = on(&SimDisk::new(1));
    let now = facts.now();
    facts.assert(&triple("Acme"), Some("9000-01-01"), None, None).unwrap();
    facts.assert(&triple("Bolt"), Some("2020-01-01"), Some("2021-01-01"), None).unwrap();
    facts.assert(&triple("Core"), Some("2020-01-01"), None, None).unwrap();
    let (stats, counts) =
        (facts.stats().unwrap(), facts.about(&FactQuery::default()).unwrap().counts);
    assert_eq!((stats.facts, stats.current, stats.future), (3, 1, 1));
    assert_eq!((counts.current, counts.over, counts.future), (1, 1, 1));
    assert_eq!(at(&facts, &now.to_string()), ["Core"]);
    // "It holds now" is something else than "it will hold".
    let held = facts.assert(&triple("Acme"), None, None, None).unwrap();
    assert!(held.new && held.fact.valid_from.is_none());
    // "It holds from 9001 on" is said by a fact that holds from 9000 on.
    assert!(!facts.assert(&triple("Acme"), Some("9001-01-01"), None, None).unwrap().new);
    let early = facts.end(&triple("Dash"), None).unwrap_err().to_string();
    assert!(early.contains("never asserted"), "{early}");
    facts.assert(&triple("Dash"), Some("9000-01-01"), None, None).unwrap();
    let early = facts.end(&triple("Dash"), None).unwrap_err().to_string();
    assert!(early.contains("before the beginning, 9000-01-01"), "{early}");
}

/// A moment of a fact in the property test: a date, or a time.
#[derive(Clone, Debug)]
enum Given {
    Day(i8),
    Second(i64),
}

const FIRST: Date = date(2026, 3, 1);

fn day(n: i8) -> Date {
    FIRST.with().day(n).build().unwrap()
}

/// Returns the second at which a day begins at an offset.
fn midnight(day: Date, offset: Offset) -> i64 {
    offset.to_timestamp(day.at(0, 0, 0, 0)).unwrap().as_second()
}

impl Given {
    fn text(&self) -> String {
        match self {
            Given::Day(n) => day(*n).to_string(),
            Given::Second(s) => Timestamp::from_second(*s).unwrap().to_string(),
        }
    }

    fn begins(&self, offset: Offset) -> i64 {
        match self {
            Given::Day(n) => midnight(day(*n), offset),
            Given::Second(s) => *s,
        }
    }
}

fn given() -> impl Strategy<Value = Given> {
    let start = midnight(FIRST, Offset::UTC);
    // Whole hours, so that midnight and equal moments are frequent.
    prop_oneof![
        (1..4i8).prop_map(Given::Day),
        (0..72i64).prop_map(move |hour| Given::Second(start + hour * 3_600)),
    ]
}

/// Makes the fact of a document, without a check of its period: other programs write documents too.
fn fact(from: Option<&Given>, to: Option<&Given>) -> Fact {
    let kept = |given: &Given| Moment::parse("at", &given.text(), &TimeZone::UTC).unwrap();
    let (from, to) = (from.map(kept), to.map(kept));
    let mut value = serde_json::json!({"subject": "s", "predicate": "p", "object": "o"});
    for (field, flag, moment) in [("valid_from", "began", &from), ("valid_to", "ended", &to)] {
        let Some(Moment { text, offset, .. }) = moment else { continue };
        value[field] = serde_json::json!(text);
        if let Some(offset) = offset {
            value[format!("{flag}/{text}/{offset}")] = serde_json::json!(true);
        }
    }
    let id = "0".repeat(32);
    let key = fact::fact_key(&format!("t_{id}_{id}")).unwrap();
    fact::fact_shown(&key, value.as_object().unwrap()).unwrap()
}

/// Returns the seconds in which a fact holds for a reader at an offset.
fn period(from: Option<&Given>, to: Option<&Given>, offset: Offset) -> std::ops::Range<i64> {
    let start = from.map_or(i64::MIN, |from| from.begins(offset));
    let end = match (from, to) {
        (Some(Given::Day(from)), Some(Given::Day(to))) if from == to => {
            midnight(day(to + 1), offset)
        }
        (_, Some(to)) => to.begins(offset),
        (_, None) => i64::MAX,
    };
    start..end
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn holds_is_membership_in_the_period(
        from in proptest::option::weighted(0.9, given()),
        to in proptest::option::weighted(0.9, given()),
        asked in given(),
        hours in -11..14i8,
    ) {
        let offset = jiff::tz::offset(hours);
        let zone = TimeZone::fixed(offset);
        let holds = period(from.as_ref(), to.as_ref(), offset);
        let fact = fact(from.as_ref(), to.as_ref());
        let (as_of, expected) = match &asked {
            Given::Day(n) => {
                let day = midnight(day(*n), offset)..midnight(day(n + 1), offset);
                let overlap = holds.start.max(day.start)..holds.end.min(day.end);
                (AsOf::in_zone(&asked.text(), &zone).unwrap(), !overlap.is_empty())
            }
            Given::Second(s) => {
                let civil = offset.to_datetime(Timestamp::from_second(*s).unwrap());
                let sign = if hours < 0 { '-' } else { '+' };
                let text = format!("{civil}{sign}{:02}:00", hours.abs());
                // The zone of the machine does not matter for an instant.
                (AsOf::in_zone(&text, &TimeZone::UTC).unwrap(), holds.contains(s))
            }
        };
        prop_assert_eq!(fact.holds(&as_of), expected, "{:?} at {}", fact, as_of);
    }
}
