//! What a mount of cgroupfs shows: an older mount, and one that is created inside the namespace.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::cgroup::{CgroupParent, CgroupRequest, Layout};
use ns_core::{Child, Fact, Kind, Named, Namespaces, Outcome, Value, mount, namespace, process};

use crate::cgroups::{Tree, into_cgroup, shown};
use crate::requirements::{A_PARENT, ROOT};

/// The user to whom root delegates a cgroup. It needs no entry in /etc/passwd.
const ORDINARY: u32 = 1000;

/// A mount point that every machine has. Each mount is in a mount namespace of its own.
const ANYWHERE: &str = "/tmp";

/// A mount of version 2, even if no cgroup can be created there.
const A_MOUNT_POINT: Requirement = Requirement::Probe(|| {
    Ok(match Layout::detect()?.v2() {
        Some(_) => None,
        None => CgroupParent::find(CgroupRequest::AnyV2)?.err(),
    })
});

const OLD_MOUNT: Claim = Claim::holds(
    "old-mount",
    "In a new cgroup namespace, the root of an older cgroup2 mount begins with /.. in mountinfo.",
)
.factor("CLONE_NEWCGROUP")
.notes(&[24])
.requires(&[A_PARENT]);
const NEW_MOUNT: Claim = Claim::holds(
    "new-mount",
    "A cgroup2 mount that is created inside starts at the namespace's root: mountinfo shows / as its root.",
)
.factor("a mount created inside")
.arms("old mount", "mount inside")
.notes(&[21, 24])
.requires(&[A_PARENT]);
const SHOWS_ALL: Claim = Claim::holds(
    "shows-all",
    "An older cgroup2 mount still shows a sibling of the root; a new mount from inside hides it: ENOENT.",
)
.factor("a mount created inside")
.notes(&[26])
.requires(&[A_PARENT])
.arms("old mount", "mount inside")
.core(&[Row::inside("ls ../sibling", "ls …-top/sibling")])
.asks(
    "A process in a new cgroup namespace has an older cgroup2 mount. What does ls show of a sibling of its root?",
    &[
        right("its files, until a new cgroup2 mount covers the old one"),
        wrong("ENOENT: it is not below the root", "chroot() hides what is not below the root"),
        wrong("EACCES", "isolation seems to deny access"),
    ],
);

pub(crate) const LOOK_FROM_INSIDE: Step = Step {
    title: "From inside, read the older cgroup2 mount. Then mount cgroup2 inside, and read that mount.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/mountinfo\")", "mount(\"cgroup2\")"],
    by_hand: &[hand("grep cgroup2 /proc/self/mountinfo | cut -d' ' -f 4,5").as_root().prints("/ <v>").in_the_same_shell(), hand("unshare --cgroup --mount sh -c 'grep cgroup2 /proc/self/mountinfo | cut -d\" \" -f 4,5; ls -d $1/sibling' sh $new").as_root().prints("/../… <v>\n…/new/sibling"), hand("unshare --cgroup --mount sh -c 'mount -t cgroup2 cgroup2 /mnt; tail -n 1 /proc/self/mountinfo | cut -d\" \" -f 4,5; ls -d /mnt/sibling'").as_root().prints("/ /mnt\nENOENT"), ],
    claims: &[OLD_MOUNT, NEW_MOUNT, SHOWS_ALL],
    run: |lab| {
        let root = || inside("root in mountinfo");
        lab.compare(OLD_MOUNT, Namespaces::NONE, Namespaces::CGROUP, |namespaces| look(namespaces, false))?
            .shows(root().that(|root| root.as_str().is_some_and(|root| root.starts_with("/.."))))?;
        let mounts = lab.arms(false, true, |mounts| look(Namespaces::CGROUP, mounts))?;
        lab.judge(NEW_MOUNT, mounts.clone())
            .shows(root().is("/") & inside("mount starts at home").is("yes"))?;
        lab.judge(SHOWS_ALL, mounts).shows(inside("ls …-top/sibling").is("ENOENT"))
    },
};

const MOUNTABLE: Claim = Claim::holds(
    "mountable",
    "In a user namespace, mount() of cgroup2 fails with EPERM without a new cgroup namespace, and succeeds with one.",
)
.factor("CLONE_NEWCGROUP")
.arms("CLONE_NEWUSER", "and CLONE_NEWCGROUP")
.more(&[119])
.requires(&[A_MOUNT_POINT, Requirement::Namespace(Kind::User)]);
const DELEGATED: Claim = Claim::holds(
    "delegated",
    "A user that mounts cgroup2 in a user namespace gets EACCES from mkdir() there, unless it owns the cgroup.",
)
.factor("chown")
.arms("root owns it", "user owns it")
.more(&[119])
.requires(&[A_PARENT, ROOT, Requirement::Namespace(Kind::User)]);

pub(crate) const MOUNT_IN_A_USER_NAMESPACE: Step = Step {
    title: "Mount cgroup2 in a user namespace, without and with a new cgroup namespace. Then create a cgroup there.",
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

/// A member of a new cgroup, in new `namespaces`, reads the mount of cgroupfs. It mounts another over it first if
/// `mounts`.
fn look(namespaces: Namespaces, mounts: bool) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    let point: PathBuf = Layout::detect()?.v2_mount().context("cgroup2 in /proc/self/mountinfo")?.into();
    let home = inode(tree.home.path())?;
    let mut reader = into_cgroup(&tree.home, "reader", namespaces, |me| {
        if mounts {
            mount::mount("cgroup2", Path::new(ANYWHERE))?;
            me.report("mount -t cgroup2", Outcome::Done)?;
            // A second mount of one filesystem at one mount point is EBUSY. A bind mount is allowed.
            mount::bind(Path::new(ANYWHERE), &point)?;
        }
        let root = mount::at(None, &point)?.map(|mount| mount.root).unwrap_or_default();
        let listed = std::fs::read_dir(tree.sibling.path()).named(|| "ls …-top/sibling".into());
        me.report("root in mountinfo", shown_root(&root))?;
        me.report("mount starts at home", inode(&point)? == home)?;
        me.report("ls …-top/sibling", Outcome::of(listed)?)
    })?;
    Ok(reader.facts()?)
}

fn mount_cgroup2(namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("mounter", namespaces, |me| {
        me.report("mount -t cgroup2", Outcome::of(mount::mount("cgroup2", Path::new(ANYWHERE)))?)
    })?;
    Ok(child.fact()?)
}

/// An ordinary user creates a cgroup below its own, which is delegated to it if `delegated`.
fn make_below(delegated: bool) -> Result<Vec<Fact>> {
    let tree = Tree::new(&CgroupParent::require(CgroupRequest::AnyV2)?)?;
    if delegated {
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

/// A root as mountinfo shows it. The number of /.. depends on the cgroup in which the experiment starts.
fn shown_root(root: &str) -> Value {
    if root.trim_start_matches("/..").is_empty() { Value::Text(root.into()) } else { shown(root) }
}
