use super::*;
use proptest::prelude::*;

fn merge(size: UnitSize, common: &str, texts: &[&str]) -> MergedText {
    TextMerge::new(size, common, texts).unwrap().merged()
}

/// The merged text, and for each conflict what is shown and what is not.
fn shown(common: &str, texts: &[&str]) -> (String, Vec<(String, Vec<String>)>) {
    let merged = merge(UnitSize::Sentence, common, texts);
    let conflict = |conflict: &TextConflict| {
        let others = conflict.others().into_iter().map(|(_, reading)| reading.to_owned());
        (merged.text[conflict.bytes.clone()].to_owned(), others.collect())
    };
    let conflicts = merged.conflicts.iter().map(conflict).collect();
    (merged.text.clone(), conflicts)
}

fn open(shown: &str, others: &[&str]) -> Vec<(String, Vec<String>)> {
    vec![(shown.to_owned(), others.iter().map(|other| (*other).to_owned()).collect())]
}

/// A result that changes here, after an update of a library say, is shown differently by servers of two versions.
#[test]
fn golden_merges() {
    let none = Vec::new();
    for (common, texts, text, conflicts) in [
        // Different lines, and lines next to each other.
        ("1\n2\n3", vec!["one\n2\n3", "1\n2\nthree"], "one\n2\nthree", none.clone()),
        ("1\n2", vec!["one\n2", "1\ntwo"], "one\ntwo", none.clone()),
        // Different sentences of a line.
        (
            "It is. It was. It will.",
            vec!["Is it? It was. It will.", "It is. It was. Will it?"],
            "Is it? It was. Will it?",
            none.clone(),
        ),
        // Two that append keep both, in the order of their operations, and the same once.
        ("1\n2", vec!["1\n2\na", "1\n2\nb"], "1\n2\na\nb", none.clone()),
        ("1\n2\n", vec!["1\n2\na\n", "1\n2\nb\n"], "1\n2\na\nb\n", none.clone()),
        ("1", vec!["1\na", "1\na"], "1\na", none.clone()),
        ("One.", vec!["One. Two.", "One. Three."], "One. Two. Three.", none.clone()),
        ("1", vec!["a\n1", "b\n1"], "a\nb\n1", none.clone()),
        // One went on from the text of the other, before that was merged.
        ("1", vec!["1\na\nb", "1\na"], "1\na\nb", none.clone()),
        ("1", vec!["1\na", "1\na\nb", "1\nc\na"], "1\nc\na\nb", none.clone()),
        // The same edit, and the same delete.
        ("1\n2", vec!["1\ntwo", "1\ntwo"], "1\ntwo", none.clone()),
        ("1\n2\n3", vec!["1\n3", "1\n3"], "1\n3", none.clone()),
        // A delete beside an edit of another line.
        ("1\n2\n3", vec!["1\n3", "1\n2\nthree"], "1\nthree", none.clone()),
        // One unit, edited twice; edited and deleted.
        ("1\n2\n3", vec!["1\na\n3", "1\nb\n3"], "1\nb\n3", open("b", &["a"])),
        ("1\n2\n3", vec!["1\na\n3", "1\n3"], "1\n3", open("", &["a"])),
        ("1\n2\n3", vec!["1\n3", "1\na\n3"], "1\na\n3", open("a", &[""])),
        ("1", vec!["a", "b", "a", "c"], "c", open("c", &["a", "b"])),
        // A block that one deleted, and another wrote in.
        ("1\n2\n3\n4", vec!["1\n4", "1\n2\nx\n3\n4"], "1\n2\nx\n3\n4", open("2\nx\n3", &[""])),
        ("", vec!["a", "b"], "a\nb", none.clone()),
    ] {
        assert_eq!(shown(common, &texts), (text.to_owned(), conflicts), "{common:?} {texts:?}");
    }
}

#[test]
fn what_leaves_a_conflict_as_it_is_shown_leaves_it_open() {
    let (common, texts) = ("1\n2\n3\n4", ["1\na\n3\n4", "1\nb\n3\nfour"]);
    let merge = TextMerge::new(UnitSize::Line, common, &texts).unwrap();
    assert_eq!(merge.merged().text, "1\nb\n3\nfour");
    // It edits elsewhere, before and behind: both readings are still there.
    let rewritten = |wanted: &str| {
        let all = merge.rewritten(wanted)?.into_iter();
        Some(all.map(|one| (one.texts, one.text)).collect::<Vec<_>>())
    };
    let kept = |n: usize, text: &str| (vec![n], text.to_owned());
    let expected = vec![kept(0, "0\n1\na\n3\nFour!"), kept(1, "0\n1\nb\n3\nFour!")];
    assert_eq!(rewritten("0\n1\nb\n3\nFour!"), Some(expected));
    assert_eq!(rewritten("1\nc\n3\nfour"), None, "it wrote a third");
    assert_eq!(rewritten("1\n3\nfour"), None, "it deleted the line");
}

/// Ten places in conflict between two texts each, all different, and one text that is in conflict with none.
#[test]
fn no_more_texts_are_left_in_conflict_than_a_place_has_readings() {
    let lines: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
    let edited = |n: usize, by: &str| {
        let edit = |(at, line): (usize, &String)| {
            if at == 2 * n { format!("{line} {by}") } else { line.clone() }
        };
        lines.iter().enumerate().map(edit).collect::<Vec<_>>().join("\n")
    };
    let mut texts: Vec<String> = (0..10).flat_map(|n| [edited(n, "a"), edited(n, "b")]).collect();
    texts.push(format!("{}\nmore", lines.join("\n")));
    let (common, given) = (lines.join("\n"), texts.iter().map(String::as_str).collect::<Vec<_>>());
    let merge = TextMerge::new(UnitSize::Line, &common, &given).unwrap();
    let merged = merge.merged();
    assert_eq!(merged.conflicts.len(), 10);
    let wanted = format!("first\n{}", merged.text);
    let rewritten = merge.rewritten(&wanted).unwrap();
    assert_eq!(rewritten.len(), 2);
    let mut replaced: Vec<usize> = rewritten.iter().flat_map(|one| one.texts.clone()).collect();
    replaced.sort_unstable();
    assert_eq!(replaced, (0..21).collect::<Vec<_>>(), "each is replaced once");
    let again: Vec<&str> = rewritten.iter().map(|one| one.text.as_str()).collect();
    let again = super::TextMerge::new(UnitSize::Line, &common, &again).unwrap().merged();
    assert_eq!((again.conflicts.len(), again.text), (10, wanted));
}

#[test]
fn texts_of_too_many_units_are_not_merged() {
    let long = "\n".repeat(UNITS_MAX / 3);
    assert!(TextMerge::new(UnitSize::Line, "", &[&long, &long]).is_some());
    assert!(TextMerge::new(UnitSize::Line, &long, &[&long, &long]).is_none());
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-f]{0,2}", 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn one_edited_text_is_that_text(common in text(), edited in text()) {
        for texts in [[&common, &edited], [&edited, &common]] {
            let merged = merge(UnitSize::Line, &common, &texts.map(String::as_str));
            prop_assert_eq!((&merged.text, merged.conflicts), (&edited, vec![]));
        }
        let merged = merge(UnitSize::Line, &common, &[&edited, &edited]);
        prop_assert_eq!((&merged.text, merged.conflicts), (&edited, vec![]));
    }

    #[test]
    fn no_unit_is_made_up_and_none_that_was_added_is_lost(common in text(), texts in proptest::collection::vec(text(), 2..5)) {
        let given: Vec<&str> = texts.iter().map(String::as_str).collect();
        let merge = TextMerge::new(UnitSize::Line, &common, &given).unwrap();
        let merged = merge.merged();
        let mut known: Vec<&str> = texts.iter().flat_map(|text| text.split('\n')).chain(common.split('\n')).collect();
        known.push("");
        for line in merged.text.split('\n') {
            prop_assert!(known.contains(&line), "{line:?} was made up");
        }
        let readings: Vec<&str> = merged.conflicts.iter().flat_map(|one| one.readings.iter().flatten()).flat_map(|r| r.split('\n')).collect();
        for version in &merge.versions {
            for edit in &version.edits {
                for unit in &version.units[edit.new.clone()] {
                    let there = merged.text.split('\n').any(|line| line == unit.text) || readings.contains(&unit.text);
                    prop_assert!(there, "{unit:?} was lost");
                }
            }
        }
    }

    #[test]
    fn rewritten_texts_show_what_was_wanted(common in text(), texts in proptest::collection::vec(text(), 2..4), line in "[x-z]{2}") {
        let given: Vec<&str> = texts.iter().map(String::as_str).collect();
        let merge = TextMerge::new(UnitSize::Line, &common, &given).unwrap();
        let merged = merge.merged();
        // Somebody adds a line to what is shown.
        let wanted = format!("{}\n{line}", merged.text);
        if let Some(rewritten) = merge.rewritten(&wanted) {
            let rewritten: Vec<&str> = rewritten.iter().map(|one| one.text.as_str()).collect();
            let again = super::TextMerge::new(UnitSize::Line, &common, &rewritten).unwrap().merged();
            let readings: Vec<&str> = again.conflicts.iter().flat_map(|one| one.readings.iter().flatten()).flat_map(|r| r.split('\n')).collect();
            prop_assert!(again.text.contains(&line) || readings.contains(&line.as_str()), "{again:?}");
        } else {
            prop_assert!(merged.conflicts.is_empty() || merged.text.is_empty(), "{merged:?}");
        }
    }
}
