//! The commits to undo.

use crate::cli::error::Failure;
use crate::cli::log::clock::{Clock, Edge};
use crate::cli::log::names::commit;
use crate::cli::log::printer::without_program;
use crate::cli::log::select::client_of;
use crate::cli::log_error::LogError;
use crate::format::id::InstanceId;
use crate::palace::commit_id::CommitId;
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;
use crate::palace::{Direction, Palace};
use clap::Args;
use std::collections::BTreeSet;

/// The commits to undo: by their names, or all of a writer since a time.
#[derive(Args)]
pub(super) struct Commits {
    /// The commits, as `crdt-log dump` names them. The first digits that no other has are enough
    #[arg(value_name = "COMMIT", required_unless_present_any = ["by", "instance"])]
    names: Vec<String>,
    /// All commits of the client of this name, with or without its version, since TIME
    #[arg(long, value_name = "CLIENT", requires = "since", conflicts_with_all = ["names", "instance"])]
    by: Option<String>,
    /// All commits of the process whose id begins with this, since TIME
    #[arg(long, value_name = "ID", requires = "since", conflicts_with = "names")]
    instance: Option<String>,
    /// The time of the first commit: 2026-03-01, 2026-03-01T10:00, 10:00, yesterday, or 2h for two hours ago
    #[arg(long, value_name = "TIME", conflicts_with = "names")]
    since: Option<String>,
}

impl Commits {
    /// Finds the commits, the newest first.
    ///
    /// # Errors
    /// [`LogError::NoCommit`], [`LogError::NoInstance`], [`LogError::Ambiguous`], [`LogError::Time`], and errors of the
    /// palace.
    pub fn find(&self, palace: &Palace, clock: &Clock) -> Result<Vec<CommitInfo>, Failure> {
        let names = palace.log(Direction::NewestFirst, Box::new(|_| true))?;
        let since = self.since.as_ref().map(|since| clock.parse(since, Edge::Start)).transpose()?;
        let wanted = Wanted {
            commits: self.named(&names)?,
            by: self.by.as_ref().map(|by| by.to_lowercase()),
            instance: self.instance.as_ref().map(|text| instance(&names, text)).transpose()?,
            since: since.unwrap_or(i64::MIN),
        };
        let mut log = palace.log(Direction::NewestFirst, Box::new(|commit| wanted.has(commit)))?;
        let (mut found, limit) = (Vec::new(), wanted.limit());
        while found.len() < limit && !log.is_past(wanted.since) {
            let Some(commit) = log.next()? else { break };
            found.push(commit);
        }
        Ok(found)
    }

    fn named(&self, log: &CommitLog<'_>) -> Result<BTreeSet<CommitId>, Failure> {
        let named = |name: &String| match commit(log, name)? {
            Some(commit) => Ok(commit.id()),
            None => Err(LogError::NoCommit { name: name.clone() }.into()),
        };
        self.names.iter().map(named).collect()
    }
}

/// Finds the process whose id begins with a text.
fn instance(log: &CommitLog<'_>, text: &str) -> Result<InstanceId, Failure> {
    let wanted = text.to_lowercase();
    let begins = |instance: &InstanceId| instance.to_string().starts_with(&wanted);
    let found: Vec<InstanceId> = log.instances().iter().filter(begins).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(LogError::NoInstance { text: text.to_owned() }.into()),
        several => {
            let commits = several.iter().map(ToString::to_string).collect();
            Err(LogError::Ambiguous { name: text.to_owned(), commits }.into())
        }
    }
}

/// The commits that are asked for.
struct Wanted {
    /// Empty if they are not asked for by their names.
    commits: BTreeSet<CommitId>,
    by: Option<String>,
    instance: Option<InstanceId>,
    since: i64,
}

impl Wanted {
    fn has(&self, commit: &CommitInfo) -> bool {
        if !self.commits.is_empty() {
            return self.commits.contains(&commit.id());
        }
        let by = commit.by.to_lowercase();
        let name = without_program(&by);
        commit.time_ms >= self.since
            && self.by.as_ref().is_none_or(|wanted| *wanted == name || *wanted == client_of(&by))
            && self.instance.is_none_or(|instance| commit.instance == instance)
    }

    fn limit(&self) -> usize {
        if self.commits.is_empty() { usize::MAX } else { self.commits.len() }
    }
}
