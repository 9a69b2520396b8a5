use super::super::open_places::Reading;
use super::*;
use proptest::prelude::*;

fn change(number: usize) -> ChangeHash {
    ChangeHash([u8::try_from(number).unwrap(); 32])
}

/// Merges texts, each written by the change of its number, from which nobody has seen another.
fn merged(size: UnitSize, common: &str, texts: &[&str]) -> Option<AnnotatedText> {
    let changes: Vec<_> = (0..texts.len()).map(change).collect();
    let sources: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| Source { text, changes: &changes[n..=n], written: &[], open: &[] })
        .collect();
    merge(size, common, &sources, &|_, _| false)
}

/// The text, and for each open place what is shown and what is not.
fn readings(size: UnitSize, text: &AnnotatedText) -> Vec<(String, Vec<String>)> {
    let others = |place: &OpenPlace| place.others.iter().map(|one| one.text.clone()).collect();
    let places = text.open.iter().zip(text.bytes(size));
    places.map(|(place, bytes)| (text.text[bytes].to_owned(), others(place))).collect()
}

fn shown(common: &str, texts: &[&str]) -> (String, Vec<(String, Vec<String>)>) {
    let merged = merged(UnitSize::Sentence, common, texts).unwrap();
    let open = readings(UnitSize::Sentence, &merged);
    (merged.text, open)
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
        // An edit of one of two equal lines is one of the last of them, whatever stands around it.
        ("1\n1\n3", vec!["1\n2\n3", "0\n1\n2\n3\n4"], "0\n1\n2\n3\n4", none.clone()),
        ("1\n1\n3", vec!["1\n3", "0\n1\n1\n3"], "0\n1\n3", none.clone()),
    ] {
        assert_eq!(shown(common, &texts), (text.to_owned(), conflicts), "{common:?} {texts:?}");
    }
}

/// A merge of two texts is merged with a third. It is known of each reading who wrote it, also where the third one has
/// written over what both did.
#[test]
fn merge_of_a_merge_names_each_writer() {
    let size = UnitSize::Line;
    let changes: Vec<_> = (0..3).map(change).collect();
    let seen: Seen<'_> = &|_, _| false;
    for (texts, third, text, others) in [
        // Two lines next to each other, a line and a removal, two lines that were added.
        (["a\n2\n3", "1\nb\n3"], "x", "x", vec![("1\nb\n3", 1), ("a\n2\n3", 0)]),
        (["a\n2\n3", "1\n3"], "x", "x", vec![("3", 1), ("a\n3", 0)]),
        (["1\n2\n3", "1\na\nb\n2\n3"], "x", "x", vec![("1\na\nb\n2\n3", 1)]),
        (["1\na\n2\n3", "1\nb\n2\n3"], "x", "x", vec![("1\nb\n2\n3", 1), ("1\na\n2\n3", 0)]),
        // The third has written elsewhere.
        (["a\n2\n3", "1\nb\n3"], "1\n2\nc", "a\nb\nc", vec![]),
    ] {
        let source =
            |n: usize, text| Source { text, changes: &changes[n..=n], written: &[], open: &[] };
        let [first, second] = texts;
        let both =
            merge_further(size, "1\n2\n3", &[source(0, first), source(1, second)], seen).unwrap();
        let before = Source {
            text: &both.shown.text,
            changes: &changes[..2],
            written: &both.written,
            open: &both.shown.open,
        };
        let merged = merge(size, "1\n2\n3", &[before, source(2, third)], seen).unwrap();
        let open = merged.open.iter().flat_map(|place| &place.others);
        let open: Vec<_> = open.map(|one| (one.text.as_str(), one.change)).collect();
        let others: Vec<_> = others.into_iter().map(|(text, n)| (text, change(n))).collect();
        assert_eq!((merged.text.as_str(), open), (text, others), "{texts:?}");
    }
}

#[test]
fn write_elsewhere_moves_an_open_place() {
    let size = UnitSize::Line;
    let merged = merged(size, "1\n2\n3\n4", &["1\na\n3\n4", "1\nb\n3\nfour"]).unwrap();
    assert_eq!(merged.text, "1\nb\n3\nfour");
    let left = |wanted: &str| {
        let text = AnnotatedText { text: wanted.to_owned(), open: merged.left_in(size, wanted) };
        readings(size, &text)
    };
    // It edits elsewhere, before and behind: both readings are still there.
    assert_eq!(left("0\n1\nb\n3\nFour!"), open("b", &["a"]));
    assert_eq!(left("1\nc\n3\nfour"), [], "it wrote a third");
    assert_eq!(left("1\n3\nfour"), [], "it deleted the line");
}

#[test]
fn settled_place_leaves_the_others_open() {
    let size = UnitSize::Sentence;
    let texts = ["One. Zwei. Three. Vier.", "One. Three. Quatre."];
    let merged = merged(size, "One. Two. Three. Four.", &texts).unwrap();
    assert_eq!(merged.text, "One. Three. Quatre.");
    assert_eq!(merged.open.len(), 2);
    for (reading, text) in [("Zwei.", "One. Zwei. Three. Quatre."), ("", "One. Three. Quatre.")] {
        let settled = merged.settled(size, 0, reading).unwrap();
        assert_eq!((settled.text.as_str(), settled.open.len()), (text, 1));
        assert_eq!(readings(size, &settled), open("Quatre.", &["Vier."]));
    }
    assert_eq!(merged.settled(size, 2, ""), None);
}

/// What two writers have open is one place. One who has seen all readings and lists none has closed it; one who knows only
/// one reading has not, wherever that writer edits.
#[test]
fn place_stays_open_until_one_who_knows_its_readings_closes_it() {
    let size = UnitSize::Line;
    let other = Reading { change: change(9), text: "x".to_owned() };
    let place = |line: usize| OpenPlace {
        units: line..line + 1,
        shown: change(8),
        separator: line_break(),
        others: vec![other.clone()],
    };
    let knows_all = |_: &ChangeHash, _: &ChangeHash| true;
    let knows_shown = |_: &ChangeHash, known: &ChangeHash| *known == change(8);
    let changes = [change(0), change(1)];
    let merge = |first: (&str, &[OpenPlace]), second: (&str, &[OpenPlace]), seen: Seen<'_>| {
        let source =
            |n: usize, (text, open)| Source { text, changes: &changes[n..=n], written: &[], open };
        let sources = [source(0, first), source(1, second)];
        let merged = super::merge(size, "1\ny\n3", &sources, seen).unwrap();
        let open = readings(size, &merged);
        (merged.text, open)
    };
    let (first, second) = ([place(2)], [place(1)]);
    let both = merge(("0\n1\ny\n3", &first), ("1\ny\n3\n4", &second), &knows_all);
    assert_eq!(both, ("0\n1\ny\n3\n4".to_owned(), open("y", &["x"])));
    let closed = merge(("0\n1\ny\n3", &first), ("1\ny\n3\n4", &[]), &knows_all);
    assert_eq!(closed, ("0\n1\ny\n3\n4".to_owned(), vec![]));
    let edited = merge(("0\n1\ny\n3", &first), ("1\nz\n3", &[]), &knows_all);
    assert_eq!(edited, ("0\n1\nz\n3".to_owned(), vec![]));
    let unaware = merge(("0\n1\ny\n3", &first), ("1\ny\n3\n4", &[]), &knows_shown);
    assert_eq!(unaware, ("0\n1\ny\n3\n4".to_owned(), open("y", &["x"])));
    let edited = merge(("0\n1\ny\n3", &first), ("1\nz\n3", &[]), &knows_shown);
    assert_eq!(edited, ("0\n1\nz\n3".to_owned(), open("z", &["x"])));
    let wider = merge(("0\n1\ny\n3", &first), ("1!\ny", &[]), &knows_shown);
    assert_eq!(wider, ("0\n1!\ny".to_owned(), open("y", &["x"])));
}

#[test]
fn texts_of_too_many_units_are_not_merged() {
    let long = "\n".repeat(UNITS_MAX / 3);
    assert!(merged(UnitSize::Line, "", &[&long, &long]).is_some());
    assert!(merged(UnitSize::Line, &long, &[&long, &long]).is_none());
}

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-f]{0,2}", 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn one_edited_text_is_that_text(common in text(), edited in text()) {
        for texts in [[&common, &edited], [&edited, &common], [&edited, &edited]] {
            let merged = merged(UnitSize::Line, &common, &texts.map(String::as_str)).unwrap();
            prop_assert_eq!((&merged.text, merged.open), (&edited, vec![]));
        }
    }

    #[test]
    fn no_unit_is_made_up_and_none_that_was_added_is_lost(
        common in text(),
        texts in proptest::collection::vec(text(), 2..5),
        more in text(),
    ) {
        let size = UnitSize::Line;
        let given: Vec<&str> = texts.iter().map(String::as_str).collect();
        let merged = merged(size, &common, &given).unwrap();
        let lines = |text: &AnnotatedText| -> Vec<String> {
            let others = text.open.iter().flat_map(|place| &place.others);
            let all = others.map(|one| one.text.as_str()).chain([text.text.as_str()]);
            all.flat_map(|text| text.split('\n')).map(str::to_owned).collect()
        };
        for line in lines(&merged) {
            let known = given.iter().chain([&common.as_str()]).any(|text| text.split('\n').any(|known| known == line));
            prop_assert!(known || line.is_empty(), "{line:?} was made up");
        }
        let is_new = |line: &&str| !line.is_empty() && !common.split('\n').any(|known| known == *line);
        let added: Vec<&str> = given.iter().flat_map(|text| text.split('\n')).filter(is_new).collect();
        for line in &added {
            prop_assert!(lines(&merged).iter().any(|known| known == line), "{line:?} was lost in {merged:?}");
        }
        // One text goes on from that, and others are written beside it from the same common text.
        let wanted = format!("{}\nz", merged.text);
        let open = merged.left_in(size, &wanted);
        let changes = [change(7), change(8)];
        let sources = [
            Source { text: &more, changes: &changes[..1], written: &[], open: &[] },
            Source { text: &wanted, changes: &changes[1..], written: &[], open: &open },
        ];
        let again = super::merge(size, &common, &sources, &|_, _| false).unwrap();
        let left = AnnotatedText { text: wanted.clone(), open: open.clone() };
        for line in added.iter().filter(|line| lines(&left).iter().any(|known| known == *line)) {
            prop_assert!(lines(&again).iter().any(|known| known == line), "{line:?} was lost in {again:?}");
        }
    }
}
