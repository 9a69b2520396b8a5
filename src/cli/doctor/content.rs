//! Checks of a palace's files. It reads every byte, as `crdt-log verify` does.

use super::check::Check;
use super::place::mend_manifest;
use crate::cli::print::{count, finding, time};
use crate::format::FORMAT_VERSION;
use crate::format::filename::{QUARANTINE, TMP};
use crate::fs::shell::quoted;
use crate::palace::status::{LiveInstance, SegmentState, SegmentStatus, Status};
use crate::palace::verify::{Finding, Severity};
use crate::palace::{Error, Palace, StoreError, chain};
use crate::store::purge::left_behind;
use std::path::Path;

/// The time by which the newest file may be ahead of this machine's clock, in milliseconds: a minute.
const AHEAD_MS: i64 = 60_000;

/// The most findings that are listed. `crdt-log verify` lists all.
const LISTED: usize = 10;

pub(super) fn checks(palace: &Palace) -> Vec<Check> {
    let status = match palace.status() {
        Ok(status) => status,
        Err(error) => return vec![Check::failed("format", &error)],
    };
    // A directory without a manifest has nothing to check yet.
    let Some(id) = status.palace else { return Vec::new() };
    let damage = damage(palace);
    vec![
        Check::ok("format", format!("{FORMAT_VERSION}, palace {id}")),
        or_unknown("damage", damage),
        live(&status),
        versions(&status),
        or_unknown("leftovers", leftovers(palace)),
        clock(&status, palace.root().fs().now_ms()),
    ]
}

/// Makes a problem of a palace that could not be opened.
pub(super) fn not_opened(error: &Error, path: &Path) -> Check {
    let advice = match error {
        Error::Store(StoreError::Newer { .. }) => "install the newest crdt-palace".to_owned(),
        Error::Store(StoreError::Manifest { .. }) => mend_manifest(path),
        Error::Store(StoreError::NotAPalace { .. } | StoreError::NotADirectory { .. }) => {
            "pass another --palace DIR".to_owned()
        }
        error => return Check::failed("format", error),
    };
    Check::problem("format", chain(error), advice)
}

fn or_unknown(check: &'static str, found: Result<Check, Error>) -> Check {
    found.unwrap_or_else(|error| Check::failed(check, &error))
}

fn damage(palace: &Palace) -> Result<Check, Error> {
    const CHECK: &str = "damage";
    let found = palace.verify()?;
    let quarantined = palace.root().list(QUARANTINE)?.len();
    let path = quoted(palace.path());
    let whole =
        format!("{} and {}", count(found.segments, "segment"), count(found.snapshots, "snapshot"));
    let problems: Vec<&Finding> =
        found.findings.iter().filter(|it| it.severity == Severity::Problem).collect();
    Ok(match (problems.len(), quarantined) {
        (0, 0) => Check::ok(CHECK, format!("none found in {whole}; every byte was read")),
        (0, copies) => Check::note(
            CHECK,
            format!("none found in {whole}, but {} in quarantine/", count(copies, "file")),
            "empty quarantine/: nothing in the palace is damaged now",
        ),
        (number, _) => Check::problem(
            CHECK,
            format!("{} in {whole}: {}", count(number, "problem"), listed(&problems)),
            format!("put back from a copy each file that this names: crdt-log verify {path}"),
        ),
    })
}

/// Returns the first findings, one after the other.
fn listed(problems: &[&Finding]) -> String {
    let first: Vec<String> = problems.iter().take(LISTED).map(|it| finding(it)).collect();
    first.join("; ")
}

fn live(status: &Status) -> Check {
    let live = status.segments.iter().filter(|segment| segment.state == SegmentState::Live);
    let since = |segment: &SegmentStatus| time(segment.created_ms.unwrap_or(0));
    let running: Vec<String> =
        live.map(|segment| format!("{} since {}", segment.who(), since(segment))).collect();
    let instances = count(running.len(), "instance");
    match running.is_empty() {
        true => Check::ok("instances", "no process that has written is running"),
        false => Check::ok("instances", format!("{instances} running: {}", running.join(", "))),
    }
}

/// Checks that no running process is of a version that shows one of several texts.
fn versions(status: &Status) -> Check {
    let older: Vec<String> = status.instances.iter().filter(|it| it.older).map(in_words).collect();
    match older.is_empty() {
        true => Check::ok("versions", "no process of an earlier version is known to run"),
        false => Check::note(
            "versions",
            format!(
                "of a version that shows only one of several texts that were written at once: {}",
                older.join(", ")
            ),
            "restart each with the newest crdt-palace",
        ),
    }
}

fn in_words(instance: &LiveInstance) -> String {
    format!("pid {} {}", instance.pid, instance.program)
}

fn leftovers(palace: &Palace) -> Result<Check, Error> {
    let root = palace.root();
    let now_ms = root.fs().now_ms();
    let mut left = 0;
    for name in root.list(TMP)? {
        left += usize::from(left_behind(root, &root.tmp(&name), now_ms)?);
    }
    Ok(match left {
        0 => Check::ok("leftovers", "none in tmp/"),
        left => Check::note(
            "leftovers",
            format!("{} in tmp/, left by processes that were killed", count(left, "file")),
            format!(
                "nothing, as the next compaction deletes them; to do it now: crdt-compact {}",
                quoted(palace.path())
            ),
        ),
    })
}

fn clock(status: &Status, now_ms: i64) -> Check {
    // The newest file tells the time of the clock that wrote it.
    let segments = status.segments.iter().filter_map(|segment| segment.created_ms);
    let newest = segments.chain(status.snapshots.iter().map(|found| found.created_ms)).max();
    match newest {
        Some(newest) if newest > now_ms + AHEAD_MS => Check::note(
            "clock",
            format!(
                "it is {} here, and the newest file was made at {}",
                time(now_ms),
                time(newest)
            ),
            "set the clock of this machine, or of the one that wrote the file; only times in histories are wrong",
        ),
        _ => Check::ok("clock", format!("{}, after everything in the palace", time(now_ms))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;
    use serde_json::Map;

    #[test]
    fn clock_behind_the_newest_file_is_a_note() {
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path()).unwrap();
        palace.put("a", &Map::new()).unwrap();
        let status = palace.status().unwrap();
        let written = status.segments[0].created_ms.unwrap();
        assert_eq!(clock(&status, written - AHEAD_MS).verdict, Verdict::Ok);
        let behind = clock(&status, written - AHEAD_MS - 1);
        assert_eq!(behind.verdict, Verdict::Note);
        assert!(behind.found.contains(&time(written)), "{}", behind.found);
    }
}
