//! The kinds of documents, as people know them.

use crate::format::key::{Key, ONCE, PLACE_NOTES};
use crate::memory::drawers::drawer_id;
use crate::memory::facts::fact_id;

/// A kind of document. Its key tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Drawer,
    Diary,
    Fact,
    Entity,
    Relation,
    /// A wing or room that was renamed.
    Place,
    /// A note that goes with the change of another document: that a drawer was moved, or how a call was answered.
    Note,
    /// A shared JSON document.
    Document,
}

impl Kind {
    /// Returns the kind of the document with this key.
    pub fn of(key: &Key) -> Self {
        let text = key.as_str();
        match drawer_id(key) {
            Some(id) if id.starts_with("diary_") => Kind::Diary,
            Some(_) => Kind::Drawer,
            None if fact_id(key).is_some() => Kind::Fact,
            None if text.starts_with("entity/") => Kind::Entity,
            None if text.starts_with("relation/") => Kind::Relation,
            // No wing begins with this sign, so it is no note of a drawer.
            None if text.starts_with("moved/=") => Kind::Place,
            None if [PLACE_NOTES, ONCE].iter().any(|prefix| text.starts_with(prefix)) => Kind::Note,
            None => Kind::Document,
        }
    }

    /// Returns its name, as filters and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Diary => "diary",
            other => other.noun(),
        }
    }

    /// Returns the word for one of it.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Drawer => "drawer",
            Kind::Diary => "diary entry",
            Kind::Fact => "fact",
            Kind::Entity => "entity",
            Kind::Relation => "relation",
            Kind::Place => "place",
            Kind::Note => "note",
            Kind::Document => "document",
        }
    }

    /// Returns the word for several of it.
    pub fn plural(self) -> &'static str {
        match self {
            Kind::Drawer => "drawers",
            Kind::Diary => "diary entries",
            Kind::Fact => "facts",
            Kind::Entity => "entities",
            Kind::Relation => "relations",
            Kind::Place => "places",
            Kind::Note => "notes",
            Kind::Document => "documents",
        }
    }
}

/// Returns the name by which the tools know a document: the id of a drawer, diary entry or fact, and the key of another.
pub(crate) fn id_of(key: &Key) -> String {
    drawer_id(key).or_else(|| fact_id(key)).unwrap_or_else(|| key.as_str().to_owned())
}
