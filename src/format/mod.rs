//! The on-disk formats: bytes to records and back, here and nowhere else.
//!
//! Owns: identifiers and file names, document keys, change hashes and etags, the frame of a record, the
//! bodies of the three kinds of record, and the scan that tells a torn tail from damage. Invariant:
//! decoding is total. Any bytes at all give records, a torn tail or damage, never a panic. No length is
//! trusted before it was checked against its cap and the bytes that remain. Must not know: files,
//! Automerge, the clock, randomness. `docs/FORMAT.md` says the same in prose.

pub mod controls;
pub mod damage;
pub mod filename;
pub mod hash;
pub mod header;
pub mod id;
pub mod key;
pub mod manifest;
pub mod path_text;
pub mod plural;
pub mod record;
pub mod scan;
pub mod sequences;

/// The version of the on-disk format that this build writes, and the newest that it reads.
pub const FORMAT_VERSION: u8 = 1;
