//! What the tools for facts give, in MemPalace's words.

use crate::memory::facts::Fact;
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FactShown {
    pub triple_id: String,
    /// outgoing if the entity is the subject, incoming if it is the object; null if none was asked for
    pub direction: Option<String>,
    pub subject: String,
    pub predicate: String,
    pub object: String,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    /// Whether it has not ended
    pub current: bool,
    pub source_closet: Option<String>,
    pub source_file: Option<String>,
    pub source_drawer_id: Option<String>,
}

impl FactShown {
    pub fn new(fact: Fact, entity: Option<&str>, now: &str) -> Self {
        let subject = entity.map(|entity| fact.ends_with(entity).0);
        let current = !fact.is_over(now);
        let source = fact.sources.into_iter().next().unwrap_or_default();
        FactShown {
            triple_id: fact.id,
            direction: subject.map(|is| if is { "outgoing" } else { "incoming" }.to_owned()),
            subject: fact.triple.subject,
            predicate: fact.triple.predicate,
            object: fact.triple.object,
            valid_from: fact.valid_from,
            valid_to: fact.valid_to,
            current,
            source_closet: source.closet,
            source_file: source.file,
            source_drawer_id: source.drawer,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Known {
    pub entity: String,
    pub as_of: Option<String>,
    pub facts: Vec<FactShown>,
    /// How many there are in all
    pub count: i64,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Timeline {
    /// The entity, or "all"
    pub entity: String,
    pub timeline: Vec<FactShown>,
    /// How many there are in all
    pub count: i64,
    pub next_cursor: Option<String>,
}
