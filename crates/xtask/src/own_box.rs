//! A glass box: namespaces in which nobody else changes anything, so that what is not as before is the command's doing.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow};
use nix::mount::{MsFlags, mount};

/// The option that says, to this program when it is started in the box, that it is there.
const INSIDE: &str = "--inside";

/// Becomes this program again, with the same arguments and `--inside`, in mount, UTS, IPC and network namespaces of its
/// own.
///
/// # Errors
/// When unshare(1) cannot be started. Otherwise it does not return.
pub(crate) fn enter() -> Result<u8> {
    let own = std::env::current_exe().context("readlink(\"/proc/self/exe\")")?;
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // Behind the subcommand.
    arguments.insert(1.min(arguments.len()), INSIDE.into());
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--uts", "--ipc", "--net", "--propagation", "private", "--"]);
    let error = unshare.arg(own).args(arguments).exec();
    Err(anyhow!("cannot start unshare: {error}"))
}

/// Gives the box what belongs to its namespaces: a loopback that is up, its own POSIX queues and shared memory.
///
/// # Errors
/// Those of mount(2).
pub(crate) fn furnish() -> Result<()> {
    for (kind, directory) in [("mqueue", "/dev/mqueue"), ("tmpfs", "/dev/shm")] {
        if Path::new(directory).is_dir() {
            mount(Some("box"), directory, Some(kind), MsFlags::empty(), None::<&str>)
                .with_context(|| format!("mount({kind}, {directory})"))?;
        }
    }
    // Without ip(8) it stays down.
    let _ = Command::new("ip").args(["link", "set", "lo", "up"]).stderr(Stdio::null()).status();
    Ok(())
}
