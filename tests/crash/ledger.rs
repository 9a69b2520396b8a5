//! The list of acknowledged writes, and the comparison of a palace with it.

use crate::files::{PALACE, options};
use crate::steps::Edit;
use crate::support::object;
use crdt_palace::format::hash::Etag;
use crdt_palace::fs::sim::SimDisk;
use crdt_palace::palace::ChangeInfo;
use crdt_palace::palace::verify::Severity;
use crdt_palace::palace::{Document, Palace};
use crdt_palace::store::group_commit::Durability;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What a write does to a document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Sets the field `w<call>`, which no other write sets, to the number of the call.
    Field,
    /// Adds to the counter `n`.
    Add(i64),
    /// Files the content that belongs to the key.
    File,
    /// Deletes.
    Delete,
}

/// What is known of a write.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    /// It must be there.
    Acknowledged(Durability),
    /// It may be there.
    Unknown,
    /// It must never be there: the error said so.
    Refused,
}

/// One write of one document.
#[derive(Clone, Debug)]
pub struct Write {
    pub key: String,
    pub effect: Effect,
    pub etag: Option<Etag>,
    pub fate: Fate,
    /// Which call it was part of: the writes of a call are all there, or none is.
    pub call: u64,
    /// Which process made it.
    pub process: u64,
}

/// Everything that was attempted.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub writes: Vec<Write>,
    /// Buffered writes were lost in a power cut, so that others may wait for them for ever.
    pub holes: bool,
    /// Processes acted within one another's calls: they may have written without seeing each other.
    pub interleaved: bool,
}

/// The content that is filed under a key.
pub fn content(key: &str) -> Map<String, Value> {
    object(json!({"text": format!("the content of {key}"), "tags": ["filed", key]}))
}

/// Fields of these documents may be hidden by a delete; their history still tells.
fn is_deletable(key: &str) -> bool {
    key.starts_with("del/")
}

impl Ledger {
    /// A commit begins: nobody knows yet what will come of it. Gives the places of its writes.
    pub fn attempt(&mut self, edits: &[Edit], call: u64, process: u64) -> Range<usize> {
        let start = self.writes.len();
        self.writes.extend(edits.iter().map(|Edit { key, effect, .. }| {
            let (key, effect, etag, fate) = (key.clone(), *effect, None, Fate::Unknown);
            Write { key, effect, etag, fate, call, process }
        }));
        start..self.writes.len()
    }

    /// What came of it.
    pub fn settle(&mut self, writes: Range<usize>, fate: Fate, etags: impl Iterator<Item = Etag>) {
        let mut etags = etags.fuse();
        for write in &mut self.writes[writes] {
            (write.fate, write.etag) = (fate, etags.next());
        }
    }

    /// This, and what was attempted since: it may be there. What has gone meanwhile, by a restore, need not be.
    pub fn with_later(mut self, now: &Ledger) -> Ledger {
        for (write, now) in self.writes.iter_mut().zip(&now.writes) {
            if now.fate == Fate::Unknown {
                write.fate = Fate::Unknown;
            }
        }
        let later = now.writes[self.writes.len()..].iter().cloned();
        self.writes.extend(later.map(|write| Write { fate: Fate::Unknown, ..write }));
        Ledger { interleaved: now.interleaved, holes: now.holes, ..self }
    }

    /// The power failed: what was only buffered may be gone.
    pub fn power_cut(&mut self) {
        for write in &mut self.writes {
            if write.fate == Fate::Acknowledged(Durability::Buffered) {
                write.fate = Fate::Unknown;
                self.holes = true;
            }
        }
    }

    /// The files went back to what they were when this was promised. If it was done file by file and in place, or some
    /// writes were not on disk, changes may be left that build on what is gone.
    pub fn restored(&mut self, promised: &Ledger, in_place: bool) {
        self.holes |= in_place;
        for (n, write) in self.writes.iter_mut().enumerate() {
            let before = promised.writes.get(n).map(|write| write.fate);
            if let (Fate::Acknowledged(durability), None | Some(Fate::Unknown)) =
                (write.fate, before)
            {
                self.holes |= durability == Durability::Buffered;
                write.fate = Fate::Unknown;
            }
        }
    }

    /// This process put everything on disk.
    pub fn synced(&mut self, process: u64) {
        for write in self.writes.iter_mut().filter(|write| write.process == process) {
            if let Fate::Acknowledged(durability) = &mut write.fate {
                *durability = Durability::Durable;
            }
        }
    }

    pub fn keys(&self) -> BTreeSet<&str> {
        self.writes.iter().map(|write| write.key.as_str()).collect()
    }

    /// Compares what a process reads with what was promised.
    pub fn check(&self, palace: &Palace) {
        for key in self.keys() {
            self.compare(key, palace.get(key).unwrap(), &palace.history(key).unwrap());
        }
        self.check_calls(palace);
        let page = palace.scan_page("", None, 1_000).unwrap();
        for document in page.documents {
            let read = palace.get_unrefreshed(document.key.as_str()).unwrap();
            assert_eq!(Some(document), read, "scan and get disagree");
        }
    }

    /// Compares one document.
    pub fn compare(&self, key: &str, found: Option<Document>, history: &[ChangeInfo]) {
        let value = found.as_ref().map(|document| document.value.clone()).unwrap_or_default();
        let history: Vec<_> = history.iter().map(|change| change.hash).collect();
        let (mut least, mut most) = (0, 0);
        for write in self.writes.iter().filter(|write| write.key == key) {
            let promised = matches!(write.fate, Fate::Acknowledged(_));
            if let (true, Some(etag)) = (promised, &write.etag) {
                let heads = history.iter().filter(|hash| etag.names(hash)).count();
                assert_eq!(heads, etag.len(), "{write:?} is lost; {history:?}");
            }
            match write.effect {
                Effect::Field => {
                    let shown = value.get(&format!("w{}", write.call));
                    let whole = shown == Some(&json!(write.call));
                    assert!(shown.is_none() || whole, "{key} shows {shown:?} for {write:?}");
                    if !is_deletable(key) {
                        assert!(whole || !promised, "{write:?} is not shown: {value:?}");
                    }
                    assert!(shown.is_none() || write.fate != Fate::Refused, "{write:?} is there");
                }
                Effect::Add(by) => {
                    least += if promised { by } else { 0 };
                    most += if write.fate == Fate::Refused { 0 } else { by };
                }
                Effect::File if promised => assert_eq!(value, content(key), "{key}"),
                Effect::File | Effect::Delete => {}
            }
        }
        if key.starts_with("count/") {
            let sum = value.get("n").map_or(0, |n| n.as_i64().unwrap());
            assert!((least..=most).contains(&sum), "{key}: {sum} is not in {least}..={most}");
        }
        if let Some(document) = found {
            assert!(document.conflicts.is_empty() || self.has_concurrency(), "{document:?}");
            assert!(!document.incomplete || self.holes, "{key} is incomplete");
        }
    }

    /// Writes whose outcome is unknown may turn up beside later ones.
    fn has_concurrency(&self) -> bool {
        self.interleaved || self.writes.iter().any(|write| write.fate == Fate::Unknown)
    }

    fn check_calls(&self, palace: &Palace) {
        let mut calls: BTreeMap<u64, Vec<bool>> = BTreeMap::new();
        for write in self.writes.iter().filter(|write| !is_deletable(&write.key)) {
            if write.effect != Effect::Field {
                continue;
            }
            let found = palace.get_unrefreshed(&write.key).unwrap();
            let shown = found.is_some_and(|d| d.value.contains_key(&format!("w{}", write.call)));
            calls.entry(write.call).or_default().push(shown);
        }
        for (call, shown) in calls {
            let one = shown.iter().all(|s| *s == shown[0]);
            assert!(one || self.holes, "a part of call {call} is there: {shown:?}");
        }
    }

    /// Nothing on the disk is damaged, and nothing waits for what is lost.
    pub fn check_disk(&self, disk: &SimDisk) {
        let options = options(disk.process()).read_only();
        let Ok(palace) = options.open(PALACE) else {
            // To delete what is not there is no change.
            let promised = |write: &Write| {
                let changed = write.etag.as_ref().is_some_and(|etag| !etag.is_empty());
                matches!(write.fate, Fate::Acknowledged(_)) && changed
            };
            assert!(!self.writes.iter().any(promised), "the palace is gone");
            return;
        };
        for finding in palace.verify().unwrap().findings {
            let problem = finding.severity == Severity::Problem;
            // A write that was cut short at the very end of a record looks like a file that was cut off there.
            let cut_short = finding.what.contains("without the padding or the footer");
            let gap = finding.what.contains("of its process are missing");
            let allowed = (self.holes && (gap || !finding.missing.is_empty())) || cut_short;
            assert!(!problem || allowed, "{finding:?}");
        }
    }
}
