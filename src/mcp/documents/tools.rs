//! The tools, in the order in which they are listed.
//!
//! A write is one commit, and is answered once it is durable. With `base` a call that is repeated adds its items and
//! counts once more, so only the delete is idempotent.

use super::answer::{answer, schema};
use super::arguments::{
    Conflicts, Delete, Get, History, Increment, List, Patch, Put, Restore, Search, Settle,
};
use super::problem::Problem;
use super::results::{
    DocumentConflicts, DocumentHits, DocumentList, DocumentSettled, DocumentShown,
    DocumentVersions, WriteResult,
};
use super::write::Write;
use super::{conflicts, read, search};
use crate::mcp::tool::{Call, Effect, Tool};
use Effect::{Add, Overwrite, OverwriteOnce, Read};
use rmcp::schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A tool whose function takes `A` and returns `T`.
fn tool<A, T>(
    names: (&'static str, &'static str),
    effect: Effect,
    run: fn(&Call, A) -> Result<T, Problem>,
    description: &'static str,
) -> Tool
where
    A: DeserializeOwned + JsonSchema + 'static,
    T: Serialize + JsonSchema + 'static,
{
    Tool::new(names, effect, schema::<T>(), run, answer, description)
}

pub(in crate::mcp) fn tools() -> Vec<Tool> {
    let mut tools = value_tools();
    tools.extend(version_tools());
    tools
}

fn value_tools() -> Vec<Tool> {
    vec![
        tool(
            ("document_get", "Get Document"),
            Read,
            get,
            "Read a shared document: its value, its etag (pass it on as if_match or base) and the fields in conflict",
        ),
        tool(
            ("document_put", "Put Document"),
            Overwrite,
            put,
            "Write a whole document. What others changed since you read it is kept, and the answer has merged and the \
             value that stands. If you read it in another session, pass the etag that you read as base. With if_match \
             it is written only if it has not changed since",
        ),
        tool(
            ("document_patch", "Patch Document"),
            Overwrite,
            patch,
            "Change some fields of a document by a JSON merge patch and leave the others. It needs no retry",
        ),
        tool(
            ("document_increment", "Increment Counter"),
            Add,
            increment,
            "Add to a counter in a document. Increments made at the same time all count, without a retry. With an \
             idempotency_key the call can be sent again after a lost answer, and counts once",
        ),
        tool(
            ("document_list", "List Documents"),
            Read,
            list,
            "List the keys of the shared documents in order, with etag, size and number of conflicts",
        ),
        tool(
            ("document_search", "Search Documents"),
            Read,
            find,
            "Find shared documents that hold all words of a query, best first",
        ),
        tool(
            ("document_delete", "Delete Document"),
            OverwriteOnce,
            delete,
            "Delete a document. If others changed it since you last saw anything of it, it stays, and the answer has \
             changed_since; the same call again deletes it. Its history stays, and document_restore without a version \
             brings it back",
        ),
    ]
}

fn version_tools() -> Vec<Tool> {
    vec![
        tool(
            ("document_history", "Document History"),
            Read,
            history,
            "List the versions of a document, newest first: who wrote each, when, and the etag to read or restore it",
        ),
        tool(
            ("document_conflicts", "Document Conflicts"),
            Read,
            list_conflicts,
            "Show the fields that several writers set at the same time, in one document or in all: every value, with who \
             and when",
        ),
        tool(
            ("document_settle", "Settle Conflict"),
            OverwriteOnce,
            settle,
            "Settle one conflict of a document: take one of its values, or write another. All other edits stay. The \
             numbers of conflicts change with each call, and the answer has the new ones",
        ),
        tool(
            ("document_restore", "Restore Document"),
            Overwrite,
            restore,
            "Write the value of an earlier version again, as a new version. Without a version, bring a deleted document back \
             as it was before the delete. Nothing of the history is undone",
        ),
    ]
}

fn get(call: &Call, asked: Get) -> Result<DocumentShown, Problem> {
    read::get(call, &asked)
}

fn put(call: &Call, asked: Put) -> Result<WriteResult, Problem> {
    let write = Write::new(call, &asked.key, asked.if_match.as_deref(), asked.base.as_deref())?;
    let write = write.once("document_put", asked.idempotency_key.as_deref(), &asked)?;
    write.made_once(|write| write.put(&asked))
}

fn patch(call: &Call, asked: Patch) -> Result<WriteResult, Problem> {
    let write = Write::new(call, &asked.key, asked.if_match.as_deref(), asked.base.as_deref())?;
    let write = write.once("document_patch", asked.idempotency_key.as_deref(), &asked)?;
    write.made_once(|write| write.patch(&asked))
}

fn increment(call: &Call, asked: Increment) -> Result<WriteResult, Problem> {
    let write = Write::new(call, &asked.key, asked.if_match.as_deref(), asked.base.as_deref())?;
    let write = write.once("document_increment", asked.idempotency_key.as_deref(), &asked)?;
    write.made_once(|write| write.increment(&asked))
}

fn list(call: &Call, asked: List) -> Result<DocumentList, Problem> {
    read::list(call, &asked)
}

fn find(call: &Call, asked: Search) -> Result<DocumentHits, Problem> {
    search::search(call, &asked)
}

fn delete(call: &Call, asked: Delete) -> Result<WriteResult, Problem> {
    let write = Write::new(call, &asked.key, asked.if_match.as_deref(), asked.base.as_deref())?;
    let write = write.once("document_delete", asked.idempotency_key.as_deref(), &asked)?;
    write.made_once(Write::delete)
}

fn history(call: &Call, asked: History) -> Result<DocumentVersions, Problem> {
    read::history(call, &asked)
}

fn list_conflicts(call: &Call, asked: Conflicts) -> Result<DocumentConflicts, Problem> {
    conflicts::conflicts(call, &asked)
}

fn settle(call: &Call, asked: Settle) -> Result<DocumentSettled, Problem> {
    conflicts::settle(call, asked)
}

fn restore(call: &Call, asked: Restore) -> Result<WriteResult, Problem> {
    let (if_match, base) = (asked.if_match.as_deref(), asked.base.as_deref());
    let write = match &asked.version {
        Some(_) => Write::new(call, &asked.key, if_match, base)?,
        None => Write::to_undelete(call, &asked.key, if_match, base)?,
    };
    let write = write.once("document_restore", asked.idempotency_key.as_deref(), &asked)?;
    write.made_once(|write| match &asked.version {
        Some(version) => write.restore(version),
        None => write.undelete(),
    })
}
