//! Tests of settling conflicts of drawers.

use super::{Change, Drawers, Item, Place};
use crate::memory::MemoryError;
use crate::palace::Palace;
use serde_json::json;
use tempfile::TempDir;

/// A drawer that two clients have changed at once. Returns its id.
fn raced(changes: [Change<'_>; 2]) -> (TempDir, Drawers, String) {
    let dir = tempfile::tempdir().unwrap();
    let drawers = Drawers::new(Palace::open(dir.path().join("palace")).unwrap());
    let item = Item::new(Place::new("w", "r").unwrap(), "before").unwrap();
    let filed = drawers.file(&[item]).unwrap().remove(0);
    let base = filed.etag.parse().unwrap();
    for change in changes {
        drawers.update(&filed.id, Change { base: Some(&base), ..change }).unwrap();
    }
    (dir, drawers, filed.id)
}

#[test]
fn room_in_conflict_is_settled_by_a_third_room() {
    let to = |room| Change { room: Some(room), ..Change::default() };
    let (_dir, drawers, id) = raced([to("a"), to("b")]);
    let conflict = drawers.get(&id).unwrap().conflicts.remove(0);
    assert_eq!(conflict.path, "/room");
    for bad in [json!("x/y"), json!(" c"), json!(7)] {
        let error = drawers.settle(&id, &conflict, &bad, None).unwrap_err();
        assert!(matches!(error, MemoryError::Argument { field: "room", .. }), "{error}");
    }
    let settled = drawers.settle(&id, &conflict, &json!("c"), None).unwrap();
    assert_eq!((settled.drawer.place.room.as_str(), settled.settled.len()), ("c", 1));
    assert_eq!(drawers.counts(None).unwrap()["w"].iter().collect::<Vec<_>>(), [(&"c".into(), &1)]);
}

#[test]
fn settling_leaves_no_empty_text_and_no_other_version() {
    let with = |content| Change { content: Some(content), ..Change::default() };
    let (_dir, drawers, id) = raced([with("one"), with("two")]);
    let drawer = drawers.get(&id).unwrap();
    let conflict = &drawer.conflicts[0];
    let error = drawers.settle(&id, conflict, &json!(""), None).unwrap_err();
    assert!(matches!(error, MemoryError::Argument { .. }), "{error}");
    let seen = drawer.etag.parse().unwrap();
    let moved = drawers.update(&id, Change { room: Some("s"), ..Change::default() }).unwrap();
    let error = drawers.settle(&id, conflict, &json!("one"), Some(&seen)).unwrap_err();
    let MemoryError::ConflictsChanged { etag, .. } = error else { panic!("{error}") };
    assert_eq!(etag, moved.drawer.etag);
    let settled = drawers.settle(&id, conflict, &json!("three"), Some(&etag.parse().unwrap()));
    let drawer = settled.unwrap().drawer;
    assert_eq!((drawer.content.as_str(), drawer.place.room.as_str()), ("three", "s"));
    let error = drawers.settle(&id, conflict, &json!("one"), None).unwrap_err();
    assert!(matches!(error, MemoryError::NoConflict { .. }), "{error}");
}
