//! The writer's lock: one thread of a process makes a commit at a time.
//!
//! Invariant: it is held from before the view is taken that a commit builds on until the commit has its place in the
//! log. So of two commits of one process the second builds on the first, and no actor gives one number to two changes.
//! Readers never take it. A closure that a caller gave runs under it: if it writes to the same palace, that is an error
//! instead of a thread that waits for itself.

use super::author::Author;
use crate::format::id::InstanceId;
use crate::palace::error::{Error, Result};
use crate::sync::{Lock, Locked, Rank, ThreadId, current_thread};

/// State that a thread needs to make a commit.
#[derive(Debug, Default)]
pub struct Writer {
    author: Option<Author>,
}

impl Writer {
    /// Returns the author of the changes of this instance.
    pub fn author(&mut self, instance: InstanceId) -> &mut Author {
        // An abandoned instance's author goes with it: its numbers may be taken in files that come back.
        if self.author.as_ref().is_some_and(|author| author.instance() != instance) {
            self.author = None;
        }
        self.author.get_or_insert_with(|| Author::new(instance))
    }
}

/// See the module.
#[derive(Debug)]
pub struct WriterLock {
    writer: Lock<Writer>,
    holder: Lock<Option<ThreadId>>,
}

impl Default for WriterLock {
    fn default() -> Self {
        let writer = Lock::new(Rank::Writer, Writer::default());
        WriterLock { writer, holder: Lock::new(Rank::Leaf, None) }
    }
}

/// The [`Writer`], until this is dropped.
pub struct WriterGuard<'a> {
    pub writer: Locked<'a, Writer>,
    holder: &'a Lock<Option<ThreadId>>,
}

impl WriterLock {
    /// Waits for the other threads that write.
    ///
    /// # Errors
    /// As [`WriterLock::check_not_held`].
    pub fn lock(&self) -> Result<WriterGuard<'_>> {
        self.check_not_held()?;
        // A panic in a caller's closure leaves the author as it was: it only notes commits that are in the log.
        let writer = self.writer.lock();
        *self.holder.lock() = Some(current_thread());
        Ok(WriterGuard { writer, holder: &self.holder })
    }

    /// Checks that this thread is not in the middle of a commit already.
    ///
    /// # Errors
    /// [`Error::Nested`] if it is.
    pub fn check_not_held(&self) -> Result<()> {
        match *self.holder.lock() == Some(current_thread()) {
            true => Err(Error::Nested),
            false => Ok(()),
        }
    }
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        *self.holder.lock() = None;
    }
}
