//! The parts of /proc that container engines cover, and the effects inside.

use std::path::Path;

use anyhow::Result;
use lesson::user::{in_z, root_of_z};
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::idmap::IdMaps;
use ns_core::mount::{self, Tree};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, namespace};

use crate::user::{DEV_NULL, dev_null};

/// A file of /proc, in the place of those that engines cover. They leave this one.
const VERSION: &str = "/proc/version";
const READ: &str = "bytes of /proc/version";
const UNMOUNT: &str = "umount(\"/proc/version\")";
const WRITE: &str = "write(\"/proc/sys/user/max_uts_namespaces\")";
const MOUNT_PROC: &str = "mount(\"proc\", \"/mnt\", \"proc\")";

const MASKED: Claim = Claim::holds(
    "masked",
    "While /dev/null is mounted on a file of /proc, read() of the file returns nothing.",
)
.factor("a mount of /dev/null")
.more(&[135])
.requires(DEV_NULL);

const LOCKED: Claim = Claim::holds(
    "mask-stays",
    "umount() of a mount that covers a /proc file fails with EINVAL in nested user and mount namespaces.",
)
.factor("CLONE_NEWUSER|CLONE_NEWNS")
.more(&[85, 135])
.requires(DEV_NULL)
.arms("its mounter", "nested root")
.core(&[Row::inside("umount() of the mask", UNMOUNT)])
.asks(
    "/dev/null is mounted on a file of /proc. Root in nested user and mount namespaces calls umount() on it. What happens?",
    &[
        right("EINVAL"),
        wrong("it succeeds", "the caller is root, with all capabilities, in a mount namespace that it owns"),
        wrong("EPERM", "the caller seems to lack privilege, for which umount(2) lists EPERM"),
        wrong("EBUSY", "/dev/null is in use everywhere"),
    ],
);

const READ_ONLY: Claim = Claim::holds(
    "read-only-sys",
    "With /proc/sys read-only, a write by root to a limit of its own user namespace fails with EROFS.",
)
.factor("MOUNT_ATTR_RDONLY")
.more(&[135]);

const NO_NEW_PROC: Claim = Claim::holds(
    "mask-no-new-proc",
    "While a mount covers a file of /proc, a procfs mount in a nested user namespace fails with EPERM.",
)
.factor("a mount of /dev/null")
.more(&[135])
.requires(&[Requirement::Probe(dev_null), Requirement::Probe(new_procfs)]);

pub(crate) const COVER: Step = Step {
    title: "As root of Z, mount /dev/null on a file of /proc, and make /proc/sys read-only, as engines do. Try to undo both inside.",
    calls: &[
        "mount(\"/dev/null\", \"/proc/version\", MS_BIND)",
        "mount_setattr(\"/proc/sys\", MOUNT_ATTR_RDONLY)",
        WRITE,
        "unshare(CLONE_NEWUSER|CLONE_NEWNS|CLONE_NEWPID)",
        UNMOUNT,
        MOUNT_PROC,
    ],
    by_hand: &[hand("unshare -Urm sh -c 'mount --bind /dev/null /proc/version; wc -c /proc/version; unshare -Urm umount /proc/version'").prints("0 /proc/version\numount: /proc/version: not mounted."), hand("unshare -Urm sh -c 'mount --rbind /proc/sys /proc/sys; mount -o remount,bind,ro,nosuid,nodev,noexec /proc/sys; echo 8 > /proc/sys/user/max_uts_namespaces'").prints("EROFS"), hand("unshare -Urm sh -c 'mount --bind /dev/null /proc/version; unshare -Urmpf mount -t proc proc /mnt'").prints("mount: /mnt: permission denied.\n…"), hand("unshare -Urm sh -c 'unshare -Urmpf mount -t proc proc /mnt; echo $?'").prints("0"), ],
    claims: &[MASKED, READ_ONLY, LOCKED, NO_NEW_PROC],
    run: |lab| {
        lab.compare(MASKED, false, true, mask_and_read)?.shows(inside(READ).is("none"))?;
        lab.compare(READ_ONLY, false, true, write_a_limit)?.shows(inside(WRITE).from("OK").to("EROFS"))?;
        lab.compare(LOCKED, Namespaces::NONE, Namespaces::USER | Namespaces::MNT, mask_and_unmount)?
            .shows(inside(UNMOUNT).from("OK").to("EINVAL"))?;
        lab.compare(NO_NEW_PROC, false, true, mount_procfs)?.shows(inside(MOUNT_PROC).from("OK").to("EPERM"))
    },
};

fn mask(masks: bool) -> ns_core::Result<()> {
    if masks { mount::bind(Path::new("/dev/null"), Path::new(VERSION)) } else { Ok(()) }
}

fn mask_and_read(masks: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        mask(masks)?;
        let text = std::fs::read(VERSION).named(|| format!("read(\"{VERSION}\")"))?;
        me.report(READ, if text.is_empty() { "none" } else { "some" })
    })
}

fn mask_and_unmount(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        mask(true)?;
        namespace::unshare(namespaces)?;
        if namespaces.contains(Namespaces::USER) {
            IdMaps::own(0, 0, 0).write_for(None)?;
        }
        me.report(UNMOUNT, Outcome::of(mount::unmount(Path::new(VERSION)))?)
    })
}

fn write_a_limit(read_only: bool) -> Result<Vec<Fact>> {
    in_z(Namespaces::MNT, move |me| {
        let sys = Path::new("/proc/sys");
        let copy = Tree::copy_of_all(sys)?;
        if read_only {
            copy.make_read_only()?;
        }
        copy.attach(sys)?;
        // A limit of Z, which ends with Z.
        let written = std::fs::write("/proc/sys/user/max_uts_namespaces", "7").named(|| WRITE.into());
        me.report(WRITE, Outcome::of(written)?)
    })
}

fn mount_procfs(masks: bool) -> Result<Vec<Fact>> {
    Ok(root_of_a(masks)?.facts()?)
}

/// Mounts a procfs as root of A, a user namespace in Z.
fn root_of_a(masks: bool) -> ns_core::Result<Child> {
    root_of_z(Namespaces::MNT, move |me| {
        mask(masks)?;
        namespace::unshare(Namespaces::USER | Namespaces::MNT | Namespaces::PID)?;
        IdMaps::own(0, 0, 0).write_for(None)?;
        // Only children enter a new PID namespace.
        let mut child = Child::spawn("root of A", Namespaces::NONE, |me| {
            me.report(MOUNT_PROC, Outcome::of(mount::mount("proc", Path::new("/mnt")))?)
        })?;
        child.pass_on(me)
    })
}

/// What already prevents an ordinary user from mounting a procfs, such as a container's masks. A child tries.
fn new_procfs() -> ns_core::Result<Option<Unmet>> {
    let refused = root_of_a(false)?.facts()?.into_iter().find(|fact| fact.value != "OK");
    Ok(refused.map(|fact| {
        let what = format!("a /proc without masks: {} fails with {}", fact.what, fact.value);
        Unmet::new(what, "run on the host or in a virtual machine")
    }))
}
