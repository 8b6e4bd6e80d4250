//! The life of a cgroup, from its making to its end.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::time::{Duration, Instant};

use ns_core::cgroup::{CgroupName, CgroupParent, CgroupRequest, Version};
use ns_core::seccomp::{Action, Filter, Rule};
use ns_core::{Errno, Namespaces, Pid, Reporter, Spawn, cgroup};

use crate::plain::Ending::{self, Passed};
use crate::plain::{Answer, Check};
use crate::processes::{Waiting, ask};

/// Whoever waits for nothing takes less than the ten seconds of every wait.
const AT_ONCE: Duration = Duration::from_secs(9);

pub(crate) const CHECKS: &[Check] = &[
    ("a_v2_cgroup_lives_and_ends", || a_cgroup_lives_and_ends(CgroupRequest::AnyV2)),
    ("a_v1_cgroup_lives_and_ends", || a_cgroup_lives_and_ends(CgroupRequest::V1("memory"))),
    ("a_v1_cpuset_takes_members", || a_cgroup_lives_and_ends(CgroupRequest::V1("cpuset"))),
    ("a_v1_freezer_lives_and_ends", || a_cgroup_lives_and_ends(CgroupRequest::V1("freezer"))),
    ("a_child_is_born_in_a_v2_cgroup", a_child_is_born_in_a_v2_cgroup),
    ("a_first_member_of_v2_is_waited_for", || a_first_member_is_waited_for(CgroupRequest::AnyV2)),
    ("a_first_member_of_v1_is_waited_for", || a_first_member_is_waited_for(CgroupRequest::V1("cpu"))),
    ("members_that_fork_are_killed_on_v2", || members_that_fork_are_killed(CgroupRequest::AnyV2)),
    ("members_that_fork_are_killed_on_v1", || members_that_fork_are_killed(CgroupRequest::V1("cpu"))),
    ("members_that_fork_are_killed_on_v1_pids", || members_that_fork_are_killed(CgroupRequest::V1("pids"))),
    ("members_that_fork_are_killed_on_v1_freezer", || {
        members_that_fork_are_killed(CgroupRequest::V1("freezer"))
    }),
    ("members_are_killed_where_pidfd_send_signal_is_refused", || {
        for role in ["without-pidfd-signals-EPERM", "without-pidfd-signals-ENOSYS"] {
            let said = ask(&[], role)?;
            if let Some(missing) = said.strip_prefix("skipped: ") {
                return Ok(Ending::Skipped(missing.into()));
            }
            assert_eq!(said, "nothing is left");
        }
        Ok(Passed)
    }),
    ("frozen_members_are_killed_on_v2", frozen_members_are_killed_on_v2),
    ("a_v2_tree_goes_whole", || a_tree_goes_whole(CgroupRequest::AnyV2)),
    ("a_v1_tree_goes_whole", || a_tree_goes_whole(CgroupRequest::V1("memory"))),
    ("a_threaded_tree_goes_whole", a_threaded_tree_goes_whole),
    ("a_limit_is_written_and_a_bad_one_named", a_limit_is_written_and_a_bad_one_named),
    ("a_controller_that_is_not_there_cannot_be_enabled", a_controller_that_is_not_there_cannot_be_enabled),
    ("hostile_names_are_refused", hostile_names_are_refused),
    ("who_makes_a_cgroup_is_not_let_in", who_makes_a_cgroup_is_not_let_in),
];

fn a_cgroup_lives_and_ends(want: CgroupRequest<'_>) -> Answer {
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
    let place = place!(CgroupRequest::AnyV2);
    let cgroup = place.create("born")?;
    let child = Spawn::new("born").into_cgroup(cgroup.fd()).run(Reporter::stay)?;
    assert_eq!(cgroup.procs()?, [child.pid()]);
    Ok(Passed)
}

fn a_first_member_is_waited_for(want: CgroupRequest<'_>) -> Answer {
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

fn members_that_fork_are_killed(want: CgroupRequest<'_>) -> Answer {
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

/// Kills members one by one, as on v1, where the call that does it without a race is refused.
pub(crate) fn kill_without_pidfd_signals(errno: Errno) -> Result<(), Box<dyn std::error::Error>> {
    if !nix::unistd::geteuid().is_root() {
        nix::sys::prctl::set_no_new_privs()?;
    }
    Filter::new(&[Rule::call(libc::SYS_pidfd_send_signal)], Action::Refuse(errno))?.install()?;
    let place = match CgroupParent::find(CgroupRequest::V1("cpu"))? {
        Ok(place) => place,
        Err(missing) => {
            println!("skipped: {missing}");
            return Ok(());
        }
    };
    let cgroup = place.create("unheard")?;
    let path = cgroup.path().to_path_buf();
    let mut processes = vec![Waiting::new()?, Waiting::running("while :; do (:; :) & wait; done")?];
    for process in &mut processes {
        cgroup.join(process.pid())?;
        process.go_on()?;
    }
    let since = Instant::now();
    cgroup.remove()?;
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    for process in &mut processes {
        assert!(process.was_killed()?);
    }
    assert!(!path.exists());
    println!("nothing is left");
    Ok(())
}

fn frozen_members_are_killed_on_v2() -> Answer {
    let place = place!(CgroupRequest::AnyV2);
    let cgroup = place.create("frozen")?;
    let mut process = Waiting::new()?;
    cgroup.join(process.pid())?;
    cgroup.limit("cgroup.freeze", 1)?;
    cgroup.remove()?;
    assert!(process.was_killed()?);
    Ok(Passed)
}

fn a_tree_goes_whole(want: CgroupRequest<'_>) -> Answer {
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
    let place = place!(CgroupRequest::AnyV2);
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
    assert!(since.elapsed() < AT_ONCE);
    let path = top.path().to_path_buf();
    drop(top);
    assert!(!path.exists());
    assert!(process.was_killed()?);
    Ok(Passed)
}

fn a_limit_is_written_and_a_bad_one_named() -> Answer {
    let place = place!(CgroupRequest::Controller("pids"));
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
    let place = place!(CgroupRequest::AnyV2);
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
            me.report("alone in it", members == [Pid::this()])?;
        }
        Ok(())
    })?;
    assert_eq!(child.fact()?.value, ns_core::Value::from(true));
    child.wait()?;
    assert!(path.is_dir());
    drop(guard);
    assert!(!path.exists());
    Ok(Passed)
}
