//! Events of the kernel, counted: perf_event_open(2).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// The first published form of perf_event_attr (linux/perf_event.h).
#[repr(C)]
struct EventAttr {
    kind: u32,
    size: u32,
    config: u64,
    rest: [u64; 6],
}

/// perf_event_open(2) for the page faults of a cgroup's members on one CPU.
///
/// # Errors
/// The kernel's: EACCES, EBADF, ENOENT, ENOSYS.
pub fn count_page_faults(cgroup: BorrowedFd<'_>, cpu: i32) -> Result<OwnedFd, Errno> {
    const OF_A_CGROUP: u64 = 4 | 8; // PERF_FLAG_PID_CGROUP | PERF_FLAG_FD_CLOEXEC
    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS
    let attr = EventAttr { kind: 1, size: size_of::<EventAttr>() as u32, config: 2, rest: [0; 6] };
    let fd = cgroup.as_raw_fd();
    // SAFETY: the kernel reads as many bytes as `size` says, which is all of a struct that outlives the call.
    let answer =
        unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, fd, cpu, -1, OF_A_CGROUP) };
    let event = Errno::result(answer)?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(event as RawFd) })
}
