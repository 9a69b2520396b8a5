//! The errors of the commands.

#[cfg(feature = "mcp")]
use super::everyday_error::EverydayError;
#[cfg(feature = "mcp")]
use super::install_error::InstallError;
use super::log_error::LogError;
#[cfg(feature = "mcp")]
use super::token_error::TokenError;
use crate::fs::FsError;
use crate::fs::shell::quoted;
use crate::memory::MemoryError;
use crate::palace::Error;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

/// A line of a memory.jsonl.
#[cfg(feature = "mcp")]
const LINE: &str =
    r#"{"type":"entity","name":"Ada","entityType":"person","observations":["counts"]}"#;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The palace reports an error.
    #[error(transparent)]
    Palace(#[from] Error),
    /// The knowledge graph, the drawers or the facts report an error.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The result cannot be written to standard output.
    #[error("cannot write the result")]
    Output(#[from] io::Error),
    /// An input file cannot be read.
    #[error("cannot read {path}")]
    Input {
        /// The file.
        path: String,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
    /// The server failed.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Serve(#[from] crate::mcp::ServeError),
    /// The demo failed.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The source of an import cannot be used.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The client's configuration cannot be changed.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Install(#[from] InstallError),
    /// There is no token that keeps other users out.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The path of a palace cannot be used.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A name or a time that `crdt-log` was given means nothing.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An everyday command did nothing.
    #[cfg(feature = "mcp")]
    #[error(transparent)]
    Everyday(#[from] EverydayError),
    /// The arguments contradict one another, or one is missing.
    #[error("{0}")]
    Usage(&'static str),
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Failure::Output(error.into())
    }
}

impl Failure {
    /// Tells whether the reader of the output has closed it, as `head` does.
    pub(super) fn is_closed_output(&self) -> bool {
        match self {
            Failure::Output(error) | Failure::Memory(MemoryError::Write(error)) => {
                error.kind() == ErrorKind::BrokenPipe
            }
            _ => false,
        }
    }
}

/// The reason why a path is not taken for that of a palace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The path is empty.
    #[error("the path of the palace is empty: pass --palace DIR")]
    Empty,
    /// The path begins with `~`, or no path was named, and there is no home directory.
    #[error(
        "there is no home directory, because HOME is not set: pass --palace DIR with a path that begins with /"
    )]
    NoHome,
    /// The path begins with the home directory of another user.
    #[error(
        "{} begins with the home directory of another user, which only a shell can find: write the whole path, or ./ \
         before it for a directory of that name",
        path.display()
    )]
    OtherHome {
        /// The path as it was written.
        path: PathBuf,
    },
    /// The path has a variable.
    #[error(
        "{} has a variable in it, and no shell replaces it here: write the whole path, or ~/ for the home directory, or \
         ./ before it for a directory of that name{}",
        path.display(),
        earlier(stray.as_deref())
    )]
    Variable {
        /// The path as it was written.
        path: PathBuf,
        /// The palace that an earlier version made under that name.
        stray: Option<PathBuf>,
    },
    /// The working directory is not known.
    #[error(transparent)]
    Fs(#[from] FsError),
}

fn earlier(stray: Option<&std::path::Path>) -> String {
    stray.map_or_else(String::new, |stray| {
        format!(
            ". An earlier version made a palace in {}; to merge it with another one: crdt-compact --into NEW {} OTHER",
            stray.display(),
            quoted(stray)
        )
    })
}

/// The reason why the demo could not be played to its end.
#[cfg(feature = "mcp")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The operating system refused something.
    #[error("cannot {action}")]
    System {
        /// The step that failed.
        action: String,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
    /// The folder has no text files.
    #[error("no text files in {}: name a folder that has some", folder.display())]
    NoTexts {
        /// The folder.
        folder: PathBuf,
    },
    /// A server could not be reached.
    #[error("server {instance} failed: {why}")]
    Server {
        /// The number of the server, from 1.
        instance: usize,
        /// The error of the connection.
        why: String,
    },
}

#[cfg(feature = "mcp")]
impl DemoError {
    /// Makes an error of a step that the operating system refused.
    pub(super) fn system(action: &str) -> impl FnOnce(io::Error) -> Self + use<> {
        let action = action.to_owned();
        move |source| DemoError::System { action, source }
    }
}

/// The reason why nothing could be imported, or not all.
#[cfg(feature = "mcp")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The directory is a palace of this program.
    #[error(
        "{} is a palace of crdt-palace already; to merge it with another one: crdt-compact --into NEW {} OTHER",
        path.display(),
        quoted(path)
    )]
    Ours {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has no palace of MemPalace.
    #[error(
        "nothing to import in {}: neither chroma.sqlite3 nor palace/chroma.sqlite3 is there. MemPalace keeps its \
         drawers in that file; its other backends cannot be read",
        path.display()
    )]
    Nothing {
        /// The directory.
        path: PathBuf,
    },
    /// The configuration of MemPalace names a directory that has no palace.
    #[error(
        "{} names {} as palace_path, and there is no chroma.sqlite3: name the directory that MemPalace uses, or correct \
         the file",
        config.display(),
        path.display()
    )]
    Elsewhere {
        /// The configuration.
        config: PathBuf,
        /// The directory that it names.
        path: PathBuf,
    },
    /// The configuration of MemPalace cannot be read.
    #[error(
        "{} cannot be read, and may name another place for the drawers: {why}. Correct the file, or move it away",
        path.display()
    )]
    Config {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A database of MemPalace, or a file beside it, is no file that can be read.
    #[error(
        "{} cannot be read: {why}. Nothing was imported. Put the file back, or move this away to import without it",
        path.display()
    )]
    NotRead {
        /// The path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// No line of the file is one of a memory.jsonl.
    #[error(
        "{path} is no memory.jsonl: none of its lines is an entity or a relation. Line {line}: {why}. A line that can \
         be imported: {LINE}"
    )]
    NoGraph {
        /// The file, or standard input.
        path: String,
        /// The number of its first line that is not empty.
        line: u64,
        /// The reason for that line.
        why: String,
    },
    /// A database changed while it was read without its locks.
    #[error(
        "MemPalace wrote to {} while it was read: run the import again, which adds only what is missing",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(all(test, feature = "mcp"))]
mod tests {
    use super::*;
    use crate::mcp::ServeError;
    use crate::palace::chain;

    fn failures() -> Vec<Failure> {
        let refused = || io::Error::from(ErrorKind::PermissionDenied);
        let path = || PathBuf::from("/it's");
        let fs = FsError { action: "read", path: path(), source: refused() };
        vec![
            Error::EmptyQuery.into(),
            MemoryError::NoDrawer { id: "drawer_1".to_owned() }.into(),
            Failure::Output(refused()),
            Failure::Input { path: "/it's".to_owned(), source: refused() },
            ServeError::System { action: "start", source: io::Error::other("no threads") }.into(),
            DemoError::system("start a server")(refused()).into(),
            DemoError::NoTexts { folder: path() }.into(),
            DemoError::Server { instance: 2, why: "it hung up".to_owned() }.into(),
            ImportError::Ours { path: path() }.into(),
            ImportError::Nothing { path: path() }.into(),
            ImportError::Elsewhere { config: "/m/config.json".into(), path: path() }.into(),
            ImportError::Config { path: path(), why: "expected value".into() }.into(),
            ImportError::NotRead { path: path(), why: "a pipe, not a regular file".into() }.into(),
            ImportError::NoGraph { path: "/x".into(), line: 1, why: "it is no JSON".into() }.into(),
            ImportError::Changed { path: path() }.into(),
            InstallError::Fs(fs).into(),
            InstallError::Dangling { path: path() }.into(),
            InstallError::NotAFile { path: path() }.into(),
            InstallError::ReadOnly { path: path() }.into(),
            InstallError::Changed { path: path() }.into(),
            InstallError::NotText { path: path() }.into(),
            PlaceError::Empty.into(),
            PlaceError::NoHome.into(),
            PlaceError::OtherHome { path: "~ann/it's".into() }.into(),
            PlaceError::Variable { path: "$HOME/it's".into(), stray: None }.into(),
            PlaceError::Variable { path: "$HOME/it's".into(), stray: Some(path()) }.into(),
            PlaceError::Fs(FsError { action: "read", path: path(), source: refused() }).into(),
            Failure::Usage("name one palace"),
        ]
    }

    /// The text that a user reads. A new variant does not compile without a line here: add one, and a sample above.
    fn reviewed(failure: &Failure) -> String {
        let text = match failure {
            // The texts of these are reviewed where they are defined.
            Failure::Palace(error) => return chain(error),
            Failure::Memory(error) => return chain(error),
            Failure::Serve(error) => return chain(error),
            Failure::Token(error) => return chain(error),
            Failure::Log(error) => return chain(error),
            Failure::Everyday(error) => return chain(error),
            Failure::Output(_) => "cannot write the result: permission denied",
            Failure::Input { .. } => "cannot read /it's: permission denied",
            Failure::Demo(error) => match error {
                DemoError::System { .. } => "cannot start a server: permission denied",
                DemoError::NoTexts { .. } => "no text files in /it's: name a folder that has some",
                DemoError::Server { .. } => "server 2 failed: it hung up",
            },
            Failure::Import(error) => reviewed_import(error),
            Failure::Install(error) => match error {
                InstallError::Fs(_) => "cannot read /it's: permission denied",
                InstallError::Dangling { .. } => {
                    "/it's is a symbolic link to nothing: create the file that it points to, or remove the link"
                }
                InstallError::NotAFile { .. } => {
                    "/it's is not a regular file, so it was neither read nor changed: move it away"
                }
                InstallError::ReadOnly { .. } => {
                    "/it's is read-only, so it was not changed: make it writable first, or add the entry where it is made"
                }
                InstallError::Changed { .. } => {
                    "another program has just changed /it's, so it was not written: run this command again"
                }
                InstallError::NotText { .. } => {
                    "/it's is not UTF-8, and a configuration file can hold nothing else: choose another path"
                }
            },
            Failure::Place(error) => reviewed_place(error),
            Failure::Usage(_) => "name one palace",
        };
        text.to_owned()
    }

    fn reviewed_import(error: &ImportError) -> &'static str {
        match error {
            ImportError::Ours { .. } => {
                "/it's is a palace of crdt-palace already; to merge it with another one: crdt-compact --into NEW \
             '/it'\\''s' OTHER"
            }
            ImportError::Nothing { .. } => {
                "nothing to import in /it's: neither chroma.sqlite3 nor palace/chroma.sqlite3 is there. MemPalace \
             keeps its drawers in that file; its other backends cannot be read"
            }
            ImportError::Elsewhere { .. } => {
                "/m/config.json names /it's as palace_path, and there is no chroma.sqlite3: name the directory \
             that MemPalace uses, or correct the file"
            }
            ImportError::Config { .. } => {
                "/it's cannot be read, and may name another place for the drawers: expected value. Correct the file, or \
                 move it away"
            }
            ImportError::NotRead { .. } => {
                "/it's cannot be read: a pipe, not a regular file. Nothing was imported. Put the file back, or move this \
                 away to import without it"
            }
            ImportError::NoGraph { .. } => {
                "/x is no memory.jsonl: none of its lines is an entity or a relation. Line 1: it is no JSON. A line that \
                 can be imported: {\"type\":\"entity\",\"name\":\"Ada\",\"entityType\":\"person\",\"observations\":[\"counts\"]}"
            }
            ImportError::Changed { .. } => {
                "MemPalace wrote to /it's while it was read: run the import again, which adds only what is missing"
            }
        }
    }

    fn reviewed_place(error: &PlaceError) -> &'static str {
        match error {
            PlaceError::Empty => "the path of the palace is empty: pass --palace DIR",
            PlaceError::NoHome => {
                "there is no home directory, because HOME is not set: pass --palace DIR with a path that begins \
             with /"
            }
            PlaceError::OtherHome { .. } => {
                "~ann/it's begins with the home directory of another user, which only a shell can find: write the \
             whole path, or ./ before it for a directory of that name"
            }
            PlaceError::Variable { stray: None, .. } => {
                "$HOME/it's has a variable in it, and no shell replaces it here: write the whole path, or ~/ for \
             the home directory, or ./ before it for a directory of that name"
            }
            PlaceError::Variable { stray: Some(_), .. } => {
                "$HOME/it's has a variable in it, and no shell replaces it here: write the whole path, or ~/ for \
             the home directory, or ./ before it for a directory of that name. An earlier version made a \
             palace in /it's; to merge it with another one: crdt-compact --into NEW '/it'\\''s' OTHER"
            }
            PlaceError::Fs(_) => "cannot read /it's: permission denied",
        }
    }

    #[test]
    fn every_failure_has_its_reviewed_text() {
        for failure in failures() {
            assert_eq!(chain(&failure), reviewed(&failure));
        }
    }
}
