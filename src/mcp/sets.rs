//! Tool sets: which tools there are, in which order, under which names.
//!
//! Invariant: the list of tools is the same for every client of a server, at any time.

use super::Server;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::Tool;
use std::collections::HashSet;

/// Tools that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToolSet {
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
}

impl Default for Offer {
    fn default() -> Self {
        Offer { sets: vec![ToolSet::Memory] }
    }
}

/// The tools of a server.
pub(super) struct Tools {
    pub sets: Vec<ToolSet>,
    pub router: ToolRouter<Server>,
    /// Their names as they are listed. The router would have them by name.
    order: Vec<String>,
}

impl Tools {
    pub fn new(offer: &Offer) -> Self {
        let mut seen = HashSet::new();
        let sets = offer.sets.iter().copied().filter(|set| seen.insert(*set)).collect();
        let mut tools = Tools { sets, router: ToolRouter::new(), order: Vec::new() };
        for set in tools.sets.clone() {
            match set {
                ToolSet::Memory => tools.add(Server::memory_router(), &super::memory::ORDER),
                ToolSet::Documents => {
                    tools.add(super::documents::router(), &super::documents::ORDER);
                }
            }
        }
        tools
    }

    fn add(&mut self, router: ToolRouter<Server>, order: &[&str]) {
        self.router.merge(router);
        self.order.extend(order.iter().map(|name| (*name).to_owned()));
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
            ToolSet::Memory => super::memory::INSTRUCTIONS,
            ToolSet::Documents => super::documents::INSTRUCTIONS,
        });
        parts.collect::<Vec<_>>().join("\n\n")
    }
}
