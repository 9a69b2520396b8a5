//! Paths in shell commands that are printed, so that the commands can be pasted.

use crate::format::controls::is_control;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Quotes a path for a POSIX shell. The result is one word of printable text, whatever the path holds.
///
/// A path that starts with `-` gets `./` in front, so that no program takes it for an option. One thing is lost: a line
/// break at the very end of a path.
pub(crate) fn quoted(path: &Path) -> String {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    if bytes.first() == Some(&b'-') {
        bytes.splice(0..0, *b"./");
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(is_plain) => text.to_owned(),
        Ok(text) if text.chars().all(is_printable) => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => by_printf(&bytes),
    }
}

/// Bytes that no shell treats in a special way.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(&byte)
}

/// Text of other scripts is readable inside quotes. Control characters, and those that change the direction of a line,
/// would not reach the reader as they are.
fn is_printable(c: char) -> bool {
    !is_control(c)
}

/// A word that `printf` makes: each byte that is not plain stands there as an octal number.
fn by_printf(bytes: &[u8]) -> String {
    let mut octal = String::new();
    for byte in bytes {
        match is_plain(*byte) && *byte != b'%' {
            true => octal.push(char::from(*byte)),
            // Writing to a string does not fail.
            false => drop(write!(octal, "\\{byte:03o}")),
        }
    }
    // `printf` reads its first argument as a format, in which a percent sign is doubled.
    format!("\"$(printf '{}')\"", octal.replace("\\045", "%%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::process::Command;

    #[test]
    fn quoted_paths_reach_a_program_unchanged() {
        let paths: [&[u8]; 15] = [
            b"/var/lib/palace",
            b"/x'y",
            b"/with space/and  two",
            b"/$HOME/`id`/$(id)",
            b"/a\"b\\c",
            b"~/palace",
            b"/a;b&c|d>e<f*g?h[i]j{k,l}m#n!o",
            b"",
            b"/Z\xc3\xbcrich/\xe6\x9d\xb1\xe4\xba\xac",
            b"/tab\there",
            b"/line\nbreak",
            b"/escape\x1b[2J 100%d",
            b"/not\xff\xfeutf-8",
            b"/right\xe2\x80\xaeto left",
            b"/'\x07'",
        ];
        for path in paths {
            let word = quoted(Path::new(OsStr::from_bytes(path)));
            assert!(!word.chars().any(char::is_control), "{word:?}");
            let command = format!("printf '%s.' {word}");
            let output = Command::new("sh").args(["-c", &command]).output().unwrap();
            assert_eq!(output.stdout, [path, b"."].concat(), "{word}");
        }
    }

    #[test]
    fn plain_paths_are_not_quoted_and_no_path_is_an_option() {
        assert_eq!(quoted(Path::new("/srv/palace-1.0")), "/srv/palace-1.0");
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
        assert_eq!(quoted(Path::new("-rf")), "./-rf");
    }
}
