//! `palace.json`, which names the palace and its format.

use super::FORMAT_VERSION;
use super::id::PalaceId;

/// The content of `palace.json`, which is written once and never changed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// The on-disk format of the palace.
    pub format: u32,
    /// The id of the palace.
    pub palace: PalaceId,
    /// The time of creation, in milliseconds since 1970, UTC.
    pub created_ms: i64,
}

/// A `palace.json` that cannot be used.
///
/// ```
/// use crdt_palace::palace::{Error, ManifestError, Palace, StoreError};
///
/// # let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("palace.json"), r#"{"format":99}"#)?;
/// let error = Palace::open(dir.path()).unwrap_err();
/// assert!(matches!(error, Error::Store(StoreError::Newer { found: 99, .. })));
///
/// std::fs::write(dir.path().join("palace.json"), "something else")?;
/// let error = Palace::open(dir.path()).unwrap_err();
/// let Error::Store(StoreError::Manifest { source, .. }) = error else { panic!("{error}") };
/// assert!(matches!(source, ManifestError::Json(_)));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file is not the JSON of a `palace.json`.
    #[error("it is not the palace.json of a palace")]
    Json(#[source] serde_json::Error),
    /// A newer version wrote the file.
    #[error(
        "it has format {found}, and this version reads formats up to {FORMAT_VERSION}; upgrade crdt-palace"
    )]
    Newer {
        /// The format that the file names.
        found: u32,
    },
}

impl Manifest {
    /// Returns true if a newer version wrote it. Then the palace may be read and not written.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.format > u32::from(FORMAT_VERSION)
    }

    /// Makes a manifest of this build's format.
    #[must_use]
    pub fn new(palace: PalaceId, created_ms: i64) -> Self {
        Manifest { format: u32::from(FORMAT_VERSION), palace, created_ms }
    }

    /// Encodes it as one line of JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        let Manifest { format, palace, created_ms } = self;
        format!("{{\"format\":{format},\"palace\":\"{palace}\",\"created_ms\":{created_ms}}}\n")
    }

    /// Decodes what [`Manifest::encode`] made. The format is checked first: whatever else a newer version
    /// changes, the error is [`ManifestError::Newer`], unless that version says that readers of this
    /// format can read it.
    ///
    /// # Errors
    /// [`ManifestError`] if it is no manifest, or a newer one.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(serde::Deserialize)]
        struct Format {
            format: u32,
            readable_by: Option<u32>,
        }
        // Only these two fields: in a newer format the rest may look different.
        let Format { format, readable_by } =
            serde_json::from_slice(bytes).map_err(ManifestError::Json)?;
        if readable_by.unwrap_or(format).min(format) > u32::from(FORMAT_VERSION) {
            return Err(ManifestError::Newer { found: format });
        }
        serde_json::from_slice(bytes).map_err(ManifestError::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_round_trips_and_a_newer_one_is_told_apart() {
        let manifest = Manifest::new(PalaceId([0xab; 16]), 1_790_000_000_000);
        let text = manifest.encode();
        assert_eq!(Manifest::decode(text.as_bytes()).unwrap(), manifest);
        assert!(matches!(Manifest::decode(b"{}"), Err(ManifestError::Json(_))));
        assert!(matches!(Manifest::decode(b"\xff"), Err(ManifestError::Json(_))));
        let newer = br#"{"format":2,"something":"else"}"#;
        assert!(matches!(Manifest::decode(newer), Err(ManifestError::Newer { found: 2 })));
        let readable = text.replace("\"format\":1", "\"format\":3,\"readable_by\":1");
        assert!(Manifest::decode(readable.as_bytes()).unwrap().is_newer() && !manifest.is_newer());
        let not = readable.replace("\"readable_by\":1", "\"readable_by\":2");
        assert!(matches!(Manifest::decode(not.as_bytes()), Err(ManifestError::Newer { found: 3 })));
    }
}
