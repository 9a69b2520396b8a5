//! A program that uses a palace with hostile files, with little memory and time: the child of tests/hostile.

use crate::good::{GOOD, looks_good, value};
use crate::support::{compact_all, manual, verification};
use crdt_palace::palace::verify::{Finding, Severity};
use crdt_palace::palace::{Error, Palace};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::json;
use std::path::Path;

/// The address space of the process, in bytes, and its processor time, in seconds.
const ADDRESS_SPACE: u64 = 3 << 30;
const SECONDS: u64 = 120;

/// Reads, writes, searches, verifies and compacts, and prints what was found as JSON. If not `all` documents have to
/// be served, a read may blame a damaged file instead.
pub fn run(path: &Path, all: bool) {
    // On a thread with the stack that threads of a server have, which is smaller than the main thread's.
    std::thread::scope(|scope| scope.spawn(|| work(path, all)).join().unwrap());
}

fn work(path: &Path, all: bool) {
    for (resource, most) in [(Resource::As, ADDRESS_SPACE), (Resource::Cpu, SECONDS)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
    }
    let palace = manual(path);
    let look = |palace: &Palace| if all { looks_good(palace) } else { looks_right(palace) };
    look(&palace);
    let written = served(palace.put("good/new", &value()));
    assert!(written.is_some() || !all);
    palace.status().unwrap();
    let found = verification(path);
    let skipped = compact_all(&palace).skipped;
    look(&palace);
    let again = manual(path);
    look(&again);
    if all {
        assert_eq!(again.get("good/new").unwrap().unwrap().value, value());
    }
    let problem = |finding: &&Finding| finding.severity == Severity::Problem;
    let result = json!({
        "problems": found.findings.iter().filter(problem).map(|f| &f.what).collect::<Vec<_>>(),
        "skipped": skipped.iter().map(|skipped| &skipped.reason).collect::<Vec<_>>(),
        "memory": highest_memory(),
    });
    println!("{result}");
}

/// What it is, or nothing if a damaged file, or the document in it, is blamed.
fn served<T>(result: Result<T, Error>) -> Option<T> {
    match result {
        Ok(found) => Some(found),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("is damaged") || text.starts_with("theirs: "), "{text}");
            None
        }
    }
}

/// What is served is right, and nothing is served as if it were not there.
fn looks_right(palace: &Palace) {
    for key in GOOD {
        if let Some(found) = served(palace.get(key)) {
            assert_eq!(found.unwrap().value, value(), "{key}");
        }
    }
    let found = served(palace.search("stays").limit(100).hits());
    assert!(found.is_none_or(|found| found.len() >= GOOD.len()));
    let page = served(palace.scan_page("good/", None, 100));
    assert!(page.is_none_or(|page| page.documents.len() >= GOOD.len()));
}

/// In MiB.
fn highest_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
