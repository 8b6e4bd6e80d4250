//! Who sees this mount?
//!
//! A mount namespace begins as a copy of another, and from then on each has its own list of mounts. Watch for what the
//! copy leaves in common: the files below a mount that both have, and mounts that are *shared*, which pass on what is
//! mounted on them. Membership alone does not tell who sees a mount. The mount that it is made on has a say.
//!
//! Every arm has a mount namespace of its own around it, in which /mnt is an empty tmpfs, so that none finds what another
//! has left.

mod copy;
mod kinds;
mod less;
mod overlay;
mod place;
mod propagation;
mod tree;

use anyhow::Result;
use lesson::{Experiment, Lab};
use ns_core::Namespaces;

const MOUNT_NS: Experiment = Experiment {
    name: "mount-ns",
    question: "Who sees this mount?",
    notes: "Mount Namespace",
    man: &["mount_namespaces(7)", "mount(2)", "mount(8)", "user_namespaces(7)"],
    examples: &[
        ("mount-ns", "run the experiment"),
        ("mount-ns --sabotage", "without the namespace: no claim holds"),
        ("mount-ns --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=mount,umount2,clone3 mount-ns", "the system calls"),
    ],
    stage: Namespaces::MNT,
    needs: &[],
    claims: &[
        copy::COPY,
        copy::INSIDE_ONLY,
        copy::OUTSIDE_ONLY,
        copy::SAME_FILES,
        copy::KEPT,
        copy::REMOVED,
        copy::HELD,
        propagation::SHARED,
        propagation::PRIVATE,
        propagation::SLAVE,
        propagation::UNBINDABLE,
        propagation::COPIED,
        propagation::EXPLOSION,
        propagation::LEAK,
        propagation::MEMBERS_ALONE,
        propagation::MADE_PRIVATE,
        propagation::HOST,
        less::SLAVES,
        less::LOCKED,
        less::REVEAL,
        less::WHOLE,
        less::OWN,
        less::FLAGS,
        kinds::OWNED,
        kinds::NEVER,
        tree::BIND,
        tree::SUBMOUNTS,
        tree::MOVE,
        tree::MOVE_SHARED,
        tree::UNDER,
        tree::DETACHED,
        tree::BENEATH,
        tree::TOP_ALONE,
        overlay::COPY_UP,
        overlay::WHITEOUT,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&MOUNT_NS)
}

fn run(lab: &mut Lab) -> Result<()> {
    // Two lists, and the files below them.
    copy::run(lab)?;
    // What passes from one list to the other all the same.
    propagation::run(lab)?;
    // The same in the hands of someone who may do less, and what they may mount.
    less::run(lab)?;
    kinds::run(lab)?;
    // What can be done with mounts within one list.
    tree::run(lab)?;
    overlay::run(lab)
}
