//! What a process gives up of the files and ports that it may use: landlock(7).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use bitflags::bitflags;
use rustix::fs::{Mode, OFlags, open};

use crate::error::{Named, Result};
use crate::sys;

bitflags! {
    /// What may be done with a file: LANDLOCK_ACCESS_FS_… of linux/landlock.h.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct FileAccess: u64 {
        /// Execute.
        const EXECUTE = 1 << 0;
        /// Open for writing.
        const WRITE = 1 << 1;
        /// Open for reading.
        const READ = 1 << 2;
        /// Link or rename a file from one directory to another (since version 2, with Linux 5.19). A ruleset that does not
        /// handle it refuses it everywhere.
        const REFER = 1 << 13;
    }
}

/// LANDLOCK_ACCESS_NET_BIND_TCP
const BIND_TCP: u64 = 1;

/// What is refused, and what of it is allowed.
#[derive(Debug)]
pub struct Ruleset(OwnedFd);

impl Ruleset {
    /// Refuses such access to every file, but where a rule allows it.
    ///
    /// # Errors
    /// ENOSYS where the kernel was built without Landlock, EOPNOTSUPP where it was booted without.
    pub fn of_files(access: FileAccess) -> Result<Ruleset> {
        Ruleset::new(access.bits(), 0)
    }

    /// Refuses bind(2) to every TCP port, but where a rule allows it.
    ///
    /// # Errors
    /// As [`Ruleset::of_files`]; E2BIG or EINVAL before ABI 4, which came with Linux 6.7.
    pub fn of_tcp_ports() -> Result<Ruleset> {
        Ruleset::new(0, BIND_TCP)
    }

    /// A rule that allows `access` to the file at `path` or, if it is a directory, to all below it.
    ///
    /// # Errors
    /// EINVAL for an access that the ruleset does not refuse; those of open(2).
    pub fn allow(&self, path: &Path, access: FileAccess) -> Result<()> {
        let call = |call: &str| format!("{call}(\"{}\")", path.display());
        let beneath = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).named(|| call("open"))?;
        sys::landlock_allow_beneath(self.0.as_fd(), access.bits(), beneath.as_fd())
            .named(|| call("landlock_add_rule"))
    }

    /// A rule that allows bind(2) to a TCP port.
    ///
    /// # Errors
    /// EINVAL for a ruleset of files.
    pub fn allow_port(&self, port: u16) -> Result<()> {
        sys::landlock_allow_port(self.0.as_fd(), BIND_TCP, port)
            .named(|| format!("landlock_add_rule({port})"))
    }

    /// Holds from here on, for the caller and all that come from it. Nothing takes it off.
    ///
    /// # Errors
    /// EPERM without no_new_privs and without CAP_SYS_ADMIN; E2BIG for a 17th.
    pub fn restrict_self(&self) -> Result<()> {
        sys::landlock_restrict_self(self.0.as_fd()).named(|| "landlock_restrict_self()".into())
    }

    fn new(files: u64, network: u64) -> Result<Ruleset> {
        let ruleset = sys::landlock_create(files, network).named(|| "landlock_create_ruleset()".into())?;
        Ok(Ruleset(ruleset))
    }
}

/// The version of the interface: 1 came with Linux 5.13, 4 (TCP ports) with 6.7.
///
/// # Errors
/// ENOSYS where the kernel was built without Landlock, EOPNOTSUPP where it was booted without.
pub fn abi() -> Result<i64> {
    sys::landlock_abi().named(|| "landlock_create_ruleset(LANDLOCK_CREATE_RULESET_VERSION)".into())
}
