//! One process, how many PIDs?
//!
//! PID namespaces form a tree, and a process has a PID in its own namespace and in each one above it. Watch for the
//! direction: PIDs, signals and procfs all look down the tree, and nothing in it looks up: what leads up is an inherited descriptor.
//!
//! Where a trial needs a namespace to stand in for the machine's own, it makes one, A, around both arms alike. What an
//! arm adds to it is the factor.

mod adoption;
mod allocation;
mod depth;
mod mounts;
mod moving;
mod reach;
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
    setup: "A PID namespace, A, and in it another, B.",
    arms: ["plain child", "CLONE_NEWPID"],
    in_short: "a process has a PID in its namespace and each one above, none below. procfs shows its mounter's.",
    notes: "PID Namespace",
    man: &["pid_namespaces(7)", "setns(2)", "ioctl_ns(2)"],
    examples: &[
        ("pid-ns-tree", "run the experiment"),
        ("pid-ns-tree --sabotage", "without the namespaces: no claim holds"),
        ("pid-ns-tree --format jsonl | jq .", "the same as data"),
        ("strace -f -e trace=unshare,setns,clone3 pid-ns-tree", "who goes where"),
    ],
    // For new procfs mounts. The PID namespaces are made around each trial: one of the sandbox would take in children only.
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
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&PID_NS_TREE)
}

const ONE_EACH: Claim = Claim::holds(
    "one-each",
    "A process has one PID in its own PID namespace and one in every ancestor of it (NSpid in /proc/PID/status).",
)
.factor("CLONE_NEWPID")
.notes(&[92, 94, 99])
.core(&[Row::inside("NSpid, three deep", "NSpid of C's first")])
.asks(
    "Three PID namespaces are nested below the host's. How many PIDs has a process of the innermost?",
    &[
        right("four: one in each, the host's included"),
        wrong("one", "ps shows one PID for each process"),
        wrong("two: its own inside, and the host's", "with one container, two are what one sees"),
        wrong("three: the host's is not counted", "the host is thought to be in no namespace"),
    ],
);
const LISTED: Claim = Claim::holds(
    "listed",
    "A procfs lists the processes of its own PID namespace and of those below it, by their PIDs there.",
)
.factor("CLONE_NEWPID")
.notes(&[94, 95, 99, 101])
.requires(&[Requirement::Probe(mounts::new_procfs)]);

const NEST: Step = Step {
    title: "Nest PID namespaces: A in ours, B in A, C in B, with one process each. Ask each for its PIDs, \
            and whom it sees.",
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
        trees.treatment().introduce(lab)?;
        let reports = trees.try_map(Tree::look)?;
        lab.judge(ONE_EACH, reports.clone().map(|of| of.pids))
            .shows(inside("NSpid of C's first").that(trial::lists(LEVELS.len())))?;
        if mounts {
            lab.table(
                "Who sees whom, and by which PID",
                &["the process", "from here", "from A", "from B", "from C"],
                reports.treatment().rows(),
            )?;
        }
        lab.judge(LISTED, reports.map(|of| of.against_the_claim()))
            .shows(inside("of the 16 cells, against the claim").is(0))
    },
};

const SAME_NUMBER: Claim =
    Claim::holds("same-number", "Two processes have the same PID at once, each in a namespace of its own.")
        .factor("CLONE_NEWPID")
        .notes(&[81, 82]);

const START_SIDE_BY_SIDE: Step = Step {
    title: "Start two processes side by side, in a new PID namespace each, and ask each for its own PID.",
    calls: &["clone3(CLONE_NEWPID)", "clone3(CLONE_NEWPID)", "getpid()"],
    by_hand: &[hand("unshare -Urpf sh -c 'echo $$' & unshare -Urpf sh -c 'echo $$'; wait").prints("1\n1")],
    claims: &[SAME_NUMBER],
    run: |lab| {
        lab.compare(SAME_NUMBER, Namespaces::NONE, Namespaces::PID, two_side_by_side)?.shows(
            inside("getpid() of one").same_as(inside("getpid() of the other"))
                & outside("PID of one").differs_from(outside("PID of the other")),
        )
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
