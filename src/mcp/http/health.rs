//! `GET /health` and `GET /health/locks`: which processes write the palace, for monitors and people.

use crate::palace::status::{HeldLock, LiveInstance};
use crate::palace::{Palace, PalaceId, chain};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
    #[serde(serialize_with = "crate::format::path_text::one")]
    palace: PathBuf,
    /// Null before the first write.
    id: Option<PalaceId>,
    /// Null before the first write: the file system is not known.
    locks_trusted: Option<bool>,
    instances: Vec<LiveInstance>,
}

#[derive(Serialize)]
struct Locks {
    locks: Vec<HeldLock>,
}

/// Returns the processes that write the palace, as JSON; an error if it cannot be read.
pub(super) fn health(palace: &Palace) -> Result<String, String> {
    let status = palace.status().map_err(|error| chain(&error))?;
    json(&Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        palace: status.path,
        id: status.palace,
        locks_trusted: status.palace.map(|_| status.locks_trusted),
        instances: status.instances,
    })
}

/// Returns the locks that are held and their holders, as JSON; an error if the palace cannot be read.
pub(super) fn locks(palace: &Palace) -> Result<String, String> {
    let status = palace.status().map_err(|error| chain(&error))?;
    json(&Locks { locks: status.locks })
}

fn json(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| chain(&error))
}
