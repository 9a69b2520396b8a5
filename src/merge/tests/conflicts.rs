use super::*;
use crate::merge::explain;
use serde_json::json;

fn conflicted() -> Doc {
    let (mut a, mut b) = twins(json!({"x": 0, "y": 0}));
    patch(&mut a, 'a', json!({"x": "from a"}));
    patch(&mut b, 'b', json!({"x": "from b"}));
    sync(&mut a, &mut b);
    a
}

#[test]
fn concurrent_writes_show_one_value_and_list_the_other() {
    let doc = conflicted();
    assert_eq!(value(&doc)["x"], "from b");
    let conflicts = doc.view().conflicts;
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].path, "/x");
    assert_eq!(conflicts[0].shown.by, "b");
    let other = &conflicts[0].others[0];
    assert_eq!((&other.value, other.written.by.as_str()), (&json!("from a"), "a"));
    assert_eq!(other.written.time_ms, 1000);
    assert!(doc.contains(&other.written.change));
}

#[test]
fn writing_a_field_settles_it_and_naming_it_does_with_the_shown_value() {
    for settle in [json!("new"), json!("from a"), json!({"a": "map"}), json!(null)] {
        let mut doc = conflicted();
        let change = put(&mut doc, 'c', json!({"x": settle, "y": 0}));
        assert_eq!(conflicts(&doc), [], "{settle}");
        assert_eq!(value(&doc), json!({"x": settle, "y": 0}));
        let copy = Doc::load(&doc.save()).unwrap();
        assert_eq!(copy.change_bytes(&change.hash).unwrap(), Some(change.bytes));
    }
    let mut doc = conflicted();
    assert_eq!(doc.put(&by('c'), None, &map(json!({"x": "from b", "y": 0}))), Ok(None));
    put(&mut doc, 'c', json!({"x": "from b", "y": 2}));
    assert_eq!(conflicts(&doc).len(), 1, "it was written elsewhere");
    let mut doc = conflicted();
    let change = patch(&mut doc, 'c', json!({"x": "from b"}));
    assert_eq!(conflicts(&doc), []);
    assert_eq!(explain(&change.bytes).unwrap().ops, ["set x = null", "set x = \"from b\""]);
    assert_eq!(doc.patch(&by('c'), None, &map(json!({"x": "from b"}))).unwrap(), None);
}

#[test]
fn a_write_to_another_field_leaves_the_conflict() {
    let mut doc = conflicted();
    patch(&mut doc, 'c', json!({"y": 1}));
    assert_eq!(conflicts(&doc).len(), 1);
}

#[test]
fn two_concurrent_decisions_are_a_conflict() {
    let mut a = conflicted();
    let mut b = a.clone();
    patch(&mut a, 'c', json!({"x": "from b"}));
    patch(&mut b, 'd', json!({"x": "third"}));
    sync(&mut a, &mut b);
    assert_eq!(value(&a)["x"], "from b");
    assert_eq!(conflicts(&a), [("/x".to_owned(), vec![json!("third")])]);
}

#[test]
fn equal_concurrent_values_do_not_conflict() {
    let (mut a, mut b) = twins(json!({"x": 0}));
    put(&mut a, 'a', json!({"x": 1}));
    put(&mut b, 'b', json!({"x": 1}));
    sync(&mut a, &mut b);
    assert_eq!((value(&a), conflicts(&a)), (json!({"x": 1}), vec![]));
    assert_eq!(a.put(&by('a'), None, &map(json!({"x": 1}))).unwrap(), None);
}

#[test]
fn two_first_writes_conflict_only_in_their_fields() {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    put(&mut a, 'a', json!({"same": 1, "x": 1, "m": {"p": 1, "q": {"r": 1}}, "l": ["a"]}));
    put(&mut b, 'b', json!({"same": 1, "x": 2, "m": {"p": 2, "q": {"s": 1}}, "l": ["b"]}));
    sync(&mut a, &mut b);
    let merged = json!({"same": 1, "x": 2, "m": {"p": 2, "q": {"r": 1, "s": 1}}, "l": ["a", "b"]});
    assert_eq!(value(&a), merged);
    let expected = [("/m/p".to_owned(), vec![json!(1)]), ("/x".to_owned(), vec![json!(1)])];
    assert_eq!(conflicts(&a), expected);
}

#[test]
fn settling_a_map_against_a_scalar_does_not_recreate_it() {
    for (left, right) in [(json!({"k": 1}), json!("text")), (json!("text"), json!({"k": 1}))] {
        let (mut a, mut b) = twins(json!({"x": 0}));
        put(&mut a, 'a', json!({"x": left}));
        put(&mut b, 'b', json!({"x": right}));
        sync(&mut a, &mut b);
        assert_eq!(value(&a), json!({"x": right}));
        assert_eq!(conflicts(&a), [("/x".to_owned(), vec![left])]);
        // A concurrent write adds to the shown value, if it is a map.
        if right.is_object() {
            patch(&mut b, 'd', json!({"x": {"late": true}}));
        }
        let change = patch(&mut a, 'c', json!({"x": right}));
        let expected: &[&str] = match right.is_object() {
            true => &["delete x"],
            false => &["set x = null", "set x = \"text\""],
        };
        assert_eq!(explain(&change.bytes).unwrap().ops, expected);
        assert_eq!(conflicts(&a), []);
        sync(&mut a, &mut b);
        let late = right.is_object().then_some(true);
        assert_eq!(value(&a)["x"].get("late").and_then(Json::as_bool), late);
    }
}

#[test]
fn settling_and_writing_can_be_one_change() {
    let (mut a, mut b) = twins(json!({"x": 0, "y": 0}));
    put(&mut a, 'a', json!({"x": "text", "y": 0}));
    put(&mut b, 'b', json!({"x": {"k": 1}, "y": 0}));
    sync(&mut a, &mut b);
    let change = put(&mut a, 'c', json!({"x": {"k": 2}, "y": 5}));
    assert_eq!((value(&a), conflicts(&a)), (json!({"x": {"k": 2}, "y": 5}), vec![]));
    let info = explain(&change.bytes).unwrap();
    assert_eq!((info.operations, info.by.as_str(), info.time_ms), (3, "c", 1002));
    assert_eq!(b.apply([change.bytes.as_slice()]).new, 1);
    assert_eq!(a.view(), b.view());
    put(&mut a, 'c', json!({"x": {"k": 3}, "y": 5}));
}

#[test]
fn settling_at_a_base_leaves_later_changes() {
    let (mut a, mut b) = twins(json!({"x": 0, "y": 0}));
    put(&mut a, 'a', json!({"x": "text", "y": 0}));
    put(&mut b, 'b', json!({"x": {"k": 1}, "y": 0}));
    sync(&mut a, &mut b);
    let base = a.heads();
    patch(&mut a, 'c', json!({"y": 1}));
    let change = a.patch(&by('c'), Some(&base), &map(json!({"x": {"k": 1}, "y": 0}))).unwrap();
    assert_eq!(explain(&change.unwrap().bytes).unwrap().ops, ["delete x"]);
    assert_eq!((value(&a), conflicts(&a)), (json!({"x": {"k": 1}, "y": 1}), vec![]));
}

#[test]
fn conflicts_in_lists_have_an_index_in_their_path() {
    let (mut a, mut b) = twins(json!({"l": [{"x": 0}, 1], "a/b~": [0]}));
    put(&mut a, 'a', json!({"l": [{"x": 1}, 2], "a/b~": [1]}));
    put(&mut b, 'b', json!({"l": [{"x": 2}, 3], "a/b~": [2]}));
    sync(&mut a, &mut b);
    let paths: Vec<_> = conflicts(&a).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/a~1b~0/0", "/l/0/x", "/l/1"]);
    for path in &paths {
        assert!(value(&a).pointer(path).is_some(), "{path}");
    }
    let shown = value(&a);
    assert_eq!(a.put(&by('c'), None, &map(shown.clone())), Ok(None), "it may not know of them");
    patch(&mut a, 'c', shown.clone());
    assert_eq!((value(&a), conflicts(&a)), (shown, vec![]));
}
