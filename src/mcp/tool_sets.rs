//! Tool sets: which tools there are, in which order, under which names.
//!
//! Invariant: the list of tools is the same for every client of a server, at any time.

use super::Server;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::Tool;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

/// Tools that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolSet {
    /// Drawers in rooms of wings, facts with a time, diaries.
    Palace,
    /// The nine tools of the reference memory server.
    Memory,
    /// Shared JSON documents with versions.
    Documents,
}

/// What a server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The sets, in the order in which their tools are listed.
    pub sets: Vec<ToolSet>,
    /// What the names of the set [`ToolSet::Palace`] begin with.
    pub prefix: Prefix,
}

impl Default for Offer {
    fn default() -> Self {
        Offer { sets: vec![ToolSet::Palace], prefix: Prefix::default() }
    }
}

/// What the names of tools begin with.
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

/// A text that no tool's name can begin with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a prefix has at most {PREFIX_BYTES_MAX} letters, digits and _ . - of ASCII")]
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
    pub sets: Vec<ToolSet>,
    prefix: Prefix,
    pub router: ToolRouter<Server>,
    /// Their names as they are listed. The router would have them by name.
    order: Vec<String>,
}

impl Tools {
    pub fn new(offer: &Offer) -> Self {
        let mut seen = HashSet::new();
        let sets = offer.sets.iter().copied().filter(|set| seen.insert(*set)).collect();
        let (prefix, router) = (offer.prefix.clone(), ToolRouter::new());
        let mut tools = Tools { sets, prefix, router, order: Vec::new() };
        for set in tools.sets.clone() {
            match set {
                ToolSet::Palace => {
                    let Prefix(prefix) = tools.prefix.clone();
                    tools.add(Server::palace_router(), &super::palace::ORDER, &prefix);
                }
                ToolSet::Memory => tools.add(Server::memory_router(), &super::memory::ORDER, ""),
                ToolSet::Documents => {
                    tools.add(super::documents::router(), &super::documents::ORDER, "");
                }
            }
        }
        tools
    }

    /// Adds tools, each under its name behind the prefix.
    fn add(&mut self, router: ToolRouter<Server>, order: &[&str], prefix: &str) {
        for mut route in router.map.into_values() {
            route.attr.name = format!("{prefix}{}", route.attr.name).into();
            self.router.add_route(route);
        }
        self.order.extend(order.iter().map(|name| format!("{prefix}{name}")));
    }

    /// All of them, in order.
    pub fn list(&self) -> Vec<Tool> {
        self.order.iter().filter_map(|name| self.router.get(name).cloned()).collect()
    }

    /// Whether a set is offered.
    pub fn has(&self, set: ToolSet) -> bool {
        self.sets.contains(&set)
    }

    /// What a client may tell its model about the server.
    pub fn instructions(&self) -> String {
        let parts = self.sets.iter().map(|set| match set {
            ToolSet::Palace => super::palace::instructions(&self.prefix.0),
            ToolSet::Memory => super::memory::INSTRUCTIONS.to_owned(),
            ToolSet::Documents => super::documents::INSTRUCTIONS.to_owned(),
        });
        parts.collect::<Vec<_>>().join("\n\n")
    }
}
