//! Who sees this mount?
//!
//! A mount namespace begins as a copy of another. From then on, each has its own list of mounts. Watch what both still
//! have in common: the files below a copied mount, and *shared* mounts, which send mount events to their copies. So two
//! things decide who sees a mount: the namespace, and the propagation of the mount below it.
//!
//! Each arm runs in a new mount namespace with an empty tmpfs at /mnt, so that no arm finds the mounts of another.

mod copy;
mod kinds;
mod less;
mod names;
mod overlay;
mod owners;
mod place;
mod propagation;
mod shell;
mod tree;

use lesson::Experiment;
use ns_core::Namespaces;

const MOUNT_NS: Experiment = Experiment {
    name: "mount-ns",
    question: "Who sees this mount?",
    setup: "A child mounts a tmpfs, or writes a file. Who sees it?",
    arms: ["plain child", "CLONE_NEWNS"],
    in_short: "mounts are copied, files are not. A mount made on a shared mount appears on its copies too.",
    notes: "Mount Namespace",
    man: &["mount_namespaces(7)", "mount(2)", "mount(8)", "user_namespaces(7)"],
    examples: &[
        ("mount-ns", "run the experiment"),
        ("mount-ns --sabotage", "without the factors: no claim holds"),
        ("mount-ns --format jsonl | jq .", "the events as JSON lines"),
        ("strace -f -e trace=mount,umount2,clone3 mount-ns", "the system calls"),
    ],
    sandbox: Namespaces::MNT,
    requires: &[],
    steps: &[
        // Two lists of mounts, and the files below them.
        copy::COMPARE_LISTS,
        copy::MOUNT_ON_EITHER_SIDE,
        copy::WRITE_INSIDE,
        copy::UNMOUNT_OUTSIDE,
        copy::ENTER_WHEN_EMPTY,
        // Propagation from one list to the other.
        propagation::SET_ON_THE_COPY,
        propagation::BIND_THE_COPY,
        propagation::BIND_INTO_ITSELF,
        propagation::MOUNT_AFTER_UNSHARE,
        propagation::LEAK_TO_THE_HOST,
        // Mount namespaces that a new user namespace owns, and the filesystems that can be mounted there.
        less::COPY_ONCE_MORE,
        less::GET_RID_OF_A_MOUNT,
        less::LOOSEN_RESTRICTIONS,
        kinds::MOUNT_EACH_KIND,
        // Operations on the mounts of one list.
        tree::BIND_FILES_AND_TREES,
        tree::MOVE_A_MOUNT,
        tree::MOUNT_OVER,
        tree::ATTACH_A_DESCRIPTOR,
        tree::RESTRICT_THE_TOP,
        overlay::CHANGE_AND_REMOVE,
        owners::MAP_OWNERS,
        names::GIVE_A_NAME,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&MOUNT_NS)
}
