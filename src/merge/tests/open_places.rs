//! Places of texts that stay open through random histories, and messages that list places that do not fit.

use super::convergence::config;
use super::{Doc, by, map, put};
use automerge::Change;
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

const WRITERS: [char; 3] = ['a', 'b', 'c'];

fn start(text: &str) -> Doc {
    let mut doc = Doc::new().with_prose(Some("content"));
    put(&mut doc, 'f', json!({"content": text}));
    doc
}

fn content(doc: &Doc) -> String {
    doc.view().value["content"].as_str().unwrap().to_owned()
}

/// All marks in a text: words that begin with `~`.
fn marks(text: &str) -> impl Iterator<Item = String> {
    text.split([' ', '\n', '.']).filter(|word| word.starts_with('~')).map(str::to_owned)
}

/// All marks that a document shows, in its text or in a conflict.
fn everything(doc: &Doc) -> BTreeSet<String> {
    let others = doc.view().conflicts.into_iter().flat_map(|conflict| conflict.others);
    let others = others.map(|other| other.value.as_str().unwrap().to_owned());
    others.chain([content(doc)]).flat_map(|text| marks(&text).collect::<Vec<_>>()).collect()
}

#[derive(Debug, Clone)]
enum Act {
    /// Add a mark to a line.
    Edit(usize),
    /// Insert a line with a mark.
    Insert(usize),
    /// Delete a line that has no mark.
    Delete(usize),
    /// Take a reading of a conflict.
    Settle(usize, usize),
    /// Read what another writer has.
    Pull(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..8usize).prop_map(Act::Edit),
        1 => (0..8usize).prop_map(Act::Insert),
        1 => (0..8usize).prop_map(Act::Delete),
        1 => (0..8usize, 0..8usize).prop_map(|(at, take)| Act::Settle(at, take)),
        4 => (0..3usize).prop_map(Act::Pull),
    ]
}

/// Performs an act. Returns the marks of the readings that it settled.
fn perform(docs: &mut [Doc; 3], who: usize, act: &Act, mark: &str) -> BTreeSet<String> {
    let stamp = by(WRITERS[who]);
    if let Act::Pull(from) = act {
        let from = docs[*from].clone();
        assert_eq!(docs[who].merge(&from).unwrap().rejected, []);
        return BTreeSet::new();
    }
    let doc = &mut docs[who];
    let before = doc.view();
    let mut lines: Vec<String> = content(doc).split('\n').map(str::to_owned).collect();
    let at = |at: usize, len: usize| at % len.max(1);
    let made = match act {
        Act::Settle(n, take) if !before.conflicts.is_empty() => {
            let conflict = &before.conflicts[at(*n, before.conflicts.len())];
            let shown = conflict.shown_value(&before.value).unwrap();
            let readings = conflict.others.iter().map(|other| other.value.clone());
            let readings: Vec<_> = readings.chain([shown]).collect();
            let reading = &readings[at(*take, readings.len())];
            doc.settle_conflict(&stamp, conflict, reading).unwrap()
        }
        Act::Settle(..) | Act::Pull(_) => None,
        Act::Edit(n) | Act::Insert(n) | Act::Delete(n) => {
            let n = at(*n, lines.len());
            match act {
                Act::Edit(_) => lines[n] = format!("{} {mark}", lines[n]),
                Act::Insert(_) => lines.insert(n, format!("new {mark}")),
                _ if lines.len() > 1 && !lines[n].contains('~') => drop(lines.remove(n)),
                _ => {}
            }
            doc.put(&stamp, None, &map(json!({"content": lines.join("\n")}))).unwrap()
        }
    };
    let Some(made) = made else { return BTreeSet::new() };
    assert_eq!(doc.heads().hashes(), [made.hash], "one write is one change");
    let settled = made.settled.iter().flat_map(|settled| &settled.values);
    settled.flat_map(|one| marks(one.value.as_str().unwrap()).collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn open_places_lose_no_edit_in_random_histories(
        acts in proptest::collection::vec((0..3usize, act()), 5..60),
    ) {
        let first = start("One.\nTwo.\nThree.\nFour.");
        let mut docs = [first.clone(), first.clone(), first];
        let (mut made, mut settled) = (BTreeSet::new(), BTreeSet::new());
        for (n, (who, act)) in acts.iter().enumerate() {
            let mark = format!("~{}{n}", WRITERS[*who]);
            settled.extend(perform(&mut docs, *who, act, &mark));
            if matches!(act, Act::Edit(_) | Act::Insert(_)) {
                made.insert(mark);
            }
            prop_assert!(docs.iter().all(|doc| doc.heads().hashes().len() <= 3));
        }
        let mut views = Vec::new();
        for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]] {
            let mut all = docs[order[0]].clone();
            for other in &order[1..] {
                prop_assert_eq!(all.merge(&docs[*other]).unwrap().rejected, vec![]);
            }
            prop_assert!(all.heads().hashes().len() <= 3);
            let found = everything(&all);
            let lost: Vec<_> = made.iter().filter(|mark| !found.contains(*mark) && !settled.contains(*mark)).collect();
            prop_assert!(lost.is_empty(), "{lost:?} are lost in {:#?}", all.view());
            let loaded = Doc::load(&all.save()).unwrap().with_prose(Some("content"));
            prop_assert_eq!(loaded.view(), all.view());
            views.push(all.view());
        }
        prop_assert!(views.iter().all(|view| *view == views[0]), "the order of arrival shows");
    }
}

/// A document before a write that leaves a place open, and that write with another message.
fn with_message(message: &str) -> Doc {
    let first = start("1\n2\n3");
    let mut both = [first.clone(), first];
    for (copy, name) in both.iter_mut().zip(['a', 'b']) {
        let text = format!("1\n{name}\n3");
        copy.put(&by(name), None, &map(json!({"content": text}))).unwrap().unwrap();
    }
    let [mut all, other] = both;
    assert_eq!(all.merge(&other).unwrap().rejected, []);
    let mut written = all.clone();
    let text = format!("{}\n4", content(&all));
    let made = written.put(&by('c'), None, &map(json!({"content": text}))).unwrap().unwrap();
    assert_eq!(written.view().conflicts.len(), 1);
    let shown = written.view().conflicts.remove(0).shown.change;
    let mut change = Change::from_bytes(made.bytes).unwrap().decode();
    let message = message.replace("SHOWN", &shown.to_string());
    change.message = Some(message.replace("OWN", &made.hash.to_string()));
    let change = Change::from(change);
    assert_eq!(all.apply([change.raw_bytes()]).rejected, []);
    assert_eq!(content(&all), text);
    all
}

#[test]
fn listed_places_that_do_not_fit_are_ignored() {
    let place = |units: &str, shown: &str, others: &str| {
        let place = format!(r#"{{"units":{units},"shown":"{shown}","others":[{others}]}}"#);
        format!(r#"{{"open":[{{"operation":0,"places":[{place}]}}]}}"#)
    };
    let other = r#"{"change":"SHOWN","text":"x"}"#;
    let nobody = "00".repeat(32);
    let (unit, beyond) = (r#"{"start":1,"end":2}"#, r#"{"start":1,"end":9}"#);
    for (message, open) in [
        (place(unit, "SHOWN", other), 1),
        (place(r#"{"start":4,"end":4}"#, "SHOWN", other), 1),
        (place(beyond, "SHOWN", other), 0),
        (place(r#"{"start":2,"end":1}"#, "SHOWN", other), 0),
        (place(r#"{"start":18446744073709551615,"end":18446744073709551615}"#, "SHOWN", other), 0),
        (place(r#"{"start":-1,"end":1}"#, "SHOWN", other), 0),
        (place(unit, &nobody, other), 0),
        (place(unit, "SHOWN", &other.replace("SHOWN", &nobody)), 0),
        (place(unit, "short", other), 0),
        (place(unit, "SHOWN", ""), 0),
        (place(unit, "SHOWN", &other.replace("\"x\"", "7")), 0),
        (place(unit, "SHOWN", other).replace(":0,", ":1,"), 0),
        (r#"{"open":7}"#.to_owned(), 0),
        (r#"not JSON, and yet "open": it says"#.to_owned(), 0),
    ] {
        let mut doc = with_message(&message);
        assert_eq!(doc.view().conflicts.len(), open, "{message}");
        let other = doc.clone();
        let text = format!("0\n{}", content(&doc));
        doc.put(&by('d'), None, &map(json!({"content": text}))).unwrap().unwrap();
        let mut beside = other;
        let text = format!("{}\n5", content(&beside));
        beside.put(&by('e'), None, &map(json!({"content": text}))).unwrap().unwrap();
        assert_eq!(doc.merge(&beside).unwrap().rejected, []);
        assert_eq!(doc.view().conflicts.len(), open, "{message}");
        for conflict in doc.view().conflicts {
            doc.settle_conflict(&by('d'), &conflict, &json!("y")).unwrap().unwrap();
        }
        assert_eq!(doc.view().conflicts, []);
    }
}

/// Places that overlap are read as one, with the readings of both.
#[test]
fn listed_places_that_overlap_are_one() {
    let place = |units: &str, text: &str| {
        format!(
            r#"{{"units":{units},"shown":"SHOWN","others":[{{"change":"SHOWN","text":"{text}"}}]}}"#
        )
    };
    let (first, second) = (r#"{"start":0,"end":2}"#, r#"{"start":1,"end":3}"#);
    let places = format!("{},{}", place(first, "x"), place(second, "y"));
    let doc = with_message(&format!(r#"{{"open":[{{"operation":0,"places":[{places}]}}]}}"#));
    let view = doc.view();
    let [conflict] = view.conflicts.as_slice() else { panic!("{view:?}") };
    assert_eq!(conflict.range, Some(0..5));
    let others: Vec<_> = conflict.others.iter().map(|other| other.value.clone()).collect();
    assert_eq!(others, ["x\n3", "1\ny"]);
}

#[test]
fn more_open_readings_than_a_message_holds_are_refused() {
    let long = |name: char| format!("1\n{}\n3", name.to_string().repeat(900_000));
    let mut all = start("1\n2\n3");
    let first = all.clone();
    for name in ['a', 'b', 'c', 'd', 'e', 'g'] {
        let mut copy = first.clone();
        copy.put(&by(name), None, &map(json!({"content": long(name)}))).unwrap().unwrap();
        assert_eq!(all.merge(&copy).unwrap().rejected, []);
    }
    let before = all.view();
    let text = format!("{}\n4", content(&all));
    let refused = all.put(&by('h'), None, &map(json!({"content": text}))).unwrap_err();
    assert!(refused.to_string().contains("leaves open"), "{refused}");
    assert_eq!(all.view(), before);
    let conflict = before.conflicts[0].clone();
    all.settle_conflict(&by('h'), &conflict, &json!("short")).unwrap().unwrap();
    assert_eq!((content(&all).as_str(), all.view().conflicts.len()), ("1\nshort\n3", 0));
}
