//! A snapshot that an earlier version wrote: it shows one of several texts that were written at once, and its word index
//! has no word of the others.

use crate::support::{assert_no_problem, dir, manual, names, object};
use crdt_palace::memory::drawers::{Change, Drawers, Item, Place, Search};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Key, Palace, WriteOptions};
use crdt_palace::snapshot::{Builder, Meta, Row, Snapshot, Source};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Documents in conflict: the key, the field that two clients wrote, and both values.
type InConflict = (Key, &'static str, [&'static str; 2]);

/// Files a drawer, which two clients change at once.
fn file_and_race(palace: &Palace, first: &str, texts: [&'static str; 2]) -> InConflict {
    let drawers = Drawers::new(palace.clone());
    let item = Item::new(Place::new("w", "r").unwrap(), first).unwrap();
    let filed = drawers.file(&[item]).unwrap().remove(0);
    let base = filed.etag.parse().unwrap();
    for text in texts {
        let change = Change { content: Some(text), base: Some(&base), ..Change::default() };
        drawers.update(&filed.id, change).unwrap();
    }
    (Key::new(&filed.id.replace('_', "/")).unwrap(), "content", texts)
}

/// Puts a document, whose field two clients change at once.
fn put_and_race(
    palace: &Palace,
    key: &str,
    first: &str,
    field: &'static str,
    texts: [&'static str; 2],
) -> InConflict {
    let base = palace.put(key, &json!({field: first, "n": 1})).unwrap().etag;
    for text in texts {
        let from = WriteOptions::new().base(base.clone());
        palace.with(from).put(key, &json!({field: text, "n": 1})).unwrap();
    }
    (Key::new(key).unwrap(), field, texts)
}

/// The value and the view as an earlier version has them: one of two values, and the other as a conflict.
fn earlier_view(palace: &Palace, (key, field, texts): &InConflict) -> (Value, String) {
    let history = palace.history(key.as_str()).unwrap();
    let wrote = |text: &str| {
        let at = |change: &&crdt_palace::palace::ChangeInfo| {
            let version = palace.get_at(key.as_str(), &change.hash.etag()).unwrap();
            version.is_some_and(|document| document.value[*field] == text)
        };
        let change = history.iter().find(at).unwrap();
        object(json!({"change": change.hash, "by": change.by, "time_ms": change.time_ms}))
    };
    let mut value = palace.get(key.as_str()).unwrap().unwrap().value;
    // Of whole values it shows the same as this version, and of texts one or the other.
    let [first, second] = *texts;
    let (one, other) = if value[*field] == second { (second, first) } else { (first, second) };
    let (shown, mut hidden) = (wrote(one), wrote(other));
    hidden.insert("value".to_owned(), json!(other));
    value.insert((*field).to_owned(), json!(one));
    let conflict = json!({"path": format!("/{field}"), "shown": shown, "others": [hidden]});
    let view = json!({"value": value, "conflicts": [conflict], "modified": shown});
    (Value::Object(value), view.to_string())
}

/// All texts of a value, which is what an earlier version indexes.
fn texts_of(value: &Value) -> String {
    let fields = value.as_object().unwrap().values();
    fields.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// Writes the one snapshot of a palace anew, as an earlier version would have written it. `earlier` gives the value and the
/// view of a row that such a version shows differently.
fn write_as_earlier_version(path: &Path, earlier: impl Fn(&Row) -> Option<(Value, String)>) {
    let name = names(path, "snap").remove(0);
    let file = path.join("snap").join(&name);
    let id = name.trim_end_matches(".snap").parse().unwrap();
    let snapshot = Snapshot::open(Source::Path(&file), id).unwrap();
    assert!(snapshot.meta().all_readings);
    let meta = Meta { all_readings: false, ..snapshot.meta().clone() };
    let new = path.join("tmp").join(&name);
    let mut builder = Builder::at(&new, meta).unwrap();
    for row in snapshot.rows_after(None, 1_000).unwrap() {
        let view: Value = serde_json::from_str(&row.view).unwrap();
        let same = || (view["value"].clone(), row.view.clone());
        let (value, view) = earlier(&row).unwrap_or_else(same);
        builder.add(&Row { view, ..row }, &texts_of(&value)).unwrap();
    }
    let log = snapshot.log_page(None, 1_000).unwrap();
    log.iter().for_each(|commit| builder.add_log(commit).unwrap());
    builder.finish().unwrap();
    std::fs::rename(new, file).unwrap();
}

/// Everything that a search for these words gives: the documents and drawers with their scores.
fn found(palace: &Palace, query: &str) -> Value {
    let hits = palace.search(query).hits().unwrap();
    let documents = hits.iter().map(|hit| json!([hit.document.key, hit.score, hit.document.value]));
    let ranked = Drawers::new(palace.clone()).search(&Search { query, ..Search::default() });
    let ranked = ranked.unwrap().hits;
    let drawers = ranked.iter().map(|hit| json!([hit.drawer.id, hit.score, hit.words]));
    json!({"documents": documents.collect::<Vec<_>>(), "drawers": drawers.collect::<Vec<_>>()})
}

#[test]
fn readings_that_an_older_snapshot_hides_are_found() {
    let dir = dir();
    let palace = manual(dir.path());
    let in_conflict = [
        file_and_race(&palace, "One. Two.", ["Eins. Two.", "Uno. Two."]),
        file_and_race(&palace, "Red. Blue.", ["Rot. Blue.", "Red. Azul."]),
        put_and_race(&palace, "notes/text", "a\nb", "text", ["alpha\nb", "omega\nb"]),
        put_and_race(&palace, "notes/title", "-", "title", ["north", "south"]),
    ];
    for n in 0..20 {
        palace.put(&format!("calm/{n:02}"), &json!({"text": "calm", "conflicts": [n]})).unwrap();
    }
    palace.compact(CompactOptions::new().all()).unwrap();
    let words = ["eins", "uno", "rot", "azul", "alpha", "omega", "north", "south", "two", "calm"];
    let questions = words.into_iter().chain(["uno two", "azul blue", "omega south", "rot azul"]);
    let expected: Map<String, Value> =
        questions.clone().map(|query| (query.to_owned(), found(&palace, query))).collect();
    let of = |query: &str, kind: &str| expected[query][kind].as_array().unwrap().len();
    assert_eq!(
        (of("uno", "drawers"), of("azul", "documents"), of("omega", "documents")),
        (1, 1, 1)
    );

    write_as_earlier_version(dir.path(), |row| {
        let one = in_conflict.iter().find(|(key, ..)| *key == row.key)?;
        Some(earlier_view(&palace, one))
    });
    drop(palace);
    let palace = manual(dir.path());
    for query in questions {
        assert_eq!(found(&palace, query), expected[query], "{query}");
    }
    // The first write and the next compaction change nothing of it.
    palace.put("notes/new", &json!({"text": "new"})).unwrap();
    palace.compact(CompactOptions::new().all()).unwrap();
    for (query, expected) in &expected {
        assert_eq!(found(&manual(dir.path()), query), *expected, "{query}, compacted");
    }
    assert_no_problem(dir.path(), "after the compaction");
}

/// An object was removed while another client changed a field in it, and a server of an earlier version compacted that.
#[test]
fn object_that_an_older_snapshot_hides_is_shown() {
    let dir = dir();
    let palace = manual(dir.path());
    let base = palace.put("k", &json!({"map": {"n": 1}, "b": 1})).unwrap().etag;
    palace.put("calm", &json!({"map": {"n": 1}})).unwrap();
    let from = || palace.with(WriteOptions::new().base(base.clone()));
    from().patch("k", &json!({"map": null})).unwrap();
    from().patch("k", &json!({"map": {"n": 2}})).unwrap();
    palace.compact(CompactOptions::new().all()).unwrap();
    write_as_earlier_version(dir.path(), |row| {
        let mut view: Value = serde_json::from_str(&row.view).unwrap();
        view["value"].as_object_mut().unwrap().remove("map").filter(|_| row.key.as_str() == "k")?;
        Some((view["value"].clone(), view.to_string()))
    });
    drop(palace);
    let palace = manual(dir.path());
    let kept = json!({"map": {"n": 2}, "b": 1});
    assert_eq!(json!(palace.get("k").unwrap().unwrap().value), kept);
    let scanned = palace.scan("").map(|document| json!(document.unwrap().value));
    assert_eq!(scanned.collect::<Vec<_>>(), [json!({"map": {"n": 1}}), kept.clone()]);
    palace.put("new", &json!({})).unwrap();
    let earlier = names(dir.path(), "snap");
    palace.compact(CompactOptions::new().all()).unwrap();
    let view = snapshot_view(dir.path(), "k", &earlier);
    assert_eq!(view["value"], kept, "it was made again");
    assert_no_problem(dir.path(), "after the compaction");
}

/// A write left a conflict of a text open, and a server of an earlier version, which does not read the list of open places,
/// compacted that.
#[test]
fn open_place_that_an_older_snapshot_hides_is_shown() {
    let dir = dir();
    let palace = manual(dir.path());
    let (key, ..) = file_and_race(&palace, "One. Two.", ["Eins. Two.", "Uno. Two."]);
    let before = palace.get(key.as_str()).unwrap().unwrap();
    let drawers = Drawers::new(palace.clone());
    let base = Some(&before.etag);
    let id = key.as_str().replace('/', "_");
    drawers.update(&id, Change { content: Some("Uno. Due."), base, ..Change::default() }).unwrap();
    let shown = palace.get(key.as_str()).unwrap().unwrap();
    assert_eq!((&shown.value["content"], shown.conflicts.len()), (&json!("Uno. Due."), 1));
    palace.compact(CompactOptions::new().all()).unwrap();
    write_as_earlier_version(dir.path(), |row| {
        let mut view: Value = serde_json::from_str(&row.view).unwrap();
        view.as_object_mut().unwrap().remove("conflicts").filter(|_| row.key == key)?;
        Some((view["value"].clone(), view.to_string()))
    });
    drop(palace);
    let palace = manual(dir.path());
    let read = palace.get(key.as_str()).unwrap().unwrap();
    assert_eq!((&read.value, &read.conflicts), (&shown.value, &shown.conflicts));
    palace.put("new", &json!({})).unwrap();
    let earlier = names(dir.path(), "snap");
    palace.compact(CompactOptions::new().all()).unwrap();
    let view = snapshot_view(dir.path(), key.as_str(), &earlier);
    assert_eq!(view["conflicts"].as_array().unwrap().len(), 1, "it was made again");
    assert_no_problem(dir.path(), "after the compaction");
}

/// The view of a document in the snapshot that was made since these. Superseded ones stay for a while.
fn snapshot_view(path: &Path, key: &str, earlier: &[String]) -> Value {
    let name = names(path, "snap").into_iter().find(|name| !earlier.contains(name)).unwrap();
    let file = path.join("snap").join(&name);
    let id = name.trim_end_matches(".snap").parse().unwrap();
    let row = Snapshot::open(Source::Path(&file), id).unwrap().get_view(key).unwrap().unwrap();
    serde_json::from_str(&row.view).unwrap()
}
