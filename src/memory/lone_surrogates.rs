//! Halves of characters in JSON: `"\ud83d"` is what JavaScript leaves of an emoji that it cut in two.
//!
//! JSON allows such an escape, and no UTF-8 text can hold it. So it is taken as U+FFFD, the character for what cannot
//! be read, and whoever sent it is told.

/// Bytes of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// Replaces each escaped half of a character by `\ufffd`, in place, and returns their number. Everything else stays,
/// also what is not JSON.
pub(crate) fn replace_lone_surrogates(json: &mut [u8]) -> usize {
    let (mut at, mut replaced) = (0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        let half = json.get(at..).and_then(escaped);
        let next = json.get(at + ESCAPE..).and_then(escaped);
        at += match (half, next) {
            (Some(0xD800..0xDC00), Some(0xDC00..0xE000)) => 2 * ESCAPE,
            (Some(0xD800..0xE000), _) => {
                if let Some(digits) = json.get_mut(at + 2..at + ESCAPE) {
                    digits.copy_from_slice(b"fffd");
                }
                replaced += 1;
                ESCAPE
            }
            // An escaped backslash is no beginning of another escape.
            _ => 2,
        };
    }
    replaced
}

/// Reads the number of an escape such as `\ud83d` at the start of the bytes.
fn escaped(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..ESCAPE)?.strip_prefix(br"\u")?;
    // A sign would be taken for a digit.
    let digits = std::str::from_utf8(digits).ok().filter(|it| !it.starts_with('+'))?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(json: &str) -> (String, usize) {
        let mut bytes = json.as_bytes().to_vec();
        let count = replace_lone_surrogates(&mut bytes);
        (String::from_utf8(bytes).unwrap(), count)
    }

    #[test]
    fn halves_of_characters_become_the_replacement_character() {
        for (json, expected, count) in [
            (r#""half \ud83d""#, r#""half \ufffd""#, 1),
            (r#""\uDC00\udc00""#, r#""\ufffd\ufffd""#, 2),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#, 1),
            (r#""\ud83d\n""#, r#""\ufffd\n""#, 1),
            (r#"{"\ud83d":1}"#, r#"{"\ufffd":1}"#, 1),
            (r#""\ud83d\ude00 \u00e9 \ue000""#, r#""\ud83d\ude00 \u00e9 \ue000""#, 0),
            (r#""\\ud83d""#, r#""\\ud83d""#, 0),
            (r#""\\\ud83d""#, r#""\\\ufffd""#, 1),
            (r#""\u+83d \ud83"#, r#""\u+83d \ud83"#, 0),
            ("\\", "\\", 0),
        ] {
            assert_eq!(replaced(json), (expected.to_owned(), count), "{json}");
        }
    }
}
