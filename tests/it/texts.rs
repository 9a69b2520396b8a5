//! Texts that several handles change at once: in one directory, in two copies, compacted, searched, settled.

use crate::support::{assert_no_problem, dir, manual};
use crdt_palace::fs::os::OsFs;
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::into::merge_into;
use crdt_palace::palace::{Document, Palace, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A key whose text is prose.
const KEY: &str = "drawer/w/r/0000";

fn read(palace: &Palace) -> Document {
    palace.get(KEY).unwrap().unwrap()
}

fn write(palace: &Palace, from: &Document, text: &str) {
    let options = WriteOptions::new().base(from.etag.clone()).by(text);
    palace.with(options).put(KEY, &json!({"content": text})).unwrap();
}

fn content(document: &Document) -> &str {
    document.value["content"].as_str().unwrap()
}

fn found(palace: &Palace, word: &str) -> bool {
    !palace.search(word).hits().unwrap().is_empty()
}

/// Both handles read one version. One changes the first line and a sentence of the second, the other another sentence of
/// it and the third. Returns what the merge shows.
fn race(a: &Palace, b: &Palace) -> &'static str {
    let seen = read(a);
    assert_eq!(content(&seen), "One.\nHere is two. Here is more.\nThree.");
    write(a, &seen, "Eins.\nHere is zwei. Here is more.\nThree.");
    write(b, &seen, "One.\nHere is two. There is more.\nDrei.");
    "Eins.\nHere is zwei. There is more.\nDrei."
}

fn start(palace: &Palace) {
    palace.put(KEY, &json!({"content": "One.\nHere is two. Here is more.\nThree."})).unwrap();
}

#[test]
fn texts_merge_live_and_stay_merged_when_compacted() {
    let dir = dir();
    let (a, b) = (manual(dir.path()), manual(dir.path()));
    start(&a);
    let merged = race(&a, &b);
    for palace in [&a, &b, &manual(dir.path())] {
        assert_eq!((content(&read(palace)), read(palace).conflicts.len()), (merged, 0));
    }
    drop((a, b));
    let later = manual(dir.path());
    later.compact(CompactOptions::new().all()).unwrap();
    assert_eq!(content(&read(&later)), merged);
    assert_eq!(content(&read(&manual(dir.path()))), merged);
    assert!(["zwei", "drei", "eins"].iter().all(|word| found(&later, word)));
    // The next write goes on from what is shown.
    write(&later, &read(&later), &format!("{merged}\nFour."));
    assert_eq!(content(&read(&later)), format!("{merged}\nFour."));
    assert_no_problem(dir.path(), "after all");
}

#[test]
fn texts_of_two_copies_merge_in_a_new_palace() {
    let dir = dir();
    let [one, two, new] = ["one", "two", "new"].map(|name| dir.path().join(name));
    let a = manual(&one);
    start(&a);
    a.compact(CompactOptions::new().all()).unwrap();
    drop(a);
    copy(&one, &two);
    let (a, b) = (manual(&one), manual(&two));
    let merged = race(&a, &b);
    drop((a, b));
    merge_into(Arc::new(OsFs), &new, &[one, two], &BTreeSet::new()).unwrap();
    assert_eq!((content(&read(&manual(&new))), read(&manual(&new)).conflicts.len()), (merged, 0));
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

#[test]
fn open_readings_are_found_and_survive_an_edit_elsewhere_and_a_compaction() {
    let dir = dir();
    let palace = manual(dir.path());
    start(&palace);
    let seen = read(&palace);
    write(&palace, &seen, "One.\nHere is zwei. Here is more.\nThree.");
    write(&palace, &seen, "One.\nHere is deux. Here is more.\nThree.");
    let check = |palace: &Palace| {
        let now = read(palace);
        let [conflict] = now.conflicts.as_slice() else { panic!("{now:?}") };
        let other = conflict.others[0].value.as_str().unwrap().to_owned();
        let shown = conflict.shown_value(&now.value).unwrap();
        let mut both = [other.as_str(), shown.as_str().unwrap()];
        both.sort_unstable();
        assert_eq!(both, ["Here is deux.", "Here is zwei."]);
        assert!(found(palace, "zwei") && found(palace, "deux"));
        now
    };
    let now = check(&palace);
    // A third writer, who leaves the sentence as it is shown.
    let text = content(&now).replace("Three.", "Drei.");
    write(&palace, &now, &text);
    assert_eq!(content(&check(&palace)), text);
    palace.compact(CompactOptions::new().all()).unwrap();
    drop(palace);
    let later = manual(dir.path());
    later.compact(CompactOptions::new().all()).unwrap();
    let now = check(&later);
    assert_eq!(content(&now), text);
    let conflict = now.conflicts[0].clone();
    later.write(KEY, |draft| draft.settle(&conflict, &json!("Here are both."))).unwrap();
    let settled = read(&later);
    assert_eq!(content(&settled), "One.\nHere are both. Here is more.\nDrei.");
    assert_eq!(
        (settled.conflicts.len(), found(&later, "zwei"), found(&later, "deux")),
        (0, false, false)
    );
    assert_eq!(Value::from(content(&read(&manual(dir.path())))), settled.value["content"]);
}
