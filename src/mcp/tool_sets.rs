//! Tool sets: which tools a server has, in which order, under which names.
//!
//! Invariant: the list of tools is the same for every client of a server, at any time.

use super::tool::Tool;
pub use super::tool_set::ToolSet;
use super::{documents, memory, palace};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Description of the server. README.md, Cargo.toml and the help of the commands have the same.
const DESCRIPTION: &str = "A memory that many AI sessions share: every session starts its own server on the same \
    directory, and no acknowledged write is lost.";

/// The tools that a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The sets, in the order in which their tools are listed.
    pub sets: Vec<ToolSet>,
    /// The beginning of the names of the set [`ToolSet::Palace`].
    pub prefix: Prefix,
}

impl Default for Offer {
    fn default() -> Self {
        Offer { sets: vec![ToolSet::Palace], prefix: Prefix::default() }
    }
}

/// The beginning of the names of tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

impl Default for Prefix {
    fn default() -> Self {
        Prefix("palace_".to_owned())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text cannot be the beginning of a tool's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has at most {PREFIX_BYTES_MAX} characters: ASCII letters, digits and _ . -")]
pub struct BadPrefix;

/// The longest prefix: a tool's name has at most 128 characters.
const PREFIX_BYTES_MAX: usize = 96;

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        match text.len() <= PREFIX_BYTES_MAX && text.chars().all(fine) {
            true => Ok(Prefix(text.to_owned())),
            false => Err(BadPrefix),
        }
    }
}

/// The tools of a server.
pub(super) struct Tools {
    sets: Arc<[ToolSet]>,
    prefix: Prefix,
    /// In the order in which they are listed.
    tools: Vec<Tool>,
    /// The place of each in that order, by its name.
    places: HashMap<String, usize>,
}

impl Tools {
    pub fn new(offer: &Offer) -> Self {
        let (mut seen, mut tools) = (HashSet::new(), Vec::new());
        let sets: Arc<[ToolSet]> =
            offer.sets.iter().copied().filter(|set| seen.insert(*set)).collect();
        let prefix = offer.prefix.clone();
        for set in &*sets {
            tools.extend(match set {
                ToolSet::Palace => prefixed(palace::tools(), &prefix),
                ToolSet::Memory => memory::tools(),
                ToolSet::Documents => documents::tools(),
            });
        }
        let name = |(n, tool): (usize, &Tool)| (tool.listed.name.to_string(), n);
        let places = tools.iter().enumerate().map(name).collect();
        Tools { sets, prefix, tools, places }
    }

    /// All tools, in order.
    pub fn list(&self) -> Vec<rmcp::model::Tool> {
        self.tools.iter().map(|tool| tool.listed.clone()).collect()
    }

    /// The tool of this name.
    pub fn get(&self, name: &str) -> Option<&Tool> {
        self.tools.get(*self.places.get(name)?)
    }

    /// Returns the sets that are offered, in their order.
    pub fn sets(&self) -> &Arc<[ToolSet]> {
        &self.sets
    }

    /// Returns true if a set is offered.
    pub fn has(&self, set: ToolSet) -> bool {
        self.sets.contains(&set)
    }

    /// Returns what a client may tell its model about the server.
    pub fn instructions(&self) -> String {
        let sets = self.sets.iter().map(|set| match set {
            ToolSet::Palace => palace::instructions(&self.prefix.0),
            ToolSet::Memory => memory::INSTRUCTIONS.to_owned(),
            ToolSet::Documents => documents::INSTRUCTIONS.to_owned(),
        });
        let parts: Vec<String> = std::iter::once(DESCRIPTION.to_owned()).chain(sets).collect();
        parts.join("\n\n")
    }
}

/// The same tools; their names begin with the prefix.
fn prefixed(mut tools: Vec<Tool>, Prefix(prefix): &Prefix) -> Vec<Tool> {
    for tool in &mut tools {
        tool.listed.name = format!("{prefix}{}", tool.listed.name).into();
    }
    tools
}
