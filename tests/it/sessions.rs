//! Sessions of a program that embeds the library: whole values that clients write back, in random order.

use crate::support::edits::{Ledger, OwnEdits, edit_shared, marks, races};
use crate::support::{Dice, assert_no_problem, copy, dir, manual, object, seeds};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Etag, Outcome, Palace, Session, WriteOptions};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tempfile::TempDir;

const KEY: &str = "k";

fn read(palace: &Palace) -> Map<String, Value> {
    palace.get(KEY).unwrap().unwrap().value
}

#[test]
fn etag_of_a_write_names_its_own_change_alone() {
    let dir = dir();
    let palace = manual(dir.path());
    let first = palace.put(KEY, &json!({"a": 1, "b": 1})).unwrap();
    assert_eq!(first.etag, first.current_etag);
    let hers = palace.put(KEY, &json!({"a": 2, "b": 1})).unwrap();
    let from = |etag| palace.with(WriteOptions::new().base(etag));
    let his = from(first.etag.clone()).put(KEY, &json!({"a": 1, "b": 2})).unwrap();
    assert_eq!((his.etag.len(), his.current_etag.len()), (1, 2));
    assert!(his.etag != hers.etag && palace.get_at(KEY, &his.etag).unwrap().is_some());
    let next = from(his.etag).put(KEY, &json!({"a": 1, "b": 3})).unwrap();
    assert_eq!(json!(read(&palace)), json!({"a": 2, "b": 3}), "he has not seen her edit");
    assert_eq!(next.current_etag, palace.get(KEY).unwrap().unwrap().etag);

    // A write that changes nothing at its base is no way around it.
    let same = from(first.etag.clone()).put(KEY, &json!({"a": 1, "b": 1})).unwrap();
    assert_eq!(
        (same.changed, &same.etag, same.current_etag),
        (false, &first.etag, next.current_etag)
    );
    // Two changes of one closure stand on each other, and not on what is beside them.
    let two = from(first.etag).write(KEY, |draft| {
        draft.patch(&json!({"c": 1}))?;
        draft.patch(&json!({"d": 1}))
    });
    let own = palace.get_at(KEY, &two.unwrap().etag).unwrap().unwrap();
    assert_eq!(json!(own.value), json!({"a": 1, "b": 1, "c": 1, "d": 1}));
}

#[test]
fn choice_follows_a_read_that_came_after_the_last_write() {
    let dir = dir();
    let palace = manual(dir.path());
    let (ann, bob) = (palace.session(), palace.session());
    palace.put(KEY, &json!({"n": 0})).unwrap();
    ann.get(KEY).unwrap();
    bob.get(KEY).unwrap();
    ann.put(KEY, &json!({"n": 1})).unwrap();
    bob.put(KEY, &json!({"n": 2})).unwrap();
    for decided in [3, 1] {
        // Each has written the field, and either may be shown. Ann reads, and decides: for another value, or for hers.
        assert_eq!(ann.get(KEY).unwrap().unwrap().conflicts.len(), 1);
        let written = ann.put(KEY, &json!({"n": decided})).unwrap();
        assert!(written.merged.is_none(), "{written:?}");
        assert!(palace.get(KEY).unwrap().unwrap().conflicts.is_empty());
        bob.put(KEY, &json!({"n": 4})).unwrap();
    }
    // A call that is repeated, because its answer was lost, changes nothing.
    let bobs = palace.history(KEY).unwrap().len();
    assert!(!bob.put(KEY, &json!({"n": 4})).unwrap().outcome.changed);
    assert_eq!(palace.history(KEY).unwrap().len(), bobs);
}

/// The answer to a write shows the field of another client, and the next whole value replaces that field. Either the
/// client goes on from the answer, or it has lost it. So both values are kept.
#[test]
fn field_replaced_after_a_lost_answer_is_in_conflict() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"a": "", "b": ""})).unwrap();
    let (ann, bob) = (palace.session(), palace.session());
    [&ann, &bob].iter().for_each(|session| drop(session.get(KEY).unwrap()));
    ann.put(KEY, &json!({"a": "hers", "b": ""})).unwrap();
    let shown = bob.put(KEY, &json!({"a": "", "b": "his"})).unwrap().merged.unwrap();
    assert_eq!(json!(shown.value), json!({"a": "hers", "b": "his"}));
    bob.put(KEY, &json!({"a": "also", "b": "his"})).unwrap();
    let found = bob.get(KEY).unwrap().unwrap();
    assert_eq!((&found.value["a"], found.conflicts.len()), (&json!("also"), 1), "{found:?}");
    assert_eq!(found.conflicts[0].others[0].value, "hers");

    // He has read it now, and decides.
    let decided = bob.put(KEY, &json!({"a": "both", "b": "his"})).unwrap();
    assert_eq!(decided.outcome.settled[0].values.len(), 2, "{decided:?}");
    assert!(palace.get(KEY).unwrap().unwrap().conflicts.is_empty());
}

/// The answer to a write shows an object of another client, and the next whole value has an object of its own there, and
/// nothing else of that answer: it was lost.
#[test]
fn object_made_after_a_lost_answer_replaces_nothing() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"in": {}, "list": ["z"], "text": ""})).unwrap();
    let (ann, bob) = (palace.session(), palace.session());
    [&ann, &bob].iter().for_each(|session| drop(session.get(KEY).unwrap()));
    let hers = json!({"in": {"s": {"f": "red", "g": {}}}, "list": ["hers", "z"], "text": ""});
    ann.put(KEY, &hers).unwrap();
    let written = bob.put(KEY, &json!({"in": {}, "list": ["z"], "text": "his"})).unwrap();
    assert!(written.merged.is_some());
    let his = json!({"in": {"s": {"f": "blue", "g": {}}}, "list": ["z"], "text": "his"});
    bob.put(KEY, &his).unwrap();
    let found = bob.get(KEY).unwrap().unwrap();
    let merged = json!({"in": his["in"], "list": ["hers", "z"], "text": "his"});
    assert_eq!(json!(found.value), merged);
    let [conflict] = found.conflicts.as_slice() else { panic!("{found:?}") };
    assert_eq!((conflict.path.as_str(), &conflict.others[0].value), ("/in/s/f", &json!("red")));
}

/// It has read the document more often than it wrote, so its write might be made from the shorter value.
#[test]
fn single_client_that_removes_what_it_made_longer_does() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"a": 1, "gone": "short", "list": [1]})).unwrap();
    let session = palace.session();
    (0..2).for_each(|_| drop(session.get(KEY).unwrap()));
    session.put(KEY, &json!({"a": 1, "gone": "now\nlonger", "list": [1, 2, 3]})).unwrap();
    let written = session.put(KEY, &json!({"a": 1})).unwrap();
    assert!(written.merged.is_none(), "{written:?}");
    assert_eq!(json!(read(&palace)), json!({"a": 1}));
}

#[test]
fn single_client_that_reads_often_gets_what_it_sent() {
    for seed in seeds(40) {
        let (dir, mut dice) = (dir(), Dice::new(seed));
        let palace = manual(dir.path());
        let session = palace.session();
        let mut value = object(json!({"n": 0, "status": "new", "in": {"a": 0}, "list": []}));
        session.put(KEY, &value).unwrap();
        for n in 1..20_u8 {
            (0..dice.below(4)).for_each(|_| drop(session.get(KEY).unwrap()));
            match dice.below(4) {
                0 => value["n"] = json!(n),
                1 => value["in"]["a"] = json!(n),
                2 => value["status"] = json!(char::from(b'a' + n).to_string().repeat(5)),
                _ => value["list"].as_array_mut().unwrap().push(json!(n)),
            }
            let written = session.put(KEY, &value).unwrap();
            assert!(written.merged.is_none() && written.replaced_unseen.is_none(), "seed {seed}");
            let found = palace.get(KEY).unwrap().unwrap();
            assert_eq!(
                (&found.value, found.conflicts.len()),
                (&value, 0),
                "seed {seed}, write {n}"
            );
        }
    }
}

/// The second of three texts is in conflict, and a client writes the third. Its change builds on the texts in conflict, and
/// not on what else it has read. That is not written once more with its next value, nor brought back by it.
#[test]
fn write_that_leaves_a_conflict_open_is_a_base_for_the_next() {
    let dir = dir();
    let palace = manual(dir.path());
    let first = palace.put(KEY, &json!({"text": "1\n2\n3", "list": ["old"]})).unwrap().etag;
    let from = |etag: &Etag| palace.with(WriteOptions::new().base(etag.clone()));
    for line in ["II", "zwei"] {
        from(&first).patch(KEY, &json!({"text": format!("1\n{line}\n3")})).unwrap();
    }
    from(&first).patch(KEY, &json!({"list": ["old", "read"]})).unwrap();
    let session = palace.session();
    let mut value = session.get(KEY).unwrap().unwrap().value;
    let text = value["text"].as_str().unwrap().replace('3', "III");
    value["text"] = json!(text);
    let written = session.put(KEY, &value).unwrap();
    assert!(written.merged.is_none(), "{written:?}");
    let Outcome { etag, current_etag, .. } = &written.outcome;
    assert_eq!(etag, current_etag, "nobody else has written");
    let own = palace.get_at(KEY, etag).unwrap().unwrap();
    assert_eq!((own.value, own.conflicts.len()), (value.clone(), 1));

    value["list"] = json!(["read", "more"]);
    let again = session.put(KEY, &value).unwrap();
    assert!(again.merged.is_none(), "{again:?}");
    let found = palace.get(KEY).unwrap().unwrap();
    assert_eq!((&found.value, found.conflicts.len()), (&value, 1));
    // The same in one closure.
    palace
        .with(WriteOptions::new().base(found.etag))
        .write(KEY, |draft| {
            draft.patch(&json!({"text": text.replace('1', "I")}))?;
            draft.patch(&json!({"list": ["more"]}))
        })
        .unwrap();
    assert_eq!(read(&palace)["list"], json!(["more"]));
}

#[test]
fn single_client_that_adds_a_field_can_change_it() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"text": "", "n": 0})).unwrap();
    let session = palace.session();
    (0..2).for_each(|_| drop(session.get(KEY).unwrap()));
    for (n, patched) in [(1, false), (2, true), (3, false), (4, true)] {
        let value = json!({"text": format!("text {n}"), "n": 0, "new": n});
        let written = match patched {
            true => session.patch(KEY, &json!({"text": value["text"], "new": n})).unwrap(),
            false => session.put(KEY, &value).unwrap(),
        };
        assert!(written.merged.is_none(), "{written:?}");
        let found = palace.get(KEY).unwrap().unwrap();
        assert_eq!((json!(found.value), found.conflicts), (value, vec![]), "write {n}");
    }
}

/// A client has read an old version more often than it wrote. Its patch of a field that has not changed since is made from
/// what it read last, and so is its next whole value.
#[test]
fn patch_is_made_from_the_last_version_with_the_same_field() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"a": 1, "list": []})).unwrap();
    let session = palace.session();
    (0..2).for_each(|_| drop(session.get(KEY).unwrap()));
    palace.patch(KEY, &json!({"list": ["read"]})).unwrap();
    let read = session.get(KEY).unwrap().unwrap();
    let patched = session.patch(KEY, &json!({"a": 2})).unwrap().outcome;
    assert_eq!(patched.etag, patched.current_etag, "it builds on {}", read.etag);
    let value = json!({"a": 2, "list": ["more"]});
    let written = session.put(KEY, &value).unwrap();
    assert!(written.merged.is_none(), "{written:?}");
    assert_eq!(json!(palace.get(KEY).unwrap().unwrap().value), value);
}

/// A patch that fits an old version better is made from that. The next whole value has the patch and what the client read
/// last, and nothing of that is written again.
#[test]
fn whole_value_after_a_patch_from_an_old_version_is_no_copy() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"a": "draft 1", "list": []})).unwrap();
    let session = palace.session();
    (0..2).for_each(|_| drop(session.get(KEY).unwrap()));
    session.put(KEY, &json!({"a": "something else", "list": ["mine"]})).unwrap();
    session.patch(KEY, &json!({"a": "draft 2"})).unwrap();
    let found = palace.get(KEY).unwrap().unwrap();
    assert_eq!(found.conflicts.len(), 1);
    let mut value = found.value;
    value["list"] = json!(["mine", "more"]);
    let written = session.put(KEY, &value).unwrap();
    assert!(written.merged.is_none(), "{written:?}");
    assert_eq!(read(&palace), value);
}

/// A client removes an object or an item of a list, by a whole value or a patch. Another one has changed a field in it
/// meanwhile. It stays, with that change, and the answer says so. Once the client has read it, it goes.
#[test]
fn removed_object_with_an_unseen_edit_stays() {
    let whole = json!({"map": {"a": {"n": 1, "list": []}, "b": 1}, "list": [{"id": 1, "n": 1}, 2]});
    type Remove = fn(&mut Value);
    let edits: [(&str, Remove); 2] = [
        ("/map/a/n", |value| drop(value["map"].as_object_mut().unwrap().remove("a"))),
        ("/list/0/n", |value| drop(value["list"].as_array_mut().unwrap().remove(0))),
    ];
    for ((path, remove), patched) in edits.into_iter().flat_map(|one| [(one, true), (one, false)]) {
        let dir = dir();
        let palace = manual(dir.path());
        palace.put(KEY, &whole).unwrap();
        let (ann, bob) = (palace.session(), palace.session());
        [&ann, &bob].iter().for_each(|session| drop(session.get(KEY).unwrap()));
        let (mut hers, mut without) = (whole.clone(), whole.clone());
        *hers.pointer_mut(path).unwrap() = json!("hers");
        remove(&mut without);
        without["map"]["b"] = json!(2);
        ann.put(KEY, &hers).unwrap();
        let write = |value: &Value| match patched {
            true if path.starts_with("/map") => {
                bob.patch(KEY, &json!({"map": {"a": null, "b": 2}}))
            }
            true => bob.patch(KEY, &json!({"list": value["list"], "map": {"b": 2}})),
            false => bob.put(KEY, value),
        };
        hers["map"]["b"] = json!(2);
        let merged = write(&without).unwrap().merged.unwrap();
        assert_eq!((json!(merged.value), json!(read(&palace))), (hers.clone(), hers), "{path}");
        bob.get(KEY).unwrap();
        assert!(write(&without).unwrap().merged.is_none());
        assert_eq!(json!(read(&palace)), without, "{path}");
    }
}

/// The other order: an object was removed, and a client that has not seen that changes a field in it. The object stays,
/// with the change, until a client that has read it removes it once more.
#[test]
fn edit_in_an_object_removed_meanwhile_stays() {
    let dir = dir();
    let palace = manual(dir.path());
    palace.put(KEY, &json!({"map": {"n": 1}, "b": 1})).unwrap();
    let (ann, bob) = (palace.session(), palace.session());
    [&ann, &bob].iter().for_each(|session| drop(session.get(KEY).unwrap()));
    ann.put(KEY, &json!({"b": 1})).unwrap();
    let edited = json!({"map": {"n": 2}, "b": 1});
    let written = bob.put(KEY, &edited).unwrap();
    assert!(written.merged.is_none(), "it shows what he sent: {written:?}");
    assert_eq!(json!(read(&palace)), edited);
    ann.get(KEY).unwrap();
    let removed = ann.put(KEY, &json!({"b": 1})).unwrap();
    assert!(removed.merged.is_none(), "{removed:?}");
    assert_eq!(json!(read(&palace)), json!({"b": 1}));
}

/// Lets two copies of a palace be written, and merges them.
fn merged_copies(first: &Value, here: &Value, there: &Value) -> (TempDir, Palace) {
    let (dir, other) = (dir(), dir());
    let palace = manual(dir.path());
    palace.put(KEY, first).unwrap();
    palace.sync().unwrap();
    drop(palace);
    copy(dir.path(), other.path());
    manual(dir.path()).put(KEY, here).unwrap();
    manual(other.path()).patch(KEY, there).unwrap();
    copy(other.path(), dir.path());
    let palace = manual(dir.path());
    (dir, palace)
}

/// On one copy an object was removed, on the other a field in it was changed.
#[test]
fn object_removed_on_a_copy_keeps_the_edit_of_another() {
    let (first, edit) = (json!({"map": {"n": 1}, "b": 1}), json!({"map": {"n": "edited"}}));
    let (dir, palace) = merged_copies(&first, &json!({"b": 1}), &edit);
    let shows = |palace: &Palace, wanted: Value| {
        let found = palace.get(KEY).unwrap().unwrap();
        assert_eq!((json!(found.value), found.conflicts), (wanted, vec![]));
    };
    let kept = json!({"map": {"n": "edited"}, "b": 1});
    shows(&palace, kept.clone());
    palace.compact(CompactOptions::new().all()).unwrap();
    drop(palace);
    let palace = manual(dir.path());
    shows(&palace, kept);
    assert_eq!(palace.search("edited").hits().unwrap().len(), 1);
    palace.put(KEY, &json!({"b": 1})).unwrap();
    shows(&palace, json!({"b": 1}));
    palace.compact(CompactOptions::new().all()).unwrap();
    shows(&manual(dir.path()), json!({"b": 1}));
    assert_no_problem(dir.path(), "after the removal");
}

/// On one copy an object was replaced by a text. The edit in it is in conflict with that, is counted and found, and one call
/// settles it.
#[test]
fn object_replaced_on_a_copy_is_in_conflict_with_the_edit() {
    let (first, edit) = (json!({"map": {"n": 1}, "b": 1}), json!({"map": {"n": "edited"}}));
    for taken in [json!({"n": "edited"}), json!("text"), json!("third")] {
        let (dir, palace) = merged_copies(&first, &json!({"map": "text", "b": 1}), &edit);
        palace.compact(CompactOptions::new().all()).unwrap();
        drop(palace);
        let palace = manual(dir.path());
        let found = palace.get(KEY).unwrap().unwrap();
        assert_eq!(
            (json!(found.value), found.conflicts.len()),
            (json!({"map": "text", "b": 1}), 1)
        );
        let conflict = &found.conflicts[0];
        assert_eq!(
            (conflict.path.as_str(), &conflict.others[0].value),
            ("/map", &json!({"n": "edited"}))
        );
        assert_eq!(palace.count_conflicts("").unwrap().documents, 1);
        assert_eq!(palace.search("edited").hits().unwrap().len(), 1);
        palace.write(KEY, |draft| draft.settle(conflict, &taken)).unwrap();
        palace.compact(CompactOptions::new().all()).unwrap();
        let found = manual(dir.path()).get(KEY).unwrap().unwrap();
        assert_eq!((json!(found.value), found.conflicts), (json!({"map": taken, "b": 1}), vec![]));
    }
}

/// A client, the value that it goes on from, and how often it has written.
struct Client {
    session: Session,
    name: String,
    value: Map<String, Value>,
    writes: u64,
}

impl Client {
    fn read(&mut self, dice: &mut Dice) {
        self.value = self.session.get(KEY).unwrap().unwrap().value;
        if dice.chance(4) {
            // One that it does not go on from.
            self.session.get(KEY).unwrap();
        }
    }

    /// Changes fields of its own, and adds an item to the list of all. Half of the time it also edits, removes or replaces one
    /// of the objects of all.
    fn write(&mut self, edits: &mut OwnEdits, shared: &mut Ledger, dice: &mut Dice) {
        self.writes += 1;
        let mark = format!("~{}.{}", self.name, self.writes);
        let known = Value::Object(self.value.clone());
        OwnEdits::edit(&mut self.value, &self.name, &mark, dice);
        if dice.chance(2) {
            edit_shared(&mut self.value["shared"], &format!("{mark}s"), dice);
        }
        let written = self.session.put(KEY, &self.value).unwrap();
        assert!(written.replaced_unseen.is_none(), "{written:?}");
        edits.acknowledged(&self.value, &self.name, &mark);
        let sent = Value::Object(self.value.clone());
        for new in marks(&sent).difference(&marks(&known)) {
            let answer = json!({"conflicts": written.outcome.settled});
            shared.wrote(new.clone(), &known, &sent, &answer);
        }
        // Half of the clients go on from what they sent, as if they had not read the answer.
        if let Some(merged) = written.merged.filter(|_| dice.chance(2)) {
            self.value = merged.value;
        }
    }
}

#[test]
fn random_whole_writes_lose_no_edit() {
    let (mut raced, mut writes) = (0, 0);
    for seed in races(60) {
        let (dir, mut dice) = (dir(), Dice::new(seed));
        let mut shared = Ledger::default();
        let palaces = [manual(dir.path()), manual(dir.path())];
        let clients = 2 + dice.below(5);
        let mut edits = OwnEdits::new((0..clients).map(|n| format!("c{n}")));
        let mut start = edits.start();
        start["shared"] = json!({});
        palaces[0].put(KEY, &start).unwrap();
        let mut clients: Vec<Client> = (0..clients)
            .map(|n| {
                let session = palaces[n % 2].session();
                let value = session.get(KEY).unwrap().unwrap().value;
                Client { session, name: format!("c{n}"), value, writes: 0 }
            })
            .collect();
        for _ in 0..30 {
            let at = dice.below(clients.len());
            let client = &mut clients[at];
            if dice.below(15) == 0 {
                palaces[0].compact(CompactOptions::default()).unwrap();
            }
            match dice.below(3) {
                0 => client.read(&mut dice),
                _ => client.write(&mut edits, &mut shared, &mut dice),
            }
        }
        let found = palaces[1].get(KEY).unwrap().unwrap();
        assert_eq!(edits.assert_in(&found.value, &format!("seed {seed}")), 0, "{found:?}");
        let others = found.conflicts.iter().flat_map(|conflict| &conflict.others);
        let mut all: BTreeSet<String> = others.flat_map(|other| marks(&other.value)).collect();
        all.extend(marks(&Value::Object(found.value.clone())));
        let lost = shared.lost(&all);
        assert!(lost.is_empty(), "seed {seed}: {lost:?} are lost in {found:#?}");
        palaces[1].compact(CompactOptions::new().all()).unwrap();
        let compacted = manual(dir.path()).get(KEY).unwrap().unwrap();
        assert_eq!(
            (&compacted.value, &compacted.conflicts),
            (&found.value, &found.conflicts),
            "seed {seed}, compacted"
        );
        assert_no_problem(dir.path(), "after the race");
        raced += 1;
        writes += clients.iter().map(|client| client.writes).sum::<u64>();
    }
    println!("{raced} races, {writes} whole writes");
}

#[test]
fn stale_writes_of_many_sessions_take_few_actors() {
    let dir = dir();
    let palace = manual(dir.path());
    let fields: Map<String, Value> = (0..50).map(|n| (format!("f{n}"), json!(0))).collect();
    palace.put(KEY, &fields).unwrap();
    let sessions = crdt_palace::palace::Sessions::new(palace.clone());
    let sessions: Vec<Session> = (0..50).map(|_| sessions.session()).collect();
    sessions.iter().for_each(|session| drop(session.get(KEY).unwrap()));
    let rounds = 8;
    for round in 1..=rounds {
        for (n, session) in sessions.iter().enumerate() {
            // It has seen nothing but its own writes.
            let mut value = fields.clone();
            value[&format!("f{n}")] = json!(round);
            session.put(KEY, &value).unwrap();
        }
    }
    assert!(read(&palace).values().all(|value| *value == rounds), "every field has its last value");
    let history = palace.history(KEY).unwrap();
    let actors: BTreeSet<_> = history.iter().map(|change| change.actor.clone()).collect();
    assert!(actors.len() <= 51, "{} actors", actors.len());
    assert_no_problem(dir.path(), "after the writes");
}

/// By the rule of the fewest units, a text may be made from an older version than the last one read. Its writer is told,
/// and who reads what stands and sends the text again means it.
#[test]
fn text_sent_again_after_a_read_replaces_what_stands() {
    for written_before in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let palace = Palace::open(dir.path().join("palace")).unwrap();
        let (ann, bob) = (palace.session(), palace.session());
        let put = |session: &Session, text: &str| {
            session.put("drawer/w/r/1", &json!({"content": text})).unwrap()
        };
        put(&ann, "one.\nLine two.");
        bob.get("drawer/w/r/1").unwrap();
        if written_before {
            put(&bob, "one.\nLine 2.");
            ann.get("drawer/w/r/1").unwrap();
            put(&ann, "one.\nLine 2.\nSecret.");
        } else {
            put(&ann, "one.\nLine two.\nSecret.");
        }
        bob.get("drawer/w/r/1").unwrap();
        let wanted = "one.\nLine two!";
        let text = || palace.get("drawer/w/r/1").unwrap().unwrap().value["content"].clone();
        let written = put(&bob, wanted);
        assert_eq!(written.merged.is_some(), text() != wanted);
        bob.get("drawer/w/r/1").unwrap();
        put(&bob, wanted);
        assert_eq!(text(), wanted, "{written_before}");
    }
}
