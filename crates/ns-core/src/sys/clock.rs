//! Clocks: clock_gettime(2).

use nix::errno::Errno;

/// clock_gettime(2) as a system call, past the vDSO: seconds and nanoseconds.
pub(crate) fn clock_gettime(clock: libc::clockid_t) -> Result<[libc::c_long; 2], Errno> {
    let mut time: [libc::c_long; 2] = [0; 2];
    // SAFETY: the kernel writes two longs (its timespec for this call) at the address of a live array of two.
    Errno::result(unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) })?;
    Ok(time)
}
