//! Damage, as `verify`, `doctor`, `status` and a server tell it: all four, or none.

use crate::client::{COMPACT, Client, LOG, PALACE, code, eras, run, stderr, stdout, texts};
use crate::support::object;
use crdt_palace::palace::dump::{DumpedCommit, Place};
use crdt_palace::palace::{Error, Options, Palace};
use serde_json::json;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// A palace of one process with two sealed segments: the first with three commits, the second with one.
fn palace(path: &Path) -> [PathBuf; 2] {
    let palace = Options::default().auto_compact(false).open(path).unwrap();
    for n in 0..3 {
        palace.put(&format!("k{n}"), &object(json!({"text": "marker"}))).unwrap();
    }
    palace.seal().unwrap();
    let first = files(path, "sealed").remove(0);
    palace.put("k3", &object(json!({"n": 3}))).unwrap();
    palace.seal().unwrap();
    let second = files(path, "sealed").into_iter().find(|file| *file != first).unwrap();
    [first, second]
}

fn files(path: &Path, directory: &str) -> Vec<PathBuf> {
    let list = fs::read_dir(path.join(directory)).unwrap();
    list.map(|entry| entry.unwrap().path()).collect()
}

/// The place where the last commit of a segment begins.
fn last_commit(path: &Path, segment: &Path) -> u64 {
    let id = segment.file_stem().unwrap().to_str().unwrap();
    let (palace, mut last) = (Palace::open_read_only(path).unwrap(), None);
    let note = |commit: DumpedCommit| {
        if let Place::Segment { segment, offset } = commit.place
            && segment.to_string() == id
        {
            last = last.max(Some(offset));
        }
        Ok::<(), Error>(())
    };
    palace.dump(note).unwrap();
    last.unwrap()
}

fn cut(file: &Path, length: u64) {
    File::options().write(true).open(file).unwrap().set_len(length).unwrap();
}

/// Asserts that all four name this file, and say these words; without a file, that none finds a problem.
async fn all_tell(path: &Path, damaged: Option<(&Path, &str)>) {
    let palace = path.to_str().unwrap();
    let verify = run(LOG, &["verify", palace]);
    let doctor = run(PALACE, &["doctor", palace]);
    let status = run(PALACE, &["status", palace]);
    let export = run(PALACE, &["export", "--palace", palace]);
    let client = Client::start(path).await;
    let answer = texts(&client.result("read_graph", json!({})).await).join("\n");
    client.close().await;
    let lines = |output: &std::process::Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = |line: &&str| line.starts_with("PROBLEM");
        text.lines().filter(line).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let Some((file, words)) = damaged else {
        for output in [&verify, &doctor, &status, &export] {
            assert_eq!(
                (code(output), lines(output)),
                (Some(0), String::new()),
                "{}",
                stderr(output)
            );
        }
        assert!(!answer.contains("WARNING"), "{answer}");
        return;
    };
    let file = file.to_str().unwrap();
    for output in [&verify, &doctor, &export] {
        assert_eq!(code(output), Some(1), "{}", stdout(&status));
    }
    for told in [lines(&verify), lines(&doctor), lines(&status)] {
        assert!(told.contains(file) && told.contains(words), "{words}: {told}");
    }
    assert!(answer.contains("WARNING") && answer.contains(file), "{answer}");
    assert!(stderr(&export).contains(file), "{}", stderr(&export));
}

#[tokio::test]
async fn damage_of_segments_is_told_alike_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let [first, second] = palace(&path);
    let good = fs::read(&first).unwrap();
    all_tell(&path, None).await;
    let at = last_commit(&path, &first);

    cut(&first, 0);
    all_tell(&path, Some((&first, "the segment is empty"))).await;
    fs::write(&first, &good).unwrap();

    // Cut between two records: nothing in the file itself is wrong.
    cut(&first, at);
    all_tell(&path, Some((&first, "commits 3 to 3 of its process are missing"))).await;
    all_tell(&path, Some((&first, "without the padding or the footer"))).await;
    // With padding it looks as if its writer was killed. Only the next segment tells.
    cut(&first, at.next_multiple_of(4096));
    all_tell(&path, Some((&first, "commits 3 to 3 of its process are missing"))).await;
    fs::write(&first, &good).unwrap();
    // The last segment of a process has none behind it.
    let last = fs::read(&second).unwrap();
    cut(&second, last_commit(&path, &second));
    all_tell(&path, Some((&second, "without the padding or the footer"))).await;
    fs::write(&second, &last).unwrap();

    let mut bad = good.clone();
    bad[at as usize - 5] ^= 0x40;
    fs::write(&first, bad).unwrap();
    all_tell(&path, Some((&first, "damage: "))).await;
    fs::write(&first, &good).unwrap();
    all_tell(&path, None).await;
}

#[tokio::test]
async fn killed_writers_and_compacted_gaps_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let [first, _] = palace(&path);
    let kept = fs::read(&first).unwrap();
    // The segment between two is in a snapshot.
    let palace = Options::default().auto_compact(false).open(&path).unwrap();
    palace.compact(Default::default()).unwrap();
    drop(palace);
    fs::write(&first, kept).unwrap();
    all_tell(&path, None).await;
    let writer = Options::default().auto_compact(false).open(&path).unwrap();
    writer.put("late", &object(json!({"n": 1}))).unwrap();
    // As a kill leaves it: with padding, and without a footer.
    let copy = dir.path().join("copy");
    let done = std::process::Command::new("cp").arg("-a").args([&path, &copy]).status().unwrap();
    assert!(done.success());
    all_tell(&copy, None).await;
}

/// Makes a palace with one snapshot, and returns that.
fn compacted(path: &Path) -> PathBuf {
    palace(path);
    stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    files(path, "snap").remove(0)
}

#[tokio::test]
async fn damaged_snapshot_tells_what_it_holds_and_is_merged_without() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let snapshot = compacted(&path);
    let palace = path.to_str().unwrap();
    let mut bytes = fs::read(&snapshot).unwrap();
    let marker = bytes.windows(6).position(|window| window == b"marker").unwrap();
    bytes[marker] = b'M';
    fs::write(&snapshot, bytes).unwrap();
    let verify = run(LOG, &["verify", palace]);
    assert_eq!(code(&verify), Some(1));
    let told = String::from_utf8(verify.stdout).unwrap();
    assert!(told.contains("3 of 4 documents of this snapshot can be read, from"), "{told}");
    let key = ["k0", "k1", "k2"]
        .into_iter()
        .find(|key| told.contains(&format!("document {key:?}")))
        .unwrap();

    let into = dir.path().join("into");
    let merge = |forget: &[&str]| {
        run(COMPACT, &[&["--into", into.to_str().unwrap(), palace], forget].concat())
    };
    let refused = merge(&[]);
    assert_eq!(code(&refused), Some(1));
    assert!(stderr(&refused).contains(&format!("--forget {key}")), "{}", stderr(&refused));
    assert!(!into.join("palace.json").exists());
    let merged = merge(&["--forget", key]);
    assert_eq!(code(&merged), Some(0), "{}", stderr(&merged));
    let keys = Palace::open_read_only(&into).unwrap().keys_page("", None, 9).unwrap();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

/// The lines that begin with PROBLEM.
fn problems(output: &std::process::Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.starts_with("PROBLEM")).map(str::to_owned).collect()
}

/// Every place of a stored text: in a document, in a view, in the index of words.
#[tokio::test]
async fn damage_inside_a_snapshot_is_told_alike_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let snapshot = compacted(&path);
    let palace = path.to_str().unwrap();
    let good = fs::read(&snapshot).unwrap();
    let places: Vec<usize> = memchr::memmem::find_iter(&good, b"marker").collect();
    // Three views and three documents at least.
    assert!(places.len() >= 6, "{places:?}");
    let (mut told_by_status, mut met_by_tools) = (0, 0);
    for at in places {
        let mut bad = good.clone();
        bad[at] = b'M';
        fs::write(&snapshot, bad).unwrap();
        let (verify, doctor) = (run(LOG, &["verify", palace]), run(PALACE, &["doctor", palace]));
        assert_eq!((code(&verify), code(&doctor)), (Some(1), Some(1)), "{at}");
        let words = problems(&verify).remove(0);
        let words = words.split(": ").skip(1).collect::<Vec<_>>().join(": ");
        assert!(words.contains(snapshot.to_str().unwrap()), "{words}");
        assert!(problems(&doctor).concat().contains(&words), "{words}: {doctor:?}");
        let status = run(PALACE, &["status", palace]);
        assert_eq!(code(&status), Some(0), "{}", stderr(&status));
        let told = problems(&status).concat();
        assert!(told.is_empty() || told.contains(&words), "{told}");
        told_by_status += usize::from(!told.is_empty());

        let client = Client::start_with(&path, eras()[0].clone(), &["--tools=documents"]).await;
        let mut met = false;
        for key in ["k0", "k1", "k2"] {
            for (tool, arguments) in [
                ("document_get", json!({"key": key})),
                ("document_history", json!({"key": key})),
                ("document_patch", json!({"key": key, "changes": {"n": 1}})),
            ] {
                let result = client.result(tool, arguments).await;
                let texts = texts(&result);
                met |= result.is_error == Some(true) && texts[0].contains("is damaged");
                let told = texts.last().unwrap();
                // From the call that met it on, every answer says so.
                assert_eq!(
                    told.starts_with("WARNING") && told.contains(snapshot.to_str().unwrap()),
                    met,
                    "{tool}: {texts:?}"
                );
            }
        }
        met_by_tools += usize::from(met);
        // Once the file is put back, nothing of it is told any more.
        fs::write(&snapshot, &good).unwrap();
        let texts = texts(&client.result("document_get", json!({"key": "k0"})).await);
        assert_eq!(texts.len(), 1, "{texts:?}");
        assert!(texts[0].contains("marker"), "{texts:?}");
        client.close().await;
        // What the patches wrote.
        for directory in ["open", "sealed"] {
            files(&path, directory).into_iter().for_each(|file| fs::remove_file(file).unwrap());
        }
    }
    assert_eq!((told_by_status, met_by_tools), (3, 6));
    let doctor = run(PALACE, &["doctor", palace]);
    assert!(stdout(&doctor).contains("every byte was read"), "{}", stdout(&doctor));
}
