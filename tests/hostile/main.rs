//! Hostile files beside good documents: memory and work stay bounded, refused content is reported, everything
//! else is served, and nothing good is removed.

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
