//! What is to be seen of the tree itself: the mount of cgroupfs that was there before, and one that is made inside.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::cgroup::{CgroupParent, CgroupRequest, Layout};
use ns_core::{Child, Fact, Kind, Named, Namespaces, Outcome, Value, mount, namespace, process};

use crate::cgroups::{Tree, into_cgroup, shown};
use crate::requirements::{A_PARENT, ROOT};

/// The user that root hands a cgroup to. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// A directory that every machine has, to mount on: each does so in a mount namespace of its own.
const ANYWHERE: &str = "/tmp";

/// Version 2, though we may make nothing there.
const A_MOUNT_POINT: Requirement = Requirement::Probe(|| {
    Ok(match Layout::detect()?.v2() {
        Some(_) => None,
        None => CgroupParent::find(CgroupRequest::AnyV2)?.err(),
    })
});

const OLD_MOUNT: Claim = Claim::holds(
    "old-mount",
    "In mountinfo the root of a mount from before begins with /.. now: it lies above the namespace's root.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[24])
.requires(&[A_PARENT]);
const NEW_MOUNT: Claim = Claim::holds(
    "new-mount",
    "A mount of cgroup2 that is made inside has the namespace's root as its own: mountinfo says / again.",
)
.factor("a mount made inside")
.notes(&[21, 24])
.requires(&[A_PARENT]);
const SHOWS_ALL: Claim = Claim::holds(
    "shows-all",
    "The mount from before still lists a cgroup outside; over it, a mount that is made inside does not: ENOENT.",
)
.factor("a mount made inside")
.notes(&[26])
.requires(&[A_PARENT])
.arms("old mount", "mount inside")
.core(&[Row::inside("ls ../sibling", "ls …-top/sibling")])
.asks(
    "A process in a new cgroup namespace has the mount of cgroupfs from before. What does ls show of the cgroup beside?",
    &[
        right("its files, until cgroup2 is mounted anew on top"),
        wrong("ENOENT: it is above the root", "chroot() hides in that way what is not below the root"),
        wrong("EACCES", "what is isolated is thought to be there, and forbidden"),
    ],
);

pub(crate) const LOOK_FROM_INSIDE: Step = Step {
    title: "Look at the mount of cgroupfs from inside, and at another that is made there.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/mountinfo\")", "mount(\"cgroup2\")"],
    by_hand: &[hand("grep cgroup2 /proc/self/mountinfo | cut -d' ' -f 4,5").as_root().prints("/ <v>").in_the_same_shell(), hand("unshare --cgroup --mount sh -c 'grep cgroup2 /proc/self/mountinfo | cut -d\" \" -f 4,5; ls -d $1/sibling' sh $new").as_root().prints("/../… <v>\n…/new/sibling"), hand("unshare --cgroup --mount sh -c 'mount -t cgroup2 cgroup2 /mnt; tail -n 1 /proc/self/mountinfo | cut -d\" \" -f 4,5; ls -d /mnt/sibling'").as_root().prints("/ /mnt\nENOENT"), ],
    claims: &[OLD_MOUNT, NEW_MOUNT, SHOWS_ALL],
    run: |lab| {
        let root = || inside("root of the mount, in mountinfo");
        lab.compare(OLD_MOUNT, Namespaces::NONE, Namespaces::CGROUP, |namespaces| look(namespaces, false))?
            .shows(root().that(|root| root.as_str().is_some_and(|root| root.starts_with("/.."))))?;
        let mounts = lab.arms(false, true, |mounts| look(Namespaces::CGROUP, mounts))?;
        lab.judge(NEW_MOUNT, mounts.clone())
            .shows(root().is("/") & inside("its first directory is our cgroup").is("yes"))?;
        lab.judge(SHOWS_ALL, mounts).shows(inside("ls …-top/sibling").is("ENOENT"))
    },
};

const MOUNTABLE: Claim = Claim::holds(
    "mountable",
    "A user namespace may mount cgroup2 once it has a cgroup namespace too; without one it is EPERM.",
)
.factor("CLONE_NEWCGROUP")
.more(&[119])
.requires(&[A_MOUNT_POINT, Requirement::Namespace(Kind::User)]);
const DELEGATED: Claim = Claim::holds(
    "delegated",
    "To mount it is not to own it: mkdir there is EACCES, unless the cgroup was handed over by chown.",
)
.factor("chown")
.more(&[119])
.requires(&[A_PARENT, ROOT, Requirement::Namespace(Kind::User)]);

pub(crate) const MOUNT_IN_A_USER_NAMESPACE: Step = Step {
    title: "Mount cgroup2 in a user namespace, with no cgroup namespace and with one. Then make a cgroup there.",
    calls: &[
        "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWCGROUP)",
        "mount(\"cgroup2\")",
        "mkdir(\"…/inner\")",
    ],
    by_hand: &[
        hand("unshare --user --map-root-user --mount mount -t cgroup2 cgroup2 /mnt")
            .as_root()
            .prints("mount: /mnt: permission denied.\n…")
            .in_the_same_shell(),
        hand("unshare --user --map-root-user --mount --cgroup mount -t cgroup2 cgroup2 /mnt && echo OK")
            .as_root()
            .prints("OK"),
    ],
    claims: &[MOUNTABLE, DELEGATED],
    run: |lab| {
        let around = Namespaces::USER | Namespaces::MNT;
        lab.compare(MOUNTABLE, around, around | Namespaces::CGROUP, mount_cgroup2)?
            .shows(inside("mount -t cgroup2").from("EPERM").to("OK"))?;
        lab.compare(DELEGATED, false, true, make_below)?
            .shows(inside("mkdir …/inner").from("EACCES").to("OK"))
    },
};

/// A member of a new cgroup, in new `namespaces`, looks at cgroupfs where it is mounted; before that it `mounts` another
/// there, or does not.
fn look(namespaces: Namespaces, mounts: bool) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let point: PathBuf = Layout::detect()?.v2_mount().context("cgroup2 in /proc/self/mountinfo")?.into();
    let home = inode(tree.home.path())?;
    let mut viewer = into_cgroup(&tree.home, "viewer", namespaces, |me| {
        if mounts {
            mount::mount("cgroup2", Path::new(ANYWHERE))?;
            me.report("mount -t cgroup2", Outcome::Done)?;
            // At once it would be EBUSY: no file system is mounted twice at one point. But it can be bound there.
            mount::bind(Path::new(ANYWHERE), &point)?;
        }
        let root = mount::at(None, &point)?.map(|mount| mount.root).unwrap_or_default();
        let listed = std::fs::read_dir(tree.sibling.path()).named(|| "ls …-top/sibling".into());
        me.report("root of the mount, in mountinfo", shown_root(&root))?;
        me.report("its first directory is our cgroup", inode(&point)? == home)?;
        me.report("ls …-top/sibling", Outcome::of(listed)?)
    })?;
    Ok(viewer.facts()?)
}

fn mount_cgroup2(namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("mounter", namespaces, |me| {
        me.report("mount -t cgroup2", Outcome::of(mount::mount("cgroup2", Path::new(ANYWHERE)))?)
    })?;
    Ok(child.fact()?)
}

/// An ordinary user in a cgroup that is handed over to it, or not, makes one below.
fn make_below(handed_over: bool) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    if handed_over {
        chown(tree.home.path(), Some(ORDINARY), Some(ORDINARY)).named(|| "chown(…-top/home)".into())?;
    }
    let mut child = into_cgroup(&tree.home, "ordinary user", Namespaces::NONE, |me| {
        process::become_user(ORDINARY)?;
        namespace::unshare(Namespaces::USER | Namespaces::MNT | Namespaces::CGROUP)?;
        let point = Path::new(ANYWHERE);
        mount::mount("cgroup2", point)?;
        me.report("mount -t cgroup2", Outcome::Done)?;
        let made = std::fs::create_dir(point.join("inner")).named(|| "mkdir …/inner".into());
        me.report("mkdir …/inner", Outcome::of(made)?)
    })?;
    Ok(child.facts()?)
}

fn inode(directory: &Path) -> ns_core::Result<u64> {
    let found = std::fs::metadata(directory).named(|| format!("stat(\"{}\")", directory.display()))?;
    Ok(found.ino())
}

/// A root as mountinfo has it. How many steps it is above depends on where the experiment was started.
fn shown_root(root: &str) -> Value {
    if root.trim_start_matches("/..").is_empty() { Value::Text(root.into()) } else { shown(root) }
}
