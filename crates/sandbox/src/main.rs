//! What is refused, though the namespaces allow it?
//!
//! Namespaces decide which resources a process uses, and a user can be root in a user namespace. The restrictions here
//! limit that root too. Each takes something away, and cannot be undone. Watch for who may use them: an ordinary user
//! may use nearly all of them, for their own processes.
//!
//! An ordinary user does all of this, partly inside Z: a user namespace of that user, whose root has every capability
//! in it.

mod calls;
mod capabilities;
mod filters;
mod inherited;
mod landlock;
mod masks;
mod mounts;
mod no_new_privs;
mod program;
mod set_user_id;
mod shell;
mod supervisor;
mod user;

use lesson::Experiment;
use ns_core::Namespaces;

const SANDBOX: Experiment = Experiment {
    name: "sandbox",
    question: "What is refused, though the namespaces allow it?",
    setup: "A process makes a call: as it is, and under a restriction.",
    arms: ["", ""],
    in_short: "restrictions refuse what the namespaces allow, even to root inside.",
    notes: "",
    man: &[
        "capabilities(7)",
        "seccomp(2)",
        "seccomp_unotify(2)",
        "landlock(7)",
        "PR_SET_NO_NEW_PRIVS(2const)",
    ],
    examples: &[
        ("sandbox", "run the experiment, as any user"),
        ("sudo sandbox", "also ask about set-user-ID programs"),
        ("sandbox --sabotage", "the negative control: no claim holds"),
        (
            "strace -f -e trace=prctl,seccomp,landlock_restrict_self,execve sandbox",
            "the calls that give something up",
        ),
    ],
    // Each arm starts as an ordinary user, outside of any sandbox. Those that mount create a Z.
    sandbox: Namespaces::NONE,
    requires: &[],
    steps: &[
        // What execve(2) gives.
        no_new_privs::EXECUTE,
        no_new_privs::PASS_ON,
        mounts::RESTRICT,
        capabilities::DROP,
        // Which calls are allowed.
        filters::REFUSE,
        filters::INSTALL_FILTER,
        filters::PASS_ON,
        filters::LOOK_AT_ARGUMENTS,
        supervisor::ANSWER,
        // Which files are allowed.
        landlock::GIVE_UP_FILES,
        landlock::PASS_ON,
        landlock::GIVE_UP_MORE,
        masks::COVER,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    program::end_with_privileges();
    inherited::after_execve();
    lesson::main(&SANDBOX)
}
