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
mod names;
mod overlay;
mod owners;
mod place;
mod propagation;
mod tree;

use lesson::Experiment;
use ns_core::Namespaces;

const MOUNT_NS: Experiment = Experiment {
    name: "mount-ns",
    question: "Who sees this mount?",
    setup: "A child mounts a tmpfs, or writes a file. Who sees it?",
    arms: ["plain child", "CLONE_NEWNS"],
    in_short: "mounts are copied, files are not. What is mounted on a shared mount, its copies show too.",
    notes: "Mount Namespace",
    man: &["mount_namespaces(7)", "mount(2)", "mount(8)", "user_namespaces(7)"],
    examples: &[
        ("mount-ns", "run the experiment"),
        ("mount-ns --sabotage", "without the namespace: no claim holds"),
        ("mount-ns --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=mount,umount2,clone3 mount-ns", "the system calls"),
    ],
    sandbox: Namespaces::MNT,
    requires: &[],
    steps: &[
        // Two lists, and the files below them.
        copy::COMPARE_LISTS,
        copy::MOUNT_ON_EITHER_SIDE,
        copy::WRITE_INSIDE,
        copy::UNMOUNT_OUTSIDE,
        copy::ENTER_WHEN_EMPTY,
        // What passes from one list to the other all the same.
        propagation::SET_ON_THE_COPY,
        propagation::BIND_THE_COPY,
        propagation::BIND_INTO_ITSELF,
        propagation::MOUNT_AFTER_UNSHARE,
        propagation::LEAK_TO_THE_HOST,
        // The same in the hands of someone who may do less, and what they may mount.
        less::COPY_ONCE_MORE,
        less::GET_RID_OF_A_MOUNT,
        less::LOOSEN_RESTRICTIONS,
        kinds::MOUNT_EACH_KIND,
        // What can be done with mounts within one list.
        tree::BIND_FILES_AND_TREES,
        tree::MOVE_A_MOUNT,
        tree::MOUNT_OVER,
        tree::ATTACH_A_DESCRIPTOR,
        tree::RESTRICT_THE_TOP,
        overlay::CHANGE_AND_REMOVE,
        owners::MAP_OWNERS,
        names::GIVE_A_NAME,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&MOUNT_NS)
}
