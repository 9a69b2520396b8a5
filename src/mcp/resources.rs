//! What can be read and subscribed to by URI: the knowledge graph, wings, documents, the palace's status.
//!
//! Invariant: a resource is there for every client of a server or for none, as its tool sets are. A [`Subject`] is a
//! resource that is offered, whether or not there is anything behind it yet: a document may be subscribed to before
//! it is written.

use super::ToolSet;
use super::memory::indented;
use super::sets::Tools;
use crate::format::key::Key;
use crate::memory::drawers::{Drawers, is_of_wing};
use crate::memory::{Memory, is_of_graph};
use crate::palace::{Error, Palace, chain};
use rmcp::model::ResourceTemplate;
use std::collections::BTreeSet;

const GRAPH: &str = "memory://knowledge-graph";
const STATUS: &str = "palace://status";
const DOCUMENT: &str = "palace://document/";
const WING: &str = "palace://wing/";
pub(super) const JSON: &str = "application/json";

/// The sets that come with the palace's status.
pub(super) const STATUS_SETS: &[ToolSet] = &[ToolSet::Palace, ToolSet::Documents];

/// A resource that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// All entities and relations.
    Graph,
    /// Who is here, and which files there are.
    Status,
    /// The rooms of a wing, and how many drawers each has.
    Wing(String),
    /// One document.
    Document(Key),
}

impl Subject {
    /// What a URI names; `None` if nothing that these tools offer.
    pub fn of(uri: &str, tools: &Tools) -> Option<Self> {
        let subject = match uri {
            GRAPH => Subject::Graph,
            STATUS => Subject::Status,
            uri => match uri.strip_prefix(WING) {
                Some(wing) => Subject::Wing(decoded(wing)?),
                None => Subject::Document(Key::new(&decoded(uri.strip_prefix(DOCUMENT)?)?).ok()?),
            },
        };
        let sets: &[ToolSet] = match subject {
            Subject::Graph => &[ToolSet::Memory],
            Subject::Status => STATUS_SETS,
            Subject::Wing(_) => &[ToolSet::Palace],
            Subject::Document(_) => &[ToolSet::Documents],
        };
        sets.iter().any(|set| tools.has(*set)).then_some(subject)
    }

    /// Its URI.
    pub fn uri(&self) -> String {
        match self {
            Subject::Graph => GRAPH.to_owned(),
            Subject::Status => STATUS.to_owned(),
            Subject::Wing(wing) => format!("{WING}{}", encoded(wing)),
            Subject::Document(key) => format!("{DOCUMENT}{}", encoded(key.as_str())),
        }
    }

    /// Whether a change of these documents may change it.
    pub fn is_touched_by(&self, keys: &BTreeSet<Key>) -> bool {
        match self {
            Subject::Graph => keys.iter().any(is_of_graph),
            Subject::Status => !keys.is_empty(),
            Subject::Wing(wing) => keys.iter().any(|key| is_of_wing(key, wing)),
            Subject::Document(key) => keys.contains(key),
        }
    }

    /// Whether its changes are worth telling of once a second at most.
    pub fn changes_all_the_time(&self) -> bool {
        *self == Subject::Status
    }

    /// Its content, as JSON text; `None` if there is nothing there.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub fn read(&self, palace: &Palace, by: Option<String>) -> Result<Option<String>, String> {
        let palace_says = |error: Error| chain(&error);
        match self {
            Subject::Graph => {
                let graph = Memory::new(palace.clone()).by(by).read_graph();
                graph.map_err(|error| chain(&error)).and_then(|graph| indented(&graph)).map(Some)
            }
            Subject::Status => {
                palace.status().map_err(palace_says).and_then(|s| indented(&s)).map(Some)
            }
            Subject::Wing(wing) => {
                let counts = Drawers::new(palace.clone()).counts(Some(wing));
                let rooms = counts.map_err(|error| chain(&error))?.remove(wing);
                let shown = |rooms| indented(&serde_json::json!({"wing": wing, "rooms": rooms}));
                rooms.map(shown).transpose()
            }
            Subject::Document(key) => match palace.get(key.as_str()).map_err(palace_says)? {
                Some(document) => indented(&document).map(Some),
                None => Ok(None),
            },
        }
    }
}

/// The URIs that hold for many resources.
pub(super) fn templates(tools: &Tools) -> Vec<ResourceTemplate> {
    let document = ResourceTemplate::new(format!("{DOCUMENT}{{key}}"), "document")
        .with_title("Document")
        .with_description("A document by its key, with its version and what is in conflict")
        .with_mime_type(JSON);
    let wing = ResourceTemplate::new(format!("{WING}{{wing}}"), "wing")
        .with_title("Wing")
        .with_description("The rooms of a wing, and how many drawers each has")
        .with_mime_type(JSON);
    let all = [(ToolSet::Palace, wing), (ToolSet::Documents, document)];
    all.into_iter().filter(|(set, _)| tools.has(*set)).map(|(_, template)| template).collect()
}

/// Percent-encoded, as `{key}` of a URI template is.
fn encoded(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `None` if an escape is cut short or the bytes are not text. What need not be escaped may be.
fn decoded(text: &str) -> Option<String> {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |digit: u8| char::from(digit).to_digit(16);
                out.push(u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?);
                after
            }
            (b'%', _) => return None,
            (byte, after) => {
                out.push(*byte);
                after
            }
        };
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::Offer;

    #[test]
    fn a_key_survives_its_uri() {
        let tools = Tools::new(&Offer { sets: vec![ToolSet::Documents], ..Offer::default() });
        for key in ["notes/plan", "a b%2F?#", "東京/..", "%"] {
            let key = Key::new(key).unwrap();
            let uri = Subject::Document(key.clone()).uri();
            assert!(
                uri.is_ascii() && !uri[DOCUMENT.len()..].contains(['/', ' ', '?', '#']),
                "{uri}"
            );
            assert_eq!(Subject::of(&uri, &tools), Some(Subject::Document(key)));
        }
        let plain = Subject::of("palace://document/notes/plan", &tools);
        assert_eq!(plain, Some(Subject::Document(Key::new("notes/plan").unwrap())));
        for none in ["", "%", "%4", "%zz", "%ff", "a%0Ab"] {
            assert_eq!(Subject::of(&format!("{DOCUMENT}{none}"), &tools), None, "{none}");
        }
        assert_eq!(Subject::of(GRAPH, &tools), None, "its tool set is not offered");
        assert_eq!(Subject::of("palace://wing/atlas", &tools), None);
    }

    #[test]
    fn a_wing_is_its_rooms_and_changes_with_its_drawers() {
        use crate::memory::drawers::{Item, Place};
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path().join("palace")).unwrap();
        let tools = Tools::new(&Offer::default());
        let wing = Subject::of("palace://wing/the%20atlas", &tools).unwrap();
        assert_eq!(wing.read(&palace, None), Ok(None));
        let item = Item::new(Place::new("the atlas", "maps").unwrap(), "here").unwrap();
        Drawers::new(palace.clone()).file(&[item]).unwrap();
        let text = wing.read(&palace, None).unwrap().unwrap();
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown, serde_json::json!({"wing": "the atlas", "rooms": {"maps": 1}}));
        let key = |text: &str| BTreeSet::from([Key::new(text).unwrap()]);
        assert!(wing.is_touched_by(&key("drawer/the atlas/maps/0f")));
        assert!(wing.is_touched_by(&key("moved/elsewhere/maps/0f")), "perhaps into this one");
        assert!(!wing.is_touched_by(&key("drawer/the atlas 2/maps/0f")));
        assert!(!wing.is_touched_by(&key("entity/the atlas")));
    }
}
