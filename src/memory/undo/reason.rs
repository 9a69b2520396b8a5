//! The reasons why a part of a commit stays, in words.

use crate::format::key::Key;
use crate::memory::told::Kind;
use crate::merge::Written;
use crate::palace::NotUndone;
use crate::palace::commit_id::CommitId;

/// The reason why a part of a commit stays, or what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Another commit took it back, and that stands.
    Already(CommitId),
    /// Its changes are told with the commit of another process.
    Repeated,
    /// The write was refused.
    Refused(String),
    /// The document tells.
    Document(NotUndone),
}

/// The names under which commits and writers are shown.
pub(crate) struct Names<'a> {
    pub commit: &'a dyn Fn(CommitId) -> String,
    pub writer: &'a dyn Fn(&Written) -> String,
}

impl Reason {
    /// Returns true if the part was taken back all the same, and is in conflict with what was written since.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Reason::Document(NotUndone::Conflicts(..)))
    }

    /// Returns its name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Reason::Already(_) => "undone_already",
            Reason::Repeated => "repeated",
            Reason::Refused(_) => "refused",
            Reason::Document(reason) => match reason {
                NotUndone::Nothing => "nothing",
                NotUndone::Deleted(_) | NotUndone::DeletedToo(_) => "deleted",
                NotUndone::BroughtBack => "restored",
                NotUndone::Changed(_) | NotUndone::Field(..) => "changed_since",
                NotUndone::InConflict(_) => "in_conflict",
                NotUndone::Conflicts(..) => "conflicts",
                NotUndone::Settled => "settled",
            },
        }
    }

    /// Returns the reason as the end of a sentence.
    pub fn words(&self, key: &Key, names: &Names<'_>) -> String {
        let someone = |written: &Option<Written>| {
            written.as_ref().map_or_else(|| "another writer".to_owned(), names.writer)
        };
        match self {
            Reason::Already(commit) => format!("{} has undone it", (names.commit)(*commit)),
            Reason::Repeated => {
                "it repeats changes of another process, and their own commit undoes them".to_owned()
            }
            Reason::Refused(why) => format!("the write is refused: {why}"),
            Reason::Document(reason) => match reason {
                NotUndone::Nothing => "it changed nothing that is shown".to_owned(),
                NotUndone::Deleted(by) => format!("{} has deleted it since", (names.writer)(by)),
                NotUndone::DeletedToo(by) => format!("{} has deleted it too", (names.writer)(by)),
                NotUndone::BroughtBack => "it is there again".to_owned(),
                NotUndone::Changed(by) => format!("{} has changed it since", someone(by)),
                NotUndone::Field(path, by) => {
                    format!("{} has changed {} since", someone(by), part(key, path))
                }
                NotUndone::InConflict(path) => {
                    format!("{} is in conflict, and no reading is dropped", part(key, path))
                }
                NotUndone::Conflicts(path, by) => {
                    let part = part(key, path);
                    format!(
                        "{} has changed the same place of {part} since; both are kept",
                        someone(by)
                    )
                }
                NotUndone::Settled => "the conflict that it settled does not open again".to_owned(),
            },
        }
    }
}

/// Returns the words for a field of a document.
fn part(key: &Key, path: &[String]) -> String {
    let field = path.first().map(String::as_str).unwrap_or_default();
    match (Kind::of(key), field) {
        (Kind::Drawer | Kind::Diary, "content") => "its text".to_owned(),
        (Kind::Drawer | Kind::Diary, "wing" | "room") => "its place".to_owned(),
        (Kind::Fact, "ends" | "valid_to") => "its end".to_owned(),
        (Kind::Place, "to") => "its name".to_owned(),
        _ => format!("its field {:?}", path.join("/")),
    }
}
