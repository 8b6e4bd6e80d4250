//! What is refused, though the namespaces allow it?
//!
//! Namespaces decide what a process sees, and a user namespace makes its user root there. What stops that root is of
//! another kind: each of these takes something away, and none can be undone. Watch for who may use them: an ordinary user
//! may use nearly all of it on himself.
//!
//! All is done by an ordinary user, partly inside Z: a user namespace of theirs, whose root has every capability in it.

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
mod supervisor;
mod user;

use lesson::Experiment;
use ns_core::Namespaces;

const SANDBOX: Experiment = Experiment {
    name: "sandbox",
    question: "What is refused, though the namespaces allow it?",
    setup: "A process makes a call, as it is and under a restriction.",
    arms: ["", ""],
    in_short: "these refuse what the namespaces allow, even to root inside.",
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
        ("sudo sandbox", "as root: set-user-ID programs too"),
        ("sandbox --sabotage", "without the restrictions: no claim holds"),
        (
            "strace -f -e trace=prctl,seccomp,landlock_restrict_self,execve sandbox",
            "who gives what up, and when",
        ),
    ],
    // Each trial is done by an ordinary user, who begins outside of any sandbox; those that mount make a Z.
    sandbox: Namespaces::NONE,
    requires: &[],
    steps: &[
        // What execve(2) gives.
        no_new_privs::EXECUTE,
        no_new_privs::PASS_ON,
        mounts::RESTRICT,
        capabilities::DROP,
        // Which calls are left.
        filters::REFUSE,
        filters::INSTALL_FILTER,
        filters::PASS_ON,
        filters::LOOK_AT_ARGUMENTS,
        supervisor::ANSWER,
        // Which files are.
        landlock::GIVE_UP_FILES,
        landlock::PASS_ON,
        landlock::GIVE_UP_MORE,
        masks::COVER,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    program::end_with_privileges();
    inherited::after_execve();
    lesson::main(&SANDBOX)
}
