//! Which namespaces do two processes share?
//!
//! A process is in one namespace of each of eight kinds; the links in /proc/PID/ns show in which. Watch what is visible
//! outside: the two arms of a claim run the same code, and often differ in a single flag.
//!
//! With PIDs, or with `--list`, this program shows the processes of this machine instead.

mod asked;
mod calls;
mod census;
mod compare;
mod container;
mod eight;
mod identity;
mod kinds;
mod process;
mod refusals;
mod relations;
mod resource;
mod settings;
mod shell;

use lesson::Experiment;
use ns_core::Namespaces;

const NS_COMPARE: Experiment = Experiment {
    name: "ns-compare",
    question: "Which namespaces do two processes share?",
    setup: "The same code, in the namespaces of its creator and in new ones.",
    arms: ["no flag", "CLONE_NEW*"],
    in_short: "each kind isolates one resource. Only children enter PID and time by unshare(), and PID by setns().",
    notes: "Linux namespaces",
    man: &["namespaces(7)", "clone(2)", "unshare(2)", "setns(2)", "ioctl_ns(2)"],
    examples: &[
        ("ns-compare", "run the experiment"),
        ("ns-compare 812 913", "compare two processes"),
        ("ns-compare $$", "compare one process with ns-compare itself"),
        ("sudo ns-compare --list", "every namespace that has a member"),
        ("ns-compare --sabotage", "without the factors: no claim holds"),
    ],
    // The controls write to these. TIME and PID are left out: only children enter them, and they hide nothing here.
    sandbox: Namespaces::UTS.union(Namespaces::IPC).union(Namespaces::NET).union(Namespaces::MNT),
    requires: &[],
    steps: &[
        // The resource that each kind isolates.
        kinds::READ_CGROUP_PATHS,
        kinds::MAKE_A_QUEUE,
        kinds::MAKE_DEVICES,
        kinds::MOUNT,
        kinds::ASK_FOR_THE_PID,
        kinds::SET_THE_CLOCK,
        kinds::MAP_A_USER,
        kinds::SET_THE_HOSTNAME,
        kinds::PUT_TOGETHER,
        kinds::TAKE_ALONG,
        // The calls that move a process into a namespace.
        calls::TRY_EACH_FLAG,
        calls::CLONE_INTO_EIGHT,
        calls::LOSE_A_FLAG,
        calls::UNSHARE_EIGHT,
        calls::ENTER_EIGHT,
        calls::ENTER_WHAT_IS_REFUSED,
        calls::ASK_EVERY_IOCTL,
        calls::FIND_BY_IOCTL,
        // The calls that fail.
        refusals::UNSHARE_WITHOUT_PRIVILEGE,
        refusals::UNSHARE_AN_UNKNOWN_BIT,
        refusals::ENTER_WITH_ONE_THING_WRONG,
        refusals::CLONE_AND_SHARE,
        refusals::BESIDE_A_THREAD,
        // The identity of a namespace.
        identity::COMPARE_LINKS,
        identity::READ_A_LINK,
        identity::LOOK_FOR_CHILDREN,
        identity::MAKE_SIXTEEN,
        identity::READ_THE_FIRST,
        // The owner and the parent of a namespace.
        relations::ASK_FOR_PARENTS,
        relations::ASK_EVERYTHING,
        relations::ASK_FOR_THE_OWNER,
        relations::ASK_FROM_INSIDE,
        relations::ASK_WHO_CREATED_IT,
        // Resources that no namespace isolates.
        kinds::COUNT_THREADS,
        settings::SET_CORE_PATTERN,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main_with(&NS_COMPARE, asked::instead)
}
