//! Control characters in what is printed: escaped, so that stored text cannot control a terminal or hide a part of a
//! line.
//!
//! These are the characters of category Cc (C0, DEL and C1), and those that break a line or change its direction.

/// Returns true for a character that must not reach a terminal as it is.
pub fn is_control(c: char) -> bool {
    let steers = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || steers
}

/// Escapes all control characters of a text, line breaks too: `\n`, `\u{1b}`.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // These have short escapes, which are easier to read.
            '\n' | '\r' | '\t' => out.extend(c.escape_default()),
            c if is_control(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// Escapes all control characters of a text, but leaves its line breaks.
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape).collect::<Vec<_>>().join("\n")
}

/// Escapes the control characters in the strings of a JSON text. Its value stays the same.
///
/// In JSON, they can only stand in strings, apart from the white space between its parts, which stays.
pub fn escape_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // All of them are in the basic plane, so four digits hold each.
            c if is_control(c) && !c.is_ascii_whitespace() => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every control character, between two others.
    fn all() -> String {
        let cc = ('\0'..='\u{9f}').filter(|c| c.is_control());
        let bidi = "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        format!("é{}東", cc.chain(bidi.chars()).collect::<String>())
    }

    #[test]
    fn escaped_text_has_no_control_character() {
        assert_eq!(escape("a\u{1b}[31mb\nc"), "a\\u{1b}[31mb\\nc");
        assert_eq!(escape("\u{9b}31m\u{202e}x\u{7f}"), "\\u{9b}31m\\u{202e}x\\u{7f}");
        assert_eq!(escape("Zürich 東京 🦀"), "Zürich 東京 🦀");
        assert!(!escape(&all()).contains(is_control));
        assert_eq!(escape_lines("a\r\n\u{9b}b\n"), "a\\r\n\\u{9b}b\n");
    }

    #[test]
    fn escaped_json_has_the_same_value() {
        let value = serde_json::json!({"\u{9b}\u{202e}": [all()]});
        for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = escape_json(&json);
            assert!(!escaped.contains(|c| c != '\n' && is_control(c)), "{escaped:?}");
            assert!(escaped.contains("\\u009b") && escaped.contains('東'), "{escaped}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&escaped).unwrap(), value);
        }
    }
}
