//! Random races of several clients over one text: every acknowledged edit is in the text at the end, or in a conflict.
//!
//! A client edits lines, appends, deletes, reads, lists and searches. It writes back the whole text as it knows it, as
//! models do, with nothing but the text. An edit is a mark that stands nowhere else. A mark may go only if a client that
//! has seen it writes the text without it, or writes a line in conflict: then the answer names it. A delete takes all.
//!
//! `CRDT_PALACE_RACES=1000` runs more races, `CRDT_PALACE_SEED=17` begins at another seed, and `CRDT_PALACE_TRACE=1`
//! prints each write.

mod documents;

use crate::client::{Client, texts};
use crate::named_clients::{close, start};
use crate::support::edits::{Ledger, mark_line, marks, races};
use crdt_palace::fs::sim::SplitMix;
use crdt_palace::memory::MemoryError;
use crdt_palace::memory::drawers::{Drawer, Drawers};
use crdt_palace::palace::compact::CompactOptions;
use crdt_palace::palace::{Conflict, Palace};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CLIENTS: [&str; 6] = ["ann", "bob", "cho", "dan", "eva", "fay"];
const LINES: usize = 40;

/// All marks that a drawer shows, in its text or in a conflict.
fn everything(drawer: &Drawer) -> BTreeSet<String> {
    let others = drawer.conflicts.iter().flat_map(|conflict| &conflict.others);
    let shown = marks(&json!(drawer.content));
    shown.into_iter().chain(others.flat_map(|other| marks(&other.value))).collect()
}

/// The marks that end a line of a drawer, without those that are in conflict.
fn outside_conflicts(drawer: &Drawer) -> BTreeSet<String> {
    let value = json!({"content": drawer.content});
    let readings = |conflict: &Conflict| {
        let shown = conflict.shown_value(value.as_object().unwrap());
        let others = conflict.others.iter().map(|other| other.value.clone());
        shown.into_iter().chain(others).flat_map(|reading| marks(&reading)).collect::<Vec<_>>()
    };
    let open: BTreeSet<String> = drawer.conflicts.iter().flat_map(readings).collect();
    // A mark that ends no line stands in one that another client edited, and that stays for this edit.
    let ends = drawer.content.split('\n').filter_map(|line| line.split(' ').next_back());
    ends.flat_map(|end| marks(&json!(end))).filter(|mark| !open.contains(mark)).collect()
}

/// The drawer, or `None` if it was deleted.
fn present(drawers: &Drawers, id: &Value) -> Option<Drawer> {
    match drawers.get(id.as_str().unwrap()) {
        Err(MemoryError::NoDrawer { .. }) => None,
        drawer => Some(drawer.unwrap()),
    }
}

/// One client in a race.
struct Racer<'a> {
    client: &'a Client,
    name: &'static str,
    /// The text as it last read or wrote it.
    known: Option<String>,
    edits: usize,
}

impl Racer<'_> {
    async fn call(&self, tool: &'static str, arguments: Value) -> Option<Value> {
        let result = self.client.result(tool, arguments).await;
        let text = format!("{:?}", texts(&result));
        if result.is_error == Some(true) {
            let is_gone = text.contains("there is no drawer") || text.contains("was deleted");
            assert!(is_gone, "{tool}: {text}");
            return None;
        }
        Some(result.structured_content.unwrap())
    }

    async fn read(&mut self, id: &Value) {
        let drawer = self.call("palace_get_drawer", json!({"drawer_id": id})).await;
        self.known = drawer.map(|drawer| drawer["content"].as_str().unwrap().to_owned());
    }

    async fn act(&mut self, id: &Value, random: &mut SplitMix, ledger: &mut Ledger) {
        match random.below(20) {
            0..4 => self.read(id).await,
            4 => drop(self.call("palace_list_drawers", json!({"wing": "w"})).await),
            5 => drop(self.call("palace_search", json!({"query": "line 7"})).await),
            6 if random.below(4) == 0 => self.delete(id, ledger).await,
            _ => self.edit(id, random, ledger).await,
        }
    }

    async fn edit(&mut self, id: &Value, random: &mut SplitMix, ledger: &mut Ledger) {
        if self.known.is_none() {
            self.read(id).await;
        }
        let Some(known) = self.known.clone() else { return };
        self.edits += 1;
        let mark = format!("~{}{}", self.name, self.edits);
        let mut lines: Vec<String> = known.split('\n').map(str::to_owned).collect();
        let own = CLIENTS.iter().position(|name| *name == self.name).unwrap() * 6;
        let marked: Vec<usize> = (0..lines.len()).filter(|n| lines[*n].starts_with('~')).collect();
        match random.below(5) {
            // A line of its own, a line of all, at the end, out again, after any line.
            0 => mark_line(&mut lines, own + random.below(6), &mark),
            1 => mark_line(&mut lines, 37 + random.below(3), &mark),
            2 => lines.push(mark.clone()),
            3 if !marked.is_empty() => drop(lines.remove(marked[random.below(marked.len())])),
            _ => lines.insert(random.below(lines.len()) + 1, mark.clone()),
        }
        let text = lines.join("\n");
        let sent = json!({"drawer_id": id, "content": text});
        let Some(answer) = self.call("palace_update_drawer", sent).await else {
            self.known = None;
            return;
        };
        if std::env::var_os("CRDT_PALACE_TRACE").is_some() {
            let lines: Vec<&str> =
                lines.iter().map(|line| line.trim_start_matches("line ")).collect();
            println!("{} writes {mark}: {}\n   {}", self.name, lines.join("|"), answer);
        }
        ledger.wrote(mark, &json!(known), &json!(text), &answer);
        // An answer has the text only if that is not what was sent.
        self.known = Some(answer["text"].as_str().map_or(text, str::to_owned));
    }

    async fn delete(&mut self, id: &Value, ledger: &mut Ledger) {
        self.known = None;
        let answer = self.call("palace_delete_drawer", json!({"drawer_id": id})).await;
        if answer.is_some_and(|answer| answer["deleted"] == true) {
            // It deletes only what was not changed since the client saw anything of it, a row of a list for example.
            ledger.replaced_by(&BTreeSet::new());
        }
    }
}

#[tokio::test]
async fn every_acknowledged_edit_is_in_the_text_or_in_a_conflict() {
    let seeds = races(40);
    let races = seeds.clone().count();
    let dir = tempfile::tempdir().unwrap();
    let palace = dir.path().join("palace");
    let mut clients = Vec::new();
    for name in CLIENTS {
        clients.push(start(name, &palace).await);
    }
    let (mut writes, mut merged, mut conflicts, mut readings, mut deleted) = (0, 0, 0, 0, 0);
    let (drawers, mut ends) = (Drawers::new(Palace::open(&palace).unwrap()), Vec::new());
    for seed in seeds {
        let mut random = SplitMix::new(seed);
        let lines: Vec<String> = (0..LINES).map(|n| format!("line {n} of race {seed}")).collect();
        let item = json!({"wing": "w", "room": "r", "content": lines.join("\n")});
        let id = clients[0].result("palace_add_drawer", item).await.structured_content.unwrap();
        let id = id["drawer_id"].clone();
        let racer =
            |(client, name): (_, &&'static str)| Racer { client, name, known: None, edits: 0 };
        let mut racers: Vec<_> = clients.iter().zip(&CLIENTS).map(racer).collect();
        racers.truncate(2 + random.below(5));
        let mut ledger = Ledger::default();
        for _ in 0..6 * racers.len() {
            let next = random.below(racers.len());
            racers[next].act(&id, &mut random, &mut ledger).await;
        }
        // With the library, because a tool's answer leaves out what is too long.
        let shown = present(&drawers, &id);
        let context = format!("CRDT_PALACE_SEED={seed}");
        let found = shown.as_ref().map(everything).unwrap_or_default();
        let lost = ledger.lost(&found);
        assert!(lost.is_empty(), "{context}: {lost:?} are lost in {shown:?}");
        let settled = shown.as_ref().map(outside_conflicts).unwrap_or_default();
        let returned = ledger.returned(&settled);
        assert!(returned.is_empty(), "{context}: {returned:?} were taken out and are in {shown:?}");
        (writes, merged) = (writes + ledger.writes, merged + ledger.merged);
        conflicts += shown.as_ref().map_or(0, |drawer| drawer.conflicts.len());
        readings = readings.max(
            shown
                .iter()
                .flat_map(|drawer| &drawer.conflicts)
                .map(|one| one.others.len())
                .max()
                .unwrap_or(0),
        );
        deleted += usize::from(shown.is_none());
        ends.push((id, found));
    }
    close(clients).await;
    Palace::open(&palace).unwrap().compact(CompactOptions::new().all()).unwrap();
    let drawers = Drawers::new(Palace::open(&palace).unwrap());
    for (id, found) in ends {
        let shown = present(&drawers, &id);
        assert_eq!(shown.as_ref().map(everything).unwrap_or_default(), found, "{id}, compacted");
    }
    println!(
        "{races} races: {writes} acknowledged edits, {merged} merged with others; at the end {conflicts} conflicts of at most {readings} other readings, {deleted} drawers deleted; no edit lost, and none that was taken out came back"
    );
}
