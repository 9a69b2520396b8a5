//! An open palace: how it is opened, what its threads share, and the calls that keep it in order.

mod author;
mod going_back;
pub mod maintain;
pub mod options;
pub mod shared;
pub mod unsynced;
pub mod writer;
