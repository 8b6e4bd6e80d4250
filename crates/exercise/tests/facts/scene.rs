//! Processes to look at, and what a look at them reads.

use std::error::Error;

use exercise::{Fact, Seen, Subject};
use nix::unistd::{getgid, getuid};
use ns_core::idmap::IdMaps;
use ns_core::{Child, Namespaces, Pid, Reporter, Result, Spawn, process};

/// A child in new `namespaces`, which has done `body` and stays. In a new user namespace it is root.
pub(crate) fn child(namespaces: Namespaces, body: impl FnOnce(&mut Reporter) -> Result<()>) -> Result<Child> {
    let mut child = start(namespaces, |me| {
        body(me)?;
        me.report("ready", "yes")?;
        me.stay()
    })?;
    while child.fact()?.what != "ready" {}
    Ok(child)
}

/// A child in new `namespaces`, which does `body`. In a new user namespace it is root.
pub(crate) fn start(namespaces: Namespaces, body: impl FnOnce(&mut Reporter) -> Result<()>) -> Result<Child> {
    let spawn = Spawn::new("child").namespaces(namespaces);
    let maps = IdMaps::own(0, getuid().as_raw(), getgid().as_raw());
    let spawn = if namespaces.contains(Namespaces::USER) { spawn.maps(maps) } else { spawn };
    spawn.run(body)
}

/// A child without namespaces of its own.
pub(crate) fn plain_child() -> Result<Child> {
    child(Namespaces::NONE, |_| Ok(()))
}

/// New namespaces that an ordinary user may have, too.
pub(crate) fn own(namespaces: Namespaces) -> Namespaces {
    namespaces | Namespaces::USER
}

pub(crate) fn subject(pid: Pid) -> Result<Subject> {
    Ok(Subject { pid, started: process::start_time(Some(pid))? })
}

/// What `fact` reads of `pid`.
pub(crate) fn see(fact: &str, pid: Pid) -> std::result::Result<Seen, Box<dyn Error>> {
    Ok(Fact::parse(fact)?.see(subject(pid)?))
}

/// As [`see`], in few words.
pub(crate) fn look(fact: &str, pid: Pid) -> String {
    match see(fact, pid) {
        Err(error) => format!("error: {error}"),
        Ok(Seen::Text(text)) => text,
        Ok(Seen::Number(number)) => number.to_string(),
        Ok(Seen::Flag(flag)) => if flag { "yes" } else { "no" }.into(),
        Ok(Seen::Set(words)) => words.into_iter().collect::<Vec<_>>().join(" "),
        Ok(Seen::Namespace(id)) => id.to_string(),
        Ok(Seen::Absent) => "absent".into(),
        Ok(Seen::Unreadable(why)) => format!("unreadable: {why}"),
    }
}

/// What is said of `pid`.
pub(crate) fn say(fact: &str, pid: Pid) -> std::result::Result<String, Box<dyn Error>> {
    Ok(Fact::parse(fact)?.phrase(&see(fact, pid)?))
}

/// Looks at `pid`, and compares.
macro_rules! reads {
    ($pid:expr, $($fact:expr => $value:expr),+ $(,)?) => {
        $(assert_eq!($crate::scene::look($fact, $pid), $value, "{}", $fact);)+
    };
}

/// What is said of `pid`, compared.
macro_rules! says {
    ($pid:expr, $($fact:expr => $value:expr),+ $(,)?) => {
        $(assert_eq!($crate::scene::say($fact, $pid)?, $value, "{}", $fact);)+
    };
}
pub(crate) use {reads, says};
