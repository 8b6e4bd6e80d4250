//! What can kill PID 1?
//!
//! The same code runs twice: in a plain child, and as the first process of a new PID namespace. Whatever differs
//! below is the namespace's doing. Watch for kill(2): it says that all is well, and nothing happens.
//!
//! We never wait for nothing to happen. A signal that should be dropped is followed by one that is handled: hearing
//! the second proves that the first was dropped.

mod death;
mod end;
mod matrix;
mod sender;
mod stopped;

use anyhow::Result;
use lesson::{Claim, Experiment, Row, Step, first, inside, outside, right, wrong};
use nix::unistd::{getpid, getppid, getsid, setsid};
use ns_core::Signal::{SIGCONT, SIGKILL, SIGSEGV, SIGSTOP, SIGTERM, SIGUSR1};
use ns_core::{Child, Fact, Namespaces, Outcome, Reporter, Signal, mount, signals};

use sender::{Sender, UNTRACED, send};

const PID_NS_INIT: Experiment = Experiment {
    name: "pid-ns-init",
    question: "What can kill PID 1?",
    setup: "One code, run as a plain child and as a new namespace's init.",
    arms: ["plain child", "CLONE_NEWPID"],
    in_short: "who sends decides. SIGKILL from outside ends init; from inside it is dropped. Its end is the end of all.",
    notes: "PID Namespace",
    man: &["pid_namespaces(7)", "signal(7)", "kill(2)"],
    examples: &[
        ("pid-ns-init", "run the experiment"),
        ("pid-ns-init --sabotage", "without the namespace: no claim holds"),
        ("pid-ns-init --format jsonl | jq .", "the same as data"),
        ("strace -f pid-ns-init", "the system calls, facts on their pipes included"),
    ],
    // The mounts are for the new procfs, the hostname for the program that the notes print.
    sandbox: Namespaces::MNT.union(Namespaces::UTS),
    requires: &[],
    steps: &[
        START,
        MOUNT_PROC,
        SEND_SIGTERM,
        ASK_WHO_SENT,
        SEND_SIGKILL,
        matrix::FILL,
        BLOCK_SIGTERM,
        FAULT_ITSELF,
        end::END_A_PARENT,
        end::MAKE_A_CHILD_LATER,
        end::SIGNAL_EVERYONE,
        end::ORPHAN,
        end::REBOOT_FROM_INSIDE,
        end::SET_THE_HOSTNAME,
        death::END_ITS_PARENT,
    ],
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&PID_NS_INIT)
}

const IS_ONE: Claim = Claim::holds("is-one", "The first process in a new PID namespace has PID 1.")
    .factor("CLONE_NEWPID")
    .notes(&[84])
    .core(&[Row::inside("its PID, seen inside", "getpid()")])
    .asks(
        "A process is created with CLONE_NEWPID. What does getpid() return in it?",
        &[
            right("1"),
            wrong(
                "the PID that its parent sees",
                "a process has one PID, and clone() returns it to the parent",
            ),
            wrong("0", "counting starts at 0 in C, and the parent of init is PID 0"),
            wrong("2: PID 1 is its parent", "on the host, init is PID 1 and was there first"),
        ],
    );
const NO_PARENT: Claim = Claim::holds("no-parent", "Its parent is outside, unseen: getppid() gives 0.")
    .factor("CLONE_NEWPID")
    .more(&[23]);
const SESSION: Claim = Claim::holds(
    "session",
    "Its session's ID is not visible inside: getsid() gives 0, and 1 after setsid().",
)
.factor("CLONE_NEWPID")
.more(&[23]);

const START: Step = Step {
    title: "Start the same code as a plain child and as the first process of a new PID namespace: its init.",
    calls: &["clone3(0)", "clone3(CLONE_NEWPID)", "getpid()", "getppid()", "getsid(0)"],
    by_hand: &["unshare --user --map-root-user --pid --fork sh -c 'echo $$ $PPID'"],
    claims: &[IS_ONE, NO_PARENT, SESSION],
    run: |lab| {
        let who = lab.arms(Namespaces::NONE, Namespaces::PID, start)?.try_map(|(child, facts)| {
            lab.keep(child)?;
            Ok(facts)
        })?;
        lab.judge(IS_ONE, who.only(&["getpid()", "its PID"])).shows(inside("getpid()").is(1))?;
        lab.judge(NO_PARENT, who.only(&["getppid()"])).shows(inside("getppid()").is(0))?;
        lab.judge(SESSION, who.only(&["getsid(0)", "getsid(0) after setsid()"]))
            .shows(inside("getsid(0)").is(0) & inside("getsid(0) after setsid()").is(1))
    },
};

const NEW_PROC: Claim = Claim::holds(
    "new-proc",
    "/proc shows the PIDs of the namespace once a new procfs is mounted, not before.",
)
.factor("mount -t proc")
.more(&[24]);

const MOUNT_PROC: Step = Step {
    title: "Look into /proc from a new PID namespace, before and after mounting a new procfs.",
    calls: &["mount(\"proc\", \"/proc\", \"proc\")", "readlink(\"/proc/self\")"],
    by_hand: &["unshare -Urpf --mount readlink /proc/self", "unshare -Urpf --mount-proc readlink /proc/self"],
    claims: &[NEW_PROC],
    run: |lab| {
        lab.compare(NEW_PROC, false, true, |mounts_proc| {
            Ok(Child::spawn("init", Namespaces::PID | Namespaces::MNT, read_proc_self(mounts_proc))?
                .facts()?)
        })?
        .shows(inside("readlink /proc/self").is(1))
    },
};

const IMMUNE: Claim = Claim::holds(
    "immune",
    "SIGTERM from outside, which init does not handle, is dropped, and kill() succeeds.",
)
.factor("CLONE_NEWPID")
.notes(&[87, 88])
.core(&[Row::inside("SIGTERM, then SIGUSR1", "what comes first")])
.asks(
    "Init has no handler for SIGTERM. The host sends it SIGTERM, then SIGUSR1, which it handles. What happens?",
    &[
        right("init handles SIGUSR1: the SIGTERM was dropped"),
        wrong("SIGTERM kills init", "the sender is outside, and may be root there"),
        wrong("SIGTERM stays pending until init has a handler", "a blocked signal does stay pending"),
    ],
);
const CANNOT_SEND: Claim =
    Claim::refuted("cannot-send", "A signal that init does not handle cannot be sent to it.", "immune")
        .factor("CLONE_NEWPID")
        .notes(&[87])
        .core(&[Row::outside("kill(pid, SIGTERM)", "kill(pid, SIGTERM)")])
        .asks(
            "Init has no handler for SIGTERM. What does kill(init, SIGTERM) return to a sender on the host?",
            &[
                right("0: success"),
                wrong(
                    "-1, EPERM",
                    "the manual page says that only signals with a handler can be sent to init",
                ),
                wrong("-1, ESRCH", "what is inside a namespace is thought to be out of reach"),
            ],
        );

const SEND_SIGTERM: Step = Step {
    title: "Send each SIGTERM, which neither handles, then SIGUSR1, which both do. What comes first?",
    calls: &["kill(pid, SIGTERM)", "kill(pid, SIGUSR1)"],
    by_hand: &[
        "unshare -Urpf --kill-child sh -c 'trap \"echo caught USR1\" USR1; while :; do sleep 1; done' &",
        "pid=$(pgrep --parent $!); kill -TERM $pid; echo $?; kill -USR1 $pid",
    ],
    claims: &[IMMUNE, CANNOT_SEND],
    run: |lab| {
        let sent = lab.arms(Namespaces::NONE, Namespaces::PID, send_sigterm)?;
        lab.judge(IMMUNE, sent.clone()).shows(
            inside("what comes first").is("handles SIGUSR1") & outside("kill(pid, SIGTERM)").is("OK"),
        )?;
        lab.judge(CANNOT_SEND, sent.only(&["kill(pid, SIGTERM)"]))
            .shows(outside("kill(pid, SIGTERM)").from("OK").to("EPERM"))
    },
};

const FROM_ABOVE: Claim = Claim::holds(
    "from-above",
    "For a signal from an ancestor namespace, init's handler receives 0 as the sender's PID.",
)
.factor("CLONE_NEWPID")
.more(&[28]);

const ASK_WHO_SENT: Step = Step {
    title: "Ask the handler who sent the signal.",
    calls: &["sigaction(SIGUSR1, SA_SIGINFO)", "kill(pid, SIGUSR1)"],
    by_hand: &[],
    claims: &[FROM_ABOVE],
    run: |lab| {
        lab.compare(FROM_ABOVE, Namespaces::NONE, Namespaces::PID, sender_of_a_signal)?.shows(first().is(0))
    },
};

const ITSELF: Claim = Claim::holds("itself", "Init cannot end itself by kill(): its own SIGKILL is dropped.")
    .factor("CLONE_NEWPID")
    .more(&[25])
    .core(&[Row::inside("SIGKILL from itself", "after SIGKILL")])
    .asks(
        "Init calls kill(getpid(), SIGKILL). What happens?",
        &[
            right("nothing: init lives on"),
            wrong("init dies", "SIGKILL cannot be caught, blocked or ignored"),
            wrong(
                "kill() fails with EPERM",
                "init is protected, and protection is thought to be a permission",
            ),
        ],
    );
const MORTAL: Claim = Claim::holds("mortal", "SIGKILL kills init when an ancestor namespace sends it.")
    .factor("an outside sender")
    .notes(&[90])
    .arms("itself", "outside")
    .core(&[Row::inside("SIGKILL, sent by", "after SIGKILL")])
    .asks(
        "A process on the host sends SIGKILL to the init of a PID namespace. What happens?",
        &[
            right("init is killed"),
            wrong("nothing: init is immune to signals", "the host's own init cannot be killed"),
            wrong("kill() fails with EPERM", "what is inside a namespace is thought to be out of reach"),
        ],
    );
const STOPPABLE: Claim = Claim::holds("stoppable", "SIGSTOP stops init when an ancestor namespace sends it.")
    .factor("an outside sender")
    .notes(&[90])
    .requires(&[UNTRACED]);

const SEND_SIGKILL: Step = Step {
    title: "Let init send SIGKILL and SIGSTOP to itself, then send it both from outside. One that is stopped gets SIGTERM or SIGCONT from a member.",
    calls: &["kill(getpid(), SIGKILL)", "kill(getpid(), SIGSTOP)", "kill(1, SIGCONT)"],
    by_hand: &["unshare -Urpf sh -c 'kill -KILL $$; echo still here'"],
    claims: &[ITSELF, MORTAL, STOPPABLE, stopped::RESUMED],
    run: |lab| {
        lab.compare(ITSELF, Namespaces::NONE, Namespaces::PID, |namespaces| {
            after(namespaces, SIGKILL, Sender::Itself)
        })?
        .shows(inside("after SIGKILL").is("lives on"))?;
        lab.compare(MORTAL, Sender::Itself, Sender::Outside, |sender| {
            after(Namespaces::PID, SIGKILL, sender)
        })?
        .shows(inside("after SIGKILL").is("killed by SIGKILL"))?;
        lab.compare(STOPPABLE, Sender::Itself, Sender::Outside, |sender| {
            after(Namespaces::PID, SIGSTOP, sender)
        })?
        .shows(inside("after SIGSTOP").is("stopped by SIGSTOP"))?;
        lab.compare(stopped::RESUMED, SIGTERM, SIGCONT, stopped::after_a_members)?
            .shows(outside("init afterwards").from("stopped").to("runs"))
    },
};

const BLOCKED: Claim = Claim::holds(
    "blocked",
    "A signal that init blocks is pending; if it has no handler when it is unblocked, it is dropped.",
)
.factor("CLONE_NEWPID")
.more(&[31]);
const DELIVERED: Claim = Claim::holds(
    "delivered",
    "A signal that init blocks reaches a handler that is installed before it is unblocked.",
)
.factor("a handler, installed while the signal is pending")
.more(&[31]);

const BLOCK_SIGTERM: Step = Step {
    title: "Block SIGTERM, let it arrive, and unblock it: without a handler, and with one that is installed meanwhile.",
    calls: &[
        "sigprocmask(SIG_BLOCK, [SIGTERM])",
        "kill(getpid(), SIGTERM)",
        "sigaction(SIGTERM, handler)",
        "sigprocmask(SIG_UNBLOCK, [SIGTERM])",
    ],
    by_hand: &[],
    claims: &[BLOCKED, DELIVERED],
    run: |lab| {
        lab.compare(BLOCKED, Namespaces::NONE, Namespaces::PID, |namespaces| {
            block_and_unblock(namespaces, false)
        })?
        .shows(inside("SIGTERM is pending").is("yes") & inside("after unblocking").is("lives on"))?;
        lab.compare(DELIVERED, false, true, |handles| block_and_unblock(Namespaces::PID, handles))?
            .shows(inside("SIGTERM is pending").is("yes") & inside("after unblocking").is("handles SIGTERM"))
    },
};

const FAULT: Claim = Claim::holds(
    "fault",
    "A fault of its own kills init: the SIGSEGV of an invalid read, unhandled, is not dropped.",
)
.factor("an invalid read")
.notes(&[87])
.requires(&[UNTRACED]);

const FAULT_ITSELF: Step = Step {
    title: "Let init send itself SIGSEGV, then trigger one with an invalid read.",
    calls: &["kill(getpid(), SIGSEGV)", "mmap(PROT_NONE)"],
    by_hand: &[],
    claims: &[FAULT],
    run: |lab| {
        lab.compare(FAULT, false, true, after_a_fault)?.shows(inside("after SIGSEGV").is("killed by SIGSEGV"))
    },
};

/// A child that says who it is, and stays.
fn start(namespaces: Namespaces) -> Result<(Child, Vec<Fact>)> {
    let label = if namespaces.is_empty() { "plain child" } else { "init" };
    let mut child = Child::spawn(label, namespaces, |me| {
        me.report("getpid()", getpid())?;
        me.report("getppid()", getppid())?;
        me.report("getsid(0)", getsid(None).ok())?;
        let _ = setsid();
        me.report("getsid(0) after setsid()", getsid(None).ok())?;
        me.stay()
    })?;
    let mut facts = vec![child.fact()?, Fact::outside("its PID", child.pid())];
    for _ in 0..3 {
        facts.push(child.fact()?);
    }
    Ok((child, facts))
}

fn read_proc_self(mounts_proc: bool) -> impl FnOnce(&mut Reporter) -> ns_core::Result<()> {
    move |me| {
        mount::make_private()?;
        if mounts_proc {
            me.report("mount -t proc proc /proc", Outcome::of(mount::mount("proc", "/proc".as_ref()))?)?;
        }
        let link = std::fs::read_link("/proc/self").unwrap_or_default();
        let pid = link.to_string_lossy().parse().map_or("unreadable".into(), ns_core::Value::Pid);
        me.report("readlink /proc/self", pid)
    }
}

fn send_sigterm(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let mut caught = signals::catch(&[SIGUSR1])?;
        me.report("ready", "yes")?;
        me.report("", format!("handles {}", caught.wait()?.signal))
    })?;
    child.fact()?; // its handler is installed
    let answer = Fact::outside("kill(pid, SIGTERM)", child.try_signal(SIGTERM)?);
    child.signal(SIGUSR1)?;
    Ok(vec![child.next("what comes first")?, answer])
}

fn sender_of_a_signal(namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let mut caught = signals::catch(&[SIGUSR1])?;
        me.report("ready", "yes")?;
        me.report("si_pid", caught.wait()?.sender)
    })?;
    child.fact()?; // its handler is installed
    child.signal(SIGUSR1)?;
    Ok(child.fact()?)
}

/// What becomes of a child that gets `signal`, which it does not handle, from itself or from outside.
fn after(namespaces: Namespaces, signal: Signal, sender: Sender) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        if sender == Sender::Outside {
            return me.stay();
        }
        send(getpid(), signal)?;
        me.report("", "lives on") // reached only if the kernel dropped the signal
    })?;
    if sender == Sender::Outside {
        child.signal(signal)?;
    }
    Ok(child.next(format!("after {signal}"))?)
}

fn block_and_unblock(namespaces: Namespaces, handles: bool) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        signals::block(&[SIGTERM])?;
        send(getpid(), SIGTERM)?;
        me.report("SIGTERM is pending", signals::is_pending(SIGTERM)?)?;
        // In both arms SIGUSR1 is the fence: what is handled first tells what became of SIGTERM.
        let handlers = [SIGUSR1, SIGTERM];
        let mut caught = signals::catch(if handles { &handlers } else { &handlers[..1] })?;
        signals::unblock(&[SIGTERM])?;
        send(getpid(), SIGUSR1)?;
        let first = caught.wait()?.signal;
        me.report("", if first == SIGTERM { "handles SIGTERM" } else { "lives on" })
    })?;
    Ok(vec![child.fact()?, child.next("after unblocking")?])
}

/// An init that gets SIGSEGV: for a fault of its own, or because it sends it to itself.
fn after_a_fault(faults: bool) -> Result<Fact> {
    let mut init = Child::spawn("init", Namespaces::PID, move |me| {
        if faults {
            signals::fault()?;
        } else {
            send(getpid(), SIGSEGV)?;
        }
        me.report("", "lives on")
    })?;
    Ok(init.next("after SIGSEGV")?)
}
