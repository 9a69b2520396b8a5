//! Closures that a caller gives to the palace and that call the palace back: each works, or gets a typed error, and none
//! hangs.

use crdt_palace::palace::automerge::transaction::Transactable;
use crdt_palace::palace::automerge::{ObjType, ROOT};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Condition, Error, Key, Palace, Result, WriteOptions};
use serde_json::json;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Far longer than any of these calls takes: only a call that hangs is cut off by it.
const HANGS: Duration = Duration::from_secs(120);

/// Runs a test on a thread of its own, so that a call that hangs fails instead of stopping everything.
fn without_hanging(test: impl FnOnce(&Palace) + Send + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let palace = Palace::open(dir.path().join("palace")).unwrap();
    palace.put("seen", json!({"n": 1, "text": "a plan"}).as_object().unwrap()).unwrap();
    let (done, finished) = channel();
    let tested = palace.clone();
    let thread = std::thread::spawn(move || {
        test(&tested);
        done.send(()).unwrap();
    });
    if finished.recv_timeout(HANGS).is_ok() {
        thread.join().unwrap();
    } else {
        assert!(thread.is_finished(), "the call hangs");
        thread.join().unwrap();
    }
    // Nothing that was called is still in the way of others.
    palace.increment("after", &["n"], 1).unwrap();
    assert_eq!(palace.get("after").unwrap().unwrap().value["n"], 1);
}

fn is_nested<T: std::fmt::Debug>(told: Result<T>) {
    assert!(matches!(told, Err(Error::Nested)), "{told:?}");
}

fn options() -> WriteOptions {
    WriteOptions::default()
}

/// Reads in every way, and checks what is read.
fn read(palace: &Palace) {
    assert_eq!(palace.get("seen").unwrap().unwrap().value["n"], 1);
    assert_eq!(palace.get_unrefreshed("seen").unwrap().unwrap().value["n"], 1);
    assert_eq!(palace.scan_page("seen", None, 10).unwrap().documents.len(), 1);
    assert_eq!(palace.keys_page("seen", None, 10).unwrap().len(), 1);
    assert_eq!(palace.search("plan").limit(10).hits().unwrap().len(), 1);
    assert_eq!(palace.history("seen").unwrap().len(), 1);
    assert!(palace.status().unwrap().this_instance.is_some());
    assert!(!palace.changes_since(&Default::default(), 10).unwrap().commits.is_empty());
    assert!(!palace.verify().unwrap().has_problem());
}

/// Writes in every way, each of which is refused.
fn writes_are_refused(palace: &Palace) {
    let value = json!({"n": 9});
    let value = value.as_object().unwrap();
    is_nested(palace.put("other", value));
    is_nested(palace.with(options()).patch("other", value));
    is_nested(palace.with(options()).increment("other", &["n"], 1));
    is_nested(palace.with(options()).delete("seen"));
    let absent = options().if_absent();
    is_nested(palace.with(absent.clone()).put("other", value));
    is_nested(palace.with(options()).write("other", |draft| draft.put(value)));
    is_nested(palace.with(options()).edit("other", |tx| tx.put(ROOT, "n", 1)));
    let mut batch = palace.with(options()).batch();
    batch.write(Key::new("other").unwrap(), |draft| draft.put(value));
    is_nested(batch.commit());
    is_nested(palace.sync());
    is_nested(palace.seal());
    is_nested(palace.close());
    is_nested(palace.compact(CompactOptions::default()));
}

#[test]
fn closure_of_write_may_read_and_not_write() {
    without_hanging(|palace| {
        let outcome = palace.with(options()).write("made", |draft| {
            read(palace);
            writes_are_refused(palace);
            draft.increment(&["n"], 1)
        });
        assert!(outcome.unwrap().changed);
        assert_eq!(palace.get("made").unwrap().unwrap().value["n"], 1);
        assert_eq!(palace.get("other").unwrap(), None);
    });
}

#[test]
fn closure_of_edit_may_read_and_not_write() {
    without_hanging(|palace| {
        let edited = palace.with(options()).edit("made", |tx| {
            read(palace);
            writes_are_refused(palace);
            tx.put_object(ROOT, "text", ObjType::Text)
        });
        assert!(edited.unwrap().1.changed);
    });
}

#[test]
fn closures_of_a_batch_may_read_and_not_write() {
    without_hanging(|palace| {
        let mut batch = palace.with(options()).batch();
        batch.write(Key::new("a").unwrap(), |draft| {
            read(palace);
            writes_are_refused(palace);
            draft.increment(&["n"], 1)
        });
        batch.write_if(Key::new("b").unwrap(), Condition::Absent, |draft| {
            read(palace);
            writes_are_refused(palace);
            draft.increment(&["n"], 2)
        });
        assert_eq!(batch.commit().unwrap().outcomes.len(), 2);
        assert_eq!(palace.get("b").unwrap().unwrap().value["n"], 2);
    });
}

#[test]
fn closures_of_a_draft_may_read_and_not_write() {
    without_hanging(|palace| {
        palace.put("list", json!({"items": [1, 2, 3]}).as_object().unwrap()).unwrap();
        let removed = palace.with(options()).write("list", |draft| {
            draft.remove_items(&["items"], &|item| {
                read(palace);
                writes_are_refused(palace);
                *item == 2
            })?;
            draft.edit(|tx| {
                read(palace);
                writes_are_refused(palace);
                tx.put(ROOT, "edited", true)
            })
        });
        assert!(removed.unwrap().changed);
        let found = palace.get("list").unwrap().unwrap().value;
        assert_eq!((&found["items"], &found["edited"]), (&json!([1, 3]), &json!(true)));
    });
}

#[test]
fn closure_of_search_where_may_read_and_write() {
    without_hanging(|palace| {
        let hits = palace
            .search("plan")
            .filter(|key| {
                read(palace);
                palace.with(options()).increment("counted", &["n"], 1).unwrap();
                key == "seen"
            })
            .limit(10)
            .hits();
        assert_eq!(hits.unwrap().len(), 1);
        assert!(palace.get("counted").unwrap().unwrap().value["n"].as_i64() >= Some(1));
    });
}

#[test]
fn closure_of_dump_may_read_and_write() {
    without_hanging(|palace| {
        let mut commits = 0;
        palace
            .dump(|_| {
                read(palace);
                palace.with(options()).increment("counted", &["n"], 1)?;
                commits += 1;
                Ok::<(), Error>(())
            })
            .unwrap();
        assert!(commits >= 1);
        assert_eq!(palace.get("counted").unwrap().unwrap().value["n"], commits);
    });
}

#[test]
fn panic_in_a_closure_leaves_the_palace_usable() {
    without_hanging(|palace| {
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            palace.with(options()).write("made", |draft| {
                draft.increment(&["n"], 1)?;
                panic!("in a closure");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(palace.get("made").unwrap(), None);
        palace.with(options()).increment("made", &["n"], 5).unwrap();
        assert_eq!(palace.get("made").unwrap().unwrap().value["n"], 5);
    });
}
