//! The token of `serve --http`: from the environment, from a file, or made on first use.
//!
//! Invariants: every server over TCP has a token, unless the user says `--no-token`. The token is no argument and is
//! printed nowhere, because other users can read those. Its file is a regular file that only this user can read, and one
//! that is made here is never in the palace.

use super::error::Failure;
use super::location::{source, variable};
use super::print::{shown, tell};
use super::token_error::TokenError;
use crate::fs::At as _;
use crate::fs::os::{OsFs, open_foreign};
use crate::fs::shell::quoted;
use crate::fs::{Fs as _, FsError};
use crate::mcp::{Address, Token};
use clap::Args;
use rustix::process::geteuid;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The environment variable with the token.
const VARIABLE: &str = "CRDT_PALACE_TOKEN";
/// The bits of a mode that let other users in.
const OTHERS: u32 = 0o077;
/// The most bytes of a token's file that are read. No client sends a longer header.
const FILE_BYTES_MAX: u64 = 8_192;

#[derive(Args)]
pub(super) struct TokenArguments {
    /// With --http: read the token from FILE, which only this user may read. Without it, the token is that of
    /// $CRDT_PALACE_TOKEN, or is made on first use and kept in a file that the server names
    #[arg(long, value_name = "FILE", requires = "http", conflicts_with = "no_token")]
    token_file: Option<PathBuf>,
    /// With --http: ask for no token. Every user of this machine can then read and write the palace
    #[arg(long, requires = "http")]
    no_token: bool,
}

/// Where the token of a server comes from.
pub(super) enum TokenSource {
    Environment,
    File(PathBuf),
    /// The user said that no token is asked for.
    Refused,
    /// The socket keeps other users out.
    Unneeded,
}

impl TokenArguments {
    /// Finds the token of a server, and makes one if the user has named none.
    ///
    /// # Errors
    /// [`TokenError`], and [`Failure::Usage`] if the arguments contradict the environment.
    pub fn find(
        &self,
        palace: &Path,
        address: &Address,
    ) -> Result<(Option<Token>, TokenSource), Failure> {
        if let Some(file) = &self.token_file {
            let file = std::path::absolute(source(file)?).at("make an absolute path of", file);
            let file = file.map_err(TokenError::from)?;
            return Ok((Some(read(&file)?), TokenSource::File(file)));
        }
        match (std::env::var_os(VARIABLE), address) {
            (Some(_), _) if self.no_token => Err(Failure::Usage(
                "CRDT_PALACE_TOKEN is set, and --no-token asks for none: unset the variable, or leave out the argument",
            )),
            (Some(token), _) => {
                // A value that is not UTF-8 becomes one that no token may be.
                let token = token.to_string_lossy().parse().map_err(TokenError::Variable)?;
                Ok((Some(token), TokenSource::Environment))
            }
            (None, Address::Unix(_)) => Ok((None, TokenSource::Unneeded)),
            (None, Address::Tcp { .. }) if self.no_token => Ok((None, TokenSource::Refused)),
            (None, Address::Tcp { .. }) => {
                let file = made_or_kept(palace, address)?;
                Ok((Some(read(&file)?), TokenSource::File(file)))
            }
        }
    }
}

impl TokenSource {
    /// Tells the user where the token is, and what clients do with it.
    pub fn tell(&self) {
        const SEND: &str = "clients send it as the header Authorization: Bearer TOKEN";
        match self {
            TokenSource::Environment => {
                tell(format_args!("crdt-palace: the token is that of {VARIABLE}; {SEND}"));
            }
            TokenSource::File(path) => {
                tell(format_args!("crdt-palace: the token is in {}; {SEND}", shown(&quoted(path))))
            }
            TokenSource::Refused => tell(format_args!(
                "crdt-palace: no token is asked for: every user of this machine can read and write the palace"
            )),
            TokenSource::Unneeded => tell(format_args!(
                "crdt-palace: no token is needed: only processes of this user can connect"
            )),
        }
    }
}

/// Reads a token from a file, and checks who else can read it.
fn read(path: &Path) -> Result<Token, TokenError> {
    let file = open_foreign(path).at("read the token in", path)?;
    let found = file.metadata().at("access", path)?;
    if found.uid() != geteuid().as_raw() {
        return Err(TokenError::Foreign { path: path.to_owned(), owner: found.uid() });
    }
    if found.mode() & OTHERS != 0 {
        return Err(TokenError::Readable { path: path.to_owned() });
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).at("read the token in", path)?;
    let token = String::from_utf8_lossy(&text).trim_end().parse();
    token.map_err(|source| TokenError::Bad { path: path.to_owned(), source })
}

/// Returns the file with the token of a palace at an address, which is made if there is none yet.
fn made_or_kept(palace: &Path, address: &Address) -> Result<PathBuf, TokenError> {
    let directory = directory().ok_or(TokenError::NoDirectory)?;
    if directory.starts_with(palace) {
        return Err(TokenError::InPalace { directory });
    }
    DirBuilder::new().recursive(true).mode(0o700).create(&directory).at("create", &directory)?;
    if !is_private(&directory).at("access", &directory)? {
        return Err(TokenError::Directory { directory });
    }
    let path = directory.join(file_name(palace, address));
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            make(&path, &directory)?;
            Ok(path)
        }
        Err(error) => Ok(Err(error).at("access", &path)?),
    }
}

/// Returns the directory for the tokens that are made here: in `$XDG_RUNTIME_DIR` if that is private to this user, else
/// in the state directory. `None` if the environment names neither.
pub(super) fn directory() -> Option<PathBuf> {
    let named = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime =
        named("XDG_RUNTIME_DIR").filter(|path| is_private(path).is_ok_and(|private| private));
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/state"));
    let above = runtime.or_else(|| named("XDG_STATE_HOME")).or_else(home)?;
    Some(above.join("crdt-palace"))
}

/// Tells whether a directory belongs to this user, and no other user can enter it. A link is none.
pub(super) fn is_private(directory: &Path) -> std::io::Result<bool> {
    let found = fs::symlink_metadata(directory)?;
    Ok(found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & OTHERS == 0)
}

/// Returns the name of the file for a palace and an address: the next start finds it again.
fn file_name(palace: &Path, address: &Address) -> String {
    let mut hash = blake3::Hasher::new();
    // Two spellings with or without a slash at the end are one path.
    let palace: PathBuf = palace.components().collect();
    hash.update(palace.as_os_str().as_bytes()).update(b"\0").update(address.to_string().as_bytes());
    format!("http-{:.32}.token", hash.finalize().to_hex())
}

/// Makes a token under a name that no other process uses, and then gives it its own. If another server was faster, its
/// token stays.
fn make(path: &Path, directory: &Path) -> Result<(), FsError> {
    let mut tmp = path.to_owned().into_os_string();
    tmp.push(format!(".{}", std::process::id()));
    let tmp = PathBuf::from(tmp);
    let made = write_new(&tmp).and_then(|()| match fs::hard_link(&tmp, path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        linked => linked.at("create", path),
    });
    if tmp.exists() {
        fs::remove_file(&tmp).at("remove", &tmp)?;
    }
    made?;
    File::open(directory).and_then(|directory| directory.sync_all()).at("sync", directory)
}

fn write_new(path: &Path) -> Result<(), FsError> {
    let mut token = String::new();
    for half in [OsFs.random(), OsFs.random()] {
        let half = half.at("make a token for", path)?;
        token.extend(half.iter().map(|byte| format!("{byte:02x}")));
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(format!("{token}\n").as_bytes())?;
        file.sync_all()
    };
    write().at("write", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_palace_at_one_address_has_one_token_file() {
        let name = |palace: &str, address: &str| {
            file_name(Path::new(palace), &address.parse::<Address>().unwrap())
        };
        assert_eq!(name("/p", "8765"), name("/p/", "127.0.0.1:8765"));
        assert_ne!(name("/p", "8765"), name("/p", "8766"));
        assert_ne!(name("/p", "8765"), name("/q", "8765"));
        assert_ne!(name("/p", "localhost:8765"), name("/p", "8765"));
    }
}
