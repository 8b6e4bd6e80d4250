//! What this program does when it is started in a role.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use ns_core::cgroup::{Cgroup, CgroupName, CgroupParent, CgroupRequest, Hierarchy, Layout};
use ns_core::cleanup::TemporaryDirectory;
use ns_core::{Errno, Namespaces, Reporter, Spawn, cleanup};

use crate::life::kill_without_pidfd_signals;
use crate::needs::find_any;
use crate::processes::Waiting;

pub(crate) fn play(role: &str) -> Result<(), Box<dyn Error>> {
    match role {
        "own-path" => {
            let layout = Layout::detect()?;
            let path = layout.v2().map(Hierarchy::own_path).transpose()?.flatten();
            println!("{}", path.unwrap_or_default().display());
        }
        "layout" => println!("{}", Layout::detect()?),
        "find-v2" => match CgroupParent::find(CgroupRequest::AnyV2)? {
            Ok(place) => return Err(format!("a place: {}", place.directory().display()).into()),
            Err(missing) => println!("{missing}"),
        },
        "delegated" => {
            let place = CgroupParent::find(CgroupRequest::AnyV2)?.map_err(|missing| missing.to_string())?;
            let cgroup = place.create("mine")?;
            let mut process = Waiting::new()?;
            cgroup.join(process.pid())?;
            cgroup.wait_populated(true)?;
            cgroup.remove()?;
            assert!(process.was_killed()?);
            println!("{}", place.directory().display());
        }
        "sweep-directories" => {
            for path in cleanup::sweep_directories()? {
                println!("{}", path.display());
            }
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
                Ok(_) => return Err("the worker became PID 1".into()),
                Err(error) => println!("{error}"),
            }
        }
        "without-pidfd-signals-EPERM" => kill_without_pidfd_signals(Errno::EPERM)?,
        "without-pidfd-signals-ENOSYS" => kill_without_pidfd_signals(Errno::ENOSYS)?,
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
            cleanup::finish()?;
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
pub(crate) fn hold() -> Result<(Option<Cgroup>, TemporaryDirectory), Box<dyn Error>> {
    let place = find_any()?.ok();
    let cgroup = place.map(|place| place.create("hold")).transpose()?;
    let directory = TemporaryDirectory::new("hold")?;
    println!("{}", cgroup.as_ref().map_or(directory.path(), Cgroup::path).display());
    Ok((cgroup, directory))
}

/// All that may be left behind, made and taken away again: in each hierarchy, with members.
pub(crate) fn live_one_round() -> Result<(), Box<dyn Error>> {
    let mut bystander = ns_core::Child::spawn("bystander", Namespaces::NONE, Reporter::stay)?;
    let directory = TemporaryDirectory::new("live")?;
    fs::create_dir_all(directory.path().join("a/b"))?;
    fs::write(directory.path().join("a/b/file"), "x")?;
    for want in [CgroupRequest::AnyV2, CgroupRequest::V1("memory"), CgroupRequest::V1("freezer")] {
        let Ok(place) = CgroupParent::find(want)? else { continue };
        let cgroup = place.create("live")?;
        let kid = cgroup.child(&CgroupName::new("kid")?)?;
        let member = Waiting::new()?;
        kid.join(member.pid())?;
        let born = Spawn::new("member").run(Reporter::stay)?;
        cgroup.join(born.pid())?;
        cgroup.remove()?;
    }
    bystander.wake()?;
    bystander.wait()?;
    Ok(())
}

/// What is registered and was not removed goes with finish(), and so does the worker.
pub(crate) fn finish() -> Result<(), Box<dyn Error>> {
    cleanup::finish()?;
    let held = hold()?;
    let cgroup_path = held.0.as_ref().map(|cgroup| cgroup.path().to_path_buf());
    let directory_path = held.1.path().to_path_buf();
    let fd = cleanup::writer_fd().ok_or("no pipe to the worker")?;
    let flags = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
    assert!(flags.contains("flags:\t02000001"), "write-only and close-on-exec: {flags}");
    // A process that does not go through our own spawn keeps no copy either.
    let program = Waiting::new()?;
    std::mem::forget(held);
    cleanup::finish()?;
    assert!(!cgroup_path.is_some_and(|path| path.exists()) && !directory_path.exists());
    drop(program);
    let child = nix::sys::wait::waitpid(None, None);
    assert_eq!(child, Err(Errno::ECHILD), "no child is left, not even a zombie");
    println!("ok");
    Ok(())
}
