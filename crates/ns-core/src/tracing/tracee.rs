//! A thread that is traced.

use std::fs;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::memory::Memory;
use super::stop::Call;
use crate::error::{Named, Result};
use crate::sys::{self, Request};

/// How a stopped thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resume {
    /// Until something of note.
    On,
    /// Until the beginning or the end of its next call, too.
    ToCall,
    /// It does not: its process stays stopped, until SIGCONT (PTRACE_LISTEN).
    Listen,
    /// It is traced no more.
    Detached,
}

/// A thread that this process traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tracee(pub Pid);

impl Tracee {
    /// Traces `thread` from here on, and all that it creates: PTRACE_SEIZE. It is not stopped. When the caller ends, it
    /// goes on untraced.
    ///
    /// # Errors
    /// EPERM where it is traced already, or the caller may not (ptrace(2), "Ptrace access mode checking"); ESRCH where
    /// it is gone.
    pub fn seize(thread: Pid) -> Result<Tracee> {
        let options = libc::PTRACE_O_TRACESYSGOOD
            | libc::PTRACE_O_TRACEFORK
            | libc::PTRACE_O_TRACEVFORK
            | libc::PTRACE_O_TRACECLONE
            | libc::PTRACE_O_TRACEEXEC
            | libc::PTRACE_O_TRACESECCOMP;
        sys::ptrace(Request::Seize, thread, options.into())
            .named(|| format!("ptrace(PTRACE_SEIZE, {thread})"))?;
        Ok(Tracee(thread))
    }

    /// Lets it go on from a stop, with `signal` if that is not 0.
    ///
    /// # Errors
    /// ESRCH where it is gone, which it may be at any time (SIGKILL).
    pub fn resume(self, how: Resume, signal: i32) -> std::result::Result<(), Errno> {
        let request = match how {
            Resume::On => Request::Continue,
            Resume::ToCall => Request::ContinueToCall,
            Resume::Listen => Request::Listen,
            Resume::Detached => Request::Detach,
        };
        sys::ptrace(request, self.0, signal.into())
    }

    /// Stops it as soon as it can be stopped, without a signal ([`super::Stop::Begun`]).
    ///
    /// # Errors
    /// ESRCH where it is gone.
    pub fn interrupt(self) -> std::result::Result<(), Errno> {
        sys::ptrace(Request::Interrupt, self.0, 0)
    }

    /// The call at which it is stopped.
    ///
    /// # Errors
    /// ESRCH where it is gone; EIO before Linux 5.3.
    pub fn call(self) -> std::result::Result<Call, Errno> {
        const ENTRY: u8 = 1;
        const EXIT: u8 = 2;
        const FILTER: u8 = 3;
        // ERESTARTSYS to ERESTART_RESTARTBLOCK of linux/errno.h, which no program sees.
        const RESTART_FIRST: i64 = 512;
        const RESTART_LAST: i64 = 516;
        let info = sys::syscall_info(self.0)?;
        let [number, arguments @ .., _] = info.words;
        Ok(match info.op {
            ENTRY | FILTER => Call::Begins { architecture: info.arch, number, arguments },
            // The second word's lowest byte says whether the first is an errno.
            EXIT => {
                let (value, is_error) = (info.words[0] as i64, info.words[1].to_ne_bytes()[0] != 0);
                let returns = |result| Call::Returns { architecture: info.arch, result };
                match -value {
                    _ if !is_error => returns(Ok(value)),
                    RESTART_FIRST..=RESTART_LAST => Call::Restarts,
                    errno => returns(Err(Errno::from_raw(errno as i32))),
                }
            }
            _ => Call::None,
        })
    }

    /// Its memory.
    pub fn memory(self) -> Memory {
        Memory::of(self.0)
    }
}

/// Whether two processes share their descriptors (clone(2), CLONE_FILES), as far as kcmp(2) tells.
pub fn shares_descriptors(one: Pid, other: Pid) -> bool {
    sys::shares_descriptors(one, other).unwrap_or(false)
}

/// The threads of a process, by ID.
///
/// # Errors
/// ENOENT when there is no such process.
pub fn threads_of(process: Pid) -> Result<Vec<Pid>> {
    let path = format!("/proc/{process}/task");
    let entries = fs::read_dir(&path).named(|| format!("readdir(\"{path}\")"))?;
    let id = |entry: std::io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let mut threads: Vec<Pid> = entries.filter_map(id).map(Pid::from_raw).collect();
    threads.sort_unstable();
    Ok(threads)
}
