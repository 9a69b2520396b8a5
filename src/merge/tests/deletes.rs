use super::*;
use crate::merge::{ChangeKind, HISTORY_OPERATIONS_MAX, MergeError, explain};
use serde_json::json;

#[test]
fn a_delete_hides_and_keeps_the_content() {
    let mut doc = Doc::new();
    assert_eq!(doc.delete(&by('a')).unwrap(), None);
    put(&mut doc, 'a', json!({"x": 1}));
    let before = doc.heads();
    let change = doc.delete(&by('b')).unwrap().unwrap();
    let info = explain(&change.bytes).unwrap();
    assert_eq!((info.kind, info.operations, info.by.as_str()), (ChangeKind::Delete, 0, "b"));
    assert!(doc.is_deleted());
    let view = doc.view();
    assert!(view.deleted && view.value.is_empty());
    assert_eq!(view.modified.unwrap().by, "b");
    assert_eq!(view_at(&doc, &before).value, map(json!({"x": 1})));
    assert_eq!(doc.delete(&by('a')).unwrap(), None);
    assert!(Doc::load(&doc.save()).unwrap().is_deleted());
}

#[test]
fn a_concurrent_edit_restores_a_deleted_document() {
    let (mut a, mut b) = twins(json!({"x": 1, "y": {"z": 2}}));
    a.delete(&by('a')).unwrap().unwrap();
    patch(&mut b, 'b', json!({"x": 5}));
    sync(&mut a, &mut b);
    assert!(!a.is_deleted());
    assert_eq!((value(&a), conflicts(&a)), (json!({"x": 5, "y": {"z": 2}}), vec![]));
}

#[test]
fn concurrent_deletes_leave_the_document_deleted() {
    let (mut a, mut b) = twins(json!({"x": 1}));
    a.delete(&by('a')).unwrap().unwrap();
    b.delete(&by('b')).unwrap().unwrap();
    sync(&mut a, &mut b);
    assert!(a.is_deleted());
    assert_eq!(a.heads().hashes().len(), 2);
}

#[test]
fn a_put_after_a_delete_compares_with_the_hidden_content() {
    let (mut doc, _) = twins(json!({"x": 1, "y": 2}));
    doc.delete(&by('a')).unwrap().unwrap();
    let mut same = doc.clone();
    let change = put(&mut same, 'b', json!({"x": 1, "y": 2}));
    let info = explain(&change.bytes).unwrap();
    assert_eq!((info.operations, info.kind), (0, ChangeKind::Edit));
    assert_eq!((same.is_deleted(), value(&same)), (false, json!({"x": 1, "y": 2})));
    let change = put(&mut doc, 'b', json!({"x": 1, "y": 3}));
    assert_eq!(explain(&change.bytes).unwrap().ops, ["set y = 3"]);
    assert_eq!(value(&doc), json!({"x": 1, "y": 3}));
}

#[test]
fn patches_and_counters_after_a_delete_start_empty() {
    let (mut doc, _) = twins(json!({"x": 1, "l": ["old"]}));
    doc.increment(&by('a'), None, &["n"], 7).unwrap().unwrap();
    doc.delete(&by('a')).unwrap().unwrap();
    let mut patched = doc.clone();
    patch(&mut patched, 'b', json!({"y": 2, "none": null}));
    assert_eq!(value(&patched), json!({"y": 2}));
    let mut counted = doc.clone();
    counted.increment(&by('b'), None, &["n"], 1).unwrap().unwrap();
    assert_eq!(value(&counted), json!({"n": 1}));
    let mut listed = doc.clone();
    assert_eq!(listed.remove_items(&by('b'), &["l"], &|_| true).unwrap(), None);
    assert!(listed.is_deleted());
    listed.append(&by('b'), &["l"], &[json!("new")]).unwrap().unwrap();
    assert_eq!(value(&listed), json!({"l": ["new"]}));
    doc.record_filing(&by('b')).unwrap();
    assert_eq!(value(&doc), json!({"x": 1, "l": ["old"], "n": 7}));
}

#[test]
fn writes_at_a_base_before_or_at_a_delete_restore_it() {
    let (mut doc, _) = twins(json!({"x": 1, "y": 1}));
    let before = doc.heads();
    doc.delete(&by('a')).unwrap().unwrap();
    let deleted = doc.heads();
    let mut late = doc.clone();
    late.put(&by('b'), Some(&before), &map(json!({"x": 2, "y": 1}))).unwrap().unwrap();
    assert_eq!(value(&late), json!({"x": 2, "y": 1}));
    let mut again = doc.clone();
    again.put(&by('b'), Some(&deleted), &map(json!({"x": 1, "y": 1}))).unwrap().unwrap();
    assert_eq!(value(&again), json!({"x": 1, "y": 1}));
    put(&mut doc, 'c', json!({"z": 1}));
    doc.put(&by('b'), Some(&deleted), &map(json!({"x": 1, "y": 1, "w": 1}))).unwrap().unwrap();
    assert_eq!(value(&doc), json!({"z": 1, "w": 1}));
}

/// A deletion has no operations, so it needs no room in the history.
#[test]
fn a_document_with_a_full_history_can_be_deleted() {
    let mut doc = Doc::new();
    let list = vec![true; 99_990];
    let (error, written) = (0..)
        .find_map(|n: u64| {
            let patch =
                map(json!({format!("f{n}"): list, format!("f{}", n.wrapping_sub(1)): null}));
            doc.patch(&by('a'), None, &patch).err().map(|error| (error, n * 99_990))
        })
        .unwrap();
    assert!((HISTORY_OPERATIONS_MAX..HISTORY_OPERATIONS_MAX + 100_000).contains(&written));
    let MergeError::HistoryTooLong { what: "operations", count, limit: HISTORY_OPERATIONS_MAX } =
        error
    else {
        panic!("{error}")
    };
    assert!((written..written + 100).contains(&count), "{count}");
    doc.delete(&by('b')).unwrap().unwrap();
    assert!(doc.is_deleted() && doc.view().value.is_empty());
}

/// What is removed was changed after the version that the removal is made from: shown, or hidden in a conflict.
#[test]
fn removal_from_a_base_keeps_objects_changed_since() {
    let start = json!({"x": {"n": 1, "list": [{"m": 1}]}, "y": {"n": 1}, "z": 1});
    let (mut doc, _) = twins(start.clone());
    let first = doc.heads();
    let at = |pointer: &str, value: Json| {
        let mut changed = start.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        map(changed)
    };
    doc.put(&by('b'), Some(&first), &at("/x/list/0/m", json!(2))).unwrap().unwrap();
    let left = map(json!({"z": 1}));
    doc.put(&by('a'), Some(&first), &left).unwrap().unwrap();
    assert_eq!(value(&doc), json!({"x": {"n": 1, "list": [{"m": 2}]}, "z": 1}), "y is removed");

    // Her own value is shown, and the one that she has not seen is in conflict with it.
    let (mut doc, _) = twins(start.clone());
    doc.put(&by('b'), Some(&first), &at("/x/n", json!(2))).unwrap().unwrap();
    let own = doc.put(&by('a'), Some(&first), &at("/x/n", json!(5))).unwrap().unwrap();
    let own = Heads::new(vec![own.hash]);
    doc.patch(&by('a'), Some(&own), &map(json!({"x": null}))).unwrap().unwrap();
    assert_eq!(
        value(&doc)["x"],
        json!({"n": 5, "list": [{"m": 1}]}),
        "it stays, with the conflict"
    );
    assert_eq!(conflicts(&doc), [("/x/n".to_owned(), vec![json!(2)])]);
    doc.put(&by('a'), None, &left).unwrap().unwrap();
    assert_eq!(value(&doc), json!({"z": 1}), "made from the present version, it goes");
}
