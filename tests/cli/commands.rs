//! The commands, run as programs.

use crate::client::{COMPACT, LOG, PALACE, code, run, stderr, stdout};
use crate::support::object;
use crdt_palace::memory::drawers::{Drawers, Item, Place};
use crdt_palace::memory::facts::{Facts, Triple};
use crdt_palace::memory::{Entity, Memory, Relation};
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::{Map, Value, json};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

fn entity(name: &str, texts: &[&str]) -> Entity {
    let observations = texts.iter().map(|text| (*text).to_owned()).collect();
    Entity { name: name.to_owned(), entity_type: "thing".to_owned(), observations }
}

/// A palace with entities a and b, a relation, and what the second argument adds.
fn palace(dir: &TempDir, name: &str, more: &[Entity]) -> String {
    let path = dir.path().join(name);
    let memory = Memory::new(Palace::open(&path).unwrap()).by(Some("tester/1".to_owned()));
    memory.create_entities(&[entity("a", &["one"]), entity("b", &[])]).unwrap();
    let relation = Relation { from: "a".into(), to: "b".into(), relation_type: "knows".into() };
    memory.create_relations(&[relation]).unwrap();
    memory.create_entities(more).unwrap();
    path.to_str().unwrap().to_owned()
}

fn json_lines(output: &Output) -> Vec<Value> {
    stdout(output).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(path: &str) -> Vec<String> {
    let graph = Memory::new(Palace::open_read_only(path).unwrap()).read_graph().unwrap();
    graph.entities.into_iter().map(|entity| entity.name).collect()
}

fn files(path: &str, directory: &str) -> Vec<PathBuf> {
    let list = std::fs::read_dir(Path::new(path).join(directory)).unwrap();
    list.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn help_has_examples_and_versions_are_printed() {
    for program in [PALACE, LOG, COMPACT] {
        let help = stdout(&run(program, &["--help"]));
        assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
        assert!(stdout(&run(program, &["--version"])).contains(env!("CARGO_PKG_VERSION")));
        let usage = run(program, &["--no-such-option"]);
        assert_eq!((code(&usage), usage.stdout.len()), (Some(2), 0));
    }
}

#[test]
fn raw_dump_shows_every_change_and_operation() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    for _ in 0..2 {
        let text = stdout(&run(LOG, &["dump", "--raw", &path]));
        assert_eq!(text.matches("commit ").count(), 2, "{text}");
        for words in [
            "commit 1 of instance",
            "by tester/1",
            "entity/a  change",
            "set name = \"a\"",
            "after ",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        // And once more, from a snapshot.
        stdout(&run(COMPACT, &[&path]));
    }
    for option in ["--json", "--patch", "--reverse", "--by=x"] {
        assert_eq!(code(&run(LOG, &["dump", "--raw", option, &path])), Some(2), "{option}");
    }
}

/// An escape sequence, its one-byte form in C1, DEL, and characters that turn the direction of a line.
const EVIL: &str =
    "\u{1b}]0;owned\u{7}\u{9b}2J\u{7f}\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}";

fn assert_no_control(text: &str) {
    let control = |c: char| c.is_control() && c != '\n';
    let steers = |c| EVIL.contains(c) && !char::is_ascii(&c);
    assert!(!text.contains(|c| control(c) || steers(c)), "{text:?}");
}

fn put_as(path: &str, by: &str) {
    let palace = Palace::open(path).unwrap();
    palace.with(WriteOptions::new().by(by)).put("k", &object(json!({"n": EVIL}))).unwrap();
}

#[test]
fn stored_text_cannot_control_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, EVIL, &[entity("evil", &[EVIL])]);
    put_as(&path, &format!("by {EVIL}"));
    let opened = Palace::open(&path).unwrap();
    let drawers = Drawers::new(opened.clone());
    let text = format!("{EVIL} in a title\nand below: {EVIL}");
    let place = Place::new("w", "r").unwrap();
    let id = &drawers.file(&[Item::new(place, &text).unwrap()]).unwrap().remove(0).id;
    let base = opened.get("k").unwrap().unwrap().etag;
    for n in 0..2 {
        let value = object(json!({"n": format!("{EVIL}{n}")}));
        opened.with(WriteOptions::new().by(EVIL).base(base.clone())).put("k", &value).unwrap();
    }
    let path = path.as_str();
    let dump = json_lines(&run(LOG, &["dump", "--json", "--key", id, path])).remove(0);
    let commit = dump["commit"].as_str().unwrap();
    for (program, arguments) in [
        (LOG, vec!["dump", path]),
        (LOG, vec!["dump", "--raw", path]),
        (LOG, vec!["dump", "--json", "--patch", path]),
        (LOG, vec!["dump", "--patch", "--color=never", path]),
        (LOG, vec!["history", "entity/evil", "--palace", path]),
        (LOG, vec!["show", "entity/evil", "--palace", path]),
        (LOG, vec!["history", "k", "--json", "--palace", path]),
        (LOG, vec!["show", id, "--palace", path]),
        (LOG, vec!["show", id, "--json", "--palace", path]),
        (LOG, vec!["show", commit, "--palace", path]),
        (LOG, vec!["show", EVIL, "--palace", path]),
        (LOG, vec!["blame", "k", "--palace", path]),
        (LOG, vec!["blame", "k", "--json", "--palace", path]),
        (LOG, vec!["diff", "1h", "--palace", path]),
        (LOG, vec!["diff", "1h", "--json", "--palace", path]),
        (LOG, vec!["at", "now", "list", "--palace", path]),
        (LOG, vec!["at", "now", "list", "--json", "--palace", path]),
        (LOG, vec!["at", "now", "show", id, "--palace", path]),
        (LOG, vec!["at", "now", "search", "below", "--palace", path]),
        (LOG, vec!["at", EVIL, "list", "--palace", path]),
        (LOG, vec!["conflicts", path]),
        (LOG, vec!["conflicts", "--json", path]),
        (LOG, vec!["stats", path]),
        (LOG, vec!["stats", "--json", path]),
        (LOG, vec!["status", path]),
        (PALACE, vec!["status", "--json", "--palace", path]),
        (PALACE, vec!["export", "--palace", path]),
        (PALACE, vec!["doctor", "--palace", path]),
        (PALACE, vec!["doctor", "--json", "--palace", path]),
        (PALACE, vec!["import", path, "--palace", path]),
        (PALACE, vec!["import", EVIL, "--palace", path]),
        (LOG, vec!["dump", EVIL]),
    ] {
        let output = run(program, &arguments);
        let text = String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap();
        assert!(text.contains("2J"), "{arguments:?}: {text}");
        assert_no_control(&text);
    }
}

#[test]
fn escaped_json_keeps_its_value_and_exports_import() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[entity("evil", &[EVIL])]);
    let by = format!("by {EVIL}");
    put_as(&path, &by);
    let dump = json_lines(&run(LOG, &["dump", "--json", &path]));
    assert!(dump.iter().any(|commit| commit["by"] == json!(by)), "{dump:?}");

    let export = |palace: &str| stdout(&run(PALACE, &["export", "--palace", palace]));
    let text = export(&path);
    assert!(text.contains("\\u009b2J\\u007f"), "{text}");
    let file = dir.path().join("memory.jsonl");
    std::fs::write(&file, &text).unwrap();
    let copy = dir.path().join("copy").to_str().unwrap().to_owned();
    stdout(&run(PALACE, &["import", file.to_str().unwrap(), "--palace", &copy]));
    assert_eq!(export(&copy), text);
    let graph = Memory::new(Palace::open_read_only(&copy).unwrap()).read_graph().unwrap();
    assert!(graph.entities.contains(&entity("evil", &[EVIL])), "{graph:?}");
}

#[test]
fn endless_lines_are_reported_in_bounded_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (file, path) = (dir.path().join("memory.jsonl"), dir.path().join("p"));
    let good = r#"{"type":"entity","name":"c","entityType":"t","observations":["x"]}"#;
    let mut sparse = std::fs::File::create(&file).unwrap();
    sparse.seek(SeekFrom::Start(4 << 30)).unwrap();
    writeln!(sparse, "\n{good}").unwrap();
    let limited = r#"ulimit -v 1048576; exec "$0" import "$1" --palace "$2""#;
    let output = Command::new("sh").args(["-c", limited, PALACE]).args([&file, &path]).output();
    let output = output.unwrap();
    let text = stderr(&output);
    assert!(text.contains("memory.jsonl:1: not imported: the line has more than 16 MiB"), "{text}");
    assert_eq!(code(&output), Some(1), "{text}");
    assert_eq!(names(path.to_str().unwrap()), ["c"]);
}

#[test]
fn imports_refuse_what_is_no_regular_file() {
    let dir = tempfile::tempdir().unwrap();
    let (fifo, path) = (dir.path().join("fifo"), dir.path().join("p"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (file, what) in [(fifo.to_str().unwrap(), "a pipe"), ("/dev/zero", "a device")] {
        let output = run(PALACE, &["import", file, "--palace", path.to_str().unwrap()]);
        assert_eq!(code(&output), Some(1));
        let expected = format!("cannot read {file}: {what}, not a regular file");
        assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
    }
    assert!(!path.exists(), "nothing is made for it");
}

#[test]
fn dump_ends_quietly_when_its_reader_hangs_up() {
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<Entity> =
        (0..2_000).map(|n| entity(&format!("e{n}"), &["a text of some length"])).collect();
    let path = palace(&dir, "p", &many);
    let mut child = Command::new(LOG)
        .args(["dump", &path])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 16];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (Some(0), String::new()));
}

/// Standard output or error for a program whose reader hung up before it began.
fn hung_up() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[test]
fn closed_stdout_is_neither_a_failure_nor_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    let commands: [(&str, &[&str]); 15] = [
        (LOG, &["dump", &path]),
        (LOG, &["dump", "--raw", &path]),
        (LOG, &["show", "entity/a", "--palace", &path]),
        (LOG, &["history", "entity/a", "--palace", &path]),
        (LOG, &["blame", "entity/a", "--palace", &path]),
        (LOG, &["diff", "1h", "--palace", &path]),
        (LOG, &["at", "now", "list", "--palace", &path]),
        (LOG, &["conflicts", &path]),
        (LOG, &["verify", &path]),
        (LOG, &["stats", &path]),
        (COMPACT, &["--dry-run", &path]),
        (PALACE, &["status", "--palace", &path]),
        (PALACE, &["export", "--palace", &path]),
        (PALACE, &["demo", "--instances", "1", "--calls", "2"]),
        (PALACE, &["--help"]),
    ];
    for (program, arguments) in commands {
        let mut command = Command::new(program);
        command.args(arguments).env("TMPDIR", dir.path()).stdout(hung_up());
        let output = command.output().unwrap();
        assert_eq!((code(&output), stderr(&output)), (Some(0), String::new()), "{arguments:?}");
    }
}

#[test]
fn closed_stderr_changes_no_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    let (good, bad) = (dir.path().join("good"), dir.path().join("bad"));
    std::fs::write(&good, "").unwrap();
    std::fs::write(&bad, "no").unwrap();
    let (good, bad) = (good.to_str().unwrap(), bad.to_str().unwrap());
    let commands: [(&str, &[&str], i32); 4] = [
        (PALACE, &["import", good, "--palace", &path], 0),
        (PALACE, &["import", bad, "--palace", &path], 1),
        (LOG, &["dump", "/none/such"], 10),
        (LOG, &["nonsense"], 2),
    ];
    for (program, arguments, expected) in commands {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        for errors in [hung_up(), full.into()] {
            let status = Command::new(program).args(arguments).stderr(errors).status().unwrap();
            assert_eq!(status.code(), Some(expected), "{arguments:?}");
        }
    }
}

/// Whatever is logged, and whoever should read it.
#[test]
fn logging_to_closed_stderr_does_not_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    assert_eq!(code(&run(COMPACT, &[&path])), Some(0));
    std::fs::create_dir(PathBuf::from(&path).join("open").join("0".repeat(32) + ".seg")).unwrap();
    let said = stderr(&run(LOG, &["stats", &path]));
    assert!(
        said.contains("has the name of a segment and is no regular file"),
        "nothing is logged: {said:?}"
    );
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    for errors in [hung_up(), full.into()] {
        let output = Command::new(LOG).args(["stats", &path]).stderr(errors).output().unwrap();
        let whole = String::from_utf8_lossy(&output.stdout).contains("documents   3");
        assert_eq!((code(&output), whole), (Some(0), true));
    }
}

/// Files that somebody relies on, from scripts that look at the exit code only.
#[test]
fn exit_codes_tell_findings_even_when_stdout_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    assert_eq!(code(&run(COMPACT, &[&path])), Some(0));
    drop(palace(&dir, "p", &[entity("late", &[])]));
    let snapshot = files(&path, "snap").remove(0);
    std::fs::write(&snapshot, "no snapshot").unwrap();
    let commands: [(&str, &[&str]); 11] = [
        (LOG, &["verify", &path]),
        (LOG, &["dump", &path]),
        (LOG, &["dump", "--raw", &path]),
        (LOG, &["history", "entity/late", "--palace", &path]),
        (LOG, &["diff", "1h", "--palace", &path]),
        (LOG, &["at", "now", "list", "--palace", &path]),
        (LOG, &["conflicts", &path]),
        (LOG, &["stats", &path]),
        (PALACE, &["export", "--palace", &path]),
        (PALACE, &["doctor", "--palace", &path]),
        (COMPACT, &[&path]),
    ];
    for (program, arguments) in commands {
        for output in [Stdio::piped(), hung_up()] {
            let output = Command::new(program).args(arguments).stdout(output).output().unwrap();
            assert_eq!(code(&output), Some(1), "{program} {arguments:?}: {}", stderr(&output));
        }
    }
}

#[test]
fn merges_refuse_files_that_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    let into = dir.path().join("into");
    let merge = || run(COMPACT, &["--into", into.to_str().unwrap(), &path]);
    let refused = |file: &Path| {
        let output = merge();
        let said = stderr(&output);
        assert_eq!(code(&output), Some(1), "{said}");
        assert!(said.contains(file.to_str().unwrap()) && said.contains("lack"), "{said}");
        assert!(!into.exists(), "nothing is made");
    };
    // It has its name before it has its content: a copy that was cut off.
    let empty = PathBuf::from(&path).join("sealed").join("0".repeat(32) + ".seg");
    std::fs::write(&empty, "").unwrap();
    refused(&empty);
    std::fs::remove_file(&empty).unwrap();
    assert_eq!(code(&run(COMPACT, &[&path])), Some(0));
    let snapshot = files(&path, "snap").remove(0);
    let renamed = snapshot.with_extension("snap.sync-conflict");
    std::fs::rename(&snapshot, &renamed).unwrap();
    refused(&renamed);
    std::fs::rename(&renamed, &snapshot).unwrap();
    let output = merge();
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    assert!(!stdout(&output).contains("without an end"));
}

#[test]
fn exports_name_the_documents_they_leave_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    let export = || run(PALACE, &["export", "--palace", &path]);
    assert_eq!(stderr(&export()), "");
    Palace::open(&path).unwrap().put("notes/plan", &Map::new()).unwrap();
    let output = export();
    assert_eq!((code(&output), names(&path).len()), (Some(0), 2));
    assert!(stderr(&output).contains("not in the export: 1 document;"), "{}", stderr(&output));
}

#[test]
fn verify_tells_damage_from_a_torn_tail() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    assert!(stdout(&run(LOG, &["verify", &path])).contains("all is well"));
    let segment = files(&path, "sealed").remove(0);
    let good = std::fs::read(&segment).unwrap();

    let mut bad = good.clone();
    // Behind the last record there is room.
    let used = good.iter().rposition(|byte| *byte != 0).unwrap();
    bad[used / 2] ^= 0x40;
    std::fs::write(&segment, &bad).unwrap();
    let output = run(LOG, &["verify", "--json", &path]);
    assert_eq!(code(&output), Some(1), "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["schema"], 1);
    let problems: Vec<&Value> = found["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["severity"] == "problem")
        .collect();
    assert!(!problems.is_empty(), "{found}");

    // A tail without its end, in a segment that was never sealed.
    std::fs::remove_file(&segment).unwrap();
    let open = Path::new(&path).join("open").join(segment.file_name().unwrap());
    std::fs::write(open, &good[..used - 3]).unwrap();
    let output = run(LOG, &["verify", "--json", &path]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(code(&output), Some(0), "{found}");
    assert_eq!(found["findings"][0]["severity"], "note", "{found}");
}

#[test]
fn stats_count_documents_before_and_after_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    let before = json_lines(&run(LOG, &["stats", "--json", &path])).remove(0);
    assert_eq!(before["commits"], 2);
    assert_eq!(before["documents"], 3);
    assert_eq!(before["instances"], 1);
    assert_eq!(before["writers"], json!({"tester/1": 2}));
    stdout(&run(COMPACT, &[&path]));
    let mut after = json_lines(&run(LOG, &["stats", "--json", &path])).remove(0);
    assert!(after["bytes"].as_u64().unwrap() > 0);
    after["bytes"] = before["bytes"].clone();
    assert_eq!(after, before);
    assert!(stdout(&run(LOG, &["stats", &path])).contains("tester/1 (2 commits)"));
}

#[test]
fn compact_program_compacts_everything_and_reports_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    palace(&dir, "p", &[entity("c", &[])]);
    let live = Palace::open(&path).unwrap();
    live.put("notes/x", &object(json!({"n": 1}))).unwrap();
    let plan = json_lines(&run(COMPACT, &["--dry-run", "--json", &path])).remove(0);
    assert_eq!((&plan["segments"], &plan["published"]), (&json!(2), &Value::Null));
    assert_eq!(files(&path, "snap").len(), 0);
    let report = json_lines(&run(COMPACT, &["--json", &path])).remove(0);
    assert_eq!(report["schema"], 1);
    assert_eq!(report["segments"], 2);
    assert_eq!(report["documents"], 4);
    for field in ["bytes_before", "bytes_after"] {
        assert!(report[field].as_u64().unwrap() > 0, "{report}");
    }
    assert!(report["lock_held_ms"].is_u64() && report["elapsed_ms"].is_u64());
    assert_eq!((files(&path, "snap").len(), files(&path, "sealed").len()), (1, 0));
    assert_eq!(names(&path), ["a", "b", "c"]);
    let text = stdout(&run(COMPACT, &[&path]));
    assert!(
        text.contains("nothing to compact") && text.contains("its process is running"),
        "{text}"
    );
    assert_eq!(live.get("notes/x").unwrap().unwrap().value["n"], 1);
}

#[test]
fn running_compactions_are_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    stdout(&run(COMPACT, &[&path]));
    let lock = std::fs::File::options().write(true).open(Path::new(&path).join("LOCK")).unwrap();
    lock.lock().unwrap();
    let output = run(COMPACT, &[&path]);
    assert_eq!(code(&output), Some(11));
    assert!(stderr(&output).contains("crdt-compact"), "who holds it: {}", stderr(&output));
    assert_eq!(names(&path), ["a", "b"], "a reader does not care");
    let status = json_lines(&run(PALACE, &["status", "--json", "--palace", &path])).remove(0);
    assert!(status["compaction"]["holder"].as_str().unwrap().contains("crdt-compact"));
}

#[test]
fn copies_merge_into_a_new_palace_without_forgotten_keys() {
    let dir = tempfile::tempdir().unwrap();
    let one = palace(&dir, "one", &[entity("c", &["secret"])]);
    let two = palace(&dir, "two", &[entity("d", &[])]);
    let into = dir.path().join("into").to_str().unwrap().to_owned();
    let forget = ["--forget", "entity/c"];
    let arguments = [&["--into", &into, "--json"][..], &forget, &[&one, &two]].concat();
    let report = json_lines(&run(COMPACT, &arguments)).remove(0);
    assert_eq!((&report["forgotten"], &report["documents"]), (&json!(1), &json!(4)));
    assert_eq!(names(&into), ["a", "b", "d"]);
    assert_eq!(names(&one), ["a", "b", "c"]);
    for file in files(&into, "snap") {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
    let again = run(COMPACT, &["--into", &into, &one]);
    assert_eq!(code(&again), Some(1));
    assert!(stderr(&again).contains("exists already"), "{}", stderr(&again));

    let other = dir.path().join("other").to_str().unwrap().to_owned();
    let typo = run(COMPACT, &["--into", &other, "--forget", "entity/C", &one]);
    assert_eq!(code(&typo), Some(1), "nothing was erased");
    assert!(stderr(&typo).contains("none of the palaces has entity/C"), "{}", stderr(&typo));
    assert!(!Path::new(&other).exists(), "nothing is written");
    let inside = format!("{one}/sub");
    let refused = run(COMPACT, &["--into", &inside, &one]);
    assert_eq!(code(&refused), Some(1));
    assert!(stderr(&refused).contains("one inside the other"), "{}", stderr(&refused));
    assert!(!Path::new(&inside).exists());
}

#[test]
fn drawers_and_facts_are_forgotten_by_their_ids() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let palace = Palace::open(&path).unwrap();
    let place = Place::new("my_wing", "a_room").unwrap();
    let items = ["the secret", "the rest"].map(|text| Item::new(place.clone(), text).unwrap());
    let filed = Drawers::new(palace.clone()).file(&items).unwrap();
    let triple = Triple::new("vault", "opens with", "secret").unwrap();
    let fact = Facts::new(palace.clone()).assert(&triple, None, None, None).unwrap();
    drop(palace);
    let (path, into) = (path.to_str().unwrap(), dir.path().join("into"));
    let forget = ["--forget", &filed[0].id, "--forget", &fact.fact.id];
    let output = run(COMPACT, &[&["--into", into.to_str().unwrap(), path], &forget[..]].concat());
    assert_eq!(code(&output), Some(0), "{}", stderr(&output));
    let told = stderr(&output);
    assert!(told.contains(&format!("still in {path}, also in trash/")), "{told}");
    let new = Palace::open_read_only(&into).unwrap();
    assert!(Drawers::new(new.clone()).get(&filed[0].id).is_err());
    assert_eq!(Drawers::new(new).get(&filed[1].id).unwrap().content, "the rest");
    for file in files(into.to_str().unwrap(), "snap") {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
}

#[test]
fn full_disk_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=128k", "none"]).arg(&disk);
    if !rustix::process::geteuid().is_root() || !mount.status().is_ok_and(|it| it.success()) {
        println!("skipped: no small file system can be mounted here");
        return;
    }
    let many: Vec<Entity> =
        (0..200).map(|n| entity(&format!("e{n}"), &[&format!("{:0>900}", n * 7_919)])).collect();
    let path = palace(&dir, "p", &many);
    let output = run(COMPACT, &["--into", disk.join("new").to_str().unwrap(), &path]);
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    let told = stderr(&output);
    assert_eq!((code(&output), told.matches("full").count()), (Some(1), 1), "{told}");
}

#[test]
fn exit_codes_tell_kinds_of_errors_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (none, text) = (dir.path().join("none"), dir.path().join("text"));
    let file = text.join("diary.txt");
    std::fs::create_dir(&text).unwrap();
    std::fs::write(&file, "not a palace").unwrap();
    for path in [&none, &text, &file].map(|path| path.to_str().unwrap()) {
        let commands: [(&str, &[&str]); 6] = [
            (LOG, &["dump", path]),
            (LOG, &["verify", path]),
            (LOG, &["stats", path]),
            (COMPACT, &[path]),
            (PALACE, &["status", "--palace", path]),
            (PALACE, &["export", "--palace", path]),
        ];
        for (program, arguments) in commands {
            let output = run(program, arguments);
            assert_eq!(code(&output), Some(10), "{arguments:?}: {}", stderr(&output));
            assert!(stderr(&output).lines().count() == 1 && output.stdout.is_empty());
        }
    }
    assert!(!none.exists());
    assert_eq!(code(&run(COMPACT, &["a", "b"])), Some(2));

    let path = palace(&dir, "p", &[]);
    let manifest = Path::new(&path).join("palace.json");
    let mut newer: Value = serde_json::from_slice(&std::fs::read(&manifest).unwrap()).unwrap();
    let fields = newer.as_object_mut().unwrap();
    let version = fields.values_mut().find(|value| value.as_u64() == Some(1)).unwrap();
    *version = json!(99);
    std::fs::write(&manifest, newer.to_string()).unwrap();
    let output = run(LOG, &["dump", &path]);
    assert_eq!(code(&output), Some(12), "{}", stderr(&output));
    assert!(stderr(&output).contains("upgrade"));
    // One that may be read by this version may still not be written by it.
    let fields = newer.as_object_mut().unwrap();
    fields.insert("readable_by".to_owned(), json!(1));
    std::fs::write(&manifest, newer.to_string()).unwrap();
    assert_eq!(code(&run(LOG, &["dump", &path])), Some(0));
    let output = run(COMPACT, &[&path]);
    assert_eq!(code(&output), Some(12), "{}", stderr(&output));
}

#[test]
fn exported_graphs_import_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("memory.jsonl");
    let lines = [
        r#"{"type":"relation","from":"a","to":"b","relationType":"knows"}"#,
        r#"{"type":"entity","name":"b","entityType":"thing","observations":[]}"#,
        r#"{"type":"entity","name":"a","entityType":"thing","observations":["one","zwei ü"]}"#,
    ];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let (file, path) = (file.to_str().unwrap(), dir.path().join("p"));
    let path = path.to_str().unwrap();
    assert_eq!(stdout(&run(PALACE, &["import", file, "--palace", path])), "");
    let export = || {
        let output = Command::new(PALACE).arg("export").env("CRDT_PALACE_DIR", path).output();
        stdout(&output.unwrap())
    };
    let expected: String = [lines[2], lines[1], lines[0]].map(|line| format!("{line}\n")).concat();
    assert_eq!(export(), expected);

    std::fs::write(file, "{}\n\n{\"type\":\"entity\",\"name\":\"c\",\"entityType\":\"t\",\"observations\":[\"x\"]}\nno\n").unwrap();
    let output = run(PALACE, &["import", file, "--palace", path]);
    assert_eq!(code(&output), Some(1));
    let text = stderr(&output);
    assert!(text.contains("memory.jsonl:1: ") && text.contains("memory.jsonl:4: "), "{text}");
    assert!(export().contains(r#""name":"c""#));
    assert!(files(path, "open").is_empty(), "an import ends with its segment sealed");
    let none = run(PALACE, &["import", "/none/such", "--palace", path]);
    assert_eq!(code(&none), Some(1));
    assert!(stderr(&none).contains("/none/such"));
}

#[test]
fn default_palace_path_follows_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    let expected = home.join(".local/share/crdt-palace");
    let memory = Memory::new(Palace::open(&expected).unwrap());
    memory.create_entities(&[entity("at home", &[])]).unwrap();
    let xdg = dir.path().join("xdg");
    let memory = Memory::new(Palace::open(xdg.join("crdt-palace")).unwrap());
    memory.create_entities(&[entity("at xdg", &[])]).unwrap();
    let export = |data: Option<&str>| {
        let mut command = Command::new(PALACE);
        command.arg("export").env_remove("CRDT_PALACE_DIR").env_remove("XDG_DATA_HOME");
        command.env("HOME", &home).envs(data.map(|data| ("XDG_DATA_HOME", data)));
        stdout(&command.output().unwrap())
    };
    assert!(export(None).contains("at home"));
    assert!(export(xdg.to_str()).contains("at xdg"));
    assert!(export(Some("relative")).contains("at home"));
}

#[test]
fn status_shows_live_processes() {
    let dir = tempfile::tempdir().unwrap();
    let path = palace(&dir, "p", &[]);
    let live = Palace::open(&path).unwrap();
    Memory::new(live.clone()).create_entities(&[entity("c", &[])]).unwrap();
    let status = json_lines(&run(PALACE, &["status", "--json", "--palace", &path])).remove(0);
    assert_eq!(status["schema"], 1);
    let segments = status["segments"].as_array().unwrap();
    let of = |state: &str| segments.iter().find(|segment| segment["state"] == state);
    assert_eq!(of("live").unwrap()["pid"], std::process::id());
    assert!(of("sealed").is_some());
    let text = stdout(&run(PALACE, &["status", "--palace", &path]));
    assert!(text.contains(&format!("pid {}", std::process::id())), "{text}");
}

/// As many processes leave where they are killed and locks say nothing.
#[test]
fn more_segments_than_open_files_allowed_are_read_and_compacted() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("palace");
    for n in 0..100 {
        let palace = Options::default().auto_compact(false).open(&path).unwrap();
        palace.put(&format!("k{n:03}"), &object(json!({"n": n}))).unwrap();
    }
    let path = path.to_str().unwrap();
    assert_eq!(files(path, "sealed").len(), 100);
    for (program, arguments) in [(LOG, "dump"), (COMPACT, ""), (LOG, "verify")] {
        let command = format!("ulimit -S -n 64 && exec {program} {arguments} {path}");
        let output = Command::new("sh").args(["-c", &command]).output().unwrap();
        assert_eq!(code(&output), Some(0), "{program} {arguments}: {}", stderr(&output));
        assert!(arguments != "dump" || stdout(&output).contains("k099"));
    }
    assert_eq!(files(path, "sealed").len(), 0);
    assert_eq!(Palace::open(path).unwrap().scan_page("k", None, 200).unwrap().documents.len(), 100);
}

#[test]
fn exports_report_documents_that_cannot_be_read() {
    let dir = TempDir::new().unwrap();
    let path = palace(&dir, "palace", &[]);
    assert_eq!(code(&run(COMPACT, &[&path])), Some(0));
    Memory::new(Palace::open(&path).unwrap()).create_entities(&[entity("late", &[])]).unwrap();
    let export = || run(PALACE, &["export", "--palace", &path]);
    let lines = |output: &Output| output.stdout.iter().filter(|byte| **byte == b'\n').count();
    let whole = export();
    assert_eq!((code(&whole), lines(&whole)), (Some(0), 4));
    let snapshot = &files(&path, "snap")[0];
    std::fs::write(snapshot, "no snapshot").unwrap();
    let partial = export();
    assert_eq!((code(&partial), lines(&partial)), (Some(1), 1));
    let name = snapshot.file_name().unwrap().to_str().unwrap();
    let said = stderr(&partial);
    assert!(said.contains(name) && said.contains("the export lacks"), "{said}");
}

#[test]
fn status_and_merges_count_conflicts_and_name_older_programs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let old = Options::default().program("crdt-palace serve 0.1.0").open(&path).unwrap();
    let first = old.put("k", &json!({"n": 0})).unwrap().etag;
    let text = path.to_str().unwrap();
    let words = || stdout(&run(PALACE, &["status", "--palace", text]));
    assert!(words().contains("conflicts    none open"), "{}", words());
    for n in [1, 2] {
        let options = WriteOptions::new().base(first.clone());
        old.with(options).put("k", &json!({"n": n})).unwrap();
    }
    let said = words();
    assert!(
        said.contains("conflicts    1 document has open conflicts: palace_conflicts"),
        "{said}"
    );
    let older =
        format!("OLDER        pid {} crdt-palace serve 0.1.0: it is of", std::process::id());
    assert!(said.contains(&older), "{said}");
    let status = json_lines(&run(PALACE, &["status", "--json", "--palace", text])).remove(0);
    assert_eq!(status["in_conflict"], json!({"documents": 1, "at_least": false}));
    assert_eq!(status["instances"][0]["older"], true);
    let doctor = stdout(&run(PALACE, &["doctor", "--palace", text]));
    let note = format!("pid {} crdt-palace serve 0.1.0 -> restart each", std::process::id());
    assert!(doctor.contains("note     versions") && doctor.contains(&note), "{doctor}");

    let into = dir.path().join("into");
    let into = into.to_str().unwrap();
    let merged = stdout(&run(COMPACT, &["--into", into, text]));
    assert!(merged.contains("1 document has open conflicts"), "{merged}");
    let again = dir.path().join("again");
    let report = json_lines(&run(COMPACT, &["--json", "--into", again.to_str().unwrap(), text]));
    assert_eq!(report[0]["in_conflict"]["documents"], 1);
}

#[test]
fn imports_name_the_set_that_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("memory.jsonl");
    let line =
        |name: &str| json!({"type": "entity", "name": name, "entityType": "t", "observations": []});
    std::fs::write(&file, format!("{}\n{}\n", line("a"), line("b"))).unwrap();
    let path = dir.path().join("palace");
    let (file, path) = (file.to_str().unwrap(), path.to_str().unwrap());
    let output = run(PALACE, &["import", file, "--palace", path]);
    let told = "the graph of 2 entities is in the set `memory`: --tools palace,memory";
    assert_eq!(stderr(&output).lines().last(), Some(told));
}

/// A path is bytes on Linux, and JSON is not: what is no UTF-8 is shown as U+FFFD.
#[test]
fn paths_that_are_not_utf8_are_printed_as_json() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(OsStr::from_bytes(b"a\xffb"));
    let palace = Palace::open(&path).unwrap();
    palace.put("a", &json!({"n": 1})).unwrap();
    palace.seal().unwrap();
    drop(palace);
    let of = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(&path).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("a\u{fffd}b"), "{program} {arguments:?}: {said} {:?}", output.stderr);
        said.lines().for_each(|line| drop(serde_json::from_str::<Value>(line).unwrap()));
    };
    let into = dir.path().join("into");
    of(COMPACT, &["--json", "--into", into.to_str().unwrap()]);
    // A damaged file is named too.
    let segment = std::fs::read_dir(path.join("sealed")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[50] ^= 0x40;
    std::fs::write(&segment, bytes).unwrap();
    of(PALACE, &["status", "--json", "--palace"]);
    of(PALACE, &["doctor", "--json", "--palace"]);
    of(LOG, &["status", "--json"]);
    of(LOG, &["verify", "--json"]);
    of(COMPACT, &["--json"]);
}
