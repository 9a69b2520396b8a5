//! The change that is encoded without a document equals the one that a transaction makes.

use super::convergence::{config, document};
use super::*;
use crate::merge::{MergeError, first_change};
use proptest::prelude::*;
use serde_json::json;

fn assert_same(content: &Map<String, Json>) {
    let mut doc = Doc::new();
    let made = doc.put(&by('a'), None, content).unwrap().unwrap();
    assert_eq!(first_change(&by('a'), content).unwrap(), made, "{content:?}");
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn first_change_equals_that_of_a_transaction(content in document()) {
        assert_same(&map(content));
    }
}

#[test]
fn first_change_encodes_every_kind_of_value() {
    assert_same(&map(json!({})));
    let numbers =
        json!({"i": i64::MIN, "u": u64::MAX, "f": 1e300, "z": -0.0, "n": null, "b": true});
    assert_same(&map(numbers));
    assert_same(&map(
        json!({"": "", "é": "\u{1F600}", "A": {"": [[], {}, [[]]]}, "a": "x".repeat(5000)}),
    ));
    let many = (0..3000).map(|n| (format!("k{n}"), json!([n, {"m": n}]))).collect();
    assert_same(&many);
}

#[test]
fn first_change_refuses_what_put_refuses() {
    let refused = |value: Json| {
        let value = map(value);
        let error = first_change(&by('a'), &value).unwrap_err();
        assert_eq!(Doc::new().put(&by('a'), None, &value).unwrap_err(), error);
        error
    };
    let deep = (0..64).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(refused(json!({"d": deep})), MergeError::TooDeep { limit: 64 });
    assert!(matches!(refused(json!({"t": "x".repeat(1 << 20)})), MergeError::TooLarge { .. }));
    let many = refused(json!({"l": vec![1; 100_000]}));
    assert!(matches!(many, MergeError::TooMany { count: 100_001, .. }), "{many:?}");
}

#[test]
fn a_document_of_one_change_is_saved_as_that_change() {
    let one = first_change(&by('a'), &map(json!({"a": [1, {"b": "c"}]}))).unwrap();
    let (doc, saved) = Doc::new().apply_and_save([&one.bytes[..]]).unwrap();
    assert_eq!(saved, one.bytes);
    let loaded = Doc::load(&saved).unwrap();
    assert_eq!((loaded.heads(), loaded.view()), (doc.heads(), doc.view()));
    let mut two = doc.clone();
    let second = put(&mut two, 'b', json!({"a": 2}));
    let (both, saved) = doc.apply_and_save([&second.bytes[..]]).unwrap();
    assert_eq!((both.heads(), both.view()), (two.heads(), two.view()));
    assert_eq!(Doc::load(&saved).unwrap().history().len(), 2);
    // One that depends on another is no document by itself.
    let (waits, saved) = Doc::new().apply_and_save([&second.bytes[..]]).unwrap();
    assert_eq!(
        (waits.pending().count(), Doc::load(&saved).unwrap().heads()),
        (1, Heads::default())
    );
    let error = Doc::load(&second.bytes).unwrap_err();
    assert!(error.to_string().contains("depends on another"), "{error}");
    let mut flipped = one.bytes.clone();
    flipped[60] ^= 1;
    assert_eq!(Doc::load(&flipped).unwrap_err(), MergeError::Checksum);
}
