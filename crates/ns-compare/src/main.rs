//! Which namespaces do two processes share?
//!
//! A process is in one namespace of each of eight kinds; the links in /proc/PID/ns tell in which. Watch the outside
//! column: the two arms of a claim run the same code, and often nothing but a single flag parts them.
//!
//! With PIDs, or with `--list`, this program answers for the processes of this machine instead.

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

use lesson::Experiment;
use ns_core::Namespaces;

const NS_COMPARE: Experiment = Experiment {
    name: "ns-compare",
    question: "Which namespaces do two processes share?",
    setup: "The same code, in its creator's namespaces and in new ones.",
    arms: ["no flag", "CLONE_NEW*"],
    in_short: "each kind has a resource of its own. unshare() moves children alone into PID and time, setns() into PID.",
    notes: "Linux namespaces",
    man: &["namespaces(7)", "clone(2)", "unshare(2)", "setns(2)", "ioctl_ns(2)"],
    examples: &[
        ("ns-compare", "run the experiment"),
        ("ns-compare 812 913", "compare two processes"),
        ("ns-compare $$", "compare one with ns-compare itself"),
        ("sudo ns-compare --list", "every namespace that has a member"),
        ("ns-compare --sabotage", "without the factors: no claim holds"),
    ],
    // What the controls write to. Time and PID namespaces take in children alone, and hide nothing here.
    sandbox: Namespaces::UTS.union(Namespaces::IPC).union(Namespaces::NET).union(Namespaces::MNT),
    requires: &[],
    steps: &[
        // What each kind isolates.
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
        // What moves a process into a namespace.
        calls::TRY_EACH_FLAG,
        calls::CLONE_INTO_EIGHT,
        calls::LOSE_A_FLAG,
        calls::UNSHARE_EIGHT,
        calls::ENTER_EIGHT,
        calls::ENTER_WHAT_IS_REFUSED,
        calls::ASK_EVERY_IOCTL,
        calls::FIND_BY_IOCTL,
        // And what does not.
        refusals::UNSHARE_WITHOUT_PRIVILEGE,
        refusals::UNSHARE_AN_ODD_BIT,
        refusals::ENTER_WITH_ONE_THING_WRONG,
        refusals::CLONE_AND_SHARE,
        refusals::BESIDE_A_THREAD,
        // Which namespace is which.
        identity::COMPARE_LINKS,
        identity::READ_A_LINK,
        identity::LOOK_FOR_CHILDREN,
        identity::MAKE_SIXTEEN,
        identity::READ_THE_FIRST,
        // And whose it is.
        relations::ASK_FOR_PARENTS,
        relations::ASK_EVERYTHING,
        relations::ASK_FOR_THE_OWNER,
        relations::ASK_FROM_INSIDE,
        relations::ASK_WHO_CREATED_IT,
        // And what no namespace is for.
        kinds::COUNT_THREADS,
        settings::SET_CORE_PATTERN,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main_with(&NS_COMPARE, asked::instead)
}
