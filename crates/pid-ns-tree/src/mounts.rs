//! procfs: it shows the PID namespace that it was mounted for, to every reader.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Kernel, Need, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, Value, mount, namespace, pids};

use crate::trial::{in_a, pid_of, report_pids_and_stay, send_all_of};

const MOUNTABLE: &[Requirement] = &[Requirement::Probe(new_procfs)];

const LISTED: &str = "processes in /mnt";
const SELF: &str = "readlink /mnt/self";

const MOUNTER: Claim = Claim::holds(
    "mounter",
    "A procfs shows the PID namespace of its mounter; after unshare(CLONE_NEWPID), that is still the old one.",
)
.factor("a mounter in the new namespace")
.notes(&[101, 102])
.arms("the caller", "its child")
.core(&[Row::inside("procfs, mounted by", LISTED)])
.asks(
    "A process calls unshare(CLONE_NEWPID), and then mounts a procfs itself. Which processes does that procfs list?",
    &[
        right("those of the old namespace"),
        wrong("those of the new namespace", "`unshare --pid --fork --mount-proc` shows those, because its child mounts"),
        wrong("none, until a child is created", "the new namespace has no process yet"),
    ],
)
.requires(MOUNTABLE);

pub(crate) const MOUNT_AFTER_UNSHARE: Step = Step {
    title: "In A, call unshare(CLONE_NEWPID). Mount a procfs in the caller, or in its child, which is in B. Let the child list it.",
    calls: &["unshare(CLONE_NEWPID)", "mount(\"proc\", \"/mnt\", \"proc\")", "fork()", "readdir(\"/mnt\")"],
    by_hand: &[hand("unshare -Urpf --mount-proc sh -c 'sleep 2 & unshare --pid mount -t proc proc /mnt; echo /mnt/[0-9]*'").prints("/mnt/1 /mnt/2"), hand("unshare -Urpf --mount-proc sh -c 'sleep 2 & unshare --pid --fork sh -c \"mount -t proc proc /mnt; echo /mnt/[0-9]*\"'").prints("/mnt/1"), ],
    claims: &[MOUNTER],
    run: |lab| lab.compare(MOUNTER, false, true, mounted_by)?.shows(inside(LISTED).is(vec![Value::Pid(1)])),
};

const OTHERS: Claim = Claim::holds_since(
    "others",
    "A procfs mounted with pidns=FILE shows the PID namespace of that file, and the mounter stays outside.",
    Kernel(6, 18),
)
.factor("pidns=")
.notes(&[101])
.more(&[38])
.requires(MOUNTABLE);

pub(crate) const MOUNT_WITH_PIDNS: Step = Step {
    title: "From A, mount a procfs of B, a PID namespace in A, without entering B.",
    calls: &["mount(\"proc\", \"/mnt\", \"proc\", \"pidns=/proc/PID/ns/pid\")", "readdir(\"/mnt\")"],
    by_hand: &[hand("unshare -Urpf --mount-proc sh -c 'unshare -pf sleep 9 & sleep 1; mount -t proc -o pidns=/proc/$(pgrep -x sleep)/ns/pid proc /mnt; echo /mnt/[0-9]*'").prints("/mnt/1").needs(&[Need::Kernel(6, 17)]), ],
    claims: &[OTHERS],
    run: |lab| {
        // Before Linux 6.18 the option is unknown, and nothing is mounted.
        let known = inside("mount()").that(|answer| *answer == "OK" || *answer == "EINVAL");
        lab.compare(OTHERS, false, true, procfs_of_b)?
            .in_both_arms(known)
            .shows(inside(LISTED).is(vec![Value::Pid(1)]) & inside(SELF).is("ENOENT"))
    },
};

const SUBSET: Claim =
    Claim::holds("subset", "A procfs mounted with subset=pid lacks uptime, and the old /proc still has it.")
        .factor("subset=pid")
        .notes(&[102])
        .more(&[39])
        .requires(MOUNTABLE);

pub(crate) const MOUNT_WITH_SUBSET: Step = Step {
    title: "Mount a second procfs with subset=pid, and look for the file uptime in both.",
    calls: &["mount(\"proc\", \"/mnt\", \"proc\", \"subset=pid\")", "stat(\"/mnt/uptime\")"],
    by_hand: &[hand("unshare -Urpf --mount-proc sh -c 'mount -t proc -o subset=pid proc /mnt; echo /mnt/*; ls /proc/uptime /mnt/uptime'").prints("/mnt/1 /mnt/self /mnt/thread-self\nENOENT\n/proc/uptime"), ],
    claims: &[SUBSET],
    run: |lab| {
        lab.compare(SUBSET, "", "subset=pid", second_mount)?
            .in_both_arms(inside("stat(\"/proc/uptime\")").from("ENOENT").to("OK"))
            .shows(inside("stat(\"/mnt/uptime\")").is("ENOENT"))
    },
};

const MNT: &str = "/mnt";

/// Runs `body` in A, in a new mount namespace, so that each arm has its own /mnt.
fn in_a_with_mounts(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    in_a(|me| send_all_of(Child::spawn("process of A", Namespaces::MNT, body)?, me))
}

fn mounted_by(child_mounts: bool) -> Result<Vec<Fact>> {
    in_a_with_mounts(move |me| {
        namespace::unshare(Namespaces::PID)?;
        if !child_mounts {
            mount::mount("proc", Path::new(MNT))?;
        }
        let child = Child::spawn("process of B", Namespaces::NONE, move |me| {
            if child_mounts {
                mount::mount("proc", Path::new(MNT))?;
            }
            look(me)
        })?;
        send_all_of(child, me)
    })
}

fn procfs_of_b(with_option: bool) -> Result<Vec<Fact>> {
    in_a_with_mounts(move |me| {
        let mut member = Child::spawn("process of B", Namespaces::PID, report_pids_and_stay)?;
        let file = format!("/proc/{}/ns/pid", pid_of(&member.fact()?, 0)?);
        let options = if with_option { format!("pidns={file}") } else { String::new() };
        me.report("mount()", Outcome::of(mount::mount_with("proc", &options, Path::new(MNT)))?)?;
        look(me)
    })
}

fn second_mount(options: &'static str) -> Result<Vec<Fact>> {
    in_a_with_mounts(move |me| {
        mount::mount_with("proc", options, Path::new(MNT))?;
        for path in ["/mnt/self", "/mnt/uptime", "/proc/uptime"] {
            let call = format!("stat(\"{path}\")");
            let found = Outcome::of(std::fs::metadata(path).named(|| call.clone()))?;
            me.report(call, found)?;
        }
        Ok(())
    })
}

fn look(me: &mut Reporter) -> ns_core::Result<()> {
    let listed: Vec<_> = pids::listed(Path::new(MNT))?.into_iter().map(Value::Pid).collect();
    me.report(LISTED, listed)?;
    match std::fs::read_link("/mnt/self") {
        Ok(link) => {
            let pid = link.to_string_lossy().parse();
            me.report(SELF, pid.map_or("no PID".into(), Value::Pid))
        }
        refused => me.report(SELF, Outcome::of(refused.named(|| SELF.into()))?),
    }
}

/// What prevents this process from mounting a procfs, such as a container's mounts over parts of /proc. A child tries.
pub(crate) fn new_procfs() -> ns_core::Result<Option<Unmet>> {
    let mut probe = Child::spawn("probe", Namespaces::PID | Namespaces::MNT, |me| {
        me.report("mount", Outcome::of(mount::mount("proc", Path::new(MNT)))?)
    })?;
    let answer = probe.fact()?.value;
    Ok((answer != "OK").then(|| {
        let what = format!("a new procfs at {MNT}: mount() returns {answer}");
        Unmet::new(what, "run on the host or in a virtual machine, where no mount covers a part of /proc")
    }))
}
