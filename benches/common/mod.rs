//! What the benches share: documents, a place on a real disk, child processes, and the table in which
//! every figure stands beside its peer and its bar.
#![allow(dead_code, reason = "every bench uses another part of it")]

pub mod child;
pub mod http;
pub mod large;
pub mod table;
pub mod texts;

use crdt_palace::fs::sim::SplitMix;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A bench ends with the first error: there is nothing to go on with.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Whether `--quick` was given: fewer rounds, smaller palaces, no figures to quote.
pub fn quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// Where files are made: `CRDT_PALACE_BENCH_DIR`, or the build directory. A file system in memory
/// would make a sync free and every figure meaningless, so it is refused.
pub fn bench_dir() -> Result<PathBuf> {
    const TMPFS: u64 = 0x0102_1994;
    let given = std::env::var_os("CRDT_PALACE_BENCH_DIR");
    let dir = given.map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    std::fs::create_dir_all(&dir)?;
    if rustix::fs::statfs(&dir)?.f_type.cast_unsigned() == TMPFS {
        return Err(format!("{} is in memory; set CRDT_PALACE_BENCH_DIR", dir.display()).into());
    }
    Ok(dir)
}

/// A directory in [`bench_dir`] that goes away with the value.
pub fn scratch() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("scratch-").tempdir_in(bench_dir()?)?)
}

const WORDS: [&str; 64] = [
    "river", "stone", "lamp", "garden", "signal", "matter", "north", "table", "window", "paper",
    "engine", "forest", "letter", "market", "number", "orange", "people", "question", "record",
    "season", "thread", "uncle", "valley", "winter", "yellow", "answer", "bridge", "circle",
    "dinner", "effort", "figure", "ground", "honest", "island", "jacket", "kitchen", "ladder",
    "method", "nature", "object", "pencil", "quiet", "reason", "silver", "ticket", "useful",
    "village", "wonder", "branch", "castle", "doctor", "energy", "flower", "gentle", "harbour",
    "insect", "junior", "kettle", "listen", "mirror", "narrow", "office", "palace", "rocket",
];

/// A reproducible sequence of random numbers and texts.
pub struct Sequence(SplitMix);

impl Sequence {
    pub fn new(seed: u64) -> Self {
        Sequence(SplitMix::new(seed))
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0.next_u64() % limit
    }

    fn text(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 16);
        while text.len() < bytes {
            let at = usize::try_from(self.below(64)).unwrap_or(0);
            text.push_str(WORDS.get(at).copied().unwrap_or("word"));
            text.push(' ');
        }
        text.truncate(bytes);
        text
    }
}

/// The key of document `n` of the large palace.
pub fn key(n: u64) -> String {
    format!("drawer/{n:08}")
}

/// Document `n`: five fields, 600 bytes of text in all.
pub fn document(n: u64) -> Map<String, Value> {
    let mut sequence = Sequence::new(n);
    let document = json!({
        "title": sequence.text(40),
        "body": sequence.text(500),
        "room": sequence.text(20),
        "source": sequence.text(30),
        "written": format!("{n:010}"),
    });
    match document {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// How long something took.
pub fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed()))
}

/// The value below which `share` (0 to 1) of them lie.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (share * last as f64).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

/// The median of some rounds.
pub fn median(mut values: Vec<f64>) -> f64 {
    percentile(&mut values, 0.5)
}

/// Microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Milliseconds.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
