//! Tool sets: which tools a server has, in which order, under which names.
//!
//! Invariant: the list of tools is the same for every client of a server, at any time.

use super::page::echoed;
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

/// Most characters of a name that are compared with those of tools.
const COMPARED_CHARS: usize = 128;

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

    /// Returns the words for a name that no tool has, with the tool that was probably meant.
    pub fn no_tool(&self, name: &str) -> String {
        let mut names = self.places.keys().map(String::as_str).collect::<Vec<_>>();
        names.sort_unstable();
        let advice = match nearest(name, &names) {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "tools/list has the names".to_owned(),
        };
        format!("there is no tool {}: {advice}", echoed(name))
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

/// Returns the name that resembles one most: that with the same words behind another prefix, or that with the fewest
/// other letters. `None` if none of them has half of its letters.
fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let name: String = name.chars().take(COMPARED_CHARS).flat_map(char::to_lowercase).collect();
    let name = name.replace('-', "_");
    let likeness = |known: &str| {
        let is_prefixed = |long: &str, short: &str| {
            long.strip_suffix(short).is_some_and(|prefix| prefix.ends_with(['_', '.']))
        };
        let behind_prefix = known.split_once('_').map_or(known, |(_, rest)| rest);
        match is_prefixed(known, &name) || is_prefixed(&name, behind_prefix) {
            true => 1.0,
            false => strsim::normalized_levenshtein(&name, known),
        }
    };
    let rated = names.iter().map(|known| (likeness(known), *known));
    rated.filter(|(likeness, _)| *likeness >= 0.5).max_by(|a, b| a.0.total_cmp(&b.0)).map(|it| it.1)
}

/// The same tools; their names begin with the prefix.
fn prefixed(mut tools: Vec<Tool>, Prefix(prefix): &Prefix) -> Vec<Tool> {
    for tool in &mut tools {
        tool.listed.name = format!("{prefix}{}", tool.listed.name).into();
    }
    tools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_tools_are_named_with_the_nearest() {
        let tools = Tools::new(&Offer::default());
        for (name, meant) in [
            ("add_drawer", "palace_add_drawer"),
            ("mempalace_add_drawer", "palace_add_drawer"),
            ("Palace-Add-Drawer", "palace_add_drawer"),
            ("palace_add_drawers", "palace_add_drawer"),
            ("palace_serch", "palace_search"),
        ] {
            let words = tools.no_tool(name);
            assert_eq!(words, format!("there is no tool {name}: did you mean {meant}?"));
        }
        for name in ["", "_", "resources/read", "rm"] {
            let words = tools.no_tool(name);
            assert_eq!(words, format!("there is no tool {name}: tools/list has the names"));
        }
        assert!(tools.no_tool(&"x".repeat(1 << 20)).len() < 3_000);
    }
}
