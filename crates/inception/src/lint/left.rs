//! What a learner leaves behind, once the attempt was taken back and the terminals are closed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::PathBuf;

use anyhow::Result;
use nix::unistd::getpid;
use ns_core::process::children;
use residue::{Machine, SETTLE, Token, VARIABLE, all_cgroups, of_run, settled};

/// How the machine was before.
pub(super) struct Before {
    machine: Machine,
    cgroups: BTreeSet<PathBuf>,
    files: BTreeSet<PathBuf>,
    /// Our children, who are none of the learner's.
    own: Vec<i32>,
    token: Token,
}

/// Where anyone can leave a file.
const SHARED: &[&str] = &["/tmp", "/var/tmp", "/run", "/dev/shm"];

impl Before {
    /// Looks.
    ///
    /// # Errors
    /// When /dev/urandom cannot be read.
    pub(super) fn look() -> Result<Before> {
        let token = Token::new()?;
        let own = children(getpid())?.into_iter().map(ns_core::Pid::as_raw).collect();
        Ok(Before { machine: Machine::look_at_ours(), cgroups: all_cgroups(), files: files(), own, token })
    }

    /// What marks every process of the learner, as a variable of the environment.
    pub(super) fn mark(&self) -> (String, String) {
        (VARIABLE.into(), self.token.0.clone())
    }

    /// What is left of what was `typed`, a line each, after it had its time to go. We are the subreaper of whoever typed.
    pub(super) fn left(&self, typed: &str) -> Vec<String> {
        settled(SETTLE, || self.left_now(typed)).0
    }

    fn left_now(&self, typed: &str) -> Vec<String> {
        let processes = of_run(&self.token, &self.own).into_iter();
        let mut left: BTreeSet<String> =
            processes.map(|it| format!("process {} ({})", it.pid, it.name)).collect();
        let differences = Machine::look_at_ours().differences(&self.machine);
        left.extend(differences.into_iter().filter(|line| is_of(typed, line)));
        let new = |now: BTreeSet<PathBuf>, before: &BTreeSet<PathBuf>| {
            let new =
                now.difference(before).filter(|path| path.file_name().is_some_and(|name| bears(typed, name)));
            new.map(|path| path.display().to_string()).collect::<Vec<_>>()
        };
        left.extend(new(all_cgroups(), &self.cgroups).into_iter().map(|path| format!("cgroup {path}")));
        left.extend(new(files(), &self.files).into_iter().map(|path| format!("file {path}")));
        left.into_iter().collect()
    }

    /// Ends the processes that are left: a fault was found, and the next run is to begin as this one did.
    pub(super) fn end(&self) {
        for process in of_run(&self.token, &self.own) {
            let pid = ns_core::Pid::from_raw(process.pid);
            let _ = nix::sys::signal::kill(pid, ns_core::Signal::SIGKILL);
        }
    }
}

/// Whether a line of [`Machine::differences`] is about what was typed: others change the machine too, meanwhile.
fn is_of(typed: &str, line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        // By its mount point: a filesystem's type and source say little.
        [_, "mount", _, point, ..] => bears(typed, OsStr::new(point)),
        [_, "msg" | "sem" | "shm", ..] => typed.contains("ipc"),
        [_, _, rest @ ..] => rest.iter().any(|word| bears(typed, OsStr::new(word))),
        _ => false,
    }
}

/// Whether a name was typed as a word, or as the end of a path.
fn bears(typed: &str, name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let mut words = typed.split(|c: char| c.is_whitespace() || "='\"();|&".contains(c));
    name.len() > 2 && words.any(|word| word == name || word.rsplit('/').next() == Some(&name))
}

fn files() -> BTreeSet<PathBuf> {
    let entries = SHARED.iter().filter_map(|directory| std::fs::read_dir(directory).ok());
    entries.flatten().flatten().map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bears_a_typed_name_is_the_learners() {
        let typed =
            "mkdir /sys/fs/cgroup/fox\nip link add v0x type veth\nmount -t tmpfs none /mnt\nhostname=lemon";
        for line in [
            "new: link v0x",
            "new: mount / /mnt rw - tmpfs none",
            "new: setting /proc/sys/kernel/hostname: lemon",
        ] {
            assert!(is_of(typed, line), "{line}");
        }
        for line in [
            "new: link br0",
            "gone: mount / /srv rw - tmpfs none",
            "new: shm 0 7",
            "new: route 10.0.0.0/8",
            "odd",
        ] {
            assert!(!is_of(typed, line), "{line}");
        }
        assert!(
            bears(typed, OsStr::new("fox"))
                && !bears(typed, OsStr::new("fo"))
                && !bears(typed, OsStr::new("cgrou"))
        );
    }

    #[test]
    fn a_process_that_bears_the_mark_is_left_until_it_ends() {
        let before = Before::look().unwrap();
        let (name, value) = before.mark();
        let mut sleep = std::process::Command::new("sleep").arg("1000").env(name, value).spawn().unwrap();
        let looked = ns_core::until("the mark to be seen", || Ok(before.left_now("").first().cloned()));
        before.end();
        sleep.wait().unwrap();
        assert!(looked.unwrap().starts_with(&format!("process {} (", sleep.id())));
        assert_eq!(before.left(""), Vec::<String>::new());
    }
}
