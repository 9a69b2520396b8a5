//! Taking over a palace of MemPalace: drawers and diaries from its Chroma database, facts from its knowledge graph.
//!
//! Invariants: nothing of the source is changed, nor anything created beside it; what can be taken over is,
//! whatever stands beside it, and what cannot is named or counted; doing it again takes over what is new there,
//! and nothing else. Must not know: where the databases are, and how it is told.

mod chroma;
mod convert;
mod graph;
mod sqlite;

pub use sqlite::{Access, Database};

use super::Result;
use super::drawers::Drawers;
use super::drawers::import::Became as DrawerBecame;
use super::facts::Facts;
use super::facts::import::Became as FactBecame;
use crate::palace::compact::{CompactOptions, Extent};
use crate::palace::{Error, Palace, chain};
use crate::store::StoreError;
use chroma::Chroma;
use convert::{carried, fact};
use graph::KnowledgeGraph;
use jiff::tz::TimeZone;
use std::collections::{HashMap, HashSet};

/// The most documents that one commit holds …
const COMMIT_DOCUMENTS: usize = 256;
/// … and about the most text, in bytes.
const COMMIT_BYTES: usize = 1 << 20;
/// After so much text, in bytes, what was committed is folded.
const FOLD_BYTES: usize = 4 << 20;

/// What to take over.
pub struct Databases<'a> {
    /// The Chroma database.
    pub drawers: Database<'a>,
    /// The knowledge graph, if there is one.
    pub facts: Option<Database<'a>>,
    /// The zone of the times that name none.
    pub zone: TimeZone,
}

/// Something that was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Its id there.
    pub id: String,
    /// Why.
    pub why: String,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Report {
    /// New drawers.
    pub drawers: usize,
    /// New entries of diaries.
    pub entries: usize,
    /// Drawers with the same text and place as another, and noted there.
    pub same: usize,
    /// Facts that are new, or have ended.
    pub facts: usize,
    /// What was there, just so.
    pub there: usize,
    /// What cannot be taken over.
    pub bad: Vec<Bad>,
    /// Rows of the index that MemPalace searches first.
    pub closets: usize,
    /// Pictures and sounds.
    pub assets: usize,
    /// Entities with a type or properties.
    pub entities: usize,
    /// Why not everything is folded, if it is not.
    pub unfolded: Option<String>,
}

/// Takes all of it over. `progress` is told how many drawers and facts are done, of how many; the report says what was
/// done also if the rest was not.
///
/// # Errors
/// [`MemoryError::Foreign`], or what the palace says; a part may have been taken over then, and doing it again
/// completes it.
pub fn import(
    palace: &Palace,
    source: &Databases<'_>,
    report: &mut Report,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<()> {
    let chroma = Chroma::open(&source.drawers)?;
    let graph = source.facts.as_ref().map(KnowledgeGraph::open).transpose()?;
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
        let all = CompactOptions { extent: Extent::All, ..CompactOptions::default() };
        report.unfolded = fold(palace, all);
    }
    Ok(())
}

/// The drawers that facts name by their old ids, and the ids that those have now.
struct Ids {
    named: HashSet<String>,
    now: HashMap<String, String>,
}

/// Returns how much there is to do in all.
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
    // From here on this process alone writes what it looks for; what others write is merged.
    drop(palace.keys("drawer/", None, 1)?);
    let (mut group, mut bytes, mut unfolded) = (Vec::new(), 0, 0);
    for (n, listed) in listed.iter().enumerate() {
        match chroma.read(listed)?.and_then(|text| carried(&listed.id, text, &source.zone)) {
            Ok(one) => {
                bytes += one.bytes();
                group.push(one);
            }
            Err(why) => report.bad.push(Bad { id: listed.id.clone(), why }),
        }
        if group.len() == COMMIT_DOCUMENTS || bytes > COMMIT_BYTES || n + 1 == total - facts {
            let became = drawers.carry(&group)?;
            let written = became.iter().any(|became| !matches!(became, DrawerBecame::There(_)));
            count_drawers(&group, became, report, ids);
            unfolded += if written { bytes } else { 0 };
            (group, bytes) = (Vec::new(), 0);
            progress(n + 1, total);
        }
        if unfolded > FOLD_BYTES {
            unfolded = 0;
            // Whether it could be folded is asked at the end: then all of it is tried once more.
            let _: Option<String> = fold(palace, CompactOptions::default());
        }
    }
    Ok(total)
}

fn count_drawers(
    group: &[super::drawers::import::Carried],
    became: Vec<DrawerBecame>,
    report: &mut Report,
    ids: &mut Ids,
) {
    for (one, became) in group.iter().zip(became) {
        let id = match became {
            DrawerBecame::New(id) => {
                report.drawers += usize::from(!one.is_entry());
                report.entries += usize::from(one.is_entry());
                id
            }
            DrawerBecame::Same(id) => {
                report.same += 1;
                id
            }
            DrawerBecame::There(id) => {
                report.there += 1;
                id
            }
            DrawerBecame::Bad(why) => {
                report.bad.push(Bad { id: one.id.clone(), why });
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
            match fact(triple, ids) {
                Ok(fact) => good.push(fact),
                Err(why) => report.bad.push(Bad { id: triple.id.clone(), why }),
            }
        }
        for (one, became) in good.iter().zip(facts.carry(&good)?) {
            match became {
                FactBecame::New => report.facts += 1,
                FactBecame::There => report.there += 1,
                FactBecame::Bad(why) => report.bad.push(Bad { id: one.id.clone(), why }),
            }
        }
        left -= group.len();
        progress(left);
    }
    Ok(())
}

/// Folds, and says why not if it cannot be: what was committed is there all the same.
fn fold(palace: &Palace, options: CompactOptions) -> Option<String> {
    match palace.compact(options) {
        Ok(_) => None,
        Err(Error::Store(StoreError::Busy { holder, .. })) => {
            Some(format!("{holder} is compacting"))
        }
        Err(error) => Some(chain(&error)),
    }
}
