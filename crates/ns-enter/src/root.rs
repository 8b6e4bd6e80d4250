//! The root directory is a process's own and no namespace: with the mount namespace it is not entered.

use std::fs::{self, File};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::unistd::fchdir;
use ns_core::janitor::TemporaryDirectory;
use ns_core::{Child, Fact, Kind, Named, Namespaces, Spawn, Witness, mount, root};

use crate::{can_open, enter};

pub(crate) const ROOT_TOO: Claim = Claim::holds(
    "root-too",
    "The mount namespace of a chrooted process leads past its chroot; chroot() to its /proc/PID/root leads in.",
)
.cause("chroot() to /proc/PID/root")
.notes(&[2])
.more(&[124]);
pub(crate) const PIVOTED: Claim = Claim::holds(
    "pivoted",
    "pivot_root() changes the root of the mount namespace itself, and who enters that comes to the new one.",
)
.cause("pivot_root() instead of chroot()")
.notes(&[2])
.more(&[124]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    let directory = TemporaryDirectory::new("root")?;
    let new_root = directory.path();
    let container = |confine: Confine| -> Result<Child> {
        let spawn = Spawn::new("container").namespaces_always(Namespaces::MNT);
        let mut container = spawn.run(|me| live_in(new_root, confine, me))?;
        container.hear()?;
        Ok(container)
    };

    lab.step(Step {
        goal: "A container has a chroot, with a file `inside` in it. Enter its mount namespace, and then its root directory too.",
        calls: &[
            "chroot(\"NEW\")",
            "open(\"/proc/PID/root\")",
            "setns(mnt, CLONE_NEWNS)",
            "fchdir(root)",
            "chroot(\".\")",
        ],
        by_hand: &[
            "unshare -Ur --mount --kill-child --fork chroot /usr sleep 600 & sleep 1; j=$(pgrep --parent $!)",
            "nsenter -U --preserve-credentials --mount --target $j sh -c 'echo /*'",
            "nsenter -U --preserve-credentials --mount --root --target $j sh -c 'echo /*'",
        ],
    })?;
    let chrooted = container(chroot)?;
    let landed = visit(&chrooted, true, false)?;
    lab.claim(ROOT_TOO)
        .without(landed.clone())
        .with(visit(&chrooted, true, cause(true, false))?)
        .shows(|it| *it == "OK")?;

    lab.step(Step {
        goal: "Confine another container by pivot_root(), as container engines do, and enter nothing but its mount namespace.",
        calls: &["pivot_root(\".\", \"old\")", "setns(mnt, CLONE_NEWNS)"],
        by_hand: &[
            "unshare -Ur --mount --kill-child --fork sh -c 'mount --rbind /usr /mnt; cd /mnt; /usr/sbin/pivot_root . src; exec sleep 600' & sleep 1; k=$(pgrep --parent $!)",
            "nsenter -U --preserve-credentials --mount --target $k sh -c 'echo /*'; kill $j $k",
        ],
    })?;
    drop(chrooted);
    let pivoted = container(cause(pivot, chroot))?;
    lab.claim(PIVOTED).without(landed).with(visit(&pivoted, true, false)?).shows(|it| *it == "OK")?;
    Ok(())
}

/// Makes the working directory the root.
type Confine = fn() -> ns_core::Result<()>;

fn chroot() -> ns_core::Result<()> {
    root::chroot(".".as_ref())
}

fn pivot() -> ns_core::Result<()> {
    root::pivot(".".as_ref(), "old".as_ref())
}

/// In the container: a new filesystem at `new_root`, which becomes the root directory.
fn live_in(new_root: &Path, confine: Confine, me: &mut Witness) -> ns_core::Result<()> {
    mount::mount("tmpfs", new_root)?;
    fs::create_dir(new_root.join("old")).named(|| "mkdir(\"NEW/old\")".into())?;
    fs::write(new_root.join("inside"), "here").named(|| "write(\"NEW/inside\")".into())?;
    std::env::set_current_dir(new_root).named(|| "chdir(\"NEW\")".into())?;
    confine()?;
    std::env::set_current_dir("/").named(|| "chdir(\"/\")".into())?;
    me.saw("open(\"/inside\")", can_open("/inside")?)?;
    me.stay()
}

/// A visitor, who looks for the file at the container's root.
fn visit(container: &Child, enters: bool, changes_root: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // While the path still leads there: the container's mount namespace may have no /proc to find it by.
        let path = format!("/proc/{}/root", container.pid());
        let its_root = File::open(&path).named(|| format!("open(\"{path}\")"))?;
        if enters {
            enter(container, Kind::Mnt)?;
        }
        if changes_root {
            fchdir(&its_root).named(|| "fchdir(root)".into())?;
            root::chroot(".".as_ref())?;
        }
        me.saw("open(\"/inside\")", can_open("/inside")?)
    })?;
    Ok(visitor.hear_all()?)
}
