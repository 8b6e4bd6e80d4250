//! Which filesystems root inside can mount: those that show namespaces which its user namespace owns.

use std::path::Path;

use anyhow::{Context, Result};
use lesson::user::{as_user, in_z};
use lesson::{Claim, Compared, Effect, Picture, Requirement, Step, hand, inside};
use ns_core::mount::Restriction;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Named, Namespaces, Outcome, Value, mount, namespace, sandbox};

use crate::user::stay_root;

/// A filesystem, and the kind of namespace whose content it shows, if any.
const FILESYSTEMS: &[(&str, Option<Kind>)] = &[
    ("tmpfs", None),
    ("ramfs", None),
    (PROC_FS, Some(Kind::Pid)),
    ("sysfs", Some(Kind::Net)),
    ("mqueue", Some(Kind::Ipc)),
    ("cgroup2", Some(Kind::Cgroup)),
];
const PROC_FS: &str = "proc";
/// This filesystem always shows the devices of the machine.
const NEVER: &str = "devtmpfs";

const MOUNTABLE_PROC: &[Requirement] = &[Requirement::Probe(new_procfs)];

const PROC: Claim = Claim::holds(
    "proc",
    "Root inside can mount a procfs only in a PID namespace that its user namespace owns; else EPERM.",
)
.factor("CLONE_NEWPID")
.notes(&[127])
.requires(MOUNTABLE_PROC);

pub(crate) const MOUNT_PROC: Step = Step {
    title: "As root of A, a user namespace in Z, mount a procfs: in a PID namespace of Z, then in one of A.",
    calls: &[
        "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)",
        "fork()",
        "mount(\"proc\", \"/mnt\", \"proc\")",
    ],
    by_hand: &[
        hand("unshare -Ur --mount mount -t proc proc /mnt").prints("mount: /mnt: permission denied.\n…"),
        hand("unshare -Ur --mount --pid --fork mount -t proc proc /mnt; echo $?").prints("0"),
    ],
    claims: &[PROC],
    run: |lab| {
        lab.compare(PROC, false, true, |owns| mount_one(PROC_FS, owns, None))?
            .shows(inside(mounting(PROC_FS)).from("EPERM").to("OK"))
    },
};

const COVERED: Claim = Claim::holds(
    "covered",
    "If a mount of the parent covers a directory of /proc, a new procfs mount inside fails with EPERM.",
)
.factor("a covered part of /proc")
.notes(&[127])
.requires(MOUNTABLE_PROC);

const EMPTY: Claim = Claim::holds(
    "empty",
    "If the covered directory of /proc is a mount point that is always empty, a new procfs mount succeeds.",
)
.factor("a directory that is always empty")
.notes(&[127])
.requires(&[Requirement::Probe(new_procfs), Requirement::Probe(an_empty_mount_point)]);
const READ_ONLY: Claim = Claim::holds(
    "read-only",
    "If the parent remounts /proc read-only, a writable procfs mount inside fails with EPERM.",
)
.factor("a read-only /proc")
.notes(&[127])
.requires(MOUNTABLE_PROC);

pub(crate) const COVER_PROC: Step = Step {
    title: "As root of Z, mount over a directory of /proc, as container engines do, or remount /proc read-only. Then mount \
            a procfs as root of A.",
    calls: &[
        "mount(\"tmpfs\", \"/proc/tty\", \"tmpfs\")",
        "mount(\"/proc\", MS_REMOUNT|MS_BIND|MS_RDONLY)",
        "mount(\"proc\", \"/mnt\", \"proc\")",
    ],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs none /proc/tty; unshare -Ur --mount --pid --fork mount -t proc proc /mnt'").prints("mount: /mnt: permission denied.\n…"), hand("unshare -Urm sh -c 'mount -t tmpfs none /proc/sys/fs/binfmt_misc; unshare -Ur --mount --pid --fork mount -t proc proc /mnt; echo $?'").prints("0"), ],
    claims: &[COVERED, EMPTY, READ_ONLY],
    run: |lab| {
        let cover = |directory| mount_one(PROC_FS, true, directory);
        lab.compare(COVERED, None, Some(WITH_FILES), cover)?.shows(inside(mounting(PROC_FS)).is("EPERM"))?;
        lab.compare(EMPTY, Some(WITH_FILES), Some(ALWAYS_EMPTY), cover)?
            .shows(inside(mounting(PROC_FS)).from("EPERM").to("OK"))?;
        lab.compare(READ_ONLY, false, true, mount_beside)?.shows(inside(mounting(PROC_FS)).is("EPERM"))
    },
};

/// A directory of /proc with files.
const WITH_FILES: &str = "/proc/tty";
/// A directory that the kernel creates as a mount point, and that is always empty.
const ALWAYS_EMPTY: &str = "/proc/sys/fs/binfmt_misc";

const MOUNTABLE: Claim = Claim::holds(
    "mountable",
    "Root inside can mount proc, sysfs, mqueue and cgroup2 of namespaces that it owns; devtmpfs fails with EPERM.",
)
.factor("A as the owner of the namespace shown")
.more(&[77])
.requires(MOUNTABLE_PROC);

pub(crate) const MOUNT_OTHERS: Step = Step {
    title: "As root of A, mount other filesystems: where Z owns the namespace that each shows, then where A owns it.",
    calls: &["mount(\"sysfs\", \"/mnt\", \"sysfs\")", "…"],
    by_hand: &[hand("unshare -Ur --mount mount -t sysfs none /mnt 2>/dev/null; echo $?; unshare -Ur --mount --net mount -t sysfs none /mnt; echo $?").prints("32\n0"), hand("unshare -Ur --mount mount -t mqueue none /mnt 2>/dev/null; echo $?; unshare -Ur --mount --ipc mount -t mqueue none /mnt; echo $?").prints("32\n0"), hand("unshare -Ur --mount mount -t devtmpfs none /mnt").prints("mount: /mnt: permission denied.\n…"), ],
    claims: &[MOUNTABLE],
    run: |lab| {
        let mounted = lab.arms(false, true, mount_each)?;
        let names = filesystems()?
            .into_iter()
            .map(|(name, shows)| (name, shows.map_or("nothing".into(), |it| format!("the {it} namespace"))))
            .chain([(NEVER, "the machine".into())]);
        let rows = names.zip(mounted.control().iter().zip(mounted.treatment()));
        let rows = rows.map(|((name, shows), (left, owned))| {
            vec![Value::from(name), shows.into(), left.value.clone(), owned.value.clone()]
        });
        lab.picture(
            Picture::Heat(2),
            "Results of mount() by root of A",
            &["filesystem", "shows", "owned by Z", "owned by A"],
            rows.collect(),
        )?;
        // A filesystem that shows no namespace can be mounted in any case, and devtmpfs in none.
        let (shown, others): (Vec<_>, Vec<_>) =
            filesystems()?.into_iter().partition(|(_, shows)| shows.is_some());
        let in_both = others.iter().map(|(name, _)| can_mount(name)).chain([inside(mounting(NEVER)).is("EPERM")]);
        let shown = shown.iter().map(|(name, _)| can_mount(name)).reduce(|all, one| all & one);
        in_both.fold(lab.judge(MOUNTABLE, mounted), Compared::in_both_arms).shows(shown.context("no /proc")?)
    },
};

/// The name of the fact with the result of mounting a filesystem.
fn mounting(name: &str) -> String {
    format!("mount -t {name}")
}

/// Those of [`FILESYSTEMS`] that this kernel has.
fn filesystems() -> ns_core::Result<Vec<(&'static str, Option<Kind>)>> {
    let path = "/proc/filesystems";
    let text = std::fs::read_to_string(path).named(|| format!("read(\"{path}\")"))?;
    let here = |name: &str| text.lines().any(|line| line.split_whitespace().last() == Some(name));
    Ok(FILESYSTEMS.iter().copied().filter(|(name, _)| here(name)).collect())
}

fn can_mount(name: &str) -> Effect {
    inside(mounting(name)).from("EPERM").to("OK")
}

fn mount_each(owns_what_they_show: bool) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (name, _) in filesystems()?.into_iter().chain([(NEVER, None)]) {
        facts.extend(mount_one(name, owns_what_they_show, None)?);
    }
    Ok(facts)
}

/// Mounts a filesystem as root of A. A owns a mount namespace and, with `owns`, the namespace that the filesystem
/// shows. Before that, Z mounts a tmpfs over `covered`.
fn mount_one(name: &'static str, owns: bool, covered: Option<&'static str>) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        if let Some(directory) = covered {
            mount::mount("tmpfs", Path::new(directory))?;
        }
        let shows = FILESYSTEMS.iter().find(|(it, _)| *it == name).and_then(|(_, shows)| *shows);
        let shown = shows.filter(|_| owns).map_or(Namespaces::NONE, Namespaces::only);
        namespace::unshare(Namespaces::USER | Namespaces::MNT | shown)?;
        stay_root(Namespaces::USER)?;
        // Only children enter a new PID namespace.
        let mut child = Child::spawn("root of A", Namespaces::NONE, move |me| {
            me.report(mounting(name), Outcome::of(mount::mount(name, Path::new("/mnt")))?)
        })?;
        child.pass_on(me)
    })
}

/// Mounts a procfs as root of A, which owns its PID namespace. Z has made the old /proc read-only, or has not.
fn mount_beside(read_only: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        let mut a = Child::spawn("A", Namespaces::NONE, |me| {
            namespace::unshare(Namespaces::USER)?;
            // While /proc is still writable.
            stay_root(Namespaces::USER)?;
            me.report("A is", "mapped")?;
            me.checkpoint()?;
            namespace::unshare(Namespaces::MNT | Namespaces::PID)?;
            let mut child = Child::spawn("root of A", Namespaces::NONE, |me| {
                me.report(mounting(PROC_FS), Outcome::of(mount::mount(PROC_FS, Path::new("/mnt")))?)
            })?;
            child.pass_on(me)
        })?;
        a.fact()?;
        if read_only {
            // The mount has these three already, and a less privileged mount namespace cannot clear them.
            let kept = [Restriction::NoSuid, Restriction::NoDev, Restriction::NoExec];
            mount::restrict(Path::new("/proc"), &[&[Restriction::ReadOnly][..], &kept].concat())?;
        }
        a.wake()?;
        a.pass_on(me)
    })
}

/// The kernel creates the directory if it has binfmt_misc, which usually is a module.
pub(crate) fn an_empty_mount_point() -> ns_core::Result<Option<Unmet>> {
    let missing = !Path::new(ALWAYS_EMPTY).exists();
    Ok(missing.then(|| Unmet::new(ALWAYS_EMPTY, "sudo modprobe binfmt_misc, or use a kernel that has it")))
}

/// What prevents an ordinary user from mounting a procfs or sysfs, such as mounts over its parts. A child tries.
fn new_procfs() -> ns_core::Result<Option<Unmet>> {
    let mut user = as_user("probe", |me| {
        sandbox::enter(Namespaces::USER | Namespaces::MNT | Namespaces::PID | Namespaces::NET)?;
        let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
            for name in ["proc", "sysfs"] {
                me.report(name, Outcome::of(mount::mount(name, Path::new("/mnt")))?)?;
            }
            Ok(())
        })?;
        child.pass_on(me)
    })?;
    let refused = user.facts()?.into_iter().find(|fact| fact.value != "OK");
    Ok(refused.map(|fact| {
        let what = format!(
            "mounting a new {} fails with {}: mounts cover parts of the old one",
            fact.what, fact.value
        );
        Unmet::new(what, "run on the host or in a virtual machine")
    }))
}
