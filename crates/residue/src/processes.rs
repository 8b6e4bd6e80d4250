//! The processes of a run, and what became ours of it.

use std::fs;
use std::process::{Child, ExitStatus};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::Pid;

use super::token::{Token, VARIABLE};

/// A process that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number in our PID namespace.
    pub pid: i32,
    /// The name of its program, at most 15 bytes.
    pub name: String,
}

/// From now on the orphans of what we start become our children.
///
/// # Errors
/// None that prctl(2) documents.
pub fn adopt() -> Result<()> {
    set_child_subreaper(true).context("prctl(PR_SET_CHILD_SUBREAPER)")
}

/// Waits for `child`, and meanwhile for every orphan that ends, as init would: who looks whether one lives finds no zombie.
///
/// # Errors
/// Those of waitid(2).
pub fn wait_as_init(child: &mut Child) -> Result<ExitStatus> {
    loop {
        let ended = match waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
            Err(Errno::EINTR) => continue,
            ended => ended.context("waitid()")?.pid(),
        };
        match ended {
            Some(orphan) if orphan.as_raw().unsigned_abs() != child.id() => {
                waitpid(orphan, None).context("waitpid()")?;
            }
            _ => return child.wait().context("wait()"),
        }
    }
}

/// The living processes with `token` in their environment. A zombie has no environment any more, and is its parent's
/// affair.
pub fn pids_of_run(token: &Token) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid| mark_of(*pid).is_some_and(|it| it == token.0)).map(Process::of).collect()
}

/// What is left of a run: the processes with its `token`, and those without any that have become our children and are none
/// of `own`, which we have started. The dead among our children are waited for.
pub fn of_run(token: &Token, own: &[i32]) -> Vec<Process> {
    let mut left = pids_of_run(token);
    // One that was in execve(2) at the first look had no environment, and may have the token at this.
    let is_ours = |pid: &i32| mark_of(*pid).is_none_or(|it| it == token.0);
    let is_new = |pid: &i32| !own.contains(pid) && left.iter().all(|it| it.pid != *pid);
    let orphans: Vec<i32> = children().into_iter().filter(|pid| is_new(pid) && is_ours(pid)).collect();
    left.extend(orphans.into_iter().filter(|pid| !is_reaped(*pid)).map(Process::of));
    left
}

impl Process {
    fn of(pid: i32) -> Process {
        let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
        Process { pid, name: String::from_utf8_lossy(&name).trim_end().into() }
    }
}

/// The children of all threads of ours (proc_tid_children(5)): an orphan comes to any of them.
fn children() -> Vec<i32> {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

fn is_reaped(pid: i32) -> bool {
    let waited = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
    waited.is_ok_and(|it| it.pid().is_some())
}

/// The token in the environment of a process, of whichever run it is.
fn mark_of(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mark = format!("{VARIABLE}=");
    let token = environment.split(|byte| *byte == 0).find_map(|it| it.strip_prefix(mark.as_bytes()))?;
    Some(String::from_utf8_lossy(token).into_owned())
}

/// Held by a test that waits for a child: [`of_run`] waits for children of the whole process, those of other tests too.
#[cfg(test)]
pub(crate) static CHILDREN: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::PoisonError;
    use std::time::Duration;

    use super::*;
    use crate::settle::settled;

    /// Ends with the test, however that ends.
    struct Sleep(Child);

    impl Sleep {
        fn start(command: &mut Command) -> Sleep {
            Sleep(command.arg("1000").spawn().unwrap())
        }

        fn pid(&self) -> i32 {
            i32::try_from(self.0.id()).unwrap()
        }
    }

    impl Drop for Sleep {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_process_is_known_by_its_token_and_a_child_of_ours_without_one_too() {
        let _held = CHILDREN.lock().unwrap_or_else(PoisonError::into_inner);
        let token = Token::new().unwrap();
        let marked = Sleep::start(Command::new("sleep").env(VARIABLE, &token.0));
        let bare = Sleep::start(Command::new("sleep").env_clear());
        // A new program has its environment a moment after execve(2) has let its parent go on.
        let is_unseen = || pids_of_run(&token).is_empty();
        let (unseen, _) = settled(Duration::from_secs(10), || vec![String::new(); usize::from(is_unseen())]);
        assert!(unseen.is_empty());
        let pids = |found: Vec<Process>| found.into_iter().map(|it| it.pid).collect::<Vec<_>>();
        assert_eq!(pids(pids_of_run(&token)), [marked.pid()]);
        assert!(pids(of_run(&token, &[])).contains(&bare.pid()));
        assert!(!pids(of_run(&token, &[bare.pid()])).contains(&bare.pid()));
        drop(marked);
        assert_eq!(pids_of_run(&token), []);
    }
}
