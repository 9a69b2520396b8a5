//! The places at which a process can be told to stop: one list for the code, which refuses a name that is
//! not in it, and for the tests, which go through all of it.

/// What tells a process where to stop: `NAME PASSES STOP` or `NAME PASSES KILL`, where so many passes of the
/// point are let go before.
pub const VARIABLE: &str = "CRDT_PALACE_STOP_AT";

/// In the order in which a palace lives: it is made, a segment is, a commit is written, a segment is sealed
/// by its owner or after its death, folded, and taken away.
pub const POINTS: [&str; 46] = [
    "root.directory",
    "root.tmp",
    "root.draft",
    "root.named",
    "root.known",
    "root.directories",
    "root.whole",
    "create.made",
    "create.locked",
    "create.written",
    "create.synced",
    "create.named",
    "create.durable",
    "commit.queued",
    "commit.secured",
    "commit.dependencies_synced",
    "append.begun",
    "append.written",
    "append.synced",
    "append.named",
    "append.there",
    "append.again",
    "commit.done",
    "seal.synced",
    "seal.footer",
    "seal.whole",
    "seal.moved",
    "compact.locked",
    "dead.found",
    "dead.moved",
    "compact.listed",
    "retire.names",
    "retire.snapshot",
    "purge.trash",
    "purge.tmp",
    "fold.inputs",
    "fold.made",
    "fold.rows",
    "fold.built",
    "fold.synced",
    "fold.verified",
    "publish.named",
    "publish.durable",
    "retire.segment",
    "retire.done",
    "compact.done",
];
