//! A second process, which tells what it sees of a file that this one writes or locks.
//!
//! Invariant: it only reads the file, and asks for its lock. It is this program, called with a hidden argument.

use crate::cli::error::Failure;
use crate::cli::exit::Exit;
use crate::cli::print::{line_of_json, stdout};
use crate::fs::os::OsFs;
use crate::fs::{Fs as _, read_from};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The name of the hidden argument.
pub(super) const ARGUMENT: &str = "second-process";

/// The content and the lock of a file, as a process sees them that opened it before.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub content: String,
    /// True if another open file has the lock.
    pub locked: bool,
}

/// Opens the file, and answers each line of the standard input by what it sees of the file then.
///
/// # Errors
/// [`Failure`] if the file cannot be read, or the first process has ended.
pub(super) fn answer(file: &Path) -> Result<Exit, Failure> {
    let open = OsFs.open(file)?;
    let mut out = stdout();
    for line in io::stdin().lines() {
        line?;
        let content = String::from_utf8_lossy(&read_from(&*open, 0)?).into_owned();
        line_of_json(&mut out, &Seen { content, locked: open.is_locked()? })?;
        out.flush()?;
    }
    Ok(Exit::Done)
}

/// The second process, as the first one has it. It ends with this value.
#[derive(Debug)]
pub(super) struct SecondProcess {
    child: Child,
    questions: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
}

impl SecondProcess {
    /// Starts the process, which opens the file. Returns it with what it sees.
    ///
    /// # Errors
    /// An error of the operating system, or the process cannot open the file.
    pub fn open(file: &Path) -> io::Result<(Self, Seen)> {
        // This very program, also if its file was replaced by another version since.
        let mut child = Command::new("/proc/self/exe")
            .args(["doctor", &format!("--{ARGUMENT}")])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        let mut process = SecondProcess { child, questions, answers };
        let seen = process.look()?;
        Ok((process, seen))
    }

    /// Returns what the process sees now.
    ///
    /// # Errors
    /// An error of the operating system, or the process has ended.
    pub fn look(&mut self) -> io::Result<Seen> {
        let ended = || io::Error::other("the second process has ended");
        writeln!(self.questions.as_mut().ok_or_else(ended)?)?;
        let mut line = String::new();
        match self.answers.as_mut().ok_or_else(ended)?.read_line(&mut line)? {
            0 => Err(ended()),
            _ => Ok(serde_json::from_str(&line)?),
        }
    }
}

impl Drop for SecondProcess {
    fn drop(&mut self) {
        // The end of its input ends the process.
        self.questions = None;
        if let Err(error) = self.child.wait() {
            tracing::debug!(%error, "the second process of a trial was not waited for");
        }
    }
}
