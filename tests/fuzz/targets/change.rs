//! Changes and saved documents of Automerge: sound outside, anything inside. Whatever is taken in can be
//! shown, saved, loaded, given back byte for byte and written on.

use super::input::Input;
use crdt_palace::merge::{Doc, Stamp, author_of, deps_of, explain, hash_of};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// Bytes of Automerge's magic and checksum.
const HEAD: usize = 8;

/// Two documents, one after the other in history, and the changes between.
struct Samples {
    first: Vec<u8>,
    second: Vec<u8>,
    other: Vec<u8>,
    saved: Vec<u8>,
}

fn put(doc: &mut Doc, actor: u8, value: &Value) -> Vec<u8> {
    let stamp =
        Stamp { actor: [actor; 16], time_ms: 1_790_000_000_000, by: "a fuzzer/1", undoes: "" };
    doc.put(&stamp, None, value.as_object().unwrap()).unwrap().unwrap().bytes
}

fn samples() -> &'static Samples {
    static SAMPLES: OnceLock<Samples> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut doc = Doc::new();
        let first = put(&mut doc, 1, &json!({"x": "text", "l": [1, {"k": 2}], "n": 7, "f": 0.5}));
        let mut fork = doc.clone();
        let second = put(&mut doc, 1, &json!({"x": "texts", "l": [1, {"k": 3}, 4], "b": null}));
        let other = put(&mut fork, 2, &json!({"x": "others", "l": [{"k": 9}], "m": {"d": [[]]}}));
        assert!(doc.apply([&other[..]]).rejected.is_empty());
        Samples { first, second, other, saved: doc.save() }
    })
}

/// A chunk of this kind with a right length and checksum around any content.
fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut hashed = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        hashed.push(length as u8 | 0x80);
        length >>= 7;
    }
    hashed.push(length as u8);
    hashed.extend_from_slice(body);
    let checksum = Sha256::digest(&hashed);
    [&[0x85, 0x6f, 0x4a, 0x83], &checksum[..4], &hashed].concat()
}

/// What stands behind the length.
fn body(chunk: &[u8]) -> Vec<u8> {
    let length = chunk[HEAD + 1..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    chunk[HEAD + 2 + length..].to_vec()
}

/// A change: a good one, one that was edited, or anything in a sound frame.
pub fn sample(input: &mut Input<'_>) -> Vec<u8> {
    let samples = samples();
    let good = [&samples.first, &samples.second, &samples.other][input.below(3)];
    match input.byte() % 4 {
        0 => good.clone(),
        1 => frame(1, input.some()),
        2 => frame([0, 1, 2, 3][input.below(4)], &body(good)),
        _ => {
            let mut body = body(good);
            input.edit(&mut body);
            frame(1, &body)
        }
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut doc = Doc::new();
    let changes: Vec<Vec<u8>> = match input.byte() % 4 {
        // The rest is one change.
        0 => vec![frame(1, input.0)],
        1 => return document(&frame(0, input.0)),
        2 => {
            let mut body = body(&samples().saved);
            input.edit(&mut body);
            return document(&frame(0, &body));
        }
        _ => (0..1 + input.below(4)).map(|_| sample(&mut input)).collect(),
    };
    for change in &changes {
        let (hash, stamp) = (hash_of(change), author_of(change));
        assert!(hash.is_ok() == deps_of(change).is_ok() || deps_of(change).is_err());
        if let (Ok(hash), Ok(stamp)) = (&hash, &stamp) {
            assert_eq!(stamp.change, *hash);
        }
        if let Ok(explained) = explain(change) {
            assert_eq!(Ok(explained.hash), hash.map_err(|error| error.to_string()));
        }
    }
    let before = samples();
    assert_eq!(doc.apply([&before.first[..]]).new, 1);
    let applied = doc.apply(changes.iter().map(Vec::as_slice));
    let waiting = doc.pending().count();
    let named: std::collections::HashSet<_> =
        changes.iter().filter_map(|change| hash_of(change).ok()).collect();
    assert!(applied.new + waiting <= named.len());
    is_sound(&mut doc);
}

fn document(saved: &[u8]) {
    if let Ok(mut doc) = Doc::load(saved) {
        is_sound(&mut doc);
    }
}

fn is_sound(doc: &mut Doc) {
    let (view, heads) = (doc.view(), doc.heads());
    // A saved document can be forged so that it does not hold the changes it says; then that is told.
    for (hash, bytes) in doc.changes().into_iter().flatten() {
        assert_eq!(hash_of(&bytes).unwrap(), hash);
    }
    let loaded = Doc::load(&doc.save());
    match loaded {
        Ok(loaded) => assert_eq!((loaded.heads(), loaded.view()), (heads, view)),
        Err(error) => assert!(doc.heads().hashes().is_empty(), "{error}"),
    }
    let value = json!({"written": "after", "x": 1});
    let stamp = Stamp { actor: [9; 16], time_ms: 0, by: "", undoes: "" };
    if doc.put(&stamp, None, value.as_object().unwrap()).is_ok() {
        assert_eq!(doc.view().value, *value.as_object().unwrap());
    }
}
