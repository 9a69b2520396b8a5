use crate::merge::*;
use serde_json::json;
#[test]
fn smoke() {
    let s = Stamp { actor: [1; 16], time_ms: 5, by: "a" };
    let mut doc = Doc::new();
    let v = json!({"a": 1, "l": ["x", {"y": 2}], "m": {"n": null}});
    let c = doc.put(&s, None, v.as_object().unwrap()).unwrap().unwrap();
    assert_eq!(hash_of(&c.bytes).unwrap(), c.hash);
    println!("{:#?} {:#?}", doc.view(), explain(&c.bytes));
    assert_eq!(serde_json::Value::Object(doc.view().value), v);
}
