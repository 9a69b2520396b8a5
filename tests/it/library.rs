//! The library as an embedding program uses it: on a real file system, through several handles.

use crate::support::{dir, manual, object};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::feed::Cursor;
use crdt_palace::palace::{Error, WriteOptions};
use serde_json::{Value, json};

#[test]
fn opening_leaves_no_trace_and_the_first_write_creates_a_palace() {
    let dir = dir();
    let path = dir.path().join("a/b/palace");
    let palace = manual(&path);
    assert_eq!(palace.get("x").unwrap(), None);
    assert!(palace.scan_page("", None, 10).unwrap().documents.is_empty());
    assert!(!dir.path().join("a").exists());
    palace.put("x", &object(json!({"n": 1}))).unwrap();
    assert!(path.join("palace.json").exists());
    assert_eq!(manual(&path).get("x").unwrap().unwrap().value["n"], 1);
}

#[test]
fn handles_see_each_others_writes_at_once() {
    let dir = dir();
    let (a, b) = (manual(dir.path()), manual(dir.path()));
    for n in 0..50 {
        a.put(&format!("a/{n:03}"), &object(json!({"n": n}))).unwrap();
        let seen = b.get(&format!("a/{n:03}")).unwrap().unwrap();
        assert_eq!(seen.value["n"], n);
        b.put(&format!("b/{n:03}"), &object(json!({"n": n, "text": "from b"}))).unwrap();
    }
    let report = a.compact(CompactOptions::default()).unwrap();
    assert_eq!((report.segments, report.documents), (1, 50));
    b.seal().unwrap();
    let report = a.compact(CompactOptions::default()).unwrap();
    assert_eq!((report.segments, report.documents), (1, 50));
    for palace in [&a, &b, &manual(dir.path())] {
        let page = palace.scan_page("", None, 1_000).unwrap();
        assert_eq!(page.documents.len(), 100);
        assert_eq!(page.cursor, None);
        assert_eq!(palace.get("b/049").unwrap().unwrap().value["text"], "from b");
        assert_eq!(palace.search("FROM").limit(1_000).hits().unwrap().len(), 50);
    }
    a.patch("b/000", &object(json!({"n": 7}))).unwrap();
    assert_eq!(b.get("b/000").unwrap().unwrap().value, object(json!({"n": 7, "text": "from b"})));
    assert_eq!(b.history("b/000").unwrap().len(), 2);
}

#[test]
fn feeds_cut_at_the_limit_report_that_there_is_more() {
    let dir = dir();
    let palace = manual(dir.path());
    for n in 0..3 {
        palace.put("k", &object(json!({"n": n}))).unwrap();
    }
    for place in ["the tail", "a snapshot"] {
        let first = palace.changes_since(&Cursor::default(), 2).unwrap();
        assert_eq!((first.commits.len(), first.more), (2, true), "{place}");
        let rest = palace.changes_since(&first.cursor, 1).unwrap();
        assert_eq!((rest.commits.len(), rest.more), (1, false), "{place}");
        assert_eq!(rest.commits[0].sequence, 3, "{place}");
        palace.compact(CompactOptions::default()).unwrap();
    }
}

#[test]
fn failed_conditions_return_the_current_document() {
    let dir = dir();
    let palace = manual(dir.path());
    let absent = WriteOptions::new().if_absent();
    let first = palace.with(absent.clone()).put("k", &object(json!({"v": 1}))).unwrap();
    let refused = palace.with(absent.clone()).put("k", &object(json!({"v": 2}))).unwrap_err();
    let Error::EtagMismatch { current: Some(current), .. } = refused else { panic!("{refused}") };
    assert_eq!((current.etag, &current.value["v"]), (first.etag.clone(), &json!(1)));
    let matching = WriteOptions::new().if_match(first.etag);
    palace.with(matching.clone()).put("k", &object(json!({"v": 2}))).unwrap();
    let refused = palace.with(matching.clone()).put("k", &object(json!({"v": 3}))).unwrap_err();
    assert!(matches!(refused, Error::EtagMismatch { .. }), "{refused}");
    assert_eq!(palace.get("k").unwrap().unwrap().value["v"], 2);
}

/// A writer whose segment was sealed under it may die before it writes again what came after. Whoever
/// has read that, and builds on it, must not depend on it. (`mutant_no_dependency_check` of
/// tests/model/main.rs is the argument.)
#[test]
fn changes_written_after_a_foreign_seal_are_rescued() {
    let dir = dir();
    let (a, b) = (manual(dir.path()), manual(dir.path()));
    a.put("warm", &object(json!({"n": 0}))).unwrap();
    let name = std::fs::read_dir(dir.path().join("open")).unwrap().next().unwrap().unwrap();
    let (open, sealed) = (name.path(), dir.path().join("sealed").join(name.file_name()));
    a.put("shared", &object(json!({"from": "a"}))).unwrap();
    // Say that somebody sealed it, and read it to fold it, before that write: then what B reads in it
    // is nowhere else.
    std::fs::rename(&open, &sealed).unwrap();
    assert_eq!(b.get("shared").unwrap().unwrap().value["from"], "a");
    b.patch("shared", &object(json!({"also": "b"}))).unwrap();
    std::fs::remove_file(&sealed).unwrap();
    let found = manual(dir.path()).get("shared").unwrap().unwrap();
    assert_eq!(found.value, object(json!({"from": "a", "also": "b"})));
    assert!(!found.incomplete);
}

#[test]
fn empty_documents_exist() {
    let dir = dir();
    let palace = manual(dir.path());
    let absent = WriteOptions::new().if_absent();
    let put = palace.with(absent.clone()).put("put", &object(json!({}))).unwrap();
    let patched =
        palace.with(absent.clone()).patch("patched", &object(json!({"f": null}))).unwrap();
    assert!(put.changed && patched.changed);
    let refused = palace.with(absent.clone()).put("put", &object(json!({"v": 1}))).unwrap_err();
    assert!(matches!(refused, Error::EtagMismatch { .. }), "{refused}");
    for palace in [&palace, &manual(dir.path())] {
        let found = palace.get("put").unwrap().unwrap();
        assert_eq!((found.value, found.etag), (object(json!({})), put.etag.clone()));
        assert_eq!(palace.get("patched").unwrap().unwrap().etag, patched.etag);
    }
    assert!(!palace.put("put", &object(json!({}))).unwrap().changed);
    palace.put("put", &object(json!({"v": 1}))).unwrap();
    assert_eq!(manual(dir.path()).get("put").unwrap().unwrap().value["v"], 1);
}

/// A snapshot keeps what a document shows as text, and clients send text. serde_json reads one number in ten not quite as
/// it was written, unless its feature `float_roundtrip` is on.
#[test]
fn numbers_keep_every_bit_through_a_compaction() {
    let dir = dir();
    let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
    let numbers = (0..2_000).map(|_| {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(bits)
    });
    let named =
        [93.558_672_170_452_11, 100.0 * 1.1, 0.1 + 0.2, f64::from(0.1_f32), 5e-324, f64::MAX];
    let numbers: Vec<f64> = numbers.filter(|number| number.is_finite()).chain(named).collect();
    let sent: Value = serde_json::from_str(&json!({"numbers": numbers}).to_string()).unwrap();
    let palace = manual(dir.path());
    palace.put("k", &object(sent)).unwrap();
    palace.compact(CompactOptions::default()).unwrap();
    let palace = manual(dir.path());
    let read = palace.get("k").unwrap().unwrap().value;
    let same = |(n, number): (usize, &f64)| {
        assert_eq!(
            read["numbers"][n].as_f64().map(f64::to_bits),
            Some(number.to_bits()),
            "{number:e}"
        );
    };
    numbers.iter().enumerate().for_each(same);
    assert!(
        !palace.put("k", &read).unwrap().changed,
        "whoever gives back what it read writes nothing"
    );
}
