//! A text that the user gives: a file or standard input.

use crate::cli::error::Failure;
use crate::cli::everyday_error::EverydayError;
use crate::cli::location::source;
use crate::cli::print::tell;
use crate::fs::os::open_foreign;
use std::io::{IsTerminal as _, Read, stdin};
use std::path::Path;

/// The name that stands for standard input.
const STDIN: &str = "-";
/// Most bytes that are read. A drawer holds fewer.
const BYTES_MAX: u64 = 4 << 20;

/// A text, and the file that it was read from.
pub(super) struct Input {
    pub text: String,
    /// The absolute path; `None` for standard input.
    pub file: Option<String>,
}

/// Reads the text of a file, or of standard input if there is none or it is called `-`. The line break at its end is no
/// part of it.
pub(super) fn read(file: Option<&Path>) -> Result<Input, Failure> {
    let file = file.filter(|file| *file != Path::new(STDIN)).map(source).transpose()?;
    let name =
        file.as_ref().map_or_else(|| "standard input".into(), |file| file.display().to_string());
    let failed = |source| Failure::Input { path: name.clone(), source };
    let mut bytes = Vec::new();
    match &file {
        Some(file) => {
            let opened = open_foreign(file).map_err(failed)?;
            opened.take(BYTES_MAX).read_to_end(&mut bytes)
        }
        None => {
            if stdin().is_terminal() {
                tell(format_args!("crdt-palace: type the text, and Ctrl-D at its end"));
            }
            stdin().lock().take(BYTES_MAX).read_to_end(&mut bytes)
        }
    }
    .map_err(failed)?;
    let text =
        String::from_utf8(bytes).map_err(|_| EverydayError::NotText { path: name.clone() })?;
    let file = file.map(|file| std::path::absolute(file).map(|file| file.display().to_string()));
    Ok(Input { text: without_last_break(text), file: file.transpose().map_err(failed)? })
}

/// Removes one line break at the end. Editors and `echo` add it, and no model sends it.
pub(super) fn without_last_break(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
