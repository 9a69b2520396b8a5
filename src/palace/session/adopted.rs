//! Whether a client goes on from what the answer to its write showed, or has lost that answer.

use super::distance::{changed_characters, is_edited};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Returns true if a value that a client sends has anything of what `shown` has in place of the client's last write, or
/// if these two are the same.
pub fn adopts(
    own: &Map<String, Value>,
    shown: &Map<String, Value>,
    sent: &Map<String, Value>,
) -> bool {
    own == shown || has_any(Some(own), shown, sent)
}

fn has_any(
    own: Option<&Map<String, Value>>,
    shown: &Map<String, Value>,
    sent: &Map<String, Value>,
) -> bool {
    let gone = own.into_iter().flatten().filter(|(name, _)| !shown.contains_key(*name));
    gone.into_iter().any(|(name, _)| !sent.contains_key(name))
        || shown.iter().any(|(name, shown)| {
            let own = own.and_then(|own| own.get(name));
            own != Some(shown) && sent.get(name).is_some_and(|sent| is_adopted(own, shown, sent))
        })
}

/// Returns true if the value of one field that is sent has anything of the one that was shown, which is another than the
/// client's own.
fn is_adopted(own: Option<&Value>, shown: &Value, sent: &Value) -> bool {
    if own == Some(sent) {
        return false;
    }
    match (shown, sent) {
        (Value::Object(shown), Value::Object(sent)) => {
            has_any(own.and_then(Value::as_object), shown, sent)
        }
        (Value::Array(shown), Value::Array(sent)) => {
            let own = own.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let is_new = |item: &Value| !own.contains(item) && sent.contains(item);
            let is_gone = |item: &Value| !shown.contains(item) && !sent.contains(item);
            shown.iter().any(is_new) || own.iter().any(is_gone)
        }
        (Value::String(shown), Value::String(sent)) if shown != sent => {
            let own = own.and_then(Value::as_str);
            if own.is_some_and(|own| has_passages(own, shown, sent)) {
                return true;
            }
            let is_nearer = |own| changed_characters(shown, sent) < changed_characters(own, sent);
            is_edited(shown, sent) && own.is_none_or(is_nearer)
        }
        _ => shown == sent,
    }
}

/// Returns true if a text has more passages that only the shown one had than speak against it: those that it
/// lacks, and those that only the client's own text had. A passage that is gone from both tells nothing, because the client
/// may have removed it itself.
fn has_passages(own: &str, shown: &str, sent: &str) -> bool {
    let [own, shown, sent] = [own, shown, sent].map(passages);
    let new = shown.difference(&own);
    let (taken, left) = new.partition::<Vec<&str>, _>(|passage| sent.contains(*passage));
    let kept = own.difference(&shown).filter(|passage| sent.contains(*passage));
    taken.len() > left.len() + kept.count()
}

/// Returns the sentences of a text, or what looks like one.
fn passages(text: &str) -> HashSet<&str> {
    let parts = text.split(['\n', '.', '!', '?']).map(str::trim);
    parts.filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn adopted(own: Value, shown: Value, sent: Value) -> bool {
        let object = |value: Value| json!({"v": value, "n": 1}).as_object().unwrap().clone();
        adopts(&object(own), &object(shown), &object(sent))
    }

    #[test]
    fn any_part_of_what_was_shown_is_adopted() {
        let own = json!({"a": 1, "gone": 1});
        let shown = json!({"a": 1, "new": "x", "list": ["y"], "in": {"deep": true}});
        let with = |sent: Value| adopted(own.clone(), shown.clone(), sent);
        assert!(with(json!({"a": 2, "gone": 1, "new": "x"})));
        assert!(with(json!({"a": 2, "gone": 1, "list": ["z", "y"]})));
        assert!(with(json!({"a": 2, "gone": 1, "in": {"deep": true, "b": 2}})));
        assert!(with(json!({"a": 2})), "it has left out what was gone");
        assert!(!with(json!({"a": 2, "gone": 1})));
        assert!(!with(
            json!({"a": 2, "gone": 1, "new": "other", "list": ["z"], "in": {"deep": 1}})
        ));
        assert!(!with(json!({"a": 1, "gone": 1, "in": {}})));
        assert!(adopted(own.clone(), own.clone(), json!(1)), "nothing else was shown");
    }

    #[test]
    fn empty_object_that_both_have_tells_nothing() {
        let shown = json!({"s": {"f": "~eva3", "in": {}}});
        assert!(!adopted(json!({}), shown.clone(), json!({"s": {"f": "~cho3", "in": {}}})));
        assert!(adopted(json!({}), shown, json!({"s": {"f": "~eva3", "in": {"a": 1}}})));
    }

    #[test]
    fn text_that_is_edited_further_is_adopted() {
        let (own, shown) = ("Deploy on Mondays.", "Deploy on Fridays.");
        let with = |sent: &str| adopted(json!(own), json!(shown), json!(sent));
        assert!(with("Deploy on Fridays at noon."));
        assert!(!with("Deploy on Mondays at noon."));
        assert!(!with("No deploys."));
    }

    #[test]
    fn text_that_is_edited_at_both_ends_is_adopted() {
        let own = "Keys.\nWe sign with Ed25519. Tokens live for a day.\nSecret: x.\nOwner: Ada.";
        let shown = "Keys.\nWe sign with Ed25519. Tokens live for an hour.\nOwner: Ada.";
        let with = |sent: &str| adopted(json!(own), json!(shown), json!(sent));
        let edited = |text: &str| text.replace("Keys.", "On keys.").replace("Ada.", "Ada and Bob.");
        assert!(with(&edited(shown)));
        assert!(!with(&edited(own)), "the answer was lost");
        let both = own.replace("Secret: x.\n", "Tokens live for an hour.\n");
        assert!(!with(&edited(&both)), "it may have come to the same sentence by itself");
    }
}
