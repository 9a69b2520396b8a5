//! The library on a real file system, as a program that embeds it uses it. It needs no feature.

mod bad_input;
mod closures;
mod conflict_count;
mod effects;
mod equivalent_files;
mod example_programs;
mod format_doc;
mod golden;
mod library;
mod merge_rules;
mod merged_copies;
mod older_servers;
mod processes;
mod scarce_resources;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
mod texts;
