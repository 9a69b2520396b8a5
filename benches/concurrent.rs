//! One client's calls while other clients of the same server search the worst words of 40,000 drawers,
//! beside the same calls made through another server of the same palace. Then searches among 6,000
//! drawers that no snapshot holds, beside the same searches once they are folded.

mod common;

use common::child::{self, Child};
use common::http::{Client, Server};
use common::large::{copy, duplicate, fold_due, keep, kept};
use common::table::{Bar, Table};
use common::{Result, Sequence, millis, percentile, quick, scratch, texts};
use crdt_palace::memory::drawers::{Drawers, Filed};
use crdt_palace::palace::{Options, Palace};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

/// The ids of the drawers, one a line.
const IDS: &str = "concurrent-ids.txt";
/// Drawers in one commit while the palace is built.
const STEP: u64 = 2_000;
/// Numbers of clients that search, in one measurement after the other.
const LOADS: [usize; 2] = [1, 4];
/// Tools that the client calls, in turn.
const KINDS: [&str; 3] = ["add_drawer", "get_drawer", "increment"];
/// Number of rounds in which everything is measured.
const ROUNDS: usize = 5;
/// No round begins after this time.
const LONGEST: Duration = Duration::from_secs(300);
/// Processes that write the drawers that no snapshot holds. Each keeps less than it would seal.
const WRITERS: u64 = 12;

fn main() -> Result {
    match child::role() {
        Some((role, arguments)) => work(&role, &arguments),
        None => measure(),
    }
}

fn work(role: &str, arguments: &[String]) -> Result {
    match (role, arguments) {
        ("searcher", [at]) => searcher(at),
        ("writer", [path, first, count]) => writer(Path::new(path), first.parse()?, count.parse()?),
        _ => Err("no such role".into()),
    }
}

fn measure() -> Result {
    let mut table = Table::new();
    calls(&mut table)?;
    searches(&mut table)?;
    table.print(&format!("Calls beside searches of {} drawers", drawers()));
    Ok(())
}

fn drawers() -> u64 {
    if quick() { 4_000 } else { 40_000 }
}

/// Number of drawers that are in no snapshot.
fn unfolded() -> u64 {
    if quick() { 600 } else { 6_000 }
}

fn serve(palace: &Path) -> Result<Server> {
    Server::start(env!("CARGO_BIN_EXE_crdt-palace"), palace, "palace,documents")
}

/// The palace that the calls are made to, as automatic compaction leaves it. Do not write to it.
fn palace() -> Result<PathBuf> {
    keep("concurrent", |path| {
        let palace = Options::default().open(path)?;
        let (filing, mut ids) = (Drawers::new(palace.clone()), String::new());
        for first in (0..drawers()).step_by(STEP.try_into()?) {
            let items = (first..first + STEP).map(texts::item).collect::<Result<Vec<_>>>()?;
            for Filed { id, .. } in filing.file(&items)? {
                ids += &format!("{id}\n");
            }
        }
        std::fs::write(kept(IDS)?, ids)?;
        fold_due(&palace)
    })
}

/// Milliseconds of the calls of each kind.
type Calls = [Vec<f64>; KINDS.len()];

/// Figures that are measured while some clients search.
#[derive(Default)]
struct Load {
    /// Calls through the server that searches.
    same: Calls,
    /// Calls through the other server.
    other: Calls,
    /// Number of searches, and the seconds that they took together.
    searches: (f64, f64),
}

fn calls(table: &mut Table) -> Result {
    let kept_palace = palace()?;
    let ids = std::fs::read_to_string(kept(IDS)?)?;
    let dir = copy(&kept_palace)?;
    let (same, other) = (serve(dir.path())?, serve(dir.path())?);
    let mut searchers = Searchers::start(&same)?;
    let mut caller = Caller::new(ids.lines().map(str::to_owned).collect());
    caller.warm_up(&[&same, &other])?;
    let (mut alone, mut loads) = (Calls::default(), LOADS.map(|_| Load::default()));
    // Round by round, so that a slow minute of the machine slows down all of them.
    let begun = Instant::now();
    for round in 0..if quick() { 1 } else { ROUNDS } {
        // If calls wait for whole searches, all rounds would take an hour.
        if begun.elapsed() > LONGEST {
            break;
        }
        caller.calls(&same, &mut alone)?;
        for (searching, load) in LOADS.into_iter().zip(&mut loads) {
            for turn in 0..2 {
                searchers.go(searching)?;
                match (round + turn) % 2 {
                    0 => caller.calls(&same, &mut load.same)?,
                    _ => caller.calls(&other, &mut load.other)?,
                }
                let (count, seconds) = searchers.stop(searching)?;
                load.searches.0 += count;
                load.searches.1 += seconds;
            }
        }
    }
    rows(table, &mut alone, &mut loads);
    Ok(())
}

fn rows(table: &mut Table, alone: &mut Calls, loads: &mut [Load]) {
    let mut fewest = usize::MAX;
    for (searching, load) in LOADS.into_iter().zip(loads.iter_mut()) {
        let cells = KINDS.into_iter().zip(&mut *alone).zip(&mut load.same).zip(&mut load.other);
        for (((kind, alone), same), other) in cells {
            let what = format!("{kind}, {searching} searching");
            let peer = ("alone", percentile(alone, 0.5));
            let (took, bar) = (percentile(same, 0.5), Bar::AtMostTimesPeer(2.0));
            table.beside(&format!("{what}; median"), "ms", took, peer, bar);
            let peer = ("another process", percentile(other, 0.99));
            let (took, bar) = (percentile(same, 0.99), Bar::AtMostTimesPeer(1.5));
            table.beside("   99 of 100", "ms", took, peer, bar);
            fewest = fewest.min(alone.len()).min(same.len()).min(other.len());
        }
    }
    table.figure("fewest calls behind a figure above", "calls", fewest as f64, Bar::None);
    for (searching, load) in LOADS.into_iter().zip(loads) {
        let (count, seconds) = load.searches;
        let what = format!("one such search, {searching} searching; mean");
        table.figure(&what, "ms", seconds * 1e3 / count, Bar::None);
    }
}

/// The client that is measured.
struct Caller {
    ids: Vec<String>,
    sequence: Sequence,
    /// The number of the next drawer to add.
    next: u64,
    /// The number of the next counter.
    counter: u64,
}

impl Caller {
    fn new(ids: Vec<String>) -> Self {
        Caller { ids, sequence: Sequence::new(1), next: drawers(), counter: 0 }
    }

    fn warm_up(&mut self, servers: &[&Server]) -> Result {
        for server in servers {
            search_worst(&mut Client::open(&server.at)?)?;
            self.calls(server, &mut Calls::default())?;
        }
        Ok(())
    }

    /// Calls each kind in turn, for a while and at least once, and adds the times to `calls`.
    fn calls(&mut self, server: &Server, calls: &mut Calls) -> Result {
        let until = Instant::now() + Duration::from_secs(if quick() { 1 } else { 6 });
        let mut client = Client::open(&server.at)?;
        // Two processes that increment one counter merge each other's changes, which is not the question here.
        self.counter += 1;
        loop {
            for (kind, times) in KINDS.into_iter().zip(&mut *calls) {
                let (tool, arguments) = self.call(kind)?;
                let begun = Instant::now();
                client.call(tool, &arguments)?;
                times.push(millis(begun.elapsed()));
            }
            if Instant::now() >= until {
                return Ok(());
            }
        }
    }

    fn call(&mut self, kind: &str) -> Result<(&'static str, Value)> {
        Ok(match kind {
            "add_drawer" => {
                let (wing, room) = texts::place(self.next);
                let content = texts::text(self.next);
                self.next += 1;
                ("palace_add_drawer", json!({"wing": wing, "room": room, "content": content}))
            }
            "get_drawer" => {
                let at = usize::try_from(self.sequence.below(self.ids.len() as u64))?;
                ("palace_get_drawer", json!({"drawer_id": self.ids.get(at)}))
            }
            _ => {
                let key = format!("bench/counter-{}", self.counter);
                ("document_increment", json!({"key": key, "path": "/n"}))
            }
        })
    }
}

fn search_worst(client: &mut Client) -> Result {
    let query = texts::EVERYWHERE.join(" ");
    let found = client.call("palace_search", &json!({"query": query}))?;
    match found.pointer("/results/0") {
        Some(_) => Ok(()),
        None => Err("words of every drawer were not found".into()),
    }
}

/// Clients that search, each in a process of its own.
struct Searchers(Vec<Child>);

impl Searchers {
    fn start(server: &Server) -> Result<Self> {
        let most = LOADS.into_iter().max().unwrap_or(0);
        let children = (0..most).map(|_| Child::start("searcher", &[&server.at]));
        Ok(Searchers(children.collect::<Result<_>>()?))
    }

    /// Lets the first `count` search without a pause.
    fn go(&mut self, count: usize) -> Result {
        for child in self.0.iter_mut().take(count) {
            child.say("go")?;
        }
        for child in self.0.iter_mut().take(count) {
            child.hear()?;
        }
        // They have said that they are about to search.
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    }

    /// Ends it. Returns the number of searches, and how long they took together, in seconds.
    fn stop(&mut self, count: usize) -> Result<(f64, f64)> {
        for child in self.0.iter_mut().take(count) {
            child.say("stop")?;
        }
        let mut sums = (0.0, 0.0);
        for child in self.0.iter_mut().take(count) {
            let line = child.hear()?;
            let (count, seconds) = line.split_once(' ').ok_or("a searcher said something else")?;
            sums.0 += count.parse::<f64>()?;
            sums.1 += seconds.parse::<f64>()?;
        }
        Ok(sums)
    }
}

/// In a child: searches from one line of input to the next, again and again.
fn searcher(at: &str) -> Result {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        std::io::stdin().lines().map_while(|line| line.ok()).try_for_each(|line| sender.send(line))
    });
    while lines.recv().is_ok() {
        // The server closes a connection that was idle for a minute.
        let mut client = Client::open(at)?;
        println!("searching");
        let (begun, mut count) = (Instant::now(), 0_u64);
        while matches!(lines.try_recv(), Err(TryRecvError::Empty)) {
            search_worst(&mut client)?;
            count += 1;
        }
        println!("{count} {}", begun.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Searches among drawers that no snapshot holds, beside a copy that `crdt-compact` folded.
fn searches(table: &mut Table) -> Result {
    let tail = scratch()?;
    // They keep running, because no compaction folds the open segment of a running process.
    let _writers = writers(tail.path())?;
    let folded = duplicate(tail.path())?;
    compact(folded.path())?;
    let servers = [serve(tail.path())?, serve(folded.path())?];
    let mut times = servers.each_ref().map(|_| Vec::new());
    let begun = Instant::now();
    let queries = texts::queries(if quick() { 5 } else { 20 });
    for round in 0..if quick() { 2 } else { 5 } {
        // The first round fills the caches, and the second is the first that counts.
        if round > 1 && begun.elapsed() > LONGEST {
            break;
        }
        let clients = servers.iter().map(|server| Client::open(&server.at));
        let mut clients = clients.collect::<Result<Vec<_>>>()?;
        for query in &queries {
            // In turn, so that other work of the machine slows down both.
            for (client, times) in clients.iter_mut().zip(&mut times) {
                let begun = Instant::now();
                client.call("palace_search", &json!({"query": query}))?;
                if round > 0 {
                    times.push(millis(begun.elapsed()));
                }
            }
        }
    }
    let snapshots = [tail.path(), folded.path()].map(|path| -> Result<usize> {
        Ok(Palace::open_read_only(path)?.status()?.snapshots.len())
    });
    let [Ok(0), Ok(1)] = snapshots else {
        return Err(format!("other snapshots than 0 and 1: {snapshots:?}").into());
    };
    let [tail, folded] = &mut times;
    let what = format!("search, {} unfolded drawers; median", unfolded());
    let (took, peer) = (percentile(tail, 0.5), ("folded", percentile(folded, 0.5)));
    table.beside(&what, "ms", took, peer, Bar::AtMostTimesPeer(3.0));
    let (took, peer) = (percentile(tail, 0.99), ("folded", percentile(folded, 0.99)));
    table.beside("   99 of 100", "ms", took, peer, Bar::None);
    Ok(())
}

/// Processes that have written all the drawers, and stay.
fn writers(palace: &Path) -> Result<Vec<Child>> {
    let path = palace.to_str().ok_or("a path that is no text")?;
    let share = unfolded() / WRITERS;
    let writer = |n: u64| {
        let first = drawers() * 2 + n * share;
        Child::start("writer", &[path, &first.to_string(), &share.to_string()])
    };
    let mut writers = (0..WRITERS).map(writer).collect::<Result<Vec<_>>>()?;
    writers.iter_mut().try_for_each(|writer| writer.hear().map(drop))?;
    Ok(writers)
}

/// In a child: files drawers, one a commit, and keeps its segment open.
fn writer(path: &Path, first: u64, count: u64) -> Result {
    let palace = Options::default().auto_compact(false).open(path)?;
    let filing = Drawers::new(palace);
    for n in first..first + count {
        filing.file(&[texts::item(n)?])?;
    }
    child::ready()
}

fn compact(path: &Path) -> Result {
    let output = Command::new(env!("CARGO_BIN_EXE_crdt-compact")).arg(path).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("crdt-compact: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
