use super::*;
use crate::merge::size_bounds::{DocSize, READABLE, WRITABLE};
use crate::merge::{
    HISTORY_BYTES_MAX, HISTORY_NAME_BYTES_MAX, HISTORY_OPERATIONS_MAX, HISTORY_REFERENCES_MAX,
    MergeError,
};
use serde_json::json;

type Part = fn(&mut DocSize) -> &mut u64;

/// A writer that measures less than a reader would acknowledge changes that no other process ever sees.
#[test]
fn writers_readers_and_saved_documents_measure_alike() {
    let (mut doc, mut other) = twins(json!({"list": [1, 2, 3], "n": 1}));
    doc.increment(&by('a'), None, &["count"], 7).unwrap().unwrap();
    other.increment(&by('b'), None, &["count"], 7).unwrap().unwrap();
    sync(&mut doc, &mut other);
    // One increment of both counters.
    doc.increment(&by('a'), None, &["count"], 1).unwrap().unwrap();
    put(&mut doc, 'a', json!({"list": [], "n": 2, "count": 15}));
    sync(&mut doc, &mut other);
    let operations = 5 + 2 + 1 + 1;
    let references = 2 + 3 + 1;
    let DocSize { operations: held, references: referred, names, bytes } = doc.size;
    assert_eq!((held, referred), (operations, references));
    assert!(names > 20 && bytes > 300, "{names} bytes of names, {bytes}");

    let changes = doc.changes().unwrap();
    let mut read = Doc::new();
    assert_eq!(read.apply(changes.iter().map(|(_, bytes)| &bytes[..])).rejected, []);
    assert_eq!(read.size, doc.size);
    doc.delete(&by('a')).unwrap().unwrap();
    assert_eq!((doc.size.operations, doc.size.references), (operations, references));
}

#[test]
fn history_limits_hold_for_writers_and_readers() {
    let parts: [(&str, u64, Part); 4] = [
        ("operations", HISTORY_OPERATIONS_MAX, |size| &mut size.operations),
        ("overwritten values", HISTORY_REFERENCES_MAX, |size| &mut size.references),
        ("bytes of field names", HISTORY_NAME_BYTES_MAX, |size| &mut size.names),
        ("bytes of changes", HISTORY_BYTES_MAX, |size| &mut size.bytes),
    ];
    for (what, limit, part) in parts {
        let too_long = |count, limit| MergeError::HistoryTooLong { what, count, limit };
        let mut doc = Doc::new();
        put(&mut doc, 'a', json!({"n": 1}));
        *part(&mut doc.size) = limit;
        put(&mut doc, 'a', json!({"n": 2}));
        *part(&mut doc.size) = limit + 1;
        let error = doc.put(&by('a'), None, &map(json!({"n": 3}))).unwrap_err();
        assert_eq!(error, too_long(limit + 1, limit));
        doc.clone().delete(&by('a')).unwrap().unwrap();

        // Readers accept what several writers add concurrently, each within its bounds.
        let mut more = doc.clone();
        *part(&mut more.size) = limit;
        let change = put(&mut more, 'b', json!({"longer": [1, 2, 3], "n": null}));
        let adds = *part(&mut more.size) - limit;
        *part(&mut doc.size) = 2 * limit - adds;
        assert_eq!(doc.clone().apply([&change.bytes[..]]).rejected, []);
        *part(&mut doc.size) += 1;
        let applied = doc.apply([&change.bytes[..]]);
        assert_eq!(applied.rejected, [(Some(change.hash), too_long(2 * limit + 1, 2 * limit))]);
    }
    let mut sum = WRITABLE;
    sum += WRITABLE;
    assert_eq!(sum, READABLE);
}

#[test]
fn a_refused_change_does_not_count_against_the_limits() {
    let mut doc = Doc::new();
    put(&mut doc, 's', json!({"n": 1}));
    let large = patch(&mut doc.clone(), 'a', json!({"list": vec![1; 1_000]}));
    let small = patch(&mut doc.clone(), 'b', json!({"m": 1}));
    doc.size.operations = 2 * HISTORY_OPERATIONS_MAX - 10;
    let applied = doc.apply([&large.bytes[..], &small.bytes[..]]);
    assert_eq!((applied.new, applied.rejected.len()), (1, 1));
    assert_eq!(value(&doc), json!({"n": 1, "m": 1}));
}
