//! Tests of facts on real palaces. Two handles of one palace stand for two processes.

use super::triple::FACTS;
use super::*;
use crate::memory::MemoryError;
use crate::palace::compact::CompactOptions;
use crate::palace::{Options, WriteOptions};
use serde_json::{Map, Value};

fn open(dir: &tempfile::TempDir) -> Facts {
    let options = Options::default().auto_compact(false);
    Facts::new(options.open(dir.path().join("palace")).unwrap())
}

fn triple(object: &str) -> Triple {
    Triple::new("Ada", "works at", object).unwrap()
}

fn about<'a>(entity: &'a str) -> FactQuery<'a> {
    FactQuery { entity: Some(entity), ..FactQuery::default() }
}

fn objects(facts: &Facts, asked: &FactQuery<'_>) -> Vec<String> {
    facts.about(asked).unwrap().facts.into_iter().map(|fact| fact.triple.object).collect()
}

#[test]
fn fact_asserted_twice_is_one_and_can_begin_again() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (open(&dir), open(&dir));
    let acme = triple("Acme");
    let ids = std::thread::scope(|scope| {
        let other =
            scope.spawn(|| b.assert(&acme, Some("2024-01-01"), None, None).unwrap().fact.id);
        let mine = a.assert(&acme, Some("2024-01-01"), None, None).unwrap().fact.id;
        [mine, other.join().unwrap()]
    });
    assert_eq!(ids[0], ids[1]);
    // Case and moment do not matter: the fact still holds.
    let folded = Triple::new("ADA", "works_at", "acme").unwrap();
    let again = b.assert(&folded, Some("2025-01-01"), None, None).unwrap();
    assert_eq!((again.fact.id.as_str(), again.new), (ids[0].as_str(), false));
    a.end(&acme, Some("2025-06-01")).unwrap();
    let later = a.assert(&acme, Some("2025-07-01"), None, None).unwrap();
    assert!(later.new && later.fact.id != ids[0], "that one ended");
    let past = a.assert(&acme, Some("2020-01-01"), Some("2021-01-01"), None).unwrap();
    assert!(past.new);
    assert!(!a.assert(&acme, Some("2020-01-01"), Some("2021-01-01"), None).unwrap().new);
    assert_eq!((a.count().unwrap(), a.about(&about("ada")).unwrap().total), (3, 3));
    assert!(a.assert(&acme, Some("2021-01-01"), Some("2020-01-01"), None).is_err());
}

#[test]
fn fact_ended_several_times_ends_at_the_earliest_moment() {
    let orders = [["2025-03-01", "2025-02-01"], ["2025-02-01", "2025-03-01"]];
    for order in orders {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (open(&dir), open(&dir));
        a.assert(&triple("Acme"), None, None, None).unwrap();
        a.end(&triple("Acme"), Some(order[0])).unwrap();
        b.end(&triple("Acme"), Some(order[1])).unwrap();
        let fact = b.about(&about("Ada")).unwrap().facts.remove(0);
        assert_eq!(fact.valid_to.as_deref(), Some("2025-02-01"), "one after the other");
    }
    for seed in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (open(&dir), open(&dir));
        a.assert(&triple("Acme"), None, None, None).unwrap();
        let order = orders[seed % 2];
        std::thread::scope(|scope| {
            scope.spawn(|| a.end(&triple("Acme"), Some(order[0])).unwrap());
            scope.spawn(|| b.end(&triple("Acme"), Some(order[1])).unwrap());
        });
        for facts in [&a, &b] {
            let fact = facts.about(&about("Ada")).unwrap().facts.remove(0);
            assert_eq!(fact.valid_to.as_deref(), Some("2025-02-01"), "at once, round {seed}");
        }
    }
}

#[test]
fn concurrent_ends_merge_to_the_earliest_moment() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    facts.assert(&triple("Acme"), None, None, None).unwrap();
    let (key, _) = facts.scan(FACTS).unwrap().remove(0);
    let base = facts.palace.get(key.as_str()).unwrap().unwrap().etag;
    for ended in ["2025-03-01", "2025-02-01", "2025-04-01"] {
        let options = WriteOptions::new().base(base.clone());
        let patch = Map::from_iter([("ends".to_owned(), serde_json::json!([ended]))]);
        open(&dir).palace.with(options.clone()).patch(key.as_str(), &patch).unwrap();
    }
    let document = facts.palace.get(key.as_str()).unwrap().unwrap();
    assert!(document.conflicts.is_empty(), "{document:?}");
    let fact = facts.about(&about("Ada")).unwrap().facts.remove(0);
    assert_eq!(fact.valid_to.as_deref(), Some("2025-02-01"));
}

#[test]
fn end_reports_whether_it_changed_anything() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    let acme = triple("Acme");
    assert!(matches!(facts.end(&acme, None), Err(MemoryError::NoFact { .. })));
    facts.assert(&acme, Some("2025-01-01"), None, None).unwrap();
    let early = facts.end(&acme, Some("2024-01-01"));
    assert!(early.unwrap_err().to_string().contains("is before the beginning, 2025-01-01"));
    assert!(facts.end(&acme, Some("2025-02-01")).unwrap().changed);
    let again = facts.end(&acme, Some("2025-03-01")).unwrap();
    assert_eq!((again.changed, again.fact.valid_to.as_deref()), (false, Some("2025-02-01")));
    assert!(facts.end(&acme, Some("soon")).unwrap_err().to_string().contains("ended"));
}

#[test]
fn replacement_holds_from_the_end_of_the_old_fact() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
    for _ in 0..2 {
        let (old, new) = facts.replace(&triple("Acme"), "Bolt", Some("2026-03-01")).unwrap();
        assert_eq!(old.fact.valid_to, new.fact.valid_from);
    }
    let at = |as_of| objects(&facts, &FactQuery { as_of: Some(as_of), ..about("ada") });
    assert_eq!(at("2023-12-31"), [""; 0]);
    assert_eq!(at("2026-02-28"), ["Acme"]);
    assert_eq!(at("2026-03-01"), ["Bolt"], "exactly one holds at the moment itself");
    assert_eq!(facts.count().unwrap(), 2, "superseding twice is once");
    assert!(facts.replace(&triple("None"), "Bolt", None).is_err());
    assert!(facts.replace(&triple("Bolt"), "bolt", None).is_err());
    assert_eq!(facts.count().unwrap(), 2, "nothing of a refused call is written");
}

#[test]
fn end_ends_every_period_that_holds() {
    let (acme, ended) = (triple("Acme"), Some("2026-06-01"));
    for superseded in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let facts = open(&dir);
        // Each has a key of its own. So do facts that two processes assert at once, one of them with a beginning.
        for (from, to) in [(Some("2026-01-01"), Some("2027-01-01")), (None, None)] {
            assert!(facts.assert(&acme, from, to, None).unwrap().new);
        }
        let done = match superseded {
            true => facts.replace(&acme, "Bolt", ended).unwrap().0,
            false => facts.end(&acme, ended).unwrap(),
        };
        assert_eq!((done.changed, done.fact.valid_to.as_deref()), (true, ended));
        let at = |as_of| objects(&facts, &FactQuery { as_of: Some(as_of), ..about("ada") });
        assert_eq!(at("2026-05-01"), ["Acme", "Acme"]);
        assert_eq!(at("2026-07-01"), if superseded { vec!["Bolt"] } else { vec![] });
    }
}

#[test]
fn fact_that_began_today_ends_now_by_default() {
    for superseded in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let facts = open(&dir);
        facts.assert(&triple("Acme"), Some("2024-01-01"), Some("2025-01-01"), None).unwrap();
        facts.assert(&triple("Acme"), Some(&facts.now().to_string()), None, None).unwrap();
        match superseded {
            true => drop(facts.replace(&triple("Acme"), "Bolt", None).unwrap()),
            false => assert!(facts.end(&triple("Acme"), None).unwrap().changed),
        }
        let count = facts.count().unwrap();
        match superseded {
            true => drop(facts.replace(&triple("Acme"), "Bolt", None).unwrap()),
            false => assert!(!facts.end(&triple("Acme"), None).unwrap().changed, "once more"),
        }
        assert_eq!(facts.count().unwrap(), count);
        let now =
            objects(&facts, &FactQuery { as_of: Some(&facts.now().to_string()), ..about("ada") });
        assert_eq!(now, if superseded { vec!["Bolt"] } else { vec![] });
    }
    // A fact that held at midnight ends with the day before: its end is a date.
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    facts.assert(&triple("Acme"), Some("2024-01-01"), None, None).unwrap();
    let ended = facts.end(&triple("Acme"), None).unwrap().fact.valid_to.unwrap();
    assert_eq!(ended.len(), "2026-03-01".len(), "{ended}");
}

#[test]
fn fact_with_an_open_period_has_not_ended() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    facts.assert(&triple("Acme"), Some("2020-01-01"), Some("2021-01-01"), None).unwrap();
    facts.assert(&triple("Acme"), Some("2030-01-01"), None, None).unwrap();
    let count = facts.count().unwrap();
    let early = facts.end(&triple("Acme"), Some("2026-01-01"));
    assert!(matches!(early, Err(MemoryError::FactDoesNotHold { .. })), "{early:?}");
    let early = facts.replace(&triple("Acme"), "Bolt", Some("2026-01-01")).unwrap_err();
    assert!(early.to_string().contains("pass a moment"), "{early}");
    assert_eq!(facts.count().unwrap(), count, "nothing of a refused call is written");
    assert!(facts.end(&triple("Acme"), Some("2030-06-01")).unwrap().changed);
}

#[test]
fn midnight_and_the_date_are_the_same_moment() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    facts.assert(&triple("Acme"), Some("2024-01-01T00:00:00Z"), None, None).unwrap();
    facts.replace(&triple("Acme"), "Bolt", Some("2026-03-01T01:00:00+01:00")).unwrap();
    let at = |as_of| objects(&facts, &FactQuery { as_of: Some(as_of), ..about("ada") });
    let in_turn = || {
        assert_eq!((at("2023-12-31"), at("2024-01-01")), (vec![], vec!["Acme".to_owned()]));
        assert_eq!(at("2026-03-01"), ["Bolt"]);
        assert_eq!(at("2026-03-01T00:00:00Z"), ["Bolt"]);
    };
    in_turn();
    // The same holds for moments that an earlier version wrote in another form.
    for (key, fact) in facts.scan(FACTS).unwrap() {
        let midnight = |date: Option<String>| date.map(|date| format!("{date}T00:00:00Z").into());
        let ends: Vec<Value> = midnight(fact.valid_to).into_iter().collect();
        let patch = Map::from_iter([
            ("valid_from".to_owned(), midnight(fact.valid_from).unwrap()),
            ("ends".to_owned(), ends.into()),
        ]);
        facts.palace.patch(key.as_str(), &patch).unwrap();
    }
    in_turn();
    assert!(!facts.end(&triple("Acme"), Some("2026-03-01")).unwrap().changed);
    assert!(!facts.assert(&triple("Bolt"), Some("2026-03-01"), None, None).unwrap().new);
    assert_eq!(facts.count().unwrap(), 2);
}

/// Returns a fact of another system.
#[cfg(feature = "mcp")]
fn foreign(valid_from: &str, valid_to: Option<&str>) -> [import::ForeignFact; 1] {
    [import::ForeignFact {
        id: "t_old".to_owned(),
        triple: triple("Acme"),
        valid_from: Some(valid_from.to_owned()),
        valid_to: valid_to.map(str::to_owned),
        offsets: [None, None],
        source: Source::default(),
        known: Map::new(),
    }]
}

#[cfg(feature = "mcp")]
#[test]
fn imported_fact_keeps_its_period_beside_an_asserted_one() {
    for noted_there in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let facts = open(&dir);
        facts.assert(&triple("Acme"), Some("2026-01-01"), None, None).unwrap();
        if noted_there {
            // An earlier version noted it in any open period.
            let (key, _) = facts.scan(FACTS).unwrap().remove(0);
            let source = serde_json::json!([{"from": {"id": "t_old"}}]);
            let patch = Map::from_iter([("sources".to_owned(), source)]);
            facts.palace.patch(key.as_str(), &patch).unwrap();
        }
        let at =
            |as_of| facts.about(&FactQuery { as_of: Some(as_of), ..about("ada") }).unwrap().total;
        assert_eq!(
            facts.import(&foreign("2020-01-01", None)).unwrap(),
            [import::ImportedFact::New]
        );
        assert_eq!((at("2019-01-01"), at("2021-01-01")), (0, 1), "noted there: {noted_there}");
        let ended = foreign("2020-01-01", Some("2023-01-01"));
        assert_eq!(facts.import(&ended).unwrap(), [import::ImportedFact::New]);
        assert_eq!((at("2021-01-01"), at("2024-01-01"), at("2026-06-01")), (1, 0, 1));
        assert_eq!(facts.import(&ended).unwrap(), [import::ImportedFact::Known]);
        assert_eq!(facts.count().unwrap(), 2);
    }
    // A period that was asserted here already gets one more source.
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    facts.assert(&triple("Acme"), Some("2020-01-01"), None, None).unwrap();
    facts.import(&foreign("2020-01-01", None)).unwrap();
    facts.import(&foreign("2020-01-01", Some("2023-01-01"))).unwrap();
    let fact = facts.about(&about("ada")).unwrap().facts.remove(0);
    assert_eq!((fact.valid_to.as_deref(), facts.count().unwrap()), (Some("2023-01-01"), 1));
}

#[test]
fn entity_is_found_as_subject_and_object_after_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    let state = |s: &str, p: &str, o: &str| {
        facts.assert(&Triple::new(s, p, o).unwrap(), None, None, None).unwrap()
    };
    state("Ada Byron", "knows", "Max");
    state("Max", "knows", "Ada_Byron");
    state("Ada", "is", "Byron");
    state("+++", "rates", "Max");
    for fold in [false, true] {
        if fold {
            facts.palace.compact(CompactOptions::default()).unwrap();
        }
        let count = |entity, direction| {
            facts.about(&FactQuery { direction, ..about(entity) }).unwrap().total
        };
        assert_eq!(count("ada byron", Direction::Both), 2);
        assert_eq!(count("ada byron", Direction::Outgoing), 1);
        assert_eq!(count("ADA", Direction::Both), 1);
        assert_eq!(count("max", Direction::Incoming), 2);
        assert_eq!(count("+++", Direction::Both), 1, "an entity without a word in its name");
    }
    let stats = facts.stats().unwrap();
    assert_eq!((stats.entities, stats.facts, stats.current), (5, 4, 4));
    assert_eq!(stats.predicates.len(), 3);
}

#[test]
fn fact_ended_between_two_compactions_is_one_fact() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    let (acme, bolt) = (triple("Acme"), triple("Bolt"));
    facts.assert(&acme, Some("2024-01-01"), None, None).unwrap();
    facts.assert(&bolt, Some("2025-01-01"), None, None).unwrap();
    for step in 0..3 {
        let compact = || facts.palace.compact(CompactOptions::default()).unwrap().published;
        match step {
            0 => assert!(compact().is_some()),
            1 => drop(facts.end(&acme, Some("2026-03-01")).unwrap()),
            _ => assert!(compact().is_some()),
        }
        let page = facts.about(&about("ada")).unwrap();
        let ended = (step > 0).then_some("2026-03-01");
        assert_eq!((page.total, page.facts.len()), (2, 2), "step {step}");
        assert_eq!(page.facts[0].valid_to.as_deref(), ended, "step {step}");
        let open = facts.about(&FactQuery { as_of: Some("2026-04-01"), ..about("ada") }).unwrap();
        assert_eq!(open.total, if step > 0 { 1 } else { 2 }, "step {step}");
        assert_eq!((facts.count().unwrap(), facts.stats().unwrap().facts), (2, 2));
    }
}

#[test]
fn fact_pages_continue_at_the_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    for year in (2000..2010).rev() {
        let from = format!("{year}-01-01");
        facts.assert(&triple(&format!("Firm {year}")), Some(&from), None, None).unwrap();
    }
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page =
            facts.about(&FactQuery { after: cursor.as_deref(), limit: 3, ..FactQuery::default() });
        let page = page.unwrap();
        assert_eq!(page.total, 10);
        cursor = page.facts.last().map(Fact::position);
        seen.extend(page.facts.into_iter().filter_map(|fact| fact.valid_from));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, (2000..2010).map(|year| format!("{year}-01-01")).collect::<Vec<_>>());
    let bad = facts.about(&FactQuery { after: Some("nonsense"), ..FactQuery::default() });
    assert!(bad.unwrap_err().to_string().contains("cursor"));
}

#[test]
fn sources_are_kept_and_bad_parts_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let facts = open(&dir);
    let source = |file: &str| Source { file: Some(file.to_owned()), ..Source::default() };
    for file in ["a.md", "b.md", "a.md"] {
        facts.assert(&triple("Acme"), None, None, Some(&source(file))).unwrap();
    }
    let fact = facts.about(&about("Ada")).unwrap().facts.remove(0);
    assert_eq!(fact.sources, [source("a.md"), source("b.md")]);
    let long = "x".repeat(PART_CHARS_MAX + 1);
    for (bad, word) in [("", "empty"), ("a\nb", "one line"), (long.as_str(), "500")] {
        let error = Triple::new(bad, "p", "o").unwrap_err().to_string();
        assert!(error.contains("subject") && error.contains(word), "{error}");
    }
}
