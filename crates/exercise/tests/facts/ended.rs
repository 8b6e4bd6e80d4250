//! Processes that end, and that may not be looked at.

use exercise::{Fact, Seen, Subject};
use ns_core::Signal::SIGKILL;
use ns_core::{Namespaces, Pid, process};

use crate::plain::Ending::{Passed, Skipped};
use crate::plain::{Answer, Check};
use crate::scene::{child, look, own, plain_child, subject};

pub(crate) const CHECKS: &[Check] = &[
    ("a_process_that_has_ended_is_not_absent", a_process_that_has_ended_is_not_absent),
    ("another_process_of_that_pid_is_not_taken_for_it", another_process_of_that_pid_is_not_taken_for_it),
    ("a_process_that_ends_during_a_look_breaks_nothing", a_process_that_ends_during_a_look_breaks_nothing),
    ("what_may_not_be_looked_at_is_not_absent", what_may_not_be_looked_at_is_not_absent),
];

/// One of each group.
const FACTS: [&str; 12] = [
    "namespace uts",
    "hostname",
    "uid map",
    "capabilities effective",
    "children",
    "mount /proc",
    "file /x",
    "links",
    "shm any",
    "offset boottime",
    "cgroup",
    "held net /x",
];

fn a_process_that_has_ended_is_not_absent() -> Answer {
    let mut child = child(own(Namespaces::UTS), |_| Ok(()))?;
    let subject = subject(child.pid())?;
    child.signal(SIGKILL)?;
    child.wait()?;
    for fact in FACTS {
        let fact = Fact::parse(fact)?;
        let seen = fact.see(subject);
        assert_eq!(seen, Seen::Unreadable("it has ended".into()), "{fact:?}");
        assert_eq!(fact.phrase(&seen), "it has ended");
    }
    Ok(Passed)
}

fn another_process_of_that_pid_is_not_taken_for_it() -> Answer {
    let child = plain_child()?;
    let other = Subject { started: process::start_time(Some(child.pid()))? + 1, pid: child.pid() };
    for fact in FACTS {
        assert_eq!(Fact::parse(fact)?.see(other), Seen::Unreadable("it has ended".into()), "{fact}");
    }
    Ok(Passed)
}

/// Killed just before the look, so that it ends at any place in it.
fn a_process_that_ends_during_a_look_breaks_nothing() -> Answer {
    for round in 0..120 {
        let child = child(own(Namespaces::UTS), |_| ns_core::uts::set_hostname("fox"))?;
        let (subject, fact) = (subject(child.pid())?, Fact::parse(FACTS[round % FACTS.len()])?);
        child.signal(SIGKILL)?;
        let seen = fact.see(subject);
        assert!(seen != Seen::Text(ns_core::uts::hostname()), "{fact:?} is the checker's");
        let _ = fact.phrase(&seen);
    }
    Ok(Passed)
}

fn what_may_not_be_looked_at_is_not_absent() -> Answer {
    let init = Pid::from_raw(1);
    let seen = look("namespace uts", init);
    if !seen.starts_with("unreadable") {
        return Ok(Skipped("PID 1 may be looked at".into()));
    }
    assert!(seen.contains("EACCES"), "{seen}");
    for fact in ["hostname", "links", "file /etc/hostname", "root", "mount /"] {
        let seen = look(fact, init);
        // The mounts of a process may be visible although its namespaces are not.
        assert!(seen.starts_with("unreadable: ") || fact == "mount /", "{fact}: {seen}");
    }
    Ok(Passed)
}
