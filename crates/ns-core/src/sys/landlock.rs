//! What a process gives up of the files and ports that it may use: landlock(7).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH and LANDLOCK_RULE_NET_PORT of linux/landlock.h, which libc
/// lacks.
const VERSION: libc::c_uint = 1;
const PATH_BENEATH: libc::c_uint = 1;
const NET_PORT: libc::c_uint = 2;

/// struct landlock_ruleset_attr, up to what came with ABI 4.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
}

/// struct landlock_path_beneath_attr
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// struct landlock_net_port_attr
#[repr(C)]
struct NetPort {
    allowed_access: u64,
    port: u64,
}

/// The version of the interface.
///
/// # Errors
/// The kernel's: ENOSYS where it was built without, EOPNOTSUPP where it was booted without.
pub(crate) fn landlock_abi() -> Result<i64, Errno> {
    let nothing = std::ptr::null::<RulesetAttr>();
    // SAFETY: with this flag the kernel takes no struct, so it touches no memory of ours.
    Errno::result(unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, nothing, 0, VERSION) })
}

/// A ruleset that refuses what is `handled`, files and network, unless a rule allows it.
///
/// # Errors
/// As [`landlock_abi`]; EINVAL or E2BIG for accesses that the kernel does not know, ENOMSG for none.
pub(crate) fn landlock_create(files: u64, network: u64) -> Result<OwnedFd, Errno> {
    let attr = RulesetAttr { handled_access_fs: files, handled_access_net: network };
    // Who asks for files alone asks as in ABI 1, which every kernel that has it understands.
    let size = if network == 0 { size_of::<u64>() } else { size_of::<RulesetAttr>() };
    // SAFETY: the kernel reads as many bytes as `size` says, which is at most all of a live struct.
    let answer = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size, 0) };
    let ruleset = Errno::result(answer)?;
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(ruleset as RawFd) })
}

/// A rule: `access` is allowed to what is open as `beneath` and, if that is a directory, to what lies below.
///
/// # Errors
/// The kernel's: EINVAL for an access that the ruleset does not handle, EBADFD for what is no file or directory.
pub(crate) fn landlock_allow_beneath(
    ruleset: BorrowedFd<'_>,
    access: u64,
    beneath: BorrowedFd<'_>,
) -> Result<(), Errno> {
    let rule = PathBeneath { allowed_access: access, parent_fd: beneath.as_raw_fd() };
    let (fd, call) = (ruleset.as_raw_fd(), libc::SYS_landlock_add_rule);
    // SAFETY: the kernel reads one live struct, laid out as its own for this kind of rule.
    Errno::result(unsafe { libc::syscall(call, fd, PATH_BENEATH, &raw const rule, 0) }).map(drop)
}

/// A rule: `access` is allowed to the port.
///
/// # Errors
/// The kernel's: EINVAL for an access that the ruleset does not handle, and before ABI 4.
pub(crate) fn landlock_allow_port(ruleset: BorrowedFd<'_>, access: u64, port: u16) -> Result<(), Errno> {
    let rule = NetPort { allowed_access: access, port: port.into() };
    let (fd, call) = (ruleset.as_raw_fd(), libc::SYS_landlock_add_rule);
    // SAFETY: the kernel reads one live struct, laid out as its own for this kind of rule.
    Errno::result(unsafe { libc::syscall(call, fd, NET_PORT, &raw const rule, 0) }).map(drop)
}

/// landlock_restrict_self(2): the ruleset holds from here on, for the caller and all that come from it.
///
/// # Errors
/// The kernel's: EPERM without no_new_privs and CAP_SYS_ADMIN, E2BIG for a 17th.
pub(crate) fn landlock_restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    let fd = ruleset.as_raw_fd();
    // SAFETY: this call takes integers only.
    Errno::result(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0) }).map(drop)
}
