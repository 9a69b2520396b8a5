//! No file handle or no thread can be had for a while. A file that cannot be opened just now is neither absent nor
//! damaged, and a later commit starts the background work that could not be started.
//!
//! The limits hold for a whole process, so each test runs a child.

use crate::support::{child, dir};
use std::process::Command;

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}

#[test]
fn reads_without_file_handles_are_right_or_fail() {
    let dir = dir();
    succeeds(child("read-without-handles").arg(dir.path()));
}

#[test]
fn compactions_without_file_handles_quarantine_nothing() {
    let dir = dir();
    succeeds(child("compact-without-handles").arg(dir.path()));
}

#[test]
fn a_sync_without_a_thread_is_started_by_a_later_commit() {
    succeeds(&mut child("sync-without-threads"));
}

#[test]
fn a_compaction_without_a_thread_is_started_by_a_later_commit() {
    succeeds(&mut child("compact-without-threads"));
}
