//! The PIDs of one process: the kernel translates between PID namespaces.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Kernel, Step, hand, inside, outside};
use nix::unistd::getpid;
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Pid, Reporter, Value, pids};

const TRANSLATED: Claim = Claim::holds_since(
    "translated",
    "ioctl(NS_GET_PID_IN_PIDNS) returns the PID that a process has in another PID namespace.",
    Kernel(6, 11),
)
.factor("CLONE_NEWPID")
.notes(&[99]);

pub(crate) const ASK_THE_KERNEL: Step = Step {
    title: "Ask the kernel for the PID of a child in its own PID namespace, and for the process with PID 1 there.",
    calls: &["ioctl(ns, NS_GET_PID_IN_PIDNS, pid)", "ioctl(ns, NS_GET_PID_FROM_PIDNS, 1)"],
    by_hand: &[hand("unshare -Urpf --kill-child sleep 60 & sleep 1; grep NSpid /proc/$(pgrep --parent $!)/status; kill -KILL $!").prints("NSpid: <pid> 1"), ],
    claims: &[TRANSLATED],
    run: |lab| {
        // ENOTTY: before Linux 6.11 there is no such ioctl.
        lab.compare(TRANSLATED, Namespaces::NONE, Namespaces::PID, translate)?.shows(
            outside("its PID inside").from("ENOTTY").to(1)
                & outside("PID 1 inside is this child").from("ENOTTY").to(true),
        )
    },
};

const SENDER: Claim = Claim::holds(
    "sender",
    "SCM_CREDENTIALS give the sender's PID in the receiver's namespace, or 0 if it has none there.",
)
.factor("CLONE_NEWPID")
.more(&[42]);

pub(crate) const NAME_SENDERS: Step = Step {
    title: "Send a message from a new PID namespace, and one into it. Read the PIDs of the senders from SCM_CREDENTIALS.",
    calls: &["setsockopt(SO_PASSCRED)", "send()", "recvmsg() [SCM_CREDENTIALS]"],
    by_hand: &[],
    claims: &[SENDER],
    run: |lab| {
        lab.compare(SENDER, Namespaces::NONE, Namespaces::PID, send_both_ways)?
            .in_both_arms(outside("sender of the message from inside").is("its PID outside"))
            .shows(inside("getpid()").is(1) & inside("sender of the message from outside").is(0))
    },
};

fn translate(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("init", namespaces, Reporter::stay)?;
    let file = NsFile::of(Some(child.pid()), Kind::Pid)?;
    let there = match pids::number_in(&file, child.pid()) {
        Ok(pid) => pid.into(),
        refused => Value::from(Outcome::of(refused)?),
    };
    let here = match pids::number_from(&file, Pid::from_raw(1)) {
        Ok(pid) => Value::from(pid == child.pid()),
        refused => Value::from(Outcome::of(refused)?),
    };
    Ok(vec![
        Fact::outside("its PID outside", child.pid()),
        Fact::outside("its PID inside", there),
        Fact::outside("PID 1 inside is this child", here),
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
        me.report("getpid()", getpid())?;
        there.send(b"out").named(|| "send()".into())?;
        me.report("sender of the message from outside", pids::sender_of_next(&there)?)
    })?;
    here.send(b"in").named(|| "send()".into())?;
    let sender = pids::sender_of_next(&here)?;
    let own = child.fact()?;
    let from_outside = child.fact()?;
    let sender = if sender == child.pid() { "its PID outside" } else { "another PID" };
    Ok(vec![own, Fact::outside("sender of the message from inside", sender), from_outside])
}
