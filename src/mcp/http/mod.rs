//! The server over HTTP: many clients at once, one session each.

mod address;
mod answer;
mod body;
mod connections;
mod guard;
mod health;
mod listen;
mod request;
mod sessions;

pub use address::Address;
pub use listen::Http;
