//! What happens to a PID namespace when its init ends, and what init does for its members.

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::getpid;
use ns_core::Signal::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use ns_core::process::{self, RebootMode};
use ns_core::{
    Capability, Child, Error, Fact, Namespaces, Outcome, Pid, Reporter, Spawn, Value, namespace, signals, uts,
};

use crate::sender::send;

const TAKES_ALL: Claim =
    Claim::holds("takes-all", "When init ends, the kernel kills the other members of its namespace.")
        .factor("CLONE_NEWPID")
        .notes(&[85])
        .core(&[Row::outside("surviving children", "its children that live on")])
        .asks(
            "The init of a PID namespace ends. What happens to its children, which handle no signal?",
            &[
                right("the kernel kills them"),
                wrong("they live on, and the host's init adopts them", "this happens to other orphans"),
                wrong("they live on, and the oldest becomes PID 1", "a namespace is thought to need a PID 1"),
            ],
        );

pub(crate) const END_A_PARENT: Step = Step {
    title: "End a parent whose two children block all signals. Count the children that are left.",
    calls: &["clone3(CLONE_NEWPID)", "fork()", "exit(7)", "kill(pid, 0)"],
    by_hand: &[
        hand("unshare -Urpf sh -c 'sleep 987 & exit 7'; echo $?; pgrep -f 'sleep 987'").prints("7"),
        hand("sh -c 'sleep 987 & exit 7'; echo $?; pgrep -f 'sleep 987'; pkill -f 'sleep 987'")
            .prints("7\n<pid>"),
    ],
    claims: &[TAKES_ALL],
    run: |lab| {
        lab.compare(TAKES_ALL, Namespaces::NONE, Namespaces::PID, left_after_the_parent)?
            .shows(outside("its children that live on").is(0))
    },
};

const NO_MORE: Claim =
    Claim::holds("no-more", "After init has ended, fork() into its namespace fails with ENOMEM.")
        .factor("unshare(CLONE_NEWPID)")
        .notes(&[86])
        .core(&[Row::first("fork() after its end")])
        .asks(
            "After unshare(CLONE_NEWPID), the first child has ended. What does the next fork() do?",
            &[
                right("it fails with ENOMEM"),
                wrong("its child becomes PID 1", "PID 1 is free again"),
                wrong("its child becomes PID 2", "PIDs count upwards"),
                wrong(
                    "its child is created outside the namespace",
                    "the namespace is thought to end with its init",
                ),
            ],
        );

pub(crate) const MAKE_A_CHILD_LATER: Step = Step {
    title: "Call fork() again after the first child of unshare(CLONE_NEWPID), the init, has ended.",
    calls: &["unshare(CLONE_NEWPID)", "fork()", "waitpid()", "fork()"],
    by_hand: &[
        hand("unshare -Ur --pid bash -c '/bin/true; echo $?; /bin/true; echo never'").prints("0\nENOMEM")
    ],
    claims: &[NO_MORE],
    run: |lab| {
        lab.compare(NO_MORE, Namespaces::NONE, Namespaces::PID, second_child)?.shows(first().is("ENOMEM"))
    },
};

const EVERYONE: Claim = Claim::holds(
    "everyone",
    "kill(-1) from inside signals each member but init and the sender, and no process outside.",
)
.factor("CLONE_NEWPID")
.more(&[30]);

pub(crate) const SIGNAL_EVERYONE: Step = Step {
    title: "Call kill(-1, SIGUSR1) in a child of the first process. Then send SIGTERM to each process. Which signal does each handle first?",
    calls: &["kill(-1, SIGUSR1)", "kill(pid, SIGTERM)"],
    by_hand: &[],
    claims: &[EVERYONE],
    run: |lab| {
        lab.compare(EVERYONE, Namespaces::NONE, Namespaces::PID, kill_everyone)?
            .in_both_arms(
                inside("the sender handled first").is("SIGTERM")
                    & inside("the member handled first").is("SIGUSR1"),
            )
            .shows(
                outside("the listener handled first").is("SIGTERM")
                    & inside("the first process handled first").is("SIGTERM"),
            )
    },
};

const ORPHANS: Claim = Claim::holds(
    "orphans",
    "With init's SIGCHLD at its default action, an orphan that ends stays a zombie until init waits for it.",
)
.factor("an init that waits")
.notes(&[91])
.more(&[44]);

pub(crate) const ORPHAN: Step = Step {
    title: "Let an orphan end: under an init that does not wait for it, then under one that waits.",
    calls: &["waitpid(-1)"],
    by_hand: &[
        hand("unshare -Urpf --mount-proc --kill-child sleep 60 &").prints(""),
        hand("init=$(pgrep --parent $!); enter=\"nsenter -t $init -U -m -p --preserve-credentials\"")
            .prints(""),
        hand("$enter sh -c '(sleep 0.1 &)'; sleep 1; $enter ps -o pid,ppid,stat,comm; kill -KILL $!")
            .prints("…\n… 1 Z sleep\n…"),
    ],
    claims: &[ORPHANS],
    run: |lab| lab.compare(ORPHANS, false, true, state_of_an_orphan)?.shows(first().is("gone")),
};

const REBOOT: Claim = Claim::holds(
    "reboot",
    "reboot() in a PID namespace kills init: with SIGHUP for a restart, SIGINT for a halt. No handler runs.",
)
.factor("RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF")
.more(&[41])
.requires(&[Requirement::Capability(Capability::CAP_SYS_BOOT)]);

pub(crate) const REBOOT_FROM_INSIDE: Step = Step {
    title: "Call reboot() in an init that handles SIGHUP and SIGINT: to suspend, which fails, then to restart, halt and power off.",
    calls: &[
        "reboot(RB_SW_SUSPEND)",
        "reboot(RB_AUTOBOOT)",
        "reboot(RB_HALT_SYSTEM)",
        "reboot(RB_POWER_OFF)",
    ],
    by_hand: &[],
    claims: &[REBOOT],
    run: |lab| {
        use RebootMode::{RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF, RB_SW_SUSPEND};
        let unknown = [RB_SW_SUSPEND; 3];
        lab.compare(REBOOT, unknown, [RB_AUTOBOOT, RB_HALT_SYSTEM, RB_POWER_OFF], |[restart, halt, off]| {
            Ok([reboot("to restart", restart)?, reboot("to halt", halt)?, reboot("to power off", off)?])
        })?
        .shows(
            inside("to restart").from("EINVAL").to("killed by SIGHUP")
                & inside("to halt").from("EINVAL").to("killed by SIGINT")
                & inside("to power off").from("EINVAL").to("killed by SIGINT"),
        )
    },
};

const RENAMES: Claim = Claim::holds(
    "renames",
    "The notes' pid_ns_test changes the hostname of its parent, unless it also creates a UTS namespace.",
)
.factor("CLONE_NEWUTS")
.notes(&[91]);

pub(crate) const SET_THE_HOSTNAME: Step = Step {
    title: "Set the hostname as the notes' pid_ns_test does: without a new UTS namespace, and with one.",
    calls: &["sethostname(\"test\")"],
    by_hand: &[
        hand("unshare -Ur --uts sh -c 'unshare --pid --fork hostname test; hostname'").prints("test"),
        hand("unshare -Ur --uts sh -c 'unshare --pid --uts --fork hostname other; hostname test; hostname'")
            .prints("test"),
    ],
    claims: &[RENAMES],
    run: |lab| {
        lab.compare(RENAMES, Namespaces::PID, Namespaces::PID | Namespaces::UTS, rename)?
            .shows(outside("the hostname changed").is("no"))
    },
};

/// Runs `body` as init of a PID namespace for the whole trial. When this init ends, the kernel kills all orphans.
pub(crate) fn inside_a_namespace(
    body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>,
) -> Result<Vec<Fact>> {
    let mut around = Spawn::new("the trial's init").namespaces(Namespaces::PID).run(body)?;
    Ok(around.facts()?)
}

fn left_after_the_parent(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let facts = inside_a_namespace(move |me| {
        let mut parent = Child::spawn("parent", namespaces, |me| {
            for name in ["first child", "second child"] {
                let mut child = Spawn::new(name).outlives_parent().run(|me| {
                    signals::block_all()?;
                    report_pids(me)?;
                    wait_for_ever()
                })?;
                me.send(child.fact()?)?;
                child.abandon();
            }
            Ok(())
        })?;
        let children = [parent.fact()?, parent.fact()?];
        let end = parent.wait()?;
        let mut left = 0;
        for pids in &children {
            left += usize::from(is_there(pid_at_level(pids, 1)?)?);
        }
        me.send(Fact::outside("its children that live on", left))?;
        me.send(Fact::outside("the parent", end))
    })?;
    Ok(facts)
}

fn is_there(process: Pid) -> ns_core::Result<bool> {
    match signals::send(process, None)? {
        Outcome::Failed(Errno::ESRCH) => Ok(false),
        Outcome::Failed(errno) => Err(Error::Call { call: "kill(pid, 0)".into(), errno }),
        _ => Ok(true),
    }
}

/// Reports the PIDs of NSpid in /proc/self/status: first the one in the PID namespace of that procfs, then one for
/// each nested namespace.
pub(crate) fn report_pids(me: &mut Reporter) -> ns_core::Result<()> {
    me.report("PIDs", process::pids(None)?.into_iter().map(Value::Pid).collect::<Vec<_>>())
}

/// The PID that a process reported for the PID namespace `level` levels below that of the experiment's procfs.
pub(crate) fn pid_at_level(pids: &Fact, level: usize) -> ns_core::Result<Pid> {
    let reported = match &pids.value {
        Value::List(pids) => pids.get(level).and_then(Value::as_i64).and_then(|it| i32::try_from(it).ok()),
        _ => None,
    };
    reported.map(Pid::from_raw).ok_or_else(|| Error::Unreadable {
        what: format!("{} of {}", pids.what, pids.who),
        message: format!("no PID of level {level} in '{}'", pids.value),
    })
}

fn second_child(namespaces: Namespaces) -> Result<Fact> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
        namespace::unshare(namespaces)?;
        Child::spawn("first child", Namespaces::NONE, |_| Ok(()))?.wait()?;
        let second = Child::spawn("second child", Namespaces::NONE, |_| Ok(()));
        me.report("fork() after the first child ended", Outcome::of(second)?)
    })?;
    Ok(parent.fact()?)
}

fn kill_everyone(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let facts = inside_a_namespace(move |me| {
        let listen = |me: &mut Reporter| {
            let mut caught = signals::catch(&[SIGUSR1, SIGTERM])?;
            me.report("ready", "yes")?;
            me.report("handled first", caught.wait()?.signal)
        };
        let mut listener = Child::spawn("listener", Namespaces::NONE, listen)?;
        listener.fact()?;
        let mut first = Child::spawn("first process", namespaces, move |me| {
            let mut caught = signals::catch(&[SIGUSR1, SIGTERM])?;
            let mut member = Child::spawn("member", Namespaces::NONE, listen)?;
            member.fact()?;
            let mut sender = Child::spawn("sender", Namespaces::NONE, |me| {
                let mut caught = signals::catch(&[SIGUSR1, SIGTERM])?;
                send(Pid::from_raw(-1), SIGUSR1)?;
                // The fence, here and below: it is handled first only if the other signal was not sent.
                send(getpid(), SIGTERM)?;
                me.report("the sender handled first", caught.wait()?.signal)
            })?;
            let by_the_sender = sender.fact()?.value;
            member.signal(SIGTERM)?;
            me.report("the member handled first", member.fact()?.value)?;
            send(getpid(), SIGTERM)?;
            me.report("the first process handled first", caught.wait()?.signal)?;
            me.report("the sender handled first", by_the_sender)
        })?;
        let inside = first.facts()?;
        listener.signal(SIGTERM)?;
        let first_signal = listener.fact()?;
        me.send(Fact::outside("the listener handled first", first_signal.value))?;
        inside.into_iter().try_for_each(|fact| me.send(fact))
    })?;
    Ok(facts)
}

fn state_of_an_orphan(init_waits: bool) -> Result<Fact> {
    let mut init = Spawn::new("init").namespaces(Namespaces::PID).run(move |me| {
        let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
            let mut orphan = Spawn::new("orphan").outlives_parent().run(|me| {
                report_pids(me)?;
                // It ends when its parent, which holds the checkpoint, has ended and init has adopted it.
                me.stay()
            })?;
            me.send(orphan.fact()?)?;
            orphan.abandon();
            Ok(())
        })?;
        let pids = parent.fact()?;
        parent.wait()?;
        if init_waits {
            while !matches!(waitpid(None, None), Ok(WaitStatus::Exited(..)) | Err(Errno::ECHILD)) {}
        }
        me.send(pids)?;
        me.stay()
    })?;
    let orphan = pid_at_level(&init.fact()?, 0)?;
    let state = process::wait_for_state(orphan, &['Z'])?;
    Ok(Fact::outside("state of the orphan in /proc", state.map_or("gone".into(), String::from)))
}

/// How an init that calls reboot(2) ends. It handles the signals that its exit status names.
fn reboot(what_for: &str, how: RebootMode) -> Result<Fact> {
    let mut init = Child::spawn("init", Namespaces::PID, move |me| {
        let _caught = signals::catch(&[SIGHUP, SIGINT])?;
        me.report("reboot()", Outcome::of(process::reboot(how))?)
    })?;
    Ok(init.next(what_for)?)
}

fn rename(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let before = uts::hostname();
    let mut child = Child::spawn("pid_ns_test", namespaces, |me| {
        me.report("sethostname(\"test\")", Outcome::of(uts::set_hostname("test"))?)
    })?;
    let set = child.fact()?;
    child.wait()?;
    let after = uts::hostname();
    uts::set_hostname(&before)?;
    Ok(vec![
        Fact::outside("the hostname changed", after != before),
        Fact::outside("hostname afterwards", Value::Name(after)),
        set,
    ])
}

fn wait_for_ever() -> ns_core::Result<()> {
    loop {
        nix::unistd::pause();
    }
}
