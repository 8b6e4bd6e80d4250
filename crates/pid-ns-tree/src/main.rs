//! One process, how many PIDs?
//!
//! PID namespaces form a tree. A process has a PID in its own namespace and in each ancestor. Watch the direction: by
//! PIDs, signals and procfs, a process reaches its own namespace and those below. Only an inherited descriptor reaches
//! a process above.
//!
//! In most steps a PID namespace A is around both arms, in the place of the host's. What an arm adds to A is the
//! factor.

mod adoption;
mod allocation;
mod depth;
mod mounts;
mod moving;
mod reach;
mod shell;
mod translation;
mod tree;
mod trial;

use anyhow::Result;
use lesson::{Claim, Experiment, Requirement, Row, Step, hand, inside, outside, right, wrong};
use nix::unistd::getpid;
use ns_core::{Child, Fact, Namespaces, Reporter};
use tree::{LEVELS, Tree};

const PID_NS_TREE: Experiment = Experiment {
    name: "pid-ns-tree",
    question: "One process, how many PIDs?",
    setup: "A PID namespace A, and in it a nested one, B.",
    arms: ["plain child", "CLONE_NEWPID"],
    in_short: "a process has a PID in its namespace and each ancestor. A procfs shows its mounter's namespace.",
    notes: "PID Namespace",
    man: &["pid_namespaces(7)", "setns(2)", "ioctl_ns(2)"],
    examples: &[
        ("pid-ns-tree", "run the experiment"),
        ("pid-ns-tree --sabotage", "the negative control: no claim holds"),
        ("pid-ns-tree --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=unshare,setns,clone3 pid-ns-tree", "the calls that choose a namespace"),
    ],
    // For new procfs mounts. Each arm creates its PID namespaces, since only children would enter one of the sandbox.
    sandbox: Namespaces::MNT,
    requires: &[],
    steps: &[
        NEST,
        START_SIDE_BY_SIDE,
        reach::LOOK_OUTSIDE,
        reach::SIGNAL_EACH_OTHER,
        reach::ASK_FOR_PARENTS,
        moving::UNSHARE,
        moving::ENTER,
        moving::ENTER_WITHOUT_PRIVILEGE,
        moving::ENTER_IN_EACH_DIRECTION,
        moving::COME_BACK,
        moving::START_A_THREAD,
        moving::RECOVER_FROM_ENOMEM,
        adoption::ORPHAN_A_GRANDCHILD,
        adoption::DECLARE_A_SUBREAPER,
        adoption::ORPHAN_FROM_OUTSIDE,
        depth::NEST_TO_THE_LIMIT,
        depth::KILL_THE_FIRST,
        mounts::MOUNT_AFTER_UNSHARE,
        mounts::MOUNT_WITH_PIDNS,
        mounts::MOUNT_WITH_SUBSET,
        allocation::CHOOSE_TWICE,
        allocation::SET_THE_LAST,
        translation::ASK_THE_KERNEL,
        translation::NAME_SENDERS,
        allocation::LOWER_PID_MAX,
        reach::TAKE_A_DESCRIPTOR,
        reach::WRITE_TO_A_READER,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&PID_NS_TREE)
}

const ONE_EACH: Claim = Claim::holds(
    "one-each",
    "A process has one PID in its PID namespace and one in each ancestor, as NSpid in /proc shows.",
)
.factor("CLONE_NEWPID")
.notes(&[92, 94, 99])
.core(&[Row::inside("NSpid, three deep", "NSpid of process in C")])
.asks(
    "Three PID namespaces are nested below the host's. How many PIDs does a process of the innermost have?",
    &[
        right("four: one in each, including the host's"),
        wrong("one", "ps shows one PID for each process"),
        wrong("two: one inside, and one on the host", "with one container, there are two"),
        wrong("three: none on the host", "the host seems to be in no namespace"),
    ],
);
const LISTED: Claim = Claim::holds(
    "listed",
    "A procfs lists the processes of its PID namespace and of the namespaces below it.",
)
.factor("CLONE_NEWPID")
.notes(&[94, 95, 99, 101])
.requires(&[Requirement::Probe(mounts::new_procfs)]);

const NEST: Step = Step {
    title: "Create nested PID namespaces: A, B in A, and C in B, with one process each. Read the PIDs of each, and the processes in its procfs.",
    calls: &["clone3(CLONE_NEWPID)", "mount(\"proc\", \"/mnt\", \"proc\")", "read(\"/proc/self/status\")"],
    by_hand: &[
        hand("unshare -Urpf unshare -pf unshare -pf grep NSpid /proc/self/status").prints("NSpid: … … … 1"),
        hand("unshare -Urpf --mount-proc --kill-child unshare -pf sleep 60 & sleep 1").prints(""),
        hand("grep NSpid /proc/$(pgrep -P $(pgrep -P $!))/status; kill -KILL $!").prints("NSpid: … … 1"),
    ],
    claims: &[ONE_EACH, LISTED],
    run: |lab| {
        let mounts = lab.asks(&LISTED);
        let trees =
            lab.arms(Namespaces::NONE, Namespaces::PID, |namespaces| Tree::grow(namespaces, mounts))?;
        trees.treatment().list(lab)?;
        let reports = trees.try_map(Tree::look)?;
        lab.judge(ONE_EACH, reports.clone().map(|of| of.pids))
            .shows(inside("NSpid of process in C").that(trial::lists(LEVELS.len())))?;
        if mounts {
            lab.table(
                "The PID of each process in each procfs",
                &["process", "outside", "in A", "in B", "in C"],
                reports.treatment().rows(),
            )?;
        }
        lab.judge(LISTED, reports.map(|of| of.unexpected())).shows(inside("unexpected cells, of 16").is(0))
    },
};

const SAME_NUMBER: Claim = Claim::holds(
    "same-number",
    "Two processes can have the same PID at the same time, in two PID namespaces.",
)
.factor("CLONE_NEWPID")
.notes(&[81, 82]);

const START_SIDE_BY_SIDE: Step = Step {
    title: "Start two processes, each in a new PID namespace, and let each call getpid().",
    calls: &["clone3(CLONE_NEWPID)", "clone3(CLONE_NEWPID)", "getpid()"],
    by_hand: &[hand("unshare -Urpf sh -c 'echo $$' & unshare -Urpf sh -c 'echo $$'; wait").prints("1\n1")],
    claims: &[SAME_NUMBER],
    run: |lab| {
        lab.compare(SAME_NUMBER, Namespaces::NONE, Namespaces::PID, two_side_by_side)?
            .in_both_arms(outside("PID of one").differs_from(outside("PID of the other")))
            .shows(inside("getpid() of one").same_as(inside("getpid() of the other")))
    },
};

fn two_side_by_side(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let report_pid = |what| move |me: &mut Reporter| me.report(what, getpid()).and_then(|()| me.stay());
    let mut one = Child::spawn("one", namespaces, report_pid("getpid() of one"))?;
    let mut other = Child::spawn("other", namespaces, report_pid("getpid() of the other"))?;
    Ok(vec![
        one.fact()?,
        other.fact()?,
        Fact::outside("PID of one", one.pid()),
        Fact::outside("PID of the other", other.pid()),
    ])
}
