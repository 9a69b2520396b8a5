//! Files with odd names, files of other kinds, and that no file appears beside a snapshot.

use super::*;
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn build_at(path: &Path, rows: &[Row], log: &[LogRow]) -> Meta {
    let mut builder = Builder::at(path, meta()).unwrap();
    fill(&mut builder, rows, log);
    builder.finish().unwrap()
}

fn built(rows: &[Row]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshot");
    build_at(&path, rows, &[commit(1, 1)]);
    (directory, path)
}

fn open_at(path: &Path) -> Result<Snapshot, SnapshotError> {
    Snapshot::open(Source::Path(path), ID)
}

/// Returns the file of ten rows after `sql` was executed on it, without regard for any rule.
fn tampered(sql: &str) -> Result<Snapshot, SnapshotError> {
    let (_directory, path) = built(&rows(10));
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    let bytes = fs::read(&path).unwrap();
    open(bytes)
}

fn names_in(directory: &Path) -> Vec<std::ffi::OsString> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_file_and_its_bytes_read_the_same() {
    let (_directory, path) = built(&rows(50));
    let from_bytes = open(fs::read(&path).unwrap()).unwrap();
    let from_file = open_at(&path).unwrap();
    assert_eq!(from_file.meta(), from_bytes.meta());
    assert_eq!(from_file.rows_after(None, 99).unwrap(), rows(50));
    assert_eq!(from_bytes.rows_after(None, 99).unwrap(), rows(50));
    assert_eq!(problems(&from_file), [""; 0]);
}

#[test]
fn any_file_name_works() {
    let directory = tempfile::tempdir().unwrap();
    let odd = [
        "a b",
        "100%25.db",
        "q?mode=memory",
        "x#y",
        "file:x",
        ":memory:",
        "a&b=c;d",
        "\"'`",
        "é東\u{1f600}",
        "new\nline",
        "-journal",
        "tab\t",
        "\\back",
        "trailing ",
        "a+b",
        "%00",
    ];
    for (n, name) in odd.into_iter().enumerate() {
        let path = directory.path().join(name);
        build_at(&path, &rows(n), &[]);
        assert!(path.is_file(), "{name:?}");
        assert_eq!(open_at(&path).unwrap().rows_after(None, 99).unwrap(), rows(n), "{name:?}");
    }
    assert_eq!(names_in(directory.path()).len(), odd.len(), "nothing but these was created");
}

#[test]
fn a_file_name_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff?\xfe%"));
    build_at(&path, &rows(3), &[]);
    assert_eq!(open_at(&path).unwrap().rows_after(None, 9).unwrap(), rows(3));
    assert_eq!(names_in(directory.path()), [path.file_name().unwrap()]);
}

#[test]
fn a_relative_path_works() {
    let (_directory, path) = built(&rows(3));
    let up = std::env::current_dir().unwrap().components().count();
    let mut relative: PathBuf = vec![".."; up].into_iter().collect();
    relative.push(path.strip_prefix("/").unwrap());
    assert!(relative.is_relative());
    assert_eq!(open_at(&relative).unwrap().rows_after(None, 9).unwrap(), rows(3));
}

#[test]
fn the_file_grows_while_it_is_built_and_stays_the_only_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshot");
    let mut builder = Builder::at(&path, meta()).unwrap();
    let mut row = row("0", 3);
    row.document = vec![7; 100_000];
    for n in 0..200 {
        row.key = key(&format!("{n:03}"));
        builder.add(&row, &text(&row)).unwrap();
        builder.add_log(&commit(1, n)).unwrap();
    }
    let written = fs::metadata(&path).unwrap().len();
    assert!(written > 14_000_000, "{written} of 20,000,000 bytes are in the file");
    assert_eq!(names_in(directory.path()), ["snapshot"]);
    builder.finish().unwrap();
    assert_eq!(names_in(directory.path()), ["snapshot"]);
    assert_eq!(problems(&open_at(&path).unwrap()), [""; 0]);
}

#[test]
fn an_open_snapshot_can_be_moved_and_removed() {
    let (directory, path) = built(&rows(300));
    let snapshot = open_at(&path).unwrap();
    let moved = directory.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    assert_eq!(snapshot.get("drawer/0007").unwrap(), Some(rows(8).remove(7)));
    fs::remove_file(&moved).unwrap();
    assert_eq!(snapshot.rows_after(None, 999).unwrap(), rows(300));
}

#[test]
fn the_mode_of_an_empty_file_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("snapshot");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    build_at(&path, &rows(3), &[]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn build_over_existing_content_is_refused() {
    let (_directory, path) = built(&rows(3));
    let text = path.with_file_name("text");
    fs::write(&text, "some text").unwrap();
    for path in [&path, &text] {
        let before = fs::read(path).unwrap();
        let error = Builder::at(path, meta()).unwrap_err();
        assert!(matches!(error, SnapshotError::NotEmpty { .. }), "{error}");
        assert_eq!(fs::read(path).unwrap(), before);
    }
    let error = Builder::at(&path.join("below/a/file"), meta()).unwrap_err();
    assert!(matches!(error, SnapshotError::Build { .. }), "{error}");
}

#[test]
fn a_cut_or_lengthened_file_is_refused() {
    let bytes = build(&rows(20), &[]);
    let page = schema::PAGE_SIZE as usize;
    let ends = (0..bytes.len()).step_by(page);
    for length in ends.flat_map(|end| [end, end + 1, end + 99, end + 100, end + page - 1]) {
        let error = open(bytes[..length].to_vec()).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "cut to {length}: {error}");
    }
    for more in [1, 100, page] {
        let error = open([bytes.as_slice(), &vec![0; more]].concat()).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{more} bytes more: {error}");
    }
}

#[test]
fn missing_or_irregular_snapshot_is_not_opened() {
    let directory = tempfile::tempdir().unwrap();
    let error = open_at(directory.path()).unwrap_err();
    assert!(matches!(error, SnapshotError::NotASnapshot { .. }), "{error}");
    for path in [directory.path().join("absent"), PathBuf::new()] {
        let error = open_at(&path).unwrap_err();
        assert!(matches!(error, SnapshotError::Open { .. }), "{path:?}: {error}");
    }
    assert!(names_in(directory.path()).is_empty(), "opening creates nothing");
}

/// Opening a pipe would wait for ever.
#[test]
fn a_pipe_is_not_opened() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    assert!(matches!(open_at(&path), Err(SnapshotError::NotASnapshot { .. })));
}

#[test]
fn another_id_is_refused() {
    let other = SnapshotId([0xac; 16]);
    let error = Snapshot::open(Source::Bytes(build(&rows(1), &[])), other).unwrap_err();
    let SnapshotError::WrongId { expected, found } = error else { panic!("{error}") };
    assert_eq!((expected, found), (other, ID));
}

#[test]
fn a_newer_format_is_refused_and_says_so() {
    let error = tampered("PRAGMA user_version=2").unwrap_err();
    assert!(matches!(error, SnapshotError::Newer { version: 2, .. }), "{error}");
}

#[test]
fn a_database_of_another_kind_is_refused() {
    for sql in [
        "PRAGMA application_id=7",
        "CREATE TABLE more(x)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER more AFTER INSERT ON meta BEGIN SELECT 1; END",
        "CREATE INDEX more ON views(view)",
        "DROP TABLE log",
        "ALTER TABLE log RENAME TO gol",
        "ALTER TABLE views ADD COLUMN more",
        "DROP TABLE log; CREATE VIEW log AS SELECT 1 AS instance",
        "ANALYZE",
        "DROP TABLE words; CREATE VIRTUAL TABLE words USING fts5(text)",
    ] {
        let error = tampered(sql).unwrap_err();
        assert!(matches!(error, SnapshotError::NotASnapshot { .. }), "{sql}: {error}");
    }
    let error = open(vec![b'x'; 4096]).unwrap_err();
    assert!(matches!(error, SnapshotError::NotASnapshot { .. }), "{error}");
}

#[test]
fn a_changed_meta_table_is_refused() {
    for sql in [
        "UPDATE meta SET value = '11' WHERE name = 'documents'",
        "UPDATE meta SET value = '' WHERE name = 'covers'",
        "DELETE FROM meta WHERE name = 'check'",
        "DELETE FROM meta WHERE name = 'supersedes'",
        "INSERT INTO meta VALUES('more', '')",
        "DELETE FROM meta",
    ] {
        let error = tampered(sql).unwrap_err();
        assert!(matches!(error, SnapshotError::Damaged { .. }), "{sql}: {error}");
    }
}

#[test]
fn a_changed_row_is_damage_and_named() {
    let name = "drawer/0004";
    let whole = [
        "UPDATE views SET view = 'other' WHERE number = 5",
        "UPDATE views SET heads = x'' WHERE number = 5",
        "UPDATE views SET incomplete = 1 - incomplete WHERE number = 5",
        "UPDATE views SET absorbed = x'00000000' WHERE number = 5",
        "UPDATE views SET (heads, absorbed, incomplete, proof, view) = \
         (SELECT heads, absorbed, incomplete, proof, view FROM views WHERE number = 6) WHERE number = 5",
    ];
    let document = [
        "UPDATE documents SET document = x'00' WHERE number = 5",
        "UPDATE documents SET waiting = document, document = waiting WHERE number = 5",
        "UPDATE documents SET waiting = x'0000000000000000' WHERE number = 5",
    ];
    let blames = |error: SnapshotError, sql: &str| match error {
        SnapshotError::Damaged { snapshot: ID, key: Some(key), .. } => {
            assert_eq!(key, name, "{sql}")
        }
        error => panic!("{sql}: {error:?}"),
    };
    for sql in whole {
        let snapshot = tampered(sql).unwrap();
        blames(snapshot.get_view(name).unwrap_err(), sql);
        blames(snapshot.scan("", None, 99).unwrap_err(), sql);
        assert!(snapshot.get("drawer/0003").unwrap().is_some(), "the others can be read: {sql}");
    }
    for sql in whole.into_iter().chain(document) {
        let snapshot = tampered(sql).unwrap();
        blames(snapshot.get(name).unwrap_err(), sql);
        blames(snapshot.rows_after(None, 99).unwrap_err(), sql);
        blames(snapshot.verify().unwrap().remove(0), sql);
    }
}

/// An absent document is believed only if its neighbours prove it.
#[test]
fn a_lost_row_is_damage_and_not_an_absent_document() {
    for sql in [
        "DELETE FROM keys WHERE number = 5",
        "DELETE FROM keys WHERE number = 10",
        "DELETE FROM keys WHERE number = 1",
        "DELETE FROM keys",
        "UPDATE keys SET key = 'drawer/0004b' WHERE number = 5",
        "DELETE FROM views WHERE number IN (1, 5, 10)",
    ] {
        let snapshot = tampered(sql).unwrap();
        let rows = rows(10);
        let got = |n: usize| snapshot.get(rows[n].key.as_str());
        let honest = |n: usize| {
            !matches!(got(n), Ok(None))
                && got(n).ok().is_none_or(|row| row.as_ref() == Some(&rows[n]))
        };
        assert!((0..10).all(honest), "{sql}");
        assert!(snapshot.scan("", None, 99).is_err(), "{sql}");
        assert!(!problems(&snapshot).is_empty(), "{sql}");
    }
}

/// Two whole rows under each other's number: each is valid, only their order is not.
#[test]
fn rows_that_changed_places_are_damage() {
    let swap = |table: &str| -> String {
        let step = |from, to| format!("UPDATE {table} SET number = {to} WHERE number = {from};");
        [step(5, 100), step(6, 5), step(100, 6)].concat()
    };
    let snapshot = tampered(&["keys", "views", "documents"].map(swap).concat()).unwrap();
    assert!(matches!(snapshot.get_view("drawer/0004"), Err(SnapshotError::Damaged { .. })));
    assert!(matches!(snapshot.scan("", None, 9), Err(SnapshotError::Damaged { .. })));
}

/// The index of keys is not checked by itself; it must not be believed either.
#[test]
fn an_index_that_leads_elsewhere_is_damage() {
    let mut bytes = build(&rows(10), &[]);
    // A key with its number behind it is an entry of the index; in the table the check follows.
    let entry = b"drawer/0004\x05";
    let at = bytes.windows(entry.len()).position(|window| window == entry).unwrap();
    bytes[at + entry.len() - 1] = 8;
    let snapshot = open(bytes).unwrap();
    for result in [
        snapshot.get("drawer/0004").map(drop),
        snapshot.get_view("drawer/0004").map(drop),
        snapshot.contains("drawer/0004").map(drop),
        snapshot.contains("drawer/0004x").map(drop),
        snapshot.scan("drawer/0004", None, 9).map(drop),
        snapshot.scan("", Some("drawer/0004"), 1).map(drop),
        snapshot.rows_after(Some("drawer/0004"), 1).map(drop),
    ] {
        assert!(matches!(result, Err(SnapshotError::Damaged { .. })), "{result:?}");
    }
    assert!(!problems(&snapshot).is_empty());
}

#[test]
fn a_changed_log_is_damage() {
    let snapshot = tampered("UPDATE log SET by = 'me'").unwrap();
    assert!(matches!(snapshot.log_page(None, 9), Err(SnapshotError::Damaged { .. })));
    assert!(matches!(snapshot.log_instances(), Err(SnapshotError::Damaged { .. })));
    assert_eq!(problems(&snapshot).len(), 1);
    assert_eq!(problems(&tampered("DELETE FROM log").unwrap()).len(), 1);
}

#[test]
fn a_changed_word_index_is_found_by_verify() {
    let snapshot = tampered("INSERT INTO words(rowid, text) VALUES(3, 'surprise')").unwrap();
    assert!(problems(&snapshot)[0].contains("word index"));
    let snapshot = tampered("INSERT INTO words(rowid, text) VALUES(77, 'surprise')").unwrap();
    let error = snapshot.matching(&Terms::default().whole("surprise")).unwrap_err();
    assert!(matches!(error, SnapshotError::Damaged { .. }), "{error}");
}

#[test]
fn an_open_snapshot_cannot_be_written_to() {
    let (_directory, path) = built(&rows(3));
    let snapshot = open_at(&path).unwrap();
    let connection = snapshot.connection();
    for sql in ["DELETE FROM keys", "CREATE TABLE x(y)", "ATTACH ':memory:' AS other"] {
        assert!(connection.execute_batch(sql).is_err(), "{sql}");
    }
}
