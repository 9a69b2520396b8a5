//! Diaries.

use super::answers::{Kept, number};
use super::arguments::{DiaryRead, DiaryWrite, limit};
use super::bounds::{fitting, part};
use crate::mcp::Server;
use crate::memory::drawers::{DiaryEntry, Drawer, ENTRIES_MAX};
use crate::memory::readable;
use rmcp::handler::server::wrapper::{Json, Parameters};
use rmcp::schemars::{self, JsonSchema};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, tool, tool_router};
use serde::Serialize;

#[derive(Serialize, JsonSchema)]
pub(super) struct EntryWritten {
    #[serde(flatten)]
    pub kept: Kept,
    pub entry_id: String,
    pub agent: String,
    pub topic: String,
    pub wing: String,
    pub timestamp: String,
    /// Always 1: texts are not cut up
    pub chunks: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
pub(super) struct EntryShown {
    pub entry_id: String,
    pub wing: String,
    pub date: Option<String>,
    pub timestamp: Option<String>,
    pub topic: String,
    pub content: String,
    /// If the text goes on: the offset for get_drawer
    pub next_offset: Option<i64>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct EntriesShown {
    pub agent: String,
    /// Newest first
    pub entries: Vec<EntryShown>,
    pub total: i64,
    pub showing: i64,
}

impl From<Drawer> for EntryShown {
    fn from(drawer: Drawer) -> Self {
        let (content, next) = part(&drawer.content, 0);
        let timestamp = drawer.filed_ms.map(readable);
        EntryShown {
            entry_id: drawer.id,
            wing: drawer.place.wing,
            date: timestamp.as_ref().map(|time| time.chars().take_while(|c| *c != 'T').collect()),
            timestamp,
            topic: drawer.diary.map(|(_, topic)| topic).unwrap_or_default(),
            content,
            next_offset: next.map(number),
        }
    }
}

#[tool_router(router = diary_router, vis = "pub(super)")]
impl Server {
    /// Write an entry in an agent's diary. Entries are never changed, and search finds them
    #[tool(
        title = "Write Diary",
        annotations(
            read_only_hint = false,
            destructive_hint = false,
            idempotent_hint = false,
            open_world_hint = false
        )
    )]
    async fn diary_write(
        &self,
        Parameters(arguments): Parameters<DiaryWrite>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<EntryWritten>, String> {
        let DiaryWrite { agent_name, entry, topic, wing } = arguments;
        let written = self
            .on_drawers(&context, move |drawers| {
                let (topic, wing) = (topic.as_deref(), wing.as_deref());
                let entry = DiaryEntry::new(&agent_name, &entry, topic, wing)?;
                drawers.write_diary(&entry)
            })
            .await?;
        Ok(Json(EntryWritten {
            kept: Kept::new(written.etag, Vec::new()),
            entry_id: written.id,
            agent: written.agent,
            topic: written.topic,
            wing: written.wing,
            timestamp: readable(written.filed_ms),
            chunks: 1,
        }))
    }

    /// Read the newest entries of an agent's diary, wherever it wrote them
    #[tool(
        title = "Read Diary",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn diary_read(
        &self,
        Parameters(arguments): Parameters<DiaryRead>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<EntriesShown>, String> {
        let DiaryRead { agent_name, last_n, wing } = arguments;
        let agent = agent_name.clone();
        let page = self
            .on_drawers(&context, move |drawers| {
                let last = limit("last_n", last_n, 10, ENTRIES_MAX)?;
                drawers.read_diary(&agent_name, wing.as_deref(), last)
            })
            .await?;
        let (entries, _) = fitting(page.entries.into_iter().map(EntryShown::from).collect());
        Ok(Json(EntriesShown {
            agent,
            showing: number(entries.len()),
            entries,
            total: number(page.total),
        }))
    }
}
