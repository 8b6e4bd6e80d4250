//! The cleanup worker.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ns_core::cgroup;

use crate::owner::Owner;
use crate::plain::Ending::{self, Passed};
use crate::plain::{Answer, Check};
use crate::processes::{ask, kill_other, pid_of, role};

/// How often an owner is killed, each time at another moment of its life.
const MOMENTS: u32 = 30;

pub(crate) const CHECKS: &[Check] = &[
    ("the_worker_stands_apart", the_worker_stands_apart),
    ("a_killed_worker_is_replaced", a_killed_worker_is_replaced),
    ("finish_removes_what_is_left_and_leaves_no_process", finish_removes_what_is_left_and_leaves_no_process),
    ("the_worker_is_never_the_first_of_a_pid_namespace", the_worker_is_never_the_first_of_a_pid_namespace),
    ("a_killed_owner_leaves_nothing", a_killed_owner_leaves_nothing),
    ("a_killed_process_group_leaves_nothing", a_killed_process_group_leaves_nothing),
    ("many_at_once_do_not_meet", many_at_once_do_not_meet),
    ("a_sweep_takes_the_abandoned_and_leaves_the_living", a_sweep_takes_the_abandoned_and_leaves_the_living),
];

fn the_worker_stands_apart() -> Answer {
    let mut owner = Owner::start(&["env"], "hold")?;
    owner.line()?;
    let worker = owner.worker().ok_or("no worker")?;
    let targets = open_by(worker)?;
    assert!(targets.len() == 4 && targets.iter().all(|it| it.starts_with("pipe:")), "{targets:?}");
    // The first three lead into one pipe, which nobody else has; by the fourth it gets its orders.
    assert!(targets[1] == targets[0] && targets[2] == targets[0] && targets[3] != targets[0], "{targets:?}");
    let of_the_owner = open_by(owner.process.id())?;
    assert!(!of_the_owner.contains(&targets[0]) && of_the_owner.contains(&targets[3]), "{of_the_owner:?}");
    assert_eq!(fs::read_link(format!("/proc/{worker}/cwd"))?, Path::new("/"));
    assert_eq!(nix::unistd::getsid(Some(worker))?, worker);
    let status = fs::read_to_string(format!("/proc/{worker}/status"))?;
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t")).ok_or("no SigBlk")?;
    // All of the 31 standard signals but SIGKILL (9) and SIGSTOP (19), whose bits are 8 and 18.
    assert_eq!(u64::from_str_radix(blocked, 16)? & 0x7fff_ffff, 0x7fff_ffff & !(1 << 8) & !(1 << 18));
    let ours = fs::read_to_string("/proc/self/status")?;
    assert!(ours.contains("SigBlk:\t0000000000000000"), "our own mask is as before");
    Ok(Passed)
}

/// What a process has open, in the order of the descriptors.
fn open_by(process: impl std::fmt::Display) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut open: Vec<(i32, String)> = Vec::new();
    for entry in fs::read_dir(format!("/proc/{process}/fd"))? {
        let entry = entry?;
        let number = entry.file_name().to_string_lossy().parse()?;
        open.push((number, fs::read_link(entry.path())?.display().to_string()));
    }
    open.sort();
    Ok(open.into_iter().map(|(_, target)| target).collect())
}

fn a_killed_worker_is_replaced() -> Answer {
    let mut owner = Owner::start(&["env"], "hold-more")?;
    owner.line()?;
    let first = owner.worker().ok_or("no worker")?;
    kill_other(first)?;
    owner.process.stdin.as_mut().ok_or("no pipe")?.write_all(b"go\n")?;
    owner.line()?;
    let second = owner.worker().ok_or("no second worker")?;
    assert_ne!(first, second);
    owner.kill()?;
    // What the first worker knew of is removed too.
    assert_eq!(owner.leftovers()?, Vec::<String>::new());
    Ok(Passed)
}

fn finish_removes_what_is_left_and_leaves_no_process() -> Answer {
    let seen = ask(&["env"], "finish")?;
    assert!(seen.ends_with("ok"), "{seen}");
    Ok(Passed)
}

fn the_worker_is_never_the_first_of_a_pid_namespace() -> Answer {
    skip_unless_root!();
    let seen = ask(&["env"], "late")?;
    assert!(seen.contains("cleanup::start() before"), "{seen}");
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
    // Every moment, or as many as an emulated machine comes to in a few seconds: the odd ones are between the even ones.
    let enough = Instant::now() + Duration::from_secs(8);
    let moments = (0..MOMENTS).step_by(2).chain((1..MOMENTS).step_by(2));
    for moment in moments.take_while(|moment| moment % 2 == 0 || Instant::now() < enough) {
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

fn many_at_once_do_not_meet() -> Answer {
    let _ = any_place!();
    let since = Instant::now();
    let first = Owner::start(&["env"], "brief")?.process.wait()?;
    assert!(first.success(), "{first}");
    // Fifty, or as many as an emulated machine comes to in a few seconds: each waits for its own for ten at most.
    let many = 4.0 / since.elapsed().as_secs_f64();
    let mut owners = Vec::new();
    for _ in 0..(many as usize).clamp(5, 50) {
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
    // The worker first, so that nobody is left to remove anything.
    let worker = abandoned.worker().ok_or("no worker")?;
    kill_other(worker)?;
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
        // Its worker was in the PID namespace that died with it, and may have been quick enough or not.
        cgroup::sweep()?;
        assert!(!path.exists());
    }
    Ok(Passed)
}
