//! The commands of `crdt-palace` that read and write what is in a palace: search, show, list, facts, diary, add, edit,
//! move, delete.
//!
//! They call the functions of `memory` that the tools call, so the same words mean the same. One file for each command.
//! They share `ago` (how long ago a time is), `open` (the palace, ids, times and colours), `place` (a place as an
//! argument) and `input` (a text that is given).

mod add;
mod ago;
mod delete;
mod diary;
mod edit;
mod facts;
mod input;
mod list;
mod open;
mod place;
mod relocate;
mod search;
mod show;

pub(super) use facts::period;

use super::error::Failure;
use super::exit::Exit;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Everyday {
    /// Find drawers by words, those with the most of them first
    Search(search::Search),
    /// Print a drawer, a diary entry or a fact
    Show(show::Show),
    /// List the wings and rooms, or the drawers of one
    List(list::List),
    /// Print what is known of an entity, and from when to when
    Facts(facts::EntityFacts),
    /// Print the newest entries of an agent's diary
    Diary(diary::Diary),
    /// File a text from a file or standard input
    Add(add::Add),
    /// Change the text of a drawer in an editor. What others change meanwhile is kept
    Edit(edit::Edit),
    /// Move a drawer to another wing or room. Its id stays
    Move(relocate::Move),
    /// Delete drawers. They stay in the history
    Delete(delete::Delete),
}

impl Everyday {
    pub fn run(&self) -> Result<Exit, Failure> {
        match self {
            Everyday::Search(search) => search.run(),
            Everyday::Show(show) => show.run(),
            Everyday::List(list) => list.run(),
            Everyday::Facts(facts) => facts.run(),
            Everyday::Diary(diary) => diary.run(),
            Everyday::Add(add) => add.run(),
            Everyday::Edit(edit) => edit.run(),
            Everyday::Move(relocate) => relocate.run(),
            Everyday::Delete(delete) => delete.run(),
        }
    }
}
