"""Puts many mutants into one program: each function that has some becomes a choice between what it was and what
each mutant makes of it, by a number in the environment. So one build serves them all.

The mutants are those that `cargo mutants --list --json` names. Some do not compile, which is what cargo-mutants
calls unviable: they are found by asking the compiler, and left out.
"""

import json
import re
import subprocess

MODULE = """
/// Which mutant this process is: see `tests/mutants`.
#[allow(missing_docs)]
pub mod mutated {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static REACHED: [AtomicBool; FUNCTIONS] = [const { AtomicBool::new(false) }; FUNCTIONS];

    pub fn active(function: usize) -> u32 {
        static ACTIVE: OnceLock<(u32, Option<String>)> = OnceLock::new();
        let (mutant, log) = ACTIVE.get_or_init(|| {
            let number = std::env::var("MUTANT").ok().and_then(|n| n.parse().ok());
            (number.unwrap_or(u32::MAX), std::env::var("MUTANT_LOG").ok())
        });
        if let Some(path) = log {
            if !REACHED[function].swap(true, Ordering::Relaxed) {
                use std::io::Write;
                match std::fs::OpenOptions::new().create(true).append(true).open(path) {
                    Ok(mut file) => writeln!(file, "{function}").unwrap(),
                    // A test that takes all file handles away: it is reached again with some.
                    Err(_) => REACHED[function].store(false, Ordering::Relaxed),
                }
            }
        }
        *mutant
    }
}
"""

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|r(\#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^'\\])'|#!?\[|[(){}\[\]]""", re.S
)


def body(text, start):
    """Where the body of the function that begins at `start` opens."""
    depth = 0
    for token in TOKEN.finditer(text, start):
        found = token[0]
        if found == "{" and depth == 0:
            return token.start()
        depth += found in "([" or found in ("#[", "#![")
        depth -= found in ")]"
    raise ValueError("no body")


def mark(text, place):
    """The offset of a line and column, both from 1."""
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: place["line"] - 1])) + place["column"] - 1


def span(text, found):
    return mark(text, found["start"]), mark(text, found["end"])


class Instrumented:
    """The sources with all mutants that compile, and what stands where."""

    def __init__(self, root, mutants):
        self.root = root
        self.mutants = mutants
        self.original = {m["file"]: (root / m["file"]).read_text() for m in mutants}
        self.functions = []
        self.left_out = {}
        for number, mutant in enumerate(mutants):
            if mutant["function"] is None:
                self.left_out[number] = "outside of a function"

    def write(self):
        """Writes every source file; remembers the lines of each mutant."""
        self.functions, self.lines = [], {}
        for file, text in self.original.items():
            (self.root / file).write_text(self.instrument(file, text))
        lib = self.root / "src/lib.rs"
        self.lib = getattr(self, "lib", lib.read_text())
        lib.write_text(self.lib + MODULE.replace("FUNCTIONS", str(len(self.functions))))

    def instrument(self, file, text):
        by_function = {}
        for number, mutant in enumerate(self.mutants):
            if mutant["file"] == file and number not in self.left_out:
                by_function.setdefault(span(text, mutant["function"]["span"]), []).append(number)
        out, end = "", 0
        for (start, stop), numbers in sorted(by_function.items()):
            opening = body(text, start)
            if start < end or "const fn" in text[start:opening]:
                self.left_out |= {n: "in a function that is no choice" for n in numbers}
                continue
            function = len(self.functions)
            self.functions.append(numbers)
            out += text[end : opening + 1] + f" match crate::mutated::active({function}) {{\n"
            for number in numbers:
                arm = self.mutated(text, number, opening, stop)
                first = out.count("\n") + 1
                out += f"{number} => {arm}\n"
                self.lines.setdefault(file, []).append((first, out.count("\n"), number))
            out += "_ => " + text[opening:stop] + "\n}}"
            end = stop
        return out + text[end:]

    def mutated(self, text, number, opening, stop):
        mutant = self.mutants[number]
        begin, finish = span(text, mutant["span"])
        return text[opening:begin] + mutant["replacement"] + " " + text[finish:stop]

    def check(self, cargo):
        """Leaves out what does not compile, until the rest does."""
        while True:
            self.write()
            run = subprocess.run(
                [*cargo, "--message-format=json"], cwd=self.root, capture_output=True, text=True
            )
            wrong, elsewhere = set(), []
            for line in run.stdout.splitlines():
                message = json.loads(line).get("message") or {}
                if message.get("level") != "error" or not message.get("spans"):
                    continue
                numbers = set()
                for place in message["spans"]:
                    if place["is_primary"] or not numbers:
                        numbers |= self.at(place["file_name"], place["line_start"], place["line_end"])
                wrong |= numbers
                if not numbers:
                    elsewhere.append(message["rendered"])
            if run.returncode == 0:
                return
            if not wrong:
                raise SystemExit("\n".join(elsewhere) or run.stderr)
            self.left_out |= {n: "does not compile" for n in wrong}

    def at(self, file, first, last):
        places = self.lines.get(file, [])
        return {number for begin, end, number in places if begin <= last and first <= end}
