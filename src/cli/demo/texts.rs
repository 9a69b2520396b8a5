//! The texts that the demo stores: passages of text files.

use crate::cli::error::DemoError;
use std::path::Path;

/// The length at which a passage is cut, in characters.
const PASSAGE_CHARS: usize = 800;
/// The largest file that is read, in bytes: the demo is not an importer.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A passage, and the name of the file that it comes from.
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

/// Returns the passages of this project's own documents, which are part of the program.
pub(super) fn embedded() -> Vec<Passage> {
    EMBEDDED.iter().flat_map(|(file, text)| passages(file, text)).collect()
}

/// Reads the text files of a folder, in the order of their names. Folders inside it are left out.
pub(super) fn of_folder(folder: &Path) -> Result<Vec<Passage>, DemoError> {
    let failed = || DemoError::system(&format!("read {}", folder.display()));
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
        // A file that is not UTF-8, or that this user may not read, is passed over: it need not be a text.
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
