//! Imports a palace of MemPalace: drawers and diaries from its Chroma database, facts from its knowledge graph.
//!
//! Invariants: nothing in the source is changed, and no file is made beside it. Every good record is imported, whatever
//! the other records hold; a bad one is named or counted. A second import adds what is new in the source, and nothing
//! else. Must not know: where the databases are, and how the report is printed.

mod chroma;
mod convert;
mod graph;
mod prose_date;
mod report;
mod sqlite;

pub use chroma::DRAWERS;
pub use report::{NotImported, Report};
pub use sqlite::{Access, Database};

use super::documents::{COMMIT_BYTES, COMMIT_DOCUMENTS};
use super::drawers::Drawers;
use super::drawers::import::{ForeignDrawer, ImportedDrawer};
use super::error::Result;
use super::facts::Facts;
use super::facts::import::ImportedFact;
use crate::palace::compact::CompactOptions;
use crate::palace::{Error, Palace, chain};
use crate::store::StoreError;
use chroma::Chroma;
use convert::{foreign_drawer, foreign_fact};
use graph::KnowledgeGraph;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};

/// The text after which the commits are compacted, in bytes.
const COMPACT_BYTES: usize = 4 << 20;

/// The databases to import.
pub struct Databases<'a> {
    /// The Chroma database.
    pub drawers: Database<'a>,
    /// The name of its collection of drawers: [`DRAWERS`], unless MemPalace was told another one.
    pub collection: &'a str,
    /// The knowledge graph, if there is one.
    pub facts: Option<Database<'a>>,
    /// The time zone of times without one.
    pub zone: TimeZone,
}

/// Imports everything. `progress` is called with the number of drawers and facts that are done, and of all. If the
/// import fails, the report says how far it came.
///
/// # Errors
/// [`MemoryError::Foreign`], and errors of the palace. Then a part may have been imported, and a second import adds the
/// rest.
pub fn import(
    palace: &Palace,
    source: &Databases<'_>,
    report: &mut Report,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let chroma = Chroma::open(&source.drawers, source.collection)?;
    let graph = source.facts.as_ref().map(KnowledgeGraph::open).transpose()?;
    // These are counted for the report only: a palace has no place for them.
    report.closets = chroma.count(chroma::CLOSETS)?;
    report.assets = chroma.count(chroma::ASSETS)?;
    let (triples, bad) =
        graph.as_ref().map(KnowledgeGraph::triples).transpose()?.unwrap_or_default();
    report.bad.extend(bad);
    report.entities =
        graph.as_ref().map(KnowledgeGraph::described).transpose()?.unwrap_or_default();
    let named = triples.iter().filter_map(|triple| triple.drawer.clone()).collect();
    let mut ids = Ids { named, now: HashMap::new() };
    let total =
        import_drawers(palace, &chroma, source, triples.len(), (report, &mut ids), progress)?;
    import_facts(palace, triples, &ids.now, report, &mut |left| progress(total - left, total))?;
    if report.drawers + report.entries + report.same + report.facts > 0 {
        let all = CompactOptions::new().all();
        report.uncompacted = compact(palace, all);
    }
    Ok(())
}

/// The drawers that facts refer to by their old ids, and the new ids of those.
struct Ids {
    named: HashSet<String>,
    now: HashMap<String, String>,
}

/// Imports the drawers, and returns the number of all drawers and facts.
fn import_drawers(
    palace: &Palace,
    chroma: &Chroma<'_>,
    source: &Databases<'_>,
    facts: usize,
    (report, ids): (&mut Report, &mut Ids),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<usize> {
    let (listed, bad) = chroma.list()?;
    report.bad.extend(bad);
    let total = listed.len() + facts;
    let drawers = Drawers::new(palace.clone());
    // This rescans. From here on the import reads without one: it looks only for its own writes, and those of other
    // processes are merged.
    drop(palace.keys_page("drawer/", None, 1)?);
    let (mut group, mut bytes, mut uncompacted) = (Vec::new(), 0, 0);
    for (n, listed) in listed.iter().enumerate() {
        match chroma.read(listed)?.and_then(|text| foreign_drawer(&listed.id, text, &source.zone)) {
            Ok(one) => {
                bytes += one.bytes();
                group.push(one);
            }
            Err(why) => report.bad.push(NotImported { id: listed.id.clone(), why }),
        }
        if group.len() == COMMIT_DOCUMENTS || bytes > COMMIT_BYTES || n + 1 == total - facts {
            let results = drawers.import(&group)?;
            // A second import writes nothing, and then there is nothing to compact.
            let written = results.iter().any(|result| !matches!(result, ImportedDrawer::Known(_)));
            count_drawers(&group, results, report, ids);
            uncompacted += if written { bytes } else { 0 };
            (group, bytes) = (Vec::new(), 0);
            progress(n + 1, total);
        }
        if uncompacted > COMPACT_BYTES {
            uncompacted = 0;
            // A failure does not matter here: at the end everything is compacted once more.
            let _: Option<String> = compact(palace, CompactOptions::default());
        }
    }
    Ok(total)
}

fn count_drawers(
    group: &[ForeignDrawer],
    results: Vec<ImportedDrawer>,
    report: &mut Report,
    ids: &mut Ids,
) {
    for (one, result) in group.iter().zip(results) {
        let id = match result {
            ImportedDrawer::New(id) => {
                report.drawers += usize::from(!one.is_entry());
                report.entries += usize::from(one.is_entry());
                id
            }
            ImportedDrawer::Merged(id) => {
                report.same += 1;
                id
            }
            ImportedDrawer::Known(id) => {
                report.there += 1;
                id
            }
            ImportedDrawer::Refused(why) => {
                report.bad.push(NotImported { id: one.id.clone(), why });
                continue;
            }
        };
        if ids.named.contains(&one.id) {
            ids.now.insert(one.id.clone(), id);
        }
    }
}

fn import_facts(
    palace: &Palace,
    triples: Vec<graph::Triple>,
    ids: &HashMap<String, String>,
    report: &mut Report,
    progress: &mut dyn FnMut(usize),
) -> Result<()> {
    let facts = Facts::new(palace.clone());
    let mut left = triples.len();
    for group in triples.chunks(COMMIT_DOCUMENTS) {
        let mut good = Vec::new();
        for triple in group {
            match foreign_fact(triple, ids) {
                Ok(fact) => good.push(fact),
                Err(why) => report.bad.push(NotImported { id: triple.id.clone(), why }),
            }
        }
        for (one, result) in good.iter().zip(facts.import(&good)?) {
            match result {
                ImportedFact::New => report.facts += 1,
                ImportedFact::Known => report.there += 1,
                ImportedFact::Refused(why) => {
                    report.bad.push(NotImported { id: one.id.clone(), why })
                }
            }
        }
        left -= group.len();
        progress(left);
    }
    Ok(())
}

/// Compacts the palace. A failure is returned in words: the imported records are durable all the same.
fn compact(palace: &Palace, options: CompactOptions) -> Option<String> {
    match palace.compact(options) {
        Ok(_) => None,
        Err(Error::Store(StoreError::Busy { holder, .. })) => {
            Some(format!("another process compacts ({holder})"))
        }
        Err(error) => Some(chain(&error)),
    }
}
