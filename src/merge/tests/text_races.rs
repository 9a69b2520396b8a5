//! Random histories of several writers over one text: every line that was added and that nobody took out is there at the
//! end, in the text or in a conflict, and no line that was taken out comes back.
//!
//! Each writer has a copy of the document, edits the text that it shows, and now and then takes in another one's copy. An
//! edit is a mark that stands nowhere else, as in the races of real clients. `CRDT_PALACE_RACES=10000` runs more histories,
//! and `CRDT_PALACE_SEED=17` begins at another seed.

use super::{by, put};
use crate::fs::sim::SplitMix;
use crate::merge::{Conflict, Doc};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const LINES: usize = 8;

fn marks(text: &str) -> BTreeSet<String> {
    let words = text.split_whitespace().filter(|word| word.starts_with('~'));
    words.map(str::to_owned).collect()
}

/// The marks that end a line. Another one stands in a line that was edited by somebody else, which stays for that edit.
fn ends_of_lines(text: &str) -> BTreeSet<String> {
    text.split('\n').filter_map(|line| line.split(' ').next_back()).flat_map(marks).collect()
}

fn marks_of(value: &Value) -> BTreeSet<String> {
    value.as_str().map(marks).unwrap_or_default()
}

fn content(doc: &Doc) -> String {
    doc.view().value["content"].as_str().unwrap().to_owned()
}

/// The marks of the text that are in no conflict, and all others that are shown.
fn shown(doc: &Doc) -> (BTreeSet<String>, BTreeSet<String>) {
    let view = doc.view();
    let readings = |conflict: &Conflict| {
        let others = conflict.others.iter().map(|other| other.value.clone());
        conflict.shown_value(&view.value).into_iter().chain(others).collect::<Vec<_>>()
    };
    let open: BTreeSet<String> =
        view.conflicts.iter().flat_map(readings).flat_map(|value| marks_of(&value)).collect();
    let text = marks_of(&view.value["content"]);
    (text.difference(&open).cloned().collect(), open)
}

#[derive(Default)]
struct Ledger {
    written: BTreeSet<String>,
    /// Marks in no conflict that a writer took out.
    taken_out: BTreeSet<String>,
    /// Marks in a conflict that a writer wrote over.
    settled: BTreeSet<String>,
}

/// Prints what a copy shows after an act.
fn trace(act: &str, doc: &Doc) {
    if std::env::var_os("CRDT_PALACE_TRACE").is_none() {
        return;
    }
    let view = doc.view();
    println!("{act}: {}", view.value["content"].as_str().unwrap().replace('\n', "|"));
    for conflict in &view.conflicts {
        let shown = conflict.shown_value(&view.value).unwrap();
        let others: Vec<_> =
            conflict.others.iter().map(|one| (&one.value, one.written.change)).collect();
        println!("    {shown} {} {others:?}", conflict.shown.change);
    }
}

/// Writes one edit of the text that a copy shows.
fn edit(doc: &mut Doc, name: char, n: usize, random: &mut SplitMix, ledger: &mut Ledger) {
    let (plain, open) = shown(doc);
    let mark = format!("~{name}{n}");
    let mut lines: Vec<String> = content(doc).split('\n').map(str::to_owned).collect();
    let marked: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].starts_with('~')).collect();
    match random.below(6) {
        0 | 1 => {
            let line = random.below(lines.len());
            let start = lines[line].split(" ~").next().unwrap().to_owned();
            lines[line] = format!("{start} {mark}");
        }
        2 => lines.push(mark.clone()),
        3 if !marked.is_empty() => drop(lines.remove(marked[random.below(marked.len())])),
        4 if lines.len() > 1 => drop(lines.remove(random.below(lines.len()))),
        _ => lines.insert(random.below(lines.len() + 1), mark.clone()),
    }
    let text = lines.join("\n");
    let mut value = doc.view().value;
    value.insert("content".to_owned(), text.clone().into());
    let Some(change) = doc.put(&by(name), None, &value).unwrap() else { return };
    let left = marks(&text);
    ledger.written.extend(left.contains(&mark).then_some(mark));
    let (plain_after, open_after) = shown(doc);
    ledger.taken_out.extend(plain.difference(&left).cloned());
    let settled = change.settled.iter().flat_map(|one| &one.values);
    ledger.settled.extend(settled.flat_map(|one| marks_of(&one.value)));
    // What was open and is in no reading now: it stood at a place that was written.
    let gone =
        open.iter().filter(|mark| !plain_after.contains(*mark) && !open_after.contains(*mark));
    ledger.settled.extend(gone.cloned());
}

#[test]
fn no_line_is_lost_and_none_that_was_taken_out_comes_back() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let first: u64 = number("CRDT_PALACE_SEED", 1);
    let mut back = Vec::new();
    for seed in first..first + number("CRDT_PALACE_RACES", 300) {
        let mut random = SplitMix::new(seed);
        let mut doc = Doc::new().with_prose(Some("content"));
        let lines: Vec<String> = (0..LINES).map(|n| format!("line {n}")).collect();
        put(&mut doc, 's', json!({"content": lines.join("\n")}));
        let names: Vec<char> = "abcdef".chars().take(2 + random.below(5)).collect();
        let mut copies: Vec<Doc> = names.iter().map(|_| doc.clone()).collect();
        let mut ledger = Ledger::default();
        for n in 0..6 * names.len() {
            let at = random.below(names.len());
            if random.below(3) == 0 {
                let from = random.below(names.len());
                let other = copies[from].clone();
                drop(copies[at].merge(&other).unwrap());
                trace(&format!("{n} {} reads {}", names[at], names[from]), &copies[at]);
            } else {
                edit(&mut copies[at], names[at], n, &mut random, &mut ledger);
                trace(&format!("{n} {} writes", names[at]), &copies[at]);
            }
        }
        let mut all = copies[0].clone();
        copies[1..].iter().for_each(|copy| drop(all.merge(copy).unwrap()));
        let mut reversed = copies[copies.len() - 1].clone();
        copies.iter().rev().for_each(|copy| drop(reversed.merge(copy).unwrap()));
        assert_eq!(all.view(), reversed.view(), "seed {seed}");
        let (plain, open) = shown(&all);
        let is_lost = |mark: &&String| {
            let gone = ledger.taken_out.contains(*mark) || ledger.settled.contains(*mark);
            !gone && !plain.contains(*mark) && !open.contains(*mark)
        };
        let lost: Vec<_> = ledger.written.iter().filter(is_lost).collect();
        assert!(lost.is_empty(), "CRDT_PALACE_SEED={seed}: {lost:?} are lost in {:?}", all.view());
        let ends = ends_of_lines(&content(&all));
        let is_back = |mark: &&String| plain.contains(*mark) && ends.contains(*mark);
        let returned: Vec<_> = ledger.taken_out.iter().filter(is_back).cloned().collect();
        if !returned.is_empty() {
            back.push((seed, returned));
        }
    }
    assert!(back.is_empty(), "{back:?} came back");
}
