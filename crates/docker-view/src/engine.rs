//! A Docker engine, and containers that end with this program.
//!
//! Containers are children of the engine, so they do not end with this program. It first starts a *watchdog*: a shell in
//! its own process group, which reads from a pipe. This program and every `docker` that it starts hold the other end
//! open. At the end of the pipe, the watchdog removes every container with the label of this run, and the image. If the
//! watchdog is killed, the next run removes what it left: the label names its owner.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use lesson::Lab;
use ns_core::cleanup::TemporaryDirectory;
use ns_core::{Kind, Pid, namespace, process};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};

use crate::client::{Ran, Socket, one_line, wait};
use crate::requirements::busybox;

/// The prefix of every label and image of this experiment.
const PREFIX: &str = "inception-";
/// What the watchdog does. `$1` is the name of the run.
const WATCH: &str = r#"trap '' HUP INT TERM
while read -r _; do :; done
containers=$(docker ps --all --quiet --filter "label=inception=$1")
[ -z "$containers" ] || docker rm --force $containers
docker image rm --force "$1""#;
/// The command of an idle container. It lasts longer than a run on an emulated machine.
const STAY: &str = "exec sleep 6000";

/// Options of `docker run`.
pub(crate) type Options = [&'static str];
/// None of them: what Docker does by default.
pub(crate) const DEFAULTS: &Options = &[];

/// The engine of this machine, the same for all steps.
pub(crate) fn engine(lab: &mut Lab) -> Result<Rc<Engine>> {
    lab.once(|_| Engine::open(Socket::Usual))
}

/// An engine, and what this run has there.
#[derive(Debug)]
pub(crate) struct Engine {
    socket: Socket,
    /// The label of the containers, and the name of the image: `inception-PIDNAMESPACE-PID-STARTTIME`.
    name: String,
    watchdog: Child,
    /// The watchdog waits while a process holds this open.
    alive: Option<OwnedFd>,
    /// Idle containers, by their options.
    idle: RefCell<BTreeMap<Vec<String>, Container>>,
}

/// A running container.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// The PID of its first process, in the PID namespace of this program.
    pub(crate) pid: Pid,
}

impl Engine {
    /// Finds the engine, removes what earlier runs left there, and imports the image.
    pub(crate) fn open(socket: Socket) -> Result<Engine> {
        let namespace = namespace::of_kind(None, Kind::Pid)?.ino;
        let name = format!("{PREFIX}{namespace}-{}-{}", std::process::id(), process::start_time(None)?);
        sweep(socket, namespace)?;
        let (reader, alive) = pipe_with(PipeFlags::CLOEXEC).context("pipe2(O_CLOEXEC)")?;
        let watchdog = Command::new("sh")
            .args(["-c", WATCH, "watchdog", &name])
            .envs(socket.environment())
            // Ctrl-C at the terminal does not reach it. It does not hold the output of this program open.
            .process_group(0)
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("sh -c … (the watchdog)")?;
        // From here on every `docker` inherits it, so that the watchdog waits until the last one has ended.
        fcntl_setfd(&alive, FdFlags::empty()).context("fcntl(F_SETFD, 0)")?;
        let engine = Engine { socket, name, watchdog, alive: Some(alive), idle: RefCell::default() };
        engine.import()?;
        Ok(engine)
    }

    /// Imports an image of busybox, with links for its commands.
    fn import(&self) -> Result<()> {
        let busybox = busybox().context("busybox is missing")?;
        let directory = TemporaryDirectory::new("image")?;
        let bin = directory.path().join("root/bin");
        std::fs::create_dir_all(&bin).with_context(|| format!("mkdir -p {}", bin.display()))?;
        std::fs::copy(&busybox, bin.join("busybox")).with_context(|| format!("cp {}", busybox.display()))?;
        for name in [
            "sh", "cat", "cut", "grep", "head", "id", "ls", "mount", "nc", "ping", "ps", "readlink", "sleep",
            "sort", "tail", "touch", "true", "unshare",
        ] {
            std::os::unix::fs::symlink("busybox", bin.join(name))
                .with_context(|| format!("ln -s busybox {name}"))?;
        }
        let archive = directory.path().join("image.tar");
        let packed = Command::new("tar")
            .args(["--create", "--file"])
            .args([
                archive.as_path(),
                Path::new("--directory"),
                &directory.path().join("root"),
                Path::new("."),
            ])
            .status();
        ensure!(packed.context("tar")?.success(), "tar --create failed");
        let archive = archive.display().to_string();
        self.socket.done(&["import", "--change", "ENV PATH=/bin", &archive, &self.name])?;
        Ok(())
    }

    /// An idle container with these options, which all steps share.
    pub(crate) fn idle(&self, options: &[&str]) -> Result<Container> {
        let key: Vec<String> = options.iter().map(ToString::to_string).collect();
        if let Some(idle) = self.idle.borrow().get(&key) {
            return Ok(idle.clone());
        }
        let idle = self.start(options)?;
        self.idle.borrow_mut().insert(key, idle.clone());
        Ok(idle)
    }

    /// `docker run` in the background, of an idle container.
    pub(crate) fn start(&self, options: &[&str]) -> Result<Container> {
        self.start_script(options, STAY)
    }

    /// `docker run` in the background: `options`, then a script for the container's shell, which becomes PID 1.
    pub(crate) fn start_script(&self, options: &[&str], script: &str) -> Result<Container> {
        let label = format!("inception={}", self.name);
        let fixed = ["run", "--detach", "--label", &label];
        let arguments = [&fixed, options, &[&self.name, "sh", "-c", script]].concat();
        let id = self.socket.done(&arguments)?.trim().to_string();
        let pid = self
            .socket
            .done(&["inspect", "--format", "{{.State.Pid}}", &id])?
            .trim()
            .parse()
            .context("a PID")?;
        let container = Container { id, pid: Pid::from_raw(pid) };
        // The PID is that of the engine's PID namespace, which can be another one.
        let membership = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        ensure!(
            membership.contains(&container.id),
            "the engine is in another PID namespace: run docker-view in the same one (scripts/docker-lab run …)"
        );
        Ok(container)
    }

    /// `docker run` to its end.
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Result<Ran> {
        let label = format!("inception={}", self.name);
        let fixed = ["run", "--rm", "--label", &label];
        let ran = self.socket.docker(&[&fixed, options, &[&self.name, "sh", "-c", script]].concat())?;
        // 125: the engine refused, and nothing ran (docker-run(1)).
        ensure!(ran.status != 125, "docker run {}: {}", options.join(" "), one_line(&ran.stderr));
        Ok(ran)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.alive.take());
        // The next run removes what it could not remove.
        let _ = wait(&mut self.watchdog);
    }
}

/// Removes containers and images of runs that have ended. Those of another PID namespace stay: their owner is not
/// visible here.
fn sweep(socket: Socket, namespace: u64) -> Result<()> {
    let listed = socket.done(&[
        "ps",
        "--all",
        "--filter",
        "label=inception",
        "--format",
        "{{.ID}} {{.Label \"inception\"}}",
    ])?;
    let ours = listed.lines().filter_map(|line| line.split_once(' '));
    for (id, _) in ours.filter(|(_, owner)| is_abandoned(owner, namespace)) {
        socket.docker(&["rm", "--force", id])?;
    }
    let listed = socket.done(&["image", "ls", "--format", "{{.Repository}}"])?;
    for image in listed.lines().filter(|image| is_abandoned(image, namespace)) {
        socket.docker(&["image", "rm", "--force", image])?;
    }
    Ok(())
}

fn is_abandoned(name: &str, namespace: u64) -> bool {
    let numbers: Vec<u64> = match name.strip_prefix(PREFIX) {
        Some(rest) => rest.split('-').filter_map(|part| part.parse().ok()).collect(),
        None => return false,
    };
    let [from, pid, started] = numbers[..] else { return false };
    let Ok(pid) = i32::try_from(pid) else { return false };
    from == namespace && process::start_time(Some(Pid::from_raw(pid))).ok() != Some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_owner_of_this_namespace_left_is_abandoned() {
        let (own, here) = (std::process::id(), 7);
        let started = process::start_time(None).unwrap();
        assert!(!is_abandoned(&format!("inception-7-{own}-{started}"), here), "ours");
        assert!(
            is_abandoned(&format!("inception-7-{own}-{}", started + 1), here),
            "a PID that is used again"
        );
        assert!(
            !is_abandoned(&format!("inception-8-{own}-{}", started + 1), here),
            "another PID namespace's"
        );
        for other in ["busybox", "inception-", "inception-7", "inception-7-0-x", "inception-7-1-2-3"] {
            assert!(!is_abandoned(other, here), "{other}");
        }
    }
}
