//! All documents of a palace as records, for an export, and records back as documents.
//!
//! Invariants: records that are taken back into an empty palace show the same texts, ids, places, filings, facts and last
//! writers. A document that is there already is never changed. Histories, the values of open conflicts that are not shown,
//! and the records of calls that are made once are no part of an export.

use super::bounded_line::{ReadLine, read_line};
use super::documents::{COMMIT_BYTES, COMMIT_DOCUMENTS, each_document};
use super::drawers::FILINGS;
use super::error::{MemoryError, Result};
use super::imported_line::{in_words, mend};
use super::told::{Kind, id_of};
use super::unkept::{Rounded, Unkept, unkept};
use crate::format::controls::escape_json;
use crate::format::key::{Key, ONCE};
use crate::merge::MergeError;
use crate::palace::status::time_text;
use crate::palace::{Document, Draft, Error, Palace, WriteOptions};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, Write};

/// The version of the form of a record.
const SCHEMA: u64 = 1;
/// The most text that is read before it is written, in bytes, roughly.
const READ_BYTES: usize = 16 << 20;

/// The beginning of a line of an export.
const RECORD_BEGIN: &[u8] = br#"{"schema":"#;

/// A document as an export holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of this form.
    pub schema: u64,
    /// The kind of document, for people.
    #[serde(default)]
    pub kind: String,
    /// The name by which the tools know it, for people.
    #[serde(default)]
    pub id: String,
    #[serde(deserialize_with = "key")]
    pub key: Key,
    /// The time of the last change, for people.
    #[serde(default)]
    pub time: Option<String>,
    /// The writer of the last change.
    #[serde(default)]
    pub by: String,
    pub value: Map<String, Value>,
}

/// The outcome of records that were taken back.
#[derive(Debug, Default)]
pub(crate) struct TakenBack {
    /// The number of documents that were written.
    pub new: usize,
    /// The number of documents that were there already, and the same.
    pub same: usize,
    /// The ids of documents that are different here, and were left as they are.
    pub different: Vec<String>,
    /// The places of records that are not valid or cannot be stored, and the reasons.
    pub bad: Vec<(String, String)>,
    /// The places of records with halves of characters, such as `"\ud83d"`. U+FFFD was taken for each.
    pub repaired: Vec<String>,
}

/// The state that a commit found under a key.
#[derive(Clone, Copy)]
enum Found {
    Nothing,
    Same,
    Different,
}

impl Record {
    fn of(document: Document) -> Self {
        let Document { key, value, modified, .. } = document;
        let (by, time) =
            modified.map_or((String::new(), None), |it| (it.by, time_text(it.time_ms)));
        let (kind, id) = (Kind::of(&key).name().to_owned(), id_of(&key));
        Record { schema: SCHEMA, kind, id, key, time, by, value }
    }

    /// Parses a line of an export. An error is the reason in words.
    fn parse(line: &[u8]) -> std::result::Result<Self, String> {
        let record: Record = serde_json::from_slice(line).map_err(|why| in_words(line, &why))?;
        let Unkept { repeated, rounded } = unkept(line);
        if let Some(twice) = repeated.first() {
            return Err(format!("{} stands there twice", twice.path));
        }
        if let Some(Rounded { path, sent, kept, .. }) = rounded.first() {
            return Err(format!("{path} is {sent}, which would be kept as {kept}"));
        }
        match record.schema {
            SCHEMA => Ok(record),
            newer => Err(format!("its schema is {newer}, and this program knows {SCHEMA}")),
        }
    }

    /// Returns it as a line of JSON, with control characters escaped.
    ///
    /// # Errors
    /// [`MemoryError::Write`].
    pub fn line(&self) -> Result<String> {
        let text = serde_json::to_string(self);
        Ok(escape_json(&text.map_err(|error| MemoryError::Write(error.into()))?))
    }

    fn bytes(&self) -> usize {
        self.value.values().map(|value| value.as_str().map_or(100, str::len)).sum()
    }
}

fn key<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Key, D::Error> {
    Key::new(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// Tells whether a line is one of an export of all documents (true), or of the graph (false). `None` if it may be of
/// either: it is blank or broken.
pub(crate) fn is_record(line: &[u8]) -> Option<bool> {
    let mut line = line.to_vec();
    mend(&mut line);
    // An export begins each line so. A record that was cut off tells what it was, too.
    if line.starts_with(RECORD_BEGIN) {
        return Some(true);
    }
    let fields = serde_json::from_slice::<Map<String, Value>>(&line).ok()?;
    let has_all = |names: &[&str]| names.iter().all(|name| fields.contains_key(*name));
    match (has_all(&["schema", "key", "value"]), has_all(&["type"])) {
        (false, false) => None,
        (is_record, _) => Some(is_record),
    }
}

/// Calls `take` with the record of every document, in the order of their keys, and with true if the document has open
/// conflicts.
///
/// # Errors
/// Those of the palace and of `take`.
pub(crate) fn each_record(
    palace: &Palace,
    mut take: impl FnMut(Record, bool) -> Result<()>,
) -> Result<()> {
    each_document(palace, "", |document| {
        let in_conflict = !document.conflicts.is_empty();
        match document.key.as_str().starts_with(ONCE) {
            true => Ok(()),
            false => take(Record::of(document), in_conflict),
        }
    })
}

/// Writes all documents, one record a line, and returns the number of those with open conflicts.
///
/// # Errors
/// [`MemoryError::Write`], and errors of the palace.
pub(crate) fn export(palace: &Palace, out: &mut dyn Write) -> Result<usize> {
    let mut in_conflict = 0;
    each_record(palace, |record, is_in_conflict| {
        in_conflict += usize::from(is_in_conflict);
        writeln!(out, "{}", record.line()?).map_err(MemoryError::Write)
    })?;
    out.flush().map_err(MemoryError::Write)?;
    Ok(in_conflict)
}

/// Takes records back, many in one commit.
pub(crate) struct Importer<'a> {
    palace: &'a Palace,
    records: Vec<Record>,
    bytes: usize,
    /// The outcome so far, also after an error.
    pub report: TakenBack,
}

impl<'a> Importer<'a> {
    pub fn new(palace: &'a Palace) -> Self {
        Importer { palace, records: Vec::new(), bytes: 0, report: TakenBack::default() }
    }

    /// Takes a record. It may be written later.
    ///
    /// # Errors
    /// Errors of the palace; then a part may have been written.
    pub fn take(&mut self, record: Record) -> Result<()> {
        self.bytes += record.bytes();
        self.records.push(record);
        if self.bytes > READ_BYTES { self.flush() } else { Ok(()) }
    }

    /// Parses a line of an export. Notes its place if it had halves of characters; `None` for a blank line.
    ///
    /// # Errors
    /// The reason in words.
    pub fn parse(
        &mut self,
        at: &str,
        mut line: Vec<u8>,
    ) -> std::result::Result<Option<Record>, String> {
        let halves = mend(&mut line);
        if line.is_empty() {
            return Ok(None);
        }
        let record = Record::parse(&line)?;
        self.report.repaired.extend((halves > 0).then(|| at.to_owned()));
        Ok(Some(record))
    }

    /// Notes what cannot be imported: its place, and the reason.
    pub fn refuse(&mut self, at: String, why: String) {
        self.report.bad.push((at, why));
    }

    /// Writes what was taken.
    ///
    /// # Errors
    /// Errors of the palace; then a part may have been written.
    pub fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        take_back(self.palace, std::mem::take(&mut self.records), &mut self.report)
    }

    /// Takes the records of a file, one a line.
    ///
    /// # Errors
    /// [`MemoryError::Read`], and errors of the palace; then a part may have been written.
    pub fn lines(&mut self, mut input: impl BufRead) -> Result<()> {
        let mut line = Vec::new();
        for n in 1_u64.. {
            let at = format!("line {n}");
            match read_line(&mut input, &mut line).map_err(MemoryError::Read)? {
                ReadLine::End => break,
                ReadLine::TooLong => self.refuse(at, "it has more than 16 MiB".to_owned()),
                ReadLine::Whole => match self.parse(&at, std::mem::take(&mut line)) {
                    Ok(record) => record.map_or(Ok(()), |record| self.take(record))?,
                    Err(why) => self.refuse(at, why),
                },
            }
        }
        self.flush()
    }
}

/// Writes the documents of records that are not there. A commit has one writer, so each writer's come together.
fn take_back(palace: &Palace, records: Vec<Record>, report: &mut TakenBack) -> Result<()> {
    let mut by_writer: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for record in records {
        by_writer.entry(record.by.clone()).or_default().push(record);
    }
    for (by, records) in by_writer {
        let mut rest = records.into_iter().peekable();
        while rest.peek().is_some() {
            let (mut commit, mut bytes) = (BTreeMap::new(), 0);
            while let Some(record) = rest.next_if(|record| {
                let fits = commit.len() < COMMIT_DOCUMENTS && bytes < COMMIT_BYTES;
                // A batch takes a key once.
                fits && !commit.contains_key(&record.key)
            }) {
                bytes += record.bytes();
                commit.insert(record.key.clone(), record);
            }
            commit_all(palace, &by, commit, report)?;
        }
    }
    Ok(())
}

/// Commits records of one writer. One that cannot be stored is taken out, and the rest is tried again.
fn commit_all(
    palace: &Palace,
    by: &str,
    mut records: BTreeMap<Key, Record>,
    report: &mut TakenBack,
) -> Result<()> {
    while !records.is_empty() {
        let found = RefCell::new(BTreeMap::new());
        let options = WriteOptions { by: Some(by.to_owned()), ..WriteOptions::new() };
        let mut batch = palace.with(options).batch();
        for (key, record) in &records {
            batch.write(key.clone(), |draft| {
                let there = write(draft, record)?;
                found.borrow_mut().insert(key.clone(), there);
                Ok(())
            });
        }
        match batch.commit() {
            Ok(_) => {
                for (key, there) in found.into_inner() {
                    match there {
                        Found::Nothing => report.new += 1,
                        Found::Same => report.same += 1,
                        Found::Different => report.different.push(id_of(&key)),
                    }
                }
                return Ok(());
            }
            Err(Error::Document { key, source }) if records.contains_key(&key) => {
                records.remove(&key);
                report.bad.push((id_of(&key), source.to_string()));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes the document of a record, unless there is one.
fn write(draft: &mut Draft<'_>, record: &Record) -> std::result::Result<Found, MergeError> {
    if draft.exists() {
        let same = draft.view()?.value == record.value;
        return Ok(if same { Found::Same } else { Found::Different });
    }
    let kind = Kind::of(&record.key);
    if kind != Kind::Document {
        let mut first = record.value.clone();
        // A text is filed without its filings. So a process that files it at once writes the same document.
        if kind == Kind::Drawer {
            first.insert(FILINGS.to_owned(), Value::Array(Vec::new()));
        }
        draft.file(&record.key, &first)?;
    }
    // A deleted document came back as it was.
    draft.put(&record.value)?;
    Ok(Found::Nothing)
}
