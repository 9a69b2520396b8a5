//! The parent's side: children that are started, listened to, stopped and killed.

#![allow(dead_code, reason = "each test binary uses its part of it")]

use crate::job::{Job, Role};
use crate::support::child;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

/// The file of what was acknowledged.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<File>>);

impl Ledger {
    pub fn create(path: &Path) -> Self {
        Ledger(Arc::new(Mutex::new(File::create(path).unwrap())))
    }

    /// How long it is now.
    pub fn length(&self) -> u64 {
        self.0.lock().unwrap().metadata().unwrap().len()
    }

    /// Forgets what came after it was so long.
    pub fn cut_to(&self, length: u64) {
        let mut file = self.0.lock().unwrap();
        file.set_len(length).unwrap();
        file.seek(SeekFrom::End(0)).unwrap();
    }

    fn add(&self, ack: &str) {
        self.0.lock().unwrap().write_all(format!("{ack}\n").as_bytes()).unwrap();
    }
}

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    acks: usize,
    ended: bool,
}

type Ear = Arc<(Mutex<Heard>, Condvar)>;

pub struct Process {
    pub job: Job,
    child: Child,
    input: Option<ChildStdin>,
    heard: Ear,
    listener: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a child with a job, and enters what it acknowledges in the ledger.
    pub fn start(job: &Job, ledger: &Ledger) -> Self {
        Self::start_with(job, ledger, &[])
    }

    pub fn start_with(job: &Job, ledger: &Ledger, environment: &[(&str, &str)]) -> Self {
        let mut child = child("work")
            .arg(serde_json::to_string(job).unwrap())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let heard = Ear::default();
        let (ear, ledger) = (heard.clone(), ledger.clone());
        let listener = Some(std::thread::spawn(move || listen(output, &ear, &ledger)));
        Process { job: job.clone(), child, input, heard, listener }
    }

    /// Waits until the child is ready, or is no more.
    pub fn until_ready(&self) {
        self.until(|heard| !heard.lines.is_empty());
    }

    /// Waits until the child has acknowledged so many writes in all, or is no more. Whether it has.
    pub fn until_acks(&self, acks: usize) -> bool {
        self.until(|heard| heard.acks >= acks)
    }

    fn until(&self, wanted: impl Fn(&Heard) -> bool) -> bool {
        let (heard, changed) = &*self.heard;
        let mut heard = heard.lock().unwrap();
        while !wanted(&heard) && !heard.ended {
            heard = changed.wait(heard).unwrap();
        }
        wanted(&heard)
    }

    pub fn acks(&self) -> usize {
        self.heard.0.lock().unwrap().acks
    }

    /// What it said that begins so, without the beginning.
    pub fn said(&self, beginning: &str) -> Vec<String> {
        let heard = self.heard.0.lock().unwrap();
        heard
            .lines
            .iter()
            .filter_map(|line| line.strip_prefix(beginning))
            .map(str::to_owned)
            .collect()
    }

    pub fn is_ready(&self) -> bool {
        !self.heard.0.lock().unwrap().lines.is_empty()
    }

    /// False once it stands still, or has ended.
    pub fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // The name before it stands in brackets and may be anything.
        let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
        !matches!(state, Some('T' | 'Z'))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the child stands still, and says whether it does: it may have ended instead.
    pub fn until_stopped(&self) -> bool {
        let pid = Some(Pid::from_child(&self.child));
        let (_, status) = waitpid(pid, WaitOptions::UNTRACED).unwrap().unwrap();
        status.stopped()
    }

    /// Tells it a line: see the child's side.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Waits until the child has said so many lines that begin so. Whether it has.
    pub fn until_said(&self, beginning: &str, count: usize) -> bool {
        self.until(|heard| {
            heard.lines.iter().filter(|line| line.starts_with(beginning)).count() >= count
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tells the child to end.
    pub fn tell_to_end(&mut self) {
        self.input = None;
    }

    pub fn is_told_to_end(&self) -> bool {
        self.input.is_none()
    }

    /// Kills it, and hears all that it said before. Whether that is what ended it: it may have been done.
    pub fn kill(&mut self, context: &str) -> bool {
        self.signal(Signal::KILL);
        let status = self.end();
        let killed = status.signal() == Some(Signal::KILL.as_raw());
        assert!(
            killed || status.success(),
            "{context}: {} ended by itself: {status}",
            self.job.name
        );
        killed
    }

    /// Waits until it was killed by itself, or by somebody else than [`Process::kill`].
    pub fn until_killed(&mut self) -> bool {
        self.end().signal() == Some(Signal::KILL.as_raw())
    }

    /// Lets it come to its end.
    pub fn finish(&mut self, context: &str) {
        self.tell_to_end();
        let status = self.end();
        assert!(status.success(), "{context}: {} failed: {status}", self.job.name);
    }

    fn end(&mut self) -> ExitStatus {
        // First the pipe: who ends while the pipe is full waits for the listener.
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        self.child.wait().unwrap()
    }
}

/// So that a test that fails leaves nobody behind.
impl Drop for Process {
    fn drop(&mut self) {
        if self.listener.is_some() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn listen(mut output: impl BufRead, ear: &Ear, ledger: &Ledger) {
    let (heard, changed) = &**ear;
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        // A line that was cut off is none.
        if let Some(said) = line.strip_suffix('\n') {
            let ack = said.strip_prefix("ack ");
            if let Some(ack) = ack {
                ledger.add(ack);
            }
            let mut heard = heard.lock().unwrap();
            match ack {
                Some(_) => heard.acks += 1,
                None => heard.lines.push(said.to_owned()),
            }
            changed.notify_all();
        }
        line.clear();
    }
    heard.lock().unwrap().ended = true;
    changed.notify_all();
}

/// A fresh process compares everything with the ledger, compacts, and compares again. Gives the digest of
/// what it found.
pub fn check(job: Job, ledger: &Ledger, context: &str) -> String {
    let job = Job { role: Role::Check, name: context.to_owned(), ..job };
    let mut checker = Process::start(&job, ledger);
    checker.finish(context);
    checker.said("digest ").pop().unwrap()
}

/// Says something past the test harness, which shows what a test that passes prints to nobody.
pub fn tell(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
