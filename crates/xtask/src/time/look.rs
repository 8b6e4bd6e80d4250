//! One look at the threads of all that descends from this process: what each does, as /proc has it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use super::calls;

/// What a thread did at the moment of the look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Task {
    /// As the caller's PID namespace has it.
    pub(super) tid: i32,
    /// The third field of /proc/PID/stat: R, S, D, Z and others (proc_pid_stat(5)).
    pub(super) state: char,
    /// The number of the system call in which it is (proc_pid_syscall(5)); none while it runs or has ended.
    pub(super) call: Option<i64>,
    /// The kernel's function that waits (proc_pid_wchan(5)); empty where the kernel tells none.
    pub(super) waits_in: String,
    /// The files for which it waits in a call on descriptors, as their links in /proc/PID/fd.
    pub(super) files: Vec<String>,
    /// Of one that runs: the nanoseconds that it has run so far, and that it has waited for a processor
    /// (Documentation/scheduler/sched-stats.rst). None where the kernel does not count them.
    pub(super) processor: Option<(u64, u64)>,
}

/// In the place of files that cannot be looked up.
pub(super) const UNKNOWN: &str = "unknown";
/// At most so many descriptors of a poll(2) are looked up.
const DESCRIPTORS: u64 = 16;

/// The threads of the descendants of this process. A process that ends meanwhile is left out.
pub(super) fn descendants() -> Vec<Task> {
    let own = nix::unistd::getpid().as_raw();
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    let mut next: Vec<i32> = threads(own).into_iter().flat_map(|tid| children(own, tid)).collect();
    while let Some(pid) = next.pop() {
        if !seen.insert(pid) {
            continue;
        }
        for tid in threads(pid) {
            next.extend(children(pid, tid));
            found.extend(task(pid, tid));
        }
    }
    found
}

fn threads(pid: i32) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn children(pid: i32, tid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

fn task(pid: i32, tid: i32) -> Option<Task> {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/task/{tid}/{file}")).ok();
    let stat = read("stat")?;
    let state = stat.rsplit_once(") ")?.1.chars().next()?;
    let mut task = Task { tid, state, ..Task::default() };
    if matches!(state, 'R' | 'Z' | 'X') {
        task.processor = read("schedstat").as_deref().and_then(processor);
        return Some(task);
    }
    task.waits_in = read("wchan").filter(|name| name != "0").unwrap_or_default();
    if let Some((call, arguments)) = read("syscall").as_deref().and_then(call) {
        task.call = Some(call);
        let waited = calls::waited_for(call, &arguments, |at, count| memory(pid, at, count));
        let files = waited.map(|descriptors| descriptors.iter().filter_map(|fd| file(pid, *fd)).collect());
        task.files = files.unwrap_or_else(|| vec![UNKNOWN.into()]);
    }
    Some(task)
}

/// What a descriptor leads to; `netlink` for such a socket.
fn file(pid: i32, fd: i32) -> Option<String> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?.to_string_lossy().into_owned();
    let Some(inode) = link.strip_prefix("socket:[").and_then(|it| it.strip_suffix(']')) else {
        return Some(link);
    };
    // Of the network namespace of the process: a socket of another one is not in the list.
    let sockets = fs::read_to_string(format!("/proc/{pid}/net/netlink")).unwrap_or_default();
    let is_netlink = sockets.lines().any(|line| line.split_whitespace().next_back() == Some(inode));
    Some(if is_netlink { "netlink".into() } else { link })
}

/// The number and the arguments of a call, from a line of /proc/PID/syscall. `running` and `-1` are none.
fn call(line: &str) -> Option<(i64, Vec<u64>)> {
    let mut words = line.split_whitespace();
    let number = words.next()?.parse().ok().filter(|number| *number >= 0)?;
    let hexadecimal = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    Some((number, words.map_while(hexadecimal).collect()))
}

/// From /proc/PID/schedstat; zeros are of a kernel that does not count.
fn processor(line: &str) -> Option<(u64, u64)> {
    let mut words = line.split_whitespace().map(|word| word.parse().ok());
    let (ran, queued) = (words.next()??, words.next()??);
    (ran > 0 || queued > 0).then_some((ran, queued))
}

/// The descriptors that a process polls: a pollfd has 8 bytes, of which the first four are the descriptor (poll(2)). None
/// where its memory may not be read.
fn memory(pid: i32, at: u64, count: u64) -> Option<Vec<i32>> {
    let mut bytes = vec![0; usize::try_from(count.min(DESCRIPTORS) * 8).ok()?];
    File::open(format!("/proc/{pid}/mem")).ok()?.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes.chunks_exact(8).filter_map(|it| it.first_chunk().map(|it| i32::from_ne_bytes(*it))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_syscall_has_a_number_and_arguments() {
        assert_eq!(call("running\n"), None);
        assert_eq!(call("-1 0x7ffd 0x7f20\n"), None);
        assert_eq!(call("61 0xffffffff 0x0 0x1\n"), Some((61, vec![0xffff_ffff, 0, 1])));
    }

    #[test]
    fn a_kernel_that_does_not_count_has_zeros() {
        assert_eq!(processor("3000 12 4\n"), Some((3000, 12)));
        assert_eq!(processor("0 0 0\n"), None);
        assert_eq!(processor(""), None);
    }

    #[test]
    fn a_child_that_reads_a_pipe_is_seen_so() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let seen = loop {
            let found = descendants().into_iter().find(|it| it.tid == pid && !it.files.is_empty());
            if found.is_some() || std::time::Instant::now() > deadline {
                break found;
            }
        };
        drop(child.stdin.take());
        child.wait().unwrap();
        let seen = seen.expect("it reads within the deadline");
        assert_eq!(seen.state, 'S');
        assert!(seen.files[0].starts_with("pipe:["), "{seen:?}");
    }
}
