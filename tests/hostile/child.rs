//! Runs a program on a palace in a process of its own with little memory and time: tests/programs/hostile.rs.

use crate::support::child;
use serde_json::Value;
use std::path::Path;

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
    run("serve-all", path)
}

/// As [`works_with`], where a snapshot can be opened and is damaged inside: a read that cannot be sure fails, and names
/// the file.
pub fn works_around(path: &Path) -> Outcome {
    run("serve-some", path)
}

fn run(role: &str, path: &Path) -> Outcome {
    let output = child(role).arg(path).output().unwrap();
    let (text, error) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let shown: String = error.chars().take(4_000).collect();
    assert!(output.status.success(), "{:?}\n{text}\n{shown}", output.status);
    let result: Value = serde_json::from_str(&text).unwrap();
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
