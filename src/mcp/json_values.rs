//! Counts the values of a JSON text before it is parsed: they take more memory than its bytes.

/// Counts the values of a JSON text, or somewhat more.
pub(super) fn values_in(text: &[u8]) -> usize {
    let (mut values, mut rest) = (1, text);
    while let Some(at) =
        rest.iter().position(|byte| matches!(byte, b',' | b':' | b'[' | b'{' | b'"'))
    {
        let is_string = rest.get(at) == Some(&b'"');
        rest = rest.get(at + 1..).unwrap_or_default();
        match is_string {
            true => rest = behind_string(rest),
            false => values += 1,
        }
    }
    values
}

/// Returns what follows a string of which this is the inside.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        for (text, values) in [
            ("0", 1),
            (r#"{"a":1}"#, 3),
            (r#"["a,b","c\\",{"d\"[,":[]}]"#, 7),
            (r#""unfinished,,,"#, 1),
            (r#""unfinished\"#, 1),
        ] {
            assert_eq!(values_in(text.as_bytes()), values, "{text}");
        }
    }
}
