//! The form of times and file systems in the JSON of a status.

use crate::fs::fs_type::FileSystem;

/// Returns a time as RFC 3339 text; `None` for 0, which is no time.
pub(crate) fn time_text(ms: i64) -> Option<String> {
    let time = jiff::Timestamp::from_millisecond(ms).ok().filter(|_| ms != 0)?;
    Some(format!("{time:.3}"))
}

pub(super) fn file_system_text<S: serde::Serializer>(
    file_system: &Option<FileSystem>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match file_system {
        Some(file_system) => serde::Serialize::serialize(file_system, serializer),
        None => serializer.serialize_str("none yet"),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
pub(super) fn as_text<S: serde::Serializer>(
    ms: &i64,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&time_text(*ms), serializer)
}
