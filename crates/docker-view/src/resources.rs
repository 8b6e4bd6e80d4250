//! The cgroup of a container, its limits, and its files.

use std::fs;

use anyhow::{Context, Result};
use lesson::{Claim, Row, Step, hand, inside, outside, right, wrong};
use ns_core::cleanup::TemporaryDirectory;
use ns_core::{Fact, Value};

use crate::client::done;
use crate::engine::{Container, DEFAULTS, Engine, Options, engine};
use crate::limits::limits;
use crate::process::Process;

const HIDDEN: Claim = Claim::holds(
    "hidden-cgroup",
    "In a cgroup namespace, a container reads / as its cgroup; outside, the path has the container's ID.",
)
.factor("--cgroupns private")
.arms("host", "private")
.notes(&[25]);

pub(crate) const READ_THE_CGROUP: Step = Step {
    title: "Read the cgroup of a container, from inside and in the host's /proc.",
    calls: &["clone3(CLONE_NEWCGROUP)", "open(\"/proc/self/cgroup\")"],
    by_hand: &[
        hand("docker run --rm --cgroupns private box busybox tail -n 1 /proc/self/cgroup")
            .as_root()
            .prints("0::/")
            .in_the_same_shell(),
        hand("docker run --rm --cgroupns host box busybox tail -n 1 /proc/self/cgroup")
            .as_root()
            .prints("0::/…/…"),
    ],
    claims: &[HIDDEN],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(HIDDEN, "host", "private", |which| cgroup(&engine.idle(&["--cgroupns", which])?))?
            .in_both_arms(outside("its cgroup has its ID").is("yes"))
            .shows(inside("its cgroup").is("/"))
    },
};

const LIMITS: Claim =
    Claim::holds("limits", "--memory and --pids-limit set limits in files of the container's cgroup.")
        .factor("the options")
        .notes(&[45, 47])
        .arms("the default", "32m and 20")
        .core(&[Row::outside("--memory, in bytes", "memory"), Row::outside("--pids-limit", "processes")])
        .asks(
            "docker run --memory 32m: what enforces the 32 MiB?",
            &[
                right("the kernel, by a file of the container's cgroup"),
                wrong("the engine, which measures and kills", "docker stats measures memory"),
                wrong("the kernel, by an rlimit of PID 1", "ulimit -v limits the memory of one process"),
                wrong("a memory namespace", "each property of a container seems to have a namespace"),
            ],
        );

pub(crate) const LIMIT: Step = Step {
    title: "Limit a container. Read the limits of its cgroup and of the ancestors.",
    calls: &["write(\"memory.max\", \"33554432\")", "write(\"pids.max\", \"20\")"],
    by_hand: &[hand("l=$(docker run --detach --memory 32m --pids-limit 20 box busybox sleep 600)").as_root().prints("").in_the_same_shell(), hand("docker-view --pid $(docker inspect --format '{{.State.Pid}}' $l) | grep 'most likely'; docker rm --force $l >/dev/null").as_root().prints("It is most likely a Docker container:"), ],
    claims: &[LIMITS],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(LIMITS, DEFAULTS, LIMITED, |options| in_effect(&engine.idle(options)?))?
            .shows(outside("memory").is("33554432") & outside("processes").is("20"))
    },
};

const KILLED: Claim = Claim::holds(
    "out-of-memory",
    "Past --memory, the kernel kills a process of the container; if that is PID 1, the status is 137.",
)
.factor("--memory 32m")
.arms("no limit", "--memory 32m")
.notes(&[45]);

pub(crate) const FILL_MEMORY: Step = Step {
    title: "Write 48 MiB to /dev/shm in a container without a limit, and in one with --memory 32m.",
    calls: &["write(\"/dev/shm/filled\")"],
    by_hand: &[hand("docker run --rm --memory 32m --memory-swap 32m box busybox dd if=/dev/zero of=/dev/shm/f bs=1M count=48; echo $?").as_root().prints("137").in_the_same_shell(), hand("docker run --rm box busybox dd if=/dev/zero of=/dev/shm/f bs=1M count=48").as_root().prints("48+0 records in\n48+0 records out"), ],
    claims: &[KILLED],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(KILLED, DEFAULTS, &["--memory", "32m", "--memory-swap", "32m"], |options| {
            let ran = engine.run(options, "exec head -c 48m /dev/zero > /dev/shm/filled")?;
            Ok(Fact::outside("exit status", ran.status))
        })?
        .shows(outside("exit status").is(137))
    },
};

const LAYER: Claim = Claim::holds(
    "layer",
    "A file that a container writes stays in its own layer: the next container of the image lacks it.",
)
.factor("a layer of its own")
.arms("a volume", "own layer")
.more(&[94]);

pub(crate) const WRITE_TO_THE_LAYER: Step = Step {
    title: "Write a file in one container, and look for it in the next. Repeat it where both have a volume.",
    calls: &["mount(\"overlay\", …)", "mount(DIRECTORY, \"/data\", MS_BIND)"],
    by_hand: &[
        hand("docker run --rm box busybox touch /data; docker run --rm box busybox ls /data")
            .as_root()
            .prints("ENOENT")
            .in_the_same_shell(),
        hand("v=$(mktemp -d); docker run --rm --volume $v:/v box busybox touch /v/data; ls $v; rm -r $v")
            .as_root()
            .prints("data"),
    ],
    claims: &[LAYER],
    run: |lab| {
        let engine = engine(lab)?;
        let directory = TemporaryDirectory::new("volume")?;
        let volume = format!("{}:/data", directory.path().display());
        lab.compare(LAYER, ["--volume", &volume].as_slice(), DEFAULTS, |options| {
            seen_by_the_next(&engine, options)
        })?
        .shows(inside("file exists").is("no"))
    },
};

const READ_ONLY: Claim =
    Claim::holds("read-only", "With --read-only, a write to the root directory fails with EROFS.")
        .factor("--read-only")
        .arms("the default", "--read-only")
        .notes(&[2]);

pub(crate) const WRITE_TO_THE_ROOT: Step = Step {
    title: "Write to the root directory of a container, without and with --read-only.",
    calls: &["mount(\"/\", MS_REMOUNT|MS_BIND|MS_RDONLY)", "open(\"/written\", O_CREAT)"],
    by_hand: &[
        hand("docker run --rm --read-only box busybox touch /written")
            .as_root()
            .prints("EROFS")
            .in_the_same_shell(),
        hand("docker rm --force $c >/dev/null; docker image rm box >/dev/null").as_root().prints(""),
    ],
    claims: &[READ_ONLY],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(READ_ONLY, DEFAULTS, &["--read-only"], |options| {
            let ran = engine.run(options, "touch /written")?;
            Ok(Fact::inside("container", "touch /written", ran.outcome()))
        })?
        .shows(inside("touch /written").is("EROFS"))
    },
};

const LIMITED: &Options = &["--memory", "32m", "--memory-swap", "32m", "--pids-limit", "20"];

fn cgroup(container: &Container) -> Result<Vec<Fact>> {
    let inside = done(&["exec", &container.id, "cat", "/proc/self/cgroup"])?;
    let path =
        inside.lines().find_map(|line| line.splitn(3, ':').nth(2)).context("no line in /proc/self/cgroup")?;
    // / is the same in every run. A name is not.
    let path: Value = if path == "/" { path.into() } else { Value::Name(path.into()) };
    let outside = fs::read_to_string(format!("/proc/{}/cgroup", container.pid)).unwrap_or_default();
    Ok(vec![
        Fact::inside("container", "its cgroup", path),
        Fact::outside("its cgroup has its ID", outside.contains(&container.id)),
    ])
}

fn in_effect(container: &Container) -> Result<Vec<Fact>> {
    let found = limits(&Process::look_at(container.pid)?);
    let value = |what: &str| found.iter().find(|limit| limit.what == what).map(|limit| limit.value.as_str());
    let fact = |what| Fact::outside(what, value(what).unwrap_or("not visible"));
    Ok(["memory", "processes", "CPU time"].map(fact).to_vec())
}

/// Whether a container sees the file that another wrote to /data. Both have the same options.
fn seen_by_the_next(engine: &Engine, options: &[&str]) -> Result<Fact> {
    engine.run(options, "[ -d /data ] || busybox mkdir /data; touch /data/written")?;
    let ran = engine.run(options, "[ -e /data/written ]")?;
    Ok(Fact::inside("the next container", "file exists", ran.status == 0))
}
