//! A container's root directory, and the ways out of it.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use nix::unistd::{chdir, chroot, fchdir};
use ns_core::mount::Tree;
use ns_core::{Fact, Named};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::container::in_a_container;
use crate::run::{place, root};

const PIVOT: Claim =
    Claim::holds("pivot", "After pivot_root(), a second chroot() and chdir(\"..\") do not lead to the old root directory.")
        .factor("pivot_root(), not chroot()")
        .notes(&[2])
        .more(&[88])
        .arms("chroot()", "pivot_root()")
        .core(&[Row::inside("old root reached", "the old root was reached")])
        .asks(
            "chroot() gave a container its root directory. Its root calls chroot(\"door\"), then chdir(\"..\") often. Where is it?",
            &[
                right("in the old root directory, outside"),
                wrong("in its own root directory", "`..` of a root directory is that directory itself"),
                wrong("in door", "the last chroot() is thought to confine it"),
                wrong("in its own root: the second chroot() fails with EPERM", "one chroot() is thought to exclude others"),
            ],
        )
        .requires(&[Requirement::Unchrooted]);

pub(crate) const CLIMB_OUT: Step = Step {
    title: "Enter an empty root directory by chroot() or by pivot_root(). Try to return by a second chroot().",
    calls: &["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "chroot(\"door\")", "chdir(\"..\")"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mkdir old; /sbin/pivot_root . old; cd /; echo *'").prints("old"), ],
    claims: &[PIVOT],
    run: |lab| lab.compare(PIVOT, false, true, climb_out)?.shows(inside("the old root was reached").is("no")),
};

const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "After pivot_root(), fchdir() to a directory that was left open leads outside; if it was closed, nothing does.",
)
.factor("close()")
.notes(&[2]);

pub(crate) const LEAVE_A_DESCRIPTOR_OPEN: Step = Step {
    title: "Do the same with a descriptor of the old root left open, as some runtimes did by mistake.",
    calls: &["open(\"/\", O_PATH)", "pivot_root(\".\", \".\")", "fchdir(fd)"],
    by_hand: &[],
    claims: &[DESCRIPTOR],
    run: |lab| {
        lab.compare(DESCRIPTOR, false, true, leave_by_a_descriptor)?
            .shows(inside("the old root was reached").is("no"))
    },
};

const OVERLAY: Claim = Claim::holds(
    "overlay",
    "With an overlay, a file that the container writes does not appear in the root filesystem below.",
)
.factor("overlayfs")
.notes(&[2])
.more(&[94]);

pub(crate) const WRITE_A_FILE: Step = Step {
    title: "Write a file in the container, and look for it in the root filesystem that the container was created from.",
    calls: &["fsopen(\"overlay\")", "fsconfig(lowerdir, upperdir, workdir)", "fsmount()", "move_mount()"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mkdir lower upper work root; mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none root; touch root/new; echo lower/* upper/*'").prints("lower/* upper/new"), ],
    claims: &[OVERLAY],
    run: |lab| {
        lab.compare(OVERLAY, false, true, write_a_file)?
            .in_both_arms(inside("the container has it").is("yes"))
            .shows(inside("ROOTFS has the file").is("no"))
    },
};

fn climb_out(pivots: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        let outside = identity_of("/")?;
        enter_an_empty_root(pivots)?;
        me.report("the old root was reached", climb()? == outside)
    })
}

fn leave_by_a_descriptor(closes: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        let outside = identity_of("/")?;
        let mut left_open = Some(open_directory("/")?);
        enter_an_empty_root(true)?;
        if closes {
            left_open = None;
        }
        if let Some(fd) = &left_open {
            fchdir(fd).named(|| "fchdir(fd)".into())?;
        }
        me.report("the old root was reached", identity_of(".")? == outside)
    })
}

fn write_a_file(overlays: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        let (rootfs, new_root) = overlay_in_memory()?;
        let to = if overlays { &new_root } else { &rootfs };
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(to, "new", flags, Mode::from_raw_mode(0o644)).named(|| "open(\"new\", O_CREAT)".into())?;
        me.report("ROOTFS has the file", place::find(rootfs.as_fd(), "new")?.is_some())?;
        me.report("the container has it", place::find(new_root.as_fd(), "new")?.is_some())
    })
}

/// The device and inode of the directory that a path leads to.
pub(super) fn identity_of(path: &str) -> ns_core::Result<(u64, u64)> {
    fs::metadata(path).map(|it| (it.dev(), it.ino())).named(|| format!("stat(\"{path}\")"))
}

/// Makes an empty directory in memory the root directory: by pivot_root() or by chroot().
pub(super) fn enter_an_empty_root(pivots: bool) -> ns_core::Result<()> {
    let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[])?;
    memory.attach(Path::new("/mnt"))?;
    if pivots {
        return root::enter(&memory);
    }
    chdir("/mnt").and_then(|()| chroot(".")).named(|| "chroot(\"/mnt\")".into())
}

/// The classic way out of a chroot: a second chroot() to a directory that the working directory is outside of, then
/// chdir("..").
pub(super) fn climb() -> ns_core::Result<(u64, u64)> {
    fs::create_dir("/door").named(|| "mkdir /door".into())?;
    chroot("/door").named(|| "chroot(\"/door\")".into())?;
    for _ in 0..64 {
        chdir("..").named(|| "chdir(\"..\")".into())?;
    }
    identity_of(".")
}

fn open_directory(path: &str) -> ns_core::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).named(|| format!("open(\"{path}\", O_PATH)"))
}

/// An empty root filesystem, and a container's root that is an overlay on it, both in memory.
fn overlay_in_memory() -> ns_core::Result<(Tree, Tree)> {
    let rootfs = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[])?;
    rootfs.attach(Path::new("/mnt"))?;
    let source = root::Source::Directory(Tree::copy_of_all(Path::new("/mnt"))?);
    let new_root = root::build(&source, || Ok(()))?.root;
    Ok((rootfs, new_root))
}
