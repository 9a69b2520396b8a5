//! Reads lines, and reads ahead while a line is dealt with: so the end of the input is noticed at once.
//!
//! Invariant: neither a line nor what was read ahead takes more than a bounded amount of memory.

use super::message::MESSAGE_BYTES_MAX;
use bytes::{Buf as _, BufMut as _, BytesMut};
use std::io;
use std::pin::pin;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the end of a line that is too long, in which its id is looked for.
const END_BYTES: usize = 256;
/// Most bytes that are read ahead. A client that has ended leaves no more behind: a pipe holds 64 KiB, and a socket about
/// 208 KiB.
const AHEAD_BYTES: usize = 256 << 10;
/// Bytes that are read at once.
const READ_BYTES: usize = 8 << 10;

/// A line of the input, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Whole(Vec<u8>),
    /// The parts of it that are known; it was skipped.
    TooLong {
        start: Vec<u8>,
        end: Vec<u8>,
    },
}

pub(super) struct LineReader<R> {
    input: R,
    /// Bytes that were read and are no part of a line yet.
    ahead: BytesMut,
    /// The end of the input, or its error, which is reported once.
    ended: Option<io::Result<()>>,
}

impl<R: AsyncRead + Unpin> LineReader<R> {
    pub fn new(input: R) -> Self {
        LineReader { input, ahead: BytesMut::new(), ended: None }
    }

    /// Reads once, unless the input has ended.
    async fn fill(&mut self) {
        self.ahead.reserve(READ_BYTES);
        let part = &mut (&mut self.ahead).limit(READ_BYTES);
        match self.input.read_buf(part).await {
            Ok(0) => self.ended = Some(Ok(())),
            Ok(_) => {}
            Err(error) => self.ended = Some(Err(error)),
        }
    }

    /// Waits for `work`, and reads ahead meanwhile. Calls `at_end` if the input has ended before it is done.
    pub async fn ahead_of<T>(&mut self, work: impl Future<Output = T>, at_end: impl Fn()) -> T {
        let mut work = pin!(work);
        loop {
            let goes_on = self.ended.is_none();
            let has_space = self.ahead.len() < AHEAD_BYTES;
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.fill(), if goes_on && has_space => {
                    if self.ended.is_some() {
                        at_end();
                    }
                }
            }
        }
    }

    /// Reads the next line; `None` at the end of the input. The last line may lack its end.
    ///
    /// # Errors
    /// The input's.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        let (mut line, mut end) = (Vec::new(), Vec::new());
        let (mut any, mut too_long) = (false, false);
        loop {
            if self.ahead.is_empty() && self.ended.is_none() {
                self.fill().await;
            }
            if let Some(ended) = self.ended.take_if(|ended| ended.is_err()) {
                ended?;
            }
            let newline = memchr::memchr(b'\n', &self.ahead);
            let part = self.ahead.get(..newline.unwrap_or(self.ahead.len())).unwrap_or_default();
            any |= !self.ahead.is_empty();
            if !too_long && line.len() + part.len() > MESSAGE_BYTES_MAX {
                too_long = true;
                keep_end(&mut end, &line);
            }
            match too_long {
                false => line.extend_from_slice(part),
                true => keep_end(&mut end, part),
            }
            let read = part.len() + usize::from(newline.is_some());
            self.ahead.advance(read);
            if newline.is_some() || read == 0 {
                break;
            }
        }
        Ok(match too_long {
            true => Some(Line::TooLong { start: line, end }),
            false => any.then_some(Line::Whole(line)),
        })
    }
}

/// Adds bytes, and keeps the last [`END_BYTES`] of them.
fn keep_end(end: &mut Vec<u8>, bytes: &[u8]) {
    end.extend_from_slice(bytes.get(bytes.len().saturating_sub(END_BYTES)..).unwrap_or_default());
    drop(end.drain(..end.len().saturating_sub(END_BYTES)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn lines_end_with_a_newline_or_the_input() {
        // One that gives little at once.
        let input = tokio::io::AsyncReadExt::chain(&b"one\n\nt"[..], &b"wo"[..]);
        let mut lines = LineReader::new(input);
        for expected in ["one", "", "two"] {
            let Some(Line::Whole(line)) = lines.next().await.unwrap() else { panic!("no line") };
            assert_eq!(line, expected.as_bytes());
        }
        assert_eq!(lines.next().await.unwrap(), None);
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn too_long_lines_are_skipped_to_their_end() {
        let mut input = b"{\"id\":1,\"x\":\"".to_vec();
        input.resize(MESSAGE_BYTES_MAX + 100, b'a');
        input.extend_from_slice(b"\"}\nnext\n");
        let mut lines = LineReader::new(&input[..]);
        let Some(Line::TooLong { start, end }) = lines.next().await.unwrap() else {
            panic!("taken")
        };
        assert!(start.starts_with(b"{\"id\":1") && start.len() <= MESSAGE_BYTES_MAX);
        assert!(end.ends_with(b"aaa\"}") && end.len() == END_BYTES);
        let Some(Line::Whole(next)) = lines.next().await.unwrap() else { panic!("no line") };
        assert_eq!(next, b"next");
    }

    #[tokio::test]
    async fn input_that_ends_behind_waiting_lines_is_noticed() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut lines = LineReader::new(server);
        client.write_all(b"first\n").await.unwrap();
        assert_eq!(lines.next().await.unwrap(), Some(Line::Whole(b"first".to_vec())));
        let sent = tokio::spawn(async move {
            for _ in 0..100 {
                client.write_all(b"a line that waits\n").await.unwrap();
            }
        });
        let (noticed, seen) = (tokio::sync::Notify::new(), Cell::new(false));
        let at_end = || {
            seen.set(true);
            noticed.notify_one();
        };
        // As if the first line waited for as long as the input goes on.
        lines.ahead_of(noticed.notified(), at_end).await;
        assert!(seen.get());
        sent.await.unwrap();
        for _ in 0..100 {
            assert_eq!(
                lines.next().await.unwrap(),
                Some(Line::Whole(b"a line that waits".to_vec()))
            );
        }
        assert_eq!(lines.next().await.unwrap(), None);
    }

    #[tokio::test]
    async fn little_is_read_ahead() {
        let input = vec![b'\n'; 4 * AHEAD_BYTES];
        let mut lines = LineReader::new(&input[..]);
        // Gives way until nothing more is read.
        let work = async {
            for _ in 0..10 * AHEAD_BYTES / READ_BYTES {
                tokio::task::yield_now().await;
            }
        };
        lines.ahead_of(work, || panic!("it was read to its end")).await;
        assert!((AHEAD_BYTES..AHEAD_BYTES + READ_BYTES).contains(&lines.ahead.len()));
    }
}
