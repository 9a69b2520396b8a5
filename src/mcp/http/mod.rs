//! The server over HTTP: many clients at once, one session each.

mod address;
mod answer;
mod answered;
mod batch;
mod body;
mod connections;
mod guard;
mod health;
mod listen;
mod request;
mod sessions;
mod socket;
mod token;

pub use address::Address;
pub use listen::Http;
pub use token::{BadToken, Token};
