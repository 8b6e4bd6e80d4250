//! Is chroot a jail?
//!
//! chroot(2) changes where the paths of one process start, and nothing else. Watch what stays as it was: the working
//! directory, open descriptors, the mounts, and the other processes. Each of them is a way out.
//!
//! Containers use pivot_root(2) in their own mount namespace instead. The same process tries the same ways out of both.
//! It is plain Rust, so the jail needs no programs.

mod escape;
mod jail;
mod pivot;
mod refusals;
mod root;
mod shell;

use lesson::Experiment;
use ns_core::Namespaces;

const CHROOT_JAIL: Experiment = Experiment {
    name: "chroot-jail",
    question: "Is chroot a jail?",
    setup: "A process is confined to a directory, and tries to get out.",
    arms: ["no chroot()", "chroot()"],
    in_short: "root can get out of a chroot(). pivot_root() confines it, unless a directory outside is still open.",
    notes: "chroot",
    man: &["chroot(2)", "pivot_root(2)", "path_resolution(7)", "user_namespaces(7)"],
    examples: &[
        ("chroot-jail", "run the experiment"),
        ("chroot-jail --sabotage", "run the negative control: without the factors, no claim holds"),
        ("chroot-jail --format jsonl | jq .", "show the run as data"),
        (
            "strace -f -e trace=chroot,chdir,fchdir,pivot_root,umount2,setns chroot-jail",
            "show the calls of the run",
        ),
    ],
    sandbox: Namespaces::MNT,
    requires: &[],
    steps: &[
        // What chroot() changes, and what it does not.
        root::CALL_CHROOT,
        root::STAY_OUTSIDE,
        root::SIGNAL_AND_RUN,
        // Ways out.
        escape::TRY_THE_WAYS_OUT,
        escape::KEEP_A_DIRECTORY,
        escape::REACH_THROUGH_PROC,
        // pivot_root().
        pivot::ASK_ANOTHER_MEMBER,
        pivot::BREAK_THE_RULES,
        // Who may call chroot(), and where.
        refusals::CALL_WITHOUT_PRIVILEGE,
        refusals::MAKE_A_USER_NAMESPACE,
        refusals::CALL_ON_OTHER_PATHS,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&CHROOT_JAIL)
}
