//! Wings, rooms, and the ids and keys of drawers.
//!
//! Invariant: an id and a key name the place where a drawer was filed first. They stay the same when it is moved.

pub(super) use crate::format::key::DRAWERS;
use crate::format::key::{Key, PLACE_NOTES};
use crate::memory::error::{MemoryError, Result};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The longest name of a wing or room, in characters.
pub const NAME_CHARS_MAX: usize = 128;
/// The longest names of wing and room together, in bytes of UTF-8: they are part of a document's key.
pub const PLACE_BYTES_MAX: usize = 440;
/// The prefix of the keys that note which drawers were moved.
pub(super) const MOVED: &str = PLACE_NOTES;
/// The prefix of the keys that note which places were renamed. No wing begins with `=`.
pub(super) const RENAMED: &str = "moved/=";
/// The room of the diaries.
pub(in crate::memory) const DIARY: &str = "diary";

/// A room of a wing.
///
/// ```
/// use crdt_palace::memory::drawers::Place;
///
/// let place = Place::new(" atlas ", "token signing")?;
/// assert_eq!((place.wing.as_str(), place.room.as_str()), ("atlas", "token signing"));
/// assert!(Place::new("atlas", "../secrets").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The person or project.
    pub wing: String,
    /// The topic.
    pub room: String,
}

impl Place {
    /// Checks both names.
    ///
    /// # Errors
    /// [`MemoryError::Argument`] if a name is not valid, or both together are too long.
    pub fn new(wing: &str, room: &str) -> Result<Self> {
        let (wing, room) = (name("wing", wing)?, name("room", room)?);
        if wing.len() + room.len() > PLACE_BYTES_MAX {
            let why =
                format!("wing and room have over {PLACE_BYTES_MAX} bytes together: shorten one");
            return Err(MemoryError::argument("wing", why));
        }
        Ok(Place { wing, room })
    }
}

/// Checks a name, and returns it trimmed.
///
/// A valid name has 1 to 128 characters: letters and digits of any script with their marks, and between them `_ . ' -` or spaces.
pub(in crate::memory) fn name(field: &'static str, text: &str) -> Result<String> {
    let text = text.trim();
    let refused = |why: String| Err(MemoryError::argument(field, why));
    if text.is_empty() {
        return refused("it is empty: pass a name, such as \"notes\"".to_owned());
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return refused(format!("it is longer than {NAME_CHARS_MAX} characters: shorten it"));
    }
    // Many scripts write a vowel, a tone or an accent as a mark behind its letter.
    let letter = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let inside = |c: char| letter(c) || matches!(c, '_' | '.' | '\'' | '-' | ' ');
    let ends = text.starts_with(char::is_alphanumeric) && text.ends_with(letter);
    if !ends || !text.chars().all(inside) || text.contains("..") {
        let why =
            "use only letters, digits, spaces and _ . ' -, with a letter or digit at both ends";
        return refused(format!("{text:?} cannot be a name: {why}"));
    }
    Ok(text.to_owned())
}

/// Folds the name of a wing or room: two names with the same fold are one place. Upper and lower case are alike, and so
/// are `-`, `_` and a space, and the ways in which Unicode writes one character.
pub(crate) fn folded(name: &str) -> String {
    let alike = |c: char| if matches!(c, '-' | '_') { ' ' } else { c };
    if name.is_ascii() {
        return name.chars().map(|c| alike(c.to_ascii_lowercase())).collect();
    }
    let lower = name.nfc().collect::<String>().to_lowercase();
    lower.nfc().map(alike).collect()
}

/// Checks a name of a filter like [`name`], also one that Unicode writes with combining characters.
pub(super) fn filter_name(field: &'static str, text: &str) -> Result<String> {
    name(field, &text.nfc().collect::<String>())
}

/// Returns the key of the `n`th drawer that was filed with this content at this place. There is more than one only if
/// the earlier ones were changed or moved.
pub(super) fn drawer_key(place: &Place, content: &str, n: usize) -> Result<Key> {
    let mut hash = Sha256::new();
    for part in [&place.wing, &place.room, content] {
        hash.update(part);
    }
    // The first key has no number, so that it is the one that MemPalace would give.
    if n > 0 {
        hash.update(format!("\0{n}"));
    }
    let digits: String =
        hash.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    key_at(place, &digits)
}

/// Returns the key of the drawer at this place whose id ends with `end`.
pub(in crate::memory) fn key_at(place: &Place, end: &str) -> Result<Key> {
    Ok(Key::new(&format!("{DRAWERS}{}/{}/{end}", place.wing, place.room))?)
}

/// Splits the key of a drawer into wing, room and end.
pub(super) fn parts(key: &Key) -> Option<(&str, &str, &str)> {
    let (wing, rest) = key.as_str().strip_prefix(DRAWERS)?.split_once('/')?;
    let (room, end) = rest.split_once('/')?;
    Some((wing, room, end))
}

/// Returns the id of the drawer with this key; `None` for another key.
pub(crate) fn drawer_id(key: &Key) -> Option<String> {
    let (wing, room, end) = parts(key)?;
    // Only the end of a diary key has underscores: date, time and random part.
    Some(match end.contains('_') {
        true => format!("diary_{wing}_{end}"),
        false => format!("drawer_{wing}_{room}_{end}"),
    })
}

/// Returns the wing that the drawer with this key was filed in; `None` for another key.
#[cfg(feature = "mcp")]
pub(crate) fn wing_of(key: &Key) -> Option<&str> {
    parts(key).map(|(wing, _, _)| wing)
}

/// Tells whether the document with this key notes that a drawer was moved, or a place renamed.
#[cfg(feature = "mcp")]
pub(crate) fn is_move(key: &Key) -> bool {
    key.as_str().starts_with(MOVED)
}

/// Returns the keys that an id may stand for. There may be several, because names have underscores too.
pub(in crate::memory) fn keys_of(id: &str) -> Vec<Key> {
    if let Some(rest) = id.strip_prefix("diary_") {
        return diary_key(rest).into_iter().collect();
    }
    let Some((place, end)) = id.strip_prefix("drawer_").and_then(|rest| rest.rsplit_once('_'))
    else {
        return Vec::new();
    };
    // Every underscore may be the one between wing and room. Places that are not valid names drop out.
    let split = |(at, mark): (usize, &str)| {
        let (wing, room) = (place.get(..at)?, place.get(at + mark.len()..)?);
        key_at(&Place::new(wing, room).ok()?, end).ok()
    };
    place.match_indices('_').filter_map(split).collect()
}

fn diary_key(rest: &str) -> Option<Key> {
    let (marks, wing) = (rest.rmatch_indices('_').nth(2)?.0, rest);
    let place = Place::new(wing.get(..marks)?, DIARY).ok()?;
    key_at(&place, wing.get(marks + 1..)?).ok()
}

/// Returns the key of the note that a drawer was moved.
pub(super) fn moved_key(drawer: &Key) -> Result<Key> {
    let rest = drawer.as_str().strip_prefix(DRAWERS).unwrap_or(drawer.as_str());
    Ok(Key::new(&format!("{MOVED}{rest}"))?)
}

/// Returns the key of the drawer that such a note is about.
pub(super) fn moved_drawer(moved: &Key) -> Option<Key> {
    Key::new(&format!("{DRAWERS}{}", moved.as_str().strip_prefix(MOVED)?)).ok()
}
