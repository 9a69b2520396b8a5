//! What a program does with a palace, in a process of its own with little memory and time.
//!
//! The test binary starts itself: the test `a_process_with_little_memory` does nothing unless the environment
//! names a palace.

use crate::made::{self, GOOD};
use crate::support::{compact_all, manual, verification};
use crdt_palace::palace::verify::{Finding, Severity};
use crdt_palace::palace::{Error, Palace};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const PALACE: &str = "CRDT_PALACE_HOSTILE";
const SERVED: &str = "CRDT_PALACE_HOSTILE_SERVED";
const RESULT: &str = "RESULT ";

/// The address space of the process, in bytes, and its processor time, in seconds.
const ADDRESS_SPACE: u64 = 3 << 30;
const SECONDS: u64 = 120;

/// What came out of it.
pub struct Outcome {
    /// Of `verify`, before anything was compacted.
    pub problems: Vec<String>,
    /// Of the compaction: why files stay where they are.
    pub skipped: Vec<String>,
    /// Memory at its highest, in MiB.
    pub memory: u64,
}

impl Outcome {
    /// A problem was told that names this.
    pub fn tells(&self, what: &str) {
        let found = self.problems.iter().any(|problem| problem.contains(what));
        assert!(found, "nobody says {what:?}: {:#?}", self.problems);
    }
}

/// Reads, writes, searches, verifies and compacts the palace in a process of its own.
pub fn works_with(path: &Path) -> Outcome {
    run(path, "all")
}

/// As [`works_with`], where a snapshot can be opened and is damaged inside: what a read cannot be sure of fails,
/// and names the file.
pub fn works_around(path: &Path) -> Outcome {
    run(path, "some")
}

fn run(path: &Path, served: &str) -> Outcome {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::a_process_with_little_memory", "--nocapture"])
        .envs([(PALACE, path.as_os_str()), (SERVED, served.as_ref())])
        .output()
        .unwrap();
    let (text, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let shown: String = error.chars().take(4_000).collect();
    assert!(output.status.success(), "{:?}\n{text}\n{shown}", output.status);
    // The harness writes the name of the test before it, on the same line.
    let result = text.lines().find_map(|line| Some(line.split_once(RESULT)?.1));
    let result: Value = serde_json::from_str(result.expect("a result")).unwrap();
    let texts = |name: &str| {
        let list = result[name].as_array().unwrap().iter();
        list.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    Outcome {
        problems: texts("problems"),
        skipped: texts("skipped"),
        memory: result["memory"].as_u64().unwrap(),
    }
}

#[test]
fn a_process_with_little_memory() {
    let Ok(path) = std::env::var(PALACE) else { return };
    let all = std::env::var(SERVED).unwrap() == "all";
    for (resource, most) in [(Resource::As, ADDRESS_SPACE), (Resource::Cpu, SECONDS)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
    }
    let path = Path::new(&path);
    let palace = manual(path);
    let look = |palace: &Palace| if all { looks_good(palace) } else { looks_right(palace) };
    look(&palace);
    let written = served(palace.put("good/new", &made::value()));
    assert!(written.is_some() || !all);
    let listed = palace.status().map(drop);
    assert!(listed.is_ok(), "{listed:?}");
    let found = verification(path);
    let skipped = compact_all(&palace).skipped;
    look(&palace);
    let again = manual(path);
    look(&again);
    if all {
        assert_eq!(again.get("good/new").unwrap().unwrap().value, made::value());
    }
    let problem = |finding: &&Finding| finding.severity == Severity::Problem;
    let result = json!({
        "problems": found.findings.iter().filter(problem).map(|f| &f.what).collect::<Vec<_>>(),
        "skipped": skipped.iter().map(|skipped| &skipped.reason).collect::<Vec<_>>(),
        "memory": highest_memory(),
    });
    println!("{RESULT}{result}");
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
            assert_eq!(found.unwrap().value, made::value(), "{key}");
        }
    }
    let found = served(palace.search("stays", 100));
    assert!(found.is_none_or(|found| found.len() >= GOOD.len()));
    let page = served(palace.scan("good/", None, 100));
    assert!(page.is_none_or(|page| page.documents.len() >= GOOD.len()));
}

/// In MiB.
fn highest_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Every good document can be got, found and listed.
pub fn looks_good(palace: &Palace) {
    for key in GOOD {
        assert_eq!(palace.get(key).unwrap().unwrap().value, made::value(), "{key}");
    }
    let found = palace.search("stays", 100).unwrap();
    let page = palace.scan("good/", None, 100).unwrap();
    for key in GOOD {
        assert!(found.iter().any(|hit| hit.document.key.as_str() == key), "{key} is not found");
        assert!(page.documents.iter().any(|d| d.key.as_str() == key), "{key} is not listed");
    }
}
