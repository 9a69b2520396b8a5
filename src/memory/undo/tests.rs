//! Each kind of commit has its opposite, or a named reason. What others wrote since stays. An undo can be undone.

use super::{Names, Reason, TakenBack, Undo, restore};
use crate::format::key::Key;
use crate::fs::sim::SplitMix;
use crate::memory::drawers::{Change, DiaryEntry, Drawers, Item, Place, Rename};
use crate::memory::facts::{Facts, Source, Triple};
use crate::memory::told::Kind;
use crate::memory::{Addition, Deletion, Entity, Memory, Relation};
use crate::palace::commit_id::CommitId;
use crate::palace::feed::CommitInfo;
use crate::palace::step::Version;
use crate::palace::{Direction, NotUndone, Options, Palace, WriteOptions};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tempfile::TempDir;

/// A client with a process of its own.
struct Client {
    palace: Palace,
    drawers: Drawers,
    facts: Facts,
    graph: Memory,
}

impl Client {
    fn new(path: &Path, name: &str) -> Self {
        let palace = Options::default().auto_compact(false).open(path).unwrap();
        let by = Some(name.to_owned());
        Client {
            drawers: Drawers::new(palace.clone()).by(by.clone()),
            facts: Facts::new(palace.clone()).by(by.clone()),
            graph: Memory::new(palace.clone()).by(by),
            palace,
        }
    }

    fn put(&self, key: &str, value: &Value) {
        self.palace.with(WriteOptions::new().by("ann")).put(key, value).unwrap();
    }

    fn get(&self, key: &str) -> Value {
        Value::Object(self.palace.get(key).unwrap().unwrap().value)
    }

    fn last(&self) -> CommitInfo {
        self.newest().unwrap()
    }

    /// The newest commit of this client; `None` if it has made none.
    fn newest(&self) -> Option<CommitInfo> {
        let own = self.palace.instance();
        let wanted = move |commit: &CommitInfo| Some(commit.instance) == own;
        let mut log = self.palace.log(Direction::NewestFirst, Box::new(wanted)).unwrap();
        log.next().unwrap()
    }

    /// Files a drawer, and returns its id.
    fn file(&self, text: &str) -> String {
        let place = Place::new("atlas", "decisions").unwrap();
        self.drawers.file(&[Item::new(place, text).unwrap()]).unwrap().remove(0).id
    }

    fn edit(&self, id: &str, text: &str) {
        self.drawers.update(id, Change { content: Some(text), ..Change::default() }).unwrap();
    }

    fn text(&self, id: &str) -> String {
        self.drawers.get(id).unwrap().content
    }
}

struct World {
    _dir: TempDir,
    ann: Client,
    bob: Client,
    /// The process that undoes.
    undoer: Client,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let client = |name| Client::new(&dir.path().join("p"), name);
    World { ann: client("ann"), bob: client("bob"), undoer: client("undoer"), _dir: dir }
}

impl World {
    fn run(&self, commits: &[CommitInfo], dry_run: bool) -> Vec<TakenBack> {
        let palace = &self.undoer.palace;
        let mut log = palace.log(Direction::NewestFirst, Box::new(|_| true)).unwrap();
        let options = WriteOptions::new().by("undoer");
        Undo { palace, options, dry_run }.run(&mut log, commits).unwrap()
    }

    /// Undoes commits, and returns what stays.
    fn undo(&self, commits: &[CommitInfo]) -> Vec<Reason> {
        left(self.run(commits, false))
    }

    /// What is shown of each document, without notes and without counters that count nothing.
    fn shown(&self) -> BTreeMap<String, Map<String, Value>> {
        let documents = self.bob.palace.scan("").map(Result::unwrap);
        let documents = documents.filter(|document| Kind::of(&document.key) != Kind::Note);
        documents.map(|document| (document.key.to_string(), document.value)).collect()
    }

    fn conflicts(&self) -> usize {
        self.bob.palace.scan("").map(|document| document.unwrap().conflicts.len()).sum()
    }
}

fn left(done: Vec<TakenBack>) -> Vec<Reason> {
    let parts = done.into_iter().flat_map(|done| done.parts);
    parts.flat_map(|part| part.left).collect()
}

/// The reasons in words, with writers by name.
fn words(key: &str, left: &[Reason]) -> Vec<String> {
    let key = Key::new(key).unwrap();
    let names =
        Names { commit: &|commit| commit.sequence.to_string(), writer: &|by| by.by.clone() };
    left.iter().map(|reason| reason.words(&key, &names)).collect()
}

type Act = fn(&Client);

fn signs() -> Triple {
    Triple::new("atlas", "signs with", "RSA").unwrap()
}

fn entity(name: &str) -> Entity {
    Entity { name: name.into(), entity_type: "project".into(), observations: vec!["is old".into()] }
}

fn likes() -> Relation {
    Relation { from: "atlas".into(), to: "bosun".into(), relation_type: "likes".into() }
}

fn drawer_of(client: &Client) -> String {
    let found = client.palace.keys("drawer/").next().unwrap().unwrap();
    crate::memory::drawers::drawer_id(&found).unwrap()
}

fn filed(client: &Client) {
    client.file("one. two.\nthree.");
}

fn asserted(client: &Client) {
    client.facts.assert(&signs(), Some("2026-01-01"), None, None).unwrap();
}

fn entities(client: &Client) {
    client.graph.create_entities(&["atlas", "bosun"].map(entity)).unwrap();
}

fn renamed(client: &Client, from: &str, to: &str) {
    client.drawers.rename(&Rename { wing: from, to, ..Rename::default() }).unwrap();
}

/// Each kind of commit: what was there before, and what the commit did.
const KINDS: [(&str, Act, Act); 28] = [
    ("filed", |_| (), filed),
    ("filed again", filed, |ann| {
        let place = Place::new("atlas", "decisions").unwrap();
        let item = Item::new(place, "one. two.\nthree.").unwrap();
        ann.drawers.file(&[item.said(Some("a.md"), None).unwrap()]).unwrap();
    }),
    ("edited", filed, |ann| ann.edit(&drawer_of(ann), "one. 2.\nthree. four.")),
    ("moved", filed, |ann| {
        let change = Change { wing: Some("bosun"), room: Some("history"), ..Change::default() };
        ann.drawers.update(&drawer_of(ann), change).unwrap();
    }),
    ("deleted a drawer", filed, |ann| {
        ann.drawers.delete(&[drawer_of(ann)]).unwrap();
    }),
    (
        "restored",
        |ann| {
            filed(ann);
            let id = drawer_of(ann);
            ann.drawers.delete(std::slice::from_ref(&id)).unwrap();
            ann.put("notes/id", &json!({ "id": id }));
        },
        |ann| {
            let id = ann.get("notes/id")["id"].as_str().unwrap().to_owned();
            ann.drawers.undelete(&id).unwrap();
        },
    ),
    (
        "wrote a diary entry",
        |_| (),
        |ann| {
            ann.drawers.write_diary(&DiaryEntry::new("ann", "Done.", None, None).unwrap()).unwrap();
        },
    ),
    ("asserted", |_| (), asserted),
    ("asserted with a source", asserted, |ann| {
        let source = Source { file: Some("a.md".into()), ..Source::default() };
        ann.facts.assert(&signs(), None, None, Some(&source)).unwrap();
    }),
    ("ended", asserted, |ann| {
        ann.facts.end(&signs(), Some("2026-02-01")).unwrap();
    }),
    ("ended at a time with an offset", asserted, |ann| {
        ann.facts.end(&signs(), Some("2026-02-01T10:00:00+09:00")).unwrap();
    }),
    ("replaced on the day of its beginning", asserted, |ann| {
        ann.facts.replace(&signs(), "Ed25519", Some("2026-01-01")).unwrap();
    }),
    ("deleted a fact", asserted, |ann| {
        let key = ann.palace.keys("fact/").next().unwrap().unwrap();
        ann.facts.delete(&crate::memory::facts::fact_id(&key).unwrap()).unwrap();
    }),
    ("created entities", |_| (), entities),
    ("added observations", entities, |ann| {
        let contents = vec!["is large".to_owned()];
        let addition = Addition { entity_name: "atlas".into(), contents };
        ann.graph.add_observations(&[addition]).unwrap();
    }),
    ("deleted observations", entities, |ann| {
        let observations = vec!["is old".to_owned()];
        let deletion = Deletion { entity_name: "atlas".into(), observations };
        ann.graph.delete_observations(&[deletion]).unwrap();
    }),
    ("created a relation", entities, |ann| {
        ann.graph.create_relations(&[likes()]).unwrap();
    }),
    (
        "deleted an entity with its relations",
        |ann| {
            entities(ann);
            ann.graph.create_relations(&[likes()]).unwrap();
        },
        |ann| {
            ann.graph.delete_entities(&["atlas".to_owned()]).unwrap();
        },
    ),
    ("created a document", |_| (), |ann| ann.put("k", &json!({"a": 1, "b": [1, {"c": 2}]}))),
    (
        "edited a document",
        |ann| ann.put("k", &json!({"a": 1, "old": {"x": 1}, "l": [1, 2, 3]})),
        |ann| {
            ann.put("k", &json!({"a": 2, "new": {"y": {"z": 1}}, "l": [0, 1, 3, {"in": 1}]}));
        },
    ),
    (
        "made a map of a number",
        |ann| ann.put("k", &json!({"a": 1})),
        |ann| {
            ann.put("k", &json!({"a": {"b": "one\ntwo"}}));
        },
    ),
    (
        "emptied a document",
        |ann| ann.put("k", &json!({"a": {"b": 1}})),
        |ann| ann.put("k", &json!({})),
    ),
    (
        "deleted a document",
        |ann| ann.put("k", &json!({"a": 1})),
        |ann| {
            ann.palace.delete("k").unwrap();
        },
    ),
    (
        "incremented",
        |ann| {
            ann.palace.increment("k", &["n", "m"], 4).unwrap();
        },
        |ann| {
            ann.palace.increment("k", &["n", "m"], 3).unwrap();
        },
    ),
    (
        "decremented",
        |ann| {
            ann.palace.increment("k", &["n"], 4).unwrap();
        },
        |ann| {
            ann.palace.increment("k", &["n"], -7).unwrap();
        },
    ),
    ("renamed", filed, |ann| renamed(ann, "atlas", "Bosun")),
    (
        "renamed again",
        |ann| {
            filed(ann);
            renamed(ann, "atlas", "Bosun");
        },
        |ann| renamed(ann, "Bosun", "Cog"),
    ),
    (
        "renamed back",
        |ann| {
            filed(ann);
            renamed(ann, "atlas", "Bosun");
        },
        |ann| renamed(ann, "Bosun", "atlas"),
    ),
];

#[test]
fn each_kind_of_commit_has_its_opposite_and_back() {
    for (name, before, act) in KINDS {
        let world = world();
        let World { ann, undoer, .. } = &world;
        before(ann);
        let earlier = world.shown();
        act(ann);
        let (commit, later) = (ann.last(), world.shown());
        assert_ne!(earlier, later, "{name}: the commit did nothing");
        // A dry run says the same, and writes nothing.
        let told = |done: &[TakenBack]| -> Vec<_> {
            let told = done.iter().filter_map(|done| done.told.as_ref());
            told.map(|told| (told.key.clone(), told.verbs(), told.texts.clone())).collect()
        };
        let alone = std::slice::from_ref(&commit);
        let dry = world.run(alone, true);
        assert_eq!(world.shown(), later, "{name}: the dry run wrote");
        let done = world.run(alone, false);
        assert_eq!(told(&dry), told(&done), "{name}");
        assert_eq!(left(done), [], "{name}");
        assert_eq!(world.shown(), earlier, "{name}: not undone");
        let undo = undoer.last();
        // Once only: whatever was counted must not be counted back twice.
        assert!(
            matches!(&world.undo(alone)[..], [Reason::Already(by), ..] if *by == undo.id()),
            "{name}"
        );
        assert_eq!(world.undo(&[undo]), [], "{name}");
        assert_eq!(world.shown(), later, "{name}: the undo was not undone");
        assert_eq!(world.conflicts(), 0, "{name}");
        // It stands again, so it can be undone again.
        assert_eq!(world.undo(alone), [], "{name}");
        assert_eq!(world.shown(), earlier, "{name}: not undone again");
    }
}

#[test]
fn counter_that_a_commit_made_is_counted_back() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    ann.put("k", &json!({"a": 1}));
    ann.palace.increment("k", &["n"], 5).unwrap();
    let commit = ann.last();
    bob.palace.increment("k", &["n"], 2).unwrap();
    assert_eq!(world.undo(&[commit]), []);
    assert_eq!(bob.get("k"), json!({"a": 1, "n": 2}));
    bob.palace.increment("k", &["n"], 10).unwrap();
    assert_eq!(world.undo(&[undoer.last()]), []);
    assert_eq!(bob.get("k")["n"], 17);
}

#[test]
fn counter_in_a_document_that_a_commit_made_is_counted_back() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    ann.palace.increment("k", &["n", "mine"], 5).unwrap();
    let commit = ann.last();
    bob.palace.increment("k", &["n", "mine"], 2).unwrap();
    bob.palace.increment("k", &["n", "yours"], 1).unwrap();
    assert_eq!(world.undo(&[commit]), []);
    assert_eq!(bob.get("k"), json!({"n": {"mine": 2, "yours": 1}}));
    assert_eq!(world.undo(&[undoer.last()]), []);
    assert_eq!(bob.get("k"), json!({"n": {"mine": 7, "yours": 1}}));
}

#[test]
fn what_others_wrote_since_stays() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    let id = ann.file("One is here.\nTwo is here.\nThree is here.");
    ann.edit(&id, "One is there.\nTwo is here.\nThree is here.");
    let edit = ann.last();
    bob.edit(&id, "One is there.\nTwo is here.\nThree is gone.");
    bob.drawers.update(&id, Change { room: Some("history"), ..Change::default() }).unwrap();
    assert_eq!(world.undo(&[edit]), []);
    assert_eq!(bob.text(&id), "One is here.\nTwo is here.\nThree is gone.");
    assert_eq!(bob.drawers.get(&id).unwrap().place.room, "history");
    assert_eq!(world.conflicts(), 0);
    assert_eq!(world.undo(&[undoer.last()]), []);
    assert_eq!(bob.text(&id), "One is there.\nTwo is here.\nThree is gone.");

    ann.put("k", &json!({"a": 1, "b": 1, "list": ["x"], "map": {"p": 1}}));
    ann.put("k", &json!({"a": 2, "list": ["x", "y"], "map": {"p": 1, "q": 1}}));
    let edit = ann.last();
    bob.put("k", &json!({"a": 2, "c": 1, "list": ["w", "x", "y", "z"], "map": {"p": 3, "q": 1}}));
    assert_eq!(world.undo(&[edit]), []);
    let expected = json!({"a": 1, "b": 1, "c": 1, "list": ["w", "x", "z"], "map": {"p": 3}});
    assert_eq!(bob.get("k"), expected);
}

#[test]
fn what_others_built_on_is_named_and_stays() {
    let world = world();
    let World { ann, bob, .. } = &world;
    // A field that was changed since.
    ann.put("k", &json!({"a": 1, "b": 1}));
    ann.put("k", &json!({"a": 2, "b": 2}));
    let edit = ann.last();
    bob.palace.with(WriteOptions::new().by("bob")).patch("k", &json!({"a": 3})).unwrap();
    let left = world.undo(&[edit]);
    assert_eq!(words("k", &left), ["bob has changed its field \"a\" since"]);
    assert_eq!(bob.get("k"), json!({"a": 3, "b": 1}));
    // A document that was changed since it was made.
    ann.put("made", &json!({"a": 1}));
    let made = ann.last();
    bob.palace.with(WriteOptions::new().by("bob")).patch("made", &json!({"b": 1})).unwrap();
    assert_eq!(words("made", &world.undo(&[made])), ["bob has changed it since"]);
    assert_eq!(bob.get("made"), json!({"a": 1, "b": 1}));
    // An edit of what was deleted since, and a delete of what is there again.
    ann.put("gone", &json!({"a": 1}));
    ann.put("gone", &json!({"a": 2}));
    let edit = ann.last();
    bob.palace.with(WriteOptions::new().by("bob")).delete("gone").unwrap();
    let delete = bob.last();
    assert_eq!(words("gone", &world.undo(&[edit])), ["bob has deleted it since"]);
    assert!(bob.palace.get("gone").unwrap().is_none());
    ann.put("gone", &json!({"a": 5}));
    assert_eq!(words("gone", &world.undo(&[delete])), ["it is there again"]);
    assert_eq!(bob.get("gone"), json!({"a": 5}));
    // A move of what was moved on.
    let id = ann.file("Text.");
    ann.drawers.update(&id, Change { room: Some("history"), ..Change::default() }).unwrap();
    let moved = ann.last();
    bob.drawers.update(&id, Change { room: Some("archive"), ..Change::default() }).unwrap();
    let key = bob.drawers.get(&id).unwrap().key;
    assert_eq!(words(key.as_str(), &world.undo(&[moved])), ["bob has changed its place since"]);
    assert_eq!(bob.drawers.get(&id).unwrap().place.room, "archive");
}

#[test]
fn text_changed_at_the_same_place_becomes_a_conflict() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    let id = ann.file("One.\nTwo.");
    ann.edit(&id, "1.\nTwo.");
    let edit = ann.last();
    bob.edit(&id, "I.\nTwo.");
    let key = bob.drawers.get(&id).unwrap().key;
    let left = world.undo(&[edit]);
    let expected = "bob has changed the same place of its text since; both are kept";
    assert_eq!(words(key.as_str(), &left), [expected]);
    let drawer = bob.drawers.get(&id).unwrap();
    let mut readings = vec![drawer.shown_values[0].clone()];
    readings.extend(drawer.conflicts[0].others.iter().map(|other| other.value.clone()));
    readings.sort_by_key(ToString::to_string);
    assert_eq!(readings, ["I.", "One."]);
    assert_eq!(world.undo(&[undoer.last()]), []);
    assert_eq!((bob.text(&id).as_str(), world.conflicts()), ("I.\nTwo.", 0));
}

#[test]
fn several_commits_of_a_writer_are_undone_around_those_of_others() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    bob.put("k", &json!({"n": 0, "text": "a\nb\nc", "list": []}));
    let mut commits = Vec::new();
    for (n, text, list) in [(1, "A\nb\nc", json!(["x"])), (2, "A!\nb\nc", json!(["x", "y"]))] {
        ann.palace.patch("k", &json!({"n": n, "text": text, "list": list})).unwrap();
        commits.push(ann.last());
    }
    bob.palace.patch("k", &json!({"text": "A!\nb\nC", "list": ["x", "y", "z"]})).unwrap();
    ann.palace.patch("k", &json!({"n": 3})).unwrap();
    commits.push(ann.last());
    let made = ann.file("Filed.");
    commits.push(ann.last());
    ann.edit(&made, "Filed and edited.");
    commits.push(ann.last());
    commits.reverse();
    let before = world.shown();
    assert_eq!(world.undo(&commits), []);
    assert_eq!(bob.get("k"), json!({"n": 0, "text": "a\nb\nC", "list": ["z"]}));
    assert!(bob.drawers.get(&made).is_err());
    assert_eq!(world.undo(&[undoer.last()]), []);
    assert_eq!(world.shown(), before);
}

#[test]
fn commit_and_its_undo_are_taken_back_together() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    ann.put("k", &json!({"a": 1}));
    ann.put("k", &json!({"a": 2}));
    let edit = ann.last();
    assert_eq!(world.undo(std::slice::from_ref(&edit)), []);
    assert_eq!(world.undo(&[undoer.last(), edit.clone()]), []);
    assert_eq!(bob.get("k"), json!({"a": 1}));
    assert!(matches!(world.undo(&[edit])[..], [Reason::Already(_)]));
}

#[test]
fn conflict_is_not_settled_by_an_undo() {
    let world = world();
    let World { ann, bob, .. } = &world;
    let first = bob.palace.put("k", &json!({"n": 0, "m": 0})).unwrap().etag;
    for (client, n) in [(ann, 1), (bob, 2)] {
        let write = client.palace.with(WriteOptions::new().base(first.clone()));
        write.put("k", &json!({"n": n, "m": 0})).unwrap();
    }
    let rival = ann.last();
    let left = world.undo(&[rival]);
    assert_eq!(words("k", &left), ["its field \"n\" is in conflict, and no reading is dropped"]);
    assert_eq!(world.conflicts(), 1);
    // Settled to another value: that is taken back, and the readings that are gone are named.
    bob.put("k", &json!({"n": 7, "m": 0}));
    let left = world.undo(&[bob.last()]);
    assert_eq!(words("k", &left), ["the conflict that it settled does not open again"]);
}

#[test]
fn text_that_another_client_filed_too_is_not_hidden() {
    let world = world();
    let World { ann, bob, .. } = &world;
    let id = ann.file("Said by both.");
    let mine = ann.last();
    let place = Place::new("atlas", "decisions").unwrap();
    let item = Item::new(place, "Said by both.").unwrap().said(None, Some("bob")).unwrap();
    bob.drawers.file(&[item]).unwrap();
    assert!(matches!(world.undo(&[mine])[..], [Reason::Document(NotUndone::Changed(_))]));
    assert_eq!(bob.text(&id), "Said by both.");
}

#[test]
fn undo_and_its_undo_show_the_same_whatever_happened() {
    // As many as the variable says, from 1 on.
    let seeds = std::env::var("CRDT_PALACE_SEEDS").map_or(60, |seeds| seeds.parse().unwrap());
    for seed in 1..=seeds {
        let world = world();
        let World { ann, bob, undoer, .. } = &world;
        let (mut dice, mut commits) = (SplitMix::new(seed), Vec::new());
        let id = ann.file("One. Two.\nThree.\nFour.");
        bob.put("k", &json!({"a": 0, "list": [0], "map": {}, "text": "a\nb"}));
        for n in 0..12 {
            let client = if dice.coin() { ann } else { bob };
            let before = client.newest().map(|commit| commit.id());
            let act = dice.below(9);
            match act {
                0 => drop(client.palace.patch("k", &json!({"a": n}))),
                1 => drop(client.palace.increment("c", &["n"], n)),
                2 => drop(client.palace.patch("k", &json!({"map": {format!("f{}", n % 3): n}}))),
                3 => drop(client.palace.write("k", |draft| draft.append(&["list"], &[json!(n)]))),
                4 => drop(client.palace.patch("k", &json!({"text": format!("a{n}\nb")}))),
                5 => drop(client.drawers.undelete(&id)),
                6 => drop(client.drawers.delete_one(&id, None)),
                _ if client.drawers.get(&id).is_ok() => {
                    let line = dice.below(3);
                    let text = client.text(&id);
                    let lines = text.lines().enumerate();
                    let edited = lines
                        .map(|(at, it)| if at == line { format!("{it} {n}.") } else { it.into() });
                    client.edit(&id, &edited.collect::<Vec<String>>().join("\n"));
                }
                _ => {}
            }
            let commit = client.newest();
            commits.extend(commit.filter(|commit| Some(commit.id()) != before && dice.coin()));
        }
        commits.reverse();
        let before = world.shown();
        world.undo(&commits);
        if let Some(undo) = undoer.newest() {
            let conflicts = world.conflicts();
            let left = world.undo(&[undo]);
            assert!(left.iter().all(is_of_no_value), "seed {seed}: {left:?}");
            assert_eq!(world.shown(), before, "seed {seed}, {conflicts} conflicts between");
        }
    }
}

/// Returns true if a part stays that no value shows: an undo settles the conflicts that it undoes, and one of several commits
/// may have changed nothing in the end.
fn is_of_no_value(left: &Reason) -> bool {
    [NotUndone::Settled, NotUndone::Nothing].map(Reason::Document).contains(left)
}

#[test]
fn earlier_version_comes_back_whole() {
    let world = world();
    let World { ann, bob, undoer, .. } = &world;
    let id = ann.file("One.\nTwo.");
    let first = ann.last();
    let key = ann.drawers.get(&id).unwrap().key;
    ann.edit(&id, "1.\n2.");
    bob.drawers.update(&id, Change { room: Some("history"), ..Change::default() }).unwrap();
    bob.drawers.delete_one(&id, None).unwrap();
    let mut log = undoer.palace.log(Direction::NewestFirst, Box::new(|_| true)).unwrap();
    let version = log.step(&first, &key).unwrap().unwrap().version;
    let (_, view) = log.view_at(&key, Version::Heads(&version)).unwrap().unwrap();
    let write = |dry_run| {
        let options = WriteOptions::new();
        restore(&undoer.palace, options, &key, &view.value, dry_run).unwrap()
    };
    assert!(write(true).told.is_some() && bob.drawers.get(&id).is_err());
    assert_eq!(write(false).told.unwrap().verbs(), "edited, moved and restored");
    let back = bob.drawers.get(&id).unwrap();
    assert_eq!((back.content.as_str(), back.place.room.as_str()), ("One.\nTwo.", "decisions"));
    assert!(write(false).told.is_none()); // it is shown already
}

#[test]
fn every_reason_has_its_reviewed_words() {
    let path = || vec!["content".to_owned()];
    let commit = CommitId { instance: crate::format::id::InstanceId([1; 16]), sequence: 7 };
    let document = |reason| Reason::Document(reason);
    let reasons = [
        Reason::Already(commit),
        Reason::Repeated,
        Reason::Refused("it is too large".to_owned()),
        document(NotUndone::Nothing),
        document(NotUndone::BroughtBack),
        document(NotUndone::Changed(None)),
        document(NotUndone::Field(path(), None)),
        document(NotUndone::InConflict(path())),
        document(NotUndone::Conflicts(path(), None)),
        document(NotUndone::Settled),
    ];
    let expected = [
        "7 has undone it",
        "it repeats changes of another process, and their own commit undoes them",
        "the write is refused: it is too large",
        "it changed nothing that is shown",
        "it is there again",
        "another writer has changed it since",
        "another writer has changed its text since",
        "its text is in conflict, and no reading is dropped",
        "another writer has changed the same place of its text since; both are kept",
        "the conflict that it settled does not open again",
    ];
    assert_eq!(words("drawer/a/b/c", &reasons), expected);
}
