//! Durable commits a second at eight processes, beside SQLite and a bare append with a sync.
//!
//! Each process runs for a fixed time and says how many of its commits were acknowledged. All peers
//! store the same 600-byte documents, each under a key of its own, and sync each before it counts.
//! The palace compacts in the background as in production; SQLite checkpoints as it does by default.

mod common;

use common::child::{self, race};
use common::table::{Bar, Table};
use common::{Result, document, median, quick, scratch};
use crdt_palace::palace::Palace;
use rusqlite::{Connection, TransactionBehavior, params};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PROCESSES: usize = 8;
const THREADS: usize = 20;

fn main() -> Result {
    match child::role() {
        Some((role, arguments)) => work(&role, &arguments),
        None => measure(),
    }
}

fn measure() -> Result {
    let (rounds, seconds) = if quick() { (1, 1) } else { (9, 4) };
    let kinds = ["bare", "sqlite", "palace", "sqlite-many", "sqlite-queue", "palace-many"];
    let mut rates = vec![Vec::new(); kinds.len()];
    // Round by round, so that a slow minute of the machine hits all of them.
    for _ in 0..rounds {
        for (kind, rates) in kinds.iter().zip(&mut rates) {
            rates.push(rate(kind, seconds)?);
        }
    }
    let rates: Vec<f64> = rates.into_iter().map(median).collect();
    let [bare, sqlite, palace, sqlite_many, sqlite_queue, palace_many] = rates[..] else {
        return Err("a kind is missing".into());
    };
    let mut table = Table::new();
    let unit = "commits/s";
    table.beside("one call in flight each", unit, palace, ("SQLite", sqlite), Bar::TimesPeer(1.5));
    table.beside("", unit, palace, ("bare", bare), Bar::TimesPeer(1.0 / 3.0));
    let best = sqlite_many.max(sqlite_queue);
    table.beside("20 in flight each", unit, palace_many, ("SQLite", best), Bar::TimesPeer(3.0));
    table.beside("", unit, palace_many, ("20 connections", sqlite_many), Bar::None);
    table.beside("", unit, palace_many, ("1 connection, queued", sqlite_queue), Bar::None);
    table.print("Durable commits a second, 8 processes, 600-byte documents");
    Ok(())
}

/// All processes together.
fn rate(kind: &str, seconds: u64) -> Result<f64> {
    let dir = scratch()?;
    let path = dir.path().to_str().ok_or("a path that is no text")?;
    if kind.starts_with("sqlite") {
        connect(dir.path())?
            .execute_batch("CREATE TABLE documents(key TEXT PRIMARY KEY, value)")?;
    }
    let counts = race(PROCESSES, kind, &[path, &seconds.to_string()])?;
    let mut sum = 0.0;
    for count in counts {
        sum += count.parse::<f64>()?;
    }
    Ok(sum / seconds as f64)
}

fn work(kind: &str, arguments: &[String]) -> Result {
    let [number, path, seconds] = arguments else { return Err("arguments are missing".into()) };
    let run =
        Run { first: number.parse::<u64>()? << 40, length: Duration::from_secs(seconds.parse()?) };
    let path = Path::new(path);
    let count = match kind {
        "bare" => bare(&run, &path.join(number))?,
        "sqlite" => run.threads(1, |_| sqlite_writer(path))?,
        "sqlite-many" => run.threads(THREADS, |_| sqlite_writer(path))?,
        "sqlite-queue" => {
            let shared = Arc::new(Mutex::new(connect(path)?));
            run.threads(THREADS, |_| {
                let shared = shared.clone();
                Ok(move |n| insert(&mut *shared.lock().map_err(|_| "poisoned")?, n))
            })?
        }
        "palace" | "palace-many" => {
            let palace = Palace::open(path.join("palace"))?;
            let threads = if kind == "palace" { 1 } else { THREADS };
            run.threads(threads, |_| {
                let palace = palace.clone();
                Ok(move |n| {
                    palace.put(&common::key(n), &document(n))?;
                    Ok(())
                })
            })?
        }
        _ => return Err("no such kind".into()),
    };
    println!("{count}");
    Ok(())
}

/// One process's part.
struct Run {
    /// The number of its first document.
    first: u64,
    length: Duration,
}

impl Run {
    /// Writes on so many threads until the time is over; how many commits were acknowledged.
    fn threads<W>(&self, threads: usize, writer: impl Fn(usize) -> Result<W>) -> Result<u64>
    where
        W: FnMut(u64) -> Result + Send,
    {
        let writers = (0..threads).map(writer).collect::<Result<Vec<W>>>()?;
        child::ready()?;
        let until = Instant::now() + self.length;
        std::thread::scope(|scope| {
            let write = |(thread, mut writer): (usize, W)| {
                let first = self.first + ((thread as u64) << 32);
                scope.spawn(move || -> Result<u64> {
                    let mut n = 0;
                    while Instant::now() < until {
                        writer(first + n)?;
                        n += 1;
                    }
                    Ok(n)
                })
            };
            let threads: Vec<_> = writers.into_iter().enumerate().map(write).collect();
            let counts = threads.into_iter().map(|thread| match thread.join() {
                Ok(count) => count,
                Err(_) => Err("a thread panicked".into()),
            });
            counts.sum()
        })
    }
}

fn bare(run: &Run, path: &Path) -> Result<u64> {
    let file = OpenOptions::new().append(true).create(true).open(path)?;
    run.threads(1, |_| {
        let mut file = &file;
        Ok(move |n| {
            file.write_all(&serde_json::to_vec(&document(n))?)?;
            Ok(file.sync_data()?)
        })
    })
}

fn connect(path: &Path) -> Result<Connection> {
    let connection = Connection::open(path.join("documents.db"))?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous=FULL")?;
    Ok(connection)
}

fn sqlite_writer(path: &Path) -> Result<impl FnMut(u64) -> Result + Send + use<>> {
    let mut connection = connect(path)?;
    Ok(move |n| insert(&mut connection, n))
}

fn insert(connection: &mut Connection, n: u64) -> Result {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction
        .prepare_cached("INSERT INTO documents(key, value) VALUES(?1, ?2)")?
        .execute(params![common::key(n), serde_json::to_string(&document(n))?])?;
    Ok(transaction.commit()?)
}
