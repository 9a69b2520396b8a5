//! Takes commits back.
//!
//! Invariants: each document is written at most once, with all that is taken back of it, the newest commit first. Documents
//! do not depend on each other, so they may be split into several commits.

use super::reason::Reason;
use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use crate::memory::error::Result;
use crate::memory::told::{Kind, Told};
use crate::merge::{DocumentStep, MergeError};
use crate::palace::commit_id::CommitId;
use crate::palace::feed::CommitInfo;
use crate::palace::log::CommitLog;
use crate::palace::{
    Draft, Error, NotUndone, Outcome, Palace, RecordError, SegmentError, Standing, StoreError,
    WriteOptions,
};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// The most documents that one commit writes.
const COMMIT: usize = 500;

/// Commits to take back.
pub(crate) struct Undo<'a> {
    pub palace: &'a Palace,
    pub options: WriteOptions,
    /// True to write nothing.
    pub dry_run: bool,
}

/// The outcome of an undo for one document.
pub(crate) struct TakenBack {
    pub key: Key,
    /// The write, or the one that a dry run would make; `None` if there is none.
    pub told: Option<Told>,
    /// A change that was written.
    pub change: Option<ChangeHash>,
    /// The commits that were taken back, and what stays of each.
    pub parts: Vec<Part>,
}

/// The effect of a commit on a document, and the reasons why parts of it stay.
pub(crate) struct Part {
    pub commit: CommitId,
    /// The effect; `None` if its changes are told with another commit.
    pub told: Option<Told>,
    pub left: Vec<Reason>,
}

/// A document to write.
struct Work {
    key: Key,
    parts: Vec<Planned>,
}

/// A commit whose effect on a document is to be taken back.
struct Planned {
    part: Part,
    /// The commit that has its effect now: itself, or one that took its undo back.
    target: CommitId,
    /// The changes of that commit; none if it is known already why they stay.
    changes: Vec<ChangeHash>,
}

/// The document before and after a draft, and what stays of each commit.
type Drafted = (Option<DocumentStep>, Vec<Vec<NotUndone>>);

/// A change that was written of each document, if any.
type Written = std::result::Result<Vec<Option<ChangeHash>>, Error>;

impl Undo<'_> {
    /// Takes back what these commits did, the newest first, and returns what was done to each of their documents.
    ///
    /// # Errors
    /// Errors of the palace. Commits that were made before stay, and the same call goes on.
    pub fn run(&self, log: &mut CommitLog<'_>, commits: &[CommitInfo]) -> Result<Vec<TakenBack>> {
        let mut works: BTreeMap<Key, Vec<Planned>> = BTreeMap::new();
        // An undo that is taken back together with what it undid counts no more.
        let together: BTreeSet<CommitId> = commits.iter().map(CommitInfo::id).collect();
        for commit in commits {
            // A note goes with the change of another document, and is true whatever that shows.
            for key in commit.keys.iter().filter(|key| Kind::of(key) != Kind::Note) {
                works.entry(key.clone()).or_default().push(planned(log, commit, key, &together)?);
            }
        }
        let mut done = Vec::new();
        let mut works: Vec<Work> =
            works.into_iter().map(|(key, parts)| Work { key, parts }).collect();
        while !works.is_empty() {
            let rest = works.split_off(COMMIT.min(works.len()));
            self.write(works, &mut done)?;
            works = rest;
        }
        Ok(done)
    }

    /// Writes documents in one commit, or in more if that would be too large.
    fn write(&self, mut works: Vec<Work>, done: &mut Vec<TakenBack>) -> Result<()> {
        loop {
            let (todo, nothing): (Vec<_>, Vec<_>) = works.into_iter().partition(Work::is_open);
            done.extend(nothing.into_iter().map(|work| work.done(None, None)));
            works = todo;
            if works.is_empty() {
                return Ok(());
            }
            let (drafts, written) = self.commit(&works);
            match written {
                Ok(changes) => {
                    let drafted = works.into_iter().zip(drafts).zip(changes);
                    done.extend(drafted.map(|((work, draft), change)| work.done(draft, change)));
                    return Ok(());
                }
                Err(Error::Document { key, source }) => refuse(&mut works, &key, &source),
                Err(error) if is_too_large(&error) && works.len() > 1 => {
                    let rest = works.split_off(works.len() / 2);
                    self.write(rest, done)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Makes one commit. Returns what each draft did, and a change that was written of each document.
    fn commit(&self, works: &[Work]) -> (Vec<Option<Drafted>>, Written) {
        let drafts: Vec<RefCell<Option<Drafted>>> =
            works.iter().map(|_| RefCell::default()).collect();
        let mut batch = self.palace.with(self.options.clone()).batch();
        for (n, (work, drafted)) in works.iter().zip(&drafts).enumerate() {
            // The last write refuses the whole commit.
            let refuses = self.dry_run && n + 1 == works.len();
            batch.write(work.key.clone(), move |draft| {
                *drafted.borrow_mut() = Some(work.take_back(draft)?);
                if refuses { Err(not_written()) } else { Ok(()) }
            });
        }
        let written = batch.commit();
        let drafts: Vec<_> = drafts.into_iter().map(RefCell::into_inner).collect();
        let is_drafted = drafts.iter().all(Option::is_some);
        let changes = match written {
            Ok(receipt) => Ok(receipt.outcomes.iter().map(change_of).collect()),
            Err(Error::Document { .. }) if self.dry_run && is_drafted => {
                Ok(works.iter().map(|_| None).collect())
            }
            Err(error) => Err(error),
        };
        (drafts, changes)
    }
}

/// Returns a change that a write made; `None` if it made none.
pub(super) fn change_of(outcome: &Outcome) -> Option<ChangeHash> {
    outcome.own.hashes().first().copied().filter(|_| outcome.changed)
}

fn is_too_large(error: &Error) -> bool {
    let Error::Store(StoreError::Segment(SegmentError::Record(error))) = error else {
        return false;
    };
    matches!(error, RecordError::TooLarge(_))
}

/// Makes the error that ends a draft which must not be written.
pub(super) fn not_written() -> MergeError {
    MergeError::Refused { why: "nothing is to be written".to_owned() }
}

fn planned(
    log: &mut CommitLog<'_>,
    commit: &CommitInfo,
    key: &Key,
    together: &BTreeSet<CommitId>,
) -> Result<Planned> {
    let told = log.step(commit, key)?.map(|step| Told::new(key, &step));
    let id = commit.id();
    let (target, left) = match log.standing(key, id)? {
        _ if told.is_none() => (None, vec![Reason::Repeated]),
        Standing::UndoneBy(by) if !together.contains(&by) => (None, vec![Reason::Already(by)]),
        Standing::In(again) => (Some(*again), Vec::new()),
        Standing::UndoneBy(_) | Standing::Own => (Some(commit.clone()), Vec::new()),
    };
    let changes = match &target {
        Some(target) => log.own_changes(target, key)?,
        None => Vec::new(),
    };
    let target = target.map_or(id, |target| target.id());
    Ok(Planned { part: Part { commit: id, told, left }, target, changes })
}

/// Notes that the write of a document is refused, so that it is left out.
fn refuse(works: &mut [Work], key: &Key, why: &MergeError) {
    for work in works.iter_mut().filter(|work| work.key == *key) {
        for planned in &mut work.parts {
            planned.changes.clear();
            planned.part.left.push(Reason::Refused(why.to_string()));
        }
    }
}

impl Work {
    fn is_open(&self) -> bool {
        self.parts.iter().any(|planned| !planned.changes.is_empty())
    }

    fn take_back(&self, draft: &mut Draft<'_>) -> std::result::Result<Drafted, MergeError> {
        let mut left = Vec::new();
        for Planned { target, changes, .. } in &self.parts {
            left.push(match changes.is_empty() {
                true => Vec::new(),
                false => draft.undo(&target.to_string(), changes)?,
            });
        }
        Ok((draft.step()?, left))
    }

    fn done(self, drafted: Option<Drafted>, change: Option<ChangeHash>) -> TakenBack {
        let (step, left) = drafted.unwrap_or_default();
        let mut parts: Vec<Part> = self.parts.into_iter().map(|planned| planned.part).collect();
        for (part, left) in parts.iter_mut().zip(left) {
            part.left.extend(left.into_iter().map(Reason::Document));
        }
        let told = step.map(|step| Told::new(&self.key, &step));
        TakenBack { key: self.key, told, change, parts }
    }
}
