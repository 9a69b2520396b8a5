//! Random races of several clients over one JSON document, through the tools of the set `documents`.
//!
//! The document has fields of each client, shared ones, a list of texts, a list of objects, a text of several lines, and
//! a counter. A client writes back whole values as it knows them, or patches; it reads, lists, settles, deletes and
//! restores. Of the values that it is sent it goes on from half, and ignores the others. Every acknowledged edit is in
//! the value at the end, or in a conflict. Where nothing was deleted or restored, the fields of each client have their
//! last values, and each increment counts.
//!
//! Clients remove and replace objects and items of lists too, also such as others edit at that moment. A document that was
//! deleted, and came back with no more than a number, is restored by the client that reads it.

use super::CLIENTS;
use crate::client::{Client, texts};
use crate::named_clients::{close, done, start};
use crate::support::edits::{Ledger, OwnEdits, edit_shared, mark_line, marks, races};
use crate::support::{Dice, compact_all};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Document, Error, Palace};
use crdt_palace::store::StoreError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const LINES: usize = 12;

/// All marks that a document shows, in its value or in a conflict.
fn everything(document: &Document) -> BTreeSet<String> {
    let others = document.conflicts.iter().flat_map(|conflict| &conflict.others);
    let shown = marks(&Value::Object(document.value.clone()));
    shown.into_iter().chain(others.flat_map(|other| marks(&other.value))).collect()
}

fn first_value(own: &OwnEdits, seed: u64) -> Value {
    let lines: Vec<String> = (0..LINES).map(|n| format!("line {n} of race {seed}")).collect();
    let items: Vec<Value> = (0..3).map(|n| json!({"id": n, "note": "", "done": false})).collect();
    let mut value = own.start();
    value["shared"] = json!({"a": "", "in": {"b": "", "c": ["x", "y", "z"]}});
    value["items"] = json!(items);
    value["objects"] = json!({});
    value["text"] = json!(lines.join("\n"));
    value
}

/// Returns false for a document that was deleted and came back without its content.
fn has_all_fields(value: &Value) -> bool {
    ["own", "list", "shared", "items", "objects", "text"]
        .iter()
        .all(|name| value.get(name).is_some())
}

/// One client in a race.
struct Racer<'a> {
    client: &'a Client,
    name: &'static str,
    /// The value that it goes on from.
    known: Option<Value>,
    /// True if it did not take over the value that stands, of its last answer. Then it sends no patch, which would
    /// not say from which value it was made.
    ignores: bool,
    edits: usize,
}

/// What all clients of a race did.
struct Race {
    key: String,
    palace: Palace,
    dice: Dice,
    ledger: Ledger,
    own: OwnEdits,
    count: i64,
    /// Versions that somebody wrote.
    versions: Vec<Value>,
    settled: usize,
    /// Number of deletes and restores.
    replaced: usize,
    /// Number of items that are in the list of all more than once. A client that went on from an answer, and then removed
    /// most of what that had shown, is taken for one that has lost it.
    twice: usize,
}

impl Racer<'_> {
    /// Calls a tool. Returns `None` if the document is deleted.
    async fn call(&self, tool: &'static str, arguments: Value) -> Option<Value> {
        let asked = arguments.to_string();
        let result = self.client.result(tool, arguments).await;
        let text = format!("{:?}", texts(&result));
        if std::env::var_os("CRDT_PALACE_TRACE").is_some() {
            println!("{} {tool} {asked}\n  {text}", self.name);
        }
        if result.is_error == Some(true) {
            assert!(text.contains("there is no document"), "{tool}: {text}");
            return None;
        }
        Some(result.structured_content.unwrap())
    }

    fn next_mark(&mut self) -> String {
        self.edits += 1;
        format!("~{}{}", self.name, self.edits)
    }

    async fn act(&mut self, race: &mut Race) {
        let key = json!({"key": race.key});
        match race.dice.below(20) {
            0..3 => self.read(race).await,
            3 => drop(self.call("document_list", json!({})).await),
            4 => drop(self.call("document_get", json!({"key": race.key, "path": "/text"})).await),
            5 => self.settle(race).await,
            6 => {
                let by = 1 + race.dice.below(4) as i64;
                let asked = json!({"key": race.key, "path": "/count", "by": by});
                race.count += self.call("document_increment", asked).await.map_or(0, |_| by);
                // Whole values that it sends have the number too, so it reads what that is now.
                self.known = None;
            }
            7 if race.dice.chance(6) => {
                self.known = None;
                let answer = self.call("document_delete", key).await;
                if answer.is_some_and(|answer| answer["deleted"] == true) {
                    race.replaced += 1;
                    race.ledger.replaced_by(&BTreeSet::new());
                }
            }
            8 if race.dice.chance(6) => self.restore(race).await,
            9 => match race.palace.compact(CompactOptions::new()) {
                // A server compacts.
                Ok(_) | Err(Error::Store(StoreError::Busy { .. })) => {}
                Err(error) => panic!("{error}"),
            },
            _ => {
                self.write(race).await;
                if race.dice.chance(4) {
                    self.write(race).await;
                }
            }
        }
    }

    async fn read(&mut self, race: &mut Race) {
        self.ignores = false;
        let found = self.call("document_get", json!({"key": race.key})).await;
        self.known = found.map(|found| found["value"].clone()).filter(has_all_fields);
        if self.known.is_none() {
            self.restore(race).await;
        }
    }

    /// Writes an earlier version again.
    async fn restore(&mut self, race: &mut Race) {
        let version = &race.versions[race.dice.below(race.versions.len())];
        let asked = json!({"key": race.key, "version": version});
        let then = done(self.client, "document_get", asked.clone()).await["value"].clone();
        done(self.client, "document_restore", asked).await;
        race.replaced += 1;
        race.ledger.replaced_by(&marks(&then));
        self.known = None;
    }

    /// Takes a reading of a conflict, or writes another one.
    async fn settle(&mut self, race: &mut Race) {
        let asked = json!({"key": race.key});
        let Some(listed) = self.call("document_conflicts", asked).await else { return };
        // The number has to stay one.
        let is_text = |one: &&Value| one["path"] != "/count";
        let listed: Vec<&Value> =
            listed["conflicts"].as_array().unwrap().iter().filter(is_text).collect();
        if listed.is_empty() {
            return;
        }
        let one = listed[race.dice.below(listed.len())];
        let mut asked = json!({"key": race.key, "conflict": one["number"], "etag": one["etag"]});
        let others = one["others"].as_array().unwrap();
        let readings: Vec<&Value> = others.iter().chain([&one["shown"]]).collect();
        if race.dice.chance(3) {
            let mark = self.next_mark();
            asked["value"] = json!(mark);
            race.ledger.added(mark);
        } else {
            asked["take"] = readings[race.dice.below(readings.len())]["etag"].clone();
        }
        let answer = self.call("document_settle", asked).await.unwrap();
        race.settled += 1;
        race.ledger.settled(&answer);
        // Its next whole value is compared with this write of its own, so it reads what stands.
        self.known = None;
    }

    /// Changes the value that it knows in one place, and writes it back: whole, or what was changed as a patch.
    async fn write(&mut self, race: &mut Race) {
        if self.known.is_none() {
            self.read(race).await;
        }
        let Some(known) = self.known.clone() else { return };
        let mark = self.next_mark();
        let mut value = known.clone();
        let (patch, is_own) = self.edit(&mut value, &mark, &mut race.dice);
        let answer = match race.dice.chance(3) && !self.ignores && !patch.is_null() {
            true => {
                let asked = json!({"key": race.key, "patch": patch});
                self.call("document_patch", asked).await
            }
            false => {
                let asked = json!({"key": race.key, "value": value});
                self.call("document_put", asked).await
            }
        };
        let Some(answer) = answer else {
            self.known = None;
            return;
        };
        race.ledger.wrote(mark.clone(), &known, &value, &answer);
        if is_own {
            race.own.acknowledged(value.as_object().unwrap(), self.name, &mark);
        }
        race.versions.push(answer["etag"].clone());
        let stands = answer.get("value").cloned();
        self.ignores = stands.is_some() && race.dice.chance(2);
        let known = stands.filter(|_| !self.ignores).unwrap_or(value);
        self.known = Some(known).filter(has_all_fields);
    }

    /// Makes one edit. Returns it as a patch, or null if it is only made in a whole value, and true if it is one of
    /// [`OwnEdits`].
    fn edit(&self, value: &mut Value, mark: &str, dice: &mut Dice) -> (Value, bool) {
        let own = CLIENTS.iter().position(|name| *name == self.name).unwrap() * 2;
        let mut lines: Vec<String> =
            value["text"].as_str().unwrap().split('\n').map(str::to_owned).collect();
        let patch = match dice.below(13) {
            0..3 => {
                OwnEdits::edit(value.as_object_mut().unwrap(), self.name, mark, dice);
                return (Value::Null, true);
            }
            3 => json!({"shared": {"a": mark}}),
            4 => json!({"shared": {"in": {"b": mark}}}),
            5 => {
                let mut list = value["shared"]["in"]["c"].clone();
                let all = list.as_array_mut().unwrap();
                match dice.below(3) {
                    0 => all.push(json!(mark)),
                    1 => all.insert(dice.below(all.len() + 1), json!(mark)),
                    _ => all[0] = json!(mark),
                }
                json!({"shared": {"in": {"c": list}}})
            }
            10..13 => {
                edit_shared(&mut value["objects"], mark, dice);
                return (Value::Null, false);
            }
            6 => {
                let mut items = value["items"].clone();
                let all = items.as_array_mut().unwrap();
                match dice.below(5) {
                    0 if all.len() > 1 => drop(all.remove(dice.below(all.len()))),
                    1 | 2 if !all.is_empty() => {
                        let at = dice.below(all.len());
                        all[at]["note"] = json!(mark);
                    }
                    _ => all.insert(dice.below(all.len() + 1), json!({"id": mark, "note": ""})),
                }
                json!({"items": items})
            }
            _ => {
                match dice.below(3) {
                    0 => mark_line(&mut lines, own + dice.below(2), mark),
                    1 => mark_line(&mut lines, dice.below(LINES), mark),
                    _ => lines.insert(dice.below(lines.len()) + 1, mark.to_owned()),
                }
                json!({"text": lines.join("\n")})
            }
        };
        merge_patch(value, &patch);
        (patch, false)
    }
}

/// Applies a merge patch that removes nothing.
fn merge_patch(value: &mut Value, patch: &Value) {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => {
            patch.iter().for_each(|(name, patch)| merge_patch(&mut value[name], patch));
        }
        (value, patch) => *value = patch.clone(),
    }
}

/// Runs one race, and returns it with the marks that are there at its end.
async fn run(clients: &[Client], palace: &Palace, seed: u64) -> (Race, usize, BTreeSet<String>) {
    let mut dice = Dice::new(seed);
    let names: Vec<&'static str> = CLIENTS[..2 + dice.below(5)].to_vec();
    let own = OwnEdits::new(names.iter().map(|name| (*name).to_owned()));
    let key = format!("races/{seed}");
    let put = json!({"key": key, "value": first_value(&own, seed)});
    let versions = vec![done(&clients[0], "document_put", put).await["etag"].clone()];
    let (ledger, palace) = (Ledger::default(), palace.clone());
    let mut race = Race {
        key,
        palace,
        dice,
        ledger,
        own,
        count: 0,
        versions,
        settled: 0,
        replaced: 0,
        twice: 0,
    };
    let racer = |(client, name)| Racer { client, name, known: None, ignores: false, edits: 0 };
    let mut racers: Vec<Racer<'_>> = clients.iter().zip(names).map(racer).collect();
    for _ in 0..7 * racers.len() {
        let next = race.dice.below(racers.len());
        racers[next].act(&mut race).await;
    }
    // With the library, because a tool's answer leaves out what is too long.
    let shown = race.palace.get(&race.key).unwrap();
    let context = format!("CRDT_PALACE_SEED={seed}");
    let found = shown.as_ref().map(everything).unwrap_or_default();
    let lost = race.ledger.lost(&found);
    assert!(lost.is_empty(), "{context}: {lost:?} are lost in {shown:#?}");
    if let (0, Some(shown)) = (race.replaced, &shown) {
        race.twice = race.own.assert_in(&shown.value, &context);
        let count = shown.value.get("count").map_or(0, |count| count.as_i64().unwrap());
        assert_eq!(count, race.count, "{context}");
    }
    (race, shown.map_or(0, |shown| shown.conflicts.len()), found)
}

#[tokio::test]
async fn every_acknowledged_edit_of_a_document_is_kept() {
    let seeds = races(40);
    println!("CRDT_PALACE_SEED={} CRDT_PALACE_RACES={}", seeds.start, seeds.clone().count());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("palace");
    let mut clients = Vec::new();
    for name in CLIENTS {
        clients.push(start(name, &path).await);
    }
    let palace = Palace::open(&path).unwrap();
    let (mut writes, mut merged, mut conflicts, mut settled, mut replaced) = (0, 0, 0, 0, 0);
    let mut twice = 0;
    let mut ends = Map::new();
    for seed in seeds.clone() {
        let (race, open, found) = run(&clients, &palace, seed).await;
        (writes, merged) = (writes + race.ledger.writes, merged + race.ledger.merged);
        (conflicts, settled) = (conflicts + open, settled + race.settled);
        (replaced, twice) = (replaced + race.replaced, twice + race.twice);
        ends.insert(race.key, json!(found));
    }
    close(clients).await;
    compact_all(&palace);
    drop(palace);
    let palace = Palace::open(&path).unwrap();
    for (key, found) in ends {
        let shown = palace.get(&key).unwrap();
        let shown = shown.as_ref().map(everything).unwrap_or_default();
        assert_eq!(json!(shown), found, "{key}, compacted");
    }
    println!(
        "{} races: {writes} acknowledged edits, {merged} merged with others, {settled} conflicts settled by call, \
         {replaced} deletes and restores; at the end {conflicts} conflicts, {twice} items twice; no edit lost",
        seeds.count()
    );
}
