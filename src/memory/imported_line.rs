//! Lines of JSON that are imported: what is taken for parts that cannot be read, and what is wrong with the rest, in words.

use super::lone_surrogates::replace_lone_surrogates;

/// The mark that some editors put before the first line.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Most characters of a line that is no JSON that are shown.
const START_CHARS: usize = 40;

/// Removes the byte order mark of a line, replaces each half of a character by U+FFFD, and returns the number of those.
/// A blank line is empty afterwards.
pub(super) fn mend(line: &mut Vec<u8>) -> usize {
    if line.starts_with(BYTE_ORDER_MARK) {
        line.drain(..BYTE_ORDER_MARK.len());
    }
    if line.trim_ascii().is_empty() {
        line.clear();
    }
    replace_lone_surrogates(line)
}

/// Returns why a line cannot be read. The parser counts lines too, and always says 1.
pub(super) fn in_words(line: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // This is JSON, but no program can hold it.
    if (error.is_syntax() || error.is_eof()) && text != "number out of range" {
        let start: String =
            String::from_utf8_lossy(line).trim().chars().take(START_CHARS).collect();
        return format!("{start:?} is no JSON");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_blanks_and_halves_of_characters_are_mended() {
        for (line, expected, halves) in [
            ("\u{feff}{\"a\":1}\n", "{\"a\":1}\n", 0),
            ("\u{feff} \r\n", "", 0),
            ("\n", "", 0),
            (r#"{"a":"\ud83d"}"#, r#"{"a":"\ufffd"}"#, 1),
            ("{\"a\":\"\u{feff}\"}", "{\"a\":\"\u{feff}\"}", 0),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            assert_eq!(mend(&mut bytes), halves, "{line}");
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }

    #[test]
    fn reasons_name_no_line_of_the_parser() {
        let why = |line: &str| {
            let error = serde_json::from_str::<std::collections::BTreeMap<String, f64>>(line);
            in_words(line.as_bytes(), &error.unwrap_err())
        };
        assert_eq!(why("not a graph"), r#""not a graph" is no JSON"#);
        assert_eq!(why(r#"{"a": "#), r#""{\"a\":" is no JSON"#);
        assert_eq!(why(r#"{"a":1e400}"#), "number out of range");
        assert_eq!(why("[1]"), "invalid type: sequence, expected a map");
    }
}
