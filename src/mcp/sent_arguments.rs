//! Arguments as models send them: an empty text for what they leave out, numbers as texts, pages that are too large,
//! fields that no tool has.
//!
//! One layer in front of all tools, which knows a tool by its input schema. Invariants: what a call does is never
//! wider than what was asked for. So an empty condition, version, id or filter of a write is an error, a list is never
//! cut, and an unknown field that resembles a known one is refused. Whatever was not taken as it was sent is noted.

use super::noticed::judged;
use super::page::shortened;
use super::resemblance::{is_same, resembling};
use crate::memory::Unkept;
use rmcp::model::JsonObject;
use serde_json::{Number, Value};

/// Most names that a note or an error lists, so that the notes of one call need at most `NOTES_BYTES`.
const NAMES: usize = 5;
/// Most characters of a name, or of a value, that a note or an error repeats.
const NAME_CHARS: usize = 30;

/// Arguments that name a document, a state of it, or the call itself. A call without one does something else.
const IDENTIFYING: [&str; 8] =
    ["if_match", "base", "version", "etag", "take", "key", "idempotency_key", "dry_run"];
/// Fields that make a write conditional, or none, or that say when something began or ended. A tool that writes does not
/// ignore them if it has no such argument.
const CONDITIONS: [&str; 16] = [
    "if_match",
    "if_none_match",
    "base",
    "version",
    "expected_version",
    "etag",
    "expected_etag",
    "dry_run",
    "idempotency_key",
    "valid_from",
    "valid_to",
    "valid_until",
    "start_date",
    "end_date",
    "ended",
    "at",
];
/// Arguments that narrow what a call is about. For a call that changes or deletes, an empty one is no wish for all, and
/// one that the tool does not have is not ignored.
const FILTERS: [&str; 15] = [
    "wing",
    "room",
    "entity",
    "subject",
    "predicate",
    "object",
    "agent_name",
    "topic",
    "prefix",
    "path",
    "query",
    "source_file",
    "since",
    "before",
    "as_of",
];

/// The effect of a tool, as far as its arguments depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Does {
    pub writes: bool,
    /// True if it changes or deletes what is there.
    pub changes: bool,
}

/// Arguments that a tool can read, and sentences about what was not taken as it was sent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Taken {
    pub arguments: JsonObject,
    pub notes: Vec<String>,
}

/// Makes the arguments of a call fit the input schema of its tool. `unkept` is what they do not keep of their text.
///
/// # Errors
/// Everything that is wrong with them, in one text.
pub(super) fn take(
    schema: &JsonObject,
    does: Does,
    sent: JsonObject,
    unkept: &Unkept,
) -> Result<Taken, String> {
    let mut reading = Reading { does, ..Reading::default() };
    let arguments = reading.object("", schema, sent);
    let Reading { ignored, mut notes, problems, missing, empty, .. } = reading;
    let (mut wrong, about_text) = judged(unkept, does.writes, is_identifying);
    notes.extend(about_text);
    if !missing.is_empty() {
        wrong.push(format!("{} missing", list(&missing)));
    }
    if !empty.is_empty() {
        wrong.push(format!("{} empty: pass a value, or leave it out", list(&empty)));
    }
    wrong.extend(problems.into_iter().take(NAMES));
    if !wrong.is_empty() {
        return Err(format!("invalid arguments: {}. Nothing was done", wrong.join("; ")));
    }
    if !ignored.is_empty() {
        notes.push(format!("not an argument of this tool, and ignored: {}", names(&ignored)));
    }
    Ok(Taken { arguments, notes })
}

/// Returns true if an argument names a document, a state of it, or the call itself.
fn is_identifying(name: &str) -> bool {
    IDENTIFYING.contains(&name) || name.ends_with("_id") || name.ends_with("_ids")
}

/// Names in words, with the verb that follows: `a is`, `a and b are`.
fn list(found: &[String]) -> String {
    format!("{} {}", names(found), if found.len() == 1 { "is" } else { "are" })
}

/// Names in words: `a`, `a and b`, `a, b and 3 more`.
fn names(found: &[String]) -> String {
    let mut shown: Vec<String> =
        found.iter().take(NAMES).map(|name| shortened(name, NAME_CHARS)).collect();
    let last = match found.len().checked_sub(NAMES) {
        Some(more @ 1..) => Some(format!("{more} more")),
        _ => shown.pop(),
    };
    match (shown.is_empty(), last) {
        (true, last) => last.unwrap_or_default(),
        (false, last) => format!("{} and {}", shown.join(", "), last.unwrap_or_default()),
    }
}

/// The findings of a reading. Fields are named by their paths, such as `items[0].wing`.
#[derive(Default)]
struct Reading {
    does: Does,
    missing: Vec<String>,
    empty: Vec<String>,
    problems: Vec<String>,
    ignored: Vec<String>,
    notes: Vec<String>,
}

impl Reading {
    fn object(&mut self, at: &str, schema: &JsonObject, sent: JsonObject) -> JsonObject {
        let none = JsonObject::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let mut taken = JsonObject::new();
        for (name, value) in sent {
            let path = path(at, &name);
            match known.get(&name) {
                Some(schema) => {
                    let value = self.field(&path, &name, schema, required.contains(&&*name), value);
                    taken.extend(value.map(|value| (name, value)));
                }
                None if is_closed => self.unknown(path, &name, known),
                None => drop(taken.insert(name, value)),
            }
        }
        let is_missing = |name: &&&str| taken.get(**name).is_none_or(Value::is_null);
        self.missing.extend(required.iter().filter(is_missing).map(|name| path(at, name)));
        taken
    }

    /// Ignores a field that the tool does not have, unless another was meant.
    fn unknown(&mut self, path: String, name: &str, known: &JsonObject) {
        let is_one_of = |names: &[&str]| names.iter().any(|known| is_same(name, known));
        let is_needed =
            self.does.writes && is_one_of(&CONDITIONS) || self.does.changes && is_one_of(&FILTERS);
        let advice = match resembling(name, known.keys().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant}?"),
            None if is_needed => "without it the call would do more than you asked for".to_owned(),
            None => return self.ignored.push(path),
        };
        let path = shortened(&path, NAME_CHARS);
        self.problems.push(format!("{path} is not an argument of this tool: {advice}"));
    }

    /// Takes the value of a known field; `None` if it counts as left out.
    fn field(
        &mut self,
        path: &str,
        name: &str,
        schema: &Value,
        is_required: bool,
        value: Value,
    ) -> Option<Value> {
        let kinds = Kinds::of(schema);
        if value == "" && !is_required && kinds.is_simple() {
            if is_identifying(name) || self.does.changes && FILTERS.contains(&name) {
                self.empty.push(path.to_owned());
            }
            return None;
        }
        Some(self.value(path, &kinds, value))
    }

    fn value(&mut self, path: &str, kinds: &Kinds<'_>, value: Value) -> Value {
        let sent = value.as_number().cloned();
        let value = kinds.converted(value);
        if !kinds.allow(&value) {
            // A field that must be there is reported as missing.
            if !value.is_null() {
                let shown = shortened(&value.to_string(), NAME_CHARS);
                let path = shortened(path, NAME_CHARS);
                self.problems.push(format!("{path} must be {}, not {shown}", kinds.in_words()));
            }
            return value;
        }
        match value {
            Value::Number(number) => Value::Number(self.clamped(path, kinds, number, sent)),
            Value::Array(items) => self.items(path, kinds, items),
            Value::Object(fields) => match kinds.object {
                Some(schema) => Value::Object(self.object(path, schema, fields)),
                None => Value::Object(fields),
            },
            other => other,
        }
    }

    /// Takes the most that the schema allows in place of more. Only sizes of pages have a maximum.
    fn clamped(
        &mut self,
        path: &str,
        kinds: &Kinds<'_>,
        number: Number,
        sent: Option<Number>,
    ) -> Number {
        let Some(most) = kinds.maximum.filter(|most| number.as_f64() > most.as_f64()) else {
            return number;
        };
        let (path, sent) = (shortened(path, NAME_CHARS), sent.unwrap_or(number).to_string());
        let sent = shortened(&sent, NAME_CHARS);
        self.notes.push(format!("{path} is {most} at most: that was taken in place of {sent}"));
        most.clone()
    }

    fn items(&mut self, path: &str, kinds: &Kinds<'_>, items: Vec<Value>) -> Value {
        let Some(of_items) = kinds.items else { return Value::Array(items) };
        let of_items = Kinds::of(of_items);
        let is_of_ids = self.does.changes && path.ends_with("_ids");
        let item = |(n, item): (usize, Value)| {
            let path = format!("{path}[{n}]");
            if is_of_ids && item == "" {
                self.empty.push(path.clone());
            }
            self.value(&path, &of_items, item)
        };
        items.into_iter().enumerate().map(item).collect()
    }
}

fn path(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

/// The values that a schema allows.
#[derive(Default)]
struct Kinds<'a> {
    /// The names of types; none if anything is allowed.
    types: Vec<&'a str>,
    /// The texts that are allowed, if not all are.
    texts: Option<&'a Vec<Value>>,
    object: Option<&'a JsonObject>,
    items: Option<&'a Value>,
    maximum: Option<&'a Number>,
}

impl<'a> Kinds<'a> {
    fn of(schema: &'a Value) -> Self {
        let mut kinds = Kinds::default();
        let choices = schema.get("anyOf").and_then(Value::as_array);
        match choices {
            Some(choices) => choices.iter().for_each(|choice| kinds.add(choice)),
            None => kinds.add(schema),
        }
        kinds
    }

    fn add(&mut self, schema: &'a Value) {
        match schema.get("type") {
            Some(Value::String(name)) => self.types.push(name),
            Some(Value::Array(names)) => self.types.extend(names.iter().filter_map(Value::as_str)),
            _ => {}
        }
        self.texts = self.texts.or_else(|| schema.get("enum")?.as_array());
        self.items = self.items.or_else(|| schema.get("items"));
        self.maximum = self.maximum.or_else(|| schema.get("maximum")?.as_number());
        if schema.get("properties").is_some() {
            self.object = schema.as_object();
        }
    }

    fn has(&self, name: &str) -> bool {
        self.types.contains(&name)
    }

    /// Returns true if neither lists nor objects are allowed, nor whatever there is.
    fn is_simple(&self) -> bool {
        !self.types.is_empty() && !self.has("array") && !self.has("object")
    }

    /// A number or truth value that came as text, as what it says; a whole number that came with a fraction of zero,
    /// without it.
    fn converted(&self, value: Value) -> Value {
        let converted = match &value {
            Value::String(text) if !self.has("string") => match text.as_str() {
                text if self.has("integer") && text.parse::<i64>().is_ok() => text.parse().ok(),
                text if self.has("number") => text.parse().ok().filter(Value::is_number),
                text if self.has("boolean") => {
                    text.to_ascii_lowercase().parse().ok().map(Value::Bool)
                }
                _ => None,
            },
            Value::Number(number) if self.has("integer") && !number.is_i64() => {
                // A page of any number beyond the maximum is a page of the maximum.
                let beyond = self.maximum.filter(|most| number.as_f64() > most.as_f64());
                whole(number).or_else(|| beyond.map(|_| Value::from(i64::MAX)))
            }
            _ => None,
        };
        converted.unwrap_or(value)
    }

    fn allow(&self, value: &Value) -> bool {
        let is_allowed_type = self.types.is_empty()
            || self.types.iter().any(|name| match *name {
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                "null" => value.is_null(),
                _ => true,
            });
        is_allowed_type && self.texts.is_none_or(|texts| value.is_null() || texts.contains(value))
    }

    fn in_words(&self) -> String {
        if let Some(texts) = self.texts {
            let texts = texts.iter().filter(|text| !text.is_null());
            let texts: Vec<String> = texts.map(Value::to_string).collect();
            return format!("one of {}", texts.join(", "));
        }
        let kind = self.types.iter().find(|name| **name != "null");
        let words = match kind.copied() {
            Some("string") => "a text",
            Some("integer") => "a whole number",
            Some("number") => "a number",
            Some("boolean") => "true or false",
            Some("array") => "a list",
            Some("object") => "an object",
            _ => "another value",
        };
        words.to_owned()
    }
}

/// Returns the number as an integer, if it is one of 64 bits with a sign.
fn whole(number: &Number) -> Option<Value> {
    let range = -(i64::MIN as f64);
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < range)?;
    Some(Value::from(float as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::page::{NOTES_BYTES, json_len};
    use rmcp::handler::server::common::schema_for_input;
    use rmcp::schemars::{self, JsonSchema};
    use serde_json::json;

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[schemars(inline)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Part {
        wing: String,
        note: Option<String>,
    }

    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[schemars(inline)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    enum Direction {
        In,
        Out,
    }

    #[derive(JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its schema is of interest")]
    struct Arguments {
        query: String,
        #[schemars(range(max = 100))]
        limit: Option<i64>,
        threshold: Option<f64>,
        own: Option<bool>,
        direction: Option<Direction>,
        wing: Option<String>,
        since: Option<String>,
        ended: Option<String>,
        if_match: Option<String>,
        drawer_id: Option<String>,
        drawer_ids: Option<Vec<String>>,
        value: Option<Value>,
        items: Option<Vec<Part>>,
        part: Option<Part>,
    }

    fn taken(changes: bool, sent: &Value) -> Result<(Value, Vec<String>), String> {
        let schema = schema_for_input::<Arguments>().unwrap();
        let does = Does { writes: changes, changes };
        let sent = sent.as_object().unwrap().clone();
        let taken = take(&schema, does, sent, &Unkept::default())?;
        Ok((taken.arguments.into(), taken.notes))
    }

    /// What is taken of these arguments besides a query, without a note.
    fn read(mut sent: Value) -> Value {
        sent["query"] = json!("q");
        let (mut arguments, notes) = taken(false, &sent).unwrap();
        assert_eq!(notes, Vec::<String>::new());
        assert_eq!(arguments.as_object_mut().unwrap().remove("query"), Some(json!("q")));
        arguments
    }

    fn error(changes: bool, sent: Value) -> String {
        taken(changes, &sent).unwrap_err()
    }

    #[test]
    fn floats_beyond_64_bits_are_no_whole_numbers() {
        for number in [json!(5.0), json!(-3.0), json!(-9_007_199_254_740_992.0)] {
            assert!(whole(number.as_number().unwrap()).is_some(), "{number}");
        }
        for number in [json!(5.5), json!(1e30), json!(9_223_372_036_854_775_808_u64)] {
            assert_eq!(whole(number.as_number().unwrap()), None, "{number}");
        }
    }

    #[test]
    fn empty_texts_count_as_left_out_where_optional() {
        let empty =
            json!({"wing": "", "since": "", "limit": "", "own": "", "direction": "", "ended": ""});
        assert_eq!(read(empty), json!({}));
        assert_eq!(read(json!({"value": "", "wing": null})), json!({"value": "", "wing": null}));
        assert_eq!(taken(false, &json!({"query": ""})).unwrap().0, json!({"query": ""}));
        assert_eq!(
            taken(true, &json!({"query": "q", "ended": ""})).unwrap().0,
            json!({"query": "q"})
        );
    }

    #[test]
    fn empty_conditions_ids_and_filters_of_writes_are_errors() {
        for field in ["if_match", "drawer_id"] {
            for changes in [true, false] {
                let error = error(changes, json!({"query": "q", field: ""}));
                assert!(error.contains(&format!("{field} is empty")), "{error}");
            }
        }
        let said = error(true, json!({"query": "q", "wing": "", "since": "", "if_match": ""}));
        assert!(said.contains("if_match, since and wing are empty"), "{said}");
        let ids = json!({"query": "q", "drawer_ids": ["a", "", "b"]});
        let said = error(true, ids.clone());
        assert!(said.contains("drawer_ids[1] is empty"), "{said}");
        assert_eq!(read(ids)["drawer_ids"], json!(["a", "", "b"]));
    }

    #[test]
    fn numbers_and_truth_values_come_as_texts() {
        let sent = json!({"limit": "5", "threshold": "0.9", "own": "True"});
        assert_eq!(read(sent), json!({"limit": 5, "threshold": 0.9, "own": true}));
        assert_eq!(read(json!({"limit": 5.0})), json!({"limit": 5}));
        assert_eq!(read(json!({"limit": -5.0, "wing": "5"})), json!({"limit": -5, "wing": "5"}));
        for (field, value, right) in [
            ("limit", json!("many"), "a whole number, not \"many\""),
            ("limit", json!(5.5), "a whole number, not 5.5"),
            ("threshold", json!("high"), "a number"),
            ("own", json!("maybe"), "true or false"),
            ("direction", json!("up"), "one of \"in\", \"out\""),
            ("wing", json!(["a"]), "a text"),
            ("drawer_ids", json!("a"), "a list"),
            ("part", json!(5), "an object"),
        ] {
            let said = error(false, json!({"query": "q", field: value}));
            assert!(said.contains(&format!("{field} must be {right}")), "{said}");
        }
    }

    #[test]
    fn pages_that_are_too_large_are_clamped_with_a_note() {
        for sent in [json!(10_000), json!("10000"), json!(1e300), json!(u64::MAX)] {
            let (arguments, notes) = taken(false, &json!({"query": "q", "limit": sent})).unwrap();
            assert_eq!(arguments["limit"], 100);
            assert!(notes[0].starts_with("limit is 100 at most"), "{notes:?}");
        }
        assert_eq!(read(json!({"limit": 0})), json!({"limit": 0}));
        let ids: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
        assert_eq!(read(json!({"drawer_ids": ids})), json!({"drawer_ids": ids}));
    }

    #[test]
    fn unknown_fields_are_ignored_and_named() {
        let sent = json!({"query": "q", "task_progress": "1/2",
            "items": [{"wing": "w", "added_by": "x"}], "part": {"wing": "w", "tags": []}});
        let (arguments, notes) = taken(false, &sent).unwrap();
        let kept = json!({"query": "q", "items": [{"wing": "w"}], "part": {"wing": "w"}});
        assert_eq!(arguments, kept);
        let named = "not an argument of this tool, and ignored: items[0].added_by, part.tags and task_progress";
        assert_eq!(notes, [named]);
        let many: JsonObject =
            (0..50).map(|n| (format!("{}{n}", "\u{1}".repeat(900)), json!(1))).collect();
        let mut many = Value::Object(many);
        many["query"] = json!("q");
        many["limit"] = json!(1e300);
        let (_, notes) = taken(false, &many).unwrap();
        assert!(notes[1].ends_with("and 45 more") && json_len(&notes) < NOTES_BYTES - 300);
    }

    #[test]
    fn unknown_fields_that_resemble_known_ones_are_refused() {
        for (sent, meant) in [
            ("ifMatch", "if_match"),
            ("If-Match", "if_match"),
            ("if_mach", "if_match"),
            ("drawerId", "drawer_id"),
            ("Query", "query"),
        ] {
            let said = error(false, json!({"query": "q", "if_match": "e", sent: "x"}));
            assert!(said.contains(&format!("{sent} is not an argument")), "{said}");
            assert!(said.contains(&format!("did you mean {meant}?")), "{said}");
        }
        let said = error(false, json!({"query": "q", "items": [{"wing": "w", "Wing": "x"}]}));
        assert!(said.contains("items[0].Wing is not an argument"), "{said}");
    }

    #[test]
    fn writes_do_not_ignore_conditions_and_filters() {
        let sent = |field: &str| json!({"query": "q", field: "x"});
        for field in ["etag", "ETag", "dryRun", "base", "If-None-Match", "room", "sourceFile"] {
            let said = error(true, sent(field));
            assert!(said.contains(&format!("{field} is not an argument")), "{said}");
            assert!(said.contains("more than you asked for"), "{said}");
            assert_eq!(taken(false, &sent(field)).unwrap().1.len(), 1, "a read ignores it");
        }
        let schema = schema_for_input::<Arguments>().unwrap();
        let adds = Does { writes: true, changes: false };
        let none = Unkept::default();
        let adding = |field| take(&schema, adds, sent(field).as_object().unwrap().clone(), &none);
        assert!(adding("etag").is_err() && adding("room").is_ok());
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let said = error(false, json!({"items": [{}, {"wing": null}], "limit": "x", "part": {}}));
        let missing = "items[0].wing, items[1].wing, part.wing and query are missing";
        assert_eq!(
            said,
            format!(
                "invalid arguments: {missing}; limit must be a whole number, not \"x\". Nothing was done"
            )
        );
    }
}
