//! The watcher's own side: what it becomes, what it hears, and what it then removes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nix::unistd::{chdir, close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::{Kind, Leftover, directory};
use crate::error::{Named, Result};
use crate::{cgroup, net, sys};

/// The watcher's life. All signals that can be blocked are blocked already.
pub(super) fn run(orders: &OwnedFd, arm: OwnedFd) -> ! {
    // Unwinding any further would run the destructors of the process that we were forked from.
    let lived = catch_unwind(AssertUnwindSafe(|| watch(orders, arm)));
    sys::exit_now(if matches!(lived, Ok(Ok(()))) { 0 } else { 1 })
}

fn watch(orders: &OwnedFd, arm: OwnedFd) -> Result<()> {
    stand_apart(orders, &arm)?;
    nix::unistd::write(&arm, b".").named(|| "write(pipe to the experiment)".into())?;
    drop(arm);
    // The last made goes first, as guards are dropped.
    for leftover in hear(orders).into_iter().rev() {
        remove(&leftover);
    }
    Ok(())
}

/// Shares nothing with the experiment that would let the end of the one touch the other.
fn stand_apart(orders: &OwnedFd, arm: &OwnedFd) -> Result<()> {
    // A signal to the experiment's process group or a hang-up of its terminal is not for us.
    setsid().named(|| "setsid()".into())?;
    let _ = nix::sys::prctl::set_name(c"janitor");
    // The directory that the experiment was started in may be unmounted while we live.
    chdir("/").named(|| "chdir(\"/\")".into())?;
    // Who reads the experiment's output to its end must not have to wait for ours.
    let null =
        File::options().read(true).write(true).open("/dev/null").named(|| "open(\"/dev/null\")".into())?;
    dup2_stdin(&null).named(|| "dup2(/dev/null, 0)".into())?;
    dup2_stdout(&null).named(|| "dup2(/dev/null, 1)".into())?;
    dup2_stderr(&null).named(|| "dup2(/dev/null, 2)".into())?;
    drop(null);
    close_all_but(&[orders.as_raw_fd(), arm.as_raw_fd()])
}

/// Among the rest are the experiment's pipes, and our copy of its end of this one.
fn close_all_but(keep: &[RawFd]) -> Result<()> {
    let entries = fs::read_dir("/proc/self/fd").named(|| "readdir(\"/proc/self/fd\")".into())?;
    let open: Vec<RawFd> =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2 && !keep.contains(fd)) {
        // EBADF: the descriptor that the list itself was read from.
        let _ = close(fd);
    }
    Ok(())
}

/// What is registered when the pipe ends.
fn hear(orders: &OwnedFd) -> Vec<Leftover> {
    let mut left = Vec::new();
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match nix::unistd::read(orders, &mut buffer) {
            // An error cannot be told to anyone; what is known by now is still to be removed.
            Ok(0) | Err(_) => return left,
            Ok(length) => heard.extend_from_slice(&buffer[..length]),
        }
        while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = heard.drain(..=end).collect();
            if !obey(&mut left, &line[..end]) {
                return left;
            }
        }
    }
}

/// Takes one order in. False for the last.
fn obey(left: &mut Vec<Leftover>, line: &[u8]) -> bool {
    let (verb, path) = match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (&line[..space], Path::new(OsStr::from_bytes(&line[space + 1..]))),
        None => (line, Path::new("")),
    };
    match verb {
        b"cgroup" => left.extend(Leftover::new(Kind::Cgroup, path)),
        b"directory" => left.extend(Leftover::new(Kind::Directory, path)),
        b"link" => left.extend(Leftover::new(Kind::Link, path)),
        b"forget" => left.retain(|leftover| leftover.path != path),
        b"finish" => return false,
        _ => {}
    }
    true
}

/// What fails here has nobody to hear of it. A later sweep tries again.
fn remove(leftover: &Leftover) {
    let _ = match leftover.kind {
        Kind::Cgroup => cgroup::remove_leftover(&leftover.path),
        Kind::Directory => directory::remove_all(&leftover.path),
        Kind::Link => net::switch::remove_leftover(&leftover.path),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hearing(lines: &[&str]) -> Vec<String> {
        let mut left = Vec::new();
        let _ = lines.iter().all(|line| obey(&mut left, line.as_bytes()));
        left.iter().map(|leftover| format!("{} {}", leftover.kind, leftover.path.display())).collect()
    }

    #[test]
    fn what_is_forgotten_stays() {
        let lines = ["cgroup /c/inception-a", "directory /tmp/inception-b", "forget /c/inception-a"];
        assert_eq!(hearing(&lines), ["directory /tmp/inception-b"]);
    }

    #[test]
    fn links_are_heard_of() {
        assert_eq!(hearing(&["link /sys/class/net/inception-7"]), ["link /sys/class/net/inception-7"]);
        assert!(hearing(&["link /sys/class/net/eth0"]).is_empty());
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert!(
            hearing(&["cgroup /sys/fs/cgroup", "directory /home", "directory", "remove /x", ""]).is_empty()
        );
    }

    #[test]
    fn finish_is_the_last_order() {
        let lines = ["directory /tmp/inception-b", "finish", "directory /tmp/inception-c"];
        assert_eq!(hearing(&lines), ["directory /tmp/inception-b"]);
    }
}
