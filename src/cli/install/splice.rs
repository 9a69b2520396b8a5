//! Puts one entry into a JSON text, and leaves every other byte as it is.
//!
//! Invariant: the text is parsed before it is changed, and the new text is the old one with one span inserted or
//! replaced. So the order of keys, the spacing and the numbers of other entries survive. Must not know: files, and
//! which client the configuration belongs to.

use super::entry::Entry;
use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};
use std::collections::BTreeMap;
use std::ops::Range;

/// The way to get an entry into a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Splice {
    /// Do nothing: the text has this entry.
    AlreadyThere,
    /// Ask the user: the text has another entry of that name, which is this.
    NameTaken(String),
    /// Write this text instead.
    Write(String),
}

/// The reason why a text cannot be edited.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotEditable {
    #[error("it is not plain JSON; it may have comments")]
    NotJson(#[from] serde_json::Error),
    #[error("{0} is not a JSON object")]
    NotAnObject(&'static str),
}

/// Plans to put `entry` under `name` into the object `list` of the top-level object.
pub(super) fn plan(
    text: &str,
    list: &'static str,
    name: &str,
    entry: &Entry,
    replace: bool,
) -> Result<Splice, NotEditable> {
    if text.trim().is_empty() {
        return Ok(Splice::Write(
            pretty(&BTreeMap::from([(list, named(name, entry))]), "  ")? + "\n",
        ));
    }
    let whole: Value = serde_json::from_str(text)?;
    if !whole.is_object() {
        return Err(NotEditable::NotAnObject("the text"));
    }
    let root = text.len() - text.trim_start().len()..text.trim_end().len();
    let edit = Edit { text, unit: unit(text, &root) };
    let Some(servers) = member(text, &root, list) else {
        return Ok(Splice::Write(edit.insert(&root, list, &named(name, entry))?));
    };
    if !text[servers.value.clone()].starts_with('{') {
        return Err(NotEditable::NotAnObject(list));
    }
    let Some(old) = member(text, &servers.value, name) else {
        return Ok(Splice::Write(edit.insert(&servers.value, name, entry)?));
    };
    let found = &text[old.value.clone()];
    match entry.is_in(&serde_json::from_str(found)?) {
        true => Ok(Splice::AlreadyThere),
        false if replace => Ok(Splice::Write(edit.replace(&old, entry)?)),
        false => Ok(Splice::NameTaken(found.to_owned())),
    }
}

fn named<'a>(name: &'a str, entry: &'a Entry) -> BTreeMap<&'a str, &'a Entry> {
    BTreeMap::from([(name, entry)])
}

/// Prints JSON on several lines, each level indented by `unit`.
pub(super) fn pretty(value: &impl Serialize, unit: &str) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(unit.as_bytes());
    value.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    String::from_utf8(bytes).map_err(serde::ser::Error::custom)
}

/// Returns the indentation of one level: that of the first member of the text.
fn unit(text: &str, root: &Range<usize>) -> String {
    let first = members(text, root).into_iter().next();
    let indented = first.and_then(|first| indentation(text, first.start));
    indented.filter(|found| !found.is_empty()).unwrap_or("  ").to_owned()
}

/// Returns the blanks before `at`, if the line has nothing else before it and is not the first one.
fn indentation(text: &str, at: usize) -> Option<&str> {
    let blanks = &text[text[..at].rfind('\n')? + 1..at];
    blanks.chars().all(|c| c == ' ' || c == '\t').then_some(blanks)
}

struct Edit<'a> {
    text: &'a str,
    unit: String,
}

impl Edit<'_> {
    /// Returns the text with one more member at the end of this object.
    fn insert(
        &self,
        object: &Range<usize>,
        name: &str,
        value: &impl Serialize,
    ) -> Result<String, serde_json::Error> {
        let name = serde_json::to_string(name)?;
        let Some(last) = members(self.text, object).pop() else {
            return self.fill(object, &name, value);
        };
        let before = match indentation(self.text, last.start) {
            Some(blanks) => format!("{}{blanks}", self.newline()),
            None => self.text[..last.start].chars().rev().take_while(|c| *c == ' ').collect(),
        };
        let value = self.render(value, last.start)?;
        Ok(self.with(&(last.value.end..last.value.end), &format!(",{before}{name}: {value}")))
    }

    /// Returns the text with this member in an object that has none.
    fn fill(
        &self,
        object: &Range<usize>,
        name: &str,
        value: &impl Serialize,
    ) -> Result<String, serde_json::Error> {
        if self.is_one_line() && object.start > 0 {
            let value = serde_json::to_string(value)?;
            return Ok(self.with(object, &format!("{{{name}: {value}}}")));
        }
        let (newline, unit) = (self.newline(), &self.unit);
        let line = self.text[..object.start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.text[line..object.start];
        let outer = &rest[..rest.len() - rest.trim_start().len()];
        let inner = format!("{newline}{outer}{unit}");
        let value = pretty(value, unit)?.replace('\n', &inner);
        Ok(self.with(object, &format!("{{{inner}{name}: {value}{newline}{outer}}}")))
    }

    fn replace(&self, old: &Member, value: &impl Serialize) -> Result<String, serde_json::Error> {
        Ok(self.with(&old.value, &self.render(value, old.start)?))
    }

    /// Prints a value in the style of the member whose name starts at `beside`.
    fn render(&self, value: &impl Serialize, beside: usize) -> Result<String, serde_json::Error> {
        match indentation(self.text, beside) {
            Some(blanks) => {
                let line = format!("{}{blanks}", self.newline());
                Ok(pretty(value, &self.unit)?.replace('\n', &line))
            }
            None => serde_json::to_string(value),
        }
    }

    fn with(&self, span: &Range<usize>, new: &str) -> String {
        [&self.text[..span.start], new, &self.text[span.end..]].concat()
    }

    fn newline(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    fn is_one_line(&self) -> bool {
        !self.text.trim().contains('\n')
    }
}

/// A member of an object: the start of its name, and the span of its value.
struct Member {
    name: String,
    start: usize,
    value: Range<usize>,
}

/// Returns the last member of this name. If a name is there twice, JSON readers take the last one.
fn member(text: &str, object: &Range<usize>, name: &str) -> Option<Member> {
    members(text, object).into_iter().rfind(|member| member.name == name)
}

/// Lists the members of an object, in a text that is known to be JSON.
fn members(text: &str, object: &Range<usize>) -> Vec<Member> {
    let mut cursor = Cursor { text, at: object.start + 1 };
    let mut found = Vec::new();
    loop {
        cursor.pass(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b','));
        let start = cursor.at;
        if cursor.peek() != Some(b'"') {
            return found;
        }
        cursor.string();
        // The whole text was parsed before, so parsing this name does not fail.
        let name = serde_json::from_str(&text[start..cursor.at]).unwrap_or_default();
        cursor.pass(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b':'));
        let value = cursor.value();
        found.push(Member { name, start, value });
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn pass(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    /// Moves behind the string that starts here.
    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    /// Moves behind the value that starts here, and returns its span.
    fn value(&mut self) -> Range<usize> {
        let (start, mut depth) = (self.at, 0_usize);
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => (depth, self.at) = (depth + 1, self.at + 1),
                b'}' | b']' => (depth, self.at) = (depth.saturating_sub(1), self.at + 1),
                b',' | b':' | b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                _ => self.pass(|byte| !b",]} \t\r\n".contains(&byte)),
            }
            if depth == 0 {
                break;
            }
        }
        start..self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry { kind: None, command: "/bin/p".to_owned(), args: vec!["serve".to_owned()] }
    }

    fn written(text: &str) -> String {
        match plan(text, "mcpServers", "p", &entry(), false).unwrap() {
            Splice::Write(new) => new,
            other => panic!("{other:?}"),
        }
    }

    /// Prints the entry on lines that start with `before`.
    fn block(before: &str) -> String {
        ["{", "  \"command\": \"/bin/p\",", "  \"args\": [", "    \"serve\"", "  ]", "}"]
            .join(&format!("\n{before}"))
    }

    const COMPACT: &str = r#"{"command":"/bin/p","args":["serve"]}"#;

    #[test]
    fn only_the_entry_is_added() {
        let cases = [
            ("", format!("{{\n  \"mcpServers\": {{\n    \"p\": {}\n  }}\n}}\n", block("    "))),
            ("{}\n", format!("{{\n  \"mcpServers\": {{\n    \"p\": {}\n  }}\n}}\n", block("    "))),
            (
                "{\n  \"z\": 1.0,\n  \"a\": [\"}\", 2]\n}\n",
                format!(
                    "{{\n  \"z\": 1.0,\n  \"a\": [\"}}\", 2],\n  \"mcpServers\": {{\n    \"p\": {}\n  }}\n}}\n",
                    block("    ")
                ),
            ),
            (
                "{\n  \"mcpServers\": {},\n  \"a\": 1e3\n}",
                format!(
                    "{{\n  \"mcpServers\": {{\n    \"p\": {}\n  }},\n  \"a\": 1e3\n}}",
                    block("    ")
                ),
            ),
            (
                "{\n  \"mcpServers\": {\n    \"x\\\"\": {\"command\": \"{\"}\n  }\n}",
                format!(
                    "{{\n  \"mcpServers\": {{\n    \"x\\\"\": {{\"command\": \"{{\"}},\n    \"p\": {}\n  }}\n}}",
                    block("    ")
                ),
            ),
            (
                r#"{"a":1,"mcpServers":{"x":null}}"#,
                format!(r#"{{"a":1,"mcpServers":{{"x":null,"p": {COMPACT}}}}}"#),
            ),
            (r#"{"mcpServers": {}}"#, format!(r#"{{"mcpServers": {{"p": {COMPACT}}}}}"#)),
            (r#"{ "a": true }"#, format!(r#"{{ "a": true, "mcpServers": {{"p":{COMPACT}}} }}"#)),
        ];
        for (before, after) in cases {
            assert_eq!(written(before), after, "{before}");
            assert_eq!(
                plan(&after, "mcpServers", "p", &entry(), false).unwrap(),
                Splice::AlreadyThere,
                "{after}"
            );
        }
    }

    #[test]
    fn tabs_and_windows_line_ends_are_kept() {
        let text = "{\r\n\t\"mcpServers\": {\r\n\t\t\"x\": 1\r\n\t}\r\n}\r\n";
        let new = written(text);
        assert!(
            new.contains("\"x\": 1,\r\n\t\t\"p\": {\r\n\t\t\t\"command\": \"/bin/p\","),
            "{new}"
        );
        assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
    }

    #[test]
    fn last_of_two_entries_of_one_name_counts() {
        let text =
            format!(r#"{{"mcpServers":{{"p":{COMPACT}}},"mcpServers":{{"p":{{"url":"u"}}}}}}"#);
        let found = plan(&text, "mcpServers", "p", &entry(), false).unwrap();
        assert_eq!(found, Splice::NameTaken(r#"{"url":"u"}"#.to_owned()));
        let Splice::Write(new) = plan(&text, "mcpServers", "p", &entry(), true).unwrap() else {
            panic!("not replaced");
        };
        assert_eq!(new, text.replace(r#"{"url":"u"}"#, COMPACT));
    }

    #[test]
    fn text_that_is_no_json_object_is_not_edited() {
        for text in ["[]", "{\"mcpServers\": []}", "{\"mcpServers\": null}"] {
            let error = plan(text, "mcpServers", "p", &entry(), true).unwrap_err();
            assert!(matches!(error, NotEditable::NotAnObject(_)), "{text}: {error}");
        }
        for text in ["{} // x", "{\"a\": 1,}", "/* */ {}", "\u{feff}{}", "{"] {
            let error = plan(text, "mcpServers", "p", &entry(), true).unwrap_err();
            assert!(matches!(error, NotEditable::NotJson(_)), "{text}: {error}");
        }
    }
}
