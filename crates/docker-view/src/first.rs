//! The first process of a container: how docker stop ends it, and how docker exec adds another.

use std::fs;
use std::os::fd::AsFd;

use anyhow::{Context, Result};
use lesson::{Claim, Row, Step, hand, outside, right, wrong};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, Outcome, Pid, Reporter, Signal, namespace, process, signals,
};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::client::done;
use crate::engine::{Container, DEFAULTS, Engine, Options, engine};
use crate::kinds::list;

const STOPPED: Claim = Claim::holds(
    "stop",
    "SIGTERM of docker stop does not end a PID 1 without a handler: SIGKILL ends it, with status 137.",
)
.factor("PID 1 without a handler")
.notes(&[88, 90])
.arms("--init", "sleep, PID 1")
.core(&[Row::outside("stop: exit status", "exit status")])
.asks(
    "PID 1 of a container is sleep. How does docker stop end it?",
    &[
        right("by SIGKILL, after the grace period: status 137"),
        wrong("by SIGTERM, at once: status 143", "a PID 1 that handles SIGTERM ends like that"),
        wrong("by SIGTERM, at once: status 0", "a requested stop seems to be no failure"),
        wrong("not at all", "PID 1 seems to be immune to all signals"),
    ],
);

pub(crate) const STOP: Step = Step {
    title: "Stop two containers, with a grace period of one second. PID 1 is sleep in one, and that of --init in the other.",
    calls: &["kill(pid, SIGTERM)", "kill(pid, SIGKILL)"],
    by_hand: &[
        hand("s=$(docker run --detach box busybox sleep 600); docker stop -t 1 $s >/dev/null")
            .as_root()
            .prints("")
            .in_the_same_shell(),
        hand("docker inspect --format '{{.State.ExitCode}}' $s; docker rm $s >/dev/null")
            .as_root()
            .prints("137"),
    ],
    claims: &[STOPPED],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(STOPPED, INIT, DEFAULTS, |options| stop(&engine, options))?
            .shows(outside("exit status").is(137))
    },
};

const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "An orphan that ends in a container stays a zombie if PID 1 does not wait; that of --init waits.",
)
.factor("a PID 1 that does not wait")
.arms("--init", "sleep, PID 1")
.more(&[44]);

pub(crate) const ORPHAN: Step = Step {
    title: "Create an orphan in each kind of container, and end it. Read its state.",
    calls: &["kill(pid, SIGKILL)", "waitid(P_ALL)"],
    by_hand: &[
        hand("docker exec --detach $c busybox sh -c 'busybox sleep 1 & busybox true'")
            .as_root()
            .prints("")
            .in_the_same_shell(),
        hand("sleep 2; docker exec $c busybox ps")
            .as_root()
            .prints("PID USER COMMAND\n1 0 busybox sleep 600\n… 0 [busybox]\n…"),
    ],
    claims: &[ZOMBIE],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(ZOMBIE, INIT, DEFAULTS, |options| orphan(&engine, options))?
            .shows(outside("ended orphan").is("a zombie"))
    },
};

const EXECUTED: Claim =
    Claim::holds("exec", "docker exec starts a process in all namespaces of the container.")
        .factor("docker exec")
        .arms("plain child", "docker exec")
        .notes(&[15]);
const EXECUTED_IN_CGROUP: Claim = Claim::holds(
    "exec-cgroup",
    "docker exec also puts the process into the container's cgroup; setns() into all namespaces does not.",
)
.factor("docker exec")
.arms("setns()", "docker exec")
.more(&[4]);

pub(crate) const EXEC: Step = Step {
    title: "Start a process in a container by docker exec, and one by setns(). Read the namespaces and the cgroup.",
    calls: &["setns(pidfd, CLONE_NEW…)", "write(\"cgroup.procs\", pid)"],
    by_hand: &[
        hand("docker exec $c busybox tail -n 1 /proc/self/cgroup")
            .as_root()
            .prints("0::/…")
            .in_the_same_shell(),
        hand("nsenter --target $p --ipc --net --mount --pid --uts busybox tail -n 1 /proc/self/cgroup")
            .as_root()
            .prints("0::/…"),
    ],
    claims: &[EXECUTED, EXECUTED_IN_CGROUP],
    run: |lab| {
        let container = engine(lab)?.idle(DEFAULTS)?;
        done(&["exec", "--detach", &container.id, "sleep", "6001"])?;
        let executed = ns_core::until("the process of docker exec", || Ok(member_with(&container, "6001")))?;
        let mut entered = enter(&container)?;
        lab.saw(entered.fact()?)?;
        let plain = Child::spawn("plain child", Namespaces::NONE, Reporter::stay)?;
        let all: Vec<Kind> = namespace::of(Some(container.pid))?.iter().map(|id| id.kind).collect();
        lab.compare(EXECUTED, plain.pid(), executed, |pid| shared_kinds(pid, &container))?
            .shows(outside("shared with the container").is(list(&all)))?;
        lab.compare(EXECUTED_IN_CGROUP, entered.pid(), executed, |pid| membership(pid, &container))?
            .shows(outside("in the container's cgroup").is("yes"))
    },
};

/// A PID 1 that forwards signals and waits for orphans.
const INIT: &Options = &["--init"];

/// All kinds of namespace that a container can have of its own.
const OWN: Namespaces = Namespaces::IPC
    .union(Namespaces::NET)
    .union(Namespaces::MNT)
    .union(Namespaces::PID)
    .union(Namespaces::UTS)
    .union(Namespaces::CGROUP);

fn stop(engine: &Engine, options: &Options) -> Result<Vec<Fact>> {
    let container = engine.start(options)?;
    // Until the shell has become sleep, or --init has started it.
    ns_core::until("a container to sleep", || Ok(member_with(&container, "6000").map(drop)))?;
    done(&["stop", "-t", "1", &container.id])?;
    let status = done(&["inspect", "--format", "{{.State.ExitCode}}", &container.id])?;
    let status: i64 = status.trim().parse().context("an exit status")?;
    let which = if options.is_empty() { "sleep" } else { "docker-init" };
    Ok(vec![Fact::inside("container", "PID 1", which), Fact::outside("exit status", status)])
}

fn orphan(engine: &Engine, options: &Options) -> Result<Fact> {
    let container = engine.start(options)?;
    done(&["exec", "--detach", &container.id, "sh", "-c", "sleep 6002 & true"])?;
    let pid = ns_core::until("an orphan in the container", || {
        let found = member_with(&container, "6002");
        let adopted =
            |pid: &Pid| process::status(Some(*pid)).is_ok_and(|of| of.ppid == container.pid.as_raw());
        Ok(found.filter(adopted))
    })?;
    signals::send(pid, Some(Signal::SIGKILL))?;
    let is = |state: &str| Ok(Fact::outside("ended orphan", state));
    // No event says that PID 1 does not wait. So the container runs other commands, which gives PID 1 time.
    for _ in 0..4 {
        done(&["exec", &container.id, "true"])?;
        if process::state(pid).is_err() {
            return is("gone");
        }
    }
    match process::state(pid) {
        Ok('Z') => is("a zombie"),
        Ok(_) => is("running"),
        Err(_) => is("gone"),
    }
}

/// Starts a child that enters the namespaces of a container and stays, so that it can be read from outside.
fn enter(container: &Container) -> Result<Child> {
    let target = rustix::process::Pid::from_raw(container.pid.as_raw()).context("a PID")?;
    Ok(Child::spawn("entered", Namespaces::NONE, move |me| {
        let target = pidfd_open(target, PidfdFlags::empty()).named(|| "pidfd_open()".into())?;
        let entered = namespace::enter_all_of(target.as_fd(), OWN);
        me.report("setns(pidfd, all kinds)", Outcome::of(entered)?)?;
        me.stay()
    })?)
}

fn shared_kinds(pid: Pid, container: &Container) -> Result<Fact> {
    let its = namespace::of(Some(container.pid))?;
    let kinds: Vec<Kind> =
        namespace::of(Some(pid))?.into_iter().filter(|id| its.contains(id)).map(|id| id.kind).collect();
    Ok(Fact::outside("shared with the container", list(&kinds)))
}

fn membership(pid: Pid, container: &Container) -> Result<Fact> {
    let path = format!("/proc/{pid}/cgroup");
    let text = fs::read_to_string(&path).with_context(|| format!("cat {path}"))?;
    Ok(Fact::outside("in the container's cgroup", text.contains(&container.id)))
}

/// The process in a container whose last argument is `word`.
fn member_with(container: &Container, word: &str) -> Option<Pid> {
    let entries = fs::read_dir("/proc").ok()?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let read = |pid: i32, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let is_it = |pid: &i32| {
        let arguments = read(*pid, "cmdline");
        // Neither `sh -c 'exec sleep 6000'`, before its execve(), nor docker-init, the parent.
        arguments.starts_with("sleep\0")
            && arguments.trim_end_matches('\0').ends_with(word)
            && read(*pid, "cgroup").contains(&container.id)
    };
    pids.filter(|pid| *pid > 1).find(is_it).map(Pid::from_raw)
}
