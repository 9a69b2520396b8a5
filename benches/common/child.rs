//! Other processes: a bench starts itself again with `--child ROLE ARGUMENTS…` and talks to it by lines.

use super::Result;
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

/// A process that this bench started. Killed when dropped.
pub struct Child {
    process: std::process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// The role and the arguments, if this process is such a child.
pub fn role() -> Option<(String, Vec<String>)> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--child").skip(1);
    Some((arguments.next()?, arguments.collect()))
}

impl Child {
    pub fn start(role: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--child").arg(role).args(arguments);
        Child::of(command)
    }

    /// Another program.
    pub fn of(mut command: Command) -> Result<Self> {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = process.stdin.take().ok_or("no pipe to the child")?;
        let output = BufReader::new(process.stdout.take().ok_or("no pipe from the child")?);
        Ok(Child { process, input, output })
    }

    /// Its private memory, in megabytes.
    pub fn private_megabytes(&self) -> Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id()))?;
        let private = text.lines().filter_map(|line| line.strip_prefix("Private_"));
        let kib = private.filter_map(|line| line.split_whitespace().nth(1));
        let kib = kib.map(|kib| Ok(kib.parse::<f64>()?)).collect::<Result<Vec<f64>>>()?;
        Ok(kib.iter().sum::<f64>() * 1024.0 / 1e6)
    }

    /// The next line that it prints.
    pub fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a child process ended early".into());
        }
        Ok(line.trim_end().to_owned())
    }

    pub fn say(&mut self, line: &str) -> Result {
        Ok(writeln!(self.input, "{line}")?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Starts so many children, waits until all are ready, lets them go at once, and gives what each says
/// at its end.
pub fn race(count: usize, role: &str, arguments: &[&str]) -> Result<Vec<String>> {
    let mut children = Vec::new();
    for n in 0..count {
        let n = n.to_string();
        children.push(Child::start(role, &[&[n.as_str()], arguments].concat())?);
    }
    children.iter_mut().try_for_each(|child| child.hear().map(drop))?;
    children.iter_mut().try_for_each(|child| child.say("go"))?;
    children.iter_mut().map(Child::hear).collect()
}

/// In a child: says that it is ready and waits for the start.
pub fn ready() -> Result {
    println!("ready");
    heard()
}

/// In a child: waits for a line.
pub fn heard() -> Result {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(())
}
