//! The form of a page: its front matter, its name, and its text.

use crate::format::controls::{escape, escape_json, is_control};
use crate::memory::Result;
use crate::memory::archive::Record;
use serde_json::Value;

/// The page that shows what a directory is.
pub(in crate::cli) const INDEX: &str = "crdt-palace.md";
/// The line above and below the front matter, with its line break.
pub(in crate::cli) const RULE: &str = "---\n";
/// The line above the records.
pub(in crate::cli) const RECORDS: &str = "crdt_palace:";
/// The beginning of the line of a record.
pub(in crate::cli) const RECORD: &str = "  - ";

/// Most bytes of the name of a page.
const NAME_BYTES: usize = 120;

/// Makes a page of properties, records and a text. Properties are names and values in JSON, which is YAML too.
pub(super) fn page(properties: &[(&str, Value)], records: &[Record], text: &str) -> Result<String> {
    let mut page = RULE.to_owned();
    for (name, value) in properties {
        page.push_str(&format!("{name}: {}\n", escape_json(&value.to_string())));
    }
    page.push_str(RECORDS);
    for record in records {
        page.push_str(&format!("\n{RECORD}{}", record.line()?));
    }
    page.push_str(&format!("\n{RULE}\n{text}\n"));
    Ok(page)
}

/// Returns a text as the name of a file, on every system and in links of Obsidian.
pub(super) fn file_name(text: &str) -> String {
    let bad = |c: char| is_control(c) || r#"/\:*?"<>|#^[]"#.contains(c);
    let safe: String = text.chars().map(|c| if bad(c) { '-' } else { c }).collect();
    let mut end = safe.len().min(NAME_BYTES);
    while !safe.is_char_boundary(end) {
        end -= 1;
    }
    // A leading dot would hide the file.
    let name = safe.get(..end).unwrap_or_default().trim_matches(['.', ' ']);
    if name.is_empty() { "untitled".to_owned() } else { name.to_owned() }
}

/// Returns a link to the page of an entity.
pub(super) fn link(entity: &str) -> String {
    let (name, shown) = (file_name(entity), escape(entity));
    if name == shown {
        format!("[[{name}]]")
    } else {
        format!("[[{name}|{}]]", shown.replace(['[', ']', '|'], "-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_valid_everywhere() {
        assert_eq!(file_name("Signing keys: RSA/Ed25519?"), "Signing keys- RSA-Ed25519-");
        assert_eq!(file_name("../..\u{1b}x"), "-..-x");
        assert_eq!((file_name("..").as_str(), file_name(" ").as_str()), ("untitled", "untitled"));
        assert!(file_name(&"東".repeat(100)).len() <= NAME_BYTES);
        assert_eq!(link("atlas"), "[[atlas]]");
        assert_eq!(link("a/b [c]"), "[[a-b -c-|a/b -c-]]");
    }
}
