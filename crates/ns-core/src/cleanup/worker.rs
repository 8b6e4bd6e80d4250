//! The worker's own side: what it becomes, what it receives, and what it then removes.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::leftover::{Leftover, Removal};
use crate::apart::stand_apart;
use crate::error::{Named, Result};
use crate::sys;

/// The worker's life. All signals that can be blocked are blocked already.
pub(super) fn run(orders: &OwnedFd, arm: OwnedFd, removals: &[Removal]) -> ! {
    // Unwinding any further would run the destructors of the process that we were forked from.
    let lived = catch_unwind(AssertUnwindSafe(|| work(orders, arm, removals)));
    sys::exit_now(if matches!(lived, Ok(Ok(()))) { 0 } else { 1 })
}

fn work(orders: &OwnedFd, arm: OwnedFd, removals: &[Removal]) -> Result<()> {
    stand_apart(c"cleanup", &[orders.as_raw_fd(), arm.as_raw_fd()])?;
    nix::unistd::write(&arm, b".").named(|| "write(pipe to the experiment)".into())?;
    drop(arm);
    // The last made goes first, as guards are dropped.
    for Leftover { removal, path } in receive(orders, removals).into_iter().rev() {
        // What fails here has nobody to report it to. A later sweep tries again.
        let _ = (removal.remove)(&path);
    }
    Ok(())
}

/// What is registered when the pipe ends.
fn receive(orders: &OwnedFd, removals: &[Removal]) -> Vec<Leftover> {
    let mut left = Vec::new();
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match nix::unistd::read(orders, &mut buffer) {
            // An error cannot be told to anyone; what is known by now is still to be removed.
            Ok(0) | Err(_) => return left,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
        }
        while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            if !obey(&mut left, removals, &line[..end]) {
                return left;
            }
        }
    }
}

/// Takes one order in. False for the last.
fn obey(left: &mut Vec<Leftover>, removals: &[Removal], line: &[u8]) -> bool {
    let (verb, path) = match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (&line[..space], Path::new(OsStr::from_bytes(&line[space + 1..]))),
        None => (line, Path::new("")),
    };
    match verb {
        b"forget" => left.retain(|leftover| leftover.path != path),
        b"finish" => return false,
        kind => {
            let removal = removals.iter().find(|removal| removal.kind.as_bytes() == kind);
            left.extend(removal.and_then(|removal| Leftover::new(*removal, path).ok()));
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered_by(lines: &[&str]) -> Vec<String> {
        let removals = ["cgroup", "directory"].map(|kind| Removal { kind, remove: |_| Ok(()) });
        let mut left = Vec::new();
        let _ = lines.iter().all(|line| obey(&mut left, &removals, line.as_bytes()));
        let shown = |leftover: &Leftover| format!("{} {}", leftover.removal.kind, leftover.path.display());
        left.iter().map(shown).collect()
    }

    #[test]
    fn what_is_forgotten_stays() {
        let lines = ["cgroup /c/inception-a", "directory /tmp/inception-b", "forget /c/inception-a"];
        assert_eq!(registered_by(&lines), ["directory /tmp/inception-b"]);
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        assert!(
            registered_by(&[
                "cgroup /sys/fs/cgroup",
                "directory /home",
                "directory",
                "link /x/inception-a",
                "remove /x",
                ""
            ])
            .is_empty()
        );
    }

    #[test]
    fn finish_is_the_last_order() {
        let lines = ["directory /tmp/inception-b", "finish", "directory /tmp/inception-c"];
        assert_eq!(registered_by(&lines), ["directory /tmp/inception-b"]);
    }
}
