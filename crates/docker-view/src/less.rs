//! What root in a container lacks: capabilities, system calls, files of the kernel.

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Row, Step, hand, inside, outside, right, wrong};
use ns_core::probe::Unmet;
use ns_core::{Fact, Value};

use crate::capabilities::{self, DOCKER_DEFAULT, known};
use crate::engine::{Container, DEFAULTS, Engine, Options, engine};
use crate::kinds::is_in;
use crate::process::Process;

const CAPABILITIES: Claim =
    Claim::holds("capabilities", "By default, root in a container has exactly 14 effective capabilities.")
        .factor("Docker's default set")
        .arms("--cap-add", "the default")
        .notes(&[2]);

pub(crate) const READ_CAPABILITIES: Step = Step {
    title: "Read the capabilities of a container, and of one with --cap-add SYS_ADMIN.",
    calls: &["open(\"/proc/PID/status\")"],
    by_hand: &[
        hand("grep CapEff /proc/$p/status").as_root().prints("CapEff: 00000000a80425fb").in_the_same_shell(),
        hand("docker run --rm --cap-add SYS_ADMIN box busybox grep CapEff /proc/self/status")
            .as_root()
            .prints("CapEff: 00000000a82425fb"),
    ],
    claims: &[CAPABILITIES],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(CAPABILITIES, ["--cap-add", "SYS_ADMIN"].as_slice(), DEFAULTS, |options| {
            let set = Process::look_at(engine.idle(options)?.pid)?.effective;
            Ok(Fact::outside("effective capabilities", capabilities::named(set)))
        })?
        .shows(outside("effective capabilities").is(capabilities::named(DOCKER_DEFAULT)))
    },
};

const SECCOMP: Claim = Claim::holds(
    "seccomp",
    "Under Docker's seccomp filter, unshare(CLONE_NEWUSER) fails with EPERM; unconfined, it succeeds.",
)
.factor("the default seccomp profile")
.arms("unconfined", "the default")
.notes(&[2]);

pub(crate) const MAKE_A_USER_NAMESPACE: Step = Step {
    title: "Call unshare(CLONE_NEWUSER) in a container, without the filter and with it.",
    calls: &["seccomp(SECCOMP_SET_MODE_FILTER)", "unshare(CLONE_NEWUSER)"],
    by_hand: &[hand("docker run --rm box busybox unshare -U busybox true").as_root().prints("EPERM").in_the_same_shell(), hand("docker run --rm --security-opt seccomp=unconfined box busybox unshare -U busybox true && echo OK").as_root().prints("OK"), ],
    claims: &[SECCOMP],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(SECCOMP, UNFILTERED, DEFAULTS, |options| create_a_user_namespace(&engine, options))?
            .shows(inside("unshare(CLONE_NEWUSER)").is("EPERM"))
    },
};

const MASKED: Claim = Claim::holds(
    "masked",
    "By default, a mount hides the content of /proc/keys, and another makes /proc/sys read-only.",
)
.factor("the default system paths")
.arms("no masks", "the default")
.notes(&[2]);

pub(crate) const LIST_MASKS: Step = Step {
    title: "List the mounts over files in /proc and /sys.",
    calls: &["open(\"/proc/PID/mountinfo\")"],
    by_hand: &[hand("docker run --rm box busybox grep -E ' /proc(|/keys|/sys) ' /proc/self/mountinfo")
        .as_root()
        .prints("… / /proc rw,…\n… /sys /proc/sys ro,…\n… /null /proc/keys …")
        .in_the_same_shell()],
    claims: &[MASKED],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(MASKED, UNMASKED, DEFAULTS, |options| covered(&engine.idle(options)?))?.shows(
            outside("masked").that(|paths| is_in(paths, "/proc/keys"))
                & outside("read-only").that(|paths| is_in(paths, "/proc/sys")),
        )
    },
};

const NO_PROC: Claim = Claim::holds(
    "no-new-proc",
    "Where parts of /proc are masked, mount() of a /proc for a new PID namespace fails with EPERM.",
)
.factor("masked paths")
.notes(&[127])
.arms("no masks", "the default")
.core(&[Row::inside("mount a new /proc", MOUNT_A_PROC)])
.asks(
    "In a container, the owner of a new PID namespace cannot mount a /proc for it. Which option of docker run allows it?",
    &[
        right("--security-opt systempaths=unconfined"),
        wrong("--cap-add SYS_ADMIN", "mount() needs it, but the process has it in its own user namespace"),
        wrong("--pid host", "/proc shows PIDs, so it seems to depend on their namespace"),
        wrong("none: only root on the host can", "a user namespace seems to allow no mounts at all"),
    ],
);
const MAY_MOUNT_PROC: Claim = Claim::refuted(
    "any-new-proc",
    "A process with its own user and PID namespaces can mount a /proc for them.",
    "no-new-proc",
)
.factor("masked paths")
.notes(&[127])
.arms("no masks", "the default")
.core(&[Row::inside("\"can mount /proc\"", MOUNT_A_PROC)])
.asks(
    "In a container without a seccomp filter, a process creates user, PID and mount namespaces. Can it mount a /proc?",
    &[
        right("no: EPERM"),
        wrong("yes: it owns its PID namespace", "outside of a container it can"),
        wrong("yes, and it shows the host's processes", "a /proc seems to show all processes"),
        wrong("no: EBUSY, /proc is mounted already", "a second mount at one place seems to be refused"),
    ],
);

const MOUNT_A_PROC: &str = "mount -t proc proc /proc";

pub(crate) const MOUNT_PROC: Step = Step {
    title: "Create the namespaces that a new /proc needs, and mount it: without masks, then with them.",
    calls: &["unshare(CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS)", "mount(\"proc\", \"/proc\", \"proc\")"],
    by_hand: &[hand("free='--security-opt seccomp=unconfined --security-opt apparmor=unconfined'").as_root().prints("").in_the_same_shell(), hand("docker run --rm $free box busybox unshare -U -r -p -f -m busybox mount -t proc proc /proc").as_root().prints("mount: permission denied (are you root?)"), hand("more='--security-opt systempaths=unconfined'").as_root().prints(""), hand("docker run --rm $free $more box busybox unshare -U -r -p -f -m busybox mount -t proc proc /proc && echo OK").as_root().prints("OK"), ],
    claims: &[MAY_MOUNT_PROC, NO_PROC],
    run: |lab| {
        let engine = engine(lab)?;
        let mounts = lab.arms(UNMASKED, DEFAULTS, |options| mount_proc(&engine, options))?;
        let mount = || inside(MOUNT_A_PROC);
        lab.judge(MAY_MOUNT_PROC, mounts.clone()).shows(mount().from("EPERM").to("OK"))?;
        lab.judge(NO_PROC, mounts).shows(mount().is("EPERM"))
    },
};

const NO_NEW_PRIVS: Claim = Claim::holds(
    "no-new-privs",
    "no_new_privs is off in a container by default, and on with --security-opt no-new-privileges.",
)
.factor("--security-opt no-new-privileges")
.arms("the default", "no-new-privileges")
.notes(&[2]);

pub(crate) const ASK_FOR_NO_NEW_PRIVILEGES: Step = Step {
    title: "Start a container with --security-opt no-new-privileges.",
    calls: &["prctl(PR_SET_NO_NEW_PRIVS, 1)"],
    by_hand: &[hand(
        "docker run --rm --security-opt no-new-privileges box busybox grep NoNewPrivs /proc/self/status",
    )
    .as_root()
    .prints("NoNewPrivs: 1")
    .in_the_same_shell()],
    claims: &[NO_NEW_PRIVS],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(NO_NEW_PRIVS, DEFAULTS, &["--security-opt", "no-new-privileges"], |options| {
            let process = Process::look_at(engine.idle(options)?.pid)?;
            Ok(Fact::outside("no_new_privs", process.no_new_privs))
        })?
        .shows(outside("no_new_privs").is("yes"))
    },
};

const PRIVILEGED: Claim = Claim::holds(
    "privileged",
    "--privileged gives all capabilities older than Linux 5.8, no masks, and no seccomp filter.",
)
.factor("--privileged")
.arms("the default", "--privileged")
.notes(&[2])
.requires(&[Requirement::Probe(all_capabilities)]);

pub(crate) const DENY_NOTHING: Step = Step {
    title: "Start a container with --privileged.",
    calls: &["open(\"/proc/PID/status\")", "open(\"/proc/PID/mountinfo\")"],
    by_hand: &[hand("docker run --rm --privileged box busybox grep -E 'CapEff|Seccomp:' /proc/self/status")
        .as_root()
        .prints("CapEff: …ffffffff\nSeccomp: 0")
        .needs(&[Need::Capabilities])
        .in_the_same_shell()],
    claims: &[PRIVILEGED],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(PRIVILEGED, DEFAULTS, &["--privileged"], |options| denied(&engine.idle(options)?))?.shows(
            outside(LACKS).is("none") & outside("masked paths").is("none") & outside("seccomp").is("off"),
        )
    },
};

const UNFILTERED: &Options =
    &["--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"];
const UNMASKED: &Options = &["--security-opt", "systempaths=unconfined"];

fn create_a_user_namespace(engine: &Engine, options: &Options) -> Result<[Fact; 2]> {
    let ran = engine.run(options, "grep -o 'Seccomp:.*' /proc/self/status | cut -f 2; unshare -U true")?;
    Ok([
        Fact::inside("container", "unshare(CLONE_NEWUSER)", ran.outcome()),
        Fact::inside("container", "Seccomp in /proc/self/status", ran.stdout.trim()),
    ])
}

fn covered(container: &Container) -> Result<Vec<Fact>> {
    let seen = Process::look_at(container.pid)?;
    // The paths depend on the kernel and on the engine.
    let list = |mut paths: Vec<String>| {
        paths.sort();
        if paths.is_empty() { Value::from("none") } else { paths.join(" ").into() }
    };
    Ok(vec![Fact::outside("masked", list(seen.masked())), Fact::outside("read-only", list(seen.read_only()))])
}

/// The container has no seccomp filter, because the filter denies new namespaces.
fn mount_proc(engine: &Engine, options: &Options) -> Result<Fact> {
    let options = [UNFILTERED, options].concat();
    let ran = engine.run(&options, "unshare -U -r -p -f -m mount -t proc proc /proc")?;
    Ok(Fact::inside("container", MOUNT_A_PROC, ran.outcome()))
}

fn denied(container: &Container) -> Result<Vec<Fact>> {
    let seen = Process::look_at(container.pid)?;
    let lacks = known() & !seen.bounding;
    let number = |count: usize| if count == 0 { "none".to_string() } else { count.to_string() };
    Ok(vec![
        Fact::outside(LACKS, number((lacks & OLD).count_ones() as usize)),
        Fact::outside("newer ones it lacks", capabilities::named(lacks & !OLD)),
        Fact::outside("masked paths", number(seen.masked().len())),
        Fact::outside("seccomp", if seen.seccomp == 0 { "off" } else { "a filter" }),
    ])
}

const LACKS: &str = "capabilities it lacks";
/// The capabilities of before Linux 5.8, up to CAP_AUDIT_READ. An engine gives those that it knows, and Docker 20.10
/// knows no later ones.
const OLD: u64 = u64::MAX >> (63 - 37);

/// An engine that lacks a capability itself can give no container all of them.
fn all_capabilities() -> ns_core::Result<Option<Unmet>> {
    let lacks = known() & !ns_core::process::status(None)?.capbnd.unwrap_or_default();
    let names = capabilities::named(lacks);
    let names = names.split_once(": ").map_or(&*names, |(_, names)| names);
    Ok((lacks != 0).then(|| {
        Unmet::new(
            format!("{names}, which --privileged gives and no process here has"),
            "run where root has all capabilities: on the host, or in scripts/vm",
        )
    }))
}
