//! `crdt-palace undo` and `crdt-palace restore`.

use crate::client::{COMPACT, LOG, PALACE, code, run, stderr, stdout};
use crdt_palace::memory::drawers::{Change, Drawers, Item, Place};
use crdt_palace::memory::facts::{Facts, Triple};
use crdt_palace::palace::{Options, Palace, WriteOptions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

const FIRST: &str = "# Signing keys\nWe sign with RSA.\nRotate yearly.";
const EDITED: &str = "# Signing keys\nWe sign with Ed25519.\nRotate yearly.";
const LATER: &str = "# Signing keys\nWe sign with Ed25519.\nRotate monthly.";

/// A palace in which bob edited a drawer of ann, and ann edited it after that.
struct Written {
    dir: TempDir,
    drawer: String,
    ann: Drawers,
}

fn written() -> Written {
    let dir = tempfile::tempdir().unwrap();
    let open = || Options::default().auto_compact(false).open(dir.path().join("p")).unwrap();
    let drawers = |name: &str| Drawers::new(open()).by(Some(format!("{name} (crdt-palace 0.2.0)")));
    let (ann, bob) = (drawers("ann/1.0"), drawers("bob/2.1"));
    let place = Place::new("atlas", "decisions").unwrap();
    let drawer = ann.file(&[Item::new(place, FIRST).unwrap()]).unwrap().remove(0).id;
    bob.update(&drawer, Change { content: Some(EDITED), ..Change::default() }).unwrap();
    ann.update(&drawer, Change { content: Some(LATER), ..Change::default() }).unwrap();
    Written { dir, drawer, ann }
}

impl Written {
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let path = self.dir.path().join("p").to_str().unwrap().to_owned();
        let mut all = arguments.to_vec();
        all.extend(["--utc", "--palace", &path]);
        run(program, &all)
    }

    fn palace(&self, arguments: &[&str]) -> String {
        stdout(&self.run(PALACE, arguments))
    }

    /// The commits, the oldest first: name, writer and sentence.
    fn commits(&self) -> Vec<[String; 3]> {
        let dump = stdout(&self.run(LOG, &["dump"]));
        let line = |line: &str| {
            let mut columns = line.splitn(4, "  ").skip(1).map(str::to_owned);
            std::array::from_fn(|_| columns.next().unwrap())
        };
        dump.lines().map(line).collect()
    }

    /// The name of the newest commit of a writer.
    fn commit_of(&self, writer: &str) -> String {
        let found = self.commits().into_iter().rfind(|[_, by, _]| by == writer);
        found.unwrap().map(|column| column)[0].clone()
    }

    /// The segments, with their lengths.
    fn files(&self) -> BTreeMap<PathBuf, u64> {
        let open = std::fs::read_dir(self.dir.path().join("p/open")).unwrap();
        let file = |entry: DirEntry| (entry.path(), entry.metadata().unwrap().len());
        open.map(|entry| file(entry.unwrap())).collect()
    }

    fn text(&self) -> String {
        self.ann.get(&self.drawer).unwrap().content
    }
}

#[test]
fn edit_is_undone_and_what_came_later_stays() {
    let palace = written();
    let edit = palace.commit_of("bob/2.1");
    let files = palace.files();
    let dry = palace.palace(&["undo", &edit, "--dry-run"]);
    assert_eq!(palace.files(), files);
    let sentence = "edited drawer \"Signing keys\" in atlas/decisions: +1 −1 lines";
    let expected = format!(
        "would write: {sentence} (undoes {edit})\n    {}\n    @@ -1,3 +1,3 @@\n     # Signing keys\n    -We sign with Ed25519.\n    \
         +We sign with RSA.\n     Rotate monthly.\n",
        palace.drawer
    );
    assert_eq!(dry, expected);
    assert_eq!((palace.text().as_str(), palace.commits().len()), (LATER, 3));

    let undid = format!("{sentence} (undoes {edit})");
    let printed = palace.palace(&["undo", &edit]);
    assert_eq!(palace.text(), "# Signing keys\nWe sign with RSA.\nRotate monthly.");
    let commits = palace.commits();
    let [name, by, told] = commits.last().unwrap();
    assert_eq!((by.starts_with("crdt-palace undo "), told), (true, &undid));
    let (head, rest) = printed.split_once('\n').unwrap();
    assert!(head.ends_with(&format!("  {name}  {by}  {undid}")), "{head}");
    assert_eq!(Some(rest), expected.split_once('\n').map(|(_, rest)| rest));

    // That it was undone is known from a snapshot too.
    stdout(&run(COMPACT, &[palace.dir.path().join("p").to_str().unwrap()]));
    let again = palace.run(PALACE, &["undo", &edit]);
    assert_eq!(code(&again), Some(1));
    let again = String::from_utf8(again.stdout).unwrap();
    assert_eq!(
        again,
        format!("stays:    {edit}  {sentence}: {name} has undone it\nnothing was written\n")
    );

    palace.palace(&["undo", name]);
    assert_eq!(palace.text(), LATER);
}

#[test]
fn all_that_a_client_did_since_a_time_is_undone() {
    let palace = written();
    let other = Palace::open(palace.dir.path().join("p")).unwrap();
    let facts = Facts::new(other.clone()).by(Some("bob/2.1 (crdt-palace 0.2.0)".to_owned()));
    let signs = Triple::new("atlas", "signs with", "RSA").unwrap();
    facts.assert(&signs, Some("2026-01-01"), None, None).unwrap();
    facts.end(&signs, Some("2026-03-01")).unwrap();
    other.with(WriteOptions::new().by("bobby/1.0")).put("k", &json!({"a": 1})).unwrap();
    for by in ["Bob", "bob/2.1"] {
        let dry = palace.palace(&["undo", "--by", by, "--since", "1h", "--dry-run"]);
        let lines: Vec<&str> = dry.lines().filter(|line| line.starts_with("would")).collect();
        let starts = [
            "would write: edited drawer \"Signing keys\" in atlas/decisions: +1 −1 lines (undoes ",
            "would write: deleted fact \"atlas signs with RSA\" (undoes ",
        ];
        assert_eq!(lines.len(), 2, "{by}: {dry}");
        assert!(lines.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{dry}");
    }
    palace.palace(&["undo", "--by", "bob", "--since", "1h"]);
    assert_eq!(palace.text(), "# Signing keys\nWe sign with RSA.\nRotate monthly.");
    assert_eq!(facts.count().unwrap(), 0);
    assert!(other.get("k").unwrap().is_some());
    // The process of these commits wrote a document too.
    let instance = other.instance().unwrap().to_string();
    let printed = palace.run(PALACE, &["undo", "--instance", &instance[..8], "--since", "1h"]);
    assert_eq!(code(&printed), Some(1)); // the facts are undone already
    assert!(other.get("k").unwrap().is_none());
    let none = palace.run(PALACE, &["undo", "--by", "nobody", "--since", "1h"]);
    assert_eq!(code(&none), Some(1));
    assert!(stderr(&none).contains("nothing to undo"), "{}", stderr(&none));
}

#[test]
fn what_stays_is_named_with_its_reason() {
    let palace = written();
    let made = palace.commits()[0][0].clone();
    let output = palace.run(PALACE, &["undo", &made]);
    assert_eq!(code(&output), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let (start, end) = text.split_once(" (").unwrap();
    let expected =
        format!("stays:    {made}  filed drawer \"Signing keys\" in atlas/decisions: ann/1.0");
    assert_eq!(start, expected);
    assert!(end.ends_with(") has changed it since\nnothing was written\n"), "{end}");
    assert_eq!(palace.text(), LATER);
}

#[test]
fn json_of_undo_has_its_documented_schema() {
    let palace = written();
    let edit = palace.commit_of("bob/2.1");
    let whole = |short: &str| {
        let line = stdout(&palace.run(LOG, &["show", short, "--json"]));
        serde_json::from_str::<Value>(&line).unwrap()["commit"].clone()
    };
    let line = |arguments: &[&str]| {
        let output = palace.run(PALACE, arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str::<Value>(&text).unwrap_or_else(|_| panic!("{text}"))
    };
    let dry = line(&["undo", &edit, "--dry-run", "--json"]);
    let key = dry["key"].as_str().unwrap().to_owned();
    let expected = json!({
        "schema": 1, "commit": null, "kind": "drawer", "id": palace.drawer, "key": key,
        "title": "Signing keys", "place": "atlas/decisions", "did": ["edited"], "added": 1, "removed": 1,
        "diff": "@@ -1,3 +1,3 @@\n # Signing keys\n-We sign with Ed25519.\n+We sign with RSA.\n Rotate monthly.",
        "undoes": [whole(&edit)], "left": [],
    });
    assert_eq!(dry, expected);
    let mut done = line(&["undo", &edit, "--json"]);
    let commit = done["commit"].take();
    assert_eq!(done, expected);
    assert_eq!(commit, whole(&palace.commits().last().unwrap()[0]));
    let again = line(&["undo", &edit, "--json"]);
    assert_eq!((&again["did"], &again["diff"]), (&json!([]), &json!("")));
    let left = &again["left"][0];
    assert_eq!((&left["commit"], &left["reason"]), (&whole(&edit), &json!("undone_already")));
    let sentence = "edited drawer \"Signing keys\" in atlas/decisions: +1 −1 lines";
    assert_eq!(left["summary"], sentence);
    let made = palace.commits()[0][0].clone();
    let version = format!("{}@{made}", palace.drawer);
    let restored = line(&["restore", &version, "--json"]);
    assert_eq!((&restored["did"], &restored["added"]), (&json!(["edited"]), &json!(1)));
    assert_eq!(restored["commit"], whole(&palace.commits().last().unwrap()[0]));
}

#[test]
fn earlier_version_is_restored_by_the_name_in_the_history() {
    let palace = written();
    let history = stdout(&palace.run(LOG, &["history", &palace.drawer, "--brief"]));
    let first = history.lines().next().unwrap().split("  ").nth(1).unwrap();
    let version = format!("{}@{first}", palace.drawer);
    let dry = palace.palace(&["restore", &version, "--dry-run"]);
    assert!(dry.starts_with("would write: edited drawer"), "{dry}");
    assert_eq!(palace.text(), LATER);
    palace.ann.delete_one(&palace.drawer, None).unwrap();
    let printed = palace.palace(&["restore", &version]);
    assert!(printed.contains("edited and restored drawer \"Signing keys\""), "{printed}");
    assert_eq!(palace.text(), FIRST);
    let again = palace.palace(&["restore", &version]);
    assert_eq!(again, "drawer \"Signing keys\" shows that version already\n");
    // A restore is a commit like any other.
    let restore = palace.commits().last().unwrap()[0].clone();
    palace.palace(&["undo", &restore]);
    assert!(palace.ann.get(&palace.drawer).is_err());
}

#[test]
fn wrong_arguments_of_undo_are_explained() {
    let palace = written();
    let edit = palace.commit_of("bob/2.1");
    let drawer = palace.drawer.clone();
    let version = format!("{drawer}@never");
    for (arguments, exit, text) in [
        (&["undo"][..], 2, "required"),
        (&["undo", "--by", "bob"], 2, "--since"),
        (&["undo", &edit, "--by", "bob", "--since", "1h"], 2, "cannot be used with"),
        (&["undo", "--by", "bob", "--since", "soon"], 2, "is not a time"),
        (&["undo", "ffff-7"], 1, "is no commit of this palace"),
        (&["undo", &drawer], 1, "is no commit of this palace"),
        (&["undo", "--instance", "zz", "--since", "1h"], 1, "is not the beginning of the id"),
        (&["restore", &drawer], 2, "names no version"),
        (&["restore", &version], 2, "is not a time"),
        (&["restore", "nothing@1h"], 1, "is neither a commit nor a document"),
    ] {
        let output = palace.run(PALACE, arguments);
        assert_eq!(code(&output), Some(exit), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(text), "{arguments:?}: {}", stderr(&output));
    }
    let none = palace.dir.path().join("none");
    let missing = run(PALACE, &["undo", "7f3a-1", "--palace", none.to_str().unwrap()]);
    assert_eq!((code(&missing), none.exists()), (Some(10), false));
}
