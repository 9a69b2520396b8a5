//! The fields of a document as lines that people read: a line for each value, so that a change of one value changes no other
//! line.
//!
//! The lines look like YAML. They are for people; programs read `--json`.

use serde_json::{Map, Value};

/// Returns the fields as lines, each with a line break.
pub(super) fn fields(value: &Map<String, Value>) -> String {
    let mut lines = String::new();
    for (name, value) in value {
        push(&mut lines, 0, &format!("{}:", plain(name)), value);
    }
    lines
}

/// Appends a value behind its name, or below it if it has parts.
fn push(lines: &mut String, depth: usize, name: &str, value: &Value) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            lines.push_str(&format!("{indent}{name}\n"));
            for (field, value) in fields {
                push(lines, depth + 1, &format!("{}:", plain(field)), value);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            lines.push_str(&format!("{indent}{name}\n"));
            items.iter().for_each(|item| push(lines, depth + 1, "-", item));
        }
        Value::String(text) if text.contains('\n') => {
            lines.push_str(&format!("{indent}{name}\n"));
            text.lines().for_each(|line| lines.push_str(&format!("{indent}  {line}\n")));
        }
        Value::String(text) => lines.push_str(&format!("{indent}{name} {}\n", plain(text))),
        other => lines.push_str(&format!("{indent}{name} {other}\n")),
    }
}

/// Returns a text as it is, or in quotes if it could be taken for something else.
fn plain(text: &str) -> String {
    let is_unclear = text.trim() != text
        || text.starts_with(['"', '[', '{'])
        || serde_json::from_str::<Value>(text).is_ok()
        || text.is_empty();
    if is_unclear { Value::from(text).to_string() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_have_a_line_for_each_value() {
        let value = json!({
            "count": 3, "done": true, "empty": [], "ids": ["7", "seven", ""], "none": null,
            "part": {"at": [{"x": 1}]}, "text": "one\ntwo", "title": "Plan: a, b"
        });
        let Value::Object(value) = value else { panic!() };
        let expected = "count: 3\ndone: true\nempty: []\nids:\n  - \"7\"\n  - seven\n  - \"\"\nnone: null\npart:\n  \
                        at:\n    -\n      x: 1\ntext:\n  one\n  two\ntitle: Plan: a, b\n";
        assert_eq!(fields(&value), expected);
    }
}
