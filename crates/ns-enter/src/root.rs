//! Each process has a root directory, which is not a namespace: setns() into a mount namespace does not enter it.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, first, hand, right, wrong};
use nix::unistd::fchdir;
use ns_core::cleanup::TemporaryDirectory;
use ns_core::{Child, Fact, Kind, Named, Namespaces, mount, root};

use crate::answers::can_open;
use crate::container::{enter, start};

const ROOT_TOO: Claim = Claim::holds(
    "root-too",
    "setns() into a chrooted process's mount namespace does not lead into the chroot; chroot() to /proc/PID/root does.",
)
.factor("chroot() to /proc/PID/root")
.notes(&[2])
.more(&[124])
.arms("setns(mnt)", "+ chroot()")
.core(&[Row::first("file in its chroot")])
.asks(
    "A process is in a chroot, which has a file /inside. You enter its mount namespace. Do you find /inside?",
    &[
        right("no: you are outside the chroot"),
        wrong("yes: you have the process's root directory", "the root directory is thought to be the mount namespace's"),
        wrong("yes, if you are root", "chroot() is thought to be a permission"),
    ],
);

pub(crate) const ENTER_A_CHROOT: Step = Step {
    title: "Start a container in a chroot with a file `inside`. Enter its mount namespace, and then its root directory too.",
    calls: &[
        "chroot(\"NEW\")",
        "open(\"/proc/PID/root\")",
        "setns(mnt, CLONE_NEWNS)",
        "fchdir(root)",
        "chroot(\".\")",
    ],
    by_hand: &[hand("unshare -Ur --mount --kill-child --fork /usr/sbin/chroot /usr sleep 600 & sleep 1; j=$(pgrep --parent $!)").prints("").in_the_same_shell(), hand("nsenter -U --preserve-credentials --mount --target $j ls -d /share").prints("ENOENT"), hand("nsenter -U --preserve-credentials --mount --root --target $j ls -d /share").prints("/share"), ],
    claims: &[ROOT_TOO],
    run: |lab| {
        let directory = TemporaryDirectory::new("root")?;
        let chrooted = start(Namespaces::MNT, || confine_to(directory.path(), chroot))?;
        lab.compare(ROOT_TOO, false, true, |changes_root| visit(&chrooted, changes_root))?
            .shows(first().from("ENOENT").to("OK"))
    },
};

const PIVOTED: Claim = Claim::holds(
    "pivoted",
    "pivot_root() changes the root of a mount namespace: setns() into it leads to the new root.",
)
.factor("pivot_root() instead of chroot()")
.notes(&[2])
.more(&[124])
.requires(&[Requirement::Unchrooted]);

pub(crate) const ENTER_A_PIVOTED_ROOT: Step = Step {
    title: "Confine another container by pivot_root(), as container engines do. Enter only its mount namespace.",
    calls: &["pivot_root(\".\", \"old\")", "setns(mnt, CLONE_NEWNS)"],
    by_hand: &[hand("unshare -Ur --mount --kill-child --fork sh -c 'mount --rbind /usr /mnt; cd /mnt; /usr/sbin/pivot_root . src; exec sleep 600' & sleep 1; k=$(pgrep --parent $!)").prints("").in_the_same_shell(), hand("nsenter -U --preserve-credentials --mount --target $k ls -d /share; kill $j $k").prints("/share"), ],
    claims: &[PIVOTED],
    run: |lab| {
        let directory = TemporaryDirectory::new("root")?;
        lab.compare(PIVOTED, chroot as Confine, pivot, |confine| {
            visit(&start(Namespaces::MNT, || confine_to(directory.path(), confine))?, false)
        })?
        .shows(first().from("ENOENT").to("OK"))
    },
};

/// Makes the working directory the root.
type Confine = fn() -> ns_core::Result<()>;

fn chroot() -> ns_core::Result<()> {
    root::chroot(".".as_ref())
}

fn pivot() -> ns_core::Result<()> {
    root::pivot(".".as_ref(), "old".as_ref())
}

/// Called in the container: mounts a new filesystem at `new_root` and makes it the root directory.
fn confine_to(new_root: &Path, confine: Confine) -> ns_core::Result<()> {
    mount::mount("tmpfs", new_root)?;
    fs::create_dir(new_root.join("old")).named(|| "mkdir(\"NEW/old\")".into())?;
    fs::write(new_root.join("inside"), "here").named(|| "write(\"NEW/inside\")".into())?;
    std::env::set_current_dir(new_root).named(|| "chdir(\"NEW\")".into())?;
    confine()?;
    std::env::set_current_dir("/").named(|| "chdir(\"/\")".into())
}

/// A visitor enters the mount namespace and opens the file in the container's root directory.
fn visit(container: &Child, changes_root: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // Opened before setns(): the container's mount namespace may have no /proc.
        let path = format!("/proc/{}/root", container.pid());
        let its_root = File::open(&path).named(|| format!("open(\"{path}\")"))?;
        enter(container, Kind::Mnt)?;
        if changes_root {
            fchdir(&its_root).named(|| "fchdir(root)".into())?;
            root::chroot(".".as_ref())?;
        }
        me.report("open(\"/inside\")", can_open("/inside")?)
    })?;
    Ok(visitor.facts()?)
}
