//! The first process of a container: how it is stopped, and how others come to it.

use std::os::fd::AsFd;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Step, cause};
use ns_core::{Child, Fact, Kind, Namespaces, Pid, Signal, Witness, namespace, process, signals};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::engine::{Container, Engine, done};
use crate::kinds::{STAY, list};

pub(crate) const STOP: Claim = Claim::holds(
    "stop",
    "docker stop cannot end a PID 1 that has no handler for SIGTERM: SIGKILL does, after the grace (status 137).",
)
.cause("PID 1 without a handler")
.notes(&[88, 90])
.misconceptions(&[(lesson::NO, "docker stop does end most containers at once: those whose PID 1 handles SIGTERM")]);
pub(crate) const ZOMBIE: Claim = Claim::holds(
    "zombie",
    "Who is orphaned in a container and ends stays a zombie, unless PID 1 waits for it, as that of --init does.",
)
.cause("a PID 1 that does not wait")
.more(&[44]);
pub(crate) const EXEC: Claim =
    Claim::holds("exec", "docker exec starts a process in all of the container's namespaces.")
        .cause("docker exec")
        .more(&[4]);
pub(crate) const EXEC_CGROUP: Claim = Claim::holds(
    "exec-cgroup",
    "docker exec puts it into the container's cgroup too, where setns(2) into all namespaces does not lead.",
)
.cause("docker exec")
.more(&[4]);

/// All kinds that a container has of its own.
const OWN: Namespaces = Namespaces::IPC
    .union(Namespaces::NET)
    .union(Namespaces::MNT)
    .union(Namespaces::PID)
    .union(Namespaces::UTS)
    .union(Namespaces::CGROUP);

pub(crate) fn run(lab: &mut Lab, engine: &Engine, container: &Container) -> Result<()> {
    lab.step(Step {
        goal: "Stop two containers, with a grace of one second: sleep is PID 1 in one, and --init is in the other.",
        calls: &["kill(pid, SIGTERM)", "kill(pid, SIGKILL)"],
        by_hand: &[
            "s=$(docker run --detach box busybox sleep 600); docker stop -t 1 $s",
            "docker inspect --format '{{.State.ExitCode}}' $s; docker rm $s",
        ],
    })?;
    lab.claim(STOP)
        .without(stop(engine, &["--init"])?)
        .with(stop(engine, cause(&[], &["--init"]))?)
        .shows(|of| of.outside("its exit status").is_some_and(|it| *it == 137))?;

    lab.step(Step {
        goal: "Orphan a process in either kind of container, and end it: is it still there?",
        calls: &["kill(pid, SIGKILL)", "waitid(P_ALL)"],
        by_hand: &[
            "docker exec --detach $c busybox sh -c 'busybox sleep 1 & busybox true'",
            "sleep 2; docker exec $c busybox ps",
        ],
    })?;
    lab.claim(ZOMBIE)
        .without(orphan(engine, &["--init"])?)
        .with(orphan(engine, cause(&[], &["--init"]))?)
        .shows(|state| *state == "a zombie")?;

    lab.step(Step {
        goal: "Start another process in a container, by docker exec and by setns(2) alone. Where is each?",
        calls: &["setns(pidfd, CLONE_NEW…)", "write(\"cgroup.procs\", pid)"],
        by_hand: &[
            "docker exec $c busybox cat /proc/self/cgroup",
            "nsenter --target $p --ipc --net --mount --pid --uts busybox cat /proc/self/cgroup",
        ],
    })?;
    done(&["exec", "--detach", &container.id, "sleep", "6001"])?;
    let executed = ns_core::until("the process of docker exec", || Ok(member_with(container, "6001")))?;
    // Its namespaces are its own affair: what a child of ours enters, we see from outside.
    let pid = container.pid;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
        let own = rustix::process::Pid::from_raw(pid.as_raw());
        let target = own.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let entered = target.map(|target| namespace::enter_all_of(target.as_fd(), OWN)).transpose();
        me.saw("setns(pidfd, all kinds)", ns_core::Outcome::of(entered)?)?;
        me.stay()
    })?;
    lab.saw(visitor.hear()?)?;
    let plain = Child::spawn("plain child", Namespaces::NONE, Witness::stay)?;
    let shared = |pid: Pid| -> Result<Fact> {
        let its = namespace::of(Some(container.pid))?;
        let kinds: Vec<Kind> =
            namespace::of(Some(pid))?.into_iter().filter(|id| its.contains(id)).map(|id| id.kind).collect();
        Ok(Fact::outside("kinds that it shares with the container", list(&kinds)))
    };
    let all: Vec<Kind> = namespace::of(Some(container.pid))?.iter().map(|id| id.kind).collect();
    lab.claim(EXEC)
        .without(shared(plain.pid())?)
        .with(shared(cause(executed, plain.pid()))?)
        .shows(|kinds| kinds.value() == &list(&all))?;
    let member = |pid: Pid| -> Result<Fact> {
        let path = format!("/proc/{pid}/cgroup");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cat {path}"))?;
        Ok(Fact::outside("it is in the container's cgroup", text.contains(&container.id)))
    };
    lab.claim(EXEC_CGROUP)
        .without(member(visitor.pid())?)
        .with(member(cause(executed, visitor.pid()))?)
        .shows(|member| *member == true)?;
    Ok(())
}

fn stop(engine: &Engine, options: &[&str]) -> Result<Vec<Fact>> {
    let container = engine.start(options, STAY)?;
    // The shell has to have become what it runs, or --init to have started it.
    ns_core::until("a container to sleep", || Ok(member_with(&container, "6000").map(drop)))?;
    done(&["stop", "-t", "1", &container.id])?;
    let status = done(&["inspect", "--format", "{{.State.ExitCode}}", &container.id])?;
    let status: i64 = status.trim().parse().context("an exit status")?;
    let which = if options.is_empty() { "sleep" } else { "docker-init" };
    Ok(vec![Fact::inside("container", "PID 1", which), Fact::outside("its exit status", status)])
}

fn orphan(engine: &Engine, options: &[&str]) -> Result<Fact> {
    let container = engine.start(options, STAY)?;
    done(&["exec", "--detach", &container.id, "sh", "-c", "sleep 6002 & true"])?;
    let pid = ns_core::until("an orphan in the container", || {
        let found = member_with(&container, "6002");
        let adopted =
            |pid: &Pid| process::status(Some(*pid)).is_ok_and(|of| of.ppid == container.pid.as_raw());
        Ok(found.filter(adopted))
    })?;
    signals::send(pid, Some(Signal::SIGKILL))?;
    // That nobody waits for it is no event. So the container is given other things to do, and PID 1 the time.
    for _ in 0..4 {
        done(&["exec", &container.id, "true"])?;
        if process::state(pid).is_err() {
            return Ok(Fact::outside("the orphan that has ended", "gone"));
        }
    }
    let state = match process::state(pid) {
        Ok('Z') => "a zombie",
        Ok(_) => "alive",
        Err(_) => "gone",
    };
    Ok(Fact::outside("the orphan that has ended", state))
}

/// The process in a container whose last argument is `word`.
fn member_with(container: &Container, word: &str) -> Option<Pid> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let read =
        |pid: i32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let is_it = |pid: &i32| {
        let arguments = read(*pid, "cmdline");
        // `sh -c 'exec sleep 6000'` is not there yet, and docker-init is above it.
        arguments.starts_with("sleep\0")
            && arguments.trim_end_matches('\0').ends_with(word)
            && read(*pid, "cgroup").contains(&container.id)
    };
    pids.filter(|pid| *pid > 1).find(is_it).map(Pid::from_raw)
}
