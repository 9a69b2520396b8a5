//! Checks that the directories of a palace are directories. No process follows a symbolic link there: all would have to
//! agree on where it points.

use super::check::Check;
use crate::format::filename::{DIRECTORIES, MANIFEST};
use crate::fs::shell::quoted;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const CHECK: &str = "directories";
const END: &str = "end the programs that use the palace, and call";

/// Checks the directories of the palace. The ones that are missing are made by the next write.
pub(super) fn directories(path: &Path) -> Check {
    for name in DIRECTORIES {
        let directory = path.join(name);
        match fs::symlink_metadata(&directory) {
            Ok(found) if found.is_dir() => {}
            Ok(found) if found.is_symlink() => return link(name, &directory),
            Ok(_) => return file(name, &directory),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Check::refused(CHECK, &error, &directory),
        }
    }
    Check::ok(CHECK, "each is a directory, and none a symbolic link")
}

/// Reports a link, and looks where it points before it advises.
fn link(name: &str, directory: &Path) -> Check {
    let target =
        fs::read_link(directory).map_or_else(|_| "?".into(), |to| to.display().to_string());
    let found = format!(
        "{name} is a symbolic link to {target}, which no process follows: all reads and writes fail"
    );
    let link = quoted(directory);
    let advice = match fs::canonicalize(directory) {
        Ok(to) if to.is_dir() && !is_part_of_a_palace(&to) => {
            format!("{END}: rm {link} && mv -T {} {link}", quoted(&to))
        }
        Ok(to) if to.is_dir() => format!(
            "{} belongs to another palace, and stays there. {END}: rm {link} && mkdir -m 700 {link}",
            to.display()
        ),
        _ => format!(
            "put back the files of {name} from a copy of the palace. If there is none, what they held is lost. {END}: rm \
             {link} && mkdir -m 700 {link}"
        ),
    };
    Check::problem(CHECK, found, advice)
}

/// Reports a file, or anything else that is no directory.
fn file(name: &str, directory: &Path) -> Check {
    let (here, aside): (_, PathBuf) = (quoted(directory), directory.with_extension("moved"));
    Check::problem(
        CHECK,
        format!("{name} is no directory: all reads and writes fail"),
        format!("{END}: mv -T {here} {} && mkdir -m 700 {here}", quoted(&aside)),
    )
}

fn is_part_of_a_palace(directory: &Path) -> bool {
    directory.parent().is_some_and(|above| above.join(MANIFEST).exists())
}
