//! A tool: what clients are told of it, and the function that runs it.
//!
//! A set declares its tools as a list of names, titles, effects, functions and descriptions. The arguments and
//! results of a function give the schemas. Invariants: a function gets arguments only of the right type; what was not
//! taken as it was sent is in the answer; no error is longer than a result may be.

use super::feed_cursors::FeedCursors;
use super::noticed::{Noticed, refused_without_note};
use super::page::{ANSWER_BYTES_MAX, RESULT_BYTES, json_len, shortened};
use super::progress::Progress;
use super::sent_arguments::{Does, take};
use super::tool_set::ToolSet;
use crate::format::hash::Heads;
use crate::format::key::Key;
use crate::memory::Memory;
use crate::memory::drawers::Drawers;
use crate::memory::facts::Facts;
use crate::palace::{Once, Palace, Session};
use rmcp::handler::server::common::{schema_for_empty_input, schema_for_input};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, ToolAnnotations};
use rmcp::schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::any::Any;
use std::sync::Arc;

/// Most characters of the text of an error that is longer than a result: what it repeats from the arguments is cut.
const ERROR_CHARS: usize = 4_000;

/// The circumstances of a call, for the tool's function.
#[derive(Clone)]
pub(super) struct Call {
    pub palace: Palace,
    /// The client's name and version, for history.
    pub client: Option<String>,
    /// The versions of each document that the client has seen.
    pub session: Session,
    pub feed_cursors: Arc<FeedCursors>,
    /// True if other clients write through this process, so that its own writes may be news to this client.
    pub shared: bool,
    /// The tool sets that the server offers.
    pub offered: Arc<[ToolSet]>,
    /// The name of the call, if its write is made once, however often it is sent.
    pub once: Option<Once>,
    /// The way to tell the client how far the call has come, if it asked.
    pub progress: Option<Progress>,
}

impl Call {
    /// Tells the client that `done` of `all` steps are done.
    pub fn progress(&self, done: usize, all: usize) {
        self.progress.iter().for_each(|progress| progress.report(done, all));
    }

    /// Returns the same call, whose write is made once.
    pub fn making_once(&self, once: Once) -> Self {
        Call { once: Some(once), ..self.clone() }
    }

    pub fn drawers(&self) -> Drawers {
        let drawers = Drawers::new(self.palace.clone()).by(self.client.clone());
        drawers.in_session(self.session.clone()).once(self.once.clone())
    }

    /// Notes that a result shows a drawer: all of its text, or some of it.
    pub fn showed(&self, key: &Key, heads: &Heads, whole: bool) {
        match whole {
            true => self.session.saw_whole(key, heads),
            false => self.session.saw_some(key, heads),
        }
    }

    pub fn facts(&self) -> Facts {
        Facts::new(self.palace.clone()).by(self.client.clone()).once(self.once.clone())
    }

    pub fn graph(&self) -> Memory {
        let graph = Memory::new(self.palace.clone()).by(self.client.clone());
        graph.at_most(ANSWER_BYTES_MAX)
    }
}

/// The effect of a call on the palace. By it, clients decide which calls a model may make unasked, and which they
/// repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Reads only.
    Read,
    /// Adds something with every call.
    Add,
    /// Adds something; the same call again adds nothing.
    AddOnce,
    /// Changes or removes what is there, again with every call.
    Overwrite,
    /// Changes or removes what is there; the same call again changes nothing.
    OverwriteOnce,
}

impl Effect {
    /// The hints of the protocol. No tool leaves the palace, so that the world is closed.
    fn annotations(self) -> ToolAnnotations {
        let destructive = matches!(self, Effect::Overwrite | Effect::OverwriteOnce);
        let idempotent = matches!(self, Effect::Read | Effect::AddOnce | Effect::OverwriteOnce);
        ToolAnnotations::new()
            .read_only(self == Effect::Read)
            .destructive(destructive)
            .idempotent(idempotent)
            .open_world(false)
    }
}

/// The field of a structured result with the notes, and what clients are told of it.
const NOTES: &str = "notes";
const NOTES_ARE: &str = "Arguments that were not taken as they were sent";

/// Runs a call, and gives what the client gets, with notes about its arguments.
type Run = dyn Fn(&Call, JsonObject, &Noticed) -> (CallToolResult, Vec<String>) + Send + Sync;

/// A tool of a set.
#[derive(Clone)]
pub(super) struct Tool {
    /// Its entry in `tools/list`.
    pub listed: rmcp::model::Tool,
    run: Arc<Run>,
    /// True if its structured results may have notes.
    has_notes: bool,
    /// True if its results have no bound but [`ANSWER_BYTES_MAX`].
    ///
    /// [`ANSWER_BYTES_MAX`]: super::page::ANSWER_BYTES_MAX
    pub is_large: bool,
}

impl Tool {
    /// Declares a tool whose function takes `A`. `answer` makes a result of what the function returns.
    pub fn new<A, R>(
        names: (&'static str, &'static str),
        effect: Effect,
        output_schema: Arc<JsonObject>,
        run: impl Fn(&Call, A) -> R + Send + Sync + 'static,
        answer: fn(R) -> CallToolResult,
        description: &'static str,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema + Any,
        R: 'static,
    {
        let mut output_schema = (*output_schema).clone();
        if let Some(Value::Object(fields)) = output_schema.get_mut("properties") {
            let notes =
                json!({"type": "array", "items": {"type": "string"}, "description": NOTES_ARE});
            fields.insert(NOTES.to_owned(), notes);
        }
        let mut tool = Tool::exact(names, effect, output_schema.into(), run, answer, description);
        tool.has_notes = true;
        tool
    }

    /// Declares a tool like [`Tool::new`], whose structured results have no notes: another server has fixed them.
    pub fn exact<A, R>(
        (name, title): (&'static str, &'static str),
        effect: Effect,
        output_schema: Arc<JsonObject>,
        run: impl Fn(&Call, A) -> R + Send + Sync + 'static,
        answer: fn(R) -> CallToolResult,
        description: &'static str,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema + Any,
        R: 'static,
    {
        // Arguments are structs, so that their schemas are those of objects, as the protocol demands.
        let input_schema = schema_for_input::<A>().unwrap_or_else(|_| schema_for_empty_input());
        let listed = rmcp::model::Tool::new(name, description, input_schema.clone())
            .with_title(title)
            .with_raw_output_schema(output_schema)
            .with_annotations(effect.annotations());
        let does = Does {
            writes: effect != Effect::Read,
            changes: matches!(effect, Effect::Overwrite | Effect::OverwriteOnce),
        };
        let run = move |call: &Call, sent: JsonObject, noticed: &Noticed| {
            let taken = match take(&input_schema, does, sent, &noticed.unkept) {
                Ok(taken) => taken,
                Err(wrong) => return (error_result(wrong), Vec::new()),
            };
            let result = match serde_json::from_value(taken.arguments.into()) {
                Ok(arguments) => answer(run(call, arguments)),
                Err(error) => error_result(format!("invalid arguments: {error}")),
            };
            (result, taken.notes)
        };
        Tool { listed, run: Arc::new(run), has_notes: false, is_large: false }
    }

    /// Runs the tool. It may block.
    pub fn run(&self, call: &Call, arguments: JsonObject, noticed: &Noticed) -> CallToolResult {
        let refused = refused_without_note(&noticed.unkept).filter(|_| !self.has_notes);
        if let Some(refused) = refused {
            return error_result(refused);
        }
        let (mut result, mut notes) = (self.run)(call, arguments, noticed);
        // Every answer has the note about the whole message.
        let of_message = noticed.about_halves();
        if result.is_error == Some(true) {
            result.content.iter_mut().for_each(shorten_if_too_long);
        }
        if self.has_notes {
            notes.extend(of_message);
            note(&mut result, notes);
        } else {
            result.content.extend(of_message.map(ContentBlock::text));
        }
        result
    }
}

/// Adds notes to a result: to the structure, and to the text, which says the same, or is the text of an error.
fn note(result: &mut CallToolResult, notes: Vec<String>) {
    if notes.is_empty() {
        return;
    }
    let words = notes.join(". ");
    if let Some(Value::Object(fields)) = &mut result.structured_content {
        fields.insert(NOTES.to_owned(), json!(notes));
    }
    match (result.is_error, &result.structured_content) {
        (Some(true), _) | (_, None) => {
            if let Some(ContentBlock::Text(text)) = result.content.first_mut() {
                text.text = format!("{}. Note: {words}", text.text.trim_end_matches('.'));
            }
        }
        (_, Some(structure)) => result.content = vec![ContentBlock::text(structure.to_string())],
    }
}

/// An error that a model reads.
pub(super) fn error_result(text: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// Errors repeat arguments, which may have any length.
fn shorten_if_too_long(content: &mut ContentBlock) {
    if let ContentBlock::Text(text) = content
        && json_len(&text.text) > RESULT_BYTES
    {
        text.text = shortened(&text.text, ERROR_CHARS);
    }
}
