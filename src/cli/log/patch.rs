//! The difference of two texts, line by line, with a few lines around each change.

use super::paint::{Paint, Part};
use crate::cli::print::shown;
use similar::{Algorithm, DiffOp, capture_diff_slices, group_diff_ops};
use std::io::{self, Write};

/// Lines that are shown around a change.
const CONTEXT: usize = 3;

/// Prints the difference of two texts, each line behind `indent`.
pub(super) fn print_patch(
    out: &mut impl Write,
    paint: Paint,
    indent: &str,
    texts: &[String; 2],
) -> io::Result<()> {
    for line in patch(texts) {
        let part = match line.chars().next() {
            Some('+') => Some(Part::Added),
            Some('-') => Some(Part::Removed),
            Some('@') => Some(Part::Hunk),
            _ => None,
        };
        let line = escaped(&line);
        let line = part.map_or_else(|| line.clone(), |part| paint.paint(part, &line));
        writeln!(out, "{indent}{line}")?;
    }
    Ok(())
}

/// Returns a line with its control characters escaped, but for tabs.
pub(in crate::cli) fn escaped(line: &str) -> String {
    line.split('\t').map(shown).collect::<Vec<_>>().join("\t")
}

/// Returns the lines of the difference, in the form of `diff -u` without the names of files.
pub(super) fn patch(texts: &[String; 2]) -> Vec<String> {
    let [old, new] = texts.each_ref().map(|text| text.lines().collect::<Vec<_>>());
    let ops = capture_diff_slices(Algorithm::Histogram, &old, &new);
    let mut lines = Vec::new();
    for group in group_diff_ops(ops, CONTEXT) {
        // Equal texts are one group without a change.
        if group.iter().all(|op| matches!(op, DiffOp::Equal { .. })) {
            continue;
        }
        lines.push(heading(&group));
        for op in &group {
            let (kept, removed, added) = match op {
                DiffOp::Equal { .. } => (op.old_range(), 0..0, 0..0),
                _ => (0..0, op.old_range(), op.new_range()),
            };
            let marked = |mark: char, lines: Option<&[&str]>| -> Vec<String> {
                lines.unwrap_or_default().iter().map(|line| format!("{mark}{line}")).collect()
            };
            lines.extend(marked(' ', old.get(kept)));
            lines.extend(marked('-', old.get(removed)));
            lines.extend(marked('+', new.get(added)));
        }
    }
    lines
}

/// Returns the line that says which lines of both texts follow.
fn heading(group: &[DiffOp]) -> String {
    let range = |of: fn(&DiffOp) -> std::ops::Range<usize>| {
        let start = group.first().map_or(0, |op| of(op).start);
        let length = group.last().map_or(0, |op| of(op).end) - start;
        // Lines count from 1; of no lines, the one before them is named.
        let first = if length == 0 { start } else { start + 1 };
        if length == 1 { first.to_string() } else { format!("{first},{length}") }
    };
    format!("@@ -{} +{} @@", range(DiffOp::old_range), range(DiffOp::new_range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patch_has_the_form_of_diff_u() {
        let texts = ["a\nb\nc\nd\ne\nf\ng".to_owned(), "a\nb\nc\nd2\ne\nf\ng\nh".to_owned()];
        let expected = "@@ -1,7 +1,8 @@\n a\n b\n c\n-d\n+d2\n e\n f\n g\n+h";
        assert_eq!(patch(&texts).join("\n"), expected);
        let made = [String::new(), "a".to_owned()];
        assert_eq!(patch(&made).join("\n"), "@@ -0,0 +1 @@\n+a");
        assert!(patch(&["a".to_owned(), "a".to_owned()]).is_empty());
    }
}
