//! `GET /health` and `GET /health/locks`: who is here, for monitors and people.

use crate::palace::status::{HeldLock, LiveInstance};
use crate::palace::{Palace, PalaceId, chain};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    palace: PathBuf,
    /// Null if nothing was written yet.
    id: Option<PalaceId>,
    /// Null as long: the file system is not known.
    locks_trusted: Option<bool>,
    instances: Vec<LiveInstance>,
}

#[derive(Serialize)]
struct Locks {
    locks: Vec<HeldLock>,
}

/// That the palace can be read, and who writes it; or why it cannot.
pub(super) fn health(palace: &Palace) -> Result<String, String> {
    let found = palace.status().map_err(|error| chain(&error))?;
    json(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        palace: found.path,
        id: found.palace,
        locks_trusted: found.palace.map(|_| found.locks_trusted),
        instances: found.instances,
    })
}

/// What is locked, and by whom; or why that cannot be said.
pub(super) fn locks(palace: &Palace) -> Result<String, String> {
    let found = palace.status().map_err(|error| chain(&error))?;
    json(&Locks { locks: found.locks })
}

fn json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| chain(&error))
}
