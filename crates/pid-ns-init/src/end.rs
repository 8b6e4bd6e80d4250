//! What happens to a PID namespace when its init ends, and what init owes its members.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use ns_core::Signal::{SIGTERM, SIGUSR1};
use ns_core::process::{self, RebootMode};
use ns_core::{
    Capability, Child, Error, Fact, Namespaces, Outcome, Pid, Spawn, Value, Witness, host, namespace,
    signals, uts,
};

pub(crate) const TAKES_ALL: Claim =
    Claim::holds("takes-all", "When init ends, the kernel kills every process of the namespace.")
        .cause("CLONE_NEWPID")
        .notes(&[85]);
pub(crate) const NO_MORE: Claim =
    Claim::holds("no-more", "Once init has ended, no process can be made in the namespace: ENOMEM.")
        .cause("unshare(CLONE_NEWPID)")
        .notes(&[86]);
pub(crate) const EVERYONE: Claim = Claim::holds(
    "everyone",
    "kill(-1) from inside hits the members of the namespace, and nobody outside it.",
)
.cause("CLONE_NEWPID")
.more(&[30]);
pub(crate) const ORPHANS: Claim =
    Claim::holds("orphans", "An orphan that has ended stays a zombie unless its init waits for it.")
        .cause("an init that waits")
        .notes(&[91])
        .more(&[44]);
pub(crate) const REBOOT: Claim =
    Claim::holds("reboot", "reboot() in a PID namespace kills its init by SIGHUP, and the machine stays up.")
        .cause("RB_AUTOBOOT")
        .more(&[41])
        .needs(&[Need::Capability(Capability::CAP_SYS_BOOT)]);
pub(crate) const RENAMES: Claim = Claim::holds(
    "renames",
    "The notes' pid_ns_test spares its host's name only in a UTS namespace: a PID namespace keeps no hostname in.",
)
.cause("CLONE_NEWUTS")
.notes(&[91]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "End a parent that has two children, which handle nothing but ignore all that can be ignored. Who is left?",
        calls: &["clone3(CLONE_NEWPID)", "fork()", "exit(7)", "kill(pid, 0)"],
        by_hand: &["unshare -Urpf sh -c 'sleep 99 & sleep 98 & exit 7'; pgrep -a sleep"],
    })?;
    lab.claim(TAKES_ALL)
        .without(left_after_the_parent(Namespaces::NONE)?)
        .with(left_after_the_parent(Namespaces::PID)?)
        .shows(|left| *left == 0)?;

    lab.step(Step {
        goal: "Make a child after the first child of unshare(CLONE_NEWPID), the init, has ended.",
        calls: &["unshare(CLONE_NEWPID)", "fork()", "waitpid()", "fork()"],
        by_hand: &["unshare -Ur --pid sh -c '/bin/true; /bin/true'"],
    })?;
    lab.claim(NO_MORE)
        .without(second_child(Namespaces::NONE)?)
        .with(second_child(Namespaces::PID)?)
        .shows(|second| *second == "ENOMEM")?;

    lab.step(Step {
        goal: "From inside a namespace, send SIGUSR1 to everyone. A process just outside listens.",
        calls: &["kill(-1, SIGUSR1)", "kill(listener, SIGTERM)"],
        by_hand: &[],
    })?;
    lab.claim(EVERYONE)
        .without(kill_everyone(Namespaces::NONE)?)
        .with(kill_everyone(Namespaces::PID)?)
        .shows(|heard| *heard == "SIGTERM" && heard.inside("member").is_some_and(|it| *it == "SIGUSR1"))?;

    lab.step(Step {
        goal: "Orphan a process, and let it end: once under an init that does not wait, once under one that does.",
        calls: &["waitpid(-1)"],
        by_hand: &[
            "unshare -Urpf --mount-proc --kill-child sleep 60 &",
            "init=$(pgrep --parent $!); enter=\"nsenter -t $init -U -m -p --preserve-credentials\"",
            "$enter sh -c '(sleep 0.1 &)'; sleep 1; $enter ps -o pid,ppid,stat,comm",
        ],
    })?;
    lab.claim(ORPHANS)
        .without(fate_of_an_orphan(false)?)
        .with(fate_of_an_orphan(cause(true, false))?)
        .shows(|orphan| *orphan == "gone")?;

    if lab.can_ask(&[REBOOT])? {
        lab.step(Step {
            goal: "Reboot from inside; beside it a command that a PID namespace does not know, suspend to disk.",
            calls: &["reboot(RB_SW_SUSPEND)", "reboot(RB_AUTOBOOT)"],
            by_hand: &[],
        })?;
        lab.claim(REBOOT)
            .without(reboot(RebootMode::RB_SW_SUSPEND)?)
            .with(reboot(RebootMode::RB_AUTOBOOT)?)
            .shows(|end| *end == "killed by SIGHUP")?;
    }

    lab.step(Step {
        goal: "Set the hostname as the notes' pid_ns_test does: without a UTS namespace, and with one.",
        calls: &["sethostname(\"test\")"],
        by_hand: &["unshare -Ur --uts sh -c 'unshare --pid --fork hostname test; hostname'; hostname"],
    })?;
    lab.claim(RENAMES)
        .without(rename(Namespaces::PID)?)
        .with(rename(Namespaces::PID | Namespaces::UTS)?)
        .shows(|changed| *changed == "no")?;
    Ok(())
}

/// Runs `body` as the init of a PID namespace around the whole trial, which takes every orphan along when it ends.
fn inside_a_namespace(body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    // The trial's own namespace is no cause of anything, and stays under --sabotage too.
    let mut around = Spawn::new("the trial's init").namespaces_always(Namespaces::PID).run(body)?;
    Ok(around.hear_all()?)
}

fn left_after_the_parent(namespaces: Namespaces) -> Result<Observation> {
    let facts = inside_a_namespace(move |me| {
        let mut parent = Child::spawn("parent", namespaces, |me| {
            for name in ["first child", "second child"] {
                let mut child = Spawn::new(name).outlives_parent().run(|me| {
                    signals::block_all()?;
                    tell_pids(me)?;
                    wait_for_ever()
                })?;
                me.tell(child.hear()?)?;
                child.abandon();
            }
            Ok(())
        })?;
        let children = [parent.hear()?, parent.hear()?];
        let end = parent.wait()?;
        let mut left = 0;
        for pids in &children {
            left += usize::from(signals::send(number(pids, 1)?, None)? == Outcome::Done);
        }
        me.tell(Fact::outside("its children that live on", left))?;
        me.tell(Fact::outside("the parent", end))
    })?;
    Ok(facts.into())
}

/// As the procfs has it that we were started with: first the number that a process has there, then one a PID namespace
/// further down.
fn tell_pids(me: &mut Witness) -> ns_core::Result<()> {
    me.saw("PIDs", process::pids(None)?.into_iter().map(Value::Pid).collect::<Vec<_>>())
}

/// The number that a process told of itself for the PID namespace `level` below the one that we were started in.
fn number(pids: &Fact, level: usize) -> ns_core::Result<Pid> {
    let told = match &pids.value {
        Value::List(numbers) => {
            numbers.get(level).and_then(Value::as_i64).and_then(|it| i32::try_from(it).ok())
        }
        _ => None,
    };
    told.map(Pid::from_raw).ok_or_else(|| Error::Unreadable {
        what: format!("{} of {}", pids.what, pids.who),
        message: format!("no number of level {level} in '{}'", pids.value),
    })
}

fn second_child(namespaces: Namespaces) -> Result<Fact> {
    let mut parent = Child::spawn("parent", Namespaces::NONE, move |me| {
        namespace::unshare(namespaces)?;
        Child::spawn("first child", Namespaces::NONE, |_| Ok(()))?.wait()?;
        let second = Child::spawn("second child", Namespaces::NONE, |_| Ok(()));
        me.saw("fork() after the first child ended", Outcome::of(second)?)
    })?;
    Ok(parent.hear()?)
}

fn kill_everyone(namespaces: Namespaces) -> Result<Observation> {
    let facts = inside_a_namespace(move |me| {
        let listen = |me: &mut Witness| {
            let mut caught = signals::catch(&[SIGUSR1, SIGTERM])?;
            me.saw("ready", "yes")?;
            me.saw("heard first", caught.wait()?.signal)
        };
        let mut listener = Child::spawn("listener", Namespaces::NONE, listen)?;
        listener.hear()?;
        let mut sender = Child::spawn("sender", namespaces, move |me| {
            let mut member = Child::spawn("member", Namespaces::NONE, listen)?;
            member.hear()?;
            signals::send(Pid::from_raw(-1), Some(SIGUSR1))?;
            me.saw("member", member.hear()?.value)
        })?;
        let member = sender.hear()?;
        sender.wait()?;
        // The fence: it is heard first only if the other was never sent here.
        listener.signal(SIGTERM)?;
        let heard = listener.hear()?;
        me.tell(Fact::outside("the listener heard first", heard.value))?;
        me.tell(member)
    })?;
    Ok(facts.into())
}

fn fate_of_an_orphan(init_waits: bool) -> Result<Fact> {
    let mut init = Spawn::new("init").namespaces_always(Namespaces::PID).run(move |me| {
        let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
            let mut orphan = Spawn::new("orphan").outlives_parent().run(|me| {
                tell_pids(me)?;
                // Until its parent, which holds the gate, is gone: then it ends, adopted by init.
                me.stay()
            })?;
            me.tell(orphan.hear()?)?;
            orphan.abandon();
            Ok(())
        })?;
        let pids = parent.hear()?;
        parent.wait()?;
        if init_waits {
            while !matches!(waitpid(None, None), Ok(WaitStatus::Exited(..)) | Err(Errno::ECHILD)) {}
        }
        me.tell(pids)?;
        me.stay()
    })?;
    let orphan = number(&init.hear()?, 0)?;
    let state = process::wait_for_state(orphan, &['Z'])?;
    Ok(Fact::outside("state of the orphan in /proc", state.map_or("gone".into(), String::from)))
}

fn reboot(how: RebootMode) -> Result<Fact> {
    let mut init = Child::spawn("init", Namespaces::PID, move |me| {
        // Under --sabotage this is the host's namespace, where nobody asks for a reboot.
        if !host::left(ns_core::Kind::Pid)? {
            return me.saw("reboot()", "not tried: this is the host's PID namespace");
        }
        me.saw(format!("reboot({how:?})"), Outcome::of(process::reboot(how))?)
    })?;
    Ok(init.hear()?)
}

fn rename(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let before = uts::hostname();
    let mut child = Child::spawn("pid_ns_test", namespaces, |me| {
        me.saw("sethostname(\"test\")", Outcome::of(uts::set_hostname("test"))?)
    })?;
    let set = child.hear()?;
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
