//! What can kill PID 1?
//!
//! The same code runs twice: in a plain child, and as the first process of a new PID namespace. Whatever differs
//! below is the namespace's doing. Watch for kill(2): it says that all is well, and nothing happens.
//!
//! We never wait for nothing to happen. A signal that should be dropped is followed by one that is handled: hearing
//! the second proves that the first was dropped.

mod end;
mod matrix;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Step, cause};
use nix::unistd::{getpid, getppid, getsid, setsid};
use ns_core::Signal::{SIGKILL, SIGSEGV, SIGSTOP, SIGTERM, SIGUSR1};
use ns_core::{Child, Fact, Namespaces, Outcome, Witness, mount, probe, signals};

/// A tracer is told of signals before they are dropped, and then they are not.
const UNTRACED: Need = Need::Probe(probe::untraced);

const IS_ONE: Claim = Claim::holds("is-one", "The first process in a new PID namespace has PID 1.")
    .cause("CLONE_NEWPID")
    .notes(&[84]);
const NO_PARENT: Claim = Claim::holds("no-parent", "Its parent is outside, unseen: getppid() gives 0.")
    .cause("CLONE_NEWPID")
    .more(&[23]);
const SESSION: Claim =
    Claim::holds("session", "It has no session that it could name: getsid() gives 0, and 1 after setsid().")
        .cause("CLONE_NEWPID")
        .more(&[23]);
const NEW_PROC: Claim = Claim::holds(
    "new-proc",
    "/proc shows the numbers of the namespace once a new procfs is mounted, not before.",
)
.cause("mount -t proc")
.more(&[24]);
const IMMUNE: Claim =
    Claim::holds("immune", "A signal that init does not handle is dropped, and kill() succeeds.")
        .cause("CLONE_NEWPID")
        .notes(&[87, 88])
        .misconceptions(&[(
            "end = killed by SIGTERM",
            "the sender is outside, may be root there, and kill() says OK",
        )]);
const CANNOT_SEND: Claim =
    Claim::refuted("cannot-send", "A signal that init does not handle cannot be sent to it.", "immune")
        .cause("CLONE_NEWPID")
        .notes(&[87])
        .misconceptions(&[
            ("EPERM", "the manual page says that only signals with a handler can be sent to init"),
            ("ESRCH", "what is inside a namespace is thought to be out of reach"),
        ]);
const FROM_ABOVE: Claim =
    Claim::holds("from-above", "Init is told that a signal from an ancestor namespace came from PID 0.")
        .cause("CLONE_NEWPID")
        .more(&[28]);
const ITSELF: Claim = Claim::holds("itself", "Init cannot kill itself: its own SIGKILL is dropped.")
    .cause("CLONE_NEWPID")
    .more(&[25]);
const MORTAL: Claim = Claim::holds("mortal", "SIGKILL kills init when an ancestor namespace sends it.")
    .cause("an outside sender")
    .notes(&[90]);
const STOPPABLE: Claim = Claim::holds("stoppable", "SIGSTOP stops init when an ancestor namespace sends it.")
    .cause("an outside sender")
    .notes(&[90])
    .needs(&[UNTRACED]);
const MATRIX: Claim = Claim::holds(
    "matrix",
    "Handled signals reach init from anyone; of the others only SIGKILL and SIGSTOP, and only from outside.",
)
.cause("CLONE_NEWPID")
.notes(&[87, 88, 90])
.needs(&[UNTRACED]);
const BLOCKED: Claim =
    Claim::holds("blocked", "A signal that init blocks waits for it, and is dropped when it is unblocked.")
        .cause("CLONE_NEWPID")
        .more(&[31]);
const FAULT: Claim =
    Claim::holds("fault", "A fault of its own kills init: the SIGSEGV of a bad load is not dropped.")
        .cause("a bad load")
        .notes(&[87])
        .needs(&[UNTRACED]);

const PID_NS_INIT: Experiment = Experiment {
    name: "pid-ns-init",
    question: "What can kill PID 1?",
    notes: "PID Namespace",
    man: &["pid_namespaces(7)", "signal(7)", "kill(2)"],
    examples: &[
        ("pid-ns-init", "run the experiment"),
        ("pid-ns-init --sabotage", "without the namespace: no claim holds"),
        ("pid-ns-init --format jsonl | jq .", "the same as data"),
        ("strace -f pid-ns-init", "the system calls, facts on their pipes included"),
    ],
    // The mounts are for the new procfs, the hostname for the program that the notes print.
    stage: Namespaces::MNT.union(Namespaces::UTS),
    needs: &[],
    claims: &[
        IS_ONE,
        NO_PARENT,
        SESSION,
        NEW_PROC,
        IMMUNE,
        CANNOT_SEND,
        FROM_ABOVE,
        ITSELF,
        MORTAL,
        STOPPABLE,
        MATRIX,
        BLOCKED,
        FAULT,
        end::TAKES_ALL,
        end::NO_MORE,
        end::EVERYONE,
        end::ORPHANS,
        end::REBOOT,
        end::RENAMES,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&PID_NS_INIT)
}

fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Start the same code as a plain child and as the first process of a new PID namespace: its init.",
        calls: &["clone3(0)", "clone3(CLONE_NEWPID)", "getpid()", "getppid()", "getsid(0)"],
        by_hand: &["unshare --user --map-root-user --pid --fork sh -c 'echo $$ $PPID'"],
    })?;
    let mut plain = Child::spawn("plain child", Namespaces::NONE, say_who_and_catch)?;
    let mut init = Child::spawn("init", Namespaces::PID, say_who_and_catch)?;
    lab.actor(&plain)?;
    lab.actor(&init)?;
    let number = |child: &Child| Fact::outside("its PID", child.pid());
    lab.claim(IS_ONE)
        .without([plain.hear()?, number(&plain)])
        .with([init.hear()?, number(&init)])
        .shows(|pid| *pid == 1)?;
    lab.claim(NO_PARENT).without(plain.hear()?).with(init.hear()?).shows(|parent| *parent == 0)?;
    lab.claim(SESSION).without([plain.hear()?, plain.hear()?]).with([init.hear()?, init.hear()?]).shows(
        |of| {
            of.inside("getsid(0)").is_some_and(|it| *it == 0)
                && of.inside("getsid(0) after setsid()").is_some_and(|it| *it == 1)
        },
    )?;

    lab.step(Step {
        goal: "Look into /proc from a new PID namespace, before and after mounting a new procfs.",
        calls: &["mount(\"proc\", \"/proc\", \"proc\")", "readlink(\"/proc/self\")"],
        by_hand: &[
            "unshare -Urpf --mount readlink /proc/self",
            "unshare -Urpf --mount-proc readlink /proc/self",
        ],
    })?;
    let look = |mounts_proc: bool| {
        Child::spawn("init", Namespaces::PID | Namespaces::MNT, read_proc_self(mounts_proc))?.hear_all()
    };
    lab.claim(NEW_PROC)
        .without(look(false)?)
        .with(look(cause(true, false))?)
        .shows(|proc| proc.inside("readlink /proc/self").is_some_and(|it| *it == 1))?;

    lab.step(Step {
        goal: "Send each SIGTERM, which neither handles, then SIGUSR1, which both do. Which is heard first?",
        calls: &["kill(pid, SIGTERM)", "kill(pid, SIGUSR1)"],
        by_hand: &[
            "unshare -Urpf --kill-child sh -c 'trap \"echo caught USR1\" USR1; while :; do sleep 1; done' &",
            "pid=$(pgrep --parent $!); kill -TERM $pid; echo $?; kill -USR1 $pid",
        ],
    })?;
    let mut answers = Vec::new();
    for child in [&plain, &init] {
        answers.push(Fact::outside("kill(pid, SIGTERM)", child.try_signal(SIGTERM)?));
        child.signal(SIGUSR1)?;
    }
    let init_answer = answers.remove(1);
    let plain_answer = answers.remove(0);
    let (heard_plain, heard_init) = (plain.hear()?, init.hear()?);
    lab.claim(IMMUNE)
        .without([heard_plain, plain_answer.clone()])
        .with([heard_init, init_answer.clone()])
        .shows(|heard| {
            *heard == "SIGUSR1" && heard.outside("kill(pid, SIGTERM)").is_some_and(|it| *it == "OK")
        })?;
    lab.claim(CANNOT_SEND).without(plain_answer).with(init_answer).shows(|answer| *answer != "OK")?;

    lab.step(Step {
        goal: "Ask the handler who sent the signal.",
        calls: &["sigaction(SIGUSR1, SA_SIGINFO)", "kill(pid, SIGUSR1)"],
        by_hand: &[],
    })?;
    lab.claim(FROM_ABOVE)
        .without(sender_of_a_signal(Namespaces::NONE)?)
        .with(sender_of_a_signal(Namespaces::PID)?)
        .shows(|sender| *sender == 0)?;

    lab.step(Step {
        goal: "Let init send SIGKILL and SIGSTOP to itself, then send it both from out here.",
        calls: &["kill(getpid(), SIGKILL)", "kill(getpid(), SIGSTOP)"],
        by_hand: &["unshare -Urpf sh -c 'kill -KILL $$; echo still here'"],
    })?;
    let by_itself = |namespaces, signal| Child::spawn("child", namespaces, signal_myself(signal))?.hear();
    let survived = by_itself(Namespaces::PID, SIGKILL)?;
    lab.claim(ITSELF)
        .without(by_itself(Namespaces::NONE, SIGKILL)?)
        .with(survived.clone())
        .shows(|after| *after == "lives on")?;
    let _ = init.try_signal(SIGKILL)?; // a sabotaged one is gone already
    lab.claim(MORTAL).without(survived).with(init.hear()?).shows(|end| *end == "killed by SIGKILL")?;
    if lab.can_ask(&[STOPPABLE, MATRIX])? {
        let mut stopped = Child::spawn("init", Namespaces::PID, Witness::stay)?;
        stopped.signal(SIGSTOP)?;
        lab.claim(STOPPABLE)
            .without(by_itself(Namespaces::PID, SIGSTOP)?)
            .with(stopped.hear()?)
            .shows(|state| *state == "stopped by SIGSTOP")?;
        matrix::fill(lab, MATRIX)?;
    }

    lab.step(Step {
        goal: "Block SIGTERM, let it arrive, and unblock it.",
        calls: &[
            "sigprocmask(SIG_BLOCK, [SIGTERM])",
            "kill(getpid(), SIGTERM)",
            "sigprocmask(SIG_UNBLOCK, [SIGTERM])",
        ],
        by_hand: &[],
    })?;
    let blocked = |namespaces| Child::spawn("child", namespaces, block_and_unblock)?.hear_all();
    lab.claim(BLOCKED).without(blocked(Namespaces::NONE)?).with(blocked(Namespaces::PID)?).shows(|of| {
        of.inside("SIGTERM is pending").is_some_and(|it| *it == "yes")
            && of.inside("after unblocking").is_some()
    })?;

    if lab.can_ask(&[FAULT])? {
        lab.step(Step {
            goal: "Send init a SIGSEGV, then let it earn one by reading memory that it may not read.",
            calls: &["kill(getpid(), SIGSEGV)", "mmap(PROT_NONE)"],
            by_hand: &[],
        })?;
        let mut faulty = Child::spawn("init", Namespaces::PID, |me| {
            signals::fault()?;
            me.saw("after SIGSEGV", "lives on")
        })?;
        lab.claim(FAULT)
            .without(by_itself(Namespaces::PID, SIGSEGV)?)
            .with(faulty.hear()?)
            .shows(|end| *end == "killed by SIGSEGV")?;
    }

    end::run(lab)
}

/// In both children: say who we are, then name every handled signal that arrives.
fn say_who_and_catch(me: &mut Witness) -> ns_core::Result<()> {
    let mut caught = signals::catch(&[SIGUSR1])?;
    me.saw("getpid()", getpid())?;
    me.saw("getppid()", getppid())?;
    me.saw("getsid(0)", getsid(None).ok())?;
    let _ = setsid();
    me.saw("getsid(0) after setsid()", getsid(None).ok())?;
    loop {
        me.saw("first signal handled", caught.wait()?.signal)?;
    }
}

fn read_proc_self(mounts_proc: bool) -> impl FnOnce(&mut Witness) -> ns_core::Result<()> {
    move |me| {
        mount::make_private()?;
        if mounts_proc {
            me.saw("mount -t proc proc /proc", Outcome::of(mount::mount("proc", "/proc".as_ref()))?)?;
        }
        let link = std::fs::read_link("/proc/self").unwrap_or_default();
        let pid = link.to_string_lossy().parse().map_or("unreadable".into(), ns_core::Value::Pid);
        me.saw("readlink /proc/self", pid)
    }
}

fn sender_of_a_signal(namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let mut caught = signals::catch(&[SIGUSR1])?;
        me.saw("ready", "yes")?;
        me.saw("si_pid", caught.wait()?.sender)
    })?;
    child.hear()?;
    child.signal(SIGUSR1)?;
    Ok(child.hear()?)
}

/// Reached at its end only if the kernel dropped the signal.
fn signal_myself(signal: ns_core::Signal) -> impl FnOnce(&mut Witness) -> ns_core::Result<()> {
    move |me| {
        signals::send(getpid(), Some(signal))?;
        me.saw(format!("after its own {signal}"), "lives on")
    }
}

fn block_and_unblock(me: &mut Witness) -> ns_core::Result<()> {
    signals::block(&[SIGTERM])?;
    signals::send(getpid(), Some(SIGTERM))?;
    me.saw("SIGTERM is pending", signals::is_pending(SIGTERM)?)?;
    signals::unblock(&[SIGTERM])?;
    me.saw("after unblocking", "lives on")
}
