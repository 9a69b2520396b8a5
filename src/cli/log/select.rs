//! The commits and documents that a user asks for.
//!
//! Invariant: what is known of a commit without its documents is tested first, so that no document is read for a commit that
//! is not shown. Only `--grep` needs the documents.

use super::clock::{Clock, Edge};
use crate::cli::error::Failure;
use crate::format::key::Key;
use crate::memory::drawers::{Drawers, WingKeys};
use crate::memory::keys_of;
use crate::memory::told::{Kind, Told, sentence};
use crate::palace::Palace;
use crate::palace::feed::CommitInfo;
use clap::{Args, ValueEnum};

/// A kind of document, as the command line names it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindName {
    Drawer,
    Diary,
    Fact,
    Entity,
    Relation,
    /// Renamed wings and rooms
    Place,
    /// Shared JSON documents
    Document,
}

impl KindName {
    fn kind(self) -> Kind {
        match self {
            KindName::Drawer => Kind::Drawer,
            KindName::Diary => Kind::Diary,
            KindName::Fact => Kind::Fact,
            KindName::Entity => Kind::Entity,
            KindName::Relation => Kind::Relation,
            KindName::Place => Kind::Place,
            KindName::Document => Kind::Document,
        }
    }
}

/// The filters of a list of commits.
#[derive(Args)]
pub(in crate::cli) struct Filters {
    /// Only commits since TIME: 2026-03-01, 2026-03-01T10:00, 10:00, yesterday, or 2h for two hours ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only commits until TIME. A day counts to its end
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only commits whose writer's name has this text, in any case
    #[arg(long, value_name = "TEXT")]
    by: Option<String>,
    /// Only commits of the client of this name, without its version
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only documents with this id, or whose keys begin with this
    #[arg(long, value_name = "KEY|ID")]
    key: Option<String>,
    /// Only drawers and diary entries of this wing: those that were filed there, and those that are there now
    #[arg(long, value_name = "WING")]
    wing: Option<String>,
    /// Only documents of these kinds, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    kind: Vec<KindName>,
    /// Only commits with this text in their sentence, or in a line that they added or removed, in any case
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
}

/// Filters, as they are tested.
pub(in crate::cli) struct Selection {
    pub since_ms: Option<i64>,
    pub until_ms: Option<i64>,
    by: Option<String>,
    client: Option<String>,
    key: Option<(String, Vec<Key>)>,
    wing: Option<WingKeys>,
    kinds: Vec<Kind>,
    grep: Option<String>,
}

impl Filters {
    /// Reads what the filters name.
    ///
    /// # Errors
    /// [`LogError::Time`](crate::cli::log_error::LogError::Time), and errors of the palace.
    pub fn selection(&self, palace: &Palace, clock: &Clock) -> Result<Selection, Failure> {
        let time = |text: &Option<String>, edge| {
            text.as_ref().map(|text| clock.parse(text, edge)).transpose()
        };
        let drawers = Drawers::new(palace.clone());
        Ok(Selection {
            since_ms: time(&self.since, Edge::Start)?,
            until_ms: time(&self.until, Edge::End)?,
            by: self.by.as_ref().map(|by| by.to_lowercase()),
            client: self.client.as_ref().map(|client| client.to_lowercase()),
            key: self.key.as_ref().map(|name| (name.clone(), keys_of(name))),
            wing: self.wing.as_ref().map(|wing| drawers.wing_keys(wing)).transpose()?,
            kinds: self.kind.iter().map(|kind| kind.kind()).collect(),
            grep: self.grep.as_ref().map(|text| text.to_lowercase()),
        })
    }
}

impl Selection {
    /// Returns true if a commit may be shown, by what is known without its documents.
    pub fn has(&self, commit: &CommitInfo) -> bool {
        let CommitInfo { time_ms, by, .. } = commit;
        let is_by = |wanted: &String| by.to_lowercase().contains(wanted);
        self.since_ms.is_none_or(|since| *time_ms >= since)
            && self.until_ms.is_none_or(|until| *time_ms <= until)
            && self.by.as_ref().is_none_or(is_by)
            && self.client.as_ref().is_none_or(|client| *client == client_of(by).to_lowercase())
            && commit.keys.iter().any(|key| self.has_key(key))
    }

    /// Returns true if the document with this key may be shown.
    pub fn has_key(&self, key: &Key) -> bool {
        let is_named = |(name, keys): &(String, Vec<Key>)| {
            key.as_str().starts_with(name) || keys.contains(key)
        };
        self.key.as_ref().is_none_or(is_named)
            && self.wing.as_ref().is_none_or(|wing| wing.has(key))
            && (self.kinds.is_empty() || self.kinds.contains(&Kind::of(key)))
    }

    /// Returns true if the documents of a commit have to be read to know whether it is shown.
    pub fn needs_documents(&self) -> bool {
        self.grep.is_some()
    }

    /// Returns true if what a commit did has the text that was asked for.
    pub fn has_text(&self, told: &[Told]) -> bool {
        let Some(wanted) = &self.grep else { return true };
        let has = |text: &str| text.to_lowercase().contains(wanted);
        has(&sentence(told)) || told.iter().any(|told| has_in_changed_line(told, &has))
    }
}

fn has_in_changed_line(told: &Told, has: &dyn Fn(&str) -> bool) -> bool {
    // Most commits have the text nowhere, and need no comparison.
    told.texts.iter().any(|text| has(text))
        && super::patch::patch(&told.texts)
            .iter()
            .any(|line| line.strip_prefix(['+', '-']).is_some_and(has))
}

/// Returns the name of the client in a writer's name, which has its version behind a slash.
pub(in crate::cli) fn client_of(by: &str) -> &str {
    by.split('/').next().unwrap_or(by).trim()
}
