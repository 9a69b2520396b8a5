//! The knowledge graph: facts that hold from when to when.

use super::arguments::NoArguments;
use super::fact_arguments::{KgAdd, KgDelete, KgInvalidate, KgQuery, KgSupersede, KgTimeline};
use super::places::unknown;
use super::results::{WriteReceipt, said, source};
use crate::mcp::page::{Budget, Page, echoed, number};
use crate::mcp::tool::Call;
use crate::memory::facts::{AsOf, Counts, Fact, FactQuery, Facts, Source, Triple};
use crate::memory::{MemoryError, written_out};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FactShown {
    pub triple_id: String,
    /// outgoing if the entity is the subject, incoming if it is the object; null if none was asked for
    pub direction: Option<String>,
    pub subject: String,
    pub predicate: String,
    pub object: String,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    #[serde(flatten)]
    pub offsets: Offsets,
    /// True if it holds now
    pub current: bool,
    /// True if it has not begun
    pub future: bool,
    pub source_closet: Option<String>,
    /// Source; the name alone of an absolute path, unless full_source was passed
    pub source_file: Option<String>,
    pub source_drawer_id: Option<String>,
}

/// The offsets in which times were given, such as +09:00. Times are in UTC.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct Offsets {
    /// The offset in which the time of valid_from was given, if not UTC
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from_offset: Option<String>,
    /// The offset in which the time of valid_to was given, if not UTC
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_to_offset: Option<String>,
}

impl Offsets {
    /// Takes the offsets out of a fact, and writes its moments out.
    fn of(fact: &mut Fact) -> Self {
        let (from, to) = (fact.valid_from_offset.take(), fact.valid_to_offset.take());
        let write_out = |moment: &mut Option<String>, offset: &Option<String>| {
            *moment = moment.take().map(|text| written_out(&text, offset.as_deref()));
        };
        write_out(&mut fact.valid_from, &from);
        write_out(&mut fact.valid_to, &to);
        // That of UTC says nothing more than the Z of the time.
        let [from, to] = [from, to].map(|offset| offset.filter(|offset| offset != "+00:00"));
        Offsets { valid_from_offset: from, valid_to_offset: to }
    }
}

/// The numbers of facts on all pages that hold now, have ended and have not begun
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct FactCounts {
    /// Number of those that hold now
    pub active_facts: i64,
    /// Number of those that have ended
    pub historical_facts: i64,
    /// Number of those that have not begun
    pub future_facts: i64,
}

impl From<Counts> for FactCounts {
    fn from(counts: Counts) -> Self {
        FactCounts {
            active_facts: number(counts.current),
            historical_facts: number(counts.over),
            future_facts: number(counts.future),
        }
    }
}

impl FactShown {
    pub fn new(mut fact: Fact, entity: Option<&str>, now: &AsOf, full_source: bool) -> Self {
        // These ask the fact, whose moments are written out after that.
        let subject = entity.map(|entity| fact.ends_with(entity).0);
        let (current, future) = (fact.holds(now), !fact.is_over(now) && fact.begins_after(now));
        let offsets = Offsets::of(&mut fact);
        let from = fact.sources.into_iter().next().unwrap_or_default();
        FactShown {
            triple_id: fact.id,
            direction: subject.map(|is| if is { "outgoing" } else { "incoming" }.to_owned()),
            subject: fact.triple.subject,
            predicate: fact.triple.predicate,
            object: fact.triple.object,
            offsets,
            valid_from: fact.valid_from,
            valid_to: fact.valid_to,
            current,
            future,
            source_closet: from.closet.map(|text| source(text, full_source)),
            source_file: from.file.map(|text| source(text, full_source)),
            source_drawer_id: from.drawer.map(said),
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EntityFacts {
    pub entity: String,
    pub as_of: Option<String>,
    pub facts: Vec<FactShown>,
    /// Number of facts on all pages
    pub count: i64,
    #[serde(flatten)]
    pub counts: FactCounts,
    pub next_cursor: Option<String>,
    /// Says so if no fact is about an entity of this name
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Timeline {
    /// The entity, or "all"
    pub entity: String,
    pub timeline: Vec<FactShown>,
    /// Number of facts on all pages
    pub count: i64,
    #[serde(flatten)]
    pub counts: FactCounts,
    pub next_cursor: Option<String>,
    /// Says so if no fact is about an entity of this name
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FactAdded {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub triple_id: String,
    pub fact: String,
    /// True if it was known already
    pub noop: bool,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
    #[serde(flatten)]
    pub offsets: Offsets,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FactEnded {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub triple_id: String,
    pub fact: String,
    /// When it ended: the earliest moment that any client gave
    pub ended: String,
    /// The offset in which the time of the end was given, if not UTC
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_offset: Option<String>,
    /// True if it had ended by then
    pub noop: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FactDeleted {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    pub triple_id: String,
    /// True if it was deleted already
    pub noop: bool,
    /// Says how a fact comes back that was deleted already
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<&'static str>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Superseded {
    #[serde(flatten)]
    pub receipt: WriteReceipt,
    /// The id of the new fact
    pub triple_id: String,
    pub fact: String,
    pub superseded_id: String,
    pub superseded: String,
    /// When the old fact ended
    pub ended: String,
    /// True if it was done already
    pub noop: bool,
    /// Since when the new one holds
    pub valid_from: Option<String>,
    /// Until when, if it has ended since
    pub valid_to: Option<String>,
    #[serde(flatten)]
    pub offsets: Offsets,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct KgStats {
    pub entities: i64,
    pub triples: i64,
    /// Number of facts that hold now
    pub current_facts: i64,
    /// Number of facts that have ended
    pub expired_facts: i64,
    /// Number of facts that have not begun
    pub future_facts: i64,
    pub relationship_types: Vec<String>,
    /// True if some types were left out
    pub truncated: bool,
}

pub(super) fn kg_query(call: &Call, arguments: KgQuery) -> Result<EntityFacts, MemoryError> {
    let KgQuery { entity, as_of, direction, full_source, cursor } = arguments;
    let (of, at, after) = (Some(entity.as_str()), as_of.as_deref(), cursor.as_deref());
    let direction = direction.unwrap_or_default().into();
    let facts = call.facts();
    let page = facts.about(&FactQuery { entity: of, as_of: at, direction, after, limit: 0 })?;
    let mut known = EntityFacts {
        entity: echoed(&entity),
        as_of: at.map(echoed),
        facts: Vec::new(),
        count: number(page.total),
        counts: page.counts.into(),
        next_cursor: None,
        note: entity_note(&facts, of, page.total)?,
    };
    let facts = page.facts.into_iter().map(fact_shown(of, facts.now(), full_source));
    let page = Page::fill(facts, usize::MAX, page.more, &mut Budget::around(&known));
    (known.facts, known.next_cursor) = (page.items, page.next_cursor);
    Ok(known)
}

pub(super) fn kg_timeline(call: &Call, arguments: KgTimeline) -> Result<Timeline, MemoryError> {
    let KgTimeline { entity, full_source, cursor } = arguments;
    let (of, after) = (entity.as_deref(), cursor.as_deref());
    let facts = call.facts();
    let page = facts.about(&FactQuery { entity: of, after, ..FactQuery::default() })?;
    let mut timeline = Timeline {
        entity: echoed(of.unwrap_or("all")),
        timeline: Vec::new(),
        count: number(page.total),
        counts: page.counts.into(),
        next_cursor: None,
        note: entity_note(&facts, of, page.total)?,
    };
    let facts = page.facts.into_iter().map(fact_shown(of, facts.now(), full_source));
    let page = Page::fill(facts, usize::MAX, page.more, &mut Budget::around(&timeline));
    (timeline.timeline, timeline.next_cursor) = (page.items, page.next_cursor);
    Ok(timeline)
}

/// Says so if no fact is about an entity, with the nearest names.
fn entity_note(
    facts: &Facts,
    entity: Option<&str>,
    total: usize,
) -> Result<Option<String>, MemoryError> {
    let Some(entity) = entity.filter(|_| total == 0) else { return Ok(None) };
    let nearest = facts.nearest_entities(entity)?;
    Ok(nearest.map(|names| unknown("no fact is about an", "entity", entity, &names)))
}

/// Makes of a fact its position and what a result shows of it.
fn fact_shown(
    entity: Option<&str>,
    now: AsOf,
    full_source: Option<bool>,
) -> impl Fn(Fact) -> (String, FactShown) {
    let full = full_source.unwrap_or(false);
    move |fact| (fact.position(), FactShown::new(fact, entity, &now, full))
}

pub(super) fn kg_add(call: &Call, arguments: KgAdd) -> Result<FactAdded, MemoryError> {
    let KgAdd { subject, predicate, object, valid_from, valid_to, .. } = &arguments;
    let triple = Triple::new(subject, predicate, object)?;
    let source = source_given(&arguments);
    let (from, to) = (valid_from.as_deref(), valid_to.as_deref());
    let mut asserted = call.facts().assert(&triple, from, to, source.as_ref())?;
    let offsets = Offsets::of(&mut asserted.fact);
    let Fact { id, triple, valid_from, valid_to, etag, .. } = asserted.fact;
    Ok(FactAdded {
        receipt: WriteReceipt::new(etag, Vec::new()),
        triple_id: id,
        fact: triple.to_string(),
        noop: !asserted.new,
        valid_from,
        valid_to,
        offsets,
    })
}

pub(super) fn kg_invalidate(
    call: &Call,
    arguments: KgInvalidate,
) -> Result<FactEnded, MemoryError> {
    let KgInvalidate { subject, predicate, object, ended, .. } = arguments;
    let triple = Triple::new(&subject, &predicate, &object)?;
    let mut done = call.facts().end(&triple, ended.as_deref())?;
    let offsets = Offsets::of(&mut done.fact);
    Ok(FactEnded {
        receipt: WriteReceipt::new(done.fact.etag, Vec::new()),
        triple_id: done.fact.id,
        fact: done.fact.triple.to_string(),
        ended: done.fact.valid_to.unwrap_or_default(),
        ended_offset: offsets.valid_to_offset,
        noop: !done.changed,
    })
}

pub(super) fn kg_supersede(call: &Call, arguments: KgSupersede) -> Result<Superseded, MemoryError> {
    let KgSupersede { subject, predicate, old_object, new_object, at, .. } = arguments;
    let old = Triple::new(&subject, &predicate, &old_object)?;
    let (mut old, mut new) = call.facts().replace(&old, &new_object, at.as_deref())?;
    Offsets::of(&mut old.fact);
    let offsets = Offsets::of(&mut new.fact);
    Ok(Superseded {
        receipt: WriteReceipt::new(new.fact.etag, Vec::new()),
        triple_id: new.fact.id,
        fact: new.fact.triple.to_string(),
        superseded_id: old.fact.id,
        superseded: old.fact.triple.to_string(),
        ended: old.fact.valid_to.unwrap_or_default(),
        noop: !old.changed && !new.new,
        offsets,
        valid_from: new.fact.valid_from,
        valid_to: new.fact.valid_to,
    })
}

pub(super) fn kg_delete(call: &Call, arguments: KgDelete) -> Result<FactDeleted, MemoryError> {
    let KgDelete { triple_id, .. } = arguments;
    let deleted = call.facts().delete(&triple_id)?;
    Ok(FactDeleted {
        receipt: WriteReceipt::new(deleted.etag, Vec::new()),
        triple_id,
        noop: !deleted.changed,
        note: (!deleted.changed).then_some(
            "It was deleted already. kg_add with the same subject, predicate, object and valid_from brings it back.",
        ),
    })
}

pub(super) fn kg_stats(call: &Call, NoArguments {}: NoArguments) -> Result<KgStats, MemoryError> {
    let stats = call.facts().stats()?;
    let mut result = KgStats {
        entities: number(stats.entities),
        triples: number(stats.facts),
        current_facts: number(stats.current),
        expired_facts: number(stats.facts - stats.current - stats.future),
        future_facts: number(stats.future),
        relationship_types: Vec::new(),
        truncated: false,
    };
    let (types, left_out) = Budget::around(&result).keep(stats.predicates.into_iter());
    (result.relationship_types, result.truncated) = (types, left_out.is_some());
    Ok(result)
}

/// The source of a fact, if the caller gives one.
fn source_given(arguments: &KgAdd) -> Option<Source> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let source = Source {
        closet: said(&arguments.source_closet),
        file: said(&arguments.source_file),
        drawer: said(&arguments.source_drawer_id),
    };
    (source != Source::default()).then_some(source)
}
