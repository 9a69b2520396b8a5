//! The text of every error of the library, with its causes, as a person reads it.
//!
//! Each list has a line for every variant: a variant without one does not compile. A text that reads badly is to be
//! changed in the error, and then here.

use super::view::document::Document;
use super::{Error, Key, chain};
use crate::format::hash::{ChangeHash, Etag, EtagError, Heads};
use crate::format::id::{IdError, SnapshotId};
use crate::format::key::KeyError;
use crate::format::manifest::ManifestError;
use crate::format::record::RecordError;
use crate::fs::FsError;
use crate::fs::fs_type::FileSystem;
use crate::merge::{Doc, MergeError, ValueType};
use crate::segment::SegmentError;
use crate::snapshot::SnapshotError;
use crate::store::StoreError;
use crate::store::read_only::ReadOnlyReason;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Compares the text of each error with the one that stands beside it. The patterns are also the arms of a `match`, so
/// that a new variant does not compile until it has a line.
macro_rules! assert_texts {
    ($enum:ident: $($variant:pat, $error:expr => $text:expr;)+) => {{
        #[allow(unreachable_patterns, reason = "a variant may have several texts")]
        fn has_a_line(error: &$enum) -> bool {
            match error { $($variant => true,)+ }
        }
        let mut wrong = Vec::new();
        $({
            let error: $enum = $error;
            assert!(has_a_line(&error) && matches!(&error, $variant), "{error:?}");
            let text = chain(&error);
            if text != $text {
                wrong.push(format!("{text}\n  instead of\n{}", $text));
            }
        })+
        assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    }};
}

fn key() -> Key {
    Key::new("notes/plan").unwrap()
}

fn path() -> PathBuf {
    "/p".into()
}

fn snapshot() -> SnapshotId {
    SnapshotId([0x0f; 16])
}

fn etag() -> Etag {
    "0f0f0f0f0f0f0f0f".parse().unwrap()
}

fn no_json() -> serde_json::Error {
    serde_json::from_str::<u8>("x").unwrap_err()
}

fn denied() -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

fn fs_error() -> FsError {
    FsError { action: "open", path: "/p/palace.json".into(), source: denied() }
}

#[test]
fn texts_of_key_and_id_errors_are_the_reviewed_ones() {
    assert_texts!(KeyError:
        KeyError::Empty, KeyError::Empty => "a document key needs at least one character";
        KeyError::TooLong { .. }, KeyError::TooLong { length: 513, start: "kkk".to_owned() } =>
            "a document key has at most 512 bytes; this one has 513: kkk…";
        KeyError::Control { .. }, KeyError::Control { character: '\t', at: 1 } =>
            "a document key has no control characters; this one has '\\t' at byte 1";
    );
    assert_texts!(EtagError:
        EtagError { .. }, EtagError { text: "latest".to_owned() } =>
            "\"latest\" is not an etag: expected 16 lower-case hex digits for each head, joined by '.'";
    );
    assert_texts!(IdError:
        IdError { .. }, IdError { text: "one".to_owned() } => "\"one\" is not 32 lower-case hex digits";
    );
}

#[test]
fn texts_of_file_errors_are_the_reviewed_ones() {
    assert_texts!(FsError:
        FsError { .. }, fs_error() => "cannot open /p/palace.json: permission denied";
    );
    assert_texts!(ManifestError:
        ManifestError::Json(_), ManifestError::Json(no_json()) =>
            "it is not the palace.json of a palace: expected value at line 1 column 1";
        ManifestError::Newer { .. }, ManifestError::Newer { found: 9 } =>
            "it has format 9, and this version reads formats up to 1; upgrade crdt-palace";
    );
    assert_texts!(RecordError:
        RecordError::Short, RecordError::Short => "the record is cut off";
        RecordError::Magic, RecordError::Magic => "no record starts here";
        RecordError::Version(_), RecordError::Version(9) =>
            "the record has format 9, and this version reads formats up to 1; upgrade crdt-palace";
        RecordError::Field(_), RecordError::Field("reserved bytes") =>
            "a field of the record has a value that no writer gives it: reserved bytes";
        RecordError::Checksum, RecordError::Checksum => "the record's checksum does not match its bytes";
        RecordError::Body(_), RecordError::Body("a key is not UTF-8") =>
            "the record's body is malformed: a key is not UTF-8";
        RecordError::Beyond, RecordError::Beyond =>
            "a segment has at most 67108864 bytes; the rest of the file is not read";
        RecordError::TooLarge(_), RecordError::TooLarge(9_000_000) =>
            "a commit has at most 8388556 bytes of changes; this one has 9000000: split it into several";
    );
    assert_texts!(SegmentError:
        SegmentError::Fs(_), SegmentError::Fs(fs_error()) =>
            "cannot open /p/palace.json: permission denied";
        SegmentError::Short { .. }, SegmentError::Short { path: "/p/open/a.seg".into(), written: 3, wanted: 9 } =>
            "only 3 of 9 bytes were written to /p/open/a.seg; free disk space, or raise the limit of file sizes \
             (ulimit -f), and try again";
        SegmentError::Record(_), SegmentError::Record(RecordError::Short) => "the record is cut off";
    );
}

#[test]
fn texts_of_snapshot_errors_are_the_reviewed_ones() {
    let id = snapshot();
    let damaged = |key: Option<&str>| SnapshotError::Damaged {
        snapshot: id,
        key: key.map(str::to_owned),
        what: "a checksum does not match".to_owned(),
        source: None,
    };
    let sqlite = || rusqlite::Error::InvalidQuery;
    assert_texts!(SnapshotError:
        SnapshotError::Damaged { .. }, damaged(None) => format!(
            "snapshot {id} is damaged: a checksum does not match; do not delete it: `crdt-log verify` tells what \
             it still holds"
        );
        SnapshotError::Damaged { .. }, damaged(Some("k")) => format!(
            "snapshot {id} is damaged: a checksum does not match (document \"k\"); do not delete it: `crdt-log \
             verify` tells what it still holds"
        );
        SnapshotError::Newer { .. }, SnapshotError::Newer { snapshot: id, version: 9 } => format!(
            "snapshot {id} has format 9, and this version reads formats up to 1; upgrade crdt-palace"
        );
        SnapshotError::NotASnapshot { .. },
            SnapshotError::NotASnapshot { snapshot: id, what: "its application id is 0".to_owned() } => format!(
            "the file of snapshot {id} is not a snapshot: its application id is 0; move it out of the palace"
        );
        SnapshotError::WrongId { .. }, SnapshotError::WrongId { expected: id, found: SnapshotId([1; 16]) } => format!(
            "the file of snapshot {id} holds snapshot {0}; rename it to {0}.snap", SnapshotId([1; 16])
        );
        SnapshotError::Open { .. }, SnapshotError::Open { snapshot: id, source: denied() } =>
            format!("snapshot {id} cannot be opened: permission denied");
        SnapshotError::Read { .. }, SnapshotError::Read { snapshot: id, source: sqlite() } =>
            format!("snapshot {id} cannot be read: Query is not read-only");
        SnapshotError::Build { .. }, SnapshotError::Build { snapshot: id, source: sqlite() } =>
            format!("snapshot {id} cannot be built: Query is not read-only");
        SnapshotError::NotEmpty { .. }, SnapshotError::NotEmpty { snapshot: id } =>
            format!("snapshot {id} cannot be built: its file has content already");
        SnapshotError::Unordered { .. },
            SnapshotError::Unordered { snapshot: id, key: "a".to_owned(), previous: "b".to_owned() } =>
            format!("snapshot {id} cannot be built: \"a\" was added after \"b\"");
        SnapshotError::TooLarge { .. }, SnapshotError::TooLarge { snapshot: id, what: "a document" } =>
            format!("snapshot {id} cannot be built: a document is too large");
    );
}

#[test]
fn texts_of_changes_that_are_refused_are_the_reviewed_ones() {
    let actor = || "0f0f".to_owned();
    assert_texts!(MergeError:
        MergeError::NotAChange { .. }, MergeError::NotAChange { why: "it is cut off" } =>
            "not an uncompressed Automerge change: it is cut off";
        MergeError::Checksum, MergeError::Checksum =>
            "the change is damaged: its checksum does not match its content; look for a copy of the file that it \
             comes from";
        MergeError::TooMany { .. }, MergeError::TooMany { what: "operations", count: 9, limit: 8 } =>
            "a change has at most 8 operations; this one has 9: split it into smaller writes";
        MergeError::TooMany { .. }, MergeError::TooMany { what: "marks", count: 9, limit: 0 } =>
            "a change has at most 0 marks; this one has 9";
        MergeError::HistoryTooLong { .. }, MergeError::HistoryTooLong { what: "operations", count: 9, limit: 8 } =>
            "a document has at most 8 operations in its whole history, and this change would make it 9: write the \
             present value to a document of another key";
        MergeError::CounterTooFar { .. }, MergeError::CounterTooFar { start: 9, before: 2 } =>
            "operation counter 9 is too far ahead: the changes before it end at 2; to go on writing, put the value \
             under another key";
        MergeError::CounterMisplaced { .. }, MergeError::CounterMisplaced { start: 2, before: 9 } =>
            "operation counter 2 does not go on from the changes before it, which end at 9";
        MergeError::MalformedOperation { .. },
            MergeError::MalformedOperation { counter: 7, why: "it sets a key of a list" } =>
            "operation 7 of the change is malformed: it sets a key of a list";
        MergeError::SequenceGap { .. }, MergeError::SequenceGap { actor: actor(), sequence: 3 } =>
            "change number 3 of actor 0f0f does not build on the actor's change before it";
        MergeError::DuplicateSequence { .. }, MergeError::DuplicateSequence { actor: actor(), sequence: 3 } =>
            "actor 0f0f has already made another change number 3: two processes have written under one id, such as \
             a program and a copy of it made while it ran";
        MergeError::NotCanonical, MergeError::NotCanonical =>
            "the change is not in canonical form: Automerge would not return it byte for byte";
        MergeError::CounterRange { .. }, MergeError::CounterRange { now: 7, by: 2, limit: 8 } =>
            "the counter is 7, and would be beyond 8 after adding 2: store larger numbers as text";
        MergeError::Refused { .. }, MergeError::Refused { why: "invalid object id".to_owned() } =>
            "Automerge refused: invalid object id";
        MergeError::Panicked { .. }, MergeError::Panicked { why: "index out of bounds".to_owned() } =>
            "Automerge panicked over these bytes: index out of bounds";
        MergeError::NotADocument { .. }, MergeError::NotADocument { why: "it is cut off".to_owned() } =>
            "not a saved Automerge document: it is cut off";
        MergeError::UnknownVersion { .. }, MergeError::UnknownVersion { hash: ChangeHash([0x0f; 32]) } => format!(
            "this document has no change {}; read it again and use the etag that you get", "0f".repeat(32)
        );
        MergeError::TooLarge { .. }, MergeError::TooLarge { bytes: 9, limit: 8 } =>
            "a value has at most 8 bytes of JSON; this one has 9: split it over several keys";
        MergeError::TooDeep { .. }, MergeError::TooDeep { limit: 64 } =>
            "maps and lists nest at most 64 deep: make the value flatter";
        MergeError::WrongType { .. },
            MergeError::WrongType { path: "/n".to_owned(), found: ValueType::Map, wanted: ValueType::Counter } =>
            "/n holds a map, not a counter";
        MergeError::NotAnObject { .. }, MergeError::NotAnObject { found: ValueType::List } =>
            "a document is a JSON object, and this value is a list; put it into a field of an object";
        MergeError::NotJson { .. }, MergeError::NotJson { why: "key must be a string".to_owned() } =>
            "the value cannot be written as JSON: key must be a string";
        MergeError::EmptyPath, MergeError::EmptyPath => "the path is empty: name at least one field";
        MergeError::NoConflict { .. }, MergeError::NoConflict { path: "/text".to_owned() }
            => "there is no such conflict at /text now: read the document again";
    );
}

#[test]
fn texts_of_store_errors_are_the_reviewed_ones() {
    let source = || Arc::new(StoreError::Fs(fs_error()));
    let manifest = "/p/palace.json";
    assert_texts!(StoreError:
        StoreError::Fs(_), StoreError::Fs(fs_error()) => "cannot open /p/palace.json: permission denied";
        StoreError::Segment(_), SegmentError::Record(RecordError::Short).into() => "the record is cut off";
        StoreError::Snapshot(_), SnapshotError::NotEmpty { snapshot: snapshot() }.into() => format!(
            "snapshot {} cannot be built: its file has content already", snapshot()
        );
        StoreError::NoPalace { .. }, StoreError::NoPalace { path: path() } =>
            "there is no palace at /p; check the path, or write to it once to create one";
        StoreError::NotAPalace { .. }, StoreError::NotAPalace { path: path() } =>
            "/p is not a palace: it has files but no palace.json; name an empty or a new directory, or if a palace was \
             there, call crdt-palace doctor";
        StoreError::NotADirectory { .. }, StoreError::NotADirectory { path: path() } =>
            "/p cannot be a palace: it, or a part of its path, is a file and not a directory; choose another path";
        StoreError::Newer { .. }, StoreError::Newer { path: path(), found: 9 } =>
            "the palace at /p has format 9, and this version reads formats up to 1; upgrade crdt-palace";
        StoreError::Manifest { .. },
            StoreError::Manifest { path: manifest.into(), source: ManifestError::Json(no_json()) } =>
            "/p/palace.json is damaged; crdt-palace doctor says how to make it again: it is not the palace.json of a palace: \
             expected value at line 1 column 1";
        StoreError::Replaced { .. }, StoreError::Replaced { path: path() } =>
            "another palace was put in the place of the one at /p while this was written";
        StoreError::Gone { .. }, StoreError::Gone { path: "/it's".into(), to: None, files_remain: true } =>
            "the palace at /it's is not there any more: its palace.json is gone, and its other files are there; the \
             command that makes it again is printed by: crdt-palace doctor '/it'\\''s'";
        StoreError::Gone { .. }, StoreError::Gone { path: path(), to: None, files_remain: false } =>
            "the palace at /p is not there any more: it was deleted, or moved to another disk; put it back, or restart \
             this program to begin a new palace there";
        StoreError::Gone { .. }, StoreError::Gone { path: path(), to: Some("/q".into()), files_remain: false } =>
            "the palace at /p is not there any more: its directory is /q now; move it back, or restart this program \
             with that path";
        StoreError::WentBack { .. }, StoreError::WentBack { path: path() } =>
            "the palace at /p went back to an older state meanwhile";
        StoreError::Unmounted { .. }, StoreError::Unmounted { path: path() } =>
            "the file system of the palace at /p is not mounted any more: mount it again; or restart this program to \
             create a new palace there";
        StoreError::ReadOnly { .. }, StoreError::ReadOnly { path: path(), reason: ReadOnlyReason::NotOwner } =>
            "the palace at /p cannot be written: only the owner of the directory writes or compacts; run as that user";
        StoreError::ReadOnly { .. }, StoreError::ReadOnly { path: path(), reason: ReadOnlyReason::MountedReadOnly } =>
            "the palace at /p cannot be written: its file system is mounted read-only";
        StoreError::Busy { .. }, StoreError::Busy { path: "/p/CAS".into(), holder: "pid 7 crdt-palace".to_owned() } =>
            "/p/CAS is locked by another process (pid 7 crdt-palace)";
        StoreError::LockUntrusted { .. },
            StoreError::LockUntrusted { path: path(), file_system: FileSystem::Nfs } =>
            "conditional writes need a file system whose locks can be trusted, and /p is on nfs; write without a \
             condition, or move the palace to a local disk";
        StoreError::Invisible { .. }, StoreError::Invisible { path: path(), file_system: FileSystem::Fuse } =>
            "on the file system of /p (fuse), processes do not see what others write to an open file; move the palace \
             to a local disk";
        StoreError::OutcomeUnknown { .. }, StoreError::OutcomeUnknown { source: source() } =>
            "the write's outcome is unknown: it may have been written, so read before you repeat it: cannot open \
             /p/palace.json: permission denied";
        StoreError::NotWritten { .. }, StoreError::NotWritten { source: source() } =>
            "nothing was written: cannot open /p/palace.json: permission denied";
    );
}

#[test]
fn texts_of_reads_and_writes_are_the_reviewed_ones() {
    let heads = Heads::new(vec![ChangeHash([0x0f; 32])]);
    let now = Document::of(key(), heads, Doc::new().view(), false).map(Box::new);
    let merge_error = || MergeError::NotAnObject { found: ValueType::Number };
    assert_texts!(Error:
        Error::Store(_), Error::Store(StoreError::Replaced { path: path() }) =>
            "another palace was put in the place of the one at /p while this was written; try again";
        Error::Store(_),
            Error::Store(StoreError::Busy { path: "/p/CAS".into(), holder: "pid 7 crdt-palace".to_owned() }) =>
            "/p/CAS is locked by another process (pid 7 crdt-palace); nothing was written: try again";
        Error::Store(_), Error::Store(StoreError::NoPalace { path: path() }) =>
            "there is no palace at /p; check the path, or write to it once to create one";
        Error::Snapshot(_), SnapshotError::NotEmpty { snapshot: snapshot() }.into() => format!(
            "snapshot {} cannot be built: its file has content already", snapshot()
        );
        Error::Key(_), KeyError::Empty.into() => "a document key needs at least one character";
        Error::Document { .. }, Error::Document { key: key(), source: merge_error() } =>
            "notes/plan: a document is a JSON object, and this value is a number; put it into a field of an object";
        Error::Type { .. }, Error::Type { key: key(), source: no_json() } =>
            "the value of notes/plan is not of the type that the program reads it as: expected value at line 1 column 1";
        Error::View { .. }, Error::View { key: key(), source: no_json() } =>
            "a snapshot's view of notes/plan cannot be read; run `crdt-log verify` for details: expected value at line \
             1 column 1";
        Error::EtagMismatch { .. }, Error::EtagMismatch { key: key(), current: now } =>
            "ETAG_MISMATCH: notes/plan is at version 0f0f0f0f0f0f0f0f now: read it again, apply your change to what \
             you find, and retry";
        Error::EtagMismatch { .. }, Error::EtagMismatch { key: key(), current: None } =>
            "ETAG_MISMATCH: notes/plan is not there now: read it again, apply your change to what you find, and retry";
        Error::Unreadable { .. }, Error::Unreadable { snapshot: snapshot() } => format!(
            "snapshot {} cannot be read, so the condition cannot be checked; run `crdt-log verify` for details",
            snapshot()
        );
        Error::NoSuchVersion { .. }, Error::NoSuchVersion { key: key(), etag: etag() } =>
            "notes/plan has no version 0f0f0f0f0f0f0f0f; `history` lists the versions it has";
        Error::Cursor { .. }, Error::Cursor { text: "x".to_owned() } =>
            "\"x\" is not a cursor of this call: pass back the next_cursor of an earlier call, or none";
        Error::EmptyQuery, Error::EmptyQuery => "the query has no word; name at least one letter or digit";
        Error::EmptyBatch, Error::EmptyBatch => "the batch has no write; add at least one before the commit";
        Error::TwoWrites { .. }, Error::TwoWrites { key: key() } =>
            "the batch has two writes of notes/plan; put both changes into one write, or commit twice";
        Error::Nested, Error::Nested =>
            "this thread is in the middle of a write to the same palace: the closure of a write may read; call other \
             writes, sync, seal, compact and close after it";
        Error::Unverified { .. },
            Error::Unverified { problem: "lacks version 0f of notes/plan".to_owned() } =>
            "the new snapshot lacks version 0f of notes/plan; it was not published, and nothing was changed";
        Error::Unverified { .. },
            Error::Unverified { problem: "holds notes/plan, which no input has".to_owned() } =>
            "the new snapshot holds notes/plan, which no input has; it was not published, and nothing was changed";
        Error::Exists { .. }, Error::Exists { path: path() } => "/p exists already; name a directory that does not";
        Error::Inside { .. }, Error::Inside { into: "/p/new".into(), path: path() } =>
            "/p and /p/new are one inside the other; name a directory outside of the palaces";
        Error::NothingToForget { .. }, Error::NothingToForget { names: vec!["a".to_owned(), "b".to_owned()] } =>
            "none of the palaces has a, b: nothing was written; `crdt-log dump --raw` shows the keys";
        Error::Unread { .. }, Error::Unread { path: "/p/snap/a.snap".into() } =>
            "/p/snap/a.snap cannot be read, and the merge would lack the changes that only this file holds; run \
             `crdt-log verify` for details";
        Error::Damaged { .. }, Error::Damaged { path: "/p/sealed/a.seg".into(), offset: 50 } =>
            "/p/sealed/a.seg is damaged at byte 50; run `crdt-log verify` for details";
    );
}
