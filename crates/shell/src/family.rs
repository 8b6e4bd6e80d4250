//! Who descends from whom, and the end of all of them.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use ns_core::{Pid, process};

use crate::mark::Mark;

/// A process and all that descend from it and live. One that has ended meanwhile takes its own along.
pub fn descendants(of: Pid) -> Vec<Pid> {
    let mut family = vec![of];
    let mut at = 0;
    while at < family.len() {
        family.extend(process::children(family[at]).unwrap_or_default());
        at += 1;
    }
    family
}

/// Ends all that descends from this process, without what descends from those to `spare`. It ends all that bears the mark
/// too: an orphan of a PID namespace that was entered is a child of its init.
///
/// # Errors
/// When one lives on for 10 s.
pub(crate) fn end_all_but(spare: &[Pid], mark: &Mark) -> ns_core::Result<()> {
    let own = nix::unistd::getpid();
    ns_core::until("what the program left behind to end", || {
        let spared: Vec<Pid> = spare.iter().flat_map(|pid| descendants(*pid)).collect();
        let mut left = descendants(own);
        left.extend(mark.bearers());
        left.retain(|pid| *pid != own && !spared.contains(pid));
        for pid in &left {
            let _ = kill(*pid, Signal::SIGKILL);
        }
        // A process group lives as long as one of its members was not waited for.
        for pid in process::zombies(own)?.into_iter().filter(|pid| !spare.contains(pid)) {
            let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
        }
        Ok(left.is_empty().then_some(()))
    })
}
