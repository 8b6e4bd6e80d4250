//! Numbers that are chosen, foretold, translated and limited.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Kernel, Lab, Need, Step, cause};
use nix::unistd::getpid;
use ns_core::machine;
use ns_core::probe::Missing;
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Pid, Spawn, Value, Witness, pids, stage,
};

use crate::trial::{in_a, tell_all_of};

pub(crate) const CHOSEN: Claim = Claim::holds(
    "chosen",
    "A PID that is taken in one namespace (EEXIST) is free in another: a process keeps its number where it moves to.",
)
.cause("CLONE_NEWPID")
.notes(&[82, 83]);
pub(crate) const NEXT: Claim = Claim::holds(
    "next",
    "Whoever writes 4999 to ns_last_pid in a PID namespace has the next process there be 5000.",
)
.cause("a write to ns_last_pid")
.notes(&[83])
.more(&[43])
.needs(&[Need::Probe(ns_last_pid)]);
pub(crate) const TRANSLATED: Claim = Claim::holds_since(
    "translated",
    "ioctl(NS_GET_PID_IN_PIDNS) gives the number that a process has in another PID namespace.",
    Kernel(6, 11),
)
.cause("CLONE_NEWPID")
.notes(&[99]);
pub(crate) const SENDER: Claim = Claim::holds(
    "sender",
    "A message's SCM_CREDENTIALS name its sender by the receiver's number for it; for one who has none there, by 0.",
)
.cause("CLONE_NEWPID")
.more(&[42]);
pub(crate) const LIMIT: Claim = Claim::holds_since(
    "limit",
    "pid_max is each PID namespace's own: what is written inside leaves the limit outside as it was.",
    Kernel(6, 14),
)
.cause("CLONE_NEWPID")
.more(&[36])
.needs(&[Need::Probe(a_limit_to_write)]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "In A, take the number 777, and ask for it a second time: in the same namespace, and in a new one.",
        calls: &["clone3(set_tid = [777])"],
        by_hand: &[],
    })?;
    lab.claim(CHOSEN)
        .without(choose_twice(Namespaces::NONE)?)
        .with(choose_twice(Namespaces::PID)?)
        .shows(|seen| seen.inside("777 asked for again").is_some_and(|it| *it == "OK"))?;

    if lab.can_ask(&[NEXT])? {
        lab.step(Step {
            goal: "In A, write that the last PID was 4999, and make a process.",
            calls: &["write(\"/proc/sys/kernel/ns_last_pid\", \"4999\")", "fork()", "getpid()"],
            by_hand: &[
                "unshare -Urpf sh -c 'echo 4999 > /proc/sys/kernel/ns_last_pid; sh -c \"echo \\$\\$\"'",
            ],
        })?;
        lab.claim(NEXT)
            .without(after_last(None)?)
            .with(after_last(cause(Some(4999), None))?)
            .shows(|pid| *pid == 5000)?;
    }

    lab.step(Step {
        goal: "Ask the kernel which PID a child of ours has in its own namespace, and who is PID 1 there.",
        calls: &["ioctl(ns, NS_GET_PID_IN_PIDNS, pid)", "ioctl(ns, NS_GET_PID_FROM_PIDNS, 1)"],
        by_hand: &[
            "unshare -Urpf --kill-child sleep 9 & sleep 1; grep NSpid /proc/$(pgrep --parent $!)/status",
        ],
    })?;
    lab.claim(TRANSLATED).without(translate(Namespaces::NONE)?).with(translate(Namespaces::PID)?).shows(
        |seen| {
            seen.outside("its PID there").is_some_and(|it| *it == 1)
                && seen.outside("PID 1 there is the same process").is_some_and(|it| *it == true)
        },
    )?;

    lab.step(Step {
        goal: "Send a message out of a new PID namespace, and one into it, and let the kernel name the senders.",
        calls: &["setsockopt(SO_PASSCRED)", "send()", "recvmsg() [SCM_CREDENTIALS]"],
        by_hand: &[],
    })?;
    lab.claim(SENDER)
        .without(send_both_ways(Namespaces::NONE)?)
        .with(send_both_ways(Namespaces::PID)?)
        .shows(|seen| {
            seen.inside("getpid()").is_some_and(|it| *it == 1)
                && seen
                    .outside("sender of the message from inside")
                    .is_some_and(|it| *it == "its PID outside")
                && seen.inside("sender of the message from outside").is_some_and(|it| *it == 0)
        })?;

    if lab.can_ask(&[LIMIT])? {
        lab.step(Step {
            goal: "Set pid_max to 400 in a new PID namespace, and read it in A above. Inside, make two processes after PID 398, where numbers wrap.",
            calls: &["write(\"/proc/sys/kernel/pid_max\", \"400\")", "read(\"/proc/sys/kernel/pid_max\")", "fork()"],
            by_hand: &[
                "unshare -Urpf sh -c 'echo 400 > /proc/sys/kernel/pid_max; cat /proc/sys/kernel/pid_max' # since 6.14",
                "cat /proc/sys/kernel/pid_max",
            ],
        })?;
        lab.claim(LIMIT).without(limit(Namespaces::NONE)?).with(limit(Namespaces::PID)?).shows(|seen| {
            seen.inside("pid_max").is_some_and(|it| *it == LOW)
                && seen.outside("pid_max outside changed").is_some_and(|it| *it == false)
        })?;
    }
    Ok(())
}

fn choose_twice(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let say_and_stay = |me: &mut Witness| me.saw("getpid()", getpid().as_raw()).and_then(|()| me.stay());
        let mut first = Spawn::new("first").numbered(&[777]).run(say_and_stay)?;
        me.saw("getpid() of the first", first.hear()?.value)?;
        let second = Child::spawn("elsewhere", namespaces, move |me| {
            let mut told = None;
            let second = Spawn::new("second").numbered(&[777]).run(say_and_stay);
            let answer = Outcome::of(second.map(|mut second| told = Some(second.hear())))?;
            me.saw("777 asked for again", answer)?;
            match told {
                Some(pid) => me.saw("getpid() of the second", pid?.value),
                None => Ok(()),
            }
        })?;
        tell_all_of(second, me)
    })
}

fn after_last(last: Option<i32>) -> Result<Vec<Fact>> {
    in_a(move |me| {
        if let Some(last) = last {
            pids::set_last(last)?;
        }
        let next = Child::spawn("next", Namespaces::NONE, |me| {
            // The same in every run, since A is new: a number, and no PID that differs.
            me.saw("getpid()", getpid().as_raw())
        })?;
        tell_all_of(next, me)
    })
}

fn translate(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("init", namespaces, Witness::stay)?;
    let file = NsFile::of(Some(child.pid()), Kind::Pid)?;
    let there = match pids::number_in(&file, child.pid()) {
        Ok(number) => number.into(),
        refused => Value::from(Outcome::of(refused)?),
    };
    let here = match pids::number_from(&file, Pid::from_raw(1)) {
        Ok(number) => Value::from(number == child.pid()),
        refused => Value::from(Outcome::of(refused)?),
    };
    Ok(vec![
        Fact::outside("its PID here", child.pid()),
        Fact::outside("its PID there", there),
        Fact::outside("PID 1 there is the same process", here),
    ])
}

fn send_both_ways(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let pair = || -> ns_core::Result<(UnixDatagram, UnixDatagram)> {
        let (here, there) = UnixDatagram::pair().named(|| "socketpair(AF_UNIX, SOCK_DGRAM)".into())?;
        for end in [&here, &there] {
            end.set_read_timeout(Some(Duration::from_secs(10))).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
            pids::name_senders(end)?;
        }
        Ok((here, there))
    };
    let (here, there) = pair()?;
    let mut child = Child::spawn("inside", namespaces, move |me| {
        me.saw("getpid()", getpid())?;
        there.send(b"out").named(|| "send()".into())?;
        me.saw("sender of the message from outside", pids::sender_of_next(&there)?)
    })?;
    here.send(b"in").named(|| "send()".into())?;
    let sender = pids::sender_of_next(&here)?;
    let own = child.hear()?;
    let from_outside = child.hear()?;
    let sender = if sender == child.pid() { "its PID outside" } else { "another PID" };
    Ok(vec![own, Fact::outside("sender of the message from inside", sender), from_outside])
}

/// Low, but not lower than the kernel takes with a few processors.
const LOW: i32 = 400;

fn limit(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a(move |me| {
        let before = pids::max()?;
        let mut inside = Child::spawn("inside", namespaces, |me| {
            pids::set_max(LOW)?;
            me.saw("pid_max", pids::max()?)?;
            pids::set_last(LOW - 2)?;
            let mut next = Vec::new();
            for _ in 0..2 {
                let mut child =
                    Child::spawn("next", Namespaces::NONE, |me| me.saw("getpid()", getpid().as_raw()))?;
                next.push(child.hear()?.value);
                child.wait()?;
            }
            me.saw("the next two PIDs after 398", next)
        })?;
        let facts = inside.hear_all()?;
        let after = pids::max()?;
        // Before Linux 6.14 this is the machine's: LIMIT is asked there on none but one that is thrown away.
        pids::set_max(before)?;
        me.tell(Fact::outside("pid_max outside changed", after != before))?;
        facts.into_iter().try_for_each(|fact| me.tell(fact))
    })
}

/// What keeps us from writing ns_last_pid: a child tries, in a namespace of its own.
fn ns_last_pid() -> ns_core::Result<Option<Missing>> {
    let mut probe = Spawn::new("probe")
        .namespaces_always(Namespaces::PID)
        .run(|me| me.saw("write", Outcome::of(pids::set_last(50))?))?;
    let answer = probe.hear()?.value;
    Ok((answer != "OK").then(|| {
        let what = format!("writing /proc/sys/kernel/ns_last_pid gives {answer}");
        Missing::new(what, "run where /proc/sys is writable, on a kernel with CONFIG_CHECKPOINT_RESTORE")
    }))
}

/// What keeps us from writing pid_max without harm: that it is the whole machine's. The root of a user namespace may open
/// the file for writing only where it is the namespace's own.
fn a_limit_to_write() -> ns_core::Result<Option<Missing>> {
    let mut probe = Child::spawn("probe", Namespaces::NONE, |me| {
        stage::enter(Namespaces::USER | Namespaces::PID)?;
        let first =
            Child::spawn("probe", Namespaces::NONE, |me| me.saw("pid_max is ours", pids::max_is_ours()?))?;
        tell_all_of(first, me)
    })?;
    if probe.hear()?.value == true {
        return Ok(None);
    }
    // Elsewhere it is the machine's, which has to be one to throw away.
    machine::changeable("/proc/sys/kernel/pid_max")
}
