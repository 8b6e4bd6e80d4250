//! How often a program starts others and calls the kernel, as strace(1) records it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::plain;
use crate::project;

/// What strace counted in one run, and how long that run took.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Processes that were created, the first one among them.
    pub(crate) processes: usize,
    /// Threads that were created.
    pub(crate) threads: usize,
    /// Programs that were started: execve(2) that succeeded, the first among them.
    pub(crate) programs: usize,
    /// System calls.
    pub(crate) calls: usize,
    /// Of these, messages to netlink sockets.
    pub(crate) netlink: usize,
    /// Milliseconds of the run.
    pub(crate) wall: f64,
}

/// Counts in a run under strace(1).
///
/// # Errors
/// Those of [`plain::run`].
pub(super) fn count(words: &[OsString]) -> Result<Counted> {
    let recording = tempfile::NamedTempFile::new()?;
    let mut all: Vec<OsString> = ["strace", "-f", "-qq", "-o"].map(OsString::from).into();
    all.push(recording.path().into());
    all.push("--".into());
    all.extend_from_slice(words);
    let spent = plain::run(&all)?;
    Ok(Counted { wall: spent.wall, ..counted(&text(recording.path())?) })
}

/// What a program writes need not be text.
fn text(path: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&project::read_bytes(path)?).into_owned())
}

/// What a recording by `strace -f` has. Its calls may be in two lines, `<unfinished ...>` and `<... NAME resumed>`.
fn counted(recording: &str) -> Counted {
    let mut counted = Counted { processes: 1, ..Counted::default() };
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    for line in recording.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some((name, begin)) = name_of(rest) else { continue };
        let is_resumed = rest.starts_with("<... ");
        if !is_resumed {
            counted.calls += 1;
            counted.netlink +=
                usize::from(begin.contains("AF_NETLINK") && ["sendto", "sendmsg"].contains(&name));
        }
        if rest.ends_with("<unfinished ...>") {
            begun.insert(pid, begin);
            continue;
        }
        let before = if is_resumed { begun.remove(pid).unwrap_or_default() } else { "" };
        let Some((_, result)) = rest.rsplit_once(" = ") else { continue };
        match name {
            "execve" | "execveat" => counted.programs += usize::from(result == "0"),
            "clone" | "clone3" | "fork" | "vfork" if result.parse::<i32>().is_ok_and(|child| child > 0) => {
                let is_thread = begin.contains("CLONE_THREAD") || before.contains("CLONE_THREAD");
                *(if is_thread { &mut counted.threads } else { &mut counted.processes }) += 1;
            }
            _ => {}
        }
    }
    counted
}

/// The name of the call that a line has, and what follows it.
fn name_of(line: &str) -> Option<(&str, &str)> {
    if let Some(resumed) = line.strip_prefix("<... ") {
        return resumed.split_once(" resumed>");
    }
    let (name, rest) = line.split_once('(')?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (!name.is_empty() && name.bytes().all(is_name)).then_some((name, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As strace 6.1 and 6.13 write it, with what differs between them.
    const RECORDING: &str = r#"100 execve("/bin/x", ["x"], 0x7ffd5 /* 20 vars */) = 0
100 openat(AT_FDCWD, "/etc/ld.so.cache", O_RDONLY|O_CLOEXEC) = 3
100 clone3({flags=CLONE_NEWUSER|CLONE_NEWNET, child_tid=0x7f1, exit_signal=SIGCHLD}, 88) = 101
100 clone3({flags=CLONE_NEWTIME, exit_signal=SIGCHLD}, 88) = -1 EINVAL (Invalid argument)
101 sendto(4, [{nlmsg_len=32, nlmsg_type=RTM_NEWLINK}], 32, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 32
100 clone(child_stack=0x7f2, flags=CLONE_VM|CLONE_THREAD|CLONE_SIGHAND <unfinished ...>
101 execve("/no/such", ["such"], 0x7ffd5 /* 20 vars */) = -1 ENOENT (No such file or directory)
101 execve("/bin/y", ["y"], 0x7ffd5 /* 20 vars */ <unfinished ...>
100 <... clone resumed>, parent_tid=[102], tls=0x7f3, child_tidptr=0x7f4) = 102
101 <... execve resumed>) = 0
101 vfork( <unfinished ...>
103 execve("/bin/z", ["z"], 0x7ffd5 /* 20 vars */) = 0
101 <... vfork resumed>) = 103
103 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER, si_pid=100, si_uid=0} ---
103 +++ killed by SIGTERM +++
100 wait4(-1,  <unfinished ...>
"#;

    #[test]
    fn starts_and_calls_are_counted_over_divided_lines() {
        assert_eq!(
            counted(RECORDING),
            Counted { processes: 3, threads: 1, programs: 3, calls: 11, netlink: 1, wall: 0.0 }
        );
    }

    #[test]
    fn a_recording_of_nothing_has_nothing() {
        assert_eq!(counted("strace: x\n"), Counted { processes: 1, ..Counted::default() });
    }
}
