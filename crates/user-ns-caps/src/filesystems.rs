//! Which filesystems root inside may mount: those that show what its own namespaces hold.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Picture, Step, cause};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Kind, Named, Namespaces, Outcome, Value, mount, namespace};

use crate::person::{in_z, stay_root, tell_all_of};

const MOUNTABLE_PROC: &[Need] = &[Need::Probe(new_procfs)];

pub(crate) const PROC: Claim = Claim::holds(
    "proc",
    "Root inside may mount a procfs if its user namespace owns its PID namespace, else EPERM.",
)
.cause("CLONE_NEWPID")
.notes(&[127])
.needs(MOUNTABLE_PROC);
pub(crate) const COVERED: Claim = Claim::holds(
    "covered",
    "Root inside may mount no procfs while the old one is partly covered by what it may not unmount: EPERM.",
)
.cause("a covered part of /proc")
.notes(&[127])
.needs(MOUNTABLE_PROC);
pub(crate) const MOUNTABLE: Claim = Claim::holds(
    "mountable",
    "Root inside may mount proc, sysfs, mqueue and cgroup2 where it owns the namespace that they show, and never devtmpfs.",
)
.cause("owning what they show")
.more(&[77])
.needs(MOUNTABLE_PROC);

/// A filesystem, and the kind of namespace that it shows, if any.
const FILESYSTEMS: &[(&str, Option<Kind>)] = &[
    ("tmpfs", None),
    ("ramfs", None),
    ("proc", Some(Kind::Pid)),
    ("sysfs", Some(Kind::Net)),
    ("mqueue", Some(Kind::Ipc)),
    ("cgroup2", Some(Kind::Cgroup)),
];
/// Those of them that this kernel has.
fn filesystems() -> ns_core::Result<Vec<(&'static str, Option<Kind>)>> {
    let path = "/proc/filesystems";
    let text = std::fs::read_to_string(path).named(|| format!("read(\"{path}\")"))?;
    let here = |name: &str| text.lines().any(|line| line.split_whitespace().last() == Some(name));
    Ok(FILESYSTEMS.iter().copied().filter(|(name, _)| here(name)).collect())
}

/// What shows the machine itself, whoever mounts it.
const NEVER: &str = "devtmpfs";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[PROC, COVERED, MOUNTABLE])? {
        lab.step(Step {
            goal: "As root of A, a user namespace in Z, mount a procfs: in Z's PID namespace, and in one of A's.",
            calls: &[
                "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)",
                "fork()",
                "mount(\"proc\", \"/mnt\", \"proc\")",
            ],
            by_hand: &[
                "unshare -Ur --mount mount -t proc proc /mnt",
                "unshare -Ur --mount --pid --fork mount -t proc proc /mnt; echo $?",
            ],
        })?;
        let own = mount_one("proc", true, false)?;
        lab.claim(PROC)
            .without(mount_one("proc", false, false)?)
            .with(own.clone())
            .shows(|answer| *answer == "OK")?;

        lab.step(Step {
            goal: "Cover a directory of /proc first, from Z, as container engines do; then try again from A.",
            calls: &["mount(\"tmpfs\", \"/proc/tty\", \"tmpfs\")", "mount(\"proc\", \"/mnt\", \"proc\")"],
            by_hand: &[
                "unshare -Urm sh -c 'mount -t tmpfs none /proc/tty; unshare -Ur --mount --pid --fork mount -t proc proc /mnt'",
            ],
        })?;
        lab.claim(COVERED)
            .without(own)
            .with(mount_one("proc", true, cause(true, false))?)
            .shows(|answer| *answer == "EPERM")?;

        lab.step(Step {
            goal: "As A's root, mount other filesystems: where Z owns the namespace that each shows, and where A owns it.",
            calls: &["mount(\"sysfs\", \"/mnt\", \"sysfs\")", "…"],
            by_hand: &[
                "unshare -Ur --mount mount -t sysfs none /mnt; unshare -Ur --mount --net mount -t sysfs none /mnt; echo $?",
                "unshare -Ur --mount mount -t mqueue none /mnt; unshare -Ur --mount --ipc mount -t mqueue none /mnt; echo $?",
                "unshare -Ur --mount mount -t devtmpfs none /mnt",
            ],
        })?;
        let (left, owned) = (mount_each(false)?, mount_each(cause(true, false))?);
        let names = filesystems()?
            .into_iter()
            .map(|(name, shows)| (name, shows.map_or("nothing".into(), |it| format!("the {it} namespace"))));
        let names = names.chain([(NEVER, "the machine".into())]);
        let rows = names.zip(left.iter().zip(&owned)).map(|((name, shows), (left, owned))| {
            vec![Value::from(name), shows.into(), left.value.clone(), owned.value.clone()]
        });
        lab.picture(
            Picture::Heat(2),
            "What mount() gives to A's root",
            &["filesystem", "shows", "Z owns that", "A owns that"],
            rows.collect(),
        )?;
        lab.claim(MOUNTABLE).without(left).with(owned).shows(|seen| {
            seen.facts().iter().all(|fact| {
                let said = if fact.what.ends_with(NEVER) { "EPERM" } else { "OK" };
                fact.value == said
            })
        })?;
    }
    Ok(())
}

fn mount_each(owns_what_they_show: bool) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (name, _) in filesystems()?.into_iter().chain([(NEVER, None)]) {
        facts.extend(mount_one(name, owns_what_they_show, false)?);
    }
    Ok(facts)
}

/// From A, which owns a mount namespace, and either all others too or, of the others, none.
fn mount_one(name: &'static str, owns_all: bool, covers: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        if covers {
            mount::mount("tmpfs", Path::new("/proc/tty"))?;
        }
        let shows = FILESYSTEMS.iter().find(|(it, _)| *it == name).and_then(|(_, shows)| *shows);
        let shown = shows.filter(|_| owns_all).map_or(Namespaces::NONE, Kind::only);
        namespace::unshare(Namespaces::USER | Namespaces::MNT | shown)?;
        stay_root(Namespaces::USER)?;
        // A PID namespace takes in children only.
        let child = Child::spawn("A's root", Namespaces::NONE, move |me| {
            me.saw(format!("mount -t {name}"), Outcome::of(mount::mount(name, Path::new("/mnt")))?)
        })?;
        tell_all_of(child, me)
    })
}

/// What keeps an ordinary user from mounting a new procfs or sysfs, as a container's masks do: a child tries.
fn new_procfs() -> ns_core::Result<Option<Missing>> {
    use ns_core::stage;
    let mut user = crate::person::as_user("probe", |me| {
        stage::enter(Namespaces::USER | Namespaces::MNT | Namespaces::PID | Namespaces::NET)?;
        let child = Child::spawn("probe", Namespaces::NONE, |me| {
            for name in ["proc", "sysfs"] {
                me.saw(name, Outcome::of(mount::mount(name, Path::new("/mnt")))?)?;
            }
            Ok(())
        })?;
        tell_all_of(child, me)
    })?;
    let refused = user.hear_all()?.into_iter().find(|fact| fact.value != "OK");
    Ok(refused.map(|fact| {
        let what =
            format!("mounting a new {} gives {}: parts of the old one are covered", fact.what, fact.value);
        Missing::new(what, "run on the host or in a virtual machine")
    }))
}
