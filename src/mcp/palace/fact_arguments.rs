//! Arguments of the tools of the knowledge graph.
//!
//! The layer in front of the tools has taken them as models send them: `sent_arguments`.

use crate::memory::facts::Direction;
use rmcp::schemars::{self, JsonSchema};
use serde::{Deserialize, Serialize};

/// Which facts of the entity
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum FactDirection {
    Outgoing,
    Incoming,
    #[default]
    Both,
}

impl From<FactDirection> for Direction {
    fn from(given: FactDirection) -> Self {
        match given {
            FactDirection::Outgoing => Direction::Outgoing,
            FactDirection::Incoming => Direction::Incoming,
            FactDirection::Both => Direction::Both,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KgQuery {
    /// The entity; upper and lower case are the same
    pub entity: String,
    /// Only what held then: 2026-03-01 for any moment of that day, or 2026-03-01T10:00:00+09:00
    pub as_of: Option<String>,
    /// outgoing: it is the subject; incoming: the object; both if not given
    pub direction: Option<FactDirection>,
    /// Show all of the path of a source, not only its name
    pub full_source: Option<bool>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KgAdd {
    /// The subject: a person or thing
    pub subject: String,
    /// The relation, such as works_at
    pub predicate: String,
    /// The object: a person or thing
    pub object: String,
    /// Since when: 2026-03-01, or 2026-03-01T10:00:00+09:00
    pub valid_from: Option<String>,
    /// Until when; the same date as valid_from for that whole day
    pub valid_to: Option<String>,
    /// Where it comes from: a closet
    pub source_closet: Option<String>,
    /// Where it comes from: a file
    pub source_file: Option<String>,
    /// Where it comes from: a drawer's id
    pub source_drawer_id: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KgInvalidate {
    /// The subject: a person or thing
    pub subject: String,
    /// The relation
    pub predicate: String,
    /// The object: a person or thing
    pub object: String,
    /// When it ended: 2026-03-01, or 2026-03-01T10:00:00+09:00; if not given today, or now if it began at a time of
    /// today
    pub ended: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KgSupersede {
    /// The subject: a person or thing
    pub subject: String,
    /// The relation
    pub predicate: String,
    /// The object until then
    pub old_object: String,
    /// The object from then on
    pub new_object: String,
    /// From when on: 2026-03-01, or 2026-03-01T10:00:00+09:00; if not given today, or now if the old one began at a
    /// time of today
    pub at: Option<String>,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KgDelete {
    /// The fact's id, as kg_query and kg_timeline show it
    pub triple_id: String,
    /// 1 to 200 characters, new for each call that is to take effect, such as a UUID. The same call with the same key
    /// again does nothing, and has the first answer
    pub idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KgTimeline {
    /// The entity; the facts of all entities if not given
    pub entity: Option<String>,
    /// Show all of the path of a source, not only its name
    pub full_source: Option<bool>,
    /// The next_cursor of the call before, if it had one
    pub cursor: Option<String>,
}
