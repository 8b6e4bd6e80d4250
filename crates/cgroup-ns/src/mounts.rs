//! What is to be seen of the tree itself: the mount of cgroupfs that was there before, and one that is made inside.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::cgroup::{Layout, Want};
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Spawn, Value, Witness, mount, namespace};

use crate::paths::{Family, born_in, shown};
use crate::{A_PLACE, ROOT, find};

/// The user that root hands a cgroup to. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// A directory that every machine has, to mount on: each does so in a mount namespace of its own.
const ANYWHERE: &str = "/tmp";

pub(crate) const OLD_MOUNT: Claim = Claim::holds(
    "old-mount",
    "In mountinfo the root of a mount from before is /.. now, once for each level above the namespace's root.",
)
.cause("CLONE_NEWCGROUP")
.notes(&[24])
.needs(&[A_PLACE]);
pub(crate) const NEW_MOUNT: Claim = Claim::holds(
    "new-mount",
    "A mount of cgroup2 that is made inside has the namespace's root as its own: mountinfo says / again.",
)
.cause("a mount made inside")
.notes(&[21, 24])
.needs(&[A_PLACE]);
pub(crate) const SHOWS_ALL: Claim = Claim::holds(
    "shows-all",
    "The mount from before still lists the whole tree; one that is made inside covers what is outside.",
)
.cause("a mount made inside")
.notes(&[26])
.needs(&[A_PLACE]);
pub(crate) const MOUNTABLE: Claim = Claim::holds(
    "mountable",
    "A user namespace may mount cgroup2 once it has a cgroup namespace too; without one it is EPERM.",
)
.cause("CLONE_NEWCGROUP")
.more(&[119])
.needs(&[A_MOUNT_POINT, Need::Namespace(ns_core::Kind::User)]);
pub(crate) const DELEGATED: Claim = Claim::holds(
    "delegated",
    "To mount it is not to own it: mkdir there is EACCES, unless the cgroup was handed over by chown.",
)
.cause("chown")
.more(&[119])
.needs(&[A_PLACE, ROOT, Need::Namespace(ns_core::Kind::User)]);

/// Version 2, though we may make nothing there.
const A_MOUNT_POINT: Need = Need::Probe(|| {
    Ok(match Layout::detect()?.v2() {
        Some(_) => None,
        None => crate::missing(Want::AnyV2)?,
    })
});

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[OLD_MOUNT, NEW_MOUNT, SHOWS_ALL])? {
        old_and_new(lab)?;
    }
    lab.step(Step {
        goal: "Mount cgroup2 in a user namespace, with no cgroup namespace and with one. Then make a cgroup there.",
        calls: &["unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWCGROUP)", "mount(\"cgroup2\")", "mkdir(\"…/inner\")"],
        by_hand: &[
            "unshare --user --map-root-user --mount mount -t cgroup2 cgroup2 /mnt",
            "unshare --user --map-root-user --mount --cgroup sh -c 'mount -t cgroup2 cgroup2 /mnt; mkdir /mnt/x'  # as an ordinary user",
        ],
    })?;
    if lab.can_ask(&[MOUNTABLE])? {
        let mountable = |namespaces: Namespaces| -> Result<Fact> {
            let around = Namespaces::USER | Namespaces::MNT;
            let body = |me: &mut Witness| {
                me.saw("mount -t cgroup2", Outcome::of(mount::mount("cgroup2", Path::new(ANYWHERE)))?)
            };
            let child = Spawn::new("mounter").namespaces_always(around).namespaces(namespaces).run(body);
            Ok(child?.hear()?)
        };
        lab.claim(MOUNTABLE)
            .without(mountable(Namespaces::NONE)?)
            .with(mountable(Namespaces::CGROUP)?)
            .shows(|answer| *answer == "OK")?;
    }
    if lab.can_ask(&[DELEGATED])? {
        lab.claim(DELEGATED)
            .without(make_inside(false)?)
            .with(make_inside(cause(true, false))?)
            .shows(|it| it.inside("mkdir …/inner").is_some_and(|answer| *answer == "OK"))?;
    }
    Ok(())
}

fn old_and_new(lab: &mut Lab) -> Result<()> {
    let family = Family::new(&find(Want::AnyV2)?)?;
    let point = mount_point()?;
    lab.step(Step {
        goal: "Look at the mount of cgroupfs from inside, and at another that is made there.",
        calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/mountinfo\")", "mount(\"cgroup2\")"],
        by_hand: &[
            "grep cgroup2 /proc/self/mountinfo | cut -d' ' -f 4,5",
            "unshare --cgroup --mount sh -c 'grep cgroup2 /proc/self/mountinfo | cut -d\" \" -f 4,5; ls -d $1/sibling' sh $new",
            "unshare --cgroup --mount sh -c 'mount -t cgroup2 cgroup2 /mnt; tail -n 1 /proc/self/mountinfo | cut -d\" \" -f 4,5; cat /mnt/cgroup.procs'",
        ],
    })?;
    let (home, sibling) = (inode(family.home.path())?, family.sibling.path().to_path_buf());
    let look = |namespaces: Namespaces, mounts: bool| -> Result<Vec<Fact>> {
        let (point, sibling) = (point.clone(), sibling.clone());
        let mut viewer = born_in(&family.home, "viewer", namespaces, move |me| {
            if mounts {
                // EPERM without the cgroup namespace, for whoever is in a user namespace.
                let mounted = Outcome::of(mount::mount("cgroup2", Path::new(ANYWHERE)))?;
                me.saw("mount -t cgroup2", mounted)?;
                if mounted == Outcome::Done {
                    // At once it would be EBUSY: no file system is mounted twice at one point. But it can be bound there.
                    mount::bind(Path::new(ANYWHERE), &point)?;
                }
            }
            let seen = mount::at(None, &point)?.map(|mount| mount.root).unwrap_or_default();
            me.saw("root of the mount, in mountinfo", shown_root(&seen))?;
            me.saw("its first directory is our cgroup", inode(&point)? == home)?;
            me.saw("ls …-top/sibling", Outcome::of(std::fs::read_dir(&sibling).named(|| "ls".into()))?)
        })?;
        Ok(viewer.hear_all()?)
    };
    let plain = look(Namespaces::NONE, false)?;
    let old = look(Namespaces::CGROUP, false)?;
    let new = look(Namespaces::CGROUP, cause(true, false))?;
    let root = |it: &lesson::Observation, test: fn(&str) -> bool| {
        it.inside("root of the mount, in mountinfo").and_then(Value::as_str).is_some_and(test)
    };
    lab.claim(OLD_MOUNT)
        .without(plain)
        .with(old.clone())
        .shows(|it| root(it, |root| root.starts_with("/..")))?;
    lab.claim(NEW_MOUNT).without(old.clone()).with(new.clone()).shows(|it| {
        root(it, |root| root == "/")
            && it.inside("its first directory is our cgroup").is_some_and(|it| *it == "yes")
    })?;
    lab.claim(SHOWS_ALL)
        .without(old)
        .with(new)
        .shows(|it| it.inside("ls …-top/sibling").is_some_and(|answer| *answer == "ENOENT"))?;
    Ok(())
}

/// An ordinary user in a cgroup that is handed over to it, or not, makes one below.
fn make_inside(handed_over: bool) -> Result<Vec<Fact>> {
    let family = Family::new(&find(Want::AnyV2)?)?;
    if handed_over {
        chown(family.home.path(), Some(ORDINARY), Some(ORDINARY)).context("chown")?;
    }
    let mut child = Child::spawn("ordinary user", Namespaces::NONE, move |me| {
        me.pause()?;
        ns_core::process::become_user(ORDINARY)?;
        namespace::unshare(Namespaces::USER | Namespaces::MNT | Namespaces::CGROUP)?;
        let point = Path::new(ANYWHERE);
        let mounted = Outcome::of(mount::mount("cgroup2", point))?;
        me.saw("mount -t cgroup2", mounted)?;
        // Where nothing was mounted, the path would be one of the host.
        let made = match mounted {
            Outcome::Done => {
                Outcome::of(std::fs::create_dir(point.join("inner")).named(|| "mkdir(…/inner)".into()))?
            }
            refused => refused,
        };
        me.saw("mkdir …/inner", made)
    })?;
    family.home.write("cgroup.procs", &child.pid().to_string())?;
    child.release()?;
    Ok(child.hear_all()?)
}

fn mount_point() -> Result<PathBuf> {
    Ok(Layout::detect()?.v2_mount().context("cgroup2 in /proc/self/mountinfo")?.into())
}

fn inode(directory: &Path) -> ns_core::Result<u64> {
    let found = std::fs::metadata(directory).named(|| format!("stat(\"{}\")", directory.display()))?;
    Ok(found.ino())
}

/// A root as mountinfo has it. How many steps it is above depends on where the experiment was started.
fn shown_root(root: &str) -> Value {
    if root.trim_start_matches("/..").is_empty() { Value::Text(root.into()) } else { shown(root) }
}
