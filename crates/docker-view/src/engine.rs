//! A Docker engine, spoken to by the `docker` program, and containers that go with us.
//!
//! Containers are the engine's children, and do not die with us. So the first thing that is made is a *keeper*: a shell in
//! a process group of its own, which waits for the end of a pipe that we and every `docker` that we start hold open. When
//! that comes, however it came about, the keeper removes every container with our label, and the image. What a keeper
//! that was killed leaves, the next start removes: the label names its owner.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Started, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags};
use ns_core::janitor::TemporaryDirectory;
use ns_core::probe::Missing;
use ns_core::{Kind, Pid, namespace, poll_until, process};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, pidfd_open};

/// What every label and image of ours begins with.
const PREFIX: &str = "inception-";
/// How long `docker` may take: on an emulated machine, a container takes seconds.
const PATIENCE: Duration = Duration::from_secs(90);
const ABSENT: &str = "there is no program docker";
/// What the keeper does: `$1` is our name.
const KEEP: &str = r#"trap '' HUP INT TERM
while read -r _; do :; done
containers=$(docker ps --all --quiet --filter "label=inception=$1")
[ -z "$containers" ] || docker rm --force $containers
docker image rm --force "$1""#;

/// Where an engine listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Socket {
    /// Where `docker` looks by itself.
    Usual,
    /// Where scripts/docker-lab has a second one, with --userns-remap.
    Remapped,
}

/// An engine, and all that we have there.
#[derive(Debug)]
pub(crate) struct Engine {
    socket: Socket,
    /// The label of our containers, and the name of our image: `inception-PIDNAMESPACE-PID-STARTTIME`.
    name: String,
    keeper: Started,
    /// Whoever holds this keeps the keeper waiting.
    alive: Option<OwnedFd>,
}

/// A running container.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// Its first process, as we number it.
    pub(crate) pid: Pid,
}

/// A command that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ran {
    /// The exit status; 128 and the number for a signal, as a shell has it.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What is missing for an engine to be asked. `None` if nothing is.
pub(crate) fn missing() -> ns_core::Result<Option<Missing>> {
    let lab = "sudo scripts/docker-lab run docker-view, or install docker.io and start it";
    let answer = match docker(&["version", "--format", "{{.Server.Version}}"]) {
        Ok(answer) => answer,
        Err(error) if error.to_string() == ABSENT => {
            return Ok(Some(Missing::new(format!("a Docker engine: {ABSENT}"), lab)));
        }
        Err(_) => {
            let silent = format!("a Docker engine that answers: nothing within {} s", PATIENCE.as_secs());
            return Ok(Some(Missing::new(silent, lab)));
        }
    };
    if answer.status != 0 {
        let refused = answer.stderr.contains("permission denied");
        return Ok(Some(if refused {
            Missing::new("leave to use Docker's socket", "run as root: sudo docker-view")
        } else {
            Missing::new("a Docker engine that answers", lab)
        }));
    }
    let info =
        docker(&["info", "--format", "{{.SecurityOptions}}"]).map(|ran| ran.stdout).unwrap_or_default();
    // Both give every container a user namespace, and refuse options that the experiment is about.
    if let Some(option) = ["userns", "rootless"].into_iter().find(|it| info.contains(&format!("name={it}"))) {
        return Ok(Some(Missing::new(format!("an engine with its defaults: this one has {option} on"), lab)));
    }
    // Before its version 24, an engine on a kernel with AppArmor asks this program and starts nothing without it.
    let major = answer.stdout.split('.').next().and_then(|major| major.trim().parse().ok());
    if info.contains("name=apparmor") && major.is_none_or(|major: u32| major < 24) && !has("apparmor_parser")
    {
        return Ok(Some(Missing::new(
            "apparmor_parser, without which this engine starts no container",
            "apt-get install apparmor",
        )));
    }
    Ok(busybox().is_none().then(|| {
        Missing::new("a busybox that needs no libraries, for an image", "apt-get install busybox-static")
    }))
}

/// Whether a program of the system is there; an ordinary search path may lack /usr/sbin.
fn has(program: &str) -> bool {
    ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).is_file())
}

/// A busybox that is linked statically: a file by which every command comes along.
fn busybox() -> Option<PathBuf> {
    let candidates = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"].map(PathBuf::from);
    // A program that needs a loader names it in its first page (elf(5), PT_INTERP).
    let is_static = |path: &PathBuf| {
        let mut head = Vec::new();
        let file = std::fs::File::open(path).ok();
        let read = file.and_then(|file| file.take(4096).read_to_end(&mut head).ok());
        read.is_some()
            && head.starts_with(b"\x7fELF")
            && !head.windows(7).any(|word| word == b"ld-linu" || word == b"ld-musl")
    };
    candidates.into_iter().find(is_static)
}

impl Engine {
    /// Finds the engine, removes what dead owners left there, and imports the image.
    pub(crate) fn open(socket: Socket) -> Result<Engine> {
        let namespace = namespace::of_kind(None, Kind::Pid)?.ino;
        let name = format!("{PREFIX}{namespace}-{}-{}", std::process::id(), process::start_time(None)?);
        sweep(socket, namespace)?;
        let (hears, alive) = pipe_with(PipeFlags::CLOEXEC).context("pipe2(O_CLOEXEC)")?;
        let keeper = Command::new("sh")
            .args(["-c", KEEP, "keeper", &name])
            .envs(socket.environment())
            // An interrupt at the terminal is for us. Who reads our output has not to wait for it.
            .process_group(0)
            .stdin(hears)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("sh -c … (the keeper)")?;
        // From here on every `docker` holds it too, so that the keeper does not look while one is at work still.
        fcntl_setfd(&alive, FdFlags::empty()).context("fcntl(F_SETFD, 0)")?;
        let engine = Engine { socket, name, keeper, alive: Some(alive) };
        engine.import()?;
        Ok(engine)
    }

    /// An image of busybox and its names: nothing else is needed.
    fn import(&self) -> Result<()> {
        let busybox = busybox().context("there was a busybox a moment ago")?;
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

    /// `docker run` in the background: `options`, then a script for the container's shell, which becomes PID 1.
    pub(crate) fn start(&self, options: &[&str], script: &str) -> Result<Container> {
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
        // A PID counts in the engine's PID namespace, which need not be ours.
        let membership = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        ensure!(
            membership.contains(&container.id),
            "the engine counts PIDs in another PID namespace: run docker-view where it runs (scripts/docker-lab run …)"
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
        // What it could not remove, the next start will.
        let _ = wait(&mut self.keeper);
    }
}

/// Removes containers and images of ours whose owner is gone. Those of another PID namespace are left alone: their
/// owner cannot be seen from here.
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

/// Runs `docker` with these arguments, at the engine that it finds by itself.
pub(crate) fn docker(arguments: &[&str]) -> Result<Ran> {
    Socket::Usual.docker(arguments)
}

/// As [`docker`], where it must succeed. Gives its output.
pub(crate) fn done(arguments: &[&str]) -> Result<String> {
    Socket::Usual.done(arguments)
}

impl Socket {
    fn environment(self) -> Option<(&'static str, &'static str)> {
        (self == Socket::Remapped).then_some(("DOCKER_HOST", "unix:///run/docker-remapped.sock"))
    }

    /// As [`docker`], at this engine.
    pub(crate) fn docker(self, arguments: &[&str]) -> Result<Ran> {
        let mut command = Command::new("docker");
        command.envs(self.environment());
        // A search path may be missing, as after env -i. The client needs a home for nothing that we ask.
        if std::env::var_os("PATH").is_none() {
            command.env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        }
        let mut started = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context(ABSENT)?;
        let status = wait(&mut started).with_context(|| format!("docker {}", arguments.join(" ")))?;
        let text = |pipe: Option<&mut dyn Read>| {
            let mut bytes = Vec::new();
            // What it wrote is in the pipe: it has ended, and never says as much as fits there.
            pipe.map(|pipe| pipe.read_to_end(&mut bytes)).transpose().context("read(pipe from docker)")?;
            anyhow::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let stdout = text(started.stdout.as_mut().map(|pipe| pipe as &mut dyn Read))?;
        let stderr = text(started.stderr.as_mut().map(|pipe| pipe as &mut dyn Read))?;
        Ok(Ran { status, stdout, stderr })
    }

    fn done(self, arguments: &[&str]) -> Result<String> {
        let ran = self.docker(arguments)?;
        if ran.status != 0 {
            bail!("docker {}: {}", arguments.join(" "), one_line(&ran.stderr));
        }
        Ok(ran.stdout)
    }
}

fn one_line(text: &str) -> &str {
    text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it failed and said nothing")
}

/// Waits for the end of a child, with a deadline.
fn wait(child: &mut Started) -> Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    let pid = rustix::process::Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).context("pidfd_open()")?;
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    if !poll_until(&mut fds, Some(Instant::now() + PATIENCE))? {
        let _ = child.kill();
        bail!("nothing within {} s", PATIENCE.as_secs());
    }
    let status = child.wait().context("wait4()")?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
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
