//! Resources, read and subscribed to by URI: the knowledge graph, wings, documents, the palace's status.
//!
//! Invariant: a resource is there for every client of a server or for none, as its tool sets are. It is offered
//! whether or not it has content yet: a document may be subscribed to before it is written.

use super::memory::indented;
use super::not_offered::held_elsewhere;
use super::rescan_changes::RescanChanges;
use super::tool::Call;
use super::tool_sets::{ToolSet, Tools};
use crate::format::key::Key;
use crate::memory::drawers::{PLACE_BYTES_MAX, folded, is_move};
use crate::memory::{MemoryError, is_of_graph, shorten_sources};
use crate::palace::status::Status;
use crate::palace::{ConflictCount, Error, chain};
use rmcp::model::ResourceTemplate;
use serde::Serialize;

const GRAPH: &str = "memory://knowledge-graph";
const STATUS: &str = "palace://status";
const DOCUMENT: &str = "palace://document/";
const WING: &str = "palace://wing/";
/// Most bytes of a wing in a URI: of all its characters, with each byte escaped.
const WING_BYTES_MAX: usize = 3 * PLACE_BYTES_MAX;
pub(super) const JSON: &str = "application/json";

/// The sets with which the palace's status is offered.
pub(super) const STATUS_SETS: &[ToolSet] = &[ToolSet::Palace, ToolSet::Documents];

/// A resource that is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OfferedResource {
    /// All entities and relations.
    Graph,
    /// The processes that write, and the files.
    Status,
    /// The rooms of a wing, and how many drawers each has.
    Wing(String),
    /// One document.
    Document(Key),
}

/// The status of the palace, as the resource shows it.
#[derive(Serialize)]
struct ShownStatus {
    #[serde(flatten)]
    status: Status,
    /// Number of documents with open conflicts.
    in_conflict: ConflictCount,
    /// The contents of sets that this server does not offer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_offered: Vec<String>,
}

impl ShownStatus {
    fn of(call: &Call) -> Result<Self, Error> {
        // It reads all views. What it meets as damage is in the status.
        let in_conflict = call.palace.count_conflicts("")?;
        Ok(ShownStatus {
            status: call.palace.status()?,
            in_conflict,
            not_offered: held_elsewhere(&call.palace, &call.offered)?,
        })
    }
}

impl OfferedResource {
    /// Finds the resource of a URI; `None` if these tools do not offer it.
    pub fn of(uri: &str, tools: &Tools) -> Option<Self> {
        let resource = match uri {
            GRAPH => OfferedResource::Graph,
            STATUS => OfferedResource::Status,
            uri => match uri.strip_prefix(WING) {
                // A longer name is that of no wing, and a subscription would keep it.
                Some(wing) if wing.len() > WING_BYTES_MAX => return None,
                Some(wing) => OfferedResource::Wing(decoded(wing)?),
                None => OfferedResource::Document(
                    Key::new(&decoded(uri.strip_prefix(DOCUMENT)?)?).ok()?,
                ),
            },
        };
        let sets: &[ToolSet] = match resource {
            OfferedResource::Graph => &[ToolSet::Memory],
            OfferedResource::Status => STATUS_SETS,
            OfferedResource::Wing(_) => &[ToolSet::Palace],
            OfferedResource::Document(_) => &[ToolSet::Documents],
        };
        sets.iter().any(|set| tools.has(*set)).then_some(resource)
    }

    /// Returns its URI.
    pub fn uri(&self) -> String {
        match self {
            OfferedResource::Graph => GRAPH.to_owned(),
            OfferedResource::Status => STATUS.to_owned(),
            OfferedResource::Wing(wing) => format!("{WING}{}", encoded(wing)),
            OfferedResource::Document(key) => format!("{DOCUMENT}{}", encoded(key.as_str())),
        }
    }

    /// Returns true if a change of these documents may change it.
    pub fn is_touched_by(&self, changes: &RescanChanges) -> bool {
        let keys = &changes.keys;
        match self {
            OfferedResource::Graph => keys.iter().any(is_of_graph),
            OfferedResource::Status => !keys.is_empty(),
            // A drawer may move into any wing.
            OfferedResource::Wing(wing) => {
                keys.iter().any(is_move) || changes.wings.contains(&folded(wing))
            }
            OfferedResource::Document(key) => keys.contains(key),
        }
    }

    /// Returns true if it changes so often that one notice a second is enough.
    pub fn changes_all_the_time(&self) -> bool {
        *self == OfferedResource::Status
    }

    /// Returns its content as JSON; `None` if it has none.
    ///
    /// # Errors
    /// The palace's, in words.
    pub fn read(&self, call: &Call) -> Result<Option<String>, String> {
        let palace_says = |error: Error| chain(&error);
        match self {
            OfferedResource::Graph => {
                let graph = call.graph().read_graph();
                graph.map_err(|error| chain(&error)).and_then(|graph| indented(&graph)).map(Some)
            }
            OfferedResource::Status => {
                ShownStatus::of(call).map_err(palace_says).and_then(|s| indented(&s)).map(Some)
            }
            OfferedResource::Wing(wing) => {
                let counts = match call.drawers().counts(Some(wing)) {
                    // No wing can have that name.
                    Err(MemoryError::Argument { .. }) => return Ok(None),
                    counts => counts.map_err(|error| chain(&error))?,
                };
                // All its spellings and names are one wing.
                let counted = counts.into_iter().next();
                let shown =
                    |(wing, rooms)| indented(&serde_json::json!({"wing": wing, "rooms": rooms}));
                counted.map(shown).transpose()
            }
            OfferedResource::Document(key) => {
                match call.palace.get(key.as_str()).map_err(palace_says)? {
                    Some(mut document) => {
                        shorten_sources(&document.key, &mut document.value);
                        let text = indented(&document)?;
                        call.session.saw_whole(&document.key, &document.heads);
                        Ok(Some(text))
                    }
                    None => Ok(None),
                }
            }
        }
    }
}

/// Returns the templates of URIs that many resources share.
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

/// Percent-encodes a key, as `{key}` of a URI template demands.
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

/// Undoes [`encoded`]; `None` if an escape is cut short or the bytes are not text. Any character may be escaped.
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
    use crate::mcp::tool_sets::Offer;
    use std::collections::BTreeSet;

    #[test]
    fn a_key_survives_its_uri() {
        let tools = Tools::new(&Offer { sets: vec![ToolSet::Documents], ..Offer::default() });
        for key in ["notes/plan", "a b%2F?#", "東京/..", "%"] {
            let key = Key::new(key).unwrap();
            let uri = OfferedResource::Document(key.clone()).uri();
            assert!(
                uri.is_ascii() && !uri[DOCUMENT.len()..].contains(['/', ' ', '?', '#']),
                "{uri}"
            );
            assert_eq!(OfferedResource::of(&uri, &tools), Some(OfferedResource::Document(key)));
        }
        let plain = OfferedResource::of("palace://document/notes/plan", &tools);
        assert_eq!(plain, Some(OfferedResource::Document(Key::new("notes/plan").unwrap())));
        for none in ["", "%", "%4", "%zz", "%ff", "a%0Ab"] {
            assert_eq!(OfferedResource::of(&format!("{DOCUMENT}{none}"), &tools), None, "{none}");
        }
        assert_eq!(OfferedResource::of(GRAPH, &tools), None, "its tool set is not offered");
        assert_eq!(OfferedResource::of("palace://wing/atlas", &tools), None);
    }

    #[test]
    fn a_wing_is_its_rooms_and_changes_with_its_drawers() {
        use crate::memory::drawers::{Item, Place};
        let dir = tempfile::tempdir().unwrap();
        let palace = crate::palace::Palace::open(dir.path().join("palace")).unwrap();
        let session = palace.session();
        let feed_cursors = Default::default();
        let tools = Tools::new(&Offer::default());
        let offered = tools.sets().clone();
        let (client, progress) = (None, None);
        let call = Call {
            palace,
            client,
            session,
            feed_cursors,
            shared: false,
            offered,
            once: None,
            progress,
        };
        let wing = OfferedResource::of("palace://wing/the%20atlas", &tools).unwrap();
        assert_eq!(wing.read(&call), Ok(None));
        let impossible = OfferedResource::of("palace://wing/a%2Fb", &tools).unwrap();
        assert_eq!(impossible.read(&call), Ok(None), "no wing can have this name");
        let item = Item::new(Place::new("the atlas", "maps").unwrap(), "here").unwrap();
        call.drawers().file(&[item]).unwrap();
        let text = wing.read(&call).unwrap().unwrap();
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(shown, serde_json::json!({"wing": "the atlas", "rooms": {"maps": 1}}));
        let key = |text: &str| {
            let keys = BTreeSet::from([Key::new(text).unwrap()]);
            let wings = call.drawers().wing_names(&keys).unwrap();
            RescanChanges { keys: keys.into(), wings: wings.into(), list_changed: false }
        };
        assert!(wing.is_touched_by(&key("drawer/the atlas/maps/0f")));
        assert!(wing.is_touched_by(&key("drawer/The-Atlas/maps/0f")));
        assert!(wing.is_touched_by(&key("moved/elsewhere/maps/0f")), "perhaps into this one");
        assert!(!wing.is_touched_by(&key("drawer/the atlas 2/maps/0f")));
        assert!(!wing.is_touched_by(&key("entity/the atlas")));
    }
}
