//! What a thread does, in words, and whether others wait for it or it for others.

use super::calls;
use super::look::{Task, UNKNOWN};

/// On whom it depends that a thread goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum On {
    /// On a processor, or on work that the kernel does for this call.
    Itself,
    /// On an event that no process of the program makes: the network, a cgroup, a time.
    Kernel,
    /// On another process or thread of the program.
    Others,
}

/// What a thread does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) on: On,
    pub(super) words: String,
}

/// On a processor, or ready for one.
pub(super) const RUNS: &str = "runs, or waits for a processor";

/// Names of kernel functions, by a part of the name, that wait for work of the kernel, and what that is. The first that fits.
const WORK: &[(&str, &str)] = &[
    ("rcu_barrier", "waits for RCU callbacks"),
    ("rcu", "waits for RCU"),
    ("exp_funnel_lock", "waits for RCU"),
    ("rtnl", "waits for the lock of the network settings"),
    ("net_ns", "waits for a lock of the network namespaces"),
    ("nexthop_notifier", "waits for the lock of the network settings"),
    ("flush_work", "waits for a kernel thread"),
    ("kthread", "waits for a kernel thread"),
    ("cgroup", "waits for a lock of the cgroups"),
    ("percpu_down_write", "waits for RCU"),
    ("namespace_lock", "waits for the lock of the mounts"),
    ("namespace_unlock", "waits for the lock of the mounts"),
    ("do_lock_mount", "waits for the lock of the mounts"),
    ("copy_mnt_ns", "waits for the lock of the mounts"),
    ("mmap", "waits for a lock of its memory"),
    ("vma", "waits for a lock of its memory"),
    ("mem_cgroup", "waits for memory to be freed"),
    ("reclaim", "waits for memory to be freed"),
    ("throttle", "waits for its share of a resource"),
    ("io_schedule", "waits for a disk"),
    ("folio", "waits for a page of memory or disk"),
    ("blk", "waits for a disk"),
    ("swap", "waits for the swap file"),
];

/// What the thread does.
pub(super) fn of(task: &Task) -> Kind {
    let call = task.call.map(calls::name).unwrap_or_default();
    let kind = |on, words: &str| Kind { on, words: with(words, &call) };
    match task.state {
        'R' => return kind(On::Itself, RUNS),
        'Z' | 'X' => return kind(On::Others, "has ended"),
        'T' | 't' => return kind(On::Others, "is stopped"),
        _ => {}
    }
    let waits_in = task.waits_in.as_str();
    match (call.as_str(), waits_in) {
        (_, "zap_pid_ns_processes") => {
            return kind(On::Others, "waits for the members of a PID namespace to end");
        }
        ("vfork" | "clone" | "fork", "kernel_clone" | "wait_for_vfork_done") => {
            return kind(On::Others, "waits for a child to start its program");
        }
        (_, "do_freezer_trap" | "get_signal") => return kind(On::Others, "is frozen in its cgroup"),
        ("wait", _) => return kind(On::Others, "waits for a child"),
        ("futex", _) => return kind(On::Others, "waits for a thread"),
        ("nanosleep", _) => return kind(On::Kernel, "waits for a time to pass"),
        ("pause" | "sigsuspend" | "sigwait", _) => return kind(On::Others, "waits for a signal"),
        ("flock" | "fcntl", _) => return kind(On::Others, "waits for a lock on a file"),
        _ => {}
    }
    if let Some((_, words)) = WORK.iter().find(|(part, _)| waits_in.contains(part)) {
        return kind(On::Itself, words);
    }
    if !task.files.is_empty() || call == "poll" || waits_in.starts_with("poll_schedule") {
        return on_files(task, &call);
    }
    // Without both it was woken between two reads.
    if waits_in.is_empty() && call.is_empty() {
        return kind(On::Itself, RUNS);
    }
    let words = if waits_in.is_empty() { "waits".to_string() } else { format!("waits in {waits_in}") };
    kind(On::Itself, &words)
}

/// What it waits for, if that is one of several files.
fn on_files(task: &Task, call: &str) -> Kind {
    let kind = |on, words: &str| Kind { on, words: with(words, call) };
    let any = |wanted: &dyn Fn(&str) -> bool| task.files.iter().any(|file| wanted(file));
    // That of the kernel's own making comes first: a pipe beside it is for the end of a parent.
    if any(&|file| file == "netlink") && call == "send" {
        return kind(On::Itself, "waits for a change of the network");
    }
    if any(&|file| file == "netlink") {
        return kind(On::Kernel, "waits for a message of the network (netlink)");
    }
    if any(&|file| file.ends_with("cgroup.events")) || any(&|file| file.contains("inotify")) {
        return kind(On::Kernel, "waits for a cgroup or file to change");
    }
    if any(&|file| file.ends_with("mountinfo") || file.ends_with("/mounts")) {
        return kind(On::Kernel, "waits for a mount to change");
    }
    if any(&|file| file.contains("pidfd")) {
        return kind(On::Others, "waits for a process to end");
    }
    if any(&|file| file.starts_with("pipe:")) {
        return kind(On::Others, "waits at a pipe");
    }
    if any(&|file| file.starts_with("socket:")) {
        return kind(On::Others, "waits at a socket");
    }
    if any(&|file| file == UNKNOWN) || call.is_empty() {
        return kind(On::Others, "waits for an event");
    }
    if task.files.is_empty() {
        return kind(On::Kernel, "waits for a time to pass");
    }
    kind(On::Itself, "waits for a file")
}

fn with(words: &str, call: &str) -> String {
    if call.is_empty() { words.to_string() } else { format!("{words}: {call}()") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(state: char, call: i64, waits_in: &str, files: &[&str]) -> Task {
        Task {
            tid: 1,
            state,
            call: Some(call),
            waits_in: waits_in.into(),
            files: files.iter().map(|it| (*it).to_string()).collect(),
            processor: None,
        }
    }

    fn told(task: &Task) -> (On, String) {
        let kind = of(task);
        (kind.on, kind.words)
    }

    #[test]
    fn the_kernels_work_is_told_by_the_function_that_waits() {
        let umount = task('D', libc::SYS_umount2, "synchronize_rcu_expedited", &[]);
        assert_eq!(told(&umount), (On::Itself, "waits for RCU: umount()".into()));
        let unshare = task('D', libc::SYS_unshare, "rtnl_lock", &[]);
        assert_eq!(told(&unshare).1, "waits for the lock of the network settings: unshare()");
        let fork = task('D', libc::SYS_clone, "dup_mmap", &[]);
        assert_eq!(told(&fork).1, "waits for a lock of its memory: clone()");
        let unknown = task('D', libc::SYS_mount, "fancy_wait", &[]);
        assert_eq!(told(&unknown), (On::Itself, "waits in fancy_wait: mount()".into()));
        // Where the kernel tells no function.
        assert_eq!(told(&task('D', libc::SYS_mount, "", &[])).1, "waits: mount()");
        let woken = Task { state: 'D', ..Task::default() };
        assert_eq!(told(&woken).1, RUNS);
    }

    #[test]
    fn who_waits_for_another_process_depends_on_it() {
        assert_eq!(
            told(&task('S', libc::SYS_wait4, "do_wait", &[])),
            (On::Others, "waits for a child: wait()".into())
        );
        let poll = task('S', libc::SYS_ppoll, "poll_schedule_timeout", &["pipe:[7]", "anon_inode:[pidfd]"]);
        assert_eq!(told(&poll), (On::Others, "waits for a process to end: poll()".into()));
        let read = task('S', libc::SYS_read, "anon_pipe_read", &["pipe:[7]"]);
        assert_eq!(told(&read), (On::Others, "waits at a pipe: read()".into()));
    }

    #[test]
    fn an_event_of_the_kernel_is_no_process() {
        let netlink = task('S', libc::SYS_ppoll, "poll_schedule_timeout", &["netlink", "pipe:[7]"]);
        assert_eq!(
            told(&netlink),
            (On::Kernel, "waits for a message of the network (netlink): poll()".into())
        );
        // The kernel does what a message says before send() returns.
        let send = task('D', libc::SYS_sendmsg, "fancy_wait", &["netlink"]);
        assert_eq!(told(&send), (On::Itself, "waits for a change of the network: send()".into()));
        let events = task('S', libc::SYS_ppoll, "", &["/sys/fs/cgroup/x/cgroup.events"]);
        assert_eq!(told(&events).0, On::Kernel);
        let unread = task('S', libc::SYS_ppoll, "poll_schedule_timeout", &[UNKNOWN]);
        assert_eq!(told(&unread), (On::Others, "waits for an event: poll()".into()));
        let nothing = task('S', libc::SYS_ppoll, "poll_schedule_timeout", &[]);
        assert_eq!(told(&nothing), (On::Kernel, "waits for a time to pass: poll()".into()));
    }

    #[test]
    fn who_runs_is_in_no_call() {
        let task = Task { state: 'R', ..Task::default() };
        assert_eq!(told(&task), (On::Itself, RUNS.into()));
    }
}
