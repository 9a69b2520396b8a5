//! Texts that several writers change at once.

use super::{by, map, put};
use crate::merge::{Conflict, Doc, MergeError};
use serde_json::json;
use std::collections::BTreeSet;

/// A document that shows `text` as prose, and one copy of it for each writer.
fn copies<const N: usize>(text: &str) -> (Doc, [Doc; N]) {
    let mut doc = Doc::new().with_prose(Some("content"));
    put(&mut doc, 'f', json!({"content": text, "n": 0}));
    let copies = std::array::from_fn(|_| doc.clone());
    (doc, copies)
}

/// Writes the text of one copy, as a put of all it shows.
fn write(doc: &mut Doc, name: char, text: &str) {
    let mut value = doc.view().value;
    value.insert("content".to_owned(), text.into());
    doc.put(&by(name), None, &value).unwrap().unwrap();
}

fn merged<const N: usize>(copies: &[Doc; N]) -> Doc {
    let mut all = copies[0].clone();
    for copy in &copies[1..] {
        assert_eq!(all.merge(copy).unwrap().rejected, []);
    }
    all
}

fn content(doc: &Doc) -> String {
    doc.view().value["content"].as_str().unwrap().to_owned()
}

/// The readings of each conflict, the shown one first, with their writers.
fn conflicts(doc: &Doc) -> Vec<Vec<(String, String)>> {
    let view = doc.view();
    let readings = |conflict: &Conflict| {
        let shown = conflict.shown_value(&view.value).unwrap();
        let others = conflict.others.iter().map(|one| (&one.value, &one.written));
        let all = std::iter::once((&shown, &conflict.shown)).chain(others);
        all.map(|(value, written)| (value.as_str().unwrap().to_owned(), written.by.clone()))
            .collect()
    };
    view.conflicts.iter().map(readings).collect()
}

#[test]
fn edits_of_different_lines_merge_and_the_next_write_goes_on_from_both() {
    let (_, mut both) = copies::<2>("1\n2\n3");
    write(&mut both[0], 'a', "one\n2\n3");
    write(&mut both[1], 'b', "1\n2\nthree");
    for order in [[0, 1], [1, 0]] {
        let mut all = merged(&order.map(|n| both[n].clone()));
        assert_eq!((content(&all), conflicts(&all)), ("one\n2\nthree".to_owned(), vec![]));
        let heads = all.heads();
        // The same text again is no write.
        assert_eq!(all.put(&by('e'), None, &all.view().value.clone()), Ok(None));
        write(&mut all, 'e', "one\ntwo\nthree");
        assert_eq!((content(&all), conflicts(&all)), ("one\ntwo\nthree".to_owned(), vec![]));
        assert_eq!(all.view_at(&heads).unwrap().value["content"], "one\n2\nthree");
        assert_eq!(
            content(&Doc::load(&all.save()).unwrap().with_prose(Some("content"))),
            "one\ntwo\nthree"
        );
    }
}

#[test]
fn a_conflict_stays_open_until_somebody_writes_its_place() {
    let (_, mut both) = copies::<2>("1\n2\n3");
    write(&mut both[0], 'a', "1\na\n3");
    write(&mut both[1], 'b', "1\nb\n3");
    let mut all = merged(&both);
    let shown = content(&all);
    let open = conflicts(&all);
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].len(), 2);
    // A third writer edits elsewhere, again and again.
    for n in 0..3 {
        let text = format!("{}\nline {n}", content(&all));
        write(&mut all, 'e', &text);
        assert_eq!(content(&all), text);
        assert_eq!(conflicts(&all), open, "it names those who wrote the readings");
        let loaded = Doc::load(&all.save()).unwrap().with_prose(Some("content"));
        assert_eq!((content(&loaded), conflicts(&loaded)), (text, open.clone()));
    }
    let actors: BTreeSet<_> = all.history().into_iter().map(|change| change.actor).collect();
    assert!(actors.len() <= 5, "{actors:?}");
    // One that writes the place closes it.
    let text = content(&all).replace(shown.split('\n').nth(1).unwrap(), "c");
    write(&mut all, 'e', &text);
    assert_eq!((content(&all), conflicts(&all)), (text, vec![]));
}

#[test]
fn a_patch_that_names_the_text_settles_it_as_it_is_shown() {
    let (_, mut both) = copies::<2>("1\n2\n3");
    write(&mut both[0], 'a', "1\na\n3");
    write(&mut both[1], 'b', "1\nb\n3");
    let mut all = merged(&both);
    let shown = content(&all);
    let change = all.patch(&by('e'), None, &map(json!({"content": shown}))).unwrap().unwrap();
    assert_eq!((content(&all), conflicts(&all)), (shown, vec![]));
    assert_eq!(change.settled.len(), 1);
    assert_eq!(change.settled[0].values.len(), 1, "{:?}", change.settled);
}

#[test]
fn texts_without_a_common_version_and_short_strings_are_whole_values() {
    let mut one = Doc::new();
    let mut two = Doc::new();
    put(&mut one, 'a', json!({"text": "1\n2"}));
    put(&mut two, 'b', json!({"text": "a\n2"}));
    let all = merged(&[one, two]);
    assert_eq!(all.view().conflicts.len(), 1);
    assert_eq!(all.view().conflicts[0].range, None);

    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"title": "One. Two."}));
    let mut other = doc.clone();
    put(&mut doc, 'a', json!({"title": "1. Two."}));
    put(&mut other, 'b', json!({"title": "One. 2."}));
    let all = merged(&[doc, other]);
    assert_eq!(all.view().conflicts[0].range, None);
}

/// A write that was made from one of two concurrent texts, after a third was made from the merge of both.
#[test]
fn a_merge_is_the_common_version_of_what_was_made_from_it() {
    let (_, mut both) = copies::<2>("1\n2\n3\n4");
    write(&mut both[0], 'a', "one\n2\n3\n4");
    write(&mut both[1], 'b', "1\ntwo\n3\n4");
    let first = merged(&both);
    let mut again = [first.clone(), first.clone()];
    write(&mut again[0], 'a', "one\ntwo\nthree\n4");
    write(&mut again[1], 'b', "one\ntwo\n3\nfour");
    let all = merged(&again);
    assert_eq!((content(&all), conflicts(&all)), ("one\ntwo\nthree\nfour".to_owned(), vec![]));
    // And one that knows of ann's first edit only.
    let mut late = both[0].clone();
    write(&mut late, 'l', "one\n2\n3\n4\n5");
    let all = merged(&[all, late]);
    assert_eq!((content(&all), conflicts(&all)), ("one\ntwo\nthree\nfour\n5".to_owned(), vec![]));
}

/// Takes a reading of one of two conflicts, then writes a third text for the other.
#[test]
fn a_decision_settles_one_conflict_and_keeps_all_else() {
    let (_, mut both) = copies::<2>("1\n2\n3\n4\n5");
    write(&mut both[0], 'a', "1\na\n3\nA\n5\nmore");
    write(&mut both[1], 'b', "one\nb\n3\nB\n5");
    let mut all = merged(&both);
    let view = all.view();
    assert_eq!((content(&all).as_str(), view.conflicts.len()), ("one\nb\n3\nB\n5\nmore", 2));
    let taken = view.conflicts[0].others[0].value.clone();
    let change = all.settle_conflict(&by('c'), &view.conflicts[0], &taken).unwrap().unwrap();
    assert_eq!(content(&all), "one\na\n3\nB\n5\nmore");
    assert_eq!(
        conflicts(&all),
        [[("B".to_owned(), "b".to_owned()), ("A".to_owned(), "a".to_owned())]]
    );
    assert_eq!(change.beside.len(), 1);
    let gone = all.settle_conflict(&by('c'), &view.conflicts[0], &taken).unwrap_err();
    assert_eq!(gone, MergeError::NoConflict { path: "/content".to_owned() });
    let left = all.view().conflicts.remove(0);
    all.settle_conflict(&by('c'), &left, &json!("C\nD")).unwrap().unwrap();
    assert_eq!((content(&all), conflicts(&all)), ("one\na\n3\nC\nD\n5\nmore".to_owned(), vec![]));
}

/// The reading that is shown is taken, of a sentence in the middle of a line; of a deleted line, the empty one.
#[test]
fn a_decision_for_what_is_shown_settles_too() {
    let (_, mut both) = copies::<2>("One. Two. Three.");
    write(&mut both[0], 'a', "One. Zwei. Three.");
    write(&mut both[1], 'b', "One. Deux. Three.");
    let all = merged(&both);
    let conflict = all.view().conflicts.remove(0);
    for (reading, text) in [
        ("Deux.", "One. Deux. Three."),
        ("Dos.", "One. Dos. Three."),
        ("Zwei.", "One. Zwei. Three."),
    ] {
        let mut settled = all.clone();
        settled.settle_conflict(&by('c'), &conflict, &json!(reading)).unwrap().unwrap();
        assert_eq!((content(&settled), conflicts(&settled)), (text.to_owned(), vec![]));
    }
    let (_, mut both) = copies::<2>("1\n2\n3");
    write(&mut both[0], 'a', "1\na\n3");
    write(&mut both[1], 'b', "1\n3");
    let mut all = merged(&both);
    let conflict = all.view().conflicts.remove(0);
    all.settle_conflict(&by('c'), &conflict, &json!("")).unwrap().unwrap();
    assert_eq!((content(&all), conflicts(&all)), ("1\n3".to_owned(), vec![]));
}

/// Two writers each change a line of their own, and read the merge of both before the next change. What they have written
/// then is merged on the merge before, and that on the one before it.
#[test]
fn common_text_is_a_merge_at_most_16_deep() {
    let (_, mut both) = copies::<2>("a0\nb0");
    for round in 1..=17 {
        let before = round - 1;
        write(&mut both[0], 'a', &format!("a{round}\nb{before}"));
        write(&mut both[1], 'b', &format!("a{before}\nb{round}"));
        let all = merged(&both);
        match round {
            ..=16 => {
                let text = format!("a{round}\nb{round}");
                assert_eq!((content(&all), conflicts(&all)), (text, vec![]), "round {round}");
            }
            // The first merge counts as the text of its later writer alone. So a reading is in conflict, and none is lost.
            _ => {
                let readings =
                    [("a16".to_owned(), "b".to_owned()), ("a17".to_owned(), "a".to_owned())];
                assert_eq!(
                    (content(&all), conflicts(&all)),
                    ("a16\nb17".to_owned(), vec![readings.to_vec()])
                );
            }
        }
        both = [all.clone(), all];
    }
}

/// Of two readings that are kept, one is a whole text that is there already.
#[test]
fn write_back_of_a_line_keeps_a_reading_that_is_there_already() {
    let (_, mut both) = copies::<2>("1\n2\n3");
    write(&mut both[0], 'a', "a\n2\n3");
    write(&mut both[1], 'b', "b\n2\nthree");
    let mut all = merged(&both);
    let open = conflicts(&all);
    assert_eq!(open.len(), 1);
    let shown = content(&all);
    assert!(shown.ends_with("three"));
    write(&mut all, 'c', &shown.replace("three", "3"));
    assert_eq!((content(&all), conflicts(&all)), (shown.replace("three", "3"), open));
}
