//! Objects that one writer removes while another one edits something in them.

use super::*;
use automerge::transaction::Transactable;
use automerge::{ObjType, ROOT};
use serde_json::json;

type Write = fn(&mut Doc);

/// Lets two writers change the same document at once, and merges it in both orders.
fn at_once(start: Json, a: Write, b: Write) -> Doc {
    let (mut left, mut right) = twins(start);
    a(&mut left);
    b(&mut right);
    sync(&mut left, &mut right);
    let loaded = Doc::load(&left.save()).unwrap();
    assert_eq!(loaded.view(), left.view());
    left
}

/// Makes a document show a value, and checks that it does and that nothing was left over.
fn put_and_check(doc: &mut Doc, name: char, wanted: Json) {
    put(doc, name, wanted.clone());
    assert_eq!(value(doc), wanted);
    assert_eq!(Doc::load(&doc.save()).unwrap().view(), doc.view());
    assert_eq!(doc.put(&by(name), None, &map(wanted)).unwrap(), None);
}

#[test]
fn removed_object_stays_with_an_edit_beside() {
    let start = json!({"map": {"n": 1, "in": {"list": ["x"]}}, "z": 1});
    let removals: [Write; 2] = [
        |doc| drop(patch(doc, 'a', json!({"map": null}))),
        |doc| drop(put(doc, 'a', json!({"z": 1}))),
    ];
    let edits: [(Write, Json); 5] = [
        (
            |doc| drop(patch(doc, 'b', json!({"map": {"n": 2}}))),
            json!({"n": 2, "in": {"list": ["x"]}}),
        ),
        (
            |doc| drop(patch(doc, 'b', json!({"map": {"new": 2}}))),
            json!({"n": 1, "in": {"list": ["x"]}, "new": 2}),
        ),
        (
            |doc| drop(doc.append(&by('b'), &["map", "in", "list"], &[json!("y")]).unwrap()),
            json!({"n": 1, "in": {"list": ["x", "y"]}}),
        ),
        (
            |doc| drop(doc.increment(&by('b'), None, &["map", "count"], 3).unwrap()),
            json!({"n": 1, "in": {"list": ["x"]}, "count": 3}),
        ),
        // What it removes from the object is an edit too.
        (|doc| drop(patch(doc, 'b', json!({"map": {"n": null}}))), json!({"in": {"list": ["x"]}})),
    ];
    for (removal, (edit, left)) in
        removals.iter().flat_map(|removal| edits.iter().map(move |edit| (removal, edit)))
    {
        let mut doc = at_once(start.clone(), *removal, *edit);
        assert_eq!(value(&doc), json!({"map": left, "z": 1}));
        assert_eq!(conflicts(&doc), []);
        // A write elsewhere changes nothing about it, and one in it goes into the object that stands.
        patch(&mut doc, 'c', json!({"z": 2}));
        assert_eq!(value(&doc)["map"], *left);
        patch(&mut doc, 'c', json!({"map": {"other": 4}}));
        assert_eq!(value(&doc)["map"]["other"], 4);
        // A writer who has seen it removes it for good.
        put_and_check(&mut doc, 'a', json!({"z": 2}));
    }
}

#[test]
fn removed_object_without_an_edit_is_gone() {
    let start = json!({"map": {"n": 1}, "z": {"m": 1}});
    let doc = at_once(
        start.clone(),
        |doc| drop(patch(doc, 'a', json!({"map": null}))),
        |doc| drop(patch(doc, 'b', json!({"z": {"m": 2}}))),
    );
    assert_eq!(value(&doc), json!({"z": {"m": 2}}));
    let both: Write = |doc| drop(patch(doc, 'a', json!({"map": null})));
    let doc = at_once(start, both, |doc| drop(patch(doc, 'b', json!({"map": null}))));
    assert_eq!(value(&doc), json!({"z": {"m": 1}}));
}

#[test]
fn removal_that_has_seen_the_edit_counts() {
    let (mut a, mut b) = twins(json!({"map": {"n": 1}, "z": 1}));
    patch(&mut b, 'b', json!({"map": {"n": 2}}));
    let mut c = b.clone();
    patch(&mut a, 'a', json!({"map": null}));
    patch(&mut c, 'c', json!({"map": null}));
    // One remover had seen it, the other one had not.
    assert_eq!(a.merge(&b).unwrap().rejected, []);
    assert_eq!(value(&a), json!({"map": {"n": 2}, "z": 1}));
    sync(&mut a, &mut c);
    assert_eq!(value(&a), json!({"z": 1}));
    // An edit that nobody had seen brings it back, with the one before.
    patch(&mut b, 'b', json!({"map": {"m": 3}}));
    sync(&mut a, &mut b);
    assert_eq!(value(&a), json!({"map": {"n": 2, "m": 3}, "z": 1}));
}

#[test]
fn replaced_object_is_in_conflict_with_its_edit() {
    for new in [json!("text"), json!(7), json!(["list"]), Json::Null] {
        let (mut a, mut b) = twins(json!({"x": {"n": 1}, "z": 1}));
        put(&mut a, 'a', json!({"x": new, "z": 1}));
        patch(&mut b, 'b', json!({"x": {"n": 2}}));
        sync(&mut a, &mut b);
        assert_eq!(value(&a)["x"], new);
        let conflict = &a.view().conflicts[0];
        assert_eq!((conflict.path.as_str(), conflict.shown.by.as_str()), ("/x", "a"));
        let other = &conflict.others[0];
        assert_eq!((&other.value, other.written.by.as_str()), (&json!({"n": 2}), "b"));
        // A write that leaves the field as it is shown does not settle it.
        put(&mut a, 'c', json!({"x": new, "z": 2}));
        assert_eq!(a.view().conflicts, std::slice::from_ref(conflict));

        let mut taken = a.clone();
        taken.settle_conflict(&by('c'), conflict, &other.value).unwrap().unwrap();
        assert_eq!((value(&taken)["x"].clone(), conflicts(&taken)), (json!({"n": 2}), vec![]));
        let mut confirmed = a.clone();
        let settled = confirmed.settle_conflict(&by('c'), conflict, &new).unwrap().unwrap();
        assert_eq!((value(&confirmed)["x"].clone(), conflicts(&confirmed)), (new.clone(), vec![]));
        assert_eq!(settled.settled[0].values[0].value, json!({"n": 2}));
        let mut third = a.clone();
        put_and_check(&mut third, 'c', json!({"x": "third", "z": 2}));
        assert_eq!(conflicts(&third), []);
        let mut removed = a;
        put_and_check(&mut removed, 'c', json!({"z": 2}));
        assert_eq!(conflicts(&removed), []);
    }
}

#[test]
fn object_removed_and_made_again_is_in_conflict() {
    let mut doc = at_once(
        json!({"x": {"n": 1, "old": 1}}),
        |doc| {
            patch(doc, 'a', json!({"x": null}));
            patch(doc, 'a', json!({"x": {"n": 5}}));
        },
        |doc| drop(patch(doc, 'b', json!({"x": {"n": 2}}))),
    );
    assert_eq!(value(&doc), json!({"x": {"n": 5}}), "what was removed is not mixed into it");
    assert_eq!(conflicts(&doc), [("/x".to_owned(), vec![json!({"n": 2, "old": 1})])]);
    patch(&mut doc, 'c', json!({"x": {"n": 5}}));
    assert_eq!(conflicts(&doc), []);
}

#[test]
fn removed_grandparent_stays_with_an_edit_below() {
    let start = json!({"a": {"b": {"c": {"n": 1}}, "other": {"m": 1}}});
    let mut doc = at_once(
        start.clone(),
        |doc| drop(patch(doc, 'a', json!({"a": null}))),
        |doc| drop(patch(doc, 'b', json!({"a": {"b": {"c": {"n": 2}}}}))),
    );
    assert_eq!(value(&doc), json!({"a": {"b": {"c": {"n": 2}}, "other": {"m": 1}}}));
    // In what stays, an object can be removed, and stays for an edit in its turn.
    let mut other = doc.clone();
    patch(&mut doc, 'a', json!({"a": {"b": null, "other": null}}));
    assert_eq!(value(&doc), json!({"a": {}}));
    patch(&mut other, 'b', json!({"a": {"other": {"m": 2}}}));
    sync(&mut doc, &mut other);
    assert_eq!(value(&doc), json!({"a": {"other": {"m": 2}}}));
    // Both an object and one in it were removed.
    let doc = at_once(
        start,
        |doc| {
            patch(doc, 'a', json!({"a": {"b": {"c": null}}}));
            patch(doc, 'a', json!({"a": null}));
        },
        |doc| drop(patch(doc, 'b', json!({"a": {"b": {"c": {"n": 2}}}}))),
    );
    assert_eq!(value(&doc)["a"]["b"], json!({"c": {"n": 2}}));
}

#[test]
fn removed_list_elements_stay_in_their_places() {
    let item = |n: i64| json!({"id": n});
    let start = json!({"list": [item(0), item(1), item(2), item(3)]});
    let without = |gone: &[i64]| -> Json {
        (0..4).filter(|n| !gone.contains(n)).map(item).collect::<Vec<_>>().into()
    };
    for gone in [vec![0], vec![1], vec![3], vec![0, 1], vec![1, 2], vec![2, 3], vec![0, 1, 2, 3]] {
        let (mut a, mut b) = twins(start.clone());
        put(&mut a, 'a', json!({"list": without(&gone)}));
        let mut edited = start.clone();
        for n in &gone {
            edited["list"][*n as usize]["edit"] = json!(n);
        }
        put(&mut b, 'b', edited.clone());
        sync(&mut a, &mut b);
        assert_eq!(value(&a), edited, "{gone:?}");
        for at in 0..5 {
            let mut more = edited.clone();
            more["list"].as_array_mut().unwrap().insert(at, json!("new"));
            put_and_check(&mut a.clone(), 'c', more);
        }
        for at in 0..4 {
            let mut fewer = edited.clone();
            fewer["list"].as_array_mut().unwrap().remove(at);
            put_and_check(&mut a.clone(), 'c', fewer);
            let mut replaced = edited.clone();
            replaced["list"][at] = json!("scalar");
            put_and_check(&mut a.clone(), 'c', replaced);
        }
        let mut appended = a.clone();
        appended.append(&by('c'), &["list"], &[json!("end")]).unwrap().unwrap();
        assert_eq!(value(&appended)["list"][4], "end");
        appended.remove_items(&by('c'), &["list"], &|item| item.is_object()).unwrap().unwrap();
        assert_eq!(value(&appended), json!({"list": ["end"]}));
    }
}

#[test]
fn replaced_list_element_is_in_conflict_with_its_edit() {
    let mut doc = at_once(
        json!({"list": [{"n": 1}, "x"]}),
        |doc| drop(put(doc, 'a', json!({"list": ["scalar", "x"]}))),
        |doc| drop(put(doc, 'b', json!({"list": [{"n": 2}, "x"]}))),
    );
    assert_eq!(value(&doc), json!({"list": ["scalar", "x"]}));
    assert_eq!(conflicts(&doc), [("/list/0".to_owned(), vec![json!({"n": 2})])]);
    let conflict = doc.view().conflicts[0].clone();
    doc.settle_conflict(&by('c'), &conflict, &json!({"n": 2})).unwrap().unwrap();
    assert_eq!((value(&doc), conflicts(&doc)), (json!({"list": [{"n": 2}, "x"]}), vec![]));
}

#[test]
fn removed_text_and_counter_stay_with_their_edits() {
    let edit = |doc: &mut Doc, name: char, at: usize, with: &str| {
        let text = automerge::ReadDoc::get(&*doc.am, ROOT, "text").unwrap().unwrap().1;
        let stamp = by(name);
        doc.edit(&stamp, None, |tx| tx.splice_text(&text, at, 0, with)).unwrap();
    };
    let mut left = Doc::new();
    left.edit(&by('s'), None, |tx| {
        let text = tx.put_object(ROOT, "text", ObjType::Text)?;
        tx.splice_text(&text, 0, 0, "Once")
    })
    .unwrap();
    left.increment(&by('s'), None, &["count"], 1).unwrap();
    let mut right = left.clone();
    put(&mut left, 'a', json!({"z": 1}));
    edit(&mut right, 'b', 4, " more");
    right.increment(&by('b'), None, &["count"], 5).unwrap().unwrap();
    sync(&mut left, &mut right);
    assert_eq!(value(&left), json!({"text": "Once more", "count": 6, "z": 1}));
    // They can be written as any other.
    left.increment(&by('c'), None, &["count"], 4).unwrap().unwrap();
    put_and_check(&mut left, 'c', json!({"text": "Once more, please", "count": 10, "z": 1}));
    put_and_check(&mut left, 'c', json!({"text": "Once more, please", "count": 12, "z": 1}));
    put_and_check(&mut left, 'c', json!({}));
    right.increment(&by('b'), None, &["count"], 1).unwrap().unwrap();
    sync(&mut left, &mut right);
    assert_eq!(value(&left), json!({"count": 7}));
}

#[test]
fn past_versions_keep_what_they_kept() {
    let (mut a, mut b) = twins(json!({"map": {"n": 1}, "z": 1}));
    let both = |a: &Doc, b: &Doc| {
        Heads::new(a.heads().hashes().iter().chain(b.heads().hashes()).copied().collect())
    };
    patch(&mut a, 'a', json!({"map": null}));
    let removed = a.heads();
    patch(&mut b, 'b', json!({"map": {"n": 2}}));
    let (edited, merged) = (b.heads(), both(&a, &b));
    sync(&mut a, &mut b);
    put(&mut a, 'a', json!({"z": 2}));
    let value_at = |heads| json!(view_at(&a, heads).value);
    assert_eq!(value_at(&removed), json!({"z": 1}));
    assert_eq!(value_at(&edited), json!({"map": {"n": 2}, "z": 1}));
    assert_eq!(value_at(&merged), json!({"map": {"n": 2}, "z": 1}));
    assert_eq!(value(&a), json!({"z": 2}));
    // A write that is made from there merges with what came since.
    a.patch(&by('c'), Some(&merged), &map(json!({"map": {"m": 3}}))).unwrap().unwrap();
    assert_eq!(value(&a), json!({"map": {"n": 2, "m": 3}, "z": 2}));
}

#[test]
fn edit_beside_a_delete_keeps_removed_objects_too() {
    let mut doc = at_once(
        json!({"map": {"n": 1}, "z": 1}),
        |doc| {
            doc.delete(&by('a')).unwrap().unwrap();
            put(doc, 'a', json!({"new": 1}));
        },
        |doc| drop(patch(doc, 'b', json!({"map": {"n": 2}}))),
    );
    assert_eq!(value(&doc), json!({"map": {"n": 2}, "new": 1}));
    put_and_check(&mut doc, 'a', json!({"new": 1}));
}

#[test]
fn lost_object_lists_each_reading_in_it() {
    let (mut a, mut b) = twins(json!({"x": {"n": 1, "m": 1}}));
    let mut c = b.clone();
    put(&mut a, 'a', json!({"x": "scalar"}));
    patch(&mut b, 'b', json!({"x": {"n": 2}}));
    patch(&mut c, 'c', json!({"x": {"n": 3}}));
    assert_eq!(b.merge(&c).unwrap().rejected, []);
    sync(&mut a, &mut b);
    assert_eq!(value(&a), json!({"x": "scalar"}));
    let conflict = &a.view().conflicts[0];
    let mut others: Vec<_> = conflict
        .others
        .iter()
        .map(|other| (other.value.clone(), other.written.by.clone()))
        .collect();
    others.sort_by_key(|(value, _)| value.to_string());
    assert_eq!(others.iter().map(|(value, _)| value["n"].clone()).collect::<Vec<_>>(), [2, 3]);
    assert!(others.iter().all(|(value, _)| value["m"] == 1), "{others:?}");
    assert_eq!(others[0].1, "b");
}

#[test]
fn too_many_concurrent_operations_keep_nothing() {
    let (mut a, mut b) = twins(json!({"map": {"n": 1}, "list": []}));
    patch(&mut a, 'a', json!({"map": null}));
    patch(&mut b, 'b', json!({"map": {"n": 2}}));
    let many = vec![json!(1); 99_000];
    for _ in 0..5 {
        b.append(&by('b'), &["list"], &many).unwrap().unwrap();
    }
    let mut fewer = a.clone();
    assert_eq!(fewer.merge(&b).unwrap().rejected, []);
    assert_eq!(value(&fewer)["map"], json!({"n": 2}));
    b.append(&by('b'), &["list"], &many).unwrap().unwrap();
    assert_eq!(a.merge(&b).unwrap().rejected, []);
    assert_eq!(a.view().value.get("map"), None, "it is in the history alone");
    assert_eq!(view_at(&a, &b.heads()).value["map"], json!({"n": 2}));
}

#[test]
fn document_without_concurrent_changes_is_not_decoded() {
    let (mut a, mut b) = twins(json!({"map": {"n": 1}, "z": 1}));
    for n in 0..10 {
        patch(&mut a, ['a', 'b'][n % 2], json!({"map": {"n": n}}));
        patch(&mut a, 'c', json!({"map": null}));
        drop(a.view());
    }
    assert_eq!(a.removals.memory(), 0);
    patch(&mut b, 'd', json!({"z": 2}));
    sync(&mut a, &mut b);
    assert!(a.removals.memory() > 0);
}
