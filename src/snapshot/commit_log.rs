//! Reads the log of commits in a snapshot.

use super::codec::{self, Check, LogColumns};
use super::read::bytes;
use super::{LogRow, Snapshot, SnapshotError};
use crate::format::id::InstanceId;
use crate::format::sequences::Sequences;
use rusqlite::{Params, Row as Columns};
use std::collections::BTreeMap;

const NEXT: &str = "SELECT instance, sequence, time_ms, by, changes, proof FROM log \
     WHERE instance = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
const PAGE: &str = "SELECT instance, sequence, time_ms, by, changes, proof FROM log \
     WHERE (instance, sequence) > (?1, ?2) ORDER BY instance, sequence LIMIT ?3";
const BACK: &str = "SELECT instance, sequence, time_ms, by, changes, proof FROM log \
     WHERE instance = ?1 AND sequence <= ?2 ORDER BY sequence DESC LIMIT ?3";
const NUMBERS: &str = "SELECT instance, sequence FROM log ORDER BY instance, sequence";
const LAST: &str = "SELECT instance, sequence, time_ms, by, changes, proof FROM log \
     WHERE instance < ?1 ORDER BY instance DESC, sequence DESC LIMIT 1";
const FIRST: &str = "SELECT instance, sequence, time_ms, by, changes, proof FROM log \
     WHERE instance > ?1 ORDER BY instance, sequence LIMIT 1";

/// The commits of one instance in the log of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedInstance {
    /// The instance.
    pub instance: InstanceId,
    /// The time of its last commit, in milliseconds since 1970.
    pub last_time_ms: i64,
    /// The sequence numbers of its commits.
    pub sequences: Sequences,
}

/// The first or the last commit of an instance in the log of a snapshot. What it changed is not decoded: thousands of
/// instances may have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// The instance.
    pub instance: InstanceId,
    /// The sequence number.
    pub sequence: u64,
    /// The time, in milliseconds since 1970.
    pub time_ms: i64,
}

impl Snapshot {
    /// Returns the commits of `instance` with a sequence number above `sequence`, in order, at most
    /// `limit`.
    ///
    /// # Errors
    /// As [`Snapshot::get`]. Only [`Snapshot::verify`] finds damage that hides whole commits.
    pub fn log_after(
        &self,
        instance: InstanceId,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<LogRow>, SnapshotError> {
        self.log_rows(NEXT, (instance.0, bounded(sequence), bounded(limit)))
    }

    /// Returns a page of all commits, by instance and sequence number: at most `limit` of those after
    /// `after`. [`Meta::commits`](super::Meta::commits) is their number.
    ///
    /// # Errors
    /// As [`Snapshot::log_after`].
    pub fn log_page(
        &self,
        after: Option<(InstanceId, u64)>,
        limit: usize,
    ) -> Result<Vec<LogRow>, SnapshotError> {
        // An empty blob sorts before every instance.
        let (instance, sequence) = after
            .as_ref()
            .map_or((&[][..], 0), |(instance, sequence)| (&instance.0[..], bounded(*sequence)));
        self.log_rows(PAGE, (instance, sequence, bounded(limit)))
    }

    /// Returns the commits of `instance` with a sequence number of at most `sequence`, the highest first, at most
    /// `limit`.
    ///
    /// # Errors
    /// As [`Snapshot::log_after`].
    pub fn log_back_from(
        &self,
        instance: InstanceId,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<LogRow>, SnapshotError> {
        self.log_rows(BACK, (instance.0, bounded(sequence), bounded(limit)))
    }

    /// Returns the instances that made commits, in descending order of their ids. The snapshot keeps the result: a
    /// follower asks once a second, and thousands of instances may have written.
    ///
    /// # Errors
    /// As [`Snapshot::log_after`].
    pub fn log_instances(&self) -> Result<&[LoggedInstance], SnapshotError> {
        if let Some(found) = self.instances.get() {
            return Ok(found);
        }
        let found = self.find_instances()?;
        Ok(self.instances.get_or_init(|| found))
    }

    fn find_instances(&self) -> Result<Box<[LoggedInstance]>, SnapshotError> {
        let logged = |end: LogEnd| {
            let LogEnd { instance, sequence, time_ms } = end;
            let sequences = Sequences::up_to(sequence);
            LoggedInstance { instance, last_time_ms: time_ms, sequences }
        };
        // A blob that is longer than every instance sorts after all of them.
        let lasts = self.log_ends(LAST, vec![u8::MAX; 17])?;
        let mut instances: Box<[_]> = lasts.into_iter().map(logged).collect();
        // If the highest numbers add up to the number of commits, no number below them is missing.
        let highest = instances.iter().map(|one| u128::from(one.sequences.last())).sum::<u128>();
        if highest != u128::from(self.meta().commits) {
            let numbers = self.log_numbers()?;
            for one in &mut instances {
                one.sequences = numbers.get(&one.instance).cloned().unwrap_or_default();
            }
        }
        Ok(instances)
    }

    /// Reads all sequence numbers.
    fn log_numbers(&self) -> Result<BTreeMap<InstanceId, Sequences>, SnapshotError> {
        let connection = self.connection();
        let mut statement = self.sql(connection.prepare_cached(NUMBERS))?;
        let mut rows = self.sql(statement.query([]))?;
        let mut numbers: BTreeMap<_, Sequences> = BTreeMap::new();
        while let Some(columns) = self.sql(rows.next())? {
            let sequence: i64 = self.sql(columns.get(1))?;
            let sequence = self.decoded(None, u64::try_from(sequence).ok())?;
            numbers.entry(InstanceId(self.sql(columns.get(0))?)).or_default().insert(sequence);
        }
        Ok(numbers)
    }

    /// Returns the first commit of each instance, in ascending order of their ids.
    ///
    /// # Errors
    /// As [`Snapshot::log_after`].
    pub fn log_firsts(&self) -> Result<Vec<LogEnd>, SnapshotError> {
        // An empty blob sorts before every instance.
        self.log_ends(FIRST, Vec::new())
    }

    /// One descent for each instance is far less than reading the whole log.
    fn log_ends(&self, sql: &str, mut from: Vec<u8>) -> Result<Vec<LogEnd>, SnapshotError> {
        let end = |columns: LogColumns<'_>| {
            let LogColumns { instance, sequence, time_ms, .. } = columns;
            Ok(LogEnd { instance, sequence, time_ms })
        };
        let mut ends = Vec::new();
        while let Some(end) = self.log_columns(sql, [&from], end)?.pop() {
            from = end.instance.0.to_vec();
            ends.push(end);
        }
        Ok(ends)
    }

    fn log_rows(&self, sql: &str, parameters: impl Params) -> Result<Vec<LogRow>, SnapshotError> {
        self.log_columns(sql, parameters, |columns| {
            let LogColumns { instance, sequence, time_ms, by, changes } = columns;
            let by = self.decoded(None, std::str::from_utf8(by).ok())?.to_owned();
            let changes = self.decoded(None, codec::unpack_changes(changes))?;
            Ok(LogRow { instance, sequence, time_ms, by, changes })
        })
    }

    /// Decodes the rows that a statement finds, after their checks.
    fn log_columns<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        decode: impl Fn(LogColumns<'_>) -> Result<T, SnapshotError>,
    ) -> Result<Vec<T>, SnapshotError> {
        let connection = self.connection();
        let mut statement = self.sql(connection.prepare_cached(sql))?;
        let mut found = self.sql(statement.query(parameters))?;
        let mut rows = Vec::new();
        while let Some(columns) = self.sql(found.next())? {
            rows.push(decode(self.checked_columns(columns)?)?);
        }
        Ok(rows)
    }

    fn checked_columns<'c>(
        &self,
        columns: &'c Columns<'_>,
    ) -> Result<LogColumns<'c>, SnapshotError> {
        let instance = InstanceId(self.sql(columns.get(0))?);
        let sequence: i64 = self.sql(columns.get(1))?;
        let sequence = self.decoded(None, u64::try_from(sequence).ok())?;
        let time_ms = self.sql(columns.get(2))?;
        let (by, changes) = (self.sql(bytes(columns, 3))?, self.sql(bytes(columns, 4))?);
        let proof: Check = self.sql(columns.get(5))?;
        let columns = LogColumns { instance, sequence, time_ms, by, changes };
        if columns.check() != proof {
            let what = format!("the check of commit {sequence} of {instance} does not fit");
            return Err(self.damaged(None, &what));
        }
        Ok(columns)
    }
}

/// Limits a number to SQLite's largest integer, 2⁶³ − 1. The builder accepts no larger ones.
fn bounded(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
