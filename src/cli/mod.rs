//! The command-line tools: parse arguments, call, print.
//!
//! Invariants: data goes to standard output, everything else to standard error. Exit codes are those of [`exit::Exit`].
//! Stored text reaches a terminal only with its control characters escaped. A command whose reader goes away
//! (`| head`) ends without a message.
//!
//! From the bottom up: `token_error`, `install_error`, `everyday_error`, `error`, `print`, `exit`, `parse` and `start`; the palace's location, the arguments that several commands
//! share, and the token; one file or folder a command; and the programs, `palace`, `log` and `compact`, with the tables of their commands.

#[cfg(feature = "mcp")]
mod arguments;
pub mod compact;
#[cfg(feature = "mcp")]
mod demo;
#[cfg(feature = "mcp")]
mod doctor;
pub mod error;
#[cfg(feature = "mcp")]
mod everyday;
#[cfg(feature = "mcp")]
pub mod everyday_error;
pub mod exit;
#[cfg(feature = "mcp")]
mod export;
#[cfg(feature = "mcp")]
mod import;
#[cfg(feature = "mcp")]
mod install;
#[cfg(feature = "mcp")]
pub mod install_error;
mod location;
pub mod log;
pub mod log_error;
#[cfg(feature = "mcp")]
pub mod palace;
mod parse;
mod print;
#[cfg(feature = "mcp")]
mod private_directory;
#[cfg(feature = "mcp")]
mod serve;
#[cfg(feature = "mcp")]
mod shell_help;
mod short_ids;
mod start;
mod status;
#[cfg(feature = "mcp")]
mod token;
#[cfg(feature = "mcp")]
pub mod token_error;
#[cfg(feature = "mcp")]
mod undo;
