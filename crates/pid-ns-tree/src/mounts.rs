//! procfs: a window that is built in where it is mounted, whoever looks through it.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Kernel, Lab, Need, Step, cause};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Spawn, Value, Witness, mount, namespace, pids};

use crate::trial::{in_a, number, tell_all_of, tell_numbers_and_stay};

const MOUNTABLE: &[Need] = &[Need::Probe(new_procfs)];

pub(crate) const MOUNTER: Claim = Claim::holds(
    "mounter",
    "A procfs shows the PID namespace that its mounter is in: after unshare(CLONE_NEWPID) that is still the old one.",
)
.cause("a mounter inside")
.notes(&[101, 102])
.needs(MOUNTABLE);
pub(crate) const OTHERS: Claim = Claim::holds_since(
    "others",
    "mount -t proc -o pidns=FILE shows the PID namespace of that file, and the mounter stays outside it.",
    Kernel(6, 18),
)
.cause("pidns=")
.notes(&[101])
.more(&[38])
.needs(MOUNTABLE);
pub(crate) const SUBSET: Claim = Claim::holds(
    "subset",
    "Each mount of procfs has options of its own: with subset=pid one lists processes alone, and /proc stays whole.",
)
.cause("subset=pid")
.notes(&[102])
.more(&[39])
.needs(MOUNTABLE);

const LISTED: &str = "processes in /mnt";
const SELF: &str = "readlink /mnt/self";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[MOUNTER, OTHERS, SUBSET])? {
        lab.step(Step {
            goal: "In A, after unshare(CLONE_NEWPID), mount a procfs: by the caller, then by its child. The child, first in B, looks.",
            calls: &["unshare(CLONE_NEWPID)", "mount(\"proc\", \"/mnt\", \"proc\")", "fork()", "readdir(\"/mnt\")"],
            by_hand: &[
                "unshare -Urpf --mount-proc sh -c 'sleep 2 & unshare --pid mount -t proc proc /mnt; echo /mnt/[0-9]*'",
                "unshare -Urpf --mount-proc sh -c 'sleep 2 & unshare --pid --fork sh -c \"mount -t proc proc /mnt; echo /mnt/[0-9]*\"'",
            ],
        })?;
        lab.claim(MOUNTER)
            .without(mounted_by(false)?)
            .with(mounted_by(cause(true, false))?)
            .shows(|seen| seen.inside(LISTED).is_some_and(|it| *it == Value::from(vec![Value::Pid(1)])))?;

        lab.step(Step {
            goal: "From A, mount a procfs of B, a PID namespace in A, without going there.",
            calls: &["mount(\"proc\", \"/mnt\", \"proc\", \"pidns=/proc/PID/ns/pid\")", "readdir(\"/mnt\")"],
            by_hand: &[
                "unshare -Urpf --mount-proc sh -c 'unshare -pf sleep 9 & sleep 1; mount -t proc -o pidns=/proc/$(pgrep -x sleep)/ns/pid proc /mnt; ls /mnt; readlink /mnt/self; echo $?'",
            ],
        })?;
        lab.claim(OTHERS).without(procfs_of_b(false)?).with(procfs_of_b(cause(true, false))?).shows(
            |seen| {
                seen.inside(LISTED).is_some_and(|it| *it == Value::from(vec![Value::Pid(1)]))
                    && seen.inside(SELF).is_some_and(|it| *it == "ENOENT")
            },
        )?;

        lab.step(Step {
            goal: "Mount a second procfs with an option, and look for a file of it in both.",
            calls: &["mount(\"proc\", \"/mnt\", \"proc\", \"subset=pid\")", "stat(\"/mnt/uptime\")"],
            by_hand: &[
                "unshare -Urpf --mount-proc sh -c 'mount -t proc -o subset=pid proc /mnt; ls -d /mnt/* /proc/uptime'",
            ],
        })?;
        lab.claim(SUBSET).without(second_mount("")?).with(second_mount(cause("subset=pid", ""))?).shows(
            |seen| {
                seen.inside("stat(\"/mnt/uptime\")").is_some_and(|it| *it == "ENOENT")
                    && seen.inside("stat(\"/proc/uptime\")").is_some_and(|it| *it == "OK")
            },
        )?;
    }
    Ok(())
}

const MNT: &str = "/mnt";

/// A mount namespace around each trial, so that /mnt is another one each time.
fn in_a_with_mounts(body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    in_a(|me| tell_all_of(Spawn::new("A's second").namespaces_always(Namespaces::MNT).run(body)?, me))
}

fn mounted_by(child_mounts: bool) -> Result<Vec<Fact>> {
    in_a_with_mounts(move |me| {
        namespace::unshare(Namespaces::PID)?;
        if !child_mounts {
            mount::mount("proc", Path::new(MNT))?;
        }
        let child = Child::spawn("B's first", Namespaces::NONE, move |me| {
            if child_mounts {
                mount::mount("proc", Path::new(MNT))?;
            }
            look(me)
        })?;
        tell_all_of(child, me)
    })
}

fn procfs_of_b(with_option: bool) -> Result<Vec<Fact>> {
    in_a_with_mounts(move |me| {
        let mut member = Child::spawn("B's first", Namespaces::PID, tell_numbers_and_stay)?;
        let file = format!("/proc/{}/ns/pid", number(&member.hear()?, 0)?);
        let options = if with_option { format!("pidns={file}") } else { String::new() };
        me.saw("mount()", Outcome::of(mount::mount_with("proc", &options, Path::new(MNT)))?)?;
        look(me)
    })
}

fn second_mount(options: &'static str) -> Result<Vec<Fact>> {
    in_a_with_mounts(move |me| {
        mount::mount_with("proc", options, Path::new(MNT))?;
        for path in ["/mnt/self", "/mnt/uptime", "/proc/uptime"] {
            let call = format!("stat(\"{path}\")");
            let found = Outcome::of(std::fs::metadata(path).named(|| call.clone()))?;
            me.saw(call, found)?;
        }
        Ok(())
    })
}

fn look(me: &mut Witness) -> ns_core::Result<()> {
    let listed: Vec<_> = pids::listed(Path::new(MNT))?.into_iter().map(Value::Pid).collect();
    me.saw(LISTED, listed)?;
    match std::fs::read_link("/mnt/self") {
        Ok(link) => {
            let pid = link.to_string_lossy().parse();
            me.saw(SELF, pid.map_or("no number".into(), Value::Pid))
        }
        refused => me.saw(SELF, Outcome::of(refused.named(|| SELF.into()))?),
    }
}

/// What keeps us from mounting a new procfs, as a container's masks over /proc do: a child tries.
pub(crate) fn new_procfs() -> ns_core::Result<Option<Missing>> {
    let around = Namespaces::PID | Namespaces::MNT;
    let mut probe = Spawn::new("probe")
        .namespaces_always(around)
        .run(|me| me.saw("mount", Outcome::of(mount::mount("proc", Path::new(MNT)))?))?;
    let answer = probe.hear()?.value;
    Ok((answer != "OK").then(|| {
        let what = format!("mounting a new procfs at {MNT} gives {answer}");
        Missing::new(what, "run on the host or in a virtual machine, where no part of /proc is covered")
    }))
}
