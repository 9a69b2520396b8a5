//! Finds what a JSON text says and its values do not keep: numbers that a double rounds, and fields that an object has
//! twice, of which the last one would stand.
//!
//! One pass without recursion. Invariant: whatever the text, a finding takes little memory, and few are kept. Findings
//! in a text that is not JSON mean nothing.

use std::borrow::Cow;
use std::collections::HashSet;

/// Most findings of each kind that are kept.
pub(crate) const FINDINGS_MAX: usize = 8;
/// Most characters of a name in a path, and of a number, that are kept.
const SHOWN_CHARS: usize = 40;
/// A double keeps each decimal number of so many digits.
const SHORT: usize = 15;
/// Most digits of a double that is written out.
const DIGITS_MAX: usize = 767;

/// Values of a JSON text that differ from what it says, at most [`FINDINGS_MAX`] of each kind: fields, whole numbers and
/// fractions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unkept {
    pub repeated: Vec<Repeated>,
    pub rounded: Vec<Rounded>,
}

/// A field that its object has twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repeated {
    /// Such as `value.a[0].b`, from the value of the text on.
    pub path: String,
    pub name: String,
}

/// A number that is kept as another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rounded {
    pub path: String,
    pub sent: String,
    pub kept: String,
    /// True if it is a whole number, written without an exponent, as ids and amounts are.
    pub is_whole: bool,
}

/// Finds what the values of a JSON text do not keep.
pub(crate) fn unkept(json: &[u8]) -> Unkept {
    scanned(json, true)
}

/// Finds the fields that an object of a JSON text has twice.
pub(crate) fn repeated(json: &[u8]) -> Vec<Repeated> {
    scanned(json, false).repeated
}

fn scanned(json: &[u8], numbers: bool) -> Unkept {
    let mut scan = Scan { levels: Vec::new(), is_name: false, found: Unkept::default() };
    let mut rest = json;
    while let [first, behind @ ..] = rest {
        rest = match first {
            b'"' => {
                let (text, behind) = split_string(behind);
                scan.text(text);
                behind
            }
            b'-' | b'0'..=b'9' => {
                let is_end =
                    |byte: &u8| !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = rest.iter().position(is_end).unwrap_or(rest.len());
                let (number, behind) = rest.split_at(end);
                if numbers {
                    scan.number(number);
                }
                behind
            }
            mark => {
                scan.mark(*mark);
                behind
            }
        };
    }
    scan.found
}

/// Splits what follows a quotation mark into the string and what is behind it.
fn split_string(text: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return (text.get(..at).unwrap_or_default(), text.get(at + 1..).unwrap_or_default());
        }
        at += 2;
    }
    (text, &[])
}

/// An object or a list that is not at its end.
enum Level<'t> {
    Object { seen: HashSet<Cow<'t, str>>, name: Cow<'t, str> },
    List { at: usize },
}

struct Scan<'t> {
    levels: Vec<Level<'t>>,
    /// True where an object has the name of a field.
    is_name: bool,
    found: Unkept,
}

impl<'t> Scan<'t> {
    fn mark(&mut self, mark: u8) {
        match mark {
            b'{' => {
                self.levels.push(Level::Object { seen: HashSet::new(), name: Cow::default() });
                self.is_name = true;
            }
            b'[' => {
                self.levels.push(Level::List { at: 0 });
                self.is_name = false;
            }
            b'}' | b']' => {
                self.levels.pop();
                self.is_name = false;
            }
            b',' => match self.levels.last_mut() {
                Some(Level::List { at }) => *at += 1,
                Some(Level::Object { .. }) => self.is_name = true,
                None => {}
            },
            b':' => self.is_name = false,
            _ => {}
        }
    }

    fn text(&mut self, text: &'t [u8]) {
        if !std::mem::take(&mut self.is_name) {
            return;
        }
        let Some(Level::Object { seen, name }) = self.levels.last_mut() else { return };
        *name = unescaped(text);
        if !seen.insert(name.clone()) && self.found.repeated.len() < FINDINGS_MAX {
            let name = shown(name).into_owned();
            self.found.repeated.push(Repeated { path: self.path(), name });
        }
    }

    fn number(&mut self, number: &[u8]) {
        let Ok(sent) = std::str::from_utf8(number) else { return };
        let Some(kept) = rounded(sent) else { return };
        let is_whole = !sent.contains(['e', 'E']) && Decimal::of(sent).is_whole();
        // Many fractions do not hide a whole number behind them.
        let of_its_kind = self.found.rounded.iter().filter(|it| it.is_whole == is_whole);
        if of_its_kind.count() < FINDINGS_MAX {
            let (path, sent) = (self.path(), shown(sent).into_owned());
            self.found.rounded.push(Rounded { path, sent, kept, is_whole });
        }
    }

    /// The path of the value at which the scan is.
    fn path(&self) -> String {
        let mut path = String::new();
        for level in &self.levels {
            match level {
                Level::Object { name, .. } if path.is_empty() => path += &shown(name),
                Level::Object { name, .. } => path += &format!(".{}", shown(name)),
                Level::List { at } => path += &format!("[{at}]"),
            }
        }
        path
    }
}

/// Reads the name that stands between quotation marks.
fn unescaped(text: &[u8]) -> Cow<'_, str> {
    if !text.contains(&b'\\') {
        return String::from_utf8_lossy(text);
    }
    let quoted = [b"\"", text, b"\""].concat();
    // Only in a text that is not JSON.
    let as_it_stands = |_| String::from_utf8_lossy(text).into_owned();
    Cow::Owned(serde_json::from_slice(&quoted).unwrap_or_else(as_it_stands))
}

/// The beginning of a text.
fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// Returns the number that is kept in the place of one; `None` if it is the same.
///
/// A double stands for all decimals that are written as it with as many digits. So nothing is lost of one that another
/// program has written out with 17 digits, or with all it has.
pub(crate) fn rounded(sent: &str) -> Option<String> {
    // Fifteen digits are kept always. This is what most fractions are, and many may come at once.
    let is_short = sent.len() <= SHORT && !sent.contains(['e', 'E']);
    if is_short || sent.parse::<i64>().is_ok() || sent.parse::<u64>().is_ok() {
        return None;
    }
    // Infinite beyond a double: such a message is refused.
    let kept: f64 = sent.parse().ok().filter(|kept: &f64| kept.is_finite())?;
    let number = Decimal::of(sent);
    let with_as_many_digits = || {
        let digits = number.digits.len().checked_sub(1).filter(|digits| *digits < DIGITS_MAX)?;
        Some(Decimal::of(&format!("{kept:.digits$e}")))
    };
    let is_kept = Decimal::of(&format!("{kept:e}")) == number
        || with_as_many_digits().is_some_and(|kept| kept == number);
    (!is_kept)
        .then(|| serde_json::Number::from_f64(kept).map_or_else(String::new, |it| it.to_string()))
}

/// The amount of a decimal number: 0.DIGITS times ten to the power of `exponent`.
#[derive(PartialEq, Eq)]
struct Decimal {
    /// Without zeros at either end; empty for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    fn is_whole(&self) -> bool {
        self.exponent >= count(self.digits.len())
    }

    fn of(number: &str) -> Self {
        let number = number.trim_start_matches('-');
        let (mantissa, power) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_start_matches('0');
        let leading = count(all.len() - digits.len());
        let digits = digits.trim_end_matches('0').to_owned();
        // A power of more than 64 bits is that of zero, or of a number that rounds to zero.
        let power = power.parse().unwrap_or(i64::MIN);
        let exponent = match digits.is_empty() {
            true => 0,
            false => count(whole.len()).saturating_sub(leading).saturating_add(power),
        };
        Decimal { digits, exponent }
    }
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_a_double_rounds_are_found() {
        for (sent, kept) in [
            ("12345678901234567890123", "1.2345678901234568e+22"),
            ("-9223372036854775809", "-9.223372036854776e+18"),
            ("18446744073709551617", "1.8446744073709552e+19"),
            ("9007199254740993.0", "9007199254740992.0"),
            ("0.30000000000000001", "0.3"),
            ("3.14159265358979323846", "3.141592653589793"),
            ("1e-400", "0.0"),
            ("1e-99999999999999999999", "0.0"),
            ("1.00000000000000000001", "1.0"),
        ] {
            assert_eq!(rounded(sent).as_deref(), Some(kept), "{sent}");
        }
    }

    #[test]
    fn numbers_that_are_kept_are_not_found() {
        let all_digits = format!("{:.60}", 0.1);
        for sent in [
            "0",
            "-0",
            "-0.0",
            "0e99999999999999999999",
            "0.000",
            "1.50",
            "100e-2",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1000000000000000000000",
            "99999999999999991611392",
            "0.1",
            "0.10000000000000001",
            "0.1000000000000000055511151231257827",
            &all_digits,
            "5.684341886080802e-14",
            "5e-324",
            "4.9406564584124654e-324",
            "1.7976931348623157E+308",
            "1e400",
        ] {
            assert_eq!(rounded(sent), None, "{sent}");
        }
    }

    #[test]
    fn every_double_is_kept_however_it_is_written() {
        let mut bits = 1_u64;
        for _ in 0..5_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let double = f64::from_bits(bits);
            if double.is_finite() {
                for sent in [serde_json::json!(double).to_string(), format!("{double:.16e}")] {
                    assert_eq!(rounded(&sent), None, "{sent}");
                    assert_eq!(serde_json::from_str::<f64>(&sent).unwrap(), double, "{sent}");
                }
            }
        }
    }

    #[test]
    fn findings_have_their_paths() {
        let found = unkept(
            br#"{"a":{"b":[1,{"c":0.1},{"c":1e-400}]},"\u0061":true,"x":"{\"x\":1,\"x\":1e-400}","y":{"x":{}},"x":[]}"#,
        );
        let paths: Vec<_> = found.repeated.iter().map(|it| (&*it.path, &*it.name)).collect();
        assert_eq!(paths, [("a", "a"), ("x", "x")]);
        let [rounded] = &found.rounded[..] else { panic!("{found:?}") };
        assert_eq!(
            (&*rounded.path, &*rounded.sent, rounded.is_whole),
            ("a.b[2].c", "1e-400", false)
        );
        for none in
            ["{}", "[]", "5", r#"[{"a":1},{"a":1}]"#, r#"{"a":{"a":{"a":1}},"A":2}"#, "\"", "}{,:"]
        {
            assert_eq!(unkept(none.as_bytes()), Unkept::default(), "{none}");
        }
    }

    #[test]
    fn few_and_short_findings_are_kept() {
        let name = "n".repeat(10_000);
        let fields = format!(r#""{name}":1{},"#, "0".repeat(10_000) + "1").repeat(100);
        let found = unkept(format!("{{{fields}\"a\":1}}").as_bytes());
        assert_eq!(
            (found.repeated.len(), found.rounded.len()),
            (FINDINGS_MAX, 0),
            "1e10001 is refused"
        );
        let many = "1e-400,".repeat(100) + &"123456789012345678901234567,".repeat(100);
        let found = unkept(format!("[{many}0]").as_bytes());
        let (whole, fractions): (Vec<_>, Vec<_>) = found.rounded.iter().partition(|it| it.is_whole);
        assert_eq!((whole.len(), fractions.len()), (FINDINGS_MAX, FINDINGS_MAX));
        assert!(format!("{found:?}").len() < 10_000);
    }
}
