//! Document keys: the names of documents, and their limits.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest key, in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 512;

/// The prefix of the keys of drawers.
pub const DRAWERS: &str = "drawer/";
/// The prefix of the keys of notes about places: which drawers were moved, and which wings and rooms were renamed. A
/// conflict in one of them has a rule, and is no client's to settle.
pub const PLACE_NOTES: &str = "moved/";

/// The prefix of the keys of records of calls that are made once.
pub const ONCE: &str = "once/";

/// The key of a document: 1 to 512 bytes of UTF-8 without control characters.
///
/// Keys sort by their bytes. They never become file names, so `/`, `..` and any script are fine. By
/// custom, `/` stands between a kind and a name, as in `notes/plan`.
///
/// ```
/// use crdt_palace::palace::Key;
/// assert_eq!(Key::new("notes/plan")?.as_str(), "notes/plan");
/// assert!(Key::new("").is_err() && Key::new("a\nb").is_err() && Key::new(&"k".repeat(513)).is_err());
/// # Ok::<(), crdt_palace::palace::KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// A text that cannot be a key.
///
/// ```
/// use crdt_palace::palace::{Key, KeyError};
///
/// assert_eq!(Key::new(""), Err(KeyError::Empty));
/// assert_eq!(Key::new("a\tb"), Err(KeyError::Control { character: '\t', at: 1 }));
/// ```
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The key has no character.
    #[error("a document key needs at least one character")]
    Empty,
    /// The key is longer than [`KEY_BYTES_MAX`].
    #[error("a document key has at most {KEY_BYTES_MAX} bytes; this one has {length}: {start}…")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// Its first characters.
        start: String,
    },
    /// The key holds a control character (line break, tab, NUL …).
    #[error("a document key has no control characters; this one has {character:?} at byte {at}")]
    Control {
        /// The character.
        character: char,
        /// The position of the character, in bytes.
        at: usize,
    },
}

impl Key {
    /// Checks `text` and keeps a copy of it.
    ///
    /// # Errors
    /// [`KeyError`] if it is empty, too long, or holds a control character.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > KEY_BYTES_MAX {
            let start = text.chars().take(24).collect();
            return Err(KeyError::TooLong { length: text.len(), start });
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, character)) => Err(KeyError::Control { character, at }),
            None => Ok(Key(text.into())),
        }
    }

    /// Returns the field of this document whose text is prose, of which two writers can change a sentence each; `None` if
    /// it has none. Every process must give the same answer, so it depends on the key alone.
    pub(crate) fn prose_field(&self) -> Option<&'static str> {
        self.0.starts_with(DRAWERS).then_some("content")
    }

    /// Returns the key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl serde::Serialize for Key {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}
