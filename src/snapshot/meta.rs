//! The metadata of a snapshot.

use super::codec::meta_check;
use crate::format::FORMAT_VERSION;
use crate::format::id::{IdError, PalaceId, SegmentId, SnapshotId};
use rusqlite::Connection;
use std::str::FromStr;

/// The metadata of a snapshot. In the file it is text, one row a field, for people to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its own id, which is also its file name.
    pub snapshot: SnapshotId,
    /// The palace it belongs to.
    pub palace: PalaceId,
    /// The time it was built, in milliseconds since 1970.
    pub created_ms: i64,
    /// The segments that were its direct inputs.
    pub covers: Vec<SegmentId>,
    /// The snapshots that were its inputs.
    pub supersedes: Vec<SnapshotId>,
    /// Snapshots that were live as well and were no inputs. If a document stands in one of them and in
    /// this one, one of the two rows is known to contain the other.
    pub beside: Vec<SnapshotId>,
    /// True if the views and the word index are as this version makes them. Earlier versions indexed the shown value of a
    /// conflict alone, and hid what was edited in an object that was removed at once.
    pub all_readings: bool,
    /// The bytes of segments that flowed into it, directly or through other snapshots. They decide its
    /// size tier.
    pub appended: u64,
    /// The number of its documents. The builder counts them and ignores the caller's number.
    pub documents: u64,
    /// The number of commits in its log. The builder counts them and ignores the caller's number.
    pub commits: u64,
}

/// The metadata as stored, with the parts that only this layer needs.
pub(super) struct Stored {
    pub(super) meta: Meta,
    /// The check over the tables of the word index, in hex.
    pub(super) index: String,
}

/// The row that says of which readings of a conflict the words are in the index. The first snapshots had no such row.
const READINGS: &str = "readings";
/// Its one value.
const ALL_READINGS: &str = "all, with kept objects";

type Pairs = Vec<(&'static str, String)>;

impl Stored {
    fn pairs(&self) -> Pairs {
        let meta = &self.meta;
        let mut pairs = vec![
            ("about", "a snapshot of a crdt-palace; never change it".to_owned()),
            ("appended", meta.appended.to_string()),
            ("beside", list(&meta.beside)),
            ("commits", meta.commits.to_string()),
            ("covers", list(&meta.covers)),
            ("created_ms", meta.created_ms.to_string()),
            ("documents", meta.documents.to_string()),
            ("format", FORMAT_VERSION.to_string()),
            ("index", self.index.clone()),
            ("library", env!("CARGO_PKG_VERSION").to_owned()),
            ("palace", meta.palace.to_string()),
            ("snapshot", meta.snapshot.to_string()),
            ("supersedes", list(&meta.supersedes)),
        ];
        if meta.all_readings {
            pairs.push((READINGS, ALL_READINGS.to_owned()));
        }
        // The check is over the rows in the order of their names.
        pairs.sort_unstable();
        pairs
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut pairs = self.pairs();
        pairs.push(("check", hex(&meta_check(&pairs))));
        let mut insert = connection.prepare("INSERT INTO meta(name, value) VALUES(?1, ?2)")?;
        pairs.iter().try_for_each(|(name, value)| insert.execute((name, value)).map(drop))
    }

    /// Reads it back. The inner error is the problem with it.
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Result<Self, String>> {
        let mut statement = connection.prepare("SELECT name, value FROM meta ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let pairs: Vec<(String, String)> = rows.collect::<Result<_, _>>()?;
        Ok(Self::parse(&pairs))
    }

    fn parse(pairs: &[(String, String)]) -> Result<Self, String> {
        let (check, rest): (Vec<_>, Vec<_>) = pairs.iter().partition(|(name, _)| name == "check");
        let rest: Vec<(&str, String)> =
            rest.into_iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        match check.as_slice() {
            [(_, check)] if *check == hex(&meta_check(&rest)) => {}
            _ => return Err("the check over its meta table does not fit".to_owned()),
        }
        let field = |wanted: &'static str| {
            let found = rest.iter().find(|(name, _)| *name == wanted);
            found.map(|(_, value)| value.as_str()).ok_or_else(|| format!("{wanted} is missing"))
        };
        let meta = Meta {
            snapshot: parse(field("snapshot")?)?,
            palace: parse(field("palace")?)?,
            created_ms: parse(field("created_ms")?)?,
            covers: parse_list(field("covers")?)?,
            supersedes: parse_list(field("supersedes")?)?,
            // The first snapshots had no such row. An empty list is always right.
            beside: field("beside").map_or(Ok(Vec::new()), parse_list)?,
            all_readings: field(READINGS) == Ok(ALL_READINGS),
            appended: parse(field("appended")?)?,
            documents: parse(field("documents")?)?,
            commits: parse(field("commits")?)?,
        };
        Ok(Stored { meta, index: field("index")?.to_owned() })
    }
}

fn list(ids: &[impl ToString]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn parse_list<Id: FromStr<Err = IdError>>(text: &str) -> Result<Vec<Id>, String> {
    text.split_whitespace().map(parse).collect()
}

fn parse<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("meta value {text:?}: {error}"))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
