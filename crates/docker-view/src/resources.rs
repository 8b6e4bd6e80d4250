//! The cgroup of a container, its limits, and its files.

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Step, cause};
use ns_core::janitor::TemporaryDirectory;
use ns_core::{Fact, Value};

use crate::engine::{Container, Engine};
use crate::kinds::STAY;
use crate::process::{Process, limits};

pub(crate) const HIDDEN: Claim = Claim::holds(
    "hidden-cgroup",
    "With a cgroup namespace a container reads / as its cgroup, which outside is named by the container's ID.",
)
.cause("--cgroupns private")
.notes(&[25]);
pub(crate) const LIMITS: Claim =
    Claim::holds("limits", "--memory and --pids-limit are numbers in files of the container's cgroup.")
        .cause("the options")
        .notes(&[45, 47]);
pub(crate) const KILLED: Claim = Claim::holds(
    "out-of-memory",
    "Where a container takes more than its --memory the kernel kills a process; if that is PID 1, status 137.",
)
.cause("--memory 32m")
.notes(&[45]);
pub(crate) const LAYER: Claim = Claim::holds(
    "layer",
    "What a container writes stays in a layer of its own: the next one of the same image lacks it.",
)
.cause("a layer of its own")
.more(&[94]);
pub(crate) const READ_ONLY: Claim =
    Claim::holds("read-only", "--read-only refuses every write to the root directory: EROFS.")
        .cause("--read-only")
        .notes(&[2]);

pub(crate) fn run(lab: &mut Lab, engine: &Engine) -> Result<()> {
    lab.step(Step {
        goal: "Ask a container for its cgroup, and /proc out here for the same.",
        calls: &["clone3(CLONE_NEWCGROUP)", "open(\"/proc/self/cgroup\")"],
        by_hand: &[
            "docker run --rm --cgroupns private box busybox cat /proc/self/cgroup",
            "docker run --rm --cgroupns host box busybox cat /proc/self/cgroup",
        ],
    })?;
    let shown = engine.start(&["--cgroupns", "host"], STAY)?;
    let hidden = engine.start(&["--cgroupns", cause("private", "host")], STAY)?;
    lab.claim(HIDDEN).without(cgroup(&shown)?).with(cgroup(&hidden)?).shows(|of| {
        of.inside("its cgroup").is_some_and(|it| *it == "/")
            && of.outside("its cgroup is named by its ID").is_some_and(|it| *it == true)
    })?;

    lab.step(Step {
        goal: "Limit a container, and read the files of its cgroup and of those above it.",
        calls: &["write(\"memory.max\", \"33554432\")", "write(\"pids.max\", \"20\")"],
        by_hand: &[
            "l=$(docker run --detach --memory 32m --pids-limit 20 box busybox sleep 600)",
            "docker-view --pid $(docker inspect --format '{{.State.Pid}}' $l); docker rm --force $l",
        ],
    })?;
    let free = engine.start(&[], STAY)?;
    let options = ["--memory", "32m", "--memory-swap", "32m", "--pids-limit", "20"];
    let limited = engine.start(cause(options.as_slice(), &[]), STAY)?;
    lab.claim(LIMITS).without(in_effect(&free)?).with(in_effect(&limited)?).shows(|of| {
        of.outside("memory").is_some_and(|it| *it == "33554432")
            && of.outside("processes").is_some_and(|it| *it == "20")
    })?;

    lab.step(Step {
        goal: "Fill 48 MiB of memory in a container that may have 32, and in one that may have all.",
        calls: &["write(\"/dev/shm/filled\")"],
        by_hand: &[
            "docker run --rm --memory 32m --memory-swap 32m box busybox dd if=/dev/zero of=/dev/shm/f bs=1M count=48",
            "docker run --rm box busybox dd if=/dev/zero of=/dev/shm/f bs=1M count=48",
        ],
    })?;
    let fill = |options: &[&str]| -> Result<Fact> {
        let ran = engine.run(options, "exec head -c 48m /dev/zero > /dev/shm/filled")?;
        Ok(Fact::outside("its exit status", ran.status))
    };
    lab.claim(KILLED)
        .without(fill(&[])?)
        .with(fill(cause(options[..4].as_ref(), &[]))?)
        .shows(|status| *status == 137)?;

    lab.step(Step {
        goal: "Write a file in one container, and look for it in the next; once where both have a volume.",
        calls: &["mount(\"overlay\", …)", "mount(DIRECTORY, \"/data\", MS_BIND)"],
        by_hand: &[
            "docker run --rm box busybox touch /data; docker run --rm box busybox ls /data",
            "docker run --rm --volume /tmp/v:/v box busybox touch /v/data",
            "ls /tmp/v; rm -r /tmp/v",
        ],
    })?;
    let directory = TemporaryDirectory::new("volume")?;
    let volume = format!("{}:/data", directory.path().display());
    let with_volume = ["--volume", volume.as_str()];
    let second_sees = |options: &[&str]| -> Result<Fact> {
        engine.run(options, "[ -d /data ] || busybox mkdir /data; touch /data/written")?;
        let ran = engine.run(options, "[ -e /data/written ]")?;
        Ok(Fact::inside("the next container", "the file is there", ran.status == 0))
    };
    lab.claim(LAYER)
        .without(second_sees(&with_volume)?)
        .with(second_sees(cause(&[], with_volume.as_slice()))?)
        .shows(|there| *there == false)?;

    lab.step(Step {
        goal: "Write to the root directory of a container that may not.",
        calls: &["mount(\"/\", MS_REMOUNT|MS_BIND|MS_RDONLY)", "open(\"/written\", O_CREAT)"],
        by_hand: &[
            "docker run --rm --read-only box busybox touch /written",
            "docker rm --force $c; docker image rm box",
        ],
    })?;
    let write = |options: &[&str]| -> Result<Fact> {
        let ran = engine.run(options, "touch /written")?;
        let read_only = ran.stderr.contains("Read-only file system");
        let value: Value = match ran.status {
            0 => "OK".into(),
            _ if read_only => "EROFS".into(),
            status => format!("status {status}").into(),
        };
        Ok(Fact::inside("container", "touch /written", value))
    };
    lab.claim(READ_ONLY)
        .without(write(&[])?)
        .with(write(cause(["--read-only"].as_slice(), &[]))?)
        .shows(|answer| *answer == "EROFS")?;
    Ok(())
}

fn cgroup(container: &Container) -> Result<Vec<Fact>> {
    let inside = crate::engine::done(&["exec", &container.id, "cat", "/proc/self/cgroup"])?;
    let path =
        inside.lines().find_map(|line| line.splitn(3, ':').nth(2)).context("no line in /proc/self/cgroup")?;
    // The root of its namespace is the same in every run; a name is not.
    let path: Value = if path == "/" { path.into() } else { Value::Name(path.into()) };
    let outside = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid)).unwrap_or_default();
    Ok(vec![
        Fact::inside("container", "its cgroup", path),
        Fact::outside("its cgroup is named by its ID", outside.contains(&container.id)),
    ])
}

fn in_effect(container: &Container) -> Result<Vec<Fact>> {
    let found = limits(&Process::look_at(container.pid)?);
    let facts: Vec<_> = found.into_iter().map(|limit| Fact::outside(limit.what, limit.value)).collect();
    Ok(if facts.is_empty() { vec![Fact::outside("limits", "none to be seen")] } else { facts })
}
