//! Hostile snapshots: SQLite files with more, less or other content than a snapshot has, and rows with right
//! checks around invalid documents.

use crate::bomb::{chunk, deflated_zeros, puts, run, unsigned};
use crate::child::{works_around, works_with};
use crate::made::{self, Made, row};
use crate::support::{compact_all, manual, names};
use crdt_palace::format::hash::{ChangeHash, Heads};
use crdt_palace::format::id::SnapshotId;
use crdt_palace::merge::Doc;
use crdt_palace::palace::Palace;
use crdt_palace::palace::status::SegmentState;
use rusqlite::Connection;
use std::fs::File;

const MEMORY: u64 = 200;

/// A sound snapshot, changed by these statements.
fn changed(made: &Made, statements: &str) {
    let path = made.add_snapshot(&[good_row("theirs")]);
    let connection = Connection::open(&path).unwrap();
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    connection.execute_batch(statements).unwrap();
}

fn good_row(key: &str) -> crdt_palace::snapshot::Row {
    let change = puts(1, 1, 1);
    let doc = Doc::load(&change).unwrap();
    row(key, change, doc.heads())
}

#[test]
fn snapshots_with_another_schema_are_refused() {
    let cases = [
        "CREATE TRIGGER t AFTER INSERT ON meta BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT * FROM keys",
        "CREATE TABLE more(x)",
        "CREATE INDEX i ON views(incomplete)",
        "DROP TABLE documents",
        "DROP TABLE words",
        "ALTER TABLE views RENAME TO old; CREATE VIEW views AS SELECT * FROM old",
        "ALTER TABLE keys ADD COLUMN more",
        "DROP TABLE meta",
        "PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql = \
         'CREATE TABLE views(number INTEGER PRIMARY KEY, heads BLOB AS (randomblob(1e9)), absorbed, \
          incomplete, proof, view)' WHERE name = 'views'",
    ];
    for statements in cases {
        let made = made::palace();
        changed(&made, statements);
        let before = std::fs::read(made.snapshot()).unwrap();
        let outcome = works_with(&made.path);
        outcome.tells(&format!("snapshot {}", made::SNAPSHOT));
        assert!(outcome.skipped.len() == 1, "{statements}: {:?}", outcome.skipped);
        assert!(outcome.memory < MEMORY, "{statements}: {} MiB", outcome.memory);
        assert_eq!(std::fs::read(made.snapshot()).unwrap(), before, "{statements}");
    }
}

#[test]
fn wrong_types_and_changed_values_in_snapshots_are_damage() {
    let cases = [
        "UPDATE keys SET key = x'ff00'",
        "UPDATE keys SET proof = 7",
        "UPDATE keys SET number = 9000000000",
        "UPDATE views SET heads = 'text'",
        "UPDATE views SET heads = zeroblob(100000000)",
        "UPDATE views SET incomplete = 'maybe'",
        "UPDATE views SET view = zeroblob(10)",
        "UPDATE documents SET document = zeroblob(50000000)",
        "UPDATE documents SET waiting = x'ffffffff'",
        "DELETE FROM documents",
        "DELETE FROM keys",
        "DELETE FROM meta WHERE name = 'check'",
        "UPDATE meta SET value = '4611686018427387904' WHERE name = 'documents'",
        "UPDATE meta SET value = x'00' WHERE name = 'palace'",
        "INSERT INTO words_data VALUES(77, zeroblob(1000))",
        "UPDATE words_data SET block = x'ffffffffffff'",
    ];
    for statements in cases {
        let made = made::palace();
        let path = made.add_snapshot(&[good_row("theirs")]);
        Connection::open(&path).unwrap().execute_batch(statements).unwrap();
        let outcome = works_around(&made.path);
        outcome.tells("is damaged");
        assert!(outcome.memory < MEMORY + 250, "{statements}: {} MiB", outcome.memory);
        assert!(path.exists() || names(&made.path, "trash").len() > 2, "{statements}");
    }
}

/// What a builder makes, with another value in its meta table and the check over it made right.
fn with_meta(made: &Made, name: &str, value: &str) {
    let path = made.add_snapshot(&[good_row("theirs")]);
    let connection = Connection::open(&path).unwrap();
    connection.execute("UPDATE meta SET value = ?2 WHERE name = ?1", (name, value)).unwrap();
    let mut statement = connection
        .prepare("SELECT name, value FROM meta WHERE name <> 'check' ORDER BY name")
        .unwrap();
    let pairs = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?])).unwrap();
    let pairs: Vec<[String; 2]> = pairs.map(Result::unwrap).collect();
    let mut hasher = blake3::Hasher::new();
    for part in std::iter::once("meta").chain(pairs.iter().flatten().map(String::as_str)) {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut check = [0; 16];
    hasher.finalize_xof().fill(&mut check);
    let check: String = check.iter().map(|byte| format!("{byte:02x}")).collect();
    drop(statement);
    connection.execute("UPDATE meta SET value = ?1 WHERE name = 'check'", [check]).unwrap();
}

#[test]
fn claimed_counts_are_not_trusted() {
    for (name, value) in [
        ("documents", "9223372036854775807"),
        ("documents", "18446744073709551615"),
        ("documents", "0"),
        ("commits", "18446744073709551615"),
        ("appended", "18446744073709551615"),
        ("created_ms", "-9223372036854775808"),
        ("created_ms", "9223372036854775807"),
    ] {
        let made = made::palace();
        with_meta(&made, name, value);
        let outcome = works_around(&made.path);
        if !["appended", "created_ms"].contains(&name) {
            outcome.tells("is damaged");
        }
        assert!(outcome.memory < MEMORY, "{name} {value}: {} MiB", outcome.memory);
    }
}

/// It says that it is the successor of every other snapshot, and has been for long.
#[test]
fn snapshots_of_another_palace_supersede_nothing() {
    let made = made::palace();
    let theirs = made::palace();
    let good = names(&made.path, "snap").remove(0);
    with_meta(&theirs, "supersedes", good.strip_suffix(".snap").unwrap());
    std::fs::copy(theirs.snapshot(), made.snapshot()).unwrap();
    works_with(&made.path);
    let found = manual(&made.path).get("theirs").unwrap().unwrap();
    assert_eq!(found.value, made::value(), "it is read, too");
}

#[test]
fn saved_document_bombs_are_refused_without_expanding() {
    let empty = |columns: &[(u64, Vec<u8>)], raw: &[u8]| {
        let mut body = vec![0, 0];
        body.extend(unsigned(0));
        body.extend(unsigned(columns.len() as u64));
        for (name, bytes) in columns {
            body.extend(unsigned(*name));
            body.extend(unsigned(bytes.len() as u64));
        }
        columns.iter().for_each(|(_, bytes)| body.extend(bytes));
        body.extend(raw);
        chunk(0, &body)
    };
    let actions = |count: i64| (66, [run(count), vec![1]].concat());
    let documents = [
        // 512 MiB, deflated, in a column of values.
        empty(&[(0x57 | 8, deflated_zeros(512 << 20))], &[]),
        empty(&[actions(1 << 40)], &[]),
        empty(&[(52, unsigned(1 << 60))], &[]),
        empty(&[(128, [run(3), unsigned(1 << 60)].concat())], &[]),
        // A good document, and a bomb behind it.
        [empty(&[], &[]), chunk(2, &deflated_zeros(512 << 20))].concat(),
        chunk(2, &deflated_zeros(512 << 20)),
        chunk(3, &[0xff; 100]),
    ];
    for (n, document) in documents.into_iter().enumerate() {
        let made = made::palace();
        // In a document of their own, and beside good changes of one.
        let rows =
            ["bombed", made::GOOD[2]].map(|key| row(key, document.clone(), Heads::default()));
        made.add_snapshot(&rows[..1]);
        let outcome = works_with(&made.path);
        outcome.tells("not a saved Automerge document");
        println!("{n}: {} MiB", outcome.memory);
        assert!(outcome.memory < MEMORY, "{n}: {} MiB", outcome.memory);
        let palace = manual(&made.path);
        assert!(palace.history("bombed").is_err(), "{n}");
        assert!(made.snapshot().exists(), "{n}: what cannot be read is not retired");
    }
}

/// The document in the row is sound; it is not the one that the row says it is.
#[test]
fn rows_of_another_version_do_not_stop_compaction() {
    let made = made::palace();
    let wrong = Heads::new(vec![ChangeHash([7; 32])]);
    made.add_snapshot(&[row("theirs", puts(1, 1, 1), wrong)]);
    // A change of the same document, so that compaction needs the row.
    made.add_changes("theirs", &[puts(2, 1, 1)]);
    let outcome = works_around(&made.path);
    outcome.tells("it is of another version");
    assert_eq!(outcome.skipped.len(), 1, "{:?}", outcome.skipped);
    assert!(made.snapshot().exists());
    let after = manual(&made.path).status().unwrap();
    assert!(
        after.segments.iter().all(|segment| segment.state != SegmentState::Sealed),
        "the rest was folded"
    );
}

/// A saved document with one byte changed, so that it is loaded and does not hold the changes that it says.
fn without_its_changes() -> (Vec<u8>, Heads) {
    let mut doc = Doc::load(&puts(1, 1, 3)).unwrap();
    assert!(doc.apply([&puts(2, 1, 3)[..]]).rejected.is_empty());
    let saved = doc.save();
    // Behind the magic, the checksum, the kind, and a length of two bytes.
    let body = &saved[11..];
    assert_eq!(chunk(0, body), saved);
    let forged = (0..body.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte)));
    let mut forged = forged.map(|(at, byte)| {
        let mut body = body.to_vec();
        body[at] = byte;
        chunk(0, &body)
    });
    let fits = |saved: Vec<u8>| {
        let doc = Doc::load(&saved).ok()?;
        doc.changes().is_err().then(|| (saved, doc.heads()))
    };
    forged.find_map(fits).expect("one such byte")
}

/// Automerge panics over it when it is asked for its changes.
#[test]
fn saved_documents_without_changes_do_not_stop_compaction() {
    let made = made::palace();
    let palace = manual(&made.path);
    palace.put("theirs", &made::value()).unwrap();
    compact_all(&palace);
    let (document, heads) = without_its_changes();
    made.add_snapshot(&[row("theirs", document, heads)]);
    let outcome = works_around(&made.path);
    outcome.tells("Automerge panicked over these bytes");
    assert_eq!(outcome.skipped.len(), 1, "{:?}", outcome.skipped);
    assert!(made.snapshot().exists(), "what cannot be read is not retired");
    let told = manual(&made.path).get("theirs").unwrap_err().to_string();
    assert!(told.starts_with("theirs: "), "{told}");
}

#[test]
fn invalid_views_do_not_stop_compaction() {
    let deep = "[".repeat(100_000);
    for view in ["", "[]", "{\"value\":7}", "not JSON", &deep] {
        let made = made::palace();
        made.add_snapshot(&[crdt_palace::snapshot::Row {
            view: view.to_owned(),
            ..good_row("theirs")
        }]);
        let outcome = works_with(&made.path);
        outcome.tells("theirs");
        assert_eq!(outcome.skipped.len(), 1, "{:?}", outcome.skipped);
        assert!(made.snapshot().exists());
    }
}

#[test]
fn sparse_terabyte_snapshots_are_reported_and_not_copied() {
    let made = made::palace();
    let path = made.add_snapshot(&[good_row("theirs")]);
    File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let outcome = works_with(&made.path);
    outcome.tells("bytes instead of");
    assert!(outcome.memory < MEMORY, "{} MiB", outcome.memory);
    assert!(made::blocks(&path) < 1 << 20);
    assert!(names(&made.path, "quarantine").iter().all(|name| name.ends_with(".txt")));
}

#[test]
fn newer_snapshots_are_reported_and_left_alone() {
    let made = made::palace();
    let path = made.add_snapshot(&[good_row("theirs")]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&2u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let outcome = works_with(&made.path);
    outcome.tells("and this version reads formats up to");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let palace = Palace::open_read_only(&made.path).unwrap();
    assert!(palace.get("theirs").unwrap().is_none());
    assert!(SnapshotId::to_string(&made::SNAPSHOT).len() == 32);
}
