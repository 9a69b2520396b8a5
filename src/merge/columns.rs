//! Measures what the columns of a chunk expand to, without expanding them.
//!
//! A column is named by a number: `id << 4 | deflated << 3 | type`. All types but raw bytes are run-length
//! encoded, so a few bytes can stand for any number of rows.

use super::error::MergeError;
use super::size_bounds::DocSize;

/// Bit of a column's name that says that the column is compressed.
const DEFLATED: u64 = 1 << 3;
/// Name of the column of actions.
const ACTIONS: u64 = 4 << 4 | 2;
/// Value in the column of actions: a deletion.
const DELETE: u64 = 3;
/// Value in the column of actions: the beginning or the end of a mark.
const MARK: u64 = 7;

/// Name of the column of a saved document that has the number of changes that each change builds on.
const DEPENDENCIES: u64 = 4 << 4;
/// Name of the column of the numbers of these changes, each as its difference from the one before.
const DEPENDENCY: u64 = 4 << 4 | 3;

/// Bounds of what the columns of a chunk may expand to.
pub(super) struct Limits {
    /// Number of operations, deletions included.
    pub operations: u64,
    /// Number of references to other operations, and number of rows of any column.
    pub references: u64,
    /// Bytes of text.
    pub names: u64,
    /// Number of operations that begin or end a mark of text.
    pub marks: u64,
}

/// Reads the list of columns: the name and the length in bytes of each.
pub(super) fn specs(rest: &mut Bytes<'_>) -> Option<Vec<(u64, usize)>> {
    let mut specs = Vec::new();
    for _ in 0..rest.unsigned()? {
        specs.push((rest.unsigned()?, usize::try_from(rest.unsigned()?).ok()?));
    }
    Some(specs)
}

/// Returns the size that the columns expand to, or an error if that is over `limits`.
pub(super) fn measure(columns: Vec<(u64, &[u8])>, limits: &Limits) -> Result<DocSize, MergeError> {
    let cut = MergeError::NotAChange { why: "its columns are cut short" };
    let mut operations = Total::new("operations", limits.operations);
    let mut references = Total::new("overwritten values", limits.references);
    let mut names = Total::new("bytes of field names", limits.names);
    let mut marks = Total::new("marks of text", limits.marks);
    let mut size = DocSize::default();
    for (name, bytes) in columns {
        // A compressed column cannot be measured without inflating it, which could need any amount of memory.
        if name & DEFLATED != 0 {
            return Err(MergeError::NotAChange { why: "one of its columns is compressed" });
        }
        let mut rows = Total::new("rows in a column", limits.references);
        let whole = match name & 7 {
            // Three walks over the actions: all of them, those that stay in the document, and the marks.
            _ if name == ACTIONS => {
                let stays = |action| u64::from(action != DELETE);
                let is_mark = |action| u64::from(action == MARK);
                let add = |n| size.operations.checked_add(n).map(|sum| size.operations = sum);
                runs(bytes, |b| b.unsigned().map(|_| 1), 1, |n| operations.add(n))
                    .and_then(|()| runs(bytes, |b| b.unsigned().map(stays), 1, add))
                    .and_then(|()| runs(bytes, |b| b.unsigned().map(is_mark), 0, |n| marks.add(n)))
            }
            // Groups: each value is the number of rows that its subcolumns have for this row.
            0 => runs(bytes, |b| b.unsigned(), 0, |n| references.add(n)),
            // Numbers: actors, integers, deltas, and the types and lengths of values.
            1 | 2 | 3 | 6 => runs(bytes, |b| b.number().map(|_| 1), 1, |n| rows.add(n)),
            4 => switches(bytes, |n| rows.add(n)),
            // Texts: the names of fields.
            5 => runs(bytes, |b| b.prefixed().map(|s| s.len() as u64), 0, |n| names.add(n)),
            // Raw bytes are not encoded: they expand to nothing.
            _ => Some(()),
        };
        // A total that is over its limit has stopped the walk. It is the cause, not that the bytes end early.
        for total in [&operations, &references, &names, &marks, &rows] {
            total.check()?;
        }
        whole.ok_or(cut.clone())?;
    }
    Ok(DocSize { references: references.count, names: names.count, ..size })
}

/// Returns true if in these columns, which are about the changes of a saved document, each change builds on the one before.
pub(super) fn are_of_a_chain(columns: &[(u64, &[u8])]) -> bool {
    let count = |wanted: u64, weight: &dyn Fn(i64) -> u64| {
        let mut sum = 0u64;
        let (_, bytes) = columns.iter().find(|(name, _)| *name == wanted)?;
        runs(bytes, |b| b.signed().map(weight), 0, |n| sum.checked_add(n).map(|all| sum = all))?;
        Some(sum)
    };
    let changes = count(DEPENDENCIES, &|_| 1);
    let firsts = count(DEPENDENCIES, &|builds_on| u64::from(builds_on == 0));
    let builds_on = count(DEPENDENCIES, &|builds_on| u64::try_from(builds_on).unwrap_or(0));
    let steps = count(DEPENDENCY, &|step| u64::from(step == 1)).unwrap_or(0);
    let (Some(changes), Some(builds_on)) = (changes, builds_on) else { return false };
    // All but the first change build on one, and that is the next one each time.
    firsts == Some(1) && builds_on + 1 == changes && steps + 2 == changes.max(2)
}

/// Walks a column of booleans and reports each length of the alternating runs.
fn switches(bytes: &[u8], mut report: impl FnMut(u64) -> Option<()>) -> Option<()> {
    let mut rest = Bytes(bytes);
    while !rest.0.is_empty() {
        report(rest.unsigned()?)?;
    }
    Some(())
}

/// Walks a run-length encoded column and reports `length × weight` of each run.
///
/// Returns `None` if the bytes end early or `report` asks to stop.
fn runs(
    bytes: &[u8],
    weight: impl Fn(&mut Bytes<'_>) -> Option<u64>,
    weight_of_null: u64,
    mut report: impl FnMut(u64) -> Option<()>,
) -> Option<()> {
    let mut rest = Bytes(bytes);
    while !rest.0.is_empty() {
        // 0 starts a run of nulls, a positive number a run of one value, a negative one literal values.
        match rest.signed()? {
            0 => report(rest.unsigned()?.saturating_mul(weight_of_null))?,
            run @ 1.. => report(weight(&mut rest)?.saturating_mul(run.unsigned_abs()))?,
            // The loop is bounded although the number is not: each literal takes at least one byte.
            literals => {
                for _ in 0..literals.unsigned_abs() {
                    report(weight(&mut rest)?)?;
                }
            }
        }
    }
    Some(())
}

/// A count with a limit.
struct Total {
    what: &'static str,
    count: u64,
    limit: u64,
}

impl Total {
    fn new(what: &'static str, limit: u64) -> Self {
        Total { what, count: 0, limit }
    }

    /// Adds `n`. Returns `None` once the count is over the limit.
    fn add(&mut self, n: u64) -> Option<()> {
        self.count = self.count.saturating_add(n);
        (self.count <= self.limit).then_some(())
    }

    fn check(&self) -> Result<(), MergeError> {
        let Total { what, count, limit } = *self;
        if count > limit { Err(MergeError::TooMany { what, count, limit }) } else { Ok(()) }
    }
}

/// Bytes that are not read yet. Every read returns `None` at the end.
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Reads `count` bytes.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// Reads one LEB128 number. Returns its low 64 bits, how many bits were written, and its last byte.
    pub fn number(&mut self) -> Option<(u64, u32, u8)> {
        let (mut value, mut bits) = (0u64, 0u32);
        loop {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f).checked_shl(bits).unwrap_or(0);
            bits += 7;
            if byte < 0x80 {
                return Some((value, bits, byte));
            }
            // Ten bytes hold 64 bits. A longer number is no number that Automerge writes.
            if bits >= 70 {
                return None;
            }
        }
    }

    /// Reads an unsigned LEB128 number.
    pub fn unsigned(&mut self) -> Option<u64> {
        self.number().map(|(value, ..)| value)
    }

    /// Reads a signed LEB128 number.
    pub fn signed(&mut self) -> Option<i64> {
        let (value, bits, last) = self.number()?;
        // Bit 6 of the last byte is the sign: the bits above those written repeat it.
        let sign = if last & 0x40 == 0 { 0 } else { u64::MAX.checked_shl(bits).unwrap_or(0) };
        Some((value | sign).cast_signed())
    }

    /// Reads bytes that their length stands before.
    pub fn prefixed(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.unsigned()?).ok()?;
        self.take(length)
    }

    /// Reads the columns that `specs` lists, each with its name.
    pub fn columns(&mut self, specs: Vec<(u64, usize)>) -> Option<Vec<(u64, &'a [u8])>> {
        specs.into_iter().map(|(name, length)| Some((name, self.take(length)?))).collect()
    }
}
