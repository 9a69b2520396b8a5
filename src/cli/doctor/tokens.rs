//! The check of the directory with the tokens that servers over HTTP have made.

use super::check::Check;
use crate::cli::token::{directory, is_private};
use crate::fs::shell::quoted;
use std::io::ErrorKind;

const CHECK: &str = "tokens";

/// Checks that no other user can enter the directory. `None` if no server of this user has made a token.
pub(super) fn tokens() -> Option<Check> {
    let directory = directory()?;
    Some(match is_private(&directory) {
        Ok(true) => Check::ok(CHECK, format!("only this user can enter {}", directory.display())),
        Ok(false) => Check::problem(
            CHECK,
            format!(
                "other users can enter {}, where the tokens of `serve --http` are",
                directory.display()
            ),
            format!("chmod 700 {}", quoted(&directory)),
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => Check::refused(CHECK, &error, &directory),
    })
}
