//! What the demo stores: passages of text files.

use super::{DemoError, system};
use std::path::Path;

/// Longer passages are cut here, in characters.
const PASSAGE_CHARS: usize = 800;
/// Files above this are left out, in bytes: the demo is not a loader.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A passage and the name of the file that it is from.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    pub file: String,
    pub text: String,
}

const EMBEDDED: [(&str, &str); 6] = [
    ("README.md", include_str!("../../../README.md")),
    ("CHANGELOG.md", include_str!("../../../CHANGELOG.md")),
    ("ARCHITECTURE.md", include_str!("../../../docs/ARCHITECTURE.md")),
    ("BENCHMARKS.md", include_str!("../../../docs/BENCHMARKS.md")),
    ("CONCURRENCY.md", include_str!("../../../docs/CONCURRENCY.md")),
    ("FORMAT.md", include_str!("../../../docs/FORMAT.md")),
];

/// This project's own documents, which every copy of the program carries.
pub(super) fn embedded() -> Vec<Passage> {
    EMBEDDED.iter().flat_map(|(file, text)| passages(file, text)).collect()
}

/// The text files of a folder, in the order of their names; those in folders inside it are left out.
pub(super) fn of_folder(folder: &Path) -> Result<Vec<Passage>, DemoError> {
    let failed = || system(&format!("read {}", folder.display()));
    let entries = std::fs::read_dir(folder).map_err(failed())?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed())?.path();
        if path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        // A file that is not text, or that may not be read, is not one of the text files.
        if let Ok(text) = std::fs::read_to_string(&path) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.extend(passages(&name, &text));
        }
    }
    match found.is_empty() {
        true => Err(DemoError::NoTexts { folder: folder.to_owned() }),
        false => Ok(found),
    }
}

fn passages(file: &str, text: &str) -> Vec<Passage> {
    let parts = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let cut = |part: &str| part.chars().take(PASSAGE_CHARS).collect();
    parts.map(|part| Passage { file: file.to_owned(), text: cut(part) }).collect()
}
