//! How soon a wait ends after a change: each of a hundred times.
//!
//! From the only thread, since the changes are made by children.

use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{geteuid, getgid, getuid};
use ns_core::cgroup::{CgroupParent, CgroupRequest};
use ns_core::idmap::IdMaps;
use ns_core::{
    Child, Errno, Error, Named, Namespaces, Reporter, Result, Spawn, cleanup, host, mount, namespace,
    process, process_events::ProcessEvents, sandbox, signals, uts,
};
use wake::{Subject, Wake, Woken};

#[path = "../../ns-core/tests/plain/mod.rs"]
mod plain;

use plain::Ending::{Passed, Skipped};
use plain::{Answer, Check};

const CHECKS: &[Check] = &[
    ("a_program_that_begins_is_reported", a_program_that_begins_is_reported),
    ("many_changes_leave_the_caller_time_to_rest", many_changes_leave_the_caller_time_to_rest),
    ("what_its_own_children_do_ends_no_wait", what_its_own_children_do_ends_no_wait),
    // On a busy machine processes begin and end all the time, and each of these would end a wait for something else.
    ("another_network_has_no_process_events", another_network_has_no_process_events),
    ("a_hostname_in_another_namespace_is_reported", a_hostname_in_another_namespace_is_reported),
    ("a_mount_in_another_namespace_is_reported", a_mount_in_another_namespace_is_reported),
    ("the_end_of_a_process_is_reported", the_end_of_a_process_is_reported),
    ("a_write_in_a_cgroup_is_reported", a_write_in_a_cgroup_is_reported),
    ("a_new_cgroup_is_watched_too", a_new_cgroup_is_watched_too),
    ("unshare_is_found_by_the_tick", unshare_is_found_by_the_tick),
    ("a_descriptor_of_the_caller_ends_the_wait", a_descriptor_of_the_caller_ends_the_wait),
    ("a_deadline_ends_the_wait", a_deadline_ends_the_wait),
];

const TIMES: usize = 100;
/// A tick, and what a busy machine adds.
const SOON: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    signals::start_afresh().and_then(|()| host::remember()).expect("a procfs at /proc");
    let ended = plain::run(CHECKS);
    if cleanup::finish().is_err() { ExitCode::FAILURE } else { ended }
}

/// A child that is root in namespaces of its own, and makes a change whenever it is woken.
fn changing(namespaces: Namespaces, mut change: impl FnMut(usize) -> Result<()>) -> Result<Child> {
    let maps = IdMaps::own(0, getuid().as_raw(), getgid().as_raw());
    let mut child = Spawn::new("child").namespaces(namespaces | Namespaces::USER).maps(maps).run(|me| {
        me.report("ready", "yes")?;
        for round in 0.. {
            me.checkpoint()?;
            change(round)?;
        }
        Ok(())
    })?;
    child.fact()?;
    Ok(child)
}

fn subject(child: &Child) -> Result<Subject> {
    Ok(Subject { pid: child.pid(), started: process::start_time(Some(child.pid()))? })
}

/// How long after `change` a wait ends, by a change or (`or_tick`) in any way.
fn time(wake: &mut Wake, or_tick: bool, change: impl FnOnce() -> Result<()>) -> Result<Duration> {
    // What came before is not this change's.
    while wake.wait(&[], Some(Instant::now()))? != Woken::End {}
    let began = Instant::now();
    change()?;
    while wake.wait(&[], None)? != Woken::Change && !or_tick {
        if began.elapsed() > Duration::from_secs(5) {
            return Err(Error::Deadline { what: "a change".into(), seconds: 5 });
        }
    }
    Ok(began.elapsed())
}

#[expect(clippy::print_stdout, reason = "a test program has no renderer")]
fn measured(what: &str, wake: &Wake, mut times: Vec<Duration>) -> Answer {
    times.sort_unstable();
    let [median, most] = [times[times.len() / 2], times[times.len() - 1]];
    println!("     {what}: median {median:?}, most {most:?}; listens to {}", wake.listens_to().join(", "));
    assert!(median < SOON, "{median:?}");
    Ok(Passed)
}

fn a_hostname_in_another_namespace_is_reported() -> Answer {
    let child = changing(Namespaces::UTS, |round| uts::set_hostname(&format!("fox{round}")))?;
    let mut wake = Wake::new();
    let times = (0..TIMES).map(|_| time(&mut wake, false, || child.wake())).collect::<Result<_>>()?;
    measured("sethostname()", &wake, times)
}

fn a_mount_in_another_namespace_is_reported() -> Answer {
    let child = changing(Namespaces::MNT, |round| {
        if round == 0 {
            mount::make_private()?;
        }
        mount::mount("tmpfs", &std::env::temp_dir())
    })?;
    let mut wake = Wake::new();
    wake.follow(&[subject(&child)?]);
    let times = (0..TIMES).map(|_| time(&mut wake, false, || child.wake())).collect::<Result<_>>()?;
    measured("mount()", &wake, times)
}

fn the_end_of_a_process_is_reported() -> Answer {
    let mut wake = Wake::new();
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let child = Child::spawn("child", Namespaces::NONE, Reporter::stay)?;
        wake.follow(&[subject(&child)?]);
        assert!(wake.listens_to().contains(&"ends of processes"));
        times.push(time(&mut wake, false, || child.wake())?);
    }
    measured("the end of a process", &wake, times)
}

fn a_write_in_a_cgroup_is_reported() -> Answer {
    let cgroup = match CgroupParent::find(CgroupRequest::Controller("pids"))? {
        Ok(place) => place.create("wake")?,
        Err(unmet) => return Ok(Skipped(unmet.to_string())),
    };
    let child = Child::spawn("child", Namespaces::NONE, Reporter::stay)?;
    cgroup.join(child.pid())?;
    let mut wake = Wake::new();
    wake.follow(&[subject(&child)?]);
    let mut round = 0;
    let times = (0..TIMES).map(|_| {
        round += 1;
        time(&mut wake, false, || cgroup.write("pids.max", &(10 + round).to_string()))
    });
    let times = times.collect::<Result<_>>()?;
    drop(child);
    cgroup.wait_populated(false)?;
    cgroup.remove()?;
    measured("a write to pids.max", &wake, times)
}

/// One that is made below a cgroup that is watched: `mkdir`, and then a write to a file in it.
fn a_new_cgroup_is_watched_too() -> Answer {
    let place = match CgroupParent::find(CgroupRequest::AnyV2)? {
        Ok(place) => place,
        Err(unmet) => return Ok(Skipped(unmet.to_string())),
    };
    let outer = place.create("wake")?;
    let child = Child::spawn("child", Namespaces::NONE, Reporter::stay)?;
    outer.join(child.pid())?;
    let mut wake = Wake::new();
    wake.follow(&[subject(&child)?]);
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let mut inner = None;
        let make = || {
            inner = Some(outer.child(&ns_core::cgroup::CgroupName::new("inner")?)?);
            Ok(())
        };
        time(&mut wake, false, make)?;
        let inner = inner.ok_or("no cgroup was made")?;
        times.push(time(&mut wake, false, || inner.write("cgroup.max.depth", "3"))?);
        inner.remove()?;
    }
    drop(child);
    outer.wait_populated(false)?;
    outer.remove()?;
    measured("a write in a new cgroup", &wake, times)
}

fn a_program_that_begins_is_reported() -> Answer {
    // Made before anybody listens, so that it is none of the listener's children.
    let child = changing(Namespaces::NONE, |_| {
        let status = Command::new("/proc/self/exe").arg("no such check").stdout(Stdio::null()).status();
        status.map(drop).named(|| "execve(\"/proc/self/exe\")".into())
    })?;
    let mut wake = Wake::new();
    match ProcessEvents::open() {
        Ok(_) => assert!(wake.listens_to().contains(&"what processes do")),
        // Nobody takes a tick for an event.
        Err(why) => {
            assert!(!wake.listens_to().contains(&"what processes do"));
            return Ok(Skipped(why.to_string()));
        }
    }
    let times = (0..TIMES).map(|_| time(&mut wake, false, || child.wake())).collect::<Result<_>>()?;
    measured("fork() and execve()", &wake, times)
}

/// A look that makes a child would else be the reason for the next look, for ever.
fn what_its_own_children_do_ends_no_wait() -> Answer {
    let mut events = match ProcessEvents::open() {
        Ok(events) => events,
        Err(why) => return Ok(Skipped(why.to_string())),
    };
    // On a busy machine somebody else does something nearly always: one quiet moment of many is enough.
    let mut quiet = 0;
    for _ in 0..TIMES {
        while events.drain()? {}
        let mut child = Child::spawn("child", Namespaces::NONE, |_| Ok(()))?;
        child.wait()?;
        quiet += usize::from(!events.drain()?);
    }
    assert!(quiet > 0);
    Ok(Passed)
}

fn another_network_has_no_process_events() -> Answer {
    sandbox::enter(Namespaces::NET)?;
    assert!(ProcessEvents::open().is_err());
    assert!(!Wake::new().listens_to().contains(&"what processes do"));
    Ok(Passed)
}

fn unshare_is_found_by_the_tick() -> Answer {
    let child = changing(Namespaces::NONE, |_| namespace::unshare(Namespaces::UTS))?;
    let mut wake = Wake::new();
    let times = (0..TIMES / 10).map(|_| time(&mut wake, true, || child.wake())).collect::<Result<_>>()?;
    measured("unshare()", &wake, times)
}

fn a_descriptor_of_the_caller_ends_the_wait() -> Answer {
    let (read, write) = nix::unistd::pipe()?;
    let mut wake = Wake::new();
    let (other, _open) = nix::unistd::pipe()?;
    assert!(!matches!(wake.wait(&[other.as_fd(), read.as_fd()], None)?, Woken::Ready(_)));
    nix::unistd::write(&write, b".")?;
    assert_eq!(wake.wait(&[other.as_fd(), read.as_fd()], None)?, Woken::Ready(1));
    Ok(Passed)
}

fn a_deadline_ends_the_wait() -> Answer {
    let mut wake = Wake::new();
    let mut waits = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        while wake.wait(&[], Some(began + Duration::from_millis(20)))? != Woken::End {}
        waits.push(began.elapsed());
    }
    // None is too short. On a busy machine one and another is too long.
    let shortest = *waits.iter().min().ok_or("no wait")?;
    assert!((Duration::from_millis(20)..SOON).contains(&shortest), "{waits:?}");
    Ok(Passed)
}

/// A caller whose look takes 10 ms, while names change all the time: it looks for a sixth of the time, or little more.
fn many_changes_leave_the_caller_time_to_rest() -> Answer {
    let maps = IdMaps::own(0, geteuid().as_raw(), getgid().as_raw());
    let busy = Spawn::new("busy").namespaces(Namespaces::UTS | Namespaces::USER).maps(maps).run(|_| {
        for round in 0_usize.. {
            uts::set_hostname(&format!("fox{}", round % 100))?;
            match nix::poll::poll(&mut [], 1_u8) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).named(|| "poll()".into()),
            }
        }
        Ok(())
    })?;
    // 10 ms of each 60. On a busy machine there are fewer in one second and another.
    let seconds = (0..3).map(|_| looks_in_a_second()).collect::<Result<Vec<_>>>()?;
    drop(busy);
    assert!(
        seconds.iter().max().is_some_and(|looks| (4..=18).contains(looks)),
        "{seconds:?} looks in a second"
    );
    Ok(Passed)
}

/// How often a caller looks, whose look takes 10 ms.
fn looks_in_a_second() -> Result<usize> {
    let mut wake = Wake::new();
    let began = Instant::now();
    let mut looks = 0;
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!(wake.wait(&[], None)?, Woken::Change);
        looks += 1;
        let look = Instant::now();
        while look.elapsed() < Duration::from_millis(10) {
            std::hint::spin_loop();
        }
    }
    Ok(looks)
}
