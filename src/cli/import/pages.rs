//! The Markdown pages of an export, read back as records.
//!
//! A page begins with its front matter, in which the records stand, one a line. The text of a drawer is the rest of its
//! page.

use crate::cli::error::Failure;
use crate::cli::export::pages::{INDEX, RECORD, RECORDS, RULE};
use crate::fs::os::open_foreign;
use crate::memory::archive::{Importer, Record};
use crate::memory::told::Kind;
use serde_json::Value;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Most bytes of a page.
const PAGE_BYTES: u64 = 64 << 20;

/// Tells whether a directory is an export as pages.
pub(super) fn is_export(dir: &Path) -> bool {
    dir.join(INDEX).is_file()
}

/// Takes the records of all pages.
pub(super) fn take_all(dir: &Path, to: &mut Importer<'_>) -> Result<(), Failure> {
    for path in pages(dir)? {
        let at = path.strip_prefix(dir).unwrap_or(&path).display().to_string();
        match read(&path)?.and_then(|page| parse(&at, &page, to)) {
            Ok(records) => {
                for record in records {
                    to.take(record)?;
                }
            }
            Err(why) => to.refuse(at, why),
        }
    }
    Ok(to.flush()?)
}

/// Returns the pages of a directory and those below, in their order.
fn pages(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut found, mut todo) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = todo.pop() {
        let failed = |source| Failure::Input { path: dir.display().to_string(), source };
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            match entry.file_type().map_err(failed)?.is_dir() {
                // Editors keep their settings in such directories.
                true if is_hidden => {}
                true => todo.push(path),
                false if path.extension().is_some_and(|end| end == "md") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a page, or why it is none.
fn read(path: &Path) -> Result<Result<String, String>, Failure> {
    let failed = |source| Failure::Input { path: path.display().to_string(), source };
    let mut bytes = Vec::new();
    open_foreign(path).map_err(failed)?.take(PAGE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()))
}

/// Parses a page. One without records, such as a page that its reader wrote, has none.
fn parse(at: &str, page: &str, to: &mut Importer<'_>) -> Result<Vec<Record>, String> {
    let page = page.strip_prefix('\u{feff}').unwrap_or(page);
    let Some((front, body)) =
        page.strip_prefix(RULE).and_then(|rest| rest.split_once(&format!("\n{RULE}\n")))
    else {
        return Ok(Vec::new());
    };
    let lines = front.lines().skip_while(|line| *line != RECORDS).skip(1);
    let lines = lines.map_while(|line| line.strip_prefix(RECORD));
    let mut records = Vec::new();
    for line in lines {
        records.extend(to.parse(at, line.as_bytes().to_vec())?);
    }
    if let [record] = records.as_mut_slice()
        && matches!(Kind::of(&record.key), Kind::Drawer | Kind::Diary)
    {
        let text = body.strip_suffix('\n').unwrap_or(body);
        record.value.insert("content".to_owned(), Value::from(text));
    }
    Ok(records)
}
