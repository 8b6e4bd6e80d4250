//! What root in a container lacks: capabilities, system calls, files of the kernel.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::probe::Missing;
use ns_core::{Fact, Value};

use crate::engine::{Container, Engine, Ran};
use crate::judgement::DOCKER_DEFAULT;
use crate::kinds::STAY;
use crate::process::{Process, capabilities};

/// An engine that lacks a capability itself can give no container all of them.
const ALL_CAPABILITIES: Need = Need::Probe(all_capabilities);

pub(crate) const CAPABILITIES: Claim = Claim::holds(
    "capabilities",
    "Root in a container has 14 capabilities and no others, unless more are added.",
)
.cause("Docker's default set")
.notes(&[2]);
pub(crate) const SECCOMP: Claim = Claim::holds(
    "seccomp",
    "A seccomp filter refuses unshare(CLONE_NEWUSER), which the kernel would grant to anyone.",
)
.cause("the default seccomp profile")
.notes(&[2]);
pub(crate) const MASKED: Claim = Claim::holds(
    "masked",
    "Over parts of /proc and /sys there are mounts that are empty or read-only, over /proc/sys for one.",
)
.cause("the default system paths")
.notes(&[2]);
pub(crate) const NO_PROC: Claim = Claim::holds(
    "no-new-proc",
    "Where parts of /proc are masked, the owner of a new PID namespace may not mount a /proc for it: EPERM.",
)
.cause("masked paths")
.notes(&[127]);
pub(crate) const MAY_MOUNT_PROC: Claim = Claim::refuted(
    "any-new-proc",
    "A process with a user and a PID namespace of its own can mount /proc for it.",
    "no-new-proc",
)
.cause("masked paths")
.notes(&[127]);
pub(crate) const NO_NEW_PRIVS: Claim = Claim::holds(
    "no-new-privs",
    "no_new_privs is off in a container, and on where --security-opt no-new-privileges asks for it.",
)
.cause("--security-opt no-new-privileges")
.notes(&[2]);
pub(crate) const PRIVILEGED: Claim = Claim::holds(
    "privileged",
    "--privileged gives every capability that the engine knows, and takes away masks and seccomp filter.",
)
.cause("--privileged")
.notes(&[2])
.needs(&[ALL_CAPABILITIES]);

const UNFILTERED: [&str; 4] =
    ["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"];
const UNMASKED: [&str; 2] = ["--security-opt", "systempaths=unconfined"];

pub(crate) fn run(lab: &mut Lab, engine: &Engine, container: &Container) -> Result<()> {
    lab.step(Step {
        goal: "Read off the capabilities of a container, and of one that was given one more.",
        calls: &["open(\"/proc/PID/status\")"],
        by_hand: &[
            "grep Cap /proc/$p/status",
            "docker run --rm --cap-add SYS_ADMIN box busybox grep Cap /proc/self/status",
        ],
    })?;
    let added = engine.start(&["--cap-add", "SYS_ADMIN"], STAY)?;
    let held = |container: &Container| -> Result<Fact> {
        let set = Process::look_at(container.pid)?.effective;
        Ok(Fact::outside("effective capabilities", capabilities(set)))
    };
    lab.claim(CAPABILITIES)
        .without(held(&added)?)
        .with(held(cause(container, &added))?)
        .shows(|set| set.value().as_str() == Some(&capabilities(DOCKER_DEFAULT)))?;

    lab.step(Step {
        goal: "Make a user namespace inside, with the filter and without.",
        calls: &["seccomp(SECCOMP_SET_MODE_FILTER)", "unshare(CLONE_NEWUSER)"],
        by_hand: &[
            "docker run --rm box busybox unshare -U busybox true",
            "docker run --rm --security-opt seccomp=unconfined box busybox unshare -U busybox true",
        ],
    })?;
    let make = |options: &[&str]| -> Result<[Fact; 2]> {
        let ran =
            engine.run(options, "grep -o 'Seccomp:.*' /proc/self/status | cut -f 2; unshare -U true")?;
        Ok([
            Fact::inside("container", "unshare(CLONE_NEWUSER)", outcome(&ran)),
            Fact::inside("container", "Seccomp in /proc/self/status", ran.stdout.trim()),
        ])
    };
    lab.claim(SECCOMP)
        .without(make(&UNFILTERED)?)
        .with(make(cause(&[], UNFILTERED.as_slice()))?)
        .shows(|answer| *answer == "EPERM")?;

    lab.step(Step {
        goal: "List what is mounted over files of the kernel's own.",
        calls: &["open(\"/proc/PID/mountinfo\")"],
        by_hand: &["docker run --rm box busybox cat /proc/self/mountinfo | grep -E ' /(proc|sys)'"],
    })?;
    let bare = engine.start(&UNMASKED, STAY)?;
    lab.claim(MASKED).without(covered(&bare)?).with(covered(cause(container, &bare))?).shows(|of| {
        contains(of.outside("masked"), "/proc/keys") && contains(of.outside("read-only"), "/proc/sys")
    })?;

    lab.step(Step {
        goal: "Make a namespace of each kind that a new /proc needs, and mount one; without masks, then with them.",
        calls: &["unshare(CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS)", "mount(\"proc\", \"/proc\", \"proc\")"],
        by_hand: &[
            "free='--security-opt seccomp=unconfined --security-opt apparmor=unconfined'",
            "docker run --rm $free box busybox unshare -U -r -p -f -m busybox mount -t proc proc /proc",
            "more='--security-opt systempaths=unconfined'",
            "docker run --rm $free $more box busybox unshare -U -r -p -f -m busybox mount -t proc proc /proc",
        ],
    })?;
    let all = [UNFILTERED.as_slice(), &UNMASKED].concat();
    let mounts = |options: &[&str]| -> Result<Fact> {
        let ran = engine.run(options, "unshare -U -r -p -f -m mount -t proc proc /proc")?;
        Ok(Fact::inside("container", "mount -t proc proc /proc", outcome(&ran)))
    };
    let unmasked = mounts(&all)?;
    let masked = mounts(cause(UNFILTERED.as_slice(), &all))?;
    lab.claim(NO_PROC).without(unmasked.clone()).with(masked.clone()).shows(|answer| *answer == "EPERM")?;
    lab.claim(MAY_MOUNT_PROC).without(unmasked).with(masked).shows(|answer| *answer == "OK")?;

    lab.step(Step {
        goal: "Ask for no new privileges by execve(2).",
        calls: &["prctl(PR_SET_NO_NEW_PRIVS, 1)"],
        by_hand: &[
            "docker run --rm --security-opt no-new-privileges box busybox grep NoNewPrivs /proc/self/status",
        ],
    })?;
    let modest = engine.start(cause(["--security-opt", "no-new-privileges"].as_slice(), &[]), STAY)?;
    let bit = |container: &Container| -> Result<Fact> {
        Ok(Fact::outside("no_new_privs", Process::look_at(container.pid)?.no_new_privs))
    };
    lab.claim(NO_NEW_PRIVS).without(bit(container)?).with(bit(&modest)?).shows(|bit| *bit == true)?;

    if lab.can_ask(&[PRIVILEGED])? {
        lab.step(Step {
            goal: "Start one to which nothing is denied.",
            calls: &["open(\"/proc/PID/status\")", "open(\"/proc/PID/mountinfo\")"],
            by_hand: &["docker run --rm --privileged box busybox grep -E 'Cap|Seccomp:' /proc/self/status"],
        })?;
        let privileged = engine.start(cause(["--privileged"].as_slice(), &[]), STAY)?;
        lab.claim(PRIVILEGED).without(denied(container)?).with(denied(&privileged)?).shows(|of| {
            let is = |what, value: &str| of.outside(what).is_some_and(|seen| *seen == value);
            is(LACKS, "none") && is("masked paths", "none") && is("seccomp", "off")
        })?;
    }
    Ok(())
}

/// How a command that makes one system call ended: `OK`, or the error as its last line on standard error has it.
fn outcome(ran: &Ran) -> Value {
    let said = ran.stderr.to_lowercase();
    match (ran.status, said) {
        (0, _) => "OK".into(),
        // unshare says the error in full, and mount what it takes it for.
        (_, said) if said.contains("not permitted") || said.contains("permission denied") => "EPERM".into(),
        (status, said) => format!("status {status}: {}", said.trim()).into(),
    }
}

fn covered(container: &Container) -> Result<Vec<Fact>> {
    let seen = Process::look_at(container.pid)?;
    // Which files a kernel and an engine have varies.
    let list = |mut paths: Vec<String>| {
        paths.sort();
        if paths.is_empty() { Value::from("none") } else { paths.join(" ").into() }
    };
    Ok(vec![Fact::outside("masked", list(seen.masked())), Fact::outside("read-only", list(seen.read_only()))])
}

fn contains(value: Option<&Value>, path: &str) -> bool {
    value.and_then(Value::as_str).is_some_and(|list| list.split(' ').any(|own| own == path))
}

fn denied(container: &Container) -> Result<Vec<Fact>> {
    let seen = Process::look_at(container.pid)?;
    let lacks = known() & !seen.bounding;
    let number = |count: usize| if count == 0 { "none".to_string() } else { count.to_string() };
    Ok(vec![
        Fact::outside(LACKS, number((lacks & OLD).count_ones() as usize)),
        Fact::outside("newer ones that it lacks", capabilities(lacks & !OLD)),
        Fact::outside("masked paths", number(seen.masked().len())),
        Fact::outside("seccomp", if seen.seccomp == 0 { "off" } else { "a filter" }),
    ])
}

const LACKS: &str = "capabilities that it lacks";
/// Those of before Linux 5.8, CAP_AUDIT_READ the last of them. An engine gives what it has a name for: Docker 20.10 knows
/// of none that came later.
const OLD: u64 = u64::MAX >> (63 - 37);

/// Every capability that this kernel knows.
fn known() -> u64 {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok();
    let last: u32 = last.and_then(|text| text.trim().parse().ok()).unwrap_or(40);
    u64::MAX >> (63 - last)
}

fn all_capabilities() -> ns_core::Result<Option<Missing>> {
    let lacks = known() & !ns_core::process::status(None)?.capbnd.unwrap_or_default();
    let names = capabilities(lacks);
    let names = names.split_once(": ").map_or(&*names, |(_, names)| names);
    Ok((lacks != 0).then(|| {
        Missing::new(
            format!("{names}, which --privileged would give and nobody here can"),
            "run where root has all capabilities: on the host, or in scripts/vm",
        )
    }))
}
