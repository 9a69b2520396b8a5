use super::*;
use crate::merge::{COUNTER_VALUE_MAX, MergeError, ValueType, explain};
use serde_json::json;

/// Returns two documents in which both writers created `m` and `l`, each with content of its own.
fn created_twice() -> (Doc, Doc) {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    put(&mut a, 'a', json!({"m": {"a": 1, "both": 1, "deep": {"a": 1}}, "l": ["a1", "a2"]}));
    put(&mut b, 'b', json!({"m": {"b": 2, "both": 1, "deep": {"b": 2}}, "l": ["b1", "b2"]}));
    sync(&mut a, &mut b);
    (a, b)
}

#[test]
fn maps_and_lists_created_twice_are_shown_merged() {
    let (a, _) = created_twice();
    let m = json!({"a": 1, "b": 2, "both": 1, "deep": {"a": 1, "b": 2}});
    assert_eq!(value(&a), json!({"m": m, "l": ["a1", "a2", "b1", "b2"]}));
    assert_eq!(conflicts(&a), []);
    let loaded = Doc::load(&a.save()).unwrap();
    assert_eq!(loaded.view(), a.view());
}

#[test]
fn entries_are_edited_in_their_part_and_added_to_the_winner() {
    let (mut a, _) = created_twice();
    let change = patch(&mut a, 'c', json!({"m": {"a": 10, "b": 20, "new": 30, "deep": {"a": 5}}}));
    let ops = explain(&change.bytes).unwrap().ops;
    assert_eq!(ops.len(), 4, "{ops:?}");
    assert!(ops.iter().any(|op| op.starts_with("set a in 2@61616161 = 10")), "{ops:?}");
    assert!(ops.iter().any(|op| op.starts_with("set b in 2@62626262 = 20")), "{ops:?}");
    assert!(ops.iter().any(|op| op.starts_with("set new in 2@62626262 = 30")), "{ops:?}");
    let m = json!({"a": 10, "b": 20, "both": 1, "deep": {"a": 5, "b": 2}, "new": 30});
    assert_eq!(value(&a)["m"], m);
}

#[test]
fn editing_a_merged_map_keeps_concurrent_edits_in_all_parts() {
    let (mut a, mut b) = created_twice();
    patch(&mut a, 'a', json!({"m": {"both": 7, "x": 1}}));
    patch(&mut b, 'b', json!({"m": {"a": 8, "y": 1}}));
    sync(&mut a, &mut b);
    let m = json!({"a": 8, "b": 2, "both": 7, "deep": {"a": 1, "b": 2}, "x": 1, "y": 1});
    assert_eq!((value(&a)["m"].clone(), conflicts(&a)), (m, vec![]));
}

#[test]
fn removing_a_field_removes_it_from_every_part() {
    let (mut a, _) = created_twice();
    patch(&mut a, 'c', json!({"m": {"both": null}}));
    assert_eq!(value(&a)["m"], json!({"a": 1, "b": 2, "deep": {"a": 1, "b": 2}}));
    patch(&mut a, 'c', json!({"m": null}));
    assert_eq!(value(&a), json!({"l": ["a1", "a2", "b1", "b2"]}));
}

#[test]
fn replacing_a_merged_field_settles_its_conflicts() {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    put(&mut a, 'a', json!({"m": {"x": 1}}));
    put(&mut b, 'b', json!({"m": {"x": 2}}));
    sync(&mut a, &mut b);
    assert_eq!(conflicts(&a), [("/m/x".to_owned(), vec![json!(1)])]);
    let mut same = a.clone();
    patch(&mut same, 'c', json!({"m": {"x": 2}}));
    assert_eq!((value(&same), conflicts(&same)), (json!({"m": {"x": 2}}), vec![]));
    put(&mut a, 'c', json!({"m": {"x": 3}}));
    assert_eq!((value(&a), conflicts(&a)), (json!({"m": {"x": 3}}), vec![]));
    put(&mut a, 'c', json!({"m": "gone"}));
    assert_eq!((value(&a), conflicts(&a)), (json!({"m": "gone"}), vec![]));
}

#[test]
fn merged_lists_are_edited_in_the_part_of_each_element() {
    let (mut a, mut b) = created_twice();
    let change = patch(&mut a, 'c', json!({"l": ["a1", "a2", "mid", "b1", "b2", "end"]}));
    assert_eq!(explain(&change.bytes).unwrap().operations, 2);
    patch(&mut b, 'd', json!({"l": ["first", "a1", "b1", "B2"]}));
    sync(&mut a, &mut b);
    assert_eq!(value(&a)["l"], json!(["first", "a1", "mid", "b1", "B2", "end"]));
}

#[test]
fn putting_what_a_merged_document_shows_changes_nothing() {
    let (mut a, _) = created_twice();
    let shown = a.view().value;
    assert_eq!(a.put(&by('c'), None, &shown).unwrap(), None);
}

#[test]
fn counters_stay_in_the_range_of_exact_numbers() {
    const MAX: i64 = COUNTER_VALUE_MAX;
    let mut doc = Doc::new();
    let mut add = |n| doc.increment(&by('a'), None, &["n"], n).map(drop);
    for (n, fits) in
        [(i64::MAX, false), (11, true), (i64::MAX, false), (MAX - 11, true), (1, false)]
    {
        assert_eq!(add(n).is_ok(), fits, "{n}");
    }
    assert_eq!(add(1), Err(MergeError::CounterRange { now: MAX, by: 1, limit: MAX }));
    for (n, fits) in [(-1, true), (i64::MIN, false), (-2 * MAX + 1, true), (-1, false)] {
        assert_eq!(add(n).is_ok(), fits, "{n}");
    }
    assert_eq!(doc.view().value["n"], -MAX);
}

#[test]
fn counters_created_twice_count_each_increment_once() {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    a.increment(&by('a'), None, &["votes"], 3).unwrap().unwrap();
    b.increment(&by('b'), None, &["votes"], 4).unwrap().unwrap();
    sync(&mut a, &mut b);
    assert_eq!((value(&a), conflicts(&a)), (json!({"votes": 7}), vec![]));
    let at_seven = a.heads();
    a.increment(&by('a'), None, &["votes"], 10).unwrap().unwrap();
    assert_eq!(value(&a), json!({"votes": 17}));
    b.increment(&by('b'), None, &["votes"], 1).unwrap().unwrap();
    a.increment(&by('a'), None, &["votes"], 1).unwrap().unwrap();
    sync(&mut a, &mut b);
    assert_eq!(value(&a), json!({"votes": 19}));
    assert_eq!(Doc::load(&a.save()).unwrap().view(), a.view());
    assert_eq!(view_at(&a, &at_seven).value, map(json!({"votes": 7})));
    put(&mut a, 'a', json!({"votes": 20}));
    assert_eq!(value(&a), json!({"votes": 20}));
    assert_eq!(
        explain(&a.changes().unwrap().last().unwrap().1).unwrap().ops,
        ["increment votes by 1"]
    );
}

#[test]
fn counters_in_maps_created_twice_add_up() {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    a.increment(&by('a'), None, &["stats", "votes"], 3).unwrap().unwrap();
    b.increment(&by('b'), None, &["stats", "votes"], 4).unwrap().unwrap();
    sync(&mut a, &mut b);
    assert_eq!(value(&a), json!({"stats": {"votes": 7}}));
    a.increment(&by('a'), None, &["stats", "votes"], 10).unwrap().unwrap();
    b.increment(&by('b'), None, &["stats", "votes"], 1).unwrap().unwrap();
    sync(&mut a, &mut b);
    assert_eq!(value(&a), json!({"stats": {"votes": 18}}));
    put(&mut a, 'a', json!({"stats": {"votes": "no counter"}}));
    assert_eq!(value(&a), json!({"stats": {"votes": "no counter"}}));
    assert_eq!(conflicts(&a), []);
}

#[test]
fn an_increment_creates_its_path_and_refuses_other_types() {
    let mut doc = Doc::new();
    put(&mut doc, 'a', json!({"n": 5, "m": {}}));
    doc.increment(&by('a'), None, &["m", "x", "y"], -2).unwrap().unwrap();
    assert_eq!(value(&doc), json!({"n": 5, "m": {"x": {"y": -2}}}));
    let error = doc.increment(&by('a'), None, &["n"], 1).unwrap_err();
    let wrong =
        |path: &str, found, wanted| MergeError::WrongType { path: path.to_owned(), found, wanted };
    assert_eq!(error, wrong("/n", ValueType::Number, ValueType::Counter));
    let error = doc.increment(&by('a'), None, &["n", "deeper"], 1).unwrap_err();
    assert_eq!(error, wrong("/n", ValueType::Number, ValueType::Map));
    assert_eq!(doc.increment(&by('a'), None, &[], 1).unwrap_err(), MergeError::EmptyPath);
    assert_eq!(doc.increment(&by('a'), None, &["m", "x", "y"], 0).unwrap(), None);
}

#[test]
fn a_number_settles_a_counter_against_a_string() {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    put(&mut a, 'a', json!({"n": "text"}));
    b.increment(&by('b'), None, &["n"], 4).unwrap().unwrap();
    sync(&mut a, &mut b);
    assert_eq!((value(&a), conflicts(&a).len()), (json!({"n": 4}), 1));
    for to in [4, 6] {
        let mut doc = a.clone();
        patch(&mut doc, 'c', json!({"n": to}));
        assert_eq!((value(&doc), conflicts(&doc)), (json!({"n": to}), vec![]));
        let mut late = b.clone();
        late.increment(&by('b'), None, &["n"], 1).unwrap().unwrap();
        sync(&mut doc, &mut late);
        assert_eq!(value(&doc), json!({"n": to + 1}));
    }
}
