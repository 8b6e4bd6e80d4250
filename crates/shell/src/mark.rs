//! How a program that was opened is found: by a variable in its environment, which its children inherit. Nothing else
//! registers it, so nothing is left of it.

use std::collections::BTreeMap;
use std::fs;

use nix::sys::signal::{Signal, kill};
use ns_core::{Kind, Pid, process};

/// The variable: the name that a person calls it by, and what no other has.
const VARIABLE: &str = "INCEPTION_SHELL";

/// What all bear that come from one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark(String);

impl Mark {
    /// One for this process's program, which is called `name`.
    ///
    /// # Errors
    /// When /proc is no procfs.
    pub(crate) fn new(name: &str) -> ns_core::Result<Mark> {
        let [pids, clocks] = where_numbers_count()?;
        Ok(Mark(format!("{name} {} {} {pids} {clocks}", std::process::id(), process::start_time(None)?)))
    }

    /// Whether it is certain that its opener is gone. Of one in another PID or time namespace, nobody can tell here.
    fn is_abandoned(&self) -> bool {
        let [pid, started, pids, clocks] = *self.numbers() else { return false };
        let opener = i32::try_from(pid).map(Pid::from_raw).unwrap_or(Pid::from_raw(0));
        where_numbers_count().is_ok_and(|here| here == [pids, clocks])
            && process::start_time(Some(opener)).ok() != Some(started)
    }

    /// The one in an environment: the bytes of a /proc/PID/environ.
    pub fn in_environment(environment: &[u8]) -> Option<Mark> {
        let mut variables = environment.split(|byte| *byte == 0);
        let own = variables.find_map(|it| it.strip_prefix(VARIABLE.as_bytes())?.strip_prefix(b"="));
        own.map(|mark| Mark(String::from_utf8_lossy(mark).into_owned()))
    }

    /// The variable and its value.
    pub(crate) fn variable(&self) -> (&'static str, &str) {
        (VARIABLE, &self.0)
    }

    /// The processes that bear it.
    pub(crate) fn bearers(&self) -> Vec<Pid> {
        marked().into_iter().filter(|(_, mark)| mark == self).map(|(pid, _)| pid).collect()
    }

    /// What its program is called.
    pub fn name(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }

    /// The PID of its opener; none if that counts in another PID namespace.
    pub fn opener(&self) -> Option<Pid> {
        let [pid, _, pids, _] = *self.numbers() else { return None };
        let is_here = where_numbers_count().is_ok_and(|[here, _]| here == pids);
        i32::try_from(pid).ok().filter(|_| is_here).map(Pid::from_raw)
    }

    /// The opener's PID and when it started, and the namespaces in which these count.
    fn numbers(&self) -> Vec<u64> {
        self.0.split(' ').skip(1).filter_map(|word| word.parse().ok()).collect()
    }
}

/// The namespaces in which a PID and the time at which a process started say who it is.
fn where_numbers_count() -> ns_core::Result<[u64; 2]> {
    let inode = |kind| ns_core::namespace::of_kind(None, kind).map(|id| id.ino);
    Ok([inode(Kind::Pid)?, inode(Kind::Time).unwrap_or(0)])
}

/// Ends what programs have left whose opener and keeper were both killed.
pub(crate) fn sweep() {
    for (pid, _) in marked().into_iter().filter(|(_, mark)| mark.is_abandoned()) {
        let _ = kill(pid, Signal::SIGKILL);
    }
}

/// A program that was opened, and lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// What it is called.
    pub name: String,
    /// Its process.
    pub pid: Pid,
}

/// All that were opened and live, as far as the caller may look: their first processes, by PID.
pub fn opened() -> Vec<Open> {
    let mut first = BTreeMap::new();
    for (pid, Mark(mark)) in marked() {
        // The first of those that bear a mark started first; of two in the same tick, the one with the lower PID.
        let Ok(started) = process::start_time(Some(pid)) else { continue };
        let age = first.entry(mark).or_insert((started, pid));
        *age = (*age).min((started, pid));
    }
    let mut opened: Vec<Open> =
        first.into_iter().map(|(mark, (_, pid))| Open { name: Mark(mark).name().into(), pid }).collect();
    opened.sort_by_key(|it| it.pid);
    opened
}

fn marked() -> Vec<(Pid, Mark)> {
    let mut marked = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Of others it may not be read, and one that has ended has none.
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        marked.extend(Mark::in_environment(&environment).map(|mark| (Pid::from_raw(pid), mark)));
    }
    marked
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_what_is_certainly_nobody_s_is_abandoned() {
        let own = Mark::new("own").unwrap();
        assert!(!own.is_abandoned());
        let other = |pid: &str| Mark(own.0.replacen(&std::process::id().to_string(), pid, 1));
        assert!(other("4194303").is_abandoned());
        assert!(!Mark(format!("{}7", other("4194303").0)).is_abandoned(), "another time namespace");
        assert!(!Mark("own".into()).is_abandoned() && !Mark(String::new()).is_abandoned());
    }

    #[test]
    fn the_first_process_that_bears_a_mark_is_what_was_opened() {
        let mark = Mark("mark-test 1 2".into());
        let (variable, value) = mark.variable();
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 100 & wait"]).env(variable, value);
        let mut child = shell.spawn().unwrap();
        ns_core::until("both processes", || Ok((mark.bearers().len() == 2).then_some(()))).unwrap();
        let found: Vec<_> = opened().into_iter().filter(|it| it.name == "mark-test").collect();
        assert_eq!(found, [Open { name: "mark-test".into(), pid: Pid::from_raw(child.id() as i32) }]);
        for pid in mark.bearers() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        child.wait().unwrap();
    }
}
