//! Identifiers: 128 random bits, written as 32 lower-case hex digits.
//!
//! Owns the types. The caller gets the random bits from `fs`.

use std::fmt;

/// A text that is not an identifier.
///
/// ```
/// use crdt_palace::palace::SnapshotId;
///
/// let error = "one".parse::<SnapshotId>().unwrap_err();
/// assert_eq!(error.to_string(), "\"one\" is not 32 lower-case hex digits");
/// ```
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[error("{text:?} is not 32 lower-case hex digits")]
#[non_exhaustive]
pub struct IdError {
    /// The rejected text.
    pub text: String,
}

/// The value of each byte as a lower-case hex digit, or [`NO_DIGIT`].
const DIGIT_VALUES: [u8; 256] = {
    let (mut values, mut value) = ([NO_DIGIT; 256], 0);
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A value that is no digit's: it has bits that no digit's value has.
const NO_DIGIT: u8 = 0xf0;

pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    let value = DIGIT_VALUES[usize::from(byte)];
    (value != NO_DIGIT).then_some(value)
}

/// Decodes lower-case hex of `N` bytes. There is no branch for each digit, because every rescan parses
/// the names of all files.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return None;
    }
    let (mut bytes, mut seen) = ([0; N], 0);
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = [pair[0], pair[1]].map(|digit| DIGIT_VALUES[usize::from(digit)]);
        // A wrong digit leaves a bit, which is checked once at the end.
        seen |= high | low;
        *byte = high << 4 | low & 15;
    }
    (seen & NO_DIGIT == 0).then_some(bytes)
}

/// Writes bytes as hex, two digits at a time, because every rescan builds names of files.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    f.write_str(&text)
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                from_hex(text).map($name).ok_or_else(|| IdError { text: text.to_owned() })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// Names a palace. Every segment and snapshot carries it; a file of another palace is read and
    /// reported, never retired.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// assert_eq!(palace.status()?.palace, None); // nothing was written yet
    /// palace.put("a", &json!({"n": 1}))?;
    /// let id = palace.status()?.palace.ok_or("it was written")?;
    /// assert_eq!(id.to_string().parse(), Ok(id));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    PalaceId
);
id!(
    /// Names one segment file. A name is never used again.
    ///
    /// ```
    /// use crdt_palace::palace::SegmentId;
    ///
    /// let id = SegmentId([0x0f; 16]);
    /// assert_eq!(id.to_string(), "0f".repeat(16));
    /// ```
    SegmentId
);
id!(
    /// Names one snapshot file. A name is never used again.
    ///
    /// ```
    /// use crdt_palace::palace::SnapshotId;
    ///
    /// let id: SnapshotId = "0f".repeat(16).parse()?;
    /// assert_eq!(id, SnapshotId([0x0f; 16]));
    /// # Ok::<(), crdt_palace::palace::IdError>(())
    /// ```
    SnapshotId
);
id!(
    /// The writing identity of one process. The same 16 bytes are its Automerge actor id.
    ///
    /// ```
    /// # use crdt_palace::palace::Palace;
    /// # use serde_json::json;
    /// # let dir = tempfile::tempdir()?;
    /// # let palace = Palace::open(dir.path().join("palace"))?;
    /// assert_eq!(palace.status()?.this_instance, None); // it has not written
    /// palace.put("a", &json!({"n": 1}))?;
    /// let instance = palace.status()?.this_instance.ok_or("it has written")?;
    /// assert_eq!(palace.history("a")?[0].actor, instance.to_string());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    InstanceId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_rejects_everything_else() {
        let id = SegmentId([0x0f; 16]);
        assert_eq!(id.to_string(), "0f".repeat(16));
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "0f", &"0F".repeat(16), &"0g".repeat(16), &"é".repeat(16)] {
            assert!(bad.parse::<SegmentId>().is_err(), "{bad:?}");
        }
    }
}
