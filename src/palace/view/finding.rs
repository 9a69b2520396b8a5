//! One finding about a file or a document of the palace.

use crate::format::hash::ChangeHash;
use crate::format::key::Key;
use std::path::{Path, PathBuf};

/// Severity of a finding.
///
/// ```
/// use crdt_palace::palace::verify::Severity;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// let name = format!("{}.seg", palace.status()?.segments[0].segment);
/// let file = std::fs::File::options().append(true).open(palace.path().join("open").join(name))?;
/// std::io::Write::write_all(&mut &file, b"half a rec")?; // a write that a crash cut short
/// let found = palace.verify()?;
/// assert_eq!(found.findings[0].severity, Severity::Note);
/// assert!(!found.has_problem());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Severity {
    /// A state that is normal after a crash, or while a file is written or copied. No acknowledged write is lost.
    Note,
    /// Stored bytes are damaged, missing or refused.
    Problem,
}

/// A finding of a verification.
///
/// ```
/// use crdt_palace::palace::verify::Severity;
/// # use crdt_palace::palace::Palace;
/// # use serde_json::json;
/// # let dir = tempfile::tempdir()?;
/// # let palace = Palace::open(dir.path().join("palace"))?;
///
/// palace.put("a", &json!({"n": 1}))?;
/// palace.seal()?;
/// for file in std::fs::read_dir(palace.path().join("sealed"))? {
///     let file = file?.path();
///     let mut bytes = std::fs::read(&file)?;
///     bytes[50] ^= 1; // a bad disk
///     std::fs::write(&file, bytes)?;
/// }
/// let found = palace.verify()?;
/// let finding = &found.findings[0];
/// assert_eq!((finding.severity, finding.offset), (Severity::Problem, Some(0)));
/// assert!(finding.what.starts_with("damage"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Its severity.
    pub severity: Severity,
    /// The file, if it is about one.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "crate::format::path_text::option"
    )]
    pub path: Option<PathBuf>,
    /// The position in the file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The document, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The changes that are missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<ChangeHash>,
    /// The finding as text.
    pub what: String,
}

impl Finding {
    /// Makes a finding about a file.
    pub(in crate::palace) fn of_file(
        path: &Path,
        offset: Option<u64>,
        severity: Severity,
        what: impl Into<String>,
    ) -> Self {
        let path = Some(path.to_owned());
        Finding { severity, path, offset, key: None, missing: Vec::new(), what: what.into() }
    }
}
