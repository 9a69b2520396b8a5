//! The knowledge graph: facts that hold from when to when.

use super::answers::{Kept, number};
use super::arguments::{KgAdd, KgInvalidate, KgQuery, KgSupersede, KgTimeline, Nothing};
use super::bounds::fitting;
use crate::mcp::Server;
use crate::memory::facts::{Fact, FactPage, FactQuery, Source, Triple};
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
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
    /// Whether it has not ended
    pub current: bool,
    pub source_closet: Option<String>,
    pub source_file: Option<String>,
    pub source_drawer_id: Option<String>,
}

impl FactShown {
    pub fn new(fact: Fact, entity: Option<&str>, now: &str) -> Self {
        let subject = entity.map(|entity| fact.ends_with(entity).0);
        let current = !fact.is_over(now);
        let source = fact.sources.into_iter().next().unwrap_or_default();
        FactShown {
            triple_id: fact.id,
            direction: subject.map(|is| if is { "outgoing" } else { "incoming" }.to_owned()),
            subject: fact.triple.subject,
            predicate: fact.triple.predicate,
            object: fact.triple.object,
            valid_from: fact.valid_from,
            valid_to: fact.valid_to,
            current,
            source_closet: source.closet,
            source_file: source.file,
            source_drawer_id: source.drawer,
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Known {
    pub entity: String,
    pub as_of: Option<String>,
    pub facts: Vec<FactShown>,
    /// How many there are in all
    pub count: i64,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Timeline {
    /// The entity, or "all"
    pub entity: String,
    pub timeline: Vec<FactShown>,
    /// How many there are in all
    pub count: i64,
    pub next_cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FactAdded {
    #[serde(flatten)]
    pub kept: Kept,
    pub triple_id: String,
    pub fact: String,
    /// True if it was known
    pub noop: bool,
    pub valid_from: Option<String>,
    pub valid_to: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct FactEnded {
    #[serde(flatten)]
    pub kept: Kept,
    pub triple_id: String,
    pub fact: String,
    /// When it ended: the earliest moment that anybody gave
    pub ended: String,
    /// True if it had ended by then
    pub noop: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Superseded {
    #[serde(flatten)]
    pub kept: Kept,
    /// Of the new fact
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
}

#[derive(Serialize, JsonSchema)]
pub(super) struct KgStats {
    pub entities: i64,
    pub triples: i64,
    pub current_facts: i64,
    pub expired_facts: i64,
    pub relationship_types: Vec<String>,
    /// Whether some types were left out
    pub truncated: bool,
}

#[tool_router(router = facts_router, vis = "pub(super)")]
impl Server {
    /// What is known of an entity: its facts, and from when to when they hold; with as_of, those that held then
    #[tool(
        title = "Query Knowledge Graph",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn kg_query(
        &self,
        Parameters(arguments): Parameters<KgQuery>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Known>, String> {
        let KgQuery { entity, as_of, direction, cursor } = arguments;
        let (of, at) = (entity.clone(), as_of.clone());
        let page = self.on_facts(&context, move |facts| {
            let (entity, as_of) = (Some(of.as_str()), at.as_deref());
            let (direction, after) = (direction.unwrap_or_default().into(), cursor.as_deref());
            let page = facts.about(&FactQuery { entity, as_of, direction, after, limit: 0 })?;
            Ok(Shown::new(page, entity, &facts.now()))
        });
        let Shown { facts, count, next_cursor } = page.await?;
        Ok(Json(Known { entity, as_of, facts, count, next_cursor }))
    }

    /// State a fact: subject, predicate, object, and since when it holds. Stating the same again changes nothing, also if it ended since
    #[tool(
        title = "Add Fact",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn kg_add(
        &self,
        Parameters(arguments): Parameters<KgAdd>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<FactAdded>, String> {
        let stated = self
            .on_facts(&context, move |facts| {
                let KgAdd { subject, predicate, object, valid_from, valid_to, .. } = &arguments;
                let triple = Triple::new(subject, predicate, object)?;
                let source = source(&arguments);
                facts.assert(&triple, valid_from.as_deref(), valid_to.as_deref(), source.as_ref())
            })
            .await?;
        let Fact { id, triple, valid_from, valid_to, etag, .. } = stated.fact;
        Ok(Json(FactAdded {
            kept: Kept::new(etag, Vec::new()),
            triple_id: id,
            fact: triple.to_string(),
            noop: !stated.new,
            valid_from,
            valid_to,
        }))
    }

    /// A fact does not hold any more: say when it ended. It stays in the timeline
    #[tool(
        title = "Invalidate Fact",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn kg_invalidate(
        &self,
        Parameters(arguments): Parameters<KgInvalidate>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<FactEnded>, String> {
        let KgInvalidate { subject, predicate, object, ended } = arguments;
        let done = self
            .on_facts(&context, move |facts| {
                facts.end(&Triple::new(&subject, &predicate, &object)?, ended.as_deref())
            })
            .await?;
        Ok(Json(FactEnded {
            kept: Kept::new(done.fact.etag, Vec::new()),
            triple_id: done.fact.id,
            fact: done.fact.triple.to_string(),
            ended: done.fact.valid_to.unwrap_or_default(),
            noop: !done.changed,
        }))
    }

    /// A fact has changed: end the old one and state the new one from the same moment on, in one commit
    #[tool(
        title = "Supersede Fact",
        annotations(
            read_only_hint = false,
            destructive_hint = true,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn kg_supersede(
        &self,
        Parameters(arguments): Parameters<KgSupersede>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Superseded>, String> {
        let KgSupersede { subject, predicate, old_object, new_object, at } = arguments;
        let (old, new) = self
            .on_facts(&context, move |facts| {
                let old = Triple::new(&subject, &predicate, &old_object)?;
                facts.replace(&old, &new_object, at.as_deref())
            })
            .await?;
        Ok(Json(Superseded {
            kept: Kept::new(new.fact.etag, Vec::new()),
            triple_id: new.fact.id,
            fact: new.fact.triple.to_string(),
            superseded_id: old.fact.id,
            superseded: old.fact.triple.to_string(),
            ended: old.fact.valid_to.unwrap_or_default(),
            noop: !old.changed && !new.new,
            valid_from: new.fact.valid_from,
            valid_to: new.fact.valid_to,
        }))
    }

    /// Facts in the order in which they began to hold, also those that ended
    #[tool(
        title = "Timeline",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn kg_timeline(
        &self,
        Parameters(arguments): Parameters<KgTimeline>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Timeline>, String> {
        let KgTimeline { entity, cursor } = arguments;
        let of = entity.clone();
        let page = self.on_facts(&context, move |facts| {
            let (entity, after) = (of.as_deref(), cursor.as_deref());
            let page = facts.about(&FactQuery { entity, after, ..FactQuery::default() })?;
            Ok(Shown::new(page, entity, &facts.now()))
        });
        let Shown { facts: timeline, count, next_cursor } = page.await?;
        let entity = entity.unwrap_or_else(|| "all".to_owned());
        Ok(Json(Timeline { entity, timeline, count, next_cursor }))
    }

    /// How many entities and facts there are, how many still hold, and which predicates are in use
    #[tool(
        title = "Knowledge Graph Stats",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn kg_stats(
        &self,
        Parameters(arguments): Parameters<Nothing>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<KgStats>, String> {
        let Nothing {} = arguments;
        let stats = self.on_facts(&context, |facts| facts.stats()).await?;
        let (relationship_types, truncated) = fitting(stats.predicates.into_iter().collect());
        Ok(Json(KgStats {
            entities: number(stats.entities),
            triples: number(stats.facts),
            current_facts: number(stats.current),
            expired_facts: number(stats.facts - stats.current),
            relationship_types,
            truncated,
        }))
    }
}

/// Where a fact comes from, if the caller says so.
fn source(arguments: &KgAdd) -> Option<Source> {
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let source = Source {
        closet: said(&arguments.source_closet),
        file: said(&arguments.source_file),
        drawer: said(&arguments.source_drawer_id),
    };
    (source != Source::default()).then_some(source)
}

/// Facts as they are shown, as many as fit.
struct Shown {
    facts: Vec<FactShown>,
    count: i64,
    next_cursor: Option<String>,
}

impl Shown {
    fn new(page: FactPage, entity: Option<&str>, now: &str) -> Self {
        let positions: Vec<String> = page.facts.iter().map(Fact::position).collect();
        let shown = |fact| FactShown::new(fact, entity, now);
        let (facts, cut) = fitting(page.facts.into_iter().map(shown).collect());
        let last = facts.len().checked_sub(1).and_then(|last| positions.get(last).cloned());
        let next_cursor = last.filter(|_| page.more || cut);
        Shown { facts, count: number(page.total), next_cursor }
    }
}
