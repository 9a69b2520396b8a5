//! Takes a JSON text apart without parsing it: the parts stay as they were sent.
//!
//! Parts of a text that is not JSON mean nothing.

/// Returns the items of a list, or the fields of an object with their names.
pub(super) fn parts(text: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = text.get(at) {
        match (in_string, byte) {
            (true, b'\\') => at += 1,
            (_, b'"') => in_string = !in_string,
            (false, b'[' | b'{') => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            (false, b',') if depth == 1 => {
                parts.push(trimmed(text, start, at));
                start = at + 1;
            }
            (false, b']' | b'}') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    parts.push(trimmed(text, start, at));
                }
            }
            _ => {}
        }
        at += 1;
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn trimmed(text: &[u8], start: usize, end: usize) -> &[u8] {
    text.get(start..end).unwrap_or_default().trim_ascii()
}

/// Returns the value of a field of an object: the last one, if there are several.
pub(super) fn field<'t>(object: &'t [u8], name: &str) -> Option<&'t [u8]> {
    parts(object).into_iter().rev().find_map(|part| {
        let mut read = serde_json::Deserializer::from_slice(part).into_iter::<String>();
        let found = read.next()?.ok()?;
        let value = part.get(read.byte_offset()..)?.trim_ascii_start().strip_prefix(b":")?;
        (found == name).then(|| value.trim_ascii_start())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_stands_between_commas() {
        let texts = |text: &'static str| -> Vec<&str> {
            parts(text.as_bytes()).iter().map(|part| std::str::from_utf8(part).unwrap()).collect()
        };
        assert_eq!(
            texts(r#" [1, {"a":[2,3]} ,"[,\"]", []]"#),
            ["1", r#"{"a":[2,3]}"#, r#""[,\"]""#, "[]"]
        );
        assert_eq!(texts(r#"{"a" : 1,"b":{}}"#), [r#""a" : 1"#, r#""b":{}"#]);
        for none in ["[]", "{ }", "5", "\"[1]\"", "]", "", "[\"\\"] {
            assert_eq!(texts(none), Vec::<&str>::new(), "{none}");
        }
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let object = br#"{"a":1,"b" : {"a": 2},"\u0061":[3],"c":"a"}"#;
        assert_eq!(field(object, "a"), Some(&b"[3]"[..]));
        assert_eq!(field(object, "b"), Some(&br#"{"a": 2}"#[..]));
        assert_eq!(field(object, "d"), None);
        for none in ["[1]", "5", "", "{\"a\"}"] {
            assert_eq!(field(none.as_bytes(), "a"), None, "{none}");
        }
    }
}
