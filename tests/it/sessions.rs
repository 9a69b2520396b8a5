//! Sessions of a program that embeds the library: whole values that clients write back, in random order.

use crate::support::{Dice, assert_no_problem, dir, manual, object, seeds};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Palace, Session, WriteOptions};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

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

    /// Changes fields of its own, and adds an item to the list of all.
    fn write(&mut self, dice: &mut Dice) {
        self.writes += 1;
        let field = &mut self.value["own"][&self.name][format!("f{}", dice.below(3))];
        *field = json!(self.writes);
        let item = json!(format!("{} {}", self.name, self.writes));
        let list = self.value["list"].as_array_mut().unwrap();
        list.insert(dice.below(list.len() + 1), item);
        let written = self.session.put(KEY, &self.value).unwrap();
        assert!(written.replaced_unseen.is_none(), "{written:?}");
        // Half of the clients go on from what they sent, as if they had not read the answer.
        if let Some(merged) = written.merged.filter(|_| dice.chance(2)) {
            self.value = merged.value;
        }
    }
}

#[test]
fn random_whole_writes_lose_no_edit() {
    let (mut races, mut writes) = (0, 0);
    for seed in seeds(60) {
        let (dir, mut dice) = (dir(), Dice::new(seed));
        let palaces = [manual(dir.path()), manual(dir.path())];
        let clients = 2 + dice.below(5);
        let fields = |n| (format!("c{n}"), json!({"f0": 0, "f1": 0, "f2": 0}));
        let own: Map<String, Value> = (0..clients).map(fields).collect();
        palaces[0].put(KEY, &json!({"own": own, "list": []})).unwrap();
        let mut clients: Vec<Client> = (0..clients)
            .map(|n| {
                let session = palaces[n % 2].session();
                let value = session.get(KEY).unwrap().unwrap().value;
                Client { session, name: format!("c{n}"), value, writes: 0 }
            })
            .collect();
        let mut expected = own;
        for _ in 0..30 {
            let at = dice.below(clients.len());
            let client = &mut clients[at];
            if dice.below(15) == 0 {
                palaces[0].compact(CompactOptions::default()).unwrap();
            }
            match dice.below(3) {
                0 => client.read(&mut dice),
                _ => {
                    client.write(&mut dice);
                    expected[&client.name] = client.value["own"][&client.name].clone();
                }
            }
        }
        let end = read(&palaces[1]);
        assert_eq!(end["own"], json!(expected), "seed {seed}");
        let items: Vec<&str> =
            end["list"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
        let distinct: BTreeSet<&str> = items.iter().copied().collect();
        let all = clients.iter().flat_map(|c| (1..=c.writes).map(|n| format!("{} {n}", c.name)));
        let missing: Vec<String> = all.filter(|item| !distinct.contains(item.as_str())).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?} of {items:?}");
        assert_eq!(distinct.len(), items.len(), "seed {seed}: {items:?}");
        palaces[1].compact(CompactOptions::new().all()).unwrap();
        assert_eq!(read(&manual(dir.path())), end, "seed {seed}, compacted");
        assert_no_problem(dir.path(), "after the race");
        races += 1;
        writes += clients.iter().map(|client| client.writes).sum::<u64>();
    }
    println!("{races} races, {writes} whole writes");
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
