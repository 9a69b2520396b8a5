//! Standard input and output without threads: a server answers also where no thread can be had.
//!
//! The descriptors stay as they are. `O_NONBLOCK` would hold for every process that shares them, and outlive this one.
//! So each read and write is made only when `poll` says that it does not block. A regular file has no readiness, and
//! never blocks for long.

use super::error::{OrCannot, ServeError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// Bytes that a pipe takes at once if it is ready: the least that POSIX demands of Linux (`PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Waits until a stream can be read, or written.
type PollReady<'s> =
    fn(&'s AsyncFd<File>, &mut Context<'_>) -> Poll<io::Result<AsyncFdReadyGuard<'s, File>>>;

/// A stream whose readiness the runtime knows, or a file without one.
enum Source {
    Stream(AsyncFd<File>),
    File(File),
}

impl Source {
    #[expect(deprecated, reason = "its successor is unsafe, and a file keeps its descriptor")]
    fn new(file: File, interest: Interest) -> io::Result<Self> {
        match AsyncFd::try_with_interest(file, interest) {
            Ok(stream) => Ok(Source::Stream(stream)),
            Err(error) => match error.into_parts() {
                (file, error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => {
                    Ok(Source::File(file))
                }
                (_, error) => Err(error),
            },
        }
    }

    /// Reads or writes as soon as that does not block.
    fn poll<'s>(
        &'s self,
        context: &mut Context<'_>,
        flags: PollFlags,
        poll_ready: PollReady<'s>,
        mut call: impl FnMut(BorrowedFd<'_>) -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let (fd, guard) = match self {
                Source::File(file) => (file.as_fd(), None),
                Source::Stream(stream) => {
                    (stream.get_ref().as_fd(), Some(ready!(poll_ready(stream, context))?))
                }
            };
            if let Some(mut guard) = guard
                && !is_ready(fd, flags)?
            {
                guard.clear_ready();
                continue;
            }
            match call(fd) {
                // Another process with the same descriptor was faster.
                Err(Errno::INTR | Errno::AGAIN) => {}
                done => return Poll::Ready(Ok(done?)),
            }
        }
    }
}

/// Returns true if an operation of this kind would not block.
fn is_ready(fd: BorrowedFd<'_>, flags: PollFlags) -> io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, flags)];
    match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Standard input.
pub(super) struct Input(Source);

impl Input {
    /// Takes standard input.
    ///
    /// # Errors
    /// [`ServeError::System`].
    pub fn take() -> Result<Self, ServeError> {
        let input =
            rustix::io::dup(rustix::stdio::stdin()).or_cannot("duplicate standard input")?;
        Input::of(File::from(input)).or_cannot("wait for standard input")
    }

    fn of(file: File) -> io::Result<Self> {
        Source::new(file, Interest::READABLE).map(Input)
    }
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = |fd: BorrowedFd<'_>| rustix::io::read(fd, buffer.initialize_unfilled());
        let count = ready!(self.0.poll(context, PollFlags::IN, AsyncFd::poll_read_ready, read))?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// The stream that was standard output before it was taken.
pub(super) struct Output(Source);

impl Output {
    /// Takes standard output for the protocol alone. Anything else that prints there, a library for example, goes to
    /// standard error from now on.
    ///
    /// # Errors
    /// [`ServeError::System`].
    pub fn take() -> Result<Self, ServeError> {
        let output =
            rustix::io::dup(rustix::stdio::stdout()).or_cannot("duplicate standard output")?;
        rustix::stdio::dup2_stdout(rustix::stdio::stderr())
            .or_cannot("redirect standard output")?;
        Output::of(File::from(output)).or_cannot("wait for standard output")
    }

    fn of(file: File) -> io::Result<Self> {
        Source::new(file, Interest::WRITABLE).map(Output)
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let part = bytes.get(..AT_ONCE).unwrap_or(bytes);
        let write = |fd: BorrowedFd<'_>| rustix::io::write(fd, part);
        self.0.poll(context, PollFlags::OUT, AsyncFd::poll_write_ready, write)
    }

    /// Nothing is buffered.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Pairs of an end to read and an end to write, of all kinds that clients use.
    fn pairs() -> Vec<(File, File)> {
        let (reader, writer) = std::io::pipe().unwrap();
        let (near, far) = UnixStream::pair().unwrap();
        let file = |fd: OwnedFd| File::from(fd);
        vec![(file(reader.into()), file(writer.into())), (file(near.into()), file(far.into()))]
    }

    #[tokio::test]
    async fn large_texts_pass_in_both_directions_and_end() {
        let text: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        for (reader, mut writer) in pairs() {
            let mut input = Input::of(reader).unwrap();
            let sent = text.clone();
            let thread = std::thread::spawn(move || writer.write_all(&sent).unwrap());
            let mut read = Vec::new();
            input.read_to_end(&mut read).await.unwrap();
            assert!(read == text);
            thread.join().unwrap();
        }
        for (mut reader, writer) in pairs() {
            let mut output = Output::of(writer).unwrap();
            let thread = std::thread::spawn(move || {
                let mut read = Vec::new();
                reader.read_to_end(&mut read).unwrap();
                read
            });
            output.write_all(&text).await.unwrap();
            drop(output);
            assert!(thread.join().unwrap() == text);
        }
    }

    #[tokio::test]
    async fn files_are_read_and_written_like_streams() {
        let mut file = tempfile::tempfile().unwrap();
        let mut output = Output::of(file.try_clone().unwrap()).unwrap();
        output.write_all(&[7; 10_000]).await.unwrap();
        file.rewind().unwrap();
        let mut read = Vec::new();
        Input::of(file).unwrap().read_to_end(&mut read).await.unwrap();
        assert_eq!(read, [7; 10_000]);
    }

    #[tokio::test]
    async fn a_full_pipe_blocks_no_other_task() {
        let (reader, writer) = pairs().swap_remove(0);
        let mut output = Output::of(writer).unwrap();
        let writing = tokio::spawn(async move { output.write_all(&[1; 1 << 20]).await.unwrap() });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!writing.is_finished());
        let mut reader = reader;
        let thread = std::thread::spawn(move || {
            let mut read = vec![0; 1 << 20];
            reader.read_exact(&mut read).unwrap();
        });
        writing.await.unwrap();
        thread.join().unwrap();
    }
}
