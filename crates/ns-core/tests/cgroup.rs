//! Cgroups and the janitor against the kernel, in one process with one thread.
//!
//! `cargo test --test cgroup [PART OF A NAME]`. Every check prints a line, a skipped one with its reason. What must
//! happen in a process of its own, such as being killed, is a *role*: this program again, with the role's name.
#![allow(clippy::print_stdout)] // a test program has no renderer

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use ns_core::cgroup::{self, Cgroup, CgroupName, Hierarchy, Layout, LayoutKind, Place, Version, Want};
use ns_core::janitor::{self, TemporaryDirectory};
use ns_core::probe::Missing;
use ns_core::{Errno, Namespaces, Pid, Spawn, Witness, sabotage};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Seconds after which nothing may be left of a killed owner.
const SOON: Duration = Duration::from_secs(2);

/// How often an owner is killed, each time at another moment of its life.
const MOMENTS: u32 = 30;

/// The variable by which the processes of a role are known: its descendants inherit it.
const TOKEN: &str = "NS_CORE_TEST_TOKEN";

mod plain;

use plain::Ending::{self, Passed};
use plain::{Answer, Check};

const CHECKS: &[Check] = &[
    ("our_own_path_in_every_hierarchy_lists_us", our_own_path_in_every_hierarchy_lists_us),
    ("our_own_path_is_found_from_a_cgroup_namespace", our_own_path_is_found_from_a_cgroup_namespace),
    ("the_layout_is_what_is_mounted_and_visible", the_layout_is_what_is_mounted_and_visible),
    ("a_read_only_cgroupfs_is_named", a_read_only_cgroupfs_is_named),
    ("a_v2_cgroup_lives_and_ends", || a_cgroup_lives_and_ends(Want::AnyV2)),
    ("a_v1_cgroup_lives_and_ends", || a_cgroup_lives_and_ends(Want::V1("memory"))),
    ("a_v1_cpuset_takes_members", || a_cgroup_lives_and_ends(Want::V1("cpuset"))),
    ("a_v1_freezer_lives_and_ends", || a_cgroup_lives_and_ends(Want::V1("freezer"))),
    ("a_child_is_born_in_a_v2_cgroup", a_child_is_born_in_a_v2_cgroup),
    ("a_first_member_of_v2_is_waited_for", || a_first_member_is_waited_for(Want::AnyV2)),
    ("a_first_member_of_v1_is_waited_for", || a_first_member_is_waited_for(Want::V1("cpu"))),
    ("members_that_fork_are_killed_on_v2", || members_that_fork_are_killed(Want::AnyV2)),
    ("members_that_fork_are_killed_on_v1", || members_that_fork_are_killed(Want::V1("cpu"))),
    ("members_that_fork_are_killed_on_v1_pids", || members_that_fork_are_killed(Want::V1("pids"))),
    ("members_that_fork_are_killed_on_v1_freezer", || members_that_fork_are_killed(Want::V1("freezer"))),
    ("frozen_members_are_killed_on_v2", frozen_members_are_killed_on_v2),
    ("a_v2_tree_goes_whole", || a_tree_goes_whole(Want::AnyV2)),
    ("a_v1_tree_goes_whole", || a_tree_goes_whole(Want::V1("memory"))),
    ("a_threaded_tree_goes_whole", a_threaded_tree_goes_whole),
    ("a_limit_is_written_and_a_bad_one_named", a_limit_is_written_and_a_bad_one_named),
    ("a_controller_that_is_not_there_cannot_be_enabled", a_controller_that_is_not_there_cannot_be_enabled),
    ("hostile_names_are_refused", hostile_names_are_refused),
    ("who_makes_a_cgroup_is_not_let_in", who_makes_a_cgroup_is_not_let_in),
    ("sabotage_leaves_limits_and_members_out", sabotage_leaves_limits_and_members_out),
    ("what_is_missing_has_a_remedy", what_is_missing_has_a_remedy),
    ("a_user_without_a_cgroup_is_told_how_to_get_one", a_user_without_a_cgroup_is_told_how_to_get_one),
    ("a_delegated_cgroup_is_a_place_for_its_user", a_delegated_cgroup_is_a_place_for_its_user),
    ("a_temporary_directory_is_ours_alone_and_goes", a_temporary_directory_is_ours_alone_and_goes),
    ("a_mount_in_a_temporary_directory_is_not_entered", a_mount_in_a_temporary_directory_is_not_entered),
    ("the_watcher_stands_apart", the_watcher_stands_apart),
    ("a_killed_watcher_is_replaced", a_killed_watcher_is_replaced),
    ("finish_removes_what_is_left_and_leaves_no_process", finish_removes_what_is_left_and_leaves_no_process),
    ("the_watcher_is_never_the_first_of_a_pid_namespace", the_watcher_is_never_the_first_of_a_pid_namespace),
    ("a_killed_owner_leaves_nothing", a_killed_owner_leaves_nothing),
    ("a_killed_process_group_leaves_nothing", a_killed_process_group_leaves_nothing),
    ("fifty_at_once_do_not_meet", fifty_at_once_do_not_meet),
    ("a_sweep_takes_the_abandoned_and_leaves_the_living", a_sweep_takes_the_abandoned_and_leaves_the_living),
];

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if let Some(role) = argument.strip_prefix("role-") {
        return match play(role) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let ended = plain::run(CHECKS);
    if let Err(error) = janitor::finish() {
        println!("FAILED at the end: {error}");
        return ExitCode::FAILURE;
    }
    ended
}

// ---- what a check needs

/// A place for what is wanted, or the reason for a skip.
macro_rules! place {
    ($want:expr) => {
        match Place::find($want)? {
            Ok(place) => place,
            Err(missing) => return Ok(Ending::Skipped(missing.to_string())),
        }
    };
}

macro_rules! skip_unless_root {
    () => {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Ending::Skipped("needs root, for namespaces and other users".into()));
        }
    };
}

/// A process that waits at its standard input and is not left behind: it ends with the pipe, or is killed.
struct Waiting(Child);

impl Waiting {
    fn new() -> std::io::Result<Waiting> {
        Waiting::running("exec cat")
    }

    /// A shell that runs `script` when it is told to go on.
    fn running(script: &str) -> std::io::Result<Waiting> {
        let script = format!("read go; {script}");
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Ok(Waiting(command.spawn()?))
    }

    fn pid(&self) -> Pid {
        pid_of(&self.0)
    }

    fn go_on(&mut self) -> std::io::Result<()> {
        self.0.stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(b"go\n"))
    }

    /// Lets it go on, and gives what it prints.
    fn output(&mut self) -> Result<String, Box<dyn Error>> {
        self.go_on()?;
        let mut text = String::new();
        self.0.stdout.take().ok_or("no pipe")?.read_to_string(&mut text)?;
        let end = self.0.wait()?;
        if end.success() { Ok(text.trim_end().into()) } else { Err(format!("{end}: {text}").into()) }
    }

    fn was_killed(&mut self) -> std::io::Result<bool> {
        Ok(self.0.wait()?.signal() == Some(9))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// This program in a role, under another program such as unshare(1) if `by` is not empty.
fn role(by: &[&str], role: &str) -> Command {
    let program = std::env::current_exe().unwrap_or_default();
    let mut words = by.iter().map(std::ffi::OsString::from).collect::<Vec<_>>();
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(format!("role-{role}"));
    command
}

/// What a role prints, if it ends well.
fn ask(by: &[&str], name: &str) -> Result<String, Box<dyn Error>> {
    let output = role(by, name).output()?;
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_string();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!(
            "{by:?} role-{name}: {}: {text} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )
        .into())
    }
}

/// An owner of cgroups and directories in a process of its own, which the check may kill.
struct Owner {
    process: Child,
    stdout: BufReader<ChildStdout>,
    token: String,
    base: TemporaryDirectory,
}

impl Owner {
    fn start(by: &[&str], name: &str) -> Result<Owner, Box<dyn Error>> {
        let base = TemporaryDirectory::new("base")?;
        let token = format!("{}-{}", std::process::id(), base.path().display());
        let mut command = role(by, name);
        command.env(TOKEN, &token).env("TMPDIR", base.path()).process_group(0);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = BufReader::new(process.stdout.take().ok_or("no pipe")?);
        Ok(Owner { process, stdout, token, base })
    }

    /// The next line that it prints.
    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        Ok(line.trim_end().into())
    }

    fn kill(&mut self) -> std::io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    fn watcher(&self) -> Option<Pid> {
        processes(&self.token).into_iter().find(|pid| comm(*pid) == "janitor")
    }

    /// Waits until all its processes are gone, and says what is left after [`SOON`].
    fn leftovers(&self) -> Result<Vec<String>, Box<dyn Error>> {
        let deadline = Instant::now() + SOON;
        while let Some(pid) = processes(&self.token).pop() {
            if !ends_before(pid, deadline)? {
                break;
            }
        }
        let mut left: Vec<String> = Vec::new();
        left.extend(processes(&self.token).iter().map(|pid| format!("process {pid} ({})", comm(*pid))));
        left.extend(cgroups_of(self.process.id())?.iter().map(|path| format!("cgroup {}", path.display())));
        for entry in fs::read_dir(self.base.path())? {
            left.push(format!("directory {}", entry?.path().display()));
        }
        Ok(left)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn pid_of(process: &Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id()).unwrap_or(i32::MAX))
}

/// Processes that a token was handed down to. Zombies have no environment any more.
fn processes(token: &str) -> Vec<Pid> {
    let wanted = format!("{TOKEN}={token}");
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_token = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    pids.filter(has_token).map(Pid::from_raw).collect()
}

/// Waits for the end of a process that need not be our child. False if the deadline came first.
fn ends_before(pid: Pid, deadline: Instant) -> Result<bool, Box<dyn Error>> {
    let Some(number) = rustix::process::Pid::from_raw(pid.as_raw()) else { return Ok(true) };
    let pidfd = match rustix::process::pidfd_open(number, rustix::process::PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(rustix::io::Errno::SRCH) => return Ok(true),
        Err(error) => return Err(error.into()),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))? > 0)
}

/// Kills a process that is no child of ours, and waits for its end.
fn kill_other(pid: Pid) -> Result<(), Box<dyn Error>> {
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)?;
    assert!(ends_before(pid, Instant::now() + SOON)?);
    Ok(())
}

fn comm(pid: Pid) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_string()
}

/// The cgroups that a process made, in every hierarchy.
fn cgroups_of(pid: u32) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for hierarchy in Layout::detect()?.hierarchies() {
        let tree = cgroup::walk(hierarchy.mount_point())?;
        let prefix = format!("inception-{pid}-");
        let ours =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix));
        found.extend(tree.into_iter().map(|node| node.path).filter(|path| ours(path)));
    }
    Ok(found)
}

/// Whichever of the two this machine lets us make: v2, else v1.
fn any_place() -> ns_core::Result<Result<Place, Missing>> {
    match Place::find(Want::AnyV2)? {
        Ok(place) => Ok(Ok(place)),
        Err(missing) => Ok(Place::find(Want::V1("memory"))?.or(Err(missing))),
    }
}

macro_rules! any_place {
    () => {
        match any_place()? {
            Ok(place) => place,
            Err(missing) => return Ok(Ending::Skipped(missing.to_string())),
        }
    };
}

// ---- the layout

fn our_own_path_in_every_hierarchy_lists_us() -> Answer {
    let layout = Layout::detect()?;
    if layout.kind() == LayoutKind::None {
        return Ok(Ending::Skipped("no cgroup hierarchy is mounted".into()));
    }
    for hierarchy in layout.hierarchies() {
        let own = hierarchy.own_path()?.ok_or_else(|| format!("no path for {}", hierarchy.own()))?;
        let procs = fs::read_to_string(own.join("cgroup.procs"))?;
        let us = std::process::id().to_string();
        assert!(procs.lines().any(|pid| pid == us), "{}", own.display());
        let places = hierarchy.own_and_ancestors()?;
        assert_eq!(places.first(), Some(&own));
        assert_eq!(places.last().map(PathBuf::as_path), Some(hierarchy.mount_point()));
    }
    Ok(Passed)
}

fn our_own_path_is_found_from_a_cgroup_namespace() -> Answer {
    skip_unless_root!();
    let place = place!(Want::AnyV2);
    let cgroup = place.create("outside")?;
    let inner = cgroup.child(&CgroupName::new("inner")?)?;
    let script = format!("exec unshare -C '{}' role-own-path", std::env::current_exe()?.display());
    let mut process = Waiting::running(&script)?;
    inner.join(process.pid())?;
    assert_eq!(process.output()?, inner.path().display().to_string());
    Ok(Passed)
}

fn the_layout_is_what_is_mounted_and_visible() -> Answer {
    skip_unless_root!();
    let here = Layout::detect()?;
    if here.kind() == LayoutKind::None {
        return Ok(Ending::Skipped("no cgroup hierarchy is mounted".into()));
    }
    let changed = |change: &str| {
        let script = format!("{change}\nexec \"$0\" \"$@\"");
        ask(&["unshare", "-m", "sh", "-ec", &script], "layout")
    };
    assert_eq!(changed("true")?, here.to_string());
    // With the options that v2 has: it has one set for the machine, and a mount that leaves them out clears them.
    let unified = changed(
        "options=$(sed -n 's/.* - cgroup2 [^ ]* //p' /proc/self/mountinfo | head -n 1)
         umount -lR /sys/fs/cgroup; mount -t cgroup2 -o $options none /sys/fs/cgroup",
    )?;
    assert!(unified.starts_with("unified: v2 at /sys/fs/cgroup with"), "{unified}");
    assert_eq!(changed("umount -lR /sys/fs/cgroup")?, "none");
    // A cgroup is still mounted there, says mountinfo; what is seen there is something else.
    assert_eq!(changed("mount -t tmpfs none /sys/fs/cgroup")?, "none");
    if let (Some(point), LayoutKind::Hybrid) = (here.v2_mount(), here.kind()) {
        let legacy = changed(&format!("umount {}", point.display()))?;
        assert!(legacy.starts_with("legacy: v1 with"), "{legacy}");
    }
    Ok(Passed)
}

fn a_read_only_cgroupfs_is_named() -> Answer {
    skip_unless_root!();
    let layout = Layout::detect()?;
    let Some(point) = layout.v2_mount() else {
        return Ok(Ending::Skipped("cgroup v2 is not mounted".into()));
    };
    let script = format!("mount -o remount,bind,ro {}\nexec \"$0\" \"$@\"", point.display());
    let seen = ask(&["unshare", "-m", "sh", "-ec", &script], "find-v2")?;
    assert!(seen.contains("EROFS") && seen.contains("; to get it: "), "{seen}");
    Ok(Passed)
}

// ---- the life of a cgroup

fn a_cgroup_lives_and_ends(want: Want<'_>) -> Answer {
    let place = place!(want);
    let cgroup = place.create("life")?;
    let path = cgroup.path().to_path_buf();
    assert!(path.is_dir() && path.starts_with(place.directory()));
    assert_eq!(cgroup.label(), "…-life");
    assert_eq!(cgroup.procs()?, []);
    let mut process = Waiting::new()?;
    cgroup.join(process.pid())?;
    assert_eq!(cgroup.procs()?, [process.pid()]);
    cgroup.wait_populated(true)?;
    if cgroup.version() == Version::V2 {
        assert_eq!(cgroup.events()?["populated"], 1);
    }
    let busy = fs::remove_dir(&path).unwrap_err();
    assert_eq!(busy.raw_os_error(), Some(Errno::EBUSY as i32));
    cgroup.kill()?;
    cgroup.wait_populated(false)?;
    assert_eq!(cgroup.procs()?, []);
    assert!(process.was_killed()?);
    cgroup.remove()?;
    assert!(!path.exists());
    Ok(Passed)
}

fn a_child_is_born_in_a_v2_cgroup() -> Answer {
    let place = place!(Want::AnyV2);
    let cgroup = place.create("born")?;
    let child = Spawn::new("born").born_in(cgroup.fd()).run(Witness::stay)?;
    assert_eq!(cgroup.procs()?, [child.pid()]);
    Ok(Passed)
}

fn a_first_member_is_waited_for(want: Want<'_>) -> Answer {
    let place = place!(want);
    let cgroup = place.create("first")?;
    let script = format!("echo $$ > '{}/cgroup.procs'; exec cat", cgroup.path().display());
    let mut process = Waiting::running(&script)?;
    process.go_on()?;
    cgroup.wait_populated(true)?;
    assert_eq!(cgroup.procs()?, [process.pid()]);
    cgroup.remove()?;
    assert!(process.was_killed()?);
    Ok(Passed)
}

fn members_that_fork_are_killed(want: Want<'_>) -> Answer {
    let place = place!(want);
    let cgroup = place.create("forks")?;
    let mut shells = Vec::new();
    for _ in 0..3 {
        let mut shell = Waiting::running("while :; do (:; :) & wait; done")?;
        cgroup.join(shell.pid())?;
        shell.go_on()?;
        shells.push(shell);
    }
    cgroup.kill()?;
    cgroup.wait_populated(false)?;
    for shell in &mut shells {
        assert!(shell.was_killed()?);
    }
    // What held them while they were killed is undone.
    for (file, value) in [("pids.max", "max"), ("freezer.state", "THAWED")] {
        if let (Ok(now), Version::V1) = (cgroup.read(file), cgroup.version()) {
            assert_eq!(now, value);
        }
    }
    cgroup.remove()?;
    Ok(Passed)
}

fn frozen_members_are_killed_on_v2() -> Answer {
    let place = place!(Want::AnyV2);
    let cgroup = place.create("frozen")?;
    let mut process = Waiting::new()?;
    cgroup.join(process.pid())?;
    cgroup.limit("cgroup.freeze", 1)?;
    cgroup.remove()?;
    assert!(process.was_killed()?);
    Ok(Passed)
}

fn a_tree_goes_whole(want: Want<'_>) -> Answer {
    let place = place!(want);
    let top = place.create("tree")?;
    let (a, b) = (top.child(&CgroupName::new("a")?)?, top.child(&CgroupName::new("b")?)?);
    let deep = a.child(&CgroupName::new("deep")?)?;
    assert_eq!(deep.label(), "…-tree/a/deep");
    let mut members = [Waiting::new()?, Waiting::new()?];
    deep.join(members[0].pid())?;
    b.join(members[1].pid())?;
    let tree = cgroup::walk(top.path())?;
    let shown: Vec<_> =
        tree.iter().map(|node| (node.depth, node.path.file_name().unwrap_or_default())).collect();
    let name = top.path().file_name().unwrap_or_default();
    assert_eq!(shown, [(0, name), (1, "a".as_ref()), (2, "deep".as_ref()), (1, "b".as_ref())]);
    assert_eq!(tree[2].pids, Ok(vec![members[0].pid()]));
    // Made by hand, with names that we would not give.
    fs::create_dir(deep.path().join("\u{1b}[2J and a space"))?;
    fs::create_dir(deep.path().join(std::ffi::OsString::from_vec(vec![0xff, 0xfe])))?;
    fs::create_dir(deep.path().join("n".repeat(3000)))?;
    let path = top.path().to_path_buf();
    top.remove()?;
    assert!(!path.exists());
    for member in &mut members {
        assert!(member.was_killed()?);
    }
    // Their guards find nothing to do.
    drop((a, b, deep));
    Ok(Passed)
}

fn a_threaded_tree_goes_whole() -> Answer {
    let place = place!(Want::AnyV2);
    let top = place.create("threads")?;
    let threaded = top.child(&CgroupName::new("threaded")?)?;
    if let Err(error) = threaded.write("cgroup.type", "threaded") {
        return Ok(Ending::Skipped(error.to_string()));
    }
    let mut process = Waiting::new()?;
    top.join(process.pid())?;
    threaded.join_thread(process.pid())?;
    let refused = threaded.procs().unwrap_err();
    assert_eq!(refused.errno(), Some(Errno::EOPNOTSUPP), "{refused}");
    // A threaded cgroup cannot be killed by itself; its guard gives up at once, and the domain's takes it along.
    let since = Instant::now();
    drop(threaded);
    assert!(since.elapsed() < SOON);
    let path = top.path().to_path_buf();
    drop(top);
    assert!(!path.exists());
    assert!(process.was_killed()?);
    Ok(Passed)
}

fn a_limit_is_written_and_a_bad_one_named() -> Answer {
    let place = place!(Want::Controller("pids"));
    let cgroup = place.create("limit")?;
    cgroup.limit("pids.max", 5)?;
    assert_eq!(cgroup.read("pids.max")?, "5");
    assert!(cgroup.controllers()?.iter().any(|it| it == "pids"));
    let refused = cgroup.write("pids.max", "a\nb").unwrap_err().to_string();
    assert_eq!(refused, "echo a\\nb > …-limit/pids.max: EINVAL (Invalid argument)");
    let refused = cgroup.read("no.such").unwrap_err().to_string();
    assert_eq!(refused, "cat …-limit/no.such: ENOENT (No such file or directory)");
    Ok(Passed)
}

fn a_controller_that_is_not_there_cannot_be_enabled() -> Answer {
    let place = place!(Want::AnyV2);
    let cgroup = place.create("enable")?;
    assert_eq!(cgroup.subtree_control()?, Vec::<String>::new());
    let refused = cgroup.enable("unheard-of").unwrap_err().to_string();
    assert_eq!(refused, "echo +unheard-of > …-enable/cgroup.subtree_control: EINVAL (Invalid argument)");
    for controller in cgroup.controllers()? {
        cgroup.enable(&controller)?;
        let kid = cgroup.child(&CgroupName::new("kid")?)?;
        assert!(kid.controllers()?.contains(&controller));
    }
    Ok(Passed)
}

fn hostile_names_are_refused() -> Answer {
    let place = any_place!();
    for name in ["", ".", "..", "../x", "a/b", "a b", "a\nb", "\u{1b}[2J", "memory.max", "cgroup.procs"] {
        let refused = place.create(name).unwrap_err().to_string();
        assert!(refused.starts_with("cgroup name") && !refused.contains(['\n', '\u{1b}']), "{refused:?}");
    }
    let cgroup = place.create("hostile")?;
    for file in ["", ".", "..", "../cgroup.procs", "/proc/version", "a/../cgroup.procs"] {
        let refused = cgroup.read(file).unwrap_err();
        assert_eq!(refused.errno(), Some(Errno::EINVAL), "{refused}");
    }
    let twice = CgroupName::new("twice")?;
    let _kept = cgroup.child(&twice)?;
    assert_eq!(cgroup.child(&twice).unwrap_err().to_string(), "mkdir …-hostile/twice: EEXIST (File exists)");
    Ok(Passed)
}

fn who_makes_a_cgroup_is_not_let_in() -> Answer {
    let place = any_place!();
    let cgroup = place.create("self")?;
    for us in [Pid::this(), Pid::from_raw(0)] {
        assert!(cgroup.join(us).unwrap_err().to_string().contains("let a child join"));
    }
    // A child has a copy of the guard. It may go in, and dropping the copy does nothing.
    let path = cgroup.path().to_path_buf();
    let mut guard = Some(cgroup);
    let mut child = ns_core::Child::spawn("inside", Namespaces::NONE, |me| {
        if let Some(copy) = guard.take() {
            copy.join(Pid::this())?;
            let members = copy.procs()?;
            drop(copy);
            me.saw("alone in it", members == [Pid::this()])?;
        }
        Ok(())
    })?;
    assert_eq!(child.hear()?.value, ns_core::Value::from(true));
    child.wait()?;
    assert!(path.is_dir());
    drop(guard);
    assert!(!path.exists());
    Ok(Passed)
}

fn sabotage_leaves_limits_and_members_out() -> Answer {
    let place = any_place!();
    let _ = place;
    assert_eq!(ask(&["env"], "sabotaged")?, "ok");
    Ok(Passed)
}

// ---- what is missing

fn what_is_missing_has_a_remedy() -> Answer {
    for want in [Want::ControllerV2("nonsense"), Want::Controller("no\nsense"), Want::V1("nonsense")] {
        let Err(missing) = Place::find(want)? else { return Err("a place for nonsense".into()) };
        assert!(!missing.remedy.is_empty() && !missing.to_string().contains('\n'), "{missing}");
    }
    let layout = Layout::detect()?;
    for hierarchy in layout.hierarchies() {
        for controller in hierarchy.controllers() {
            let other = match hierarchy.version() {
                Version::V1 => Want::ControllerV2(controller),
                Version::V2 => Want::V1(controller),
            };
            let Err(missing) = Place::find_in(&layout, other)? else { return Err("on both".into()) };
            assert!(!missing.remedy.is_empty(), "{missing}");
        }
    }
    Ok(Passed)
}

fn a_user_without_a_cgroup_is_told_how_to_get_one() -> Answer {
    skip_unless_root!();
    let program = Program::open_to_all()?;
    let seen = Waiting::running(&program.as_nobody("find-v2"))?.output()?;
    let remedy = seen.split_once("; to get it: ").map_or("", |(_, remedy)| remedy);
    assert!(remedy.contains("root"), "{seen}");
    assert!(!seen.contains('\n'));
    Ok(Passed)
}

/// What `systemd-run --user --scope -p Delegate=yes` does: a user is given a cgroup, and starts in it.
fn a_delegated_cgroup_is_a_place_for_its_user() -> Answer {
    skip_unless_root!();
    let place = place!(Want::AnyV2);
    let delegated = place.create("delegated")?;
    for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
        std::os::unix::fs::chown(delegated.path().join(file), Some(65534), Some(65534))?;
    }
    let program = Program::open_to_all()?;
    let mut process = Waiting::running(&program.as_nobody("delegated"))?;
    delegated.join(process.pid())?;
    assert_eq!(process.output()?, delegated.path().display().to_string());
    assert_eq!(cgroup::walk(delegated.path())?.len(), 1, "it took its own away again");
    // One that may not write the common ancestor's cgroup.procs could make cgroups, and move nobody there.
    fs::set_permissions(delegated.path().join("cgroup.procs"), fs::Permissions::from_mode(0o444))?;
    let mut process = Waiting::running(&program.as_nobody("find-v2"))?;
    delegated.join(process.pid())?;
    let seen = process.output()?;
    assert!(seen.contains("echo PID > ") && seen.contains("EACCES"), "{seen}");
    Ok(Passed)
}

/// A copy of this program that other users can run: where it was built need not be open to them.
struct Program {
    directory: TemporaryDirectory,
}

impl Program {
    fn open_to_all() -> Result<Program, Box<dyn Error>> {
        let directory = TemporaryDirectory::new("program")?;
        fs::copy(std::env::current_exe()?, directory.path().join("cgroup"))?;
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        Ok(Program { directory })
    }

    /// The command that runs it as an ordinary user.
    fn as_nobody(&self, role: &str) -> String {
        let program = self.directory.path().join("cgroup");
        format!(
            "exec setpriv --reuid 65534 --regid 65534 --clear-groups '{}' role-{role} </dev/null",
            program.display()
        )
    }
}

// ---- directories

fn a_temporary_directory_is_ours_alone_and_goes() -> Answer {
    let directory = TemporaryDirectory::new("ours")?;
    let path = directory.path().to_path_buf();
    assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o7777, 0o700);
    fs::create_dir_all(path.join("a/b"))?;
    fs::write(path.join("a/b/file"), "x")?;
    std::os::unix::fs::symlink("/", path.join("a/root"))?;
    let other = TemporaryDirectory::new("ours")?;
    assert_ne!(other.path(), path);
    drop(directory);
    assert!(!path.exists() && other.path().exists() && Path::new("/proc").exists());
    assert!(TemporaryDirectory::new("../x").is_err());
    Ok(Passed)
}

fn a_mount_in_a_temporary_directory_is_not_entered() -> Answer {
    skip_unless_root!();
    let mut owner = Owner::start(&["unshare", "-m"], "mounted")?;
    let seen = owner.line()?;
    assert_eq!(seen, "the file on the mount is still there");
    owner.process.wait()?;
    assert_eq!(owner.leftovers()?, Vec::<String>::new());
    Ok(Passed)
}

// ---- the janitor

fn the_watcher_stands_apart() -> Answer {
    let mut owner = Owner::start(&["env"], "hold")?;
    owner.line()?;
    let watcher = owner.watcher().ok_or("no watcher")?;
    let mut open: Vec<(i32, String)> = Vec::new();
    for entry in fs::read_dir(format!("/proc/{watcher}/fd"))? {
        let entry = entry?;
        let number = entry.file_name().to_string_lossy().parse()?;
        open.push((number, fs::read_link(entry.path())?.display().to_string()));
    }
    open.sort();
    let targets: Vec<&str> = open.iter().map(|(_, target)| target.as_str()).collect();
    assert_eq!(targets[..3], ["/dev/null"; 3], "{open:?}");
    assert!(targets.len() == 4 && targets[3].starts_with("pipe:"), "{open:?}");
    assert_eq!(fs::read_link(format!("/proc/{watcher}/cwd"))?, Path::new("/"));
    assert_eq!(nix::unistd::getsid(Some(watcher))?, watcher);
    let status = fs::read_to_string(format!("/proc/{watcher}/status"))?;
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).ok_or("no SigBlk")?;
    // All of the 31 standard signals but SIGKILL (9) and SIGSTOP (19), whose bits are 8 and 18.
    assert_eq!(u64::from_str_radix(blocked, 16)? & 0x7fff_ffff, 0x7fff_ffff & !(1 << 8) & !(1 << 18));
    let ours = fs::read_to_string("/proc/self/status")?;
    assert!(ours.contains("SigBlk:\t0000000000000000"), "our own mask is as before");
    Ok(Passed)
}

fn a_killed_watcher_is_replaced() -> Answer {
    let mut owner = Owner::start(&["env"], "hold-more")?;
    owner.line()?;
    let first = owner.watcher().ok_or("no watcher")?;
    kill_other(first)?;
    owner.process.stdin.as_mut().ok_or("no pipe")?.write_all(b"go\n")?;
    owner.line()?;
    let second = owner.watcher().ok_or("no second watcher")?;
    assert_ne!(first, second);
    owner.kill()?;
    // What the first watcher knew of is removed too.
    assert_eq!(owner.leftovers()?, Vec::<String>::new());
    Ok(Passed)
}

fn finish_removes_what_is_left_and_leaves_no_process() -> Answer {
    let seen = ask(&["env"], "finish")?;
    assert!(seen.ends_with("ok"), "{seen}");
    Ok(Passed)
}

fn the_watcher_is_never_the_first_of_a_pid_namespace() -> Answer {
    skip_unless_root!();
    let seen = ask(&["env"], "late")?;
    assert!(seen.contains("janitor::start() before"), "{seen}");
    Ok(Passed)
}

fn a_killed_owner_leaves_nothing() -> Answer {
    let _ = any_place!();
    // How long one round of its life takes, from the start of its program.
    let since = Instant::now();
    let mut owner = Owner::start(&["env"], "live")?;
    owner.line()?;
    let round = since.elapsed();
    owner.kill()?;
    let mut left = owner.leftovers()?;
    for moment in 0..MOMENTS {
        let mut owner = Owner::start(&["env"], "live")?;
        // The one sleep: it chooses the moment, and nothing waits for it.
        std::thread::sleep(round * 3 * moment / (2 * MOMENTS));
        owner.kill()?;
        left.extend(owner.leftovers()?);
    }
    assert!(left.is_empty(), "{left:#?}");
    Ok(Passed)
}

fn a_killed_process_group_leaves_nothing() -> Answer {
    let _ = any_place!();
    let mut owner = Owner::start(&["env"], "live")?;
    owner.line()?;
    nix::sys::signal::killpg(pid_of(&owner.process), nix::sys::signal::Signal::SIGKILL)?;
    owner.process.wait()?;
    assert_eq!(owner.leftovers()?, Vec::<String>::new());
    Ok(Passed)
}

fn fifty_at_once_do_not_meet() -> Answer {
    let _ = any_place!();
    let mut owners = Vec::new();
    for _ in 0..50 {
        owners.push(Owner::start(&["env"], "brief")?);
    }
    for owner in &mut owners {
        let end = owner.process.wait()?;
        assert!(end.success(), "{end}: {}", owner.line()?);
    }
    for owner in &owners {
        assert_eq!(owner.leftovers()?, Vec::<String>::new());
    }
    Ok(Passed)
}

fn a_sweep_takes_the_abandoned_and_leaves_the_living() -> Answer {
    let _ = any_place!();
    let (mut abandoned, mut living) = (Owner::start(&["env"], "hold")?, Owner::start(&["env"], "hold")?);
    let (doomed, kept) = (PathBuf::from(abandoned.line()?), PathBuf::from(living.line()?));
    // The watcher first, so that nobody is left to remove anything.
    let watcher = abandoned.watcher().ok_or("no watcher")?;
    kill_other(watcher)?;
    abandoned.kill()?;
    assert!(doomed.is_dir() && kept.is_dir());
    let mut elsewhere = None;
    if nix::unistd::geteuid().is_root() {
        let mut owner = Owner::start(&["unshare", "-pf", "--kill-child", "--mount-proc"], "hold")?;
        let path = PathBuf::from(owner.line()?);
        assert!(path.display().to_string().contains("/inception-1-"), "{}", path.display());
        elsewhere = Some((owner, path));
    }
    let removed = cgroup::sweep()?;
    // Another run of this program may be sweeping at the same time, and have been quicker.
    assert!(removed.contains(&doomed) || !doomed.exists(), "{removed:?}");
    assert!(!removed.contains(&kept) && kept.is_dir(), "{removed:?}");
    if let Some((_, path)) = &elsewhere {
        assert!(path.is_dir(), "its owner lives, in another PID namespace");
    }
    // Directories, too: the abandoned owner's is in the TMPDIR that it had.
    let left = fs::read_dir(abandoned.base.path())?.count();
    assert_eq!(left, 1);
    let swept = role(&[], "sweep-directories").env("TMPDIR", abandoned.base.path()).output()?;
    assert_eq!(String::from_utf8_lossy(&swept.stdout).lines().count(), 1);
    assert_eq!(fs::read_dir(abandoned.base.path())?.count(), 0);
    living.kill()?;
    assert_eq!(living.leftovers()?, Vec::<String>::new());
    if let Some((mut owner, path)) = elsewhere {
        owner.kill()?;
        owner.leftovers()?;
        // Its janitor was in the PID namespace that died with it, and may have been quick enough or not.
        cgroup::sweep()?;
        assert!(!path.exists());
    }
    Ok(Passed)
}

// ---- the roles

fn play(role: &str) -> Result<(), Box<dyn Error>> {
    match role {
        "own-path" => {
            let layout = Layout::detect()?;
            let path = layout.v2().map(Hierarchy::own_path).transpose()?.flatten();
            println!("{}", path.unwrap_or_default().display());
        }
        "layout" => println!("{}", Layout::detect()?),
        "find-v2" => match Place::find(Want::AnyV2)? {
            Ok(place) => return Err(format!("a place: {}", place.directory().display()).into()),
            Err(missing) => println!("{missing}"),
        },
        "delegated" => {
            let place = Place::find(Want::AnyV2)?.map_err(|missing| missing.to_string())?;
            let cgroup = place.create("mine")?;
            let mut process = Waiting::new()?;
            cgroup.join(process.pid())?;
            cgroup.wait_populated(true)?;
            cgroup.remove()?;
            assert!(process.was_killed()?);
            println!("{}", place.directory().display());
        }
        "sweep-directories" => {
            for path in janitor::sweep_directories()? {
                println!("{}", path.display());
            }
        }
        "sabotaged" => {
            let place = any_place()?.map_err(|missing| missing.to_string())?;
            let cgroup = place.create("sabotage")?;
            sabotage::remove_causes();
            let process = Waiting::new()?;
            cgroup.join(process.pid())?;
            cgroup.limit("no.such.file", 1)?;
            assert_eq!(cgroup.procs()?, []);
            assert!(cgroup.write("no.such.file", "1").is_err());
            let path = cgroup.path().to_path_buf();
            cgroup.remove()?;
            assert!(!path.exists());
            println!("ok");
        }
        "mounted" => {
            let directory = TemporaryDirectory::new("mounted")?;
            let (path, file) = (directory.path().join("mount"), directory.path().join("mount/file"));
            fs::create_dir(&path)?;
            Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&path).status()?;
            fs::write(&file, "x")?;
            drop(directory);
            println!("the file on the mount {}", if file.exists() { "is still there" } else { "is gone" });
            Command::new("umount").arg(&path).status()?;
        }
        "late" => {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWPID)?;
            match TemporaryDirectory::new("late") {
                Ok(_) => return Err("the watcher became PID 1".into()),
                Err(error) => println!("{error}"),
            }
        }
        "finish" => finish()?,
        "hold" => {
            let _held = hold()?;
            std::io::stdin().read_to_end(&mut Vec::new())?;
        }
        "hold-more" => {
            let _held = hold()?;
            let mut go = String::new();
            BufReader::new(std::io::stdin()).read_line(&mut go)?;
            let _more = hold()?;
            std::io::stdin().read_to_end(&mut Vec::new())?;
        }
        "brief" => {
            live_one_round()?;
            janitor::finish()?;
        }
        "live" => loop {
            live_one_round()?;
            println!("a round");
        },
        other => return Err(format!("no role is called {other}").into()),
    }
    Ok(())
}

/// Makes a directory and, where that is possible, a cgroup, and says where the cgroup is.
fn hold() -> Result<(Option<Cgroup>, TemporaryDirectory), Box<dyn Error>> {
    let place = any_place()?.ok();
    let cgroup = place.map(|place| place.create("hold")).transpose()?;
    let directory = TemporaryDirectory::new("hold")?;
    println!("{}", cgroup.as_ref().map_or(directory.path(), Cgroup::path).display());
    Ok((cgroup, directory))
}

/// All that may be left behind, made and taken away again: in each hierarchy, with members.
fn live_one_round() -> Result<(), Box<dyn Error>> {
    let mut bystander = ns_core::Child::spawn("bystander", Namespaces::NONE, Witness::stay)?;
    let directory = TemporaryDirectory::new("live")?;
    fs::create_dir_all(directory.path().join("a/b"))?;
    fs::write(directory.path().join("a/b/file"), "x")?;
    for want in [Want::AnyV2, Want::V1("memory"), Want::V1("freezer")] {
        let Ok(place) = Place::find(want)? else { continue };
        let cgroup = place.create("live")?;
        let kid = cgroup.child(&CgroupName::new("kid")?)?;
        let member = Waiting::new()?;
        kid.join(member.pid())?;
        let born = Spawn::new("member").run(Witness::stay)?;
        cgroup.join(born.pid())?;
        cgroup.remove()?;
    }
    bystander.release()?;
    bystander.wait()?;
    Ok(())
}

/// What is registered and was not removed goes with finish(), and so does the watcher.
fn finish() -> Result<(), Box<dyn Error>> {
    janitor::finish()?;
    let held = hold()?;
    let cgroup_path = held.0.as_ref().map(|cgroup| cgroup.path().to_path_buf());
    let directory_path = held.1.path().to_path_buf();
    let fd = janitor::writer_fd().ok_or("no pipe to the watcher")?;
    let flags = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    assert!(flags.contains("flags:\t02000001"), "write-only and close-on-exec: {flags}");
    // A process that does not go through our own spawn keeps no copy either.
    let program = Waiting::new()?;
    std::mem::forget(held);
    janitor::finish()?;
    assert!(!cgroup_path.is_some_and(|path| path.exists()) && !directory_path.exists());
    drop(program);
    let child = nix::sys::wait::waitpid(None, None);
    assert_eq!(child, Err(Errno::ECHILD), "no child is left, not even a zombie");
    println!("ok");
    Ok(())
}
