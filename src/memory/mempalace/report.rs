//! The report of an import.

/// A record that was not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotImported {
    /// Its id in MemPalace.
    pub id: String,
    /// The reason.
    pub why: String,
}

/// Result of an import.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Number of new drawers.
    pub drawers: usize,
    /// Number of new diary entries.
    pub entries: usize,
    /// Number of drawers with the same text and place as another one, which were noted there.
    pub same: usize,
    /// Number of facts that are new, or have ended.
    pub facts: usize,
    /// Number of records that the palace had already, without a difference.
    pub there: usize,
    /// The records that cannot be imported.
    pub bad: Vec<NotImported>,
    /// Number of rows of the index that MemPalace searches first.
    pub closets: usize,
    /// Number of pictures and sounds.
    pub assets: usize,
    /// Number of entities with a type or properties.
    pub entities: usize,
    /// The reason why not everything was compacted, if so.
    pub uncompacted: Option<String>,
}
