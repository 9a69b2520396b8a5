//! The rules that people can rely on, through the library: what two writers do at the same time.
//!
//! Each rule is played live, by two handles on one palace of which the second names the version it was
//! based on, and apart, by two copies of a palace. The copies are brought together in every way there is:
//! a merge into a new palace, in both orders, and files copied from one directory into the other.

use crate::support::{
    assert_no_problem, compact_all, copy, dir, documents, files, manual, names, object,
};
use crdt_palace::format::hash::Etag;
use crdt_palace::format::key::Key;
use crdt_palace::fs::os::OsFs;
use crdt_palace::palace::into::merge_into;
use crdt_palace::palace::{Condition, Document, Error, Palace, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const KEY: &str = "notes/plan";

fn by(name: &str) -> WriteOptions {
    WriteOptions::new().by(name)
}

fn matching(etag: &Etag) -> WriteOptions {
    WriteOptions::new().if_match(etag.clone())
}

fn absent() -> WriteOptions {
    WriteOptions::new().if_absent()
}

fn read(palace: &Palace) -> Document {
    palace.get(KEY).unwrap().unwrap_or_else(|| panic!("there is no {KEY}"))
}

fn put(palace: &Palace, value: Value, options: &WriteOptions) {
    palace.with(options.clone()).put(KEY, &object(value)).unwrap();
}

fn patch(palace: &Palace, value: Value, options: &WriteOptions) {
    palace.with(options.clone()).patch(KEY, &object(value)).unwrap();
}

fn append(palace: &Palace, path: &[&str], item: &str, options: &WriteOptions) {
    palace.with(options.clone()).write(KEY, |draft| draft.append(path, &[json!(item)])).unwrap();
}

/// Two copies of one palace, edited apart.
struct Copies {
    dir: tempfile::TempDir,
    merged: usize,
}

impl Copies {
    /// `setup` is what both have; then `ann` and `bob` work in theirs.
    fn make(setup: &dyn Fn(&Palace), ann: &dyn Fn(&Palace), bob: &dyn Fn(&Palace)) -> Self {
        let copies = Copies { dir: dir(), merged: 0 };
        let (a, b) = (copies.path("a"), copies.path("b"));
        // A palace has an id, and so it can be copied, from its first write on.
        manual(&a).put("first", &object(json!({}))).unwrap();
        setup(&manual(&a));
        copy(&a, &b);
        ann(&manual(&a));
        bob(&manual(&b));
        copies
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    fn into(&mut self, sources: [&str; 2]) -> Palace {
        self.merged += 1;
        let into = self.path(&format!("merged {}", self.merged));
        let sources = sources.map(|name| self.path(name));
        merge_into(Arc::new(OsFs), &into, &sources, &BTreeSet::new()).unwrap();
        manual(&into)
    }

    /// A copy of `a`, into which the files of `b` are dropped while a handle follows it.
    fn dropped_in(&mut self) -> Palace {
        self.merged += 1;
        let into = self.path(&format!("merged {}", self.merged));
        copy(&self.path("a"), &into);
        let following = manual(&into);
        documents(&following);
        drop_files(&self.path("b"), &into);
        following
    }

    /// The same documents however the copies came together, and after compaction; each in a directory
    /// of its own.
    fn merged(&mut self) -> Vec<(&'static str, Palace)> {
        let compacted = self.dropped_in();
        compact_all(&compacted);
        let all = vec![
            ("a and b into a new palace", self.into(["a", "b"])),
            ("b and a into a new palace", self.into(["b", "a"])),
            ("files dropped in, following", self.dropped_in()),
            ("files dropped in, fresh", manual(self.dropped_in().path())),
            ("files dropped in, compacted", compacted),
        ];
        let first = documents(&all[0].1);
        for (how, palace) in &all {
            assert_eq!(documents(palace), first, "{how}, compared with {}", all[0].0);
            assert_no_problem(palace.path(), how);
        }
        all
    }
}

/// Segments go into `sealed/`, snapshots into `snap/`; a file that is there already stays.
fn drop_files(from: &Path, to: &Path) {
    for (source, target) in [("open", "sealed"), ("sealed", "sealed"), ("snap", "snap")] {
        for name in names(from, source) {
            let place = to.join(target).join(&name);
            if !place.exists() {
                std::fs::copy(from.join(source).join(&name), place).unwrap();
            }
        }
    }
}

type Work<'a> = &'a dyn Fn(&Palace, &WriteOptions);

/// Plays one rule live and apart, and gives every palace that came of it to `check`. With `setup` both
/// start from that value, without it from nothing (which can only happen apart).
fn play(setup: Option<Value>, ann: Work<'_>, bob: Work<'_>, check: &dyn Fn(&Palace, &str)) {
    if let Some(value) = &setup {
        let dir = dir();
        let path = dir.path().join("live");
        let (a, b) = (manual(&path), manual(&path));
        put(&a, value.clone(), &by("both"));
        let base = Some(read(&b).etag);
        ann(&a, &by("ann"));
        bob(&b, &by("bob").base(base));
        let live = documents(&a);
        assert_eq!(live, documents(&b), "live");
        let compacted = manual(&dir.path().join("compacted"));
        copy(&path, compacted.path());
        compact_all(&compacted);
        assert_eq!(documents(&compacted), live, "compacted");
        check(&compacted, "live, compacted");
        check(&b, "live");
    }
    let setup = |palace: &Palace| {
        if let Some(value) = &setup {
            put(palace, value.clone(), &by("both"));
        }
    };
    let mut copies = Copies::make(&setup, &|a| ann(a, &by("ann")), &|b| bob(b, &by("bob")));
    copies.merged().iter().for_each(|(how, palace)| check(palace, how));
}

#[test]
fn different_fields_and_documents_are_both_kept() {
    let ann = |palace: &Palace, options: &WriteOptions| {
        patch(palace, json!({"title": "Ann's", "nested": {"a": 1}}), options);
        palace.put("only/ann", &object(json!({"n": 1}))).unwrap();
    };
    let bob = |palace: &Palace, options: &WriteOptions| {
        patch(palace, json!({"body": "Bob's", "nested": {"b": 2}}), options);
        palace.put("only/bob", &object(json!({"n": 2}))).unwrap();
    };
    play(Some(json!({"title": "t", "body": "b", "nested": {}})), &ann, &bob, &|palace, how| {
        let value = json!({"title": "Ann's", "body": "Bob's", "nested": {"a": 1, "b": 2}});
        assert_eq!(read(palace).value, object(value), "{how}");
        assert!(read(palace).conflicts.is_empty(), "{how}");
        assert_eq!(palace.scan_page("only/", None, 10).unwrap().documents.len(), 2, "{how}");
    });
}

#[test]
fn concurrent_values_are_shown_and_listed_until_resolved() {
    let ann =
        |palace: &Palace, options: &WriteOptions| patch(palace, json!({"title": "A"}), options);
    let bob =
        |palace: &Palace, options: &WriteOptions| patch(palace, json!({"title": "B"}), options);
    for setup in [Some(json!({"title": "t", "x": 1})), None] {
        for choice in ["shown", "hidden", "new"] {
            play(setup.clone(), &ann, &bob, &|palace, how| {
                let found = read(palace);
                let [conflict] = found.conflicts.as_slice() else { panic!("{how}: {found:?}") };
                let [other] = conflict.others.as_slice() else { panic!("{how}: {conflict:?}") };
                assert_eq!(conflict.path, "/title", "{how}");
                let shown = (found.value["title"].as_str().unwrap(), conflict.shown.by.as_str());
                let hidden = (other.value.as_str().unwrap(), other.written.by.as_str());
                let mut both = [shown, hidden];
                both.sort_unstable();
                assert_eq!(both, [("A", "ann"), ("B", "bob")], "{how}");
                assert!(conflict.shown.time_ms > 0 && other.written.time_ms > 0, "{how}");
                let value = match choice {
                    "shown" => shown.0,
                    "hidden" => hidden.0,
                    _ => "C",
                };
                let title = object(json!({"title": value}));
                let written = palace.with(by("carl")).patch(KEY, &title).unwrap();
                let [gone] = written.settled.as_slice() else { panic!("{how}: {written:?}") };
                let values = gone.values.iter();
                let values: Vec<_> =
                    values.map(|one| (one.value.as_str().unwrap(), &*one.written.by)).collect();
                let expected = match choice {
                    "shown" => vec![hidden],
                    "hidden" => vec![shown],
                    _ => vec![shown, hidden],
                };
                assert_eq!((gone.path.as_str(), values), ("/title", expected), "{how}");
                let settled = read(&manual(palace.path()));
                assert_eq!(
                    (&settled.value["title"], &*settled.conflicts),
                    (&json!(value), &[][..])
                );
                assert_eq!(settled.modified.unwrap().by, "carl", "{how}");
            });
        }
    }
}

#[test]
fn writes_report_exactly_the_conflicts_they_resolve() {
    let set = |who: &'static str| {
        move |palace: &Palace, options: &WriteOptions| {
            let list = json!([{"in": who}, "x"]);
            patch(palace, json!({"a": who, "b": who, "list": list}), options);
        }
    };
    let setup = json!({"a": 0, "b": 0, "free": 0, "list": [{"in": 0}, "x"]});
    play(Some(setup), &set("ann"), &set("bob"), &|palace, how| {
        let paths = |palace: &Palace| {
            let conflicts = read(palace).conflicts.into_iter();
            conflicts.map(|conflict| conflict.path).collect::<Vec<_>>()
        };
        assert_eq!(paths(palace), ["/a", "/b", "/list/0/in"], "{how}");
        let settled = |outcome: crdt_palace::palace::Outcome| {
            let settled = outcome.settled.into_iter();
            settled.map(|settled| (settled.path, settled.values.len())).collect::<Vec<_>>()
        };
        let apply =
            |patch: Value| settled(palace.with(by("carl")).patch(KEY, &object(patch)).unwrap());
        assert_eq!(apply(json!({"free": 1})), [], "{how}");
        let counted = palace.with(by("carl")).increment(KEY, &["count"], 1).unwrap();
        assert_eq!(settled(counted), [], "{how}");
        assert_eq!(apply(json!({"a": "carl"})), [("/a".to_owned(), 2)], "{how}");
        assert_eq!(apply(json!({"a": "carl again"})), [], "{how}");
        // A conflict moves with its place in a list, and goes with what it is in.
        let end =
            |draft: &mut crdt_palace::palace::Draft<'_>| draft.append(&["list"], &[json!("y")]);
        assert_eq!(settled(palace.with(by("carl")).write(KEY, end).unwrap()), [], "{how}");
        let first = |item: &Value| item.is_object();
        let removed =
            palace.with(by("carl")).write(KEY, |draft| draft.remove_items(&["list"], &first));
        assert_eq!(settled(removed.unwrap()), [("/list/0/in".to_owned(), 2)], "{how}");
        let (_, edited) = palace
            .with(by("carl"))
            .edit(KEY, |tx| {
                use crdt_palace::merge::automerge::{ROOT, transaction::Transactable};
                tx.put(ROOT, "b", "carl")
            })
            .unwrap();
        assert_eq!(settled(edited), [("/b".to_owned(), 2)], "{how}");
        assert_eq!(paths(palace), [""; 0], "{how}");
    });
}

#[test]
fn writes_with_a_base_resolve_only_conflicts_they_saw() {
    let dir = dir();
    let palace = manual(dir.path());
    let at = |base: &crdt_palace::palace::Outcome| by("late").base(base.etag.clone());
    let first = palace.put(KEY, &object(json!({"n": 5}))).unwrap();
    let six = palace.with(at(&first)).put(KEY, &object(json!({"n": 6}))).unwrap();
    let seven = palace.with(at(&first)).put(KEY, &object(json!({"n": 7}))).unwrap();
    assert!(six.settled.is_empty() && seven.settled.is_empty());
    assert_eq!(read(&palace).conflicts[0].others.len(), 1);
    // Deleted by somebody who knew nothing of that: the edits win, and nothing is hidden.
    let before = read(&palace).value;
    let deleted = palace.with(at(&first)).delete(KEY).unwrap();
    assert_eq!((deleted.changed, read(&palace).value), (false, before));
    // Its etag names the last edit alone. The version with both is another one.
    assert!(!palace.with(at(&seven)).delete(KEY).unwrap().changed);
    let knows_both = by("late").base(seven.current_etag);
    let now = palace.with(knows_both).delete(KEY).unwrap();
    assert!(now.changed && now.settled.is_empty() && palace.get(KEY).unwrap().is_none());
}

#[test]
fn maps_and_lists_created_by_both_writers_are_merged() {
    let ann = |palace: &Palace, options: &WriteOptions| {
        patch(palace, json!({"map": {"a": 1, "deep": {"a": 1}}, "list": ["a"]}), options);
    };
    let bob = |palace: &Palace, options: &WriteOptions| {
        patch(palace, json!({"map": {"b": 2, "deep": {"b": 2}}, "list": ["b"]}), options);
    };
    for setup in [Some(json!({"x": 1})), None] {
        play(setup, &ann, &bob, &|palace, how| {
            let found = read(palace);
            let map = json!({"a": 1, "b": 2, "deep": {"a": 1, "b": 2}});
            assert_eq!((&found.value["map"], &*found.conflicts), (&map, &[][..]), "{how}");
            let list = found.value["list"].as_array().unwrap();
            assert!(
                *list == [json!("a"), json!("b")] || *list == [json!("b"), json!("a")],
                "{how}"
            );
            // Both halves can be edited on.
            patch(palace, json!({"map": {"a": null, "b": 3, "c": 4}}), &by("carl"));
            append(palace, &["list"], "c", &by("carl"));
            let found = read(&manual(palace.path()));
            let map = json!({"b": 3, "c": 4, "deep": {"a": 1, "b": 2}});
            assert_eq!((&found.value["map"], &*found.conflicts), (&map, &[][..]), "{how}");
            let now = found.value["list"].as_array().unwrap();
            assert_eq!((&now[..2], &now[2]), (&list[..], &json!("c")), "{how}");
        });
    }
}

#[test]
fn map_against_scalar_is_a_conflict() {
    let ann =
        |palace: &Palace, options: &WriteOptions| patch(palace, json!({"f": {"a": 1}}), options);
    let bob = |palace: &Palace, options: &WriteOptions| patch(palace, json!({"f": 7}), options);
    play(Some(json!({"x": 1})), &ann, &bob, &|palace, how| {
        let found = read(palace);
        let [conflict] = found.conflicts.as_slice() else { panic!("{how}: {found:?}") };
        let mut both = [found.value["f"].to_string(), conflict.others[0].value.to_string()];
        both.sort();
        assert_eq!(both, ["7", "{\"a\":1}"], "{how}");
        patch(palace, json!({"f": {"a": 2}}), &by("carl"));
        let found = read(palace);
        assert_eq!((&found.value["f"], &*found.conflicts), (&json!({"a": 2}), &[][..]), "{how}");
    });
}

#[test]
fn counters_created_by_both_writers_add_up() {
    let count = |n: i64| {
        move |palace: &Palace, options: &WriteOptions| {
            palace.with(options.clone()).increment(KEY, &["n"], n).unwrap();
        }
    };
    for setup in [Some(json!({"x": 1})), None] {
        play(setup, &count(3), &count(4), &|palace, how| {
            assert_eq!(
                (&read(palace).value["n"], read(palace).conflicts.len()),
                (&json!(7), 0),
                "{how}"
            );
            count(10)(palace, &by("carl"));
            let found = read(&manual(palace.path()));
            assert_eq!((&found.value["n"], found.conflicts.len()), (&json!(17), 0), "{how}");
        });
    }
}

#[test]
fn increments_of_a_shared_counter_add_up() {
    let mut copies = Copies::make(
        &|both| drop(both.with(by("both")).increment(KEY, &["n"], 100).unwrap()),
        &|ann| drop(ann.with(by("ann")).increment(KEY, &["n"], 3).unwrap()),
        &|bob| drop(bob.with(by("bob")).increment(KEY, &["n"], -4).unwrap()),
    );
    for (how, palace) in copies.merged() {
        assert_eq!(read(&palace).value["n"], 99, "{how}");
    }
}

#[test]
fn concurrent_list_insertions_are_all_kept() {
    let ann = |palace: &Palace, options: &WriteOptions| {
        append(palace, &["l"], "a1", options);
        append(palace, &["l"], "a2", options);
    };
    let bob = |palace: &Palace, options: &WriteOptions| {
        let options = options.clone().base(None::<Etag>);
        append(palace, &["l"], "b1", &options);
        append(palace, &["l"], "b2", &options);
    };
    play(Some(json!({"l": ["first"]})), &ann, &bob, &|palace, how| {
        let found = read(palace);
        let list: Vec<_> = found.value["l"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item.as_str().unwrap())
            .collect();
        assert!(
            list == ["first", "a1", "a2", "b1", "b2"] || list == ["first", "b1", "b2", "a1", "a2"],
            "{how}: {list:?}"
        );
        assert!(found.conflicts.is_empty(), "{how}");
    });
}

#[test]
fn edits_win_over_deletion_and_restore_the_whole_document() {
    let ann = |palace: &Palace, options: &WriteOptions| {
        palace.with(options.clone()).delete(KEY).unwrap();
        assert_eq!(palace.get(KEY).unwrap(), None);
    };
    let bob =
        |palace: &Palace, options: &WriteOptions| patch(palace, json!({"title": "T"}), options);
    let value = json!({"title": "t", "body": "b", "nested": {"deep": [1, 2]}});
    play(Some(value), &ann, &bob, &|palace, how| {
        let whole = json!({"title": "T", "body": "b", "nested": {"deep": [1, 2]}});
        assert_eq!(read(palace).value, object(whole), "{how}");
        assert!(read(palace).conflicts.is_empty(), "{how}");
        palace.with(by("carl")).delete(KEY).unwrap();
        assert_eq!(manual(palace.path()).get(KEY).unwrap(), None, "{how}");
    });
}

#[test]
fn documents_deleted_by_both_writers_stay_deleted_until_put() {
    let delete = |palace: &Palace, options: &WriteOptions| {
        let options = options.clone().base(None::<Etag>);
        palace.with(options.clone()).delete(KEY).unwrap();
    };
    play(Some(json!({"title": "t", "secret": 1})), &delete, &delete, &|palace, how| {
        assert_eq!(palace.get(KEY).unwrap(), None, "{how}");
        assert!(palace.search("t").limit(10).hits().unwrap().is_empty(), "{how}");
        assert!(!documents(palace).contains_key(KEY), "{how}");
        assert!(palace.history(KEY).unwrap().len() >= 2, "{how}");
        put(palace, json!({"title": "again"}), &absent());
        assert_eq!(read(&manual(palace.path())).value, object(json!({"title": "again"})), "{how}");
    });
}

#[test]
fn equal_content_filed_twice_is_one_document() {
    let key = Key::new(KEY).unwrap();
    let value = object(json!({"text": "the same", "tags": ["a", "b"]}));
    let file = |palace: &Palace, options: &WriteOptions| {
        palace.with(options.clone()).write(KEY, |draft| draft.file(&key, &value)).unwrap();
    };
    let mut copies = Copies::make(&|_| {}, &|a| file(a, &by("ann")), &|b| file(b, &by("bob")));
    let [a, b] = ["a", "b"].map(|name| manual(&copies.path(name)).history(KEY).unwrap());
    assert_eq!((a.len(), b.len()), (2, 2));
    assert_eq!(
        (&a[0], a[0].time_ms, a[0].by.as_str()),
        (&b[0], 0, ""),
        "not the same first change"
    );
    assert_eq!((a[1].by.as_str(), b[1].by.as_str()), ("ann", "bob"));
    for (how, palace) in copies.merged() {
        let found = read(&palace);
        assert_eq!((&found.value, found.conflicts.len()), (&value, 0), "{how}");
        assert_eq!(palace.history(KEY).unwrap().len(), 3, "{how}");
        // Filing what is there changes nothing; filing what was deleted brings it back.
        file(&palace, &by("carl"));
        assert_eq!(read(&palace).etag, found.etag, "{how}");
        palace.with(by("carl")).delete(KEY).unwrap();
        file(&palace, &by("carl"));
        assert_eq!(read(&manual(palace.path())).value, value, "{how}");
    }
}

#[test]
fn etags_have_16_digits_per_head_and_find_their_version() {
    let ann = |palace: &Palace| patch(palace, json!({"title": "A"}), &by("ann"));
    let bob = |palace: &Palace| patch(palace, json!({"body": "B"}), &by("bob"));
    let setup = |palace: &Palace| put(palace, json!({"title": "t", "body": "b"}), &by("both"));
    let mut copies = Copies::make(&setup, &ann, &bob);
    let versions = ["a", "b"].map(|name| read(&manual(&copies.path(name))));
    for (how, palace) in copies.merged() {
        let merged = read(&palace);
        let text = merged.etag.to_string();
        let parts: Vec<&str> = text.split('.').collect();
        assert_eq!(parts.len(), 2, "{how}: {text}");
        assert!(parts.is_sorted() && parts.iter().all(|part| part.len() == 16), "{how}: {text}");
        assert!(text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f' | '.')), "{how}: {text}");
        assert_eq!(text.parse::<Etag>().unwrap(), merged.etag, "{how}");
        for version in &versions {
            let then = palace.get_at(KEY, &version.etag).unwrap().unwrap();
            assert_eq!((&then.value, &then.etag), (&version.value, &version.etag), "{how}");
        }
        // A write based on Ann's version is concurrent with Bob's, and both are kept.
        let base = Some(versions[0].etag.clone());
        patch(&palace, json!({"body": "C"}), &by("carl").base(base));
        let found = read(&palace);
        assert_eq!((found.value["title"].as_str(), found.conflicts.len()), (Some("A"), 1), "{how}");
        assert_eq!(palace.get_at(KEY, &merged.etag).unwrap().unwrap().value, merged.value, "{how}");
        let unknown: Etag = "0123456789abcdef".parse().unwrap();
        let error = palace.get_at(KEY, &unknown).unwrap_err();
        assert!(matches!(error, Error::NoSuchVersion { .. }), "{how}: {error}");
        assert_eq!(
            error.to_string(),
            "notes/plan has no version 0123456789abcdef; `history` lists the versions it has"
        );
        let options = WriteOptions::new().base(unknown);
        let error = palace.with(options.clone()).put(KEY, &object(json!({}))).unwrap_err();
        assert!(matches!(error, Error::NoSuchVersion { .. }), "{how}: {error}");
    }
}

#[test]
fn conditions_compare_with_the_current_version() {
    let dir = dir();
    let (a, b) = (manual(dir.path()), manual(dir.path()));
    put(&a, json!({"v": 1}), &absent());
    let first = read(&b).etag;
    put(&b, json!({"v": 2}), &matching(&first));
    let error = a.with(matching(&first)).put(KEY, &object(json!({"v": 3}))).unwrap_err();
    let now = read(&a);
    let Error::EtagMismatch { current: Some(current), .. } = &error else { panic!("{error}") };
    assert_eq!(**current, now);
    let text = format!("ETAG_MISMATCH: {KEY} is at version {} now", now.etag);
    assert!(error.to_string().starts_with(&text), "{error}");
    // A deleted document is at no version, and absent.
    a.with(matching(&now.etag)).delete(KEY).unwrap();
    for options in [matching(&now.etag), matching(&first)] {
        let error = b.with(options.clone()).put(KEY, &object(json!({"v": 3}))).unwrap_err();
        assert!(matches!(error, Error::EtagMismatch { current: None, .. }), "{error}");
        assert!(error.to_string().contains("not there now"), "{error}");
    }
    put(&b, json!({"v": 4}), &absent());
    assert_eq!(read(&a).value, object(json!({"v": 4})));
}

#[test]
fn batches_are_applied_whole_or_not_at_all() {
    let dir = dir();
    let (a, b) = (manual(dir.path()), manual(dir.path()));
    put(&a, json!({"v": 1}), &WriteOptions::default());
    let key = |text: &str| Key::new(text).unwrap();
    let value = object(json!({"v": 2}));
    let mut batch = b.with(by("bob")).batch();
    batch.write(key("before"), |draft| draft.put(&value));
    batch.write_if(key(KEY), Condition::Absent, |draft| draft.put(&value));
    assert!(matches!(batch.commit(), Err(Error::EtagMismatch { .. })));
    for palace in [&a, &b, &manual(dir.path())] {
        assert_eq!(palace.get("before").unwrap(), None);
        assert_eq!(read(palace).value, object(json!({"v": 1})));
    }
    let mut batch = b.with(by("bob")).batch();
    batch.write_if(key("before"), Condition::Absent, |draft| draft.put(&value));
    batch.write_if(key(KEY), Condition::Match(read(&a).etag), |draft| draft.put(&value));
    let receipt = batch.commit().unwrap();
    assert_eq!(receipt.outcomes.len(), 2);
    assert_eq!((a.get("before").unwrap().unwrap().value, read(&a).value), (value.clone(), value));
}

fn holds(files: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>, text: &str) -> bool {
    files.values().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[test]
fn deleting_hides_and_forgetting_erases() {
    let dir = dir();
    let path = dir.path().join("palace");
    let palace = manual(&path);
    let secrets = ["Xylophone7", "Quizzical8", "secret/Zugzwang9", "Whizbang10"];
    let [first, second, key, writer] = secrets;
    palace.with(by(writer)).put(key, &object(json!({"text": first}))).unwrap();
    palace.put(key, &object(json!({"text": second}))).unwrap();
    palace.put("kept/1", &object(json!({"text": "stays"}))).unwrap();
    palace.put("kept/2", &object(json!({"text": "goes"}))).unwrap();
    palace.compact(Default::default()).unwrap();
    palace.delete(key).unwrap();
    palace.delete("kept/2").unwrap();
    assert_eq!(palace.get(key).unwrap(), None);
    assert_eq!(palace.history(key).unwrap().len(), 3, "deleting hides, it does not erase");
    for text in secrets {
        assert!(
            holds(&files(&path), text),
            "the test looks for {text} in a way that finds nothing"
        );
    }
    drop(palace);
    let into = dir.path().join("new");
    let misspelt = BTreeSet::from([Key::new(key).unwrap(), Key::new("never/there").unwrap()]);
    let refused = merge_into(Arc::new(OsFs), &into, std::slice::from_ref(&path), &misspelt);
    assert!(refused.unwrap_err().to_string().contains("none of the palaces has never/there"));
    assert!(!into.exists());
    let forget = BTreeSet::from([Key::new(key).unwrap()]);
    let report = merge_into(Arc::new(OsFs), &into, std::slice::from_ref(&path), &forget).unwrap();
    assert_eq!((report.documents, report.forgotten), (2, 1));
    for text in secrets {
        assert!(!holds(&files(&into), text), "{text} is still there");
    }
    let new = manual(&into);
    assert_eq!(documents(&new).keys().collect::<Vec<_>>(), ["kept/1"]);
    assert_eq!(new.history("kept/2").unwrap().len(), 2);
    assert!(new.history(key).unwrap().is_empty());
    assert_ne!(new.status().unwrap().palace, manual(&path).status().unwrap().palace);
    let again = merge_into(Arc::new(OsFs), &into, &[path], &forget).unwrap_err();
    assert!(
        again.to_string().ends_with("exists already; name a directory that does not"),
        "{again}"
    );
}
