//! Who takes in an orphan. The kernel looks where its *father* was.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::sys::wait::waitpid;
use nix::unistd::{getpid, getppid};
use ns_core::{Child, Error, Fact, Kind, Named, Namespaces, NsFile, Pid, Spawn, Value, Witness, process};

use crate::trial::{in_a, number, own_numbers, tell_all_of, tell_numbers_and_stay};

pub(crate) const BY_INIT: Claim =
    Claim::holds("by-init", "An orphan is adopted by the init of its PID namespace.")
        .cause("CLONE_NEWPID")
        .notes(&[100]);
pub(crate) const SUBREAPER: Claim = Claim::holds(
    "subreaper",
    "An orphan goes to an ancestor that called prctl(PR_SET_CHILD_SUBREAPER), and not to init.",
)
.cause("PR_SET_CHILD_SUBREAPER")
.notes(&[100]);
pub(crate) const OUTER_INIT: Claim = Claim::holds(
    "outer-init",
    "An orphan whose father was outside, in an ancestor, is adopted by the init out there: inside getppid() is 0.",
)
.cause("a father outside")
.notes(&[100]);
pub(crate) const ALWAYS_INIT: Claim = Claim::refuted(
    "always-init",
    "Every orphan in a PID namespace is adopted by that namespace's init.",
    "outer-init",
)
.cause("a father outside")
.notes(&[100])
.misconceptions(&[(lesson::YES, "it is so wherever the father lived inside, and that is what one meets")]);

const ORPHAN: &str = "getppid() of the orphan";
const ADOPTER: &str = "who adopted it";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Let the init of B, a PID namespace in A, have a child and a grandchild, and the child end. Whose is the grandchild?",
        calls: &["fork()", "exit()", "getppid()"],
        by_hand: &["unshare -Urpf --mount-proc sh -c '(sh -c \"sleep 1; ps -o pid,ppid,comm\" &); sleep 2'"],
    })?;
    lab.claim(BY_INIT)
        .without(orphan_below(Namespaces::NONE)?)
        .with(orphan_below(Namespaces::PID)?)
        .shows(|seen| seen.inside(ORPHAN) == seen.inside("getpid() of its grandfather"))?;

    lab.step(Step {
        goal: "Let the grandfather, no init this time, declare itself a subreaper, as systemd --user and Docker's shim do.",
        calls: &["prctl(PR_SET_CHILD_SUBREAPER, 1)", "fork()", "exit()", "getppid()"],
        by_hand: &[],
    })?;
    lab.claim(SUBREAPER)
        .without(orphan_of_a_subreaper(false)?)
        .with(orphan_of_a_subreaper(cause(true, false))?)
        .shows(|seen| seen.inside(ORPHAN) == seen.inside("getpid() of its grandfather"))?;

    lab.step(Step {
        goal: "From A, put a process into B by setns() and fork(), as nsenter and docker exec do. Then end its father, in A.",
        calls: &["setns(B, CLONE_NEWPID)", "fork()", "exit()", "getppid()"],
        by_hand: &[
            "unshare -Urpf --mount-proc --kill-child sleep 60 & sleep 1; init=$(pgrep --parent $!)",
            "nsenter -t $init -U --preserve-credentials -m -p sleep 50 & sleep 1",
            "orphan=$(pgrep --parent $!); kill -KILL $!; wait $!; grep -E '^(PPid|NSpid)' /proc/$orphan/status",
            "nsenter -t $init -U --preserve-credentials -m -p ps -eo pid,ppid,comm",
        ],
    })?;
    let inside = orphan_put_there(true)?;
    let outside = orphan_put_there(false)?;
    lab.claim(OUTER_INIT).without(inside.clone()).with(outside.clone()).shows(|seen| {
        seen.inside(ORPHAN).is_some_and(|it| *it == 0)
            && seen.outside(ADOPTER).is_some_and(|it| *it == "the init of A")
    })?;
    lab.claim(ALWAYS_INIT)
        .without(inside)
        .with(outside)
        .shows(|seen| seen.outside(ADOPTER).is_some_and(|it| *it == "the init of B"))?;
    Ok(())
}

fn orphan_below(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| tell_all_of(Child::spawn("grandfather", namespaces, orphan_a_grandchild)?, me))
}

fn orphan_of_a_subreaper(declares: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let grandfather = Child::spawn("grandfather", Namespaces::NONE, move |me| {
            nix::sys::prctl::set_child_subreaper(declares)
                .named(|| format!("prctl(PR_SET_CHILD_SUBREAPER, {})", i32::from(declares)))?;
            orphan_a_grandchild(me)
        })?;
        tell_all_of(grandfather, me)
    })
}

fn orphan_a_grandchild(me: &mut Witness) -> ns_core::Result<()> {
    let line = Line::new()?;
    Child::spawn("father", Namespaces::NONE, line.leave_an_orphan())?.wait()?;
    let orphan = line.ask()?;
    me.saw("getpid() of its grandfather", getpid())?;
    me.saw(ORPHAN, orphan.parent)
}

/// Into B goes a process whose father is in B too, or who is the child of one in A. Then the father ends.
fn orphan_put_there(father_inside: bool) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let outer_init = own_number(0)?;
        let mut init = Child::spawn("the init of B", Namespaces::PID, tell_numbers_and_stay)?;
        let inner_init = number(&init.hear()?, 0)?;
        let file = NsFile::of(Some(inner_init), Kind::Pid)?;
        let line = Line::new()?;
        let leave = line.leave_an_orphan();
        Child::spawn("from A", Namespaces::NONE, move |me| {
            file.enter(Some(Kind::Pid))?;
            if father_inside {
                Child::spawn("father", Namespaces::NONE, leave)?.wait().map(drop)
            } else {
                leave(me)
            }
        })?
        .wait()?;
        let orphan = line.ask()?;
        let adopter = process::status(Some(orphan.pid))?.ppid;
        let adopter = match adopter {
            it if it == outer_init.as_raw() => "the init of A",
            it if it == inner_init.as_raw() => "the init of B",
            _ => "somebody else",
        };
        if adopter == "the init of A" {
            // It is ours now. B's init could not end before we have waited for it: so long a member of B is left.
            waitpid(orphan.in_a, None).named(|| format!("waitpid({})", orphan.in_a))?;
        }
        me.saw(ORPHAN, orphan.parent)?;
        me.tell(Fact::outside(ADOPTER, adopter))
    })
}

/// Our number for the PID namespace `level` below the one that we were started in.
fn own_number(level: usize) -> ns_core::Result<Pid> {
    number(&Fact::inside("we", "PIDs", own_numbers()?), level)
}

/// What goes between an orphan and its grandfather: the pipes of a child end with its father.
struct Line {
    here: UnixDatagram,
    there: UnixDatagram,
}

/// What an orphan says.
struct Orphan {
    /// In the procfs that we were started with.
    pid: Pid,
    /// In the namespace around all.
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
    fn leave_an_orphan(&self) -> impl FnOnce(&mut Witness) -> ns_core::Result<()> + use<> {
        let there = self.there.try_clone();
        move |_| {
            let there = there.named(|| "dup()".into())?;
            let orphan = Spawn::new("orphan").outlives_parent().run(move |_| {
                there.recv(&mut [0; 8]).named(|| "recv()".into())?;
                let told = format!("{} {} {}", own_number(0)?, own_number(1)?, getppid());
                there.send(told.as_bytes()).named(|| "send()".into()).map(drop)
            })?;
            orphan.abandon();
            Ok(())
        }
    }

    /// Asks the orphan, once its father is gone for certain.
    fn ask(&self) -> ns_core::Result<Orphan> {
        self.here.send(b"?").named(|| "send()".into())?;
        let mut told = [0; 64];
        let length = self.here.recv(&mut told).named(|| "recv()".into())?;
        let text = String::from_utf8_lossy(&told[..length]).into_owned();
        let numbers: Vec<i32> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        match numbers.as_slice() {
            [pid, in_a, parent] => Ok(Orphan {
                pid: Pid::from_raw(*pid),
                in_a: Pid::from_raw(*in_a),
                parent: Value::Pid(*parent),
            }),
            _ => Err(Error::Unreadable { what: "the orphan's answer".into(), message: text }),
        }
    }
}
