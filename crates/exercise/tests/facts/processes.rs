//! PIDs, relatives, states, signals.

use nix::poll::{PollFd, PollFlags};
use ns_core::Signal::{SIGKILL, SIGSTOP, SIGTERM, SIGUSR1, SIGUSR2};
use ns_core::{Child, Namespaces, Pid, Reporter, Spawn, poll_until, process, signals};

use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, own, plain_child, reads, says, start};

pub(crate) const CHECKS: &[Check] = &[
    ("a_pid_inside_counts_from_one", a_pid_inside_counts_from_one),
    ("a_state_is_in_words", a_state_is_in_words),
    ("children_threads_and_zombies_are_counted", children_threads_and_zombies_are_counted),
    ("an_orphan_is_adopted_by_init", an_orphan_is_adopted_by_init),
    ("signals_are_those_of_the_mask", signals_are_those_of_the_mask),
];

fn a_pid_inside_counts_from_one() -> Answer {
    let (plain, new) = (plain_child()?, child(own(Namespaces::PID), |_| Ok(()))?);
    let levels = process::pids(None)?.len();
    reads!(new.pid(), "pid inside" => "1", "pid levels" => (levels + 1).to_string(), "parent" => "0");
    reads!(plain.pid(),
        "pid inside" => process::pids(Some(plain.pid()))?[levels - 1].to_string(),
        "pid levels" => levels.to_string(),
        "parent" => process::pids(None)?[levels - 1].to_string(),
    );
    Ok(Passed)
}

fn a_state_is_in_words() -> Answer {
    let own_name = process::name(None)?;
    let stopped = plain_child()?;
    process::wait_for_state(stopped.pid(), &['S'])?;
    reads!(stopped.pid(), "command" => own_name.clone(), "state" => "sleeping");
    stopped.signal(SIGSTOP)?;
    process::wait_for_state(stopped.pid(), &['T'])?;
    reads!(stopped.pid(), "state" => "stopped");
    says!(stopped.pid(), "state" => "it is stopped");
    let zombie = plain_child()?;
    zombie.signal(SIGKILL)?;
    process::wait_for_state(zombie.pid(), &['Z'])?;
    reads!(zombie.pid(), "state" => "zombie", "arguments" => "absent", "command" => own_name);
    let arguments = std::env::args().collect::<Vec<_>>().join(" ");
    reads!(stopped.pid(), "arguments" => arguments);
    Ok(Passed)
}

fn children_threads_and_zombies_are_counted() -> Answer {
    let plain = plain_child()?;
    reads!(plain.pid(), "children" => "0", "zombies" => "0", "threads" => "1");
    let parent = child(own(Namespaces::PID), |me| {
        Child::spawn("stays", Namespaces::NONE, Reporter::stay)?.abandon();
        let ends = Child::spawn("ends", Namespaces::NONE, |_| Ok(()))?;
        // Without a wait for it: the end of a process makes its pidfd ready.
        poll_until(&mut [PollFd::new(ends.pidfd(), PollFlags::POLLIN)], None)?;
        ends.abandon();
        std::thread::spawn(std::thread::park);
        me.report("done", "yes")
    })?;
    reads!(parent.pid(), "children" => "2", "zombies" => "1", "zombies inside" => "1", "threads" => "2");
    says!(parent.pid(), "zombies" => "its number of zombie children is 1");
    Ok(Passed)
}

fn an_orphan_is_adopted_by_init() -> Answer {
    let mut init = start(own(Namespaces::PID), |me| {
        let mut parent = Child::spawn("parent", Namespaces::NONE, |me| {
            let orphan = Spawn::new("orphan").outlives_parent().run(Reporter::stay)?;
            me.report("orphan", orphan.pid())?;
            me.checkpoint()?;
            orphan.abandon();
            Ok(())
        })?;
        let orphan = parent.fact()?;
        me.send(orphan)?;
        me.checkpoint()?;
        parent.wake()?;
        parent.wait()?;
        me.report("parent", "gone")?;
        me.stay()
    })?;
    let inside = init.fact()?.value.as_i64().ok_or("no PID")?;
    let all = ns_core::pids::listed(std::path::Path::new("/proc"))?.into_iter().map(Pid::from_raw);
    let is_it = |pid: &Pid| {
        let numbers = process::pids(Some(*pid)).unwrap_or_default();
        numbers.last().copied().map(i64::from) == Some(inside) && is_in(*pid, init.pid())
    };
    let orphan = all.into_iter().find(is_it).ok_or("the orphan is not listed")?;
    reads!(orphan, "orphan" => "no", "parent" => "2");
    init.wake()?;
    init.fact()?;
    reads!(orphan, "orphan" => "yes", "parent" => "1");
    says!(orphan, "orphan" => "it is an orphan");
    Ok(Passed)
}

fn is_in(pid: Pid, other: Pid) -> bool {
    let of = |pid| ns_core::namespace::of_kind(Some(pid), ns_core::Kind::Pid).ok();
    of(pid).is_some() && of(pid) == of(other)
}

fn signals_are_those_of_the_mask() -> Answer {
    let (plain, other) = (
        plain_child()?,
        child(Namespaces::NONE, |_| {
            std::mem::forget(signals::catch(&[SIGTERM])?);
            signals::block(&[SIGUSR1, SIGUSR2])?;
            signals::send(nix::unistd::getpid(), Some(SIGUSR2))?;
            signals::reset_ignored()
        })?,
    );
    reads!(plain.pid(), "signals caught" => "", "signals blocked" => "", "signals pending" => "");
    reads!(other.pid(),
        "signals caught" => "SIGTERM",
        "signals blocked" => "SIGUSR1 SIGUSR2",
        "signals pending" => "SIGUSR2",
    );
    let ignored = |pid| crate::scene::look("signals ignored", pid);
    assert!(ignored(plain.pid()).contains("SIGPIPE") && !ignored(other.pid()).contains("SIGPIPE"));
    says!(other.pid(), "signals caught" => "its caught signals are SIGTERM");
    Ok(Passed)
}
