//! What a program does with a palace, in a process of its own with little memory and time.
//!
//! The test binary starts itself: the test `a_process_with_little_memory` does nothing unless the environment
//! names a palace.

use crate::made::{self, GOOD};
use crate::support::{compact_all, manual, verification};
use crdt_palace::palace::Palace;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const PALACE: &str = "CRDT_PALACE_HOSTILE";
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
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child::a_process_with_little_memory", "--nocapture"])
        .env(PALACE, path)
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
    for (resource, most) in [(Resource::As, ADDRESS_SPACE), (Resource::Cpu, SECONDS)] {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) }).unwrap();
    }
    let path = Path::new(&path);
    let palace = manual(path);
    looks_good(&palace);
    palace.put("good/new", &made::value()).unwrap();
    palace.status().unwrap();
    let found = verification(path);
    let skipped = compact_all(&palace).skipped;
    looks_good(&palace);
    let again = manual(path);
    looks_good(&again);
    assert_eq!(again.get("good/new").unwrap().unwrap().value, made::value());
    let worst = found
        .findings
        .iter()
        .filter(|finding| finding.severity == crdt_palace::palace::verify::Severity::Problem);
    let result = json!({
        "problems": worst.map(|finding| &finding.what).collect::<Vec<_>>(),
        "skipped": skipped.iter().map(|skipped| &skipped.reason).collect::<Vec<_>>(),
        "memory": highest_memory(),
    });
    println!("{RESULT}{result}");
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
