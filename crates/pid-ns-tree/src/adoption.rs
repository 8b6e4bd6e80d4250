//! Who adopts an orphan. The kernel looks where its *father* was.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Row, Step, hand, inside, outside, right, wrong};
use nix::sys::wait::waitpid;
use nix::unistd::{getpid, getppid};
use ns_core::{Child, Error, Fact, Kind, Named, Namespaces, NsFile, Pid, Reporter, Spawn, Value, process};

use crate::trial::{in_a, own_pids, pid_of, report_pids_and_stay, send_all_of};

const ORPHAN: &str = "getppid() of the orphan";
const GRANDFATHER: &str = "getpid() of its grandfather";
const ADOPTER: &str = "who adopted it";

const BY_INIT: Claim = Claim::holds(
    "by-init",
    "An orphan whose parent was in its PID namespace goes to its init, unless an ancestor is a subreaper.",
)
.factor("CLONE_NEWPID")
.notes(&[100]);

pub(crate) const ORPHAN_A_GRANDCHILD: Step = Step {
    title: "Let the init of B, a PID namespace in A, have a child and a grandchild, and the child end. Whose is the grandchild?",
    calls: &["fork()", "exit()", "getppid()"],
    by_hand: &[hand(
        "unshare -Urpf --mount-proc sh -c '(sh -c \"sleep 1; ps -o pid,ppid,comm\" &); sleep 2'",
    )
    .prints("…\n… 1 sh\n…")],
    claims: &[BY_INIT],
    run: |lab| {
        lab.compare(BY_INIT, Namespaces::NONE, Namespaces::PID, orphan_below)?
            .shows(inside(ORPHAN).same_as(inside(GRANDFATHER)))
    },
};

const SUBREAPER: Claim = Claim::holds(
    "subreaper",
    "An orphan goes to an ancestor that called prctl(PR_SET_CHILD_SUBREAPER), and not to init.",
)
.factor("PR_SET_CHILD_SUBREAPER")
.notes(&[100]);

pub(crate) const DECLARE_A_SUBREAPER: Step = Step {
    title: "Let the grandfather, no init this time, declare itself a subreaper, as systemd --user and Docker's shim do.",
    calls: &["prctl(PR_SET_CHILD_SUBREAPER, 1)", "fork()", "exit()", "getppid()"],
    by_hand: &[],
    claims: &[SUBREAPER],
    run: |lab| {
        lab.compare(SUBREAPER, false, true, orphan_of_a_subreaper)?
            .shows(inside(ORPHAN).same_as(inside(GRANDFATHER)))
    },
};

const OUTER_INIT: Claim = Claim::holds(
    "outer-init",
    "An orphan whose parent was in an ancestor PID namespace goes to the init there: inside getppid() is 0.",
)
.factor("a father outside")
.notes(&[100])
.arms("parent in B", "parent in A")
.core(&[Row::inside("orphan's getppid()", ORPHAN)])
.asks(
    "A program in B was adopted by the init of A, the namespace above. What does getppid() return in it?",
    &[
        right("0"),
        wrong("1", "its adopter is PID 1, but of A, and B has a PID 1 of its own"),
        wrong("the PID of nsenter", "a process is thought to keep its parent's PID for life"),
    ],
);
const ALWAYS_INIT: Claim = Claim::refuted(
    "always-init",
    "Every orphan in a PID namespace is adopted by that namespace's init.",
    "outer-init",
)
.factor("a father outside")
.notes(&[100])
.arms("parent in B", "parent in A")
.core(&[Row::outside("adopted by", ADOPTER)])
.asks(
    "nsenter, a process of A, starts a program in B, and ends. Who adopts the program?",
    &[
        right("the init of A"),
        wrong("the init of B", "it is so wherever the parent lived inside, and that is what one meets"),
        wrong(
            "nobody",
            "its parent was in another namespace, and the kernel is thought to look in one alone",
        ),
    ],
);

pub(crate) const ORPHAN_FROM_OUTSIDE: Step = Step {
    title: "From A, put a process into B by setns() and fork(), as nsenter and docker exec do. Then end its father, in A.",
    calls: &["setns(B, CLONE_NEWPID)", "fork()", "exit()", "getppid()"],
    by_hand: &[hand("unshare -Urpf --mount-proc --kill-child sleep 60 & sleep 1; init=$(pgrep --parent $!)").prints(""), hand("nsenter -t $init -U --preserve-credentials -m -p sleep 50 & sleep 1").prints(""), hand("orphan=$(pgrep --parent $!); kill -KILL $!; wait $!; grep -E '^(PPid|NSpid)' /proc/$orphan/status").prints("PPid: …\nNSpid: … 2"), hand("nsenter -t $init -U --preserve-credentials -m -p ps -eo pid,ppid,comm; kill -KILL $init").prints("…\n2 0 sleep\n…"), ],
    claims: &[ALWAYS_INIT, OUTER_INIT],
    run: |lab| {
        let adopted = lab.arms(Father::InB, Father::InA, orphan_of)?;
        lab.judge(ALWAYS_INIT, adopted.clone()).shows(outside(ADOPTER).is("the init of B"))?;
        lab.judge(OUTER_INIT, adopted).shows(inside(ORPHAN).is(0) & outside(ADOPTER).is("the init of A"))
    },
};

fn orphan_below(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| send_all_of(Child::spawn("grandfather", namespaces, orphan_a_grandchild)?, me))
}

fn orphan_of_a_subreaper(declares: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let grandfather = Child::spawn("grandfather", Namespaces::NONE, move |me| {
            nix::sys::prctl::set_child_subreaper(declares)
                .named(|| format!("prctl(PR_SET_CHILD_SUBREAPER, {})", i32::from(declares)))?;
            orphan_a_grandchild(me)
        })?;
        send_all_of(grandfather, me)
    })
}

fn orphan_a_grandchild(me: &mut Reporter) -> ns_core::Result<()> {
    let line = Line::new()?;
    Child::spawn("father", Namespaces::NONE, line.leave_an_orphan())?.facts()?; // none, or why it could not
    let orphan = line.ask()?;
    me.report(GRANDFATHER, getpid())?;
    me.report(ORPHAN, orphan.parent)
}

/// Where the father of a process in B is.
#[derive(Clone, Copy, PartialEq)]
enum Father {
    InA,
    InB,
}

/// Puts a process into B, whose father is `father`. Then the father ends.
fn orphan_of(father: Father) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let outer_init = own_pid(0)?;
        let mut init = Child::spawn("the init of B", Namespaces::PID, report_pids_and_stay)?;
        let inner_init = pid_of(&init.fact()?, 0)?;
        let file = NsFile::of(Some(inner_init), Kind::Pid)?;
        let line = Line::new()?;
        let leave = line.leave_an_orphan();
        Child::spawn("from A", Namespaces::NONE, move |me| {
            file.enter(Some(Kind::Pid))?;
            match father {
                Father::InA => leave(me),
                Father::InB => Child::spawn("father", Namespaces::NONE, leave)?.facts().map(drop),
            }
        })?
        .facts()?;
        let orphan = line.ask()?;
        let adopter = match process::status(Some(orphan.pid))?.ppid {
            it if it == outer_init.as_raw() => "the init of A",
            it if it == inner_init.as_raw() => "the init of B",
            _ => "somebody else",
        };
        if adopter == "the init of A" {
            // It is ours now. B's init could not end before we have waited for it: so long a member of B is left.
            waitpid(orphan.in_a, None).named(|| format!("waitpid({})", orphan.in_a))?;
        }
        me.report(ORPHAN, orphan.parent)?;
        me.send(Fact::outside(ADOPTER, adopter))
    })
}

/// Our PID in the PID namespace `level` below the one that we were started in.
fn own_pid(level: usize) -> ns_core::Result<Pid> {
    pid_of(&Fact::inside("we", "PIDs", own_pids()?), level)
}

/// What goes between an orphan and its grandfather: the pipes of a child end with its father.
struct Line {
    here: UnixDatagram,
    there: UnixDatagram,
}

/// What an orphan reports.
struct Orphan {
    /// Its PID in the procfs that we were started with.
    pid: Pid,
    /// Its PID in A.
    in_a: Pid,
    /// What getppid() gives it.
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

    /// What the father does: makes a child that waits to be asked, and ends before it.
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

    /// Asks the orphan, once its father is gone for certain.
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
