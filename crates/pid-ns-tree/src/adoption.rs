//! Which process adopts an orphan. That depends on the PID namespace of its *parent*.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, inside, outside, right, wrong};
use nix::sys::wait::waitpid;
use nix::unistd::{getpid, getppid};
use ns_core::{Child, Error, Fact, Kind, Named, Namespaces, NsFile, Pid, Reporter, Spawn, Value, process};

use crate::trial::{in_a, own_pids, pid_of, report_pids_and_stay, send_all_of};

const ORPHAN: &str = "getppid() of the orphan";
const GRANDPARENT: &str = "getpid() of its grandparent";
const ADOPTER: &str = "adopted by";

const BY_INIT: Claim = Claim::holds(
    "by-init",
    "An orphan whose parent was in its PID namespace is adopted by init, unless an ancestor is a subreaper.",
)
.factor("CLONE_NEWPID")
.notes(&[100]);

pub(crate) const ORPHAN_A_GRANDCHILD: Step = Step {
    title: "Let the init of B, a PID namespace in A, have a child and a grandchild. End the child. Read getppid() of the grandchild.",
    calls: &["fork()", "exit()", "getppid()"],
    by_hand: &[hand(
        "unshare -Urpf --mount-proc sh -c '(sh -c \"sleep 1; ps -o pid,ppid,comm\" &); sleep 2'",
    )
    .prints("…\n… 1 sh\n…")],
    claims: &[BY_INIT],
    run: |lab| {
        lab.compare(BY_INIT, Namespaces::NONE, Namespaces::PID, orphan_below)?
            .shows(inside(ORPHAN).same_as(inside(GRANDPARENT)))
    },
};

const SUBREAPER: Claim = Claim::holds(
    "subreaper",
    "An orphan is adopted by an ancestor that called prctl(PR_SET_CHILD_SUBREAPER), and not by init.",
)
.factor("PR_SET_CHILD_SUBREAPER")
.notes(&[100]);

pub(crate) const DECLARE_A_SUBREAPER: Step = Step {
    title: "Let a grandparent that is not init become a subreaper, as `systemd --user` and Docker's shim do. End the parent.",
    calls: &["prctl(PR_SET_CHILD_SUBREAPER, 1)", "fork()", "exit()", "getppid()"],
    by_hand: &[],
    claims: &[SUBREAPER],
    run: |lab| {
        lab.compare(SUBREAPER, false, true, orphan_of_a_subreaper)?
            .shows(inside(ORPHAN).same_as(inside(GRANDPARENT)))
    },
};

const OUTER_INIT: Claim = Claim::holds(
    "outer-init",
    "An orphan whose parent was in the parent PID namespace is adopted by init there; its getppid() returns 0.",
)
.factor("a parent outside")
.notes(&[100])
.arms("parent in B", "parent in A")
.core(&[Row::inside("orphan's getppid()", ORPHAN)])
.asks(
    "The init of A adopted a process in B, a child namespace of A. What does getppid() return to that process?",
    &[
        right("0"),
        wrong("1", "its new parent is PID 1, but in A, and B has another PID 1"),
        wrong("the PID of nsenter", "a process seems to keep its parent's PID for life"),
    ],
);
const ALWAYS_INIT: Claim =
    Claim::refuted("always-init", "The init of a PID namespace adopts every orphan in it.", "outer-init")
        .factor("a parent outside")
        .notes(&[100])
        .arms("parent in B", "parent in A")
        .core(&[Row::outside("adopted by", ADOPTER)])
        .asks(
            "nsenter, a process in A, starts a program in B, and ends. Which process adopts the program?",
            &[
                right("the init of A"),
                wrong("the init of B", "that is so if the parent was in B, which is the usual case"),
                wrong(
                    "none",
                    "its parent was in another namespace, and the kernel seems to look in one only",
                ),
            ],
        );

pub(crate) const ORPHAN_FROM_OUTSIDE: Step = Step {
    title: "From A, create a process in B by setns() and fork(), as `nsenter` and `docker exec` do. Then end its parent, in A.",
    calls: &["setns(B, CLONE_NEWPID)", "fork()", "exit()", "getppid()"],
    by_hand: &[hand("unshare -Urpf --mount-proc --kill-child sleep 60 & sleep 1; init=$(pgrep --parent $!)").prints(""), hand("nsenter -t $init -U --preserve-credentials -m -p sleep 50 & sleep 1").prints(""), hand("orphan=$(pgrep --parent $!); kill -KILL $!; wait $!; grep -E '^(PPid|NSpid)' /proc/$orphan/status").prints("PPid: …\nNSpid: … 2"), hand("nsenter -t $init -U --preserve-credentials -m -p ps -eo pid,ppid,comm; kill -KILL $init").prints("…\n2 0 sleep\n…"), ],
    claims: &[ALWAYS_INIT, OUTER_INIT],
    run: |lab| {
        let adopted = lab.arms(Parent::InB, Parent::InA, orphan_of)?;
        lab.judge(ALWAYS_INIT, adopted.clone()).shows(outside(ADOPTER).is("the init of B"))?;
        lab.judge(OUTER_INIT, adopted).shows(inside(ORPHAN).is(0) & outside(ADOPTER).is("the init of A"))
    },
};

fn orphan_below(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| send_all_of(Child::spawn("grandparent", namespaces, orphan_a_grandchild)?, me))
}

fn orphan_of_a_subreaper(declares: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let grandparent = Child::spawn("grandparent", Namespaces::NONE, move |me| {
            nix::sys::prctl::set_child_subreaper(declares)
                .named(|| format!("prctl(PR_SET_CHILD_SUBREAPER, {})", i32::from(declares)))?;
            orphan_a_grandchild(me)
        })?;
        send_all_of(grandparent, me)
    })
}

fn orphan_a_grandchild(me: &mut Reporter) -> ns_core::Result<()> {
    let line = Line::new()?;
    Child::spawn("parent", Namespaces::NONE, line.leave_an_orphan())?.facts()?; // no facts, or its error
    let orphan = line.ask()?;
    me.report(GRANDPARENT, getpid())?;
    me.report(ORPHAN, orphan.parent)
}

/// The PID namespace of the parent of a process in B.
#[derive(Clone, Copy, PartialEq)]
enum Parent {
    InA,
    InB,
}

/// Creates a process in B, whose parent is in `parent`. Then the parent ends.
fn orphan_of(parent: Parent) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let outer_init = own_pid(0)?;
        let mut init = Child::spawn("the init of B", Namespaces::PID, report_pids_and_stay)?;
        let inner_init = pid_of(&init.fact()?, 0)?;
        let file = NsFile::of(Some(inner_init), Kind::Pid)?;
        let line = Line::new()?;
        let leave = line.leave_an_orphan();
        Child::spawn("from A", Namespaces::NONE, move |me| {
            file.enter(Some(Kind::Pid))?;
            match parent {
                Parent::InA => leave(me),
                Parent::InB => Child::spawn("parent", Namespaces::NONE, leave)?.facts().map(drop),
            }
        })?
        .facts()?;
        let orphan = line.ask()?;
        let adopter = match process::status(Some(orphan.pid))?.ppid {
            it if it == outer_init.as_raw() => "the init of A",
            it if it == inner_init.as_raw() => "the init of B",
            _ => "another process",
        };
        if adopter == "the init of A" {
            // This process is the parent now. The init of B cannot end before this process has waited for the orphan.
            waitpid(orphan.in_a, None).named(|| format!("waitpid({})", orphan.in_a))?;
        }
        me.report(ORPHAN, orphan.parent)?;
        me.send(Fact::outside(ADOPTER, adopter))
    })
}

/// The caller's PID in the PID namespace `level` levels below that of the experiment.
fn own_pid(level: usize) -> ns_core::Result<Pid> {
    pid_of(&Fact::inside("caller", "PIDs", own_pids()?), level)
}

/// A connection between an orphan and its grandparent. The pipes of a child end with its parent.
struct Line {
    here: UnixDatagram,
    there: UnixDatagram,
}

/// What an orphan reports.
struct Orphan {
    /// Its PID in the procfs of the experiment.
    pid: Pid,
    /// Its PID in A.
    in_a: Pid,
    /// What getppid() returns to it.
    parent: Value,
}

impl Line {
    fn new() -> ns_core::Result<Line> {
        let (here, there) = UnixDatagram::pair().named(|| "socketpair(AF_UNIX, SOCK_DGRAM)".into())?;
        for end in [&here, &there] {
            end.set_read_timeout(Some(Duration::from_secs(10))).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
        }
        Ok(Line { here, there })
    }

    /// The parent's part: creates a child that waits for a question, and ends before the child.
    fn leave_an_orphan(&self) -> impl FnOnce(&mut Reporter) -> ns_core::Result<()> + use<> {
        let there = self.there.try_clone();
        move |_| {
            let there = there.named(|| "dup()".into())?;
            let orphan = Spawn::new("orphan").outlives_parent().run(move |_| {
                there.recv(&mut [0; 8]).named(|| "recv()".into())?;
                let report = format!("{} {} {}", own_pid(0)?, own_pid(1)?, getppid());
                there.send(report.as_bytes()).named(|| "send()".into()).map(drop)
            })?;
            orphan.abandon();
            Ok(())
        }
    }

    /// Asks the orphan. Call this after its parent has ended.
    fn ask(&self) -> ns_core::Result<Orphan> {
        self.here.send(b"?").named(|| "send()".into())?;
        let mut buffer = [0; 64];
        let length = self.here.recv(&mut buffer).named(|| "recv()".into())?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let pids: Vec<i32> = text.split(' ').filter_map(|pid| pid.parse().ok()).collect();
        match pids.as_slice() {
            [pid, in_a, parent] => Ok(Orphan {
                pid: Pid::from_raw(*pid),
                in_a: Pid::from_raw(*in_a),
                parent: Value::Pid(*parent),
            }),
            _ => Err(Error::Unreadable { what: "the orphan's answer".into(), message: text }),
        }
    }
}
