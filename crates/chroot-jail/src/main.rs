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

use anyhow::Result;
use lesson::{Experiment, Lab};
use ns_core::Namespaces;

const CHROOT_JAIL: Experiment = Experiment {
    name: "chroot-jail",
    question: "Is chroot a jail?",
    notes: "chroot",
    man: &["chroot(2)", "pivot_root(2)", "path_resolution(7)", "user_namespaces(7)"],
    examples: &[
        ("chroot-jail", "run the experiment"),
        ("chroot-jail --sabotage", "without what makes the difference: no claim holds"),
        ("chroot-jail --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=chroot,chdir,fchdir,pivot_root,umount2,setns chroot-jail", "the system calls"),
    ],
    stage: Namespaces::MNT,
    needs: &[],
    claims: &[
        root::CALLER_ALONE,
        root::NO_NAMESPACE,
        root::PROC_ROOT,
        root::MOUNTINFO,
        root::WORKING_DIRECTORY,
        root::CHDIR,
        root::PROCESSES,
        root::INTERPRETER,
        escape::SECOND_CHROOT,
        escape::DESCRIPTOR,
        escape::OWN_NAMESPACE,
        escape::NO_CAPABILITY,
        escape::ADMIN,
        escape::KEPT,
        escape::THROUGH_PROC,
        pivot::EVERYONE,
        pivot::STACKED,
        pivot::RULES,
        refusals::PRIVILEGED,
        refusals::USER_NAMESPACE,
        refusals::NO_USER_NAMESPACE,
        refusals::SEARCH,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CHROOT_JAIL)
}

fn run(lab: &mut Lab) -> Result<()> {
    // What the call changes, and what it leaves.
    root::run(lab)?;
    // Out again.
    escape::run(lab)?;
    // What holds.
    pivot::run(lab)?;
    // Who may call it, and where.
    refusals::run(lab)
}
