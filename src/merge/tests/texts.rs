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

/// The first copy has the old reading of a line and of an added one, the second has changed both, and the third has not
/// seen either.
#[test]
fn line_that_a_writer_was_only_shown_does_not_come_back() {
    let (_, mut copies) = copies::<3>("1\n2\n3");
    write(&mut copies[0], 'a', "1\ntwo\n3\nadded");
    copies[1] = copies[0].clone();
    write(&mut copies[1], 'b', "1\nTWO!\n3\nadded more");
    write(&mut copies[0], 'a', "0\n1\ntwo\n3\nadded");
    write(&mut copies[2], 'c', "1\n2\n3\n4");
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let all = merged(&order.map(|n| copies[n].clone()));
        assert_eq!(conflicts(&all), Vec::<Vec<_>>::new());
        let lines: BTreeSet<String> = content(&all).split('\n').map(str::to_owned).collect();
        let expected = ["0", "1", "TWO!", "3", "added more", "4"].map(str::to_owned);
        assert_eq!(lines, BTreeSet::from(expected), "{}", content(&all));
    }
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
    assert_eq!((change.settled.len(), all.heads().hashes().len()), (1, 1));
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

/// Seven times, two writers edit one line each in their own way, and nobody decides.
#[test]
fn seven_open_places_survive_a_write_elsewhere() {
    let (doc, _) =
        copies::<1>("Head.\nLine a.\nLine b.\nLine c.\nLine d.\nLine e.\nLine f.\nLine g.\nEnd.");
    let mut all = doc;
    let mut edits = Vec::new();
    for round in 0..7 {
        let mut both = [all.clone(), all.clone()];
        for (copy, name) in both.iter_mut().zip(['l', 'd']) {
            let mut lines: Vec<String> = content(copy).split('\n').map(str::to_owned).collect();
            let edit = format!("{name}{round}.");
            lines[1 + round].push_str(&format!(" {edit}"));
            write(copy, name, &lines.join("\n"));
            edits.push(edit);
        }
        all = merged(&both);
        assert_eq!(all.heads().hashes().len(), 2, "round {round}");
        assert_eq!(conflicts(&all).len(), round + 1, "{}", content(&all));
    }
    let text = format!("{} One more.", content(&all));
    write(&mut all, 'e', &text);
    assert_eq!((content(&all), all.heads().hashes().len()), (text.clone(), 1));
    let open = conflicts(&all);
    assert_eq!(open.len(), 7);
    for edit in edits {
        let has = |one: &(String, String)| one.0.contains(&edit);
        assert!(text.contains(&edit) || open.iter().flatten().any(has), "{edit} is lost");
    }
    let loaded = Doc::load(&all.save()).unwrap().with_prose(Some("content"));
    assert_eq!(loaded.view(), all.view());
    // Each can be settled alone, also as it is shown.
    for left in (0..7).rev() {
        let conflict = all.view().conflicts.remove(0);
        let shown = conflict.shown_value(&all.view().value).unwrap();
        all.settle_conflict(&by('e'), &conflict, &shown).unwrap().unwrap();
        assert_eq!((content(&all), conflicts(&all).len()), (text.clone(), left));
    }
}

/// One line is open. Then one writer edits another line twice, and the other inserts a line before it twice, each having
/// read the merge of the round before.
#[test]
fn merges_beside_an_open_place_repeat_and_hide_nothing() {
    let (doc, _) = copies::<1>("Head one.\nLine a.\nLine b\nLine c.\nEnd.");
    let mut all = doc;
    for round in [
        [("Head one.", "Head L."), ("Head one.", "Head D.")],
        [("Line b", "Line b Added L1"), ("Line b", "Added D1.\nLine b")],
        [("Line b Added L1", "Line b Added L1 Added L2."), ("Line b", "Added D2.\nLine b")],
    ] {
        let mut both = [all.clone(), all.clone()];
        for ((copy, name), (from, to)) in both.iter_mut().zip(['l', 'd']).zip(round) {
            write(copy, name, &content(copy).replace(from, to));
        }
        for order in [[0, 1], [1, 0]] {
            all = merged(&order.map(|n| both[n].clone()));
            assert_eq!(conflicts(&all).len(), 1, "{}", content(&all));
        }
    }
    let text = content(&all);
    assert!(
        text.ends_with("Line a.\nAdded D1.\nAdded D2.\nLine b Added L1 Added L2.\nLine c.\nEnd."),
        "{text}"
    );
    let mut readings: Vec<String> = conflicts(&all)[0].iter().map(|one| one.0.clone()).collect();
    readings.sort_unstable();
    assert_eq!(readings, ["Head D.", "Head L."]);
}

/// A writer knows one of two readings only, and edits the line or another one. The second reading is never lost.
#[test]
fn writer_who_knows_one_reading_closes_nothing() {
    for text in ["1\nb!\n3", "1\nb\nthree", "1\n3", "1\nb\n3\n4"] {
        let (_, mut copies) = copies::<2>("1\n2\n3");
        write(&mut copies[0], 'a', "1\na\n3");
        write(&mut copies[1], 'b', "1\nb\n3");
        let mut aware = merged(&copies);
        let elsewhere = format!("0\n{}", content(&aware));
        write(&mut aware, 'c', &elsewhere);
        let mut unaware = copies[1].clone();
        write(&mut unaware, 'd', text);
        for order in [[&aware, &unaware], [&unaware, &aware]] {
            let all = merged(&order.map(Doc::clone));
            let mut lines: BTreeSet<String> =
                content(&all).split('\n').map(str::to_owned).collect();
            lines.extend(conflicts(&all).into_iter().flatten().map(|one| one.0));
            for line in text.split('\n').chain(["a"]) {
                assert!(lines.contains(line), "{text:?}: {line} is lost in {:?}", all.view());
            }
            assert!(!conflicts(&all).is_empty(), "{text:?}");
        }
    }
}

/// A text with an open place beside a number: both readings of the place are shown.
#[test]
fn open_readings_are_named_beside_another_value() {
    for number_wins in [false, true] {
        let (doc, mut both) = copies::<2>("1\n2\n3");
        write(&mut both[0], 'a', "1\na\n3");
        write(&mut both[1], 'b', "1\nb\n3");
        let mut all = merged(&both);
        let text = format!("{}\n4", content(&all));
        write(&mut all, 'c', &text);
        let mut other = doc;
        for n in 0..if number_wins { 9 } else { 1 } {
            other.patch(&by('d'), None, &map(json!({"content": n}))).unwrap().unwrap();
        }
        let view = merged(&[all, other]).view();
        assert_eq!(view.value["content"].is_number(), number_wins, "{view:?}");
        let shown = serde_json::to_string(&(&view.value, &view.conflicts)).unwrap();
        for reading in ["1\\na\\n3", "1\\nb\\n3"] {
            let part = &reading[3..4];
            assert!(shown.contains(reading) || shown.contains(&format!("\"{part}\"")), "{shown}");
        }
    }
}
