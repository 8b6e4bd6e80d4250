//! What can kill PID 1?
//!
//! The same code runs twice: in a plain child, and as the first process of a new PID namespace. The namespace causes
//! each difference below. Watch kill(2): it returns 0 even where the kernel drops the signal.
//!
//! No step waits to see that nothing happens. After a signal that should be dropped, it sends one that is handled. If
//! the child handles only the second, the kernel dropped the first.

mod death;
mod end;
mod matrix;
mod sender;
mod shell;
mod stopped;

use anyhow::Result;
use lesson::{Claim, Experiment, Row, Step, first, hand, inside, outside, right, wrong};
use nix::unistd::{getpid, getppid, getsid, setsid};
use ns_core::Signal::{SIGCONT, SIGKILL, SIGSEGV, SIGSTOP, SIGTERM, SIGUSR1};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, Signal, mount, signals};

use sender::{Sender, UNTRACED, send};

const PID_NS_INIT: Experiment = Experiment {
    name: "pid-ns-init",
    question: "What can kill PID 1?",
    setup: "The same code, as a plain child and as init of a new PID namespace.",
    arms: ["plain child", "CLONE_NEWPID"],
    in_short: "the sender decides. SIGKILL from outside ends init; from inside it is dropped. When init ends, all members end.",
    notes: "PID Namespace",
    man: &["pid_namespaces(7)", "signal(7)", "kill(2)"],
    examples: &[
        ("pid-ns-init", "run the experiment"),
        ("pid-ns-init --sabotage", "without the factors: no claim holds"),
        ("pid-ns-init --format jsonl | jq .", "the events as JSON lines"),
        ("strace -f pid-ns-init", "the system calls, and the writes that report facts"),
    ],
    // MNT, since a step mounts a procfs. UTS, since a step sets the hostname as the notes' program does.
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
    shell: Some(shell::SHELL),
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
const NO_PARENT: Claim =
    Claim::holds("no-parent", "The parent of init has no PID in the new namespace: getppid() returns 0.")
        .factor("CLONE_NEWPID")
        .more(&[23]);
const SESSION: Claim = Claim::holds(
    "session",
    "Init inherits a session whose ID is not visible inside: getsid(0) returns 0, and 1 after setsid().",
)
.factor("CLONE_NEWPID")
.more(&[23]);

const START: Step = Step {
    title: "Start the same code as a plain child and as the first process of a new PID namespace, its init.",
    calls: &["clone3(0)", "clone3(CLONE_NEWPID)", "getpid()", "getppid()", "getsid(0)", "setsid()"],
    by_hand: &[hand("unshare --user --map-root-user --pid --fork sh -c 'echo $$ $PPID'").prints("1 0")],
    claims: &[IS_ONE, NO_PARENT, SESSION],
    run: |lab| {
        let who = lab.arms(Namespaces::NONE, Namespaces::PID, start)?.try_map(|(child, facts)| {
            lab.keep(child)?;
            Ok(facts)
        })?;
        lab.judge(IS_ONE, who.only(&["getpid()", "its PID"])).shows(inside("getpid()").is(1))?;
        lab.judge(NO_PARENT, who.only(&["getppid()"])).shows(inside("getppid()").is(0))?;
        lab.compare(SESSION, Namespaces::NONE, Namespaces::PID, sessions)?
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
    title: "Read /proc/self in a new PID namespace: without a new procfs, and with one.",
    calls: &["mount(\"proc\", \"/proc\", \"proc\")", "readlink(\"/proc/self\")"],
    by_hand: &[
        hand("unshare -Urpf --mount readlink /proc/self").prints("<pid>"),
        hand("unshare -Urpf --mount-proc readlink /proc/self").prints("1"),
    ],
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
    "SIGTERM from outside is dropped if init has no handler for it, and kill() succeeds.",
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
    title: "Send each child SIGTERM, which it does not handle, then SIGUSR1, which it handles. Which acts first?",
    calls: &["kill(pid, SIGTERM)", "kill(pid, SIGUSR1)"],
    by_hand: &[
        hand(
            "unshare -Urpf --kill-child sh -c 'trap \"echo caught USR1\" USR1; while :; do sleep 1; done' &",
        )
        .prints(""),
        hand("pid=$(pgrep --parent $!); kill -TERM $pid; echo $?; kill -USR1 $pid; sleep 2; kill -KILL $!")
            .prints("0\ncaught USR1"),
    ],
    claims: &[IMMUNE, CANNOT_SEND],
    run: |lab| {
        let sent = lab.arms(Namespaces::NONE, Namespaces::PID, send_sigterm)?;
        lab.judge(IMMUNE, sent.clone())
            .in_both_arms(outside("kill(pid, SIGTERM)").is("OK"))
            .shows(inside("what comes first").is("handles SIGUSR1"))?;
        lab.judge(CANNOT_SEND, sent.only(&["kill(pid, SIGTERM)"]))
            .shows(outside("kill(pid, SIGTERM)").from("OK").to("EPERM"))
    },
};

const FROM_ABOVE: Claim =
    Claim::holds("from-above", "In init's handler, a signal from an ancestor namespace has si_pid 0.")
        .factor("CLONE_NEWPID")
        .more(&[28]);

const ASK_WHO_SENT: Step = Step {
    title: "Read si_pid, the sender's PID, in a signal handler.",
    calls: &["sigaction(SIGUSR1, SA_SIGINFO)", "kill(pid, SIGUSR1)"],
    by_hand: &[],
    claims: &[FROM_ABOVE],
    run: |lab| {
        lab.compare(FROM_ABOVE, Namespaces::NONE, Namespaces::PID, sender_of_a_signal)?.shows(first().is(0))
    },
};

const ITSELF: Claim = Claim::holds("itself", "The kernel drops a SIGKILL that init sends to itself.")
    .factor("CLONE_NEWPID")
    .more(&[25])
    .core(&[Row::inside("SIGKILL from itself", "after SIGKILL")])
    .asks(
        "Init calls kill(getpid(), SIGKILL). What happens?",
        &[
            right("nothing: init lives on"),
            wrong("init ends", "SIGKILL cannot be caught, blocked or ignored"),
            wrong(
                "kill() fails with EPERM",
                "init is protected, and protection usually comes as a missing permission",
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
    title: "Send SIGKILL and SIGSTOP to init: from itself, then from outside. Send a stopped init SIGTERM or SIGCONT from a member.",
    calls: &["kill(getpid(), SIGKILL)", "kill(getpid(), SIGSTOP)", "kill(1, SIGCONT)"],
    by_hand: &[hand("unshare -Urpf sh -c 'kill -KILL $$; echo still here'").prints("still here")],
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
    "A SIGTERM that init blocks stays pending. It is dropped when init unblocks it without a handler.",
)
.factor("CLONE_NEWPID")
.more(&[31]);
const DELIVERED: Claim = Claim::holds(
    "delivered",
    "A SIGTERM that init blocks is delivered if init installs a handler before it unblocks the signal.",
)
.factor("a handler, installed while the signal is pending")
.more(&[31]);

const BLOCK_SIGTERM: Step = Step {
    title: "Block SIGTERM, send it, and unblock it: without a handler, and with a handler installed while it is pending.",
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
        .in_both_arms(inside("SIGTERM is pending").is("yes"))
        .shows(inside("after unblocking").is("lives on"))?;
        lab.compare(DELIVERED, false, true, |handles| block_and_unblock(Namespaces::PID, handles))?
            .in_both_arms(inside("SIGTERM is pending").is("yes"))
            .shows(inside("after unblocking").is("handles SIGTERM"))
    },
};

const FAULT: Claim =
    Claim::holds("fault", "An invalid read by init kills it: the kernel does not drop this SIGSEGV.")
        .factor("an invalid read")
        .notes(&[87])
        .requires(&[UNTRACED]);

const FAULT_ITSELF: Step = Step {
    title: "Send SIGSEGV from init to itself, then trigger SIGSEGV by an invalid read.",
    calls: &["kill(getpid(), SIGSEGV)", "mmap(PROT_NONE)"],
    by_hand: &[],
    claims: &[FAULT],
    run: |lab| {
        lab.compare(FAULT, false, true, after_a_fault)?.shows(inside("after SIGSEGV").is("killed by SIGSEGV"))
    },
};

/// A child that reports its IDs and keeps running.
fn start(namespaces: Namespaces) -> Result<(Child, Vec<Fact>)> {
    let mut child = Child::spawn(label(namespaces), namespaces, |me| {
        me.report("getpid()", getpid())?;
        me.report("getppid()", getppid())?;
        me.stay()
    })?;
    let facts = vec![child.fact()?, Fact::outside("its PID", child.pid()), child.fact()?];
    Ok((child, facts))
}

fn label(namespaces: Namespaces) -> &'static str {
    if namespaces.is_empty() { "plain child" } else { "init" }
}

/// The session of a child whose parent has begun one, so that the parent sees its ID.
/// The session of the experiment itself may be of a PID namespace further out: then its ID is 0 here too.
fn sessions(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
        begin_session()?;
        let mut child = Child::spawn(label(namespaces), namespaces, |me| {
            me.report("getsid(0)", getsid(None).ok())?;
            begin_session()?;
            me.report("getsid(0) after setsid()", getsid(None).ok())
        })?;
        child.pass_on(me)
    })?;
    Ok(parent.facts()?)
}

fn begin_session() -> ns_core::Result<()> {
    setsid().named(|| "setsid()".into()).map(drop)
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

/// The effect of `signal` on a child without a handler. The child or its parent sends it.
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
        // SIGUSR1 is the fence in both arms. If SIGTERM was dropped, SIGUSR1 is handled first.
        let handlers = [SIGUSR1, SIGTERM];
        let mut caught = signals::catch(if handles { &handlers } else { &handlers[..1] })?;
        signals::unblock(&[SIGTERM])?;
        send(getpid(), SIGUSR1)?;
        let first = caught.wait()?.signal;
        me.report("", if first == SIGTERM { "handles SIGTERM" } else { "lives on" })
    })?;
    Ok(vec![child.fact()?, child.next("after unblocking")?])
}

/// The effect of SIGSEGV on init. The signal comes from an invalid read or from init's own kill().
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
