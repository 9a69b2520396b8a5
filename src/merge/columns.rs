//! The columns of a chunk: how much they expand to, found out without expanding them.
//!
//! A column is named by a number: `id << 4 | deflated << 3 | type`. All types but raw bytes are run-length
//! encoded, so a few bytes can stand for any number of rows.

use super::error::MergeError;
use super::size_bounds::DocSize;

const DEFLATED: u64 = 1 << 3;
const ACTIONS: u64 = 4 << 4 | 2;
/// Among the actions.
const DELETE: u64 = 3;
const MARK: u64 = 7;

/// What the columns of a chunk may expand to.
pub(super) struct Limits {
    /// Deletions too.
    pub operations: u64,
    /// References to other operations, and so the rows of any column.
    pub references: u64,
    /// Bytes of text.
    pub names: u64,
    /// Operations that mark text, or end a mark.
    pub marks: u64,
}

/// The names and lengths of columns.
pub(super) fn specs(rest: &mut Bytes<'_>) -> Option<Vec<(u64, usize)>> {
    let mut specs = Vec::new();
    for _ in 0..rest.unsigned()? {
        specs.push((rest.unsigned()?, usize::try_from(rest.unsigned()?).ok()?));
    }
    Some(specs)
}

/// What the columns expand to, after checking that it is not too much.
pub(super) fn measure(columns: Vec<(u64, &[u8])>, limits: &Limits) -> Result<DocSize, MergeError> {
    let cut = MergeError::NotAChange { why: "its columns are cut short" };
    let mut operations = Total::new("operations", limits.operations);
    let mut references = Total::new("overwritten values", limits.references);
    let mut names = Total::new("bytes of field names", limits.names);
    let mut marks = Total::new("marks of text", limits.marks);
    let mut size = DocSize::default();
    for (name, bytes) in columns {
        if name & DEFLATED != 0 {
            return Err(MergeError::NotAChange { why: "a column of it is deflated" });
        }
        let mut rows = Total::new("rows in a column", limits.references);
        let whole = match name & 7 {
            _ if name == ACTIONS => {
                let stays = |action| u64::from(action != DELETE);
                let is_mark = |action| u64::from(action == MARK);
                let add = |n| size.operations.checked_add(n).map(|sum| size.operations = sum);
                runs(bytes, |b| b.unsigned().map(|_| 1), 1, |n| operations.add(n))
                    .and_then(|()| runs(bytes, |b| b.unsigned().map(stays), 1, add))
                    .and_then(|()| runs(bytes, |b| b.unsigned().map(is_mark), 0, |n| marks.add(n)))
            }
            // Each says how many rows of its subcolumns belong to a row.
            0 => runs(bytes, |b| b.unsigned(), 0, |n| references.add(n)),
            1 | 2 | 3 | 6 => runs(bytes, |b| b.number().map(|_| 1), 1, |n| rows.add(n)),
            4 => switches(bytes, |n| rows.add(n)),
            5 => runs(bytes, |b| b.prefixed().map(|s| s.len() as u64), 0, |n| names.add(n)),
            _ => Some(()),
        };
        for total in [&operations, &references, &names, &marks, &rows] {
            total.check()?;
        }
        whole.ok_or(cut.clone())?;
    }
    Ok(DocSize { references: references.count, names: names.count, ..size })
}

/// Walks a column of booleans: the lengths of runs of one and the other.
fn switches(bytes: &[u8], mut report: impl FnMut(u64) -> Option<()>) -> Option<()> {
    let mut rest = Bytes(bytes);
    while !rest.0.is_empty() {
        report(rest.unsigned()?)?;
    }
    Some(())
}

/// Walks a run-length encoded column and reports `length × weight` of each run. `None` if the bytes
/// end early or `report` has seen enough.
fn runs(
    bytes: &[u8],
    weight: impl Fn(&mut Bytes<'_>) -> Option<u64>,
    weight_of_null: u64,
    mut report: impl FnMut(u64) -> Option<()>,
) -> Option<()> {
    let mut rest = Bytes(bytes);
    while !rest.0.is_empty() {
        match rest.signed()? {
            0 => report(rest.unsigned()?.saturating_mul(weight_of_null))?,
            run @ 1.. => report(weight(&mut rest)?.saturating_mul(run.unsigned_abs()))?,
            literals => {
                for _ in 0..literals.unsigned_abs() {
                    report(weight(&mut rest)?)?;
                }
            }
        }
    }
    Some(())
}

struct Total {
    what: &'static str,
    count: u64,
    limit: u64,
}

impl Total {
    fn new(what: &'static str, limit: u64) -> Self {
        Total { what, count: 0, limit }
    }

    fn add(&mut self, n: u64) -> Option<()> {
        self.count = self.count.saturating_add(n);
        (self.count <= self.limit).then_some(())
    }

    fn check(&self) -> Result<(), MergeError> {
        let Total { what, count, limit } = *self;
        if count > limit { Err(MergeError::TooMany { what, count, limit }) } else { Ok(()) }
    }
}

/// Bytes not yet read. Every read answers `None` at the end.
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// One LEB128 number: its low 64 bits, how many bits were written, and its last byte.
    pub fn number(&mut self) -> Option<(u64, u32, u8)> {
        let (mut value, mut bits) = (0u64, 0u32);
        loop {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(bits).unwrap_or(0);
            bits += 7;
            if byte < 0x80 {
                return Some((value, bits, byte));
            }
            if bits >= 70 {
                return None;
            }
        }
    }

    pub fn unsigned(&mut self) -> Option<u64> {
        self.number().map(|(value, ..)| value)
    }

    pub fn signed(&mut self) -> Option<i64> {
        let (value, bits, last) = self.number()?;
        let sign = if last & 0x40 == 0 { 0 } else { u64::MAX.checked_shl(bits).unwrap_or(0) };
        Some((value | sign).cast_signed())
    }

    pub fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.unsigned()?).ok()?;
        self.take(length)
    }

    /// The columns that follow, each with its name.
    pub fn columns(&mut self, specs: Vec<(u64, usize)>) -> Option<Vec<(u64, &'a [u8])>> {
        specs.into_iter().map(|(name, length)| Some((name, self.take(length)?))).collect()
    }
}
