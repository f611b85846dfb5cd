//! A lock that the kernel and its debugger share.
//!
//! There is one processor, and the debugger's thread runs only while the rest of the kernel (the
//! world) does not. So a taken lock never becomes free by waiting, and what a taken lock means
//! depends on who asks: the debugger finds it held by a world that was stopped in the middle of
//! something, and gives its command up; anybody finds it held by a debugger that was itself given
//! up, and takes it over, as the debugger does when the world is dead; all else is a bug.

use core::sync::atomic::{AtomicU32, Ordering};

use spin::{Mutex, MutexGuard};

use crate::debugger;

/// A value that one thread at a time may use.
pub(crate) struct Lock<T> {
    inner: Mutex<T>,
    /// What it guards, for messages: `the list of processes`.
    name: &'static str,
    /// Who took it last; see [`debugger::who`].
    holder: AtomicU32,
}

impl<T> Lock<T> {
    pub(crate) const fn new(name: &'static str, value: T) -> Self {
        Lock {
            inner: Mutex::new(value),
            name,
            holder: AtomicU32::new(0),
        }
    }

    /// Takes it.
    ///
    /// In the debugger this does not return while the stopped world has it: see
    /// [`debugger::give_up`].
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        if let Some(guard) = self.try_lock() {
            return guard;
        }
        if debugger::is_running() && debugger::is_world(self.holder.load(Ordering::Relaxed)) {
            debugger::give_up(debugger::Why::Taken(self.name));
        }
        panic!("{} is locked twice", self.name)
    }

    /// Takes it if nobody has it who will come back to it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let me = debugger::who();
        let guard = match self.inner.try_lock() {
            Some(guard) => guard,
            None => {
                let holder = self.holder.load(Ordering::Relaxed);
                if !debugger::is_gone(holder) {
                    return None;
                }
                // SAFETY: the thread that took it was given up, its stack is used again from the
                // top: its guard does not exist any more and will never be dropped.
                unsafe { self.inner.force_unlock() };
                self.inner.try_lock()?
            }
        };
        self.holder.store(me, Ordering::Relaxed);
        Some(guard)
    }
}
