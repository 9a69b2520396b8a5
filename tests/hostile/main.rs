//! Files made to do harm, in a palace with good documents in it: memory and work stay bounded, what is refused
//! is told, everything else is served, and nothing good is taken away.

mod bomb;
mod changes;
mod child;
mod good;
mod irregular;
mod made;
mod segments;
mod snapshots;
#[path = "../support/mod.rs"]
mod support;
