//! The good documents of a palace that harmful files are put into. The tests make them, their child looks for them.

use crdt_palace::palace::Palace;
use serde_json::{Map, Value, json};

pub const GOOD: [&str; 3] = ["good/folded", "good/sealed", "good/tail"];

/// What every good document holds.
pub fn value() -> Map<String, Value> {
    crate::support::object(json!({"text": "stays as it is", "list": [1, {"n": 2}]}))
}

/// Every good document can be got, found and listed.
pub fn looks_good(palace: &Palace) {
    for key in GOOD {
        assert_eq!(palace.get(key).unwrap().unwrap().value, value(), "{key}");
    }
    let found = palace.search("stays").limit(100).hits().unwrap();
    let page = palace.scan_page("good/", None, 100).unwrap();
    for key in GOOD {
        assert!(found.iter().any(|hit| hit.document.key.as_str() == key), "{key} is not found");
        assert!(page.documents.iter().any(|d| d.key.as_str() == key), "{key} is not listed");
    }
}
