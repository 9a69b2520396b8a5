//! Everything as Markdown: a page for each drawer, diary entry and shared document, and one for each entity with its facts
//! and relations.

use super::pages::{INDEX, file_name, link, page};
use crate::cli::everyday::period;
use crate::memory::archive::{Record, each_record};
use crate::memory::drawers::Drawers;
use crate::memory::facts::Facts;
use crate::memory::told::{Kind, title_of_text};
use crate::memory::{MemoryError, Result, readable};
use crate::palace::Palace;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The pages of an export that is being written.
struct Export<'a> {
    dir: &'a Path,
    drawers: Drawers,
    facts: Facts,
    /// The paths that are taken, in lower case: some file systems take both cases for one.
    taken: HashSet<String>,
    /// The pages of entities, by their names in lower case.
    entities: BTreeMap<String, Entity>,
    /// Moves and renames.
    places: Vec<Record>,
}

/// An entity, with what is known of it.
struct Entity {
    name: String,
    records: Vec<Record>,
    lines: Vec<String>,
}

/// Writes all documents to a new directory, and returns the number of those with open conflicts.
///
/// # Errors
/// [`MemoryError::Write`], also if the directory exists and is not empty, and errors of the palace.
pub(super) fn export(palace: &Palace, dir: &Path) -> Result<usize> {
    make(dir).map_err(|error| failed(dir, error))?;
    let (drawers, facts) = (Drawers::new(palace.clone()), Facts::new(palace.clone()));
    let (taken, entities) = (HashSet::new(), BTreeMap::new());
    let mut export = Export { dir, drawers, facts, taken, entities, places: Vec::new() };
    let mut in_conflict = 0;
    each_record(palace, |record, is_in_conflict| {
        in_conflict += usize::from(is_in_conflict);
        export.add(record)
    })?;
    export.finish()?;
    Ok(in_conflict)
}

/// Makes a directory that only this user may enter, unless there is an empty one.
fn make(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match fs::read_dir(dir)?.next() {
                None => Ok(()),
                Some(_) => Err(io::Error::other("it is not empty: name a new directory")),
            }
        }
        made => made,
    }
}

fn failed(path: &Path, error: io::Error) -> MemoryError {
    MemoryError::Write(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

impl Export<'_> {
    fn add(&mut self, record: Record) -> Result<()> {
        let text = |field: &str| {
            record.value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        match Kind::of(&record.key) {
            Kind::Drawer | Kind::Diary => self.add_text(record),
            Kind::Document => self.add_document(&record),
            Kind::Place | Kind::Note => {
                self.places.push(record);
                Ok(())
            }
            Kind::Fact => {
                let holds =
                    self.facts.get(&record.id)?.map(|fact| period(&fact, &self.facts.now()));
                let holds = holds.map(|holds| format!(", {holds}")).unwrap_or_default();
                let line = format!("- {} {}{holds}", text("predicate"), link(&text("object")));
                let subject = text("subject");
                self.add_known(&subject, record, vec![line])
            }
            Kind::Relation => {
                let line = format!("- {} {}", text("relationType"), link(&text("to")));
                let from = text("from");
                self.add_known(&from, record, vec![line])
            }
            Kind::Entity => {
                let observed = record.value.get("observations").and_then(Value::as_array);
                let observed = observed.into_iter().flatten().filter_map(Value::as_str);
                let lines = observed.map(|text| format!("- {}", text.replace('\n', "\n  ")));
                let (name, lines) = (text("name"), lines.collect());
                self.add_known(&name, record, lines)
            }
        }
    }

    fn add_known(&mut self, name: &str, record: Record, lines: Vec<String>) -> Result<()> {
        let new = || Entity { name: name.to_owned(), records: Vec::new(), lines: Vec::new() };
        let entity = self.entities.entry(name.to_lowercase()).or_insert_with(new);
        entity.records.push(record);
        entity.lines.extend(lines);
        Ok(())
    }

    /// Writes the page of a drawer or a diary entry. Its text is the text of the page, and not in the record.
    fn add_text(&mut self, mut record: Record) -> Result<()> {
        // Another process may have deleted it since it was read.
        let Some(drawer) = self.drawers.under(&record.key)? else { return Ok(()) };
        let Some(Value::String(text)) = record.value.remove("content") else {
            return self.add_document(&record);
        };
        let mut properties = vec![
            ("id", json!(drawer.id)),
            ("wing", json!(drawer.place.wing)),
            ("room", json!(drawer.place.room)),
            ("filed", json!(drawer.filed_ms.map(readable))),
            ("added_by", json!(drawer.added_by)),
            ("sources", json!(drawer.source_files)),
            ("changed", json!(record.time)),
            ("by", json!(record.by)),
        ];
        if let Some((agent, topic)) = &drawer.diary {
            properties.extend([("agent", json!(agent)), ("topic", json!(topic))]);
        }
        let folder = ["drawers", &file_name(&drawer.place.wing), &file_name(&drawer.place.room)];
        let folder: PathBuf = folder.iter().collect();
        self.write(&folder, &title_of_text(&text), &page(&properties, &[record], &text)?)
    }

    fn add_document(&mut self, record: &Record) -> Result<()> {
        let value = serde_json::to_string_pretty(&record.value);
        let value = value.map_err(|error| MemoryError::Write(error.into()))?;
        let properties =
            [("key", json!(record.key)), ("changed", json!(record.time)), ("by", json!(record.by))];
        let text = format!("```json\n{value}\n```");
        let page = page(&properties, std::slice::from_ref(record), &text)?;
        self.write(Path::new("documents"), record.key.as_str(), &page)
    }

    fn finish(mut self) -> Result<()> {
        for (_, Entity { name, records, lines }) in std::mem::take(&mut self.entities) {
            let page = page(&[("name", json!(name))], &records, &lines.join("\n"))?;
            self.write(Path::new("entities"), &name, &page)?;
        }
        let text = concat!(
            "Exported by crdt-palace ",
            env!("CARGO_PKG_VERSION"),
            ". `crdt-palace import` of this directory takes it back."
        );
        let index = page(&[], &self.places, text)?;
        self.create(&self.dir.join(INDEX), &index)
    }

    /// Writes a page under a name, or under the name and a number if that is taken.
    fn write(&mut self, folder: &Path, name: &str, page: &str) -> Result<()> {
        let (folder, name) = (self.dir.join(folder), file_name(name));
        let mut path = folder.join(format!("{name}.md"));
        let mut n = 2;
        while !self.taken.insert(path.to_string_lossy().to_lowercase()) {
            path = folder.join(format!("{name} {n}.md"));
            n += 1;
        }
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        self.create(&path, page)
    }

    fn create(&self, path: &Path, page: &str) -> Result<()> {
        let created = OpenOptions::new().write(true).create_new(true).open(path);
        created
            .and_then(|mut file| file.write_all(page.as_bytes()))
            .map_err(|error| failed(path, error))
    }
}
