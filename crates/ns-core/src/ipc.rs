//! System V IPC and POSIX message queues: what an IPC namespace isolates (ipc_namespaces(7), sysvipc(7), mq_overview(7)).
//!
//! All of it outlives its creator, so nothing is made in the IPC namespace that we were started in.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use observation::Kind;

use crate::error::{Error, Named, Result};
use crate::{host, sys};

pub use crate::sys::SysV;

impl SysV {
    /// All three.
    pub const ALL: [SysV; 3] = [SysV::Queue, SysV::Semaphore, SysV::Segment];

    /// What the names of its calls begin with, and of its file in /proc/sysvipc: `msg`.
    pub const fn prefix(self) -> &'static str {
        match self {
            SysV::Queue => "msg",
            SysV::Semaphore => "sem",
            SysV::Segment => "shm",
        }
    }

    /// Makes the object of `key`, which must not exist yet, and gives its identifier.
    ///
    /// # Errors
    /// EEXIST; ENOSPC at a limit of /proc/sys/kernel. [`Error::WouldChangeHost`] in the IPC namespace that we were
    /// started in.
    pub fn make(self, key: i32) -> Result<i32> {
        let call = || format!("{}get({key:#x}, IPC_CREAT|IPC_EXCL)", self.prefix());
        host::require_left(Kind::Ipc, call)?;
        sys::sysv_get(self, key, libc::IPC_CREAT | libc::IPC_EXCL | 0o600).named(call)
    }

    /// The identifier of the object of `key`, if the caller's IPC namespace has one.
    ///
    /// # Errors
    /// EACCES where it is another user's.
    pub fn find(self, key: i32) -> Result<Option<i32>> {
        match sys::sysv_get(self, key, 0) {
            Ok(id) => Ok(Some(id)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno).named(|| format!("{}get({key:#x}, 0)", self.prefix())),
        }
    }

    /// Asks for the state of the object of an identifier, which is how one finds out that there is one.
    ///
    /// # Errors
    /// EINVAL if the caller's IPC namespace has none.
    pub fn stat(self, id: i32) -> Result<()> {
        sys::sysv_stat(self, id).named(|| format!("{}ctl({id}, IPC_STAT)", self.prefix()))
    }

    /// How many objects of this kind /proc/sysvipc lists.
    ///
    /// # Errors
    /// When /proc is no procfs, or the kernel has no System V IPC.
    pub fn listed(self) -> Result<usize> {
        Ok(self.keys()?.len())
    }

    /// The keys of the objects of this kind that /proc/sysvipc lists; 0 is that of a private one (IPC_PRIVATE).
    ///
    /// # Errors
    /// As [`SysV::listed`].
    pub fn keys(self) -> Result<Vec<i32>> {
        let path = format!("/proc/sysvipc/{}", self.prefix());
        let text = std::fs::read_to_string(&path).named(|| format!("cat {path}"))?;
        // The first line has the columns' names, and the first column the key.
        let keys = text.lines().skip(1).map(|line| line.split_whitespace().next()?.parse().ok());
        keys.collect::<Option<_>>()
            .ok_or_else(|| Error::Unreadable { what: path, message: format!("no key in a line of {text:?}") })
    }
}

/// Makes the queue of `key`, as [`SysV::make`] does.
///
/// # Errors
/// Those of [`SysV::make`].
pub fn make_queue(key: i32) -> Result<i32> {
    SysV::Queue.make(key)
}

/// Finds the queue of `key`, as [`SysV::find`] does.
///
/// # Errors
/// Those of [`SysV::find`].
pub fn find_queue(key: i32) -> Result<Option<i32>> {
    SysV::Queue.find(key)
}

/// Sends a message of at most 64 bytes to a System V queue.
///
/// # Errors
/// EINVAL if there is no such queue; EAGAIN if it is full.
pub fn send(queue: i32, text: &str) -> Result<()> {
    sys::msgsnd(queue, text.as_bytes()).named(|| format!("msgsnd({queue}, \"{text}\")"))
}

/// Takes the first message out of a System V queue.
///
/// # Errors
/// EINVAL if there is no such queue; ENOMSG if it is empty.
pub fn receive(queue: i32) -> Result<String> {
    let text = sys::msgrcv(queue).named(|| format!("msgrcv({queue})"))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The value of a semaphore. A new one has 0.
///
/// # Errors
/// EINVAL if there is no such set.
pub fn semaphore_value(set: i32) -> Result<i32> {
    sys::semaphore_value(set).named(|| format!("semctl({set}, 0, GETVAL)"))
}

/// Adds `by` to a semaphore: 1 unlocks, -1 locks. With `undo` (SEM_UNDO) the kernel takes it back when the caller ends.
///
/// # Errors
/// EAGAIN where the value would go below 0; EINVAL if there is no such set.
pub fn add_to_semaphore(set: i32, by: i16, undo: bool) -> Result<()> {
    sys::semop(set, by, undo)
        .named(|| format!("semop({set}, {by:+}{})", if undo { ", SEM_UNDO" } else { "" }))
}

/// A shared memory segment that is attached, until it is dropped.
#[derive(Debug)]
pub struct Segment(sys::Attached);

impl Segment {
    /// Attaches the segment of an identifier that [`SysV::make`] or [`SysV::find`] gave.
    ///
    /// # Errors
    /// EINVAL if there is no such segment, EACCES where it is another user's.
    pub fn attach(id: i32) -> Result<Segment> {
        sys::Attached::to(id).map(Segment).named(|| format!("shmat({id})"))
    }

    /// The number at its beginning. A new segment is full of zeros.
    pub fn read(&self) -> u64 {
        self.0.number().load(Ordering::SeqCst)
    }

    /// Writes the number at its beginning.
    pub fn write(&self, number: u64) {
        self.0.number().store(number, Ordering::SeqCst);
    }
}

/// An open POSIX message queue.
#[derive(Debug)]
pub struct MessageQueue {
    fd: OwnedFd,
    name: String,
}

impl MessageQueue {
    /// Makes the queue `name`, which begins with a slash and must not exist yet.
    ///
    /// # Errors
    /// EEXIST; EMFILE and ENOSPC at limits; [`Error::WouldChangeHost`] in the IPC namespace that we were started in.
    pub fn make(name: &str) -> Result<MessageQueue> {
        host::require_left(Kind::Ipc, || format!("mq_open(\"{name}\", O_CREAT|O_EXCL)"))?;
        MessageQueue::open_as(name, libc::O_CREAT | libc::O_EXCL, "O_CREAT|O_EXCL")
    }

    /// Opens the queue `name`.
    ///
    /// # Errors
    /// ENOENT if the caller's IPC namespace has none.
    pub fn open(name: &str) -> Result<MessageQueue> {
        MessageQueue::open_as(name, 0, "O_RDWR")
    }

    fn open_as(name: &str, flags: i32, typed: &str) -> Result<MessageQueue> {
        let call = || format!("mq_open(\"{name}\", {typed})");
        // The C library takes the slash away, and here there is none between us and the kernel.
        let without = name.strip_prefix('/').ok_or(Errno::EINVAL).named(call)?;
        Ok(MessageQueue { fd: sys::mq_open(&sys::c_string(without)?, flags).named(call)?, name: name.into() })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// EAGAIN if it is full, EMSGSIZE above 128 bytes.
    pub fn send(&self, text: &str) -> Result<()> {
        sys::mq_send(self.fd.as_fd(), text.as_bytes()).named(|| format!("mq_send({}, \"{text}\")", self.name))
    }

    /// How many messages wait in it.
    ///
    /// # Errors
    /// None that mq_getattr(3) documents for an open queue.
    pub fn waiting(&self) -> Result<usize> {
        sys::mq_waiting(self.fd.as_fd()).named(|| format!("mq_getattr({})", self.name))
    }

    /// Takes the first message.
    ///
    /// # Errors
    /// EAGAIN if it is empty.
    pub fn receive(&self) -> Result<String> {
        let text = sys::mq_receive(self.fd.as_fd()).named(|| format!("mq_receive({})", self.name))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// A limit of the caller's IPC namespace: `kernel/msgmax`, `fs/mqueue/msg_max`, and so on below /proc/sys.
///
/// # Errors
/// ENOENT for a file that this kernel lacks.
pub fn limit(file: &str) -> Result<String> {
    let path = format!("/proc/sys/{file}");
    let text = std::fs::read_to_string(&path).named(|| format!("cat {path}"))?;
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Writes a limit of the caller's IPC namespace: one of `kernel/` whose name begins with msg, sem or shm, or one of
/// `fs/mqueue/`.
///
/// # Errors
/// EINVAL for a number that is too large; EROFS where /proc/sys is read-only, as in most containers.
/// [`Error::WouldChangeHost`] in the IPC namespace that we were started in, and [`Error::Input`] for another file.
pub fn set_limit(file: &str, value: &str) -> Result<()> {
    let call = || format!("echo {value} > /proc/sys/{file}");
    host::require_left(Kind::Ipc, call)?;
    let of_ipc = ["kernel/msg", "kernel/sem", "kernel/shm", "fs/mqueue/"];
    if file.contains("..") || !of_ipc.iter().any(|own| file.starts_with(own)) {
        return Err(Error::Input(format!("{}: refused: that is no limit of IPC", call())));
    }
    std::fs::write(format!("/proc/sys/{file}"), value).named(call)
}
