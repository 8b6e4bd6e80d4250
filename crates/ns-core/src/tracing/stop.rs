//! Why a traced thread stands still.

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys;

/// How a process or a thread ended. Signals are numbers here, since real-time signals have no name in nix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By exit(2), with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

/// What waitpid(2) said of a traced thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It is about to make a call, or has made one: [`super::Tracee::call`] says which.
    Call,
    /// A filter stopped it before a call.
    Filter,
    /// It created a thread or a process.
    Created {
        /// Its ID.
        child: Pid,
    },
    /// It became another program.
    Executed {
        /// Its thread ID before.
        former: Pid,
    },
    /// It is to receive a signal, which it gets if it is resumed with it.
    Signal(i32),
    /// It and its process are stopped, by SIGSTOP or one of the terminal's signals.
    Group,
    /// It is traced from here on, or was interrupted.
    Begun,
    /// Something else that has no meaning here.
    Other,
    /// It is gone.
    Ended(Ending),
}

/// A system call, as PTRACE_GET_SYSCALL_INFO has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It is about to be made.
    Begins {
        /// The number of the architecture whose calls these are: AUDIT_ARCH_… of linux/audit.h.
        architecture: u32,
        /// Its number, such as `libc::SYS_mount`.
        number: u64,
        /// Its arguments.
        arguments: [u64; 6],
    },
    /// It has been made.
    Returns {
        /// As above. After execve(2) it is that of the new program.
        architecture: u32,
        /// What it gave.
        result: Result<i64, Errno>,
    },
    /// It was interrupted, and the kernel makes it again, which is a call of its own.
    Restarts,
    /// The thread is in no call.
    None,
}

/// The next stop of any traced thread, with the thread's ID: waitpid(-1, …). `None` where none is stopped, unless `waits`.
///
/// # Errors
/// ECHILD where nobody is traced any more.
pub fn next_stop(waits: bool) -> Result<Option<(Pid, Stop)>, Errno> {
    let options = if waits { 0 } else { libc::WNOHANG };
    Ok(sys::wait(Pid::from_raw(-1), options)?.map(|(thread, status)| (thread, of(thread, status))))
}

/// How `child` ended, or `None` if it still runs.
///
/// # Errors
/// ECHILD where it is no child of the caller.
pub fn reap(child: Pid) -> Result<Option<Ending>, Errno> {
    let ended = sys::wait(child, libc::WNOHANG)?;
    Ok(ended.and_then(|(_, status)| ending(status)))
}

fn ending(status: i32) -> Option<Ending> {
    if libc::WIFEXITED(status) {
        return Some(Ending::Exited(libc::WEXITSTATUS(status)));
    }
    libc::WIFSIGNALED(status).then(|| Ending::Killed(libc::WTERMSIG(status)))
}

fn of(thread: Pid, status: i32) -> Stop {
    if let Some(ended) = ending(status) {
        return Stop::Ended(ended);
    }
    let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
    let message = || sys::event_message(thread).map_or(Pid::from_raw(0), |it| Pid::from_raw(it as i32));
    match event {
        0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
        0 => Stop::Signal(signal),
        libc::PTRACE_EVENT_SECCOMP => Stop::Filter,
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
            Stop::Created { child: message() }
        }
        libc::PTRACE_EVENT_EXEC => Stop::Executed { former: message() },
        libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Stop::Begun,
        libc::PTRACE_EVENT_STOP => Stop::Group,
        _ => Stop::Other,
    }
}
