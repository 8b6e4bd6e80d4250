//! A namespace that is created while the caller does something else.

use std::thread::{Builder, JoinHandle, yield_now};

use super::moves::has_left;
use super::socket::any_socket;
use super::{Namespaces, NsFile, unshare};
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};
use crate::files;
use observation::Kind;

/// A network namespace in the making, by a thread of its own. No other kind takes the kernel so long: half a millisecond.
#[derive(Debug)]
pub struct NetworkAside(JoinHandle<Result<NsFile>>);

impl NetworkAside {
    /// Begins. `furnish` runs inside. The caller stays where it is, and has two threads until [`NetworkAside::enter`].
    ///
    /// # Errors
    /// EAGAIN at a limit of processes.
    pub fn create(furnish: impl FnOnce() -> Result<()> + Send + 'static) -> Result<NetworkAside> {
        let create = || {
            unshare(Namespaces::NET)?;
            furnish()?;
            // To open the link in /proc takes the kernel five times as long.
            NsFile::of_socket(any_socket()?)
        };
        let thread = Builder::new().stack_size(STACK).spawn(create);
        thread.map(NetworkAside).named(|| "clone(CLONE_THREAD)".into())
    }

    /// Waits until it is made, and makes the caller a member. When this returns, the caller has one thread again.
    ///
    /// # Errors
    /// Those of unshare(2), such as ENOSPC where the limit of /proc/sys/user is reached; those of `furnish`.
    pub fn enter(self) -> Result<()> {
        let broken = |_| Error::Input("the thread that creates a network namespace panicked".into());
        self.0.join().map_err(broken)??.enter(Some(Kind::Net))?;
        has_left(Namespaces::NET);
        // The kernel lets a thread be joined some microseconds before it takes it off the list.
        let deadline = Deadline::new();
        while files::thread_count()? > 1 {
            deadline.check("a thread to be gone")?;
            yield_now();
        }
        Ok(())
    }
}

/// The bytes of its stack.
const STACK: usize = 128 << 10;
