//! `crdt-log` for people: commits in words, in order, and the past of a document.

use crate::client::{COMPACT, LOG, code, run, stderr, stdout};
use crate::clock::{Ahead, Clocked};
use crate::support::{Dice, seeds, until};
use crdt_palace::memory::drawers::{Change, DiaryEntry, Drawers, Item, Place, Rename};
use crdt_palace::memory::facts::{Facts, Triple};
use crdt_palace::memory::{Entity, Memory};
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const SIGNING: &str = "# Signing keys\nWe sign with RSA.\nRotate yearly.";
const EDITED: &str = "# Signing keys\nWe sign with Ed25519.\nSee adr/7.\nRotate yearly.";

/// A palace that two clients have written, each with a process of its own.
struct Written {
    dir: TempDir,
    /// The id of the drawer that both have changed.
    drawer: String,
    /// What each commit did, in words, the newest last.
    sentences: Vec<&'static str>,
}

impl Written {
    fn path(&self) -> PathBuf {
        self.dir.path().join("p")
    }

    fn log(&self, arguments: &[&str]) -> String {
        let palace = ["--utc", "--palace"].map(str::to_owned);
        let mut all: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        all.extend(palace);
        all.push(self.path().to_str().unwrap().to_owned());
        stdout(&run(LOG, &all.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn compact(&self) {
        stdout(&run(COMPACT, &[self.path().to_str().unwrap()]));
    }
}

fn manual(path: &Path) -> Palace {
    Options::default().auto_compact(false).open(path).unwrap()
}

fn place() -> Place {
    Place::new("atlas", "decisions").unwrap()
}

/// Waits for the clock to go on, so that the next commit has a later time.
fn tick() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let before = now();
    until("the clock goes on", || now() > before);
}

fn written() -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let (hers, his) = (manual(&path), manual(&path));
    let by = |name: &str| Some(format!("{name} (crdt-palace 0.2.0)"));
    let ann = Drawers::new(hers.clone()).by(by("ann/1.0"));
    let bob = Drawers::new(his.clone()).by(by("bob/2.1"));
    let drawer = ann.file(&[Item::new(place(), SIGNING).unwrap()]).unwrap().remove(0).id;
    tick();
    bob.update(&drawer, Change { content: Some(EDITED), ..Change::default() }).unwrap();
    tick();
    bob.update(&drawer, Change { room: Some("history"), ..Change::default() }).unwrap();
    tick();
    ann.delete(std::slice::from_ref(&drawer)).unwrap();
    tick();
    bob.undelete(&drawer).unwrap();
    tick();
    let diary = DiaryEntry::new("ann", "Signed the first token.", Some("auth"), None).unwrap();
    ann.write_diary(&diary).unwrap();
    tick();
    let facts = Facts::new(hers.clone()).by(by("ann/1.0"));
    let signs = Triple::new("atlas", "signs with", "RSA").unwrap();
    facts.assert(&signs, Some("2026-01-01"), None, None).unwrap();
    tick();
    facts.end(&signs, Some("2026-03-01")).unwrap();
    tick();
    let memory = Memory::new(his.clone()).by(by("bob/2.1"));
    let observations = vec!["is a project".to_owned()];
    let entity = Entity { name: "atlas".into(), entity_type: "project".into(), observations };
    memory.create_entities(&[entity]).unwrap();
    tick();
    let notes = ["one", "two"].map(|text| Item::new(place(), text).unwrap());
    bob.file(&notes).unwrap();
    tick();
    let write = his.with(WriteOptions::new().by("bob/2.1"));
    write.put("notes/plan", &json!({"title": "Plan", "done": false})).unwrap();
    tick();
    write.patch("notes/plan", &json!({"done": true})).unwrap();
    tick();
    ann.rename(&Rename { wing: "atlas", room: None, to: "Atlas Two", join: false }).unwrap();
    let sentences = vec![
        "filed drawer \"Signing keys\" in atlas/decisions",
        "edited drawer \"Signing keys\" in atlas/decisions: +2 −1 lines",
        "moved drawer \"Signing keys\" to atlas/history from atlas/decisions",
        "deleted drawer \"Signing keys\" in atlas/history",
        "restored drawer \"Signing keys\" in atlas/history",
        "wrote diary entry \"Signed the first token.\" in wing_ann/diary of ann, on auth",
        "asserted fact \"atlas signs with RSA\" from 2026-01-01",
        "ended fact \"atlas signs with RSA\" on 2026-03-01",
        "created entity \"atlas\"",
        "filed 2 drawers in atlas/decisions",
        "created document \"notes/plan\"",
        "edited document \"notes/plan\" (done): +1 −1 lines",
        "renamed place \"atlas\" to \"Atlas Two\"",
    ];
    Written { dir, drawer, sentences }
}

/// The columns of each line: time, commit, writer, sentence.
fn columns(text: &str) -> Vec<[String; 4]> {
    let line = |line: &str| {
        let mut columns = line.splitn(4, "  ").map(str::to_owned);
        std::array::from_fn(|_| columns.next().unwrap_or_else(|| panic!("{line}")))
    };
    text.lines().map(line).collect()
}

fn sentences(text: &str) -> Vec<String> {
    columns(text).into_iter().map(|[.., sentence]| sentence).collect()
}

#[test]
fn dump_tells_each_commit_in_words() {
    let palace = written();
    let before = palace.log(&["dump"]);
    assert_eq!(sentences(&before), palace.sentences);
    let writers: Vec<String> = columns(&before).into_iter().map(|[_, _, by, _]| by).collect();
    assert_eq!(&writers[..3], ["ann/1.0", "bob/2.1", "bob/2.1"]);
    let mut reversed: Vec<&str> = before.lines().collect();
    reversed.reverse();
    assert_eq!(palace.log(&["dump", "--reverse"]).lines().collect::<Vec<_>>(), reversed);
    let last = before.lines().skip(palace.sentences.len() - 3).collect::<Vec<_>>();
    assert_eq!(palace.log(&["dump", "-n", "3"]).lines().collect::<Vec<_>>(), last);
    let patch = palace.log(&["dump", "-p"]);
    palace.compact();
    assert_eq!(palace.log(&["dump"]), before, "a compaction changes nothing");
    assert_eq!(palace.log(&["dump", "-p"]), patch);
    assert_eq!(palace.log(&["dump", "--reverse"]).lines().collect::<Vec<_>>(), reversed);
}

#[test]
fn dump_prints_the_difference_of_texts() {
    let palace = written();
    let text = palace.log(&["dump", "-p", "--grep", "ed25519", "--kind", "drawer"]);
    let expected = format!(
        "    {}\n    @@ -1,3 +1,4 @@\n     # Signing keys\n    -We sign with RSA.\n    +We sign with Ed25519.\n    \
         +See adr/7.\n     Rotate yearly.\n",
        palace.drawer
    );
    assert!(text.contains(&expected), "{text}");
}

#[test]
fn filters_of_dump_select_commits() {
    let palace = written();
    let all = palace.sentences.len();
    let count = |arguments: &[&str]| {
        let told = sentences(&palace.log(&[&["dump"][..], arguments].concat()));
        told.iter().for_each(|told| assert!(palace.sentences.contains(&told.as_str()), "{told}"));
        told.len()
    };
    for (arguments, expected) in [
        (&["--by", "ANN/1"][..], 6),
        (&["--client", "bob"], 7),
        (&["--client", "bo"], 0),
        (&["--key", &palace.drawer], 5),
        (&["--key", "notes/"], 2),
        (&["--kind", "fact"], 2),
        (&["--kind", "diary,entity,place"], 3),
        (&["--wing", "Atlas Two"], 6),
        (&["--wing", "wing_ann"], 1),
        (&["--grep", "adr/7"], 2),
        (&["--since", "1h"], all),
        (&["--until", "1h"], 0),
        (&["--since", "today", "--until", "now"], all),
        (&["--since", "1999-01-01", "--until", "1999-12-31"], 0),
        (&["--by", "ann", "-n", "2"], 2),
    ] {
        // A day may begin while this runs.
        let day = arguments.contains(&"today");
        let found = count(arguments);
        assert!(found == expected || (day && found < all), "{arguments:?}: {found}");
    }
    let path = palace.path();
    for bad in ["--since=soon", "--until=25:00", "--wing=../x", "--kind=drawers", "-n=-1"] {
        let bad = run(LOG, &["dump", bad, path.to_str().unwrap()]);
        assert_eq!(code(&bad), Some(2), "{}", stderr(&bad));
    }
}

#[test]
fn json_of_dump_has_its_documented_schema() {
    let palace = written();
    let text = palace.log(&["dump", "--json", "-p"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), palace.sentences.len());
    let edit = &lines[1];
    let names: Vec<&String> = edit.as_object().unwrap().keys().collect();
    let expected = [
        "by",
        "changes",
        "commit",
        "documents",
        "instance",
        "schema",
        "sequence",
        "summary",
        "time",
        "time_ms",
    ];
    assert_eq!(names, expected);
    assert_eq!((&edit["schema"], &edit["by"]), (&json!(2), &json!("bob/2.1 (crdt-palace 0.2.0)")));
    let id = format!("{}-{}", edit["instance"].as_str().unwrap(), edit["sequence"]);
    assert_eq!((&edit["commit"], &edit["summary"]), (&json!(id), &json!(palace.sentences[1])));
    let document = &edit["documents"][0];
    assert_eq!(document["id"], json!(palace.drawer));
    let (did, counts) = (&document["did"], [&document["added"], &document["removed"]]);
    assert_eq!((did, counts), (&json!(["edited"]), [&json!(2), &json!(1)]));
    assert!(document["diff"].as_str().unwrap().contains("\n+See adr/7.\n"));
    assert_eq!(edit["changes"][0]["hash"].as_str().unwrap().len(), 64);
}

#[test]
fn commits_and_documents_are_shown_by_name() {
    let palace = written();
    let edit = &columns(&palace.log(&["dump"]))[1];
    let text = palace.log(&["show", &edit[1]]);
    assert!(text.contains("by        bob/2.1 (crdt-palace 0.2.0)\n"), "{text}");
    assert!(text.contains(palace.sentences[1]) && text.contains("\n    +See adr/7.\n"), "{text}");
    let text = palace.log(&["show", &palace.drawer]);
    for words in ["drawer    Signing keys\n", "place     atlas/history\n", "versions  5\n", EDITED]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let path = palace.path();
    for name in ["nothing", "0000-1", "drawer_atlas_decisions_0"] {
        let output = run(LOG, &["show", name, "--palace", path.to_str().unwrap()]);
        assert_eq!(code(&output), Some(1), "{name}");
        assert!(stderr(&output).contains("neither a commit nor a document"), "{}", stderr(&output));
    }
}

#[test]
fn history_has_every_version_with_its_author() {
    let palace = written();
    let brief = palace.log(&["history", &palace.drawer, "--brief"]);
    assert_eq!(sentences(&brief), palace.sentences[..5]);
    let whole = palace.log(&["history", &palace.drawer]);
    assert!(whole.contains("\n    -We sign with RSA.\n") && whole.contains("\n    +See adr/7.\n"));
    palace.compact();
    assert_eq!(palace.log(&["history", &palace.drawer]), whole);
}

#[test]
fn versions_are_compared_by_commit_and_time() {
    let palace = written();
    let commits = columns(&palace.log(&["dump", "--key", &palace.drawer]));
    let diff = |arguments: &[&str]| palace.log(&[&["diff"][..], arguments].concat());
    let text = diff(&[&palace.drawer, &commits[0][1], &commits[1][1]]);
    assert!(text.contains("-We sign with RSA.\n+We sign with Ed25519.\n"), "{text}");
    assert!(diff(&[&palace.drawer, &commits[1][1], &commits[0][1]]).contains("+We sign with RSA."));
    assert!(diff(&[&palace.drawer, &commits[0][1]]).contains("moved from atlas/decisions to"));
    // An hour ago there was nothing.
    let all = diff(&["1h"]);
    for words in ["+# Signing keys", "+Signed the first token.", "notes/plan", "+done: true"] {
        assert!(all.contains(words), "{words}: {all}");
    }
    assert_eq!(diff(&["2h", "1h"]), "no difference\n");
    let other = columns(&palace.log(&["dump", "--kind", "fact"]))[0][1].clone();
    let path = palace.path();
    let at = ["--palace", path.to_str().unwrap()];
    let output = run(LOG, &[&["diff", &palace.drawer, &other][..], &at[..]].concat());
    assert!(stderr(&output).contains("did not change"), "{}", stderr(&output));
}

#[test]
fn documents_are_shown_as_they_were_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let ago = |hours: i64| {
        let clock = Clocked(Ahead { ms: -hours * 3_600_000 });
        Options::default().auto_compact(false).fs(Arc::new(clock)).open(&path).unwrap()
    };
    let drawers = |hours| Drawers::new(ago(hours)).by(Some("ann/1".to_owned()));
    let id = drawers(9).file(&[Item::new(place(), SIGNING).unwrap()]).unwrap().remove(0).id;
    drawers(6).update(&id, Change { content: Some(EDITED), ..Change::default() }).unwrap();
    drawers(3).delete(std::slice::from_ref(&id)).unwrap();
    for _ in 0..2 {
        let at = |arguments: &[&str]| {
            run(LOG, &[&["at"][..], arguments, &["--palace", path.to_str().unwrap()]].concat())
        };
        let line = format!("drawer \"Signing keys\" in atlas/decisions  {id}\n");
        for (time, listed) in [("10h", ""), ("8h", &line), ("5h", &line), ("2h", "")] {
            assert_eq!(stdout(&at(&[time, "list"])), listed, "{time}");
        }
        assert_eq!(stdout(&at(&["8h", "show", &id])), format!("{line}\n{SIGNING}\n"));
        assert_eq!(stdout(&at(&["5h", "show", &id])), format!("{line}\n{EDITED}\n"));
        for time in ["10h", "2h"] {
            assert!(stderr(&at(&[time, "show", &id])).contains("was not there"), "{time}");
        }
        let found = stdout(&at(&["8h", "search", "rsa", "SIGN"]));
        assert_eq!(found, format!("{line}    # Signing keys\n    We sign with RSA.\n"));
        assert_eq!(stdout(&at(&["5h", "search", "rsa"])), "");
        assert_eq!(stdout(&at(&["5h", "list", "--wing", "other"])), "");
        stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    }
}

#[test]
fn blame_names_the_writer_of_each_line_through_merges() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let (ann, bob) = (manual(&path), manual(&path));
    let key = "notes/text";
    let first =
        ann.with(WriteOptions::new().by("ann/1")).put(key, &json!({"t": "a\nb\nc\nd"})).unwrap();
    let from = |name: &str| WriteOptions::new().by(name).base(first.etag.clone());
    ann.with(from("ann/2")).put(key, &json!({"t": "a2\nb\nc\nd"})).unwrap();
    bob.with(from("bob/1")).put(key, &json!({"t": "a\nb\nc\nd2"})).unwrap();
    let drawers = Drawers::new(ann.clone()).by(Some("ann/1".to_owned()));
    let id = drawers.file(&[Item::new(place(), "one\ntwo\nthree").unwrap()]).unwrap().remove(0).id;
    let his = Drawers::new(bob.clone()).by(Some("bob/1".to_owned()));
    let etag = his.get(&id).unwrap().etag.parse().unwrap();
    let change =
        |content| Change { content: Some(content), base: Some(&etag), ..Change::default() };
    drawers.update(&id, change("ONE\ntwo\nthree")).unwrap();
    his.update(&id, change("one\ntwo\nTHREE\nfour")).unwrap();
    let palace = path.to_str().unwrap();
    let blame = || {
        let text = stdout(&run(LOG, &["blame", &id, "--json", "--palace", palace]));
        let line = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            (text("line"), text("by"))
        };
        text.lines().map(line).collect::<Vec<_>>()
    };
    let expected = [("ONE", "ann/1"), ("two", "ann/1"), ("THREE", "bob/1"), ("four", "bob/1")];
    let expected = expected.map(|(line, by)| (line.to_owned(), by.to_owned()));
    assert_eq!(blame(), expected);
    stdout(&run(COMPACT, &[palace]));
    assert_eq!(blame(), expected);
    let text = stdout(&run(LOG, &["blame", &id, "--palace", palace]));
    assert!(text.lines().next().unwrap().ends_with("  ONE"), "{text}");
}

#[test]
fn conflicts_are_listed_with_all_readings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let palace = manual(&path);
    let list = || stdout(&run(LOG, &["conflicts", path.to_str().unwrap()]));
    let first = palace.put("notes/plan", &json!({"n": 0})).unwrap();
    assert_eq!(list(), "no open conflicts\n");
    for (n, by) in [(1, "ann/1"), (2, "bob/1")] {
        let options = WriteOptions::new().by(by).base(first.etag.clone());
        palace.with(options).put("notes/plan", &json!({"n": n})).unwrap();
    }
    for _ in 0..2 {
        let text = list();
        for words in ["document \"notes/plan\"\n", "  /n\n", "ann/1\n      1\n", "bob/1\n      2\n"]
        {
            assert!(text.contains(words), "{words}: {text}");
        }
        palace.seal().unwrap();
        stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    }
    palace.patch("notes/plan", &json!({"n": 3})).unwrap();
    assert_eq!(list(), "no open conflicts\n");
    let last = stdout(&run(LOG, &["dump", "-n", "1", path.to_str().unwrap()]));
    assert!(
        last.contains("edited and settled a conflict in document \"notes/plan\" (n)"),
        "{last}"
    );
}

/// Writers whose clocks are hours apart, on a few documents. Each commit is found after what it builds on.
#[test]
fn causes_come_first_whatever_the_clocks_say() {
    for seed in seeds(4) {
        let mut dice = Dice::new(seed);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        let writers: Vec<Palace> = (0..4)
            .map(|n| {
                let clock = Clocked(Ahead { ms: 2 * 3_600_000 * n });
                Options::default().auto_compact(false).fs(Arc::new(clock)).open(&path).unwrap()
            })
            .collect();
        for n in 0..60 {
            let (key, writer) = (format!("k{}", dice.below(3)), dice.below(4));
            writers[writer].put(&key, &json!({"n": n})).unwrap();
            if n == 30 {
                writers.iter().for_each(|writer| writer.seal().unwrap());
                stdout(&run(COMPACT, &[path.to_str().unwrap()]));
            }
        }
        let mut deps = HashMap::new();
        for key in ["k0", "k1", "k2"] {
            for info in writers[0].history(key).unwrap() {
                deps.insert(info.hash.to_string(), info.deps);
            }
        }
        let dump = |arguments: &[&str]| -> Vec<Value> {
            let all = [&["dump", "--json", path.to_str().unwrap()][..], arguments].concat();
            stdout(&run(LOG, &all))
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect()
        };
        let (old, mut new) = (dump(&[]), dump(&["--reverse"]));
        new.reverse();
        let last = dump(&["-n", "60"]);
        for commits in [&old, &new, &last] {
            assert_eq!(commits.len(), 60, "seed {seed}");
            let (mut seen, mut numbers) = (Vec::new(), HashMap::new());
            for commit in commits {
                let number = commit["sequence"].as_u64().unwrap();
                let before = numbers.insert(commit["instance"].to_string(), number);
                assert!(before.is_none_or(|before| before < number), "seed {seed}: {commit}");
                for change in commit["changes"].as_array().unwrap() {
                    let hash = change["hash"].as_str().unwrap().to_owned();
                    let missing = deps[&hash].iter().find(|dep| !seen.contains(&dep.to_string()));
                    assert!(missing.is_none(), "seed {seed}: {commit} comes before {missing:?}");
                    seen.push(hash);
                }
            }
        }
    }
}

#[test]
fn follower_prints_commits_of_any_process() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let before = manual(&path);
    before.put("k", &json!({"n": 1})).unwrap();
    let mut child = Command::new(LOG)
        .args(["dump", "--follow", "--json", path.to_str().unwrap()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["documents"][0]["key"], "k");
    for n in 0..3 {
        let key = format!("later/{n}");
        manual(&path).put(&key, &json!({"n": n})).unwrap();
        assert_eq!(next()["documents"][0]["key"], json!(key));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn colours_are_printed_only_where_they_are_wanted() {
    let palace = written();
    let path = palace.path();
    let dump = |arguments: &[&str]| {
        let all = [&["dump", path.to_str().unwrap()][..], arguments].concat();
        stdout(&run(LOG, &all))
    };
    assert!(!dump(&[]).contains('\u{1b}'), "this is no terminal");
    let colored = dump(&["--color", "always"]);
    assert!(colored.contains("\u{1b}[33m"), "{colored:?}");
    assert!(!dump(&["--color", "never"]).contains('\u{1b}'));
}

/// The commits of a process that was killed are told like any others.
#[test]
fn commits_of_a_killed_writer_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let mut writer = crate::support::child("write");
    writer.arg(&path).args(["w", "1", "100000"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = writer.spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    until("it has written", || path.join("palace.json").exists());
    let palace = Palace::open_read_only(&path).unwrap();
    until("commits are there", || palace.keys_page("", None, 20).unwrap().len() == 20);
    child.kill().unwrap();
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    child.wait().unwrap();
    let dump = || stdout(&run(LOG, &["dump", "--json", path.to_str().unwrap()]));
    let before = dump();
    for key in palace.keys_page("", None, 10_000).unwrap() {
        assert!(before.contains(&format!("\"key\":\"{key}\"")), "{key}");
    }
    stdout(&run(COMPACT, &[path.to_str().unwrap()]));
    assert_eq!(dump(), before);
}

/// Returns the names of the fields of a line of JSON.
fn fields(line: &Value) -> Vec<&str> {
    line.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn json_of_documents_has_its_documented_schema() {
    let palace = written();
    let path = palace.path();
    let opened = manual(&path);
    let base = opened.get("notes/plan").unwrap().unwrap().etag;
    for n in 0..2 {
        let from_base = WriteOptions::new().by("ann/1").base(base.clone());
        opened.with(from_base).patch("notes/plan", &json!({"n": n})).unwrap();
    }
    Drawers::new(opened).delete(std::slice::from_ref(&palace.drawer)).unwrap();
    let lines = |arguments: &[&str]| -> Vec<Value> {
        let lines = palace.log(&[arguments, &["--json"]].concat());
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let document = ["conflicts", "deleted", "id", "key", "kind", "schema", "title", "value"];
    let drawer = ["conflicts", "deleted", "id", "key", "kind", "place", "schema", "title", "value"];
    let deleted = lines(&["show", &palace.drawer]).remove(0);
    assert_eq!(fields(&deleted), drawer);
    assert_eq!((&deleted["deleted"], &deleted["value"]["content"]), (&json!(true), &json!(EDITED)));
    assert_eq!(deleted["schema"], 1);
    let conflicts = lines(&["conflicts"]);
    assert_eq!((conflicts.len(), fields(&conflicts[0])), (1, document.to_vec()));
    let conflict = &conflicts[0]["conflicts"][0];
    assert_eq!(fields(conflict), ["others", "path", "shown"]);
    for reading in [&conflict["shown"], &conflict["others"][0]] {
        assert_eq!(fields(reading), ["by", "time_ms", "value"]);
    }
    let readings = [&conflict["shown"]["value"], &conflict["others"][0]["value"]];
    assert!(readings.contains(&&json!(0)) && readings.contains(&&json!(1)), "{conflict}");
    assert_eq!(lines(&["at", "now", "show", "notes/plan"]), conflicts);
    assert!(lines(&["at", "now", "list"]).contains(&conflicts[0]));
    assert_eq!(lines(&["at", "now", "search", "plan"])[0], conflicts[0]);
    let differences = lines(&["diff", "1h"]);
    let of_diff = ["diff", "id", "key", "kind", "moved_from", "moved_to", "schema", "title"];
    differences.iter().for_each(|line| assert_eq!(fields(line), of_diff));
    assert!(differences.iter().all(|line| line["id"] != json!(palace.drawer)), "deleted: no text");
    let blamed = lines(&["blame", "notes/plan"]);
    blamed.iter().for_each(|line| {
        assert_eq!(fields(line), ["by", "commit", "line", "schema", "time_ms"]);
    });
}

/// Without the header of a segment, nobody knows which process made its commits. Their changes are there.
#[test]
fn changes_without_a_commit_are_told_of_their_document() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("p");
    let by = |name: &str| WriteOptions::new().by(name);
    manual(&path).with(by("ann/1")).put("k", &json!({"a": 1})).unwrap();
    let sealed = std::fs::read_dir(path.join("sealed")).unwrap().next().unwrap().unwrap().path();
    manual(&path).with(by("bob/1")).patch("k", &json!({"b": 2})).unwrap();
    let mut bytes = std::fs::read(&sealed).unwrap();
    bytes[..8].fill(b'X');
    std::fs::write(&sealed, bytes).unwrap();
    let palace = path.to_str().unwrap();
    let log = |arguments: &[&str]| {
        let output = run(LOG, &[arguments, &["--palace", palace]].concat());
        assert_eq!(code(&output), Some(1), "{arguments:?}");
        assert!(stderr(&output).contains(sealed.to_str().unwrap()), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(sentences(&log(&["dump"])), ["edited document \"k\" (b): +1 line"]);
    assert!(log(&["dump", "--raw"]).contains("of instance unknown  by ann/1"));
    let history = log(&["history", "k", "--brief"]);
    assert!(history.contains("  ann/1  a change whose commit is in no file"), "{history}");
    assert!(log(&["show", "k"]).contains("lost      1 change, whose commits are in no file"));
    let blame = log(&["blame", "k"]);
    let lines: Vec<&str> = blame.lines().collect();
    assert!(lines[0].starts_with("? ") && lines[0].ends_with("  ann/1  a: 1"), "{blame}");
    assert!(!lines[1].starts_with('?') && lines[1].ends_with("  bob/1  b: 2"), "{blame}");
}
