use super::*;
use crate::merge::list_diff::kept;
use crate::merge::{MergeError, ValueType, explain};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn concurrent_insertions_are_all_kept() {
    let (mut a, mut b) = twins(json!({"l": [1, 2, 3, 4]}));
    put(&mut a, 'a', json!({"l": [1, "a", 2, 3, 4, "end a"]}));
    put(&mut b, 'b', json!({"l": ["b", 1, 2, "b2", 4]}));
    sync(&mut a, &mut b);
    assert_eq!(value(&a), json!({"l": ["b", 1, "a", 2, "b2", 4, "end a"]}));
    assert_eq!(conflicts(&a), []);
}

#[test]
fn an_insertion_in_the_middle_is_one_operation() {
    let mut doc = Doc::new();
    let mut list: Vec<Json> = (0..200).map(|n| json!({"id": n})).collect();
    put(&mut doc, 'a', json!({"l": list}));
    list.insert(100, json!("new"));
    list.remove(150);
    let change = put(&mut doc, 'a', json!({"l": list}));
    assert_eq!(explain(&change.bytes).unwrap().operations, 2);
    list[7]["more"] = json!(1);
    let change = put(&mut doc, 'a', json!({"l": list}));
    assert_eq!(explain(&change.bytes).unwrap().operations, 1);
    assert_eq!(value(&doc), json!({"l": list}));
}

#[test]
fn append_and_remove_touch_only_their_elements() {
    let (mut a, mut b) = (Doc::new(), Doc::new());
    a.append(&by('a'), &["observations"], &[json!("likes tea"), json!("old")]).unwrap().unwrap();
    b.append(&by('b'), &["observations"], &[json!("old"), json!("has a cat")]).unwrap().unwrap();
    sync(&mut a, &mut b);
    let both = json!(["likes tea", "old", "old", "has a cat"]);
    assert_eq!(value(&a)["observations"], both);
    let removed = a.remove_items(&by('a'), &["observations"], &|v| v == "old").unwrap().unwrap();
    assert_eq!(explain(&removed.bytes).unwrap().operations, 2);
    let added = b.append(&by('b'), &["observations"], &[json!("new")]).unwrap().unwrap();
    assert_eq!(explain(&added.bytes).unwrap().operations, 1);
    sync(&mut a, &mut b);
    assert_eq!(value(&a)["observations"], json!(["likes tea", "has a cat", "new"]));
    let none = a.remove_items(&by('a'), &["observations"], &|v| v == "old").unwrap();
    assert_eq!(none, None);
    assert_eq!(a.remove_items(&by('a'), &["nowhere", "x"], &|_| true).unwrap(), None);
    assert_eq!(a.append(&by('a'), &["observations"], &[]).unwrap(), None);
    let error = a.append(&by('a'), &["observations", "x"], &[json!(1)]).unwrap_err();
    assert!(matches!(
        error,
        MergeError::WrongType { found: ValueType::List, wanted: ValueType::Map, .. }
    ));
    patch(&mut a, 'a', json!({"s": "text"}));
    let error = a.append(&by('a'), &["s"], &[json!(1)]).unwrap_err();
    assert!(matches!(
        error,
        MergeError::WrongType { found: ValueType::String, wanted: ValueType::List, .. }
    ));
    let error = a.remove_items(&by('a'), &["s"], &|_| true).unwrap_err();
    assert!(matches!(error, MergeError::WrongType { .. }));
}

#[test]
fn list_diff_keeps_the_longest_common_part() {
    let list = |text: &str| text.chars().map(|c| json!(c.to_string())).collect::<Vec<_>>();
    assert_eq!(kept(&list("abcdef"), &list("abXdefY")).len(), 5);
    assert_eq!(kept(&list("abcdef"), &list("fabcde")).len(), 5);
    assert_eq!(kept(&list("xaybzc"), &list("abc")).len(), 3);
    assert_eq!(kept(&list(""), &list("abc")), []);
    assert_eq!(kept(&list("aaa"), &list("aaaa")).len(), 3);
}

fn small_list() -> impl Strategy<Value = Vec<Json>> {
    let item = prop_oneof![(0..6i64).prop_map(Json::from), (0..3i64).prop_map(|n| json!({"n": n}))];
    proptest::collection::vec(item, 0..12)
}

proptest! {
    #![proptest_config(super::convergence::config(300))]

    #[test]
    fn any_list_can_be_replaced_by_any_other(old in small_list(), new in small_list(), newer in small_list()) {
        let pairs = kept(&old, &new);
        prop_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
        prop_assert!(pairs.iter().all(|(a, b)| old[*a] == new[*b]));
        let (mut a, mut b) = (Doc::new(), Doc::new());
        put(&mut a, 'a', json!({"l": old, "x": 0}));
        put(&mut a, 'a', json!({"l": new, "x": 1}));
        prop_assert_eq!(value(&a), json!({"l": new, "x": 1}));
        put(&mut b, 'b', json!({"l": old, "x": 1}));
        sync(&mut a, &mut b);
        put(&mut a, 'a', json!({"l": newer, "x": 2}));
        prop_assert_eq!(value(&a), json!({"l": newer, "x": 2}));
        prop_assert_eq!(conflicts(&a), vec![]);
    }
}
