//! Lines of a file that is imported, read in bounded memory.

use std::io::{self, BufRead, Read as _};

/// The most bytes of a line, without its line break. A longer one would be larger than any document.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// The result of reading a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadLine {
    /// The line was read.
    Whole,
    /// The line is too long, and was skipped.
    TooLong,
    /// There are no more lines.
    End,
}

/// Reads the next line, with its line break, into `line`, whose earlier content is removed.
pub(super) fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<ReadLine> {
    line.clear();
    let read = input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(ReadLine::End);
    }
    if read as u64 <= LINE_BYTES_MAX || line.ends_with(b"\n") {
        return Ok(ReadLine::Whole);
    }
    input.skip_until(b'\n')?;
    Ok(ReadLine::TooLong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_longer_than_the_limit_are_skipped_whole() {
        let longest = usize::try_from(LINE_BYTES_MAX).unwrap();
        let text = ["a", &"x".repeat(longest), &"y".repeat(longest + 1), "b", &"z".repeat(longest)];
        let (text, mut line) = (text.join("\n"), Vec::new());
        let mut input = text.as_bytes();
        let mut next = || (read_line(&mut input, &mut line).unwrap(), line.len());
        assert_eq!(next(), (ReadLine::Whole, 2));
        assert_eq!(next(), (ReadLine::Whole, longest + 1));
        assert_eq!(next().0, ReadLine::TooLong);
        assert_eq!(next(), (ReadLine::Whole, 2));
        assert_eq!(next(), (ReadLine::Whole, longest));
        assert_eq!(next().0, ReadLine::End);
    }
}
