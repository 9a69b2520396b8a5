//! The threads of a server: those for its calls, which may block, and those for its long tasks.
//!
//! Invariants: a call that was taken is carried out, or its caller is told why not. If no further thread can be had, the
//! calls share those that are there; if there is none at all, each call is an error and asks for one again. No thread is
//! detached: at the end of a process, glibc may read the memory of a detached thread that has just ended.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Most threads for calls. More calls at once would wait for the disk, not for a thread.
const CALLS_AT_ONCE: usize = 64;
/// Time after which a thread without work ends, unless it is the last one.
const IDLE: Duration = Duration::from_secs(10);

/// The reason why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoResult {
    /// No thread could be had for the call, so it was not begun.
    #[error(
        "the call was not made: the system has no thread for it ({0}). End other programs, or raise the limit of \
         processes (`ulimit -u`, `pids.max` of the container), and call again"
    )]
    Thread(#[source] io::Error),
    /// The call panicked, which is a bug. Nothing is known of how far it came.
    #[error(
        "the call failed: the server panicked. If it writes, it may have written: read before you repeat it. The \
         server's log says more"
    )]
    Panic,
}

type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Number of threads for calls.
    threads: usize,
    /// Number of those that wait for a job.
    idle: usize,
    /// True once no job comes any more.
    closed: bool,
    /// The threads for calls, and some of them that have ended.
    calls: Vec<JoinHandle<()>>,
    /// The same of long tasks.
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    has_jobs: Condvar,
}

/// Ends the threads when it is dropped.
#[derive(Default)]
struct Owner(Arc<Shared>);

/// Runs calls, each on a thread. Cheap to clone; clones share the threads.
#[derive(Clone, Default)]
pub(super) struct Threads(Arc<Owner>);

impl Threads {
    /// Starts with one thread, if it can be had. It stays, so that later calls need no other.
    pub fn new() -> Self {
        let threads = Threads::default();
        let shared = &threads.0.0;
        if let Err(error) = shared.start_one(&mut shared.lock()) {
            // Each call tries again, and says so if it fails.
            tracing::debug!(%error, "no thread for calls can be had for now");
        }
        threads
    }

    /// Runs a function on a thread where it may block.
    ///
    /// # Errors
    /// [`NoResult`].
    pub async fn run<T: Send + 'static>(
        &self,
        function: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let (sender, receiver) = oneshot::channel();
        // The caller may be gone by then.
        let job = Box::new(move || drop(sender.send(function())));
        self.0.0.add(job).map_err(NoResult::Thread)?;
        receiver.await.map_err(|_| NoResult::Panic)
    }

    /// Runs a long task on a thread of its own.
    ///
    /// # Errors
    /// The system's, if there is no thread for it.
    pub fn start(&self, name: &str, task: impl FnOnce() + Send + 'static) -> io::Result<()> {
        start(&mut self.0.0.lock().tasks, name, task)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, job: Job) -> io::Result<()> {
        let mut state = self.lock();
        state.jobs.push_back(job);
        if state.idle >= state.jobs.len() {
            self.has_jobs.notify_one();
        } else if state.threads < CALLS_AT_ONCE
            && let Err(error) = self.start_one(&mut state)
            // Otherwise a thread takes the job when it is done with its present one.
            && state.threads == 0
        {
            state.jobs.pop_back();
            return Err(error);
        }
        Ok(())
    }

    fn start_one(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let shared = self.clone();
        start(&mut state.calls, "call", move || shared.work())?;
        state.threads += 1;
        Ok(())
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            // The caller notices, and the hook has written what it was.
            drop(std::panic::catch_unwind(std::panic::AssertUnwindSafe(job)));
        }
    }

    /// Waits for a job; `None` if the thread is to end.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            let waited = self.has_jobs.wait_timeout(state, IDLE);
            let (again, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = again;
            state.idle -= 1;
            if timeout.timed_out() && state.jobs.is_empty() && state.threads > 1 {
                state.threads -= 1;
                return None;
            }
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        self.0.has_jobs.notify_all();
        // One that is in a call, or in a task, may take long. Neither waited for nor detached, it ends with the process.
        let ending = match state.idle == state.threads {
            true => std::mem::take(&mut state.calls),
            false => Vec::new(),
        };
        state.calls.drain(..).for_each(std::mem::forget);
        state.tasks.drain(..).for_each(std::mem::forget);
        drop(state);
        for thread in ending {
            // It catches panics, so there is no error.
            drop(thread.join());
        }
    }
}

/// Starts a thread, and releases the memory of those that have ended.
fn start(
    handles: &mut Vec<JoinHandle<()>>,
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    for ended in handles.extract_if(.., |handle| handle.is_finished()) {
        if ended.join().is_err() {
            tracing::error!("a task of the server panicked");
        }
    }
    handles.push(std::thread::Builder::new().name(name.to_owned()).spawn(work)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    #[tokio::test]
    async fn calls_run_side_by_side_up_to_their_number() {
        let (threads, together) = (Threads::new(), Arc::new(Barrier::new(CALLS_AT_ONCE)));
        let calls: Vec<_> = (0..CALLS_AT_ONCE)
            .map(|n| {
                let (threads, together) = (threads.clone(), together.clone());
                tokio::spawn(async move {
                    let wait = move || {
                        together.wait();
                        n
                    };
                    threads.run(wait).await.unwrap()
                })
            })
            .collect();
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), n);
        }
        for _ in 0..3 * CALLS_AT_ONCE {
            threads.run(|| ()).await.unwrap();
        }
        assert_eq!(threads.0.0.lock().threads, CALLS_AT_ONCE);
    }

    #[tokio::test]
    async fn a_call_that_panics_is_an_error_and_ends_no_thread() {
        let threads = Threads::new();
        // A caller hears of its result before the thread waits for the next job.
        let once_idle = || {
            let deadline = std::time::Instant::now() + Duration::from_secs(60);
            loop {
                let state = threads.0.0.lock();
                let (idle, all) = (state.idle, state.threads);
                drop(state);
                if idle == all {
                    return all;
                }
                assert!(std::time::Instant::now() < deadline, "{idle} of {all}");
                std::thread::yield_now();
            }
        };
        let before = once_idle();
        let failed = threads.run(|| panic!("as a test does")).await.map(|()| "done");
        assert!(matches!(failed, Err(NoResult::Panic)));
        assert_eq!(once_idle(), before);
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn threads_end_with_their_last_handle() {
        let threads = Threads::new();
        threads.run(|| ()).await.unwrap();
        let shared = Arc::downgrade(&threads.0.0);
        let clone = threads.clone();
        drop(threads);
        clone.run(|| ()).await.unwrap();
        drop(clone);
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        while shared.upgrade().is_some() {
            assert!(std::time::Instant::now() < deadline, "a thread still has it");
            std::thread::yield_now();
        }
    }
}
