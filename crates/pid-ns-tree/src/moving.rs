//! unshare() and setns() set the PID namespace of the caller's next children: the own one, or one below.

use anyhow::Result;
use lesson::{Claim, Effect, Row, Step, every, hand, inside, right, wrong};
use nix::unistd::getpid;
use ns_core::{
    Capability, Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, namespace, process,
};

use crate::trial::{self, in_a, lists, pid_of, report_pids_and_stay};

const CHANGED: &str = "getpid() changed";
const MOVED: &str = "ns/pid changed";
const CHILD: &str = "NSpid of its next child";
const UNSHARE_AGAIN: &str = "unshare(CLONE_NEWPID) again";

const CALLER_STAYS: Claim = Claim::holds(
    "caller-stays",
    "After unshare(CLONE_NEWPID), the caller keeps its PID and namespace, and its next child is in the new namespace.",
)
.factor("unshare(CLONE_NEWPID)")
.notes(&[96])
.more(&[34]);

pub(crate) const UNSHARE: Step = Step {
    title: "In A, call unshare(CLONE_NEWPID). Compare the caller before and after, and create a child.",
    calls: &["getpid()", "unshare(CLONE_NEWPID)", "getpid()", "fork()"],
    by_hand: &[hand("unshare -Ur --pid bash -c 'echo $$; bash -c \"echo \\$\\$\"; echo $$'")
        .prints("<pid>\n1\n<pid>")],
    claims: &[CALLER_STAYS],
    run: |lab| {
        lab.compare(CALLER_STAYS, Namespaces::NONE, Namespaces::PID, unshare_and_compare)?
            .in_both_arms(stays())
            .shows(inside(CHILD).that(lists(3)))
    },
};

const CHILDREN_GO: Claim = Claim::holds(
    "children-go",
    "After setns() into a child PID namespace, the caller keeps its PID and namespace; its next child is there.",
)
.factor("setns(CLONE_NEWPID)")
.notes(&[96, 97]);
const FREELY: Claim =
    Claim::refuted("freely", "setns() moves its caller into a child PID namespace.", "children-go")
        .factor("setns(CLONE_NEWPID)")
        .notes(&[97]);

pub(crate) const ENTER: Step = Step {
    title: "In A, call setns() with the file of a child PID namespace. Compare the caller before and after, and create a child.",
    calls: &["open(\"/proc/PID/ns/pid\")", "setns(file, CLONE_NEWPID)", "getpid()", "fork()"],
    by_hand: &[hand("unshare -Urpf --kill-child sleep 600 & sleep 1; init=$(pgrep --parent $!)").prints(""), hand("nsenter -t $init -U --preserve-credentials -p --no-fork bash -c 'echo $$; bash -c \"echo \\$\\$\"; echo $$'").prints("<pid>\n2\n<pid>"), hand("kill -KILL $init").prints(""), ],
    claims: &[CHILDREN_GO, FREELY],
    run: |lab| {
        let entered = lab.arms(false, true, enter_and_compare)?;
        lab.judge(CHILDREN_GO, entered.clone())
            .in_both_arms(stays())
            .shows(inside(CHILD).that(lists(3)))?;
        lab.judge(FREELY, entered).shows(inside(MOVED).is(true))
    },
};

const CAPABLE: Claim =
    Claim::holds("capable", "Without CAP_SYS_ADMIN, setns() into a child PID namespace fails with EPERM.")
        .factor("a dropped CAP_SYS_ADMIN")
        .notes(&[97]);

pub(crate) const ENTER_WITHOUT_PRIVILEGE: Step = Step {
    title: "Drop CAP_SYS_ADMIN, and call setns() with the file of a child PID namespace.",
    calls: &["capset()", "setns(file, CLONE_NEWPID)"],
    by_hand: &[
        hand("unshare -Urpf --kill-child sleep 600 & sleep 1; init=$(pgrep --parent $!)").prints(""),
        hand("nsenter -t $init --pid true; kill -KILL $init").prints("EPERM"),
    ],
    claims: &[CAPABLE],
    run: |lab| {
        lab.compare(CAPABLE, true, false, |capable| enter(Target::Below, capable))?
            .shows(inside("setns(a child)").is("EPERM"))
    },
};

const NO_ASCENT: Claim = Claim::holds(
    "no-ascent",
    "setns() accepts the caller's own PID namespace and one below; the parent or a sibling gives EINVAL.",
)
.factor("the parent or a sibling as the target")
.notes(&[98])
.arms("B itself", "its parent A")
.core(&[Row::first("setns() in B, to")])
.asks(
    "Root in PID namespace B calls setns() with the file of B's parent. What happens?",
    &[
        right("setns() fails with EINVAL"),
        wrong("its next child is in the parent namespace", "setns() does that for a child namespace"),
        wrong("setns() fails with EPERM", "EPERM is the usual errno where a privilege is missing"),
    ],
);

pub(crate) const ENTER_IN_EACH_DIRECTION: Step = Step {
    title: "From B, a PID namespace in A, call setns() in each direction: B itself, a child, the parent, a sibling.",
    calls: &["setns(file, CLONE_NEWPID)"],
    by_hand: &[hand(
        "unshare -Urpf --mount-proc sh -c 'sleep 9 & unshare -pf nsenter --pid=/proc/$!/ns/pid true'",
    )
    .prints("EINVAL")],
    claims: &[NO_ASCENT],
    run: |lab| {
        let (own_or_below, parent_or_sibling) =
            ([Target::Own, Target::Below], [Target::Parent, Target::Sibling]);
        lab.compare(NO_ASCENT, own_or_below, parent_or_sibling, |[one, other]| {
            Ok([enter(one, true)?, enter(other, true)?].concat())
        })?
        .shows(every().is("EINVAL"))
    },
};

const UNDO: Claim = Claim::holds(
    "undo",
    "setns() into the caller's own PID namespace undoes unshare(CLONE_NEWPID): the next child is in that namespace.",
)
.factor("setns() into the own namespace")
.notes(&[98]);
const AGAIN: Claim = Claim::holds(
    "again",
    "A second unshare(CLONE_NEWPID) fails with EINVAL, unless setns() into the own PID namespace comes between.",
)
.factor("setns() into the own namespace")
.notes(&[98]);

pub(crate) const COME_BACK: Step = Step {
    title: "In A, call unshare(CLONE_NEWPID), undo it by setns() into A, and create a child. Then call unshare(CLONE_NEWPID) again.",
    calls: &[
        "unshare(CLONE_NEWPID)",
        "setns(open(\"/proc/self/ns/pid\"), CLONE_NEWPID)",
        "fork()",
        "unshare(CLONE_NEWPID)",
    ],
    by_hand: &[hand("readlink /proc/self/ns/pid; unshare --pid bash -c 'readlink /proc/self/ns/pid; true'").as_root().prints("<ns A>\n<ns B>"), hand("unshare --pid nsenter --pid=/proc/self/ns/pid --no-fork bash -c 'readlink /proc/self/ns/pid; true'").as_root().prints("<ns A>"), hand("unshare --pid unshare --pid true").as_root().prints("EINVAL"), hand("unshare --pid nsenter --pid=/proc/self/ns/pid --no-fork unshare --pid true; echo $?").as_root().prints("0"), ],
    claims: &[UNDO, AGAIN],
    run: |lab| {
        let came_back = lab.arms(false, true, come_back)?;
        // Two PIDs: in the experiment's namespace and in A.
        lab.judge(UNDO, came_back.only(&[CHILD])).shows(inside(CHILD).that(lists(2)))?;
        lab.judge(AGAIN, came_back.only(&[UNSHARE_AGAIN]))
            .shows(inside(UNSHARE_AGAIN).from("EINVAL").to("OK"))
    },
};

const NO_THREAD: Claim =
    Claim::holds("no-thread", "After unshare(CLONE_NEWPID), a process cannot create a thread.")
        .factor("unshare(CLONE_NEWPID)")
        .notes(&[96]);

pub(crate) const START_A_THREAD: Step = Step {
    title: "Create a thread, call unshare(CLONE_NEWPID), and create another.",
    calls: &["clone3(CLONE_THREAD|…)", "unshare(CLONE_NEWPID)", "clone3(CLONE_THREAD|…)"],
    by_hand: &[hand(
        "unshare --pid /usr/bin/python3 -c 'import threading; threading.Thread(target=print).start()'",
    )
    .as_root()
    .prints("…\nRuntimeError: can't start new thread")],
    claims: &[NO_THREAD],
    run: |lab| {
        lab.compare(NO_THREAD, Namespaces::NONE, Namespaces::PID, start_a_thread)?
            .in_both_arms(inside(BEFORE).is("OK"))
            .shows(inside("thread created").is(false))
    },
};

const RECOVER: Claim = Claim::holds(
    "recover",
    "After the init of the new namespace ends, fork() fails with ENOMEM until setns() into the own namespace.",
)
.factor("setns() into the own namespace")
.notes(&[98])
.more(&[37]);

pub(crate) const RECOVER_FROM_ENOMEM: Step = Step {
    title: "Call unshare(CLONE_NEWPID), and let the first child end, which is the init. Call fork(), setns() into A, and fork() again.",
    calls: &["unshare(CLONE_NEWPID)", "fork()", "waitpid()", "setns(own, CLONE_NEWPID)", "fork()"],
    by_hand: &[
        hand("unshare --pid bash -c '/bin/true; echo $?; /bin/true; echo never'")
            .as_root()
            .prints("0\nENOMEM"),
        hand("unshare --pid sh -c '/bin/true; exec nsenter --pid=/proc/self/ns/pid echo back'")
            .as_root()
            .prints("back"),
    ],
    claims: &[RECOVER],
    run: |lab| {
        lab.compare(RECOVER, false, true, fork_after_init)?
            .shows(inside("second fork()").from("ENOMEM").to("OK"))
    },
};

/// The caller keeps its PID and namespace.
fn stays() -> Effect {
    inside(CHANGED).is(false) & inside(MOVED).is(false)
}

/// Runs `change`, and reports the caller before and after it, and its next child.
fn compare_before_and_after(
    me: &mut Reporter,
    change: impl FnOnce() -> ns_core::Result<()>,
) -> ns_core::Result<()> {
    let (pid, home) = (getpid(), namespace::of_kind(None, Kind::Pid)?);
    change()?;
    me.report(CHANGED, getpid() != pid)?;
    me.report(MOVED, namespace::of_kind(None, Kind::Pid)? != home)?;
    let mut child = Child::spawn("its next child", Namespaces::NONE, report_pids_and_stay)?;
    me.report(CHILD, child.fact()?.value)
}

fn unshare_and_compare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| compare_before_and_after(me, || namespace::unshare(namespaces)))
}

fn enter_and_compare(enters: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut below = Child::spawn("below", Namespaces::PID, report_pids_and_stay)?;
        let file = NsFile::of(Some(pid_of(&below.fact()?, 0)?), Kind::Pid)?;
        compare_before_and_after(me, || if enters { file.enter(Some(Kind::Pid)) } else { Ok(()) })
    })
}

#[derive(Clone, Copy)]
enum Target {
    Own,
    Below,
    Parent,
    Sibling,
}

/// From B, a namespace in A, calls setns() with the file of the target.
fn enter(target: Target, capable: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let mut sibling = Child::spawn("sibling", Namespaces::PID, report_pids_and_stay)?;
        let sibling = file_of(&mut sibling)?;
        let parent = NsFile::of(None, Kind::Pid)?;
        let mover = Child::spawn("mover", Namespaces::PID, move |me| {
            let mut below = Child::spawn("below", Namespaces::PID, report_pids_and_stay)?;
            let (what, file) = match target {
                Target::Own => ("setns(own)", NsFile::of(None, Kind::Pid)?),
                Target::Below => ("setns(a child)", file_of(&mut below)?),
                Target::Parent => ("setns(parent)", parent),
                Target::Sibling => ("setns(sibling)", sibling),
            };
            if !capable {
                process::drop_capability(Capability::CAP_SYS_ADMIN)?;
            }
            me.report(what, Outcome::of(file.enter(Some(Kind::Pid)))?)
        })?;
        trial::send_all_of(mover, me)
    })
}

fn file_of(child: &mut Child) -> ns_core::Result<NsFile> {
    NsFile::of(Some(pid_of(&child.fact()?, 0)?), Kind::Pid)
}

fn come_back(comes_back: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let own = NsFile::of(None, Kind::Pid)?;
        namespace::unshare(Namespaces::PID)?;
        if comes_back {
            own.enter(Some(Kind::Pid))?;
        }
        let mut child = Child::spawn("its next child", Namespaces::NONE, report_pids_and_stay)?;
        me.report(CHILD, child.fact()?.value)?;
        me.report(UNSHARE_AGAIN, Outcome::of(namespace::unshare(Namespaces::PID))?)
    })
}

const BEFORE: &str = "clone3(CLONE_THREAD|…) before";

fn start_a_thread(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let start = || std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().is_ok());
        // Fails the arm if no thread can be created at all, as at a limit on processes.
        me.report(BEFORE, Outcome::of(start().named(|| "clone3(CLONE_THREAD|…)".into()))?)?;
        namespace::unshare(namespaces)?;
        // The kernel returns EINVAL. A C library may turn that into EAGAIN, as musl does. So the fact is yes or no.
        me.report("thread created", start().is_ok())
    })
}

fn fork_after_init(comes_back: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let own = NsFile::of(None, Kind::Pid)?;
        let fork = || Outcome::of(Child::spawn("child", Namespaces::NONE, |_| Ok(())));
        namespace::unshare(Namespaces::PID)?;
        Child::spawn("init", Namespaces::NONE, |_| Ok(()))?.wait()?;
        me.report("fork() after init has ended", fork()?)?;
        if comes_back {
            own.enter(Some(Kind::Pid))?;
        }
        me.report("second fork()", fork()?)
    })
}
