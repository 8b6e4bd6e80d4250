//! Is chroot a jail?
//!
//! chroot(2) changes where the paths of one process begin, and nothing else. Watch for what is left as it was: the
//! working directory, open descriptors, the mounts, the other processes. Each is a way out.
//!
//! Beside it stands what containers use, pivot_root(2) in a mount namespace of their own. The same prisoner tries the same
//! escapes from both. It is plain Rust: it brings no program into the jail and needs none there.

mod escape;
mod jail;
mod pivot;
mod refusals;
mod root;

use lesson::Experiment;
use ns_core::Namespaces;

const CHROOT_JAIL: Experiment = Experiment {
    name: "chroot-jail",
    question: "Is chroot a jail?",
    setup: "A process is put into a directory, and tries to get out.",
    arms: ["no chroot()", "chroot()"],
    in_short: "chroot() moves one process's root, and root gets out. pivot_root() holds, unless a directory is open.",
    notes: "chroot",
    man: &["chroot(2)", "pivot_root(2)", "path_resolution(7)", "user_namespaces(7)"],
    examples: &[
        ("chroot-jail", "run the experiment"),
        ("chroot-jail --sabotage", "without what makes the difference: no claim holds"),
        ("chroot-jail --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=chroot,chdir,fchdir,pivot_root,umount2,setns chroot-jail", "the system calls"),
    ],
    sandbox: Namespaces::MNT,
    requires: &[],
    steps: &[
        // What the call changes, and what it leaves.
        root::CALL_CHROOT,
        root::STAY_OUTSIDE,
        root::SIGNAL_AND_RUN,
        // Out again.
        escape::TRY_THE_WAYS_OUT,
        escape::KEEP_A_DIRECTORY,
        escape::REACH_THROUGH_PROC,
        // What holds.
        pivot::ASK_A_BYSTANDER,
        pivot::BREAK_THE_RULES,
        // Who may call it, and where.
        refusals::CALL_WITHOUT_PRIVILEGE,
        refusals::MAKE_A_USER_NAMESPACE,
        refusals::CALL_ON_OTHER_PATHS,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CHROOT_JAIL)
}
