//! The command-line programs, run as their users run them.

mod archive;
mod backup;
#[path = "../support/client.rs"]
mod client;
#[path = "../programs/clock.rs"]
mod clock;
mod commands;
mod damage;
mod demo;
mod doctor;
mod everyday;
mod import;
mod install;
mod log;
mod log_page;
mod places;
#[path = "../support/mod.rs"]
mod support;
mod undo;
