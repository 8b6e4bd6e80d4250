//! System V objects and POSIX message queues: sysvipc(7), mq_overview(7).

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use nix::errno::Errno;

/// The three kinds of System V objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SysV {
    /// A message queue.
    Queue,
    /// A set of one semaphore.
    Semaphore,
    /// A shared memory segment of one page.
    Segment,
}

/// How many bytes a segment is made with: a page, on every machine.
const SEGMENT_SIZE: usize = 4096;

/// msgget(2): the System V message queue of `key`.
pub(crate) fn msgget(key: i32, flags: i32) -> Result<i32, Errno> {
    // SAFETY: msgget takes integers only.
    Errno::result(unsafe { libc::msgget(key, flags) })
}

/// msgget(2), semget(2) (one semaphore) or shmget(2) (one page): the System V object of `key`.
pub(crate) fn sysv_get(what: SysV, key: i32, flags: i32) -> Result<i32, Errno> {
    let size = if flags & libc::IPC_CREAT == 0 { 0 } else { SEGMENT_SIZE };
    Errno::result(match what {
        SysV::Queue => return msgget(key, flags),
        // SAFETY: semget takes integers only.
        SysV::Semaphore => unsafe { libc::semget(key, i32::from(size > 0), flags) },
        // SAFETY: shmget takes integers only.
        SysV::Segment => unsafe { libc::shmget(key, size, flags) },
    })
}

/// msgctl(2), semctl(2) or shmctl(2) with IPC_STAT: whether there is an object of this identifier.
pub(crate) fn sysv_stat(what: SysV, id: i32) -> Result<(), Errno> {
    // The kernel's structures are of about a hundred bytes.
    let mut space = [0_u64; 64];
    let at = space.as_mut_ptr();
    Errno::result(match what {
        // SAFETY: the kernel writes one structure to live memory of 512 bytes, aligned for it.
        SysV::Queue => unsafe { libc::msgctl(id, libc::IPC_STAT, at.cast()) },
        // SAFETY: as above.
        SysV::Semaphore => unsafe { libc::semctl(id, 0, libc::IPC_STAT, at) },
        // SAFETY: as above.
        SysV::Segment => unsafe { libc::shmctl(id, libc::IPC_STAT, at.cast()) },
    })
    .map(drop)
}

/// A message of System V: its type, which is above 0, and its text.
#[repr(C)]
struct Message {
    kind: libc::c_long,
    text: [u8; 64],
}

/// msgsnd(2), without waiting. At most 64 bytes are sent.
pub(crate) fn msgsnd(queue: i32, text: &[u8]) -> Result<(), Errno> {
    let mut message = Message { kind: 1, text: [0; 64] };
    let length = text.len().min(64);
    message.text[..length].copy_from_slice(&text[..length]);
    // SAFETY: the kernel reads the type and `length` bytes, which are inside the message.
    Errno::result(unsafe { libc::msgsnd(queue, (&raw const message).cast(), length, libc::IPC_NOWAIT) })
        .map(drop)
}

/// msgrcv(2), without waiting: the first message.
pub(crate) fn msgrcv(queue: i32) -> Result<Vec<u8>, Errno> {
    let mut message = Message { kind: 0, text: [0; 64] };
    // SAFETY: the kernel writes a type and at most 64 bytes, for which the message has room.
    let length =
        Errno::result(unsafe { libc::msgrcv(queue, (&raw mut message).cast(), 64, 0, libc::IPC_NOWAIT) })?;
    Ok(message.text[..length as usize].to_vec())
}

/// semctl(2) with GETVAL: the value of the first semaphore of a set.
pub(crate) fn semaphore_value(set: i32) -> Result<i32, Errno> {
    // SAFETY: GETVAL takes no fourth argument, so the kernel touches no memory of ours.
    Errno::result(unsafe { libc::semctl(set, 0, libc::GETVAL) })
}

/// semop(2) on the first semaphore of a set: adds `by`, without waiting. With `undo`, the kernel takes it back when this
/// process leaves the namespace or ends.
pub(crate) fn semop(set: i32, by: i16, undo: bool) -> Result<(), Errno> {
    let undo = if undo { libc::SEM_UNDO } else { 0 };
    let mut operation =
        libc::sembuf { sem_num: 0, sem_op: by, sem_flg: (undo | libc::IPC_NOWAIT) as libc::c_short };
    // SAFETY: the kernel reads one sembuf at the address of a live one.
    Errno::result(unsafe { libc::semop(set, &raw mut operation, 1) }).map(drop)
}

/// Where a shared memory segment is attached, by shmat(2), until this is dropped.
#[derive(Debug)]
pub(crate) struct Attached(NonNull<AtomicU64>);

impl Attached {
    /// shmat(2), for reading and writing.
    pub(crate) fn to(segment: i32) -> Result<Attached, Errno> {
        // SAFETY: the kernel chooses a place that is not in use.
        let at = unsafe { libc::shmat(segment, std::ptr::null(), 0) };
        let failed = at as isize == -1;
        NonNull::new(at.cast()).filter(|_| !failed).map(Attached).ok_or_else(Errno::last)
    }

    /// The number at its beginning. Others may write it at any time, so it is atomic.
    pub(crate) fn number(&self) -> &AtomicU64 {
        // SAFETY: shmat() gave the address (the field is private), which is that of whole pages, readable and writable.
        // They stay until drop(), and this borrow of self ends before that. All who use them do so by an atomic.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        // SAFETY: the address is shmat()'s, and with self no reference into the pages is left.
        unsafe { libc::shmdt(self.0.as_ptr().cast()) };
    }
}

/// mq_open(2): the queue of `name`, which begins without a slash here, not waiting when it is empty or full. A new one has
/// room for four messages of 128 bytes: by default it would take a tenth of what a user has (RLIMIT_MSGQUEUE).
pub(crate) fn mq_open(name: &CStr, flags: i32) -> Result<OwnedFd, Errno> {
    let flags = flags | libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // struct mq_attr: flags, messages, bytes of one, messages now, and four that are reserved.
    let attributes: [libc::c_long; 8] = [0, 4, 128, 0, 0, 0, 0, 0];
    // SAFETY: the kernel reads a string that ends with a NUL, and eight longs at the address of a live array of eight.
    let fd = Errno::result(unsafe {
        libc::syscall(libc::SYS_mq_open, name.as_ptr(), flags, 0o600, attributes.as_ptr())
    })?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// mq_getattr(3): how many messages wait.
pub(crate) fn mq_waiting(queue: BorrowedFd<'_>) -> Result<usize, Errno> {
    // As for mq_open(): the fourth is the number of messages now.
    let mut attributes: [libc::c_long; 8] = [0; 8];
    let unchanged = std::ptr::null::<libc::c_long>();
    // SAFETY: the kernel writes eight longs at the address of a live array of eight, and reads nothing.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_mq_getsetattr, queue.as_raw_fd(), unchanged, attributes.as_mut_ptr())
    })?;
    Ok(attributes[3] as usize)
}

/// mq_send(3).
pub(crate) fn mq_send(queue: BorrowedFd<'_>, text: &[u8]) -> Result<(), Errno> {
    let (at, length, forever) = (text.as_ptr(), text.len(), std::ptr::null::<libc::timespec>());
    // SAFETY: the kernel reads `length` bytes of a live slice.
    Errno::result(unsafe { libc::syscall(libc::SYS_mq_timedsend, queue.as_raw_fd(), at, length, 0, forever) })
        .map(drop)
}

/// mq_receive(3): the first message, of at most 8192 bytes, which is what a queue takes by default.
pub(crate) fn mq_receive(queue: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let mut text = vec![0_u8; 8192];
    let (at, length, forever) = (text.as_mut_ptr(), text.len(), std::ptr::null::<libc::timespec>());
    let nobody = std::ptr::null_mut::<libc::c_uint>();
    // SAFETY: the kernel writes at most `length` bytes to a live buffer of that length, and no priority.
    let length = Errno::result(unsafe {
        libc::syscall(libc::SYS_mq_timedreceive, queue.as_raw_fd(), at, length, nobody, forever)
    })?;
    text.truncate(length as usize);
    Ok(text)
}
