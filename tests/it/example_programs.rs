//! The programs of `examples/` that several processes run at once: real processes, some of them killed.
//!
//! The tests wait for a state, with a deadline that only a failure reaches.

use crate::support::{assert_no_problem, child_program, copy, dir, documents, files};
use crdt_palace::palace::Palace;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A pipe that nobody reads takes no more than this, in bytes, with what was read ahead of its first line.
const PIPE: usize = (64 + 8) << 10;
/// Processes that index at once.
const INDEXERS: usize = 4;
/// What only a failure takes.
const DEADLINE: Duration = Duration::from_secs(120);

/// A running example, and what it says. Killed when dropped.
struct Story {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Story {
    fn start(name: &str, palace: &Path, folder: &Path) -> Self {
        // The child program has the sources of the examples: Cargo need not have built the examples themselves.
        let mut command = Command::new(child_program());
        let mut child =
            command.arg0(name).arg(palace).arg(folder).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Story { child, said }
    }

    /// The next line, `None` at the end.
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line.strip_suffix('\n').map(str::to_owned)
    }

    /// The lines until its end that start with `word`, without that.
    fn hear_all(&mut self, word: &str) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.hear() {
            lines.extend(line.strip_prefix(word).map(str::to_owned));
        }
        lines
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn kill(&mut self) {
        kill_process(self.pid(), Signal::KILL).unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// index_snapshot

/// Copies of this project's sources, so many that several together cannot be done before somebody listens to them.
fn code_base(folder: &Path) {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let long = "a_folder_with_a_long_name_".repeat(8);
    for n in 0..8 {
        copy(&project.join("src"), &folder.join(format!("{long}{n}/{long}")));
    }
    copy(&project.join("docs"), &folder.join("docs"));
    fs::write(folder.join("docs/not.text"), [0xff, 0xfe, 0x00]).unwrap();
    let said: usize = hashes(folder).keys().map(String::len).sum();
    assert!(said > INDEXERS * PIPE, "they could be done without being listened to");
}

/// The hash of each file by the key of its entry.
fn hashes(folder: &Path) -> BTreeMap<String, String> {
    let key =
        |path: &Path| format!("index/{}", path.strip_prefix(folder).unwrap().to_str().unwrap());
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    files(folder).iter().map(|(path, bytes)| (key(path), hash(bytes))).collect()
}

#[track_caller]
fn assert_indexed(palace: &Path, folder: &Path) {
    let found = documents(&Palace::open_read_only(palace).unwrap());
    for (key, document) in &found {
        assert!(document.conflicts.is_empty(), "{key}: {:?}", document.conflicts);
        let failed = if key.ends_with("not.text") { "failed" } else { "indexed" };
        assert_eq!(document.value["status"], failed, "{key}");
    }
    let hash = |(key, document): (&String, &crdt_palace::palace::Document)| {
        (key.clone(), document.value["hash"].as_str().unwrap().to_owned())
    };
    assert_eq!(found.iter().map(hash).collect::<BTreeMap<_, _>>(), hashes(folder));
    assert_no_problem(palace, "after the index was made");
}

#[test]
fn work_of_a_killed_indexer_is_done_by_the_others() {
    let dir = dir();
    let (palace, folder) = (dir.path().join("palace"), dir.path().join("code"));
    code_base(&folder);
    let mut stories: Vec<Story> =
        (0..INDEXERS).map(|_| Story::start("index_snapshot", &palace, &folder)).collect();
    let first: Vec<String> = stories.iter_mut().map(|story| story.hear().unwrap()).collect();
    // All are at work, and none can be done: it would have had to say more than its pipe takes.
    let mut killed = stories.remove(0);
    killed.kill();
    let mut done: BTreeSet<String> =
        first.iter().map(|line| line.strip_prefix("indexed ").unwrap().to_owned()).collect();
    let by_the_dead = killed.hear_all("indexed ");
    let readers: Vec<_> = stories
        .into_iter()
        .map(|mut story| {
            std::thread::spawn(move || {
                let lines = story.hear_all("indexed ");
                assert!(story.child.wait().unwrap().success());
                lines
            })
        })
        .collect();
    let by_the_others: Vec<_> =
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect();
    assert_indexed(&palace, &folder);
    done.extend(by_the_dead.iter().chain(&by_the_others).cloned());
    let by_the_dead = by_the_dead.len() + 1;
    assert!(by_the_dead < done.len(), "it was killed in the middle");
    assert!(!by_the_others.is_empty());
}

/// One that is stopped says nothing, ends nothing and never dies. If anything waited for it, for whatever
/// time, it would be for a claim; there is none.
#[test]
fn no_indexer_waits_for_a_stopped_one() {
    let dir = dir();
    let (palace, folder) = (dir.path().join("palace"), dir.path().join("code"));
    code_base(&folder);
    let mut still = Story::start("index_snapshot", &palace, &folder);
    still.hear().unwrap();
    kill_process(still.pid(), Signal::STOP).unwrap();
    waitpid(Some(still.pid()), WaitOptions::UNTRACED).unwrap();
    let before = documents(&Palace::open_read_only(&palace).unwrap());
    assert!(before.len() < hashes(&folder).len(), "it was stopped in the middle");

    let mut other = Story::start("index_snapshot", &palace, &folder);
    let indexed: BTreeSet<String> = other.hear_all("indexed ").into_iter().collect();
    assert!(other.child.wait().unwrap().success());
    assert_indexed(&palace, &folder);
    // It did what was left, all of it, and nothing that was there.
    let missing = hashes(&folder).into_keys().filter(|key| !before.contains_key(key));
    let missing: BTreeSet<String> = missing.map(|key| key["index/".len()..].to_owned()).collect();
    assert_eq!(indexed, missing);
    still.kill();
    assert_indexed(&palace, &folder);

    // No file is ever somebody's: there is no condition, no lock and no clock in the program.
    let program = fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/index_snapshot.rs"),
    );
    let code: String = program.unwrap().lines().filter(|line| !line.contains("//")).collect();
    for word in ["if_match", "lock", "time", "Duration", "Instant", "sleep", "process::id"] {
        assert!(!code.contains(word), "{word}");
    }
}

#[test]
fn index_follows_changed_renamed_and_deleted_files() {
    let dir = dir();
    let (palace, folder) = (dir.path().join("palace"), dir.path().join("code"));
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"), &folder.join("docs"));
    let index = || Story::start("index_snapshot", &palace, &folder).hear_all("indexed ");
    assert_eq!(index().len(), hashes(&folder).len());
    assert_eq!(index(), [""; 0]);
    fs::write(folder.join("docs/FORMAT.md"), "another text").unwrap();
    fs::rename(folder.join("docs/MCP.md"), folder.join("docs/tools.md")).unwrap();
    let again: BTreeSet<String> = index().into_iter().collect();
    assert_eq!(again.into_iter().collect::<Vec<_>>(), ["docs/FORMAT.md", "docs/tools.md"]);
    assert_indexed(&palace, &folder);
}

// markdown_watchers

/// What the entries should be: the text of each Markdown file by its key.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    let markdown = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let files = files(folder).into_iter().filter(|(path, _)| markdown(path));
    let key = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    files.map(|(path, bytes)| (format!("markdown/{}", key(&path)), text(bytes))).collect()
}

/// Waits until there is one entry a file, with what it says, and no conflict.
#[track_caller]
fn assert_mirrored(palace: &Path, folder: &Path, when: &str) {
    let (wanted, start) = (texts(folder), Instant::now());
    let palace = Palace::open(palace).unwrap();
    loop {
        let found = documents(&palace);
        let text = |document: &crdt_palace::palace::Document| {
            document.value["text"].as_str().unwrap().to_owned()
        };
        let shown: BTreeMap<_, _> = found.iter().map(|(key, d)| (key.clone(), text(d))).collect();
        let conflicts = found.values().filter(|document| !document.conflicts.is_empty()).count();
        if (&shown, conflicts) == (&wanted, 0) {
            return;
        }
        assert!(start.elapsed() < DEADLINE, "{when}: {conflicts} conflicts, {shown:#?}");
        std::thread::yield_now();
    }
}

fn watcher(palace: &Path, folder: &Path) -> Story {
    let mut story = Story::start("markdown_watchers", palace, folder);
    while !story.hear().unwrap().starts_with("watching ") {}
    story
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn two_watchers_leave_one_entry_per_file() {
    let dir = dir();
    let (palace, folder) = (dir.path().join("palace"), dir.path().join("notes"));
    write(&folder, "before.md", "there before anybody watched");
    let mut first = watcher(&palace, &folder);
    let second = watcher(&palace, &folder);
    assert_mirrored(&palace, &folder, "at the start");

    for n in 0..20 {
        write(&folder, &format!("{n}.md"), &format!("# Note {n}\n"));
        write(&folder, &format!("a/{n}/deep.md"), "new, in a new folder");
    }
    write(&folder, "not.txt", "no Markdown");
    assert_mirrored(&palace, &folder, "created");
    for round in 0..50 {
        write(&folder, &format!("{}.md", round % 7), &format!("changed {round}"));
    }
    assert_mirrored(&palace, &folder, "changed");
    fs::remove_file(folder.join("0.md")).unwrap();
    fs::rename(folder.join("1.md"), folder.join("one.md")).unwrap();
    fs::rename(folder.join("2.md"), folder.join("3.md")).unwrap();
    fs::rename(folder.join("a/4"), folder.join("b")).unwrap();
    fs::rename(folder.join("a/5"), dir.path().join("elsewhere")).unwrap();
    fs::remove_dir_all(folder.join("a/6")).unwrap();
    assert_mirrored(&palace, &folder, "removed and renamed");

    first.kill();
    write(&folder, "0.md", "# Note 0\n");
    write(&folder, "4.md", "changed while one of them was dead");
    fs::remove_file(folder.join("7.md")).unwrap();
    assert_mirrored(&palace, &folder, "with one of them");
    drop(second);
    write(&folder, "8.md", "changed while nobody watched");
    fs::rename(folder.join("9.md"), folder.join("nine.md")).unwrap();
    let _again = watcher(&palace, &folder);
    assert_mirrored(&palace, &folder, "started again");
    assert_no_problem(&palace, "after the watchers");
}

/// What a slow watcher writes over the entry of a changed file, and does not live to put right, the others do.
#[test]
fn stale_entries_of_a_dead_watcher_are_corrected() {
    let dir = dir();
    let (palace, folder) = (dir.path().join("palace"), dir.path().join("notes"));
    write(&folder, "a.md", "what it says now");
    let _watcher = watcher(&palace, &folder);
    let stale = crate::support::object(serde_json::json!({"text": "what it said before"}));
    let slow = Palace::open(&palace).unwrap();
    slow.put("markdown/a.md", &stale).unwrap();
    slow.put("markdown/gone.md", &stale).unwrap();
    assert_mirrored(&palace, &folder, "written over");
    assert_eq!(slow.history("markdown/gone.md").unwrap().len(), 2);
}
