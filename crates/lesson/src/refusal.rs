//! Answers of the machine that say nothing about a claim: why it is skipped then.

use anyhow::Error;
use ns_core::probe::{self, Unmet};
use ns_core::{Errno, Fact, Namespaces, Outcome, Refused};

use crate::effect::Shown;

/// Answers by which a machine says that it will not, or cannot now, do what an experiment needs done. Any other errno of a
/// call that an experiment needs is a fault of the experiment, unless a cause for it is found on this machine.
const REFUSALS: [Errno; 14] = [
    Errno::EPERM,
    Errno::EACCES,
    Errno::ENOSYS,
    Errno::EOPNOTSUPP,
    Errno::ENODEV,
    Errno::EROFS,
    Errno::ENOSPC,
    Errno::ENOMEM,
    Errno::EAGAIN,
    Errno::EMFILE,
    Errno::ENFILE,
    Errno::EDQUOT,
    Errno::EUSERS,
    Errno::EFBIG,
];

/// Those of them with which a limit of this machine says that it is reached.
const LIMITS: [Errno; 7] =
    [Errno::EAGAIN, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::EDQUOT, Errno::EUSERS, Errno::EFBIG];

/// Calls whose EINVAL means that this kernel lacks a flag, an option, a command or a word, or cannot do it with this
/// filesystem. The manual page of each says so. Of any other call EINVAL is a slip of ours, and is not to be taken for
/// a refusal.
const TAKE_FLAGS: [&str; 22] = [
    "clone(",
    "clone3(",
    "close_range(",
    "echo ", // to a file of the kernel's
    "fsconfig(",
    "fsopen(",
    "io_uring_setup(",
    "ioctl(",
    "memfd_create(",
    "mount(",
    "mount ",
    "mount_setattr(",
    "open_tree(",
    "pidfd_open(",
    "pivot_root(", // where the root directory is the initramfs
    "prctl(",
    "seccomp(",
    "setns(",
    "socket(",
    "swapon(",
    "umount2(",
    "unshare(",
];

/// Why a claim is skipped whose arm could not be made: this machine lacks something, or refused a call. `None` for any other error.
pub(crate) fn of(error: &Error) -> Option<Unmet> {
    let error = error.chain().find_map(|cause| cause.downcast_ref::<ns_core::Error>())?;
    if let ns_core::Error::Unmet(unmet) = error {
        return Some(unmet.clone());
    }
    let refused = error.refused()?;
    if is_a_refusal(&refused) {
        return Some(probe::why_refused(refused, Namespaces::NONE));
    }
    probe::cause(&refused, Namespaces::NONE)
}

fn is_a_refusal(Refused { call, errno }: &Refused) -> bool {
    REFUSALS.contains(errno)
        || *errno == Errno::EINVAL && TAKE_FLAGS.iter().any(|name| call.starts_with(name))
}

/// Why a verdict that is not as expected says nothing about the claim: the answers on which it rests have a cause on this
/// machine. `None` if they have none.
///
/// `against` are the facts by which the arms show what is not expected of them, `all` those of both arms.
pub(crate) fn explains(against: &[&Fact], all: &[&Fact]) -> Option<Unmet> {
    let refused = |fact: &&Fact| match fact.value.as_outcome() {
        Some(Outcome::Failed(errno)) => Some(Refused { call: fact.what.clone(), errno }),
        _ => None,
    };
    let refusals: Vec<_> = against.iter().filter_map(refused).collect();
    let caused = |refused: &Refused| probe::cause(refused, Namespaces::NONE);
    let at_a_limit = || {
        let at_limit = refusals.iter().find(|refused| LIMITS.contains(&refused.errno))?;
        Some(probe::why_refused(at_limit.clone(), Namespaces::NONE))
    };
    let of_the_rest = || all.iter().filter_map(refused).find_map(|refused| caused(&refused));
    refusals.iter().find_map(caused).or_else(at_a_limit).or_else(of_the_rest)
}

/// Why a claim is skipped of which an arm gave an answer that is neither its effect nor the absence of it.
pub(crate) fn third_answer(shown: &Shown) -> Option<Unmet> {
    match shown {
        Shown::Neither { what, errno } => {
            let refused = Refused { call: what.clone(), errno: *errno };
            Some(probe::why_refused(refused, Namespaces::NONE))
        }
        Shown::Present | Shown::InPart | Shown::Absent => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(call: &str, errno: Errno) -> Error {
        ns_core::Error::Call { call: call.into(), errno }.into()
    }

    #[test]
    fn einval_is_a_refusal_of_calls_that_take_flags() {
        assert!(of(&refused("unshare(CLONE_NEWTIME)", Errno::EINVAL)).is_some());
        assert!(of(&refused("mount -t overlay none /mnt", Errno::EINVAL)).is_some());
        assert_eq!(of(&refused("setresuid(7, 7, 7)", Errno::EINVAL)), None);
        assert_eq!(of(&refused("write(fd)", Errno::EBADF)), None);
    }

    #[test]
    fn a_limit_explains_what_rests_on_it_and_nothing_else() {
        let full = Fact::inside("child", "pipe()", Outcome::Failed(Errno::EMFILE));
        let done = Fact::inside("child", "fork()", Outcome::Done);
        let why = explains(&[&full], &[&done, &full]).map(|unmet| unmet.to_string());
        assert_eq!(why.as_deref(), Some("pipe() gives EMFILE"));
        assert_eq!(explains(&[&done], &[&done, &full]), None);
    }
}
