//! Where the palace of a command is: the argument, else the environment, else the default.
//!
//! Invariant: a path means the same in every working directory, or is shown as an absolute one. An MCP client starts a
//! server without a shell, so what a shell would replace arrives as it was written. A leading `~` is replaced here. What
//! cannot be replaced is refused: as a name it would make a palace in each working directory.

use super::error::PlaceError;
#[cfg(feature = "mcp")]
use super::print::{shown, tell};
use crate::format::filename::MANIFEST;
use crate::fs::At as _;
#[cfg(feature = "mcp")]
use crate::fs::shell::quoted;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// The environment variable with the default palace.
pub(super) const DIR: &str = "CRDT_PALACE_DIR";

/// The palace of a command, as an option.
#[derive(Args)]
pub(super) struct PalaceArgument {
    /// The palace's directory; a leading ~ is the home directory
    #[arg(long, value_name = "DIR")]
    palace: Option<PathBuf>,
}

/// The palace of a command, as its only argument or as an option.
#[derive(Args)]
pub(super) struct PalaceTarget {
    /// The palace's directory; by default that of $CRDT_PALACE_DIR, else the default palace
    #[arg(value_name = "PALACE", conflicts_with = "palace")]
    target: Option<PathBuf>,
    #[command(flatten)]
    option: PalaceArgument,
}

/// The directory of a palace, and how it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The absolute path.
    pub path: PathBuf,
    /// True if the user named a path that depends on the working directory.
    pub relative: bool,
    /// The palace in the working directory that an earlier version made of the same text, when it took `~` for a name.
    pub stray: Option<PathBuf>,
}

impl PalaceArgument {
    /// Returns the palace that the user named, or else the default one.
    ///
    /// # Errors
    /// [`PlaceError`] if the path has a part that only a shell can replace, or there is no home directory.
    pub fn locate(&self) -> Result<Location, PlaceError> {
        let named = || variable(DIR).map(PathBuf::from);
        match self.palace.clone().or_else(named) {
            Some(path) => located(&path),
            None => located(&default().ok_or(PlaceError::NoHome)?),
        }
    }

    /// Returns the path of [`PalaceArgument::locate`].
    ///
    /// # Errors
    /// As [`PalaceArgument::locate`].
    pub fn path(&self) -> Result<PathBuf, PlaceError> {
        self.locate().map(|location| location.path)
    }
}

impl PalaceTarget {
    /// Returns the palace that the user named, or else the default one.
    ///
    /// # Errors
    /// As [`PalaceArgument::locate`].
    pub fn locate(&self) -> Result<Location, PlaceError> {
        match &self.target {
            Some(path) => located(path),
            None => self.option.locate(),
        }
    }

    /// Returns the path of [`PalaceTarget::locate`].
    ///
    /// # Errors
    /// As [`PalaceArgument::locate`].
    pub fn path(&self) -> Result<PathBuf, PlaceError> {
        self.locate().map(|location| location.path)
    }
}

impl Location {
    /// Tells a user who starts a server what the path alone does not show.
    #[cfg(feature = "mcp")]
    pub fn tell(&self) {
        if self.relative {
            tell(format_args!(
                "crdt-palace: the palace is {}",
                shown(&self.path.display().to_string())
            ));
        }
        if let Some((found, advice)) = self.stray_palace() {
            tell(format_args!("crdt-palace: {}: {}", shown(&found), shown(&advice)));
        }
    }

    /// Describes the palace that an earlier version made in the working directory, and how to merge it into this one.
    #[cfg(feature = "mcp")]
    pub fn stray_palace(&self) -> Option<(String, String)> {
        let stray = self.stray.as_deref()?;
        let found = format!(
            "an earlier version took ~ for the name of a directory, and made a palace in {}",
            stray.display()
        );
        Some((found, format!("to merge it: {}", merge_command(stray, &self.path))))
    }
}

/// Returns the command that merges a palace into another one, or into a new one in its place.
#[cfg(feature = "mcp")]
fn merge_command(stray: &Path, path: &Path) -> String {
    if !is_palace(path) {
        return format!("crdt-compact --into {} {}", quoted(path), quoted(stray));
    }
    let mut merged = path.as_os_str().to_owned();
    merged.push("-merged");
    let merged = PathBuf::from(merged);
    format!(
        "crdt-compact --into {} {} {}, and use the new directory from then on",
        quoted(&merged),
        quoted(stray),
        quoted(path)
    )
}

/// Returns the directory that a user named, as an absolute path.
///
/// # Errors
/// As [`PalaceArgument::locate`].
pub(super) fn directory(path: &Path) -> Result<PathBuf, PlaceError> {
    located(path).map(|location| location.path)
}

/// Returns the palace that another process of this user would find for this path, or without one.
///
/// # Errors
/// As [`PalaceArgument::locate`].
#[cfg(feature = "mcp")]
pub(super) fn of_another_program(path: Option<&Path>) -> Result<Location, PlaceError> {
    match path {
        Some(path) => located(path),
        None => located(&default().ok_or(PlaceError::NoHome)?),
    }
}

/// Returns the file or directory that a user named, with a leading `~` replaced.
///
/// # Errors
/// [`PlaceError::NoHome`] and [`PlaceError::OtherHome`].
#[cfg(feature = "mcp")]
pub(super) fn source(path: &Path) -> Result<PathBuf, PlaceError> {
    let home = variable("HOME").map(PathBuf::from);
    expand(path, home.as_deref()).unwrap_or_else(|| Ok(path.to_owned()))
}

fn located(path: &Path) -> Result<Location, PlaceError> {
    if path.as_os_str().is_empty() {
        return Err(PlaceError::Empty);
    }
    let literal = std::path::absolute(path).at("make an absolute path of", path)?;
    let expanded = expand(path, variable("HOME").map(PathBuf::from).as_deref());
    if expanded.is_none() && has_variable(path) {
        // An absolute path has one meaning everywhere, so what is there already can be used.
        return match path.is_absolute() && literal.is_dir() {
            true => Ok(Location { path: literal, relative: false, stray: None }),
            false => Err(PlaceError::Variable {
                path: path.to_owned(),
                stray: Some(literal).filter(|literal| is_palace(literal)),
            }),
        };
    }
    match expanded {
        None => Ok(Location { path: literal, relative: path.is_relative(), stray: None }),
        Some(expanded) => {
            let path = expanded?;
            let path = std::path::absolute(&path).at("make an absolute path of", &path)?;
            let stray = Some(literal).filter(|literal| *literal != path && is_palace(literal));
            Ok(Location { path, relative: false, stray })
        }
    }
}

/// Replaces a leading `~` by the home directory. `None` if the path has none.
fn expand(path: &Path, home: Option<&Path>) -> Option<Result<PathBuf, PlaceError>> {
    let mut parts = path.components();
    let Some(Component::Normal(first)) = parts.next() else { return None };
    match first.as_bytes() {
        b"~" => Some(match home {
            Some(home) => Ok(home.join(parts.as_path())),
            None => Err(PlaceError::NoHome),
        }),
        [b'~', ..] => Some(Err(PlaceError::OtherHome { path: path.to_owned() })),
        _ => None,
    }
}

/// Tells whether a path has a variable that a shell or a client should have replaced. A path that begins with `./` has
/// none: it is taken as it is written.
fn has_variable(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let named = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let begins = bytes.first() == Some(&b'$') && bytes.get(1).is_some_and(named);
    let braces = bytes.windows(2).any(|pair| pair == b"${");
    (begins || braces) && !path.starts_with(".")
}

fn is_palace(path: &Path) -> bool {
    path.join(MANIFEST).is_file()
}

fn default() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/share"));
    // The XDG specification says to ignore relative paths.
    let data = variable("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    Some(data.or_else(home)?.join("crdt-palace"))
}

/// Returns a variable of the environment, unless it is empty.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_tilde_is_the_home_directory() {
        let home = Some(Path::new("/home/me"));
        let expanded = |text: &str| expand(Path::new(text), home).map(Result::unwrap);
        assert_eq!(expanded("~"), Some("/home/me".into()));
        assert_eq!(expanded("~/mem/p"), Some("/home/me/mem/p".into()));
        for literal in ["./~", "./~/mem", "/~", "a/~", "mem~"] {
            assert_eq!(expanded(literal), None, "{literal}");
        }
        let refused = |text: &str, home| expand(Path::new(text), home).unwrap().unwrap_err();
        assert!(matches!(refused("~/mem", None), PlaceError::NoHome));
        assert!(matches!(refused("~ann/mem", home), PlaceError::OtherHome { .. }));
    }

    #[test]
    fn variables_in_a_path_are_found_where_a_shell_would() {
        for path in ["${HOME}/x", "$HOME/x", "$HOME", "/home/${USER}/x", "a/${b}", "$_x"] {
            assert!(has_variable(Path::new(path)), "{path}");
        }
        for path in ["/x/$y", "it's $HOME; x", "./${HOME}", "./$HOME", "$", "$1", "/a{b}$"] {
            assert!(!has_variable(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn existing_directory_with_a_variable_in_its_path_is_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("${USER}/p");
        assert!(matches!(directory(&path), Err(PlaceError::Variable { stray: None, .. })));
        std::fs::create_dir_all(&path).unwrap();
        assert_eq!(directory(&path).unwrap(), path);
        assert!(matches!(directory(Path::new("")), Err(PlaceError::Empty)));
    }
}
