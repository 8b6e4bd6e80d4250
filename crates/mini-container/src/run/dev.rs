//! /dev: harmless devices, terminals, and shared memory.

use std::os::fd::{AsFd, BorrowedFd};

use ns_core::mount::Restriction::{NoExec, NoSuid};
use ns_core::mount::Tree;
use ns_core::{Named, Result};
use rustix::fs::symlinkat;

use super::devices::Devices;
use super::kernel_files::PLAIN;
use super::place;

/// Mounts a new /dev, and returns it with its devpts.
pub(crate) fn mount(root: BorrowedFd<'_>, devices: &Devices) -> Result<(Tree, Tree)> {
    let harmless = &[NoSuid, NoExec];
    let dev = Tree::new_filesystem("tmpfs", &[("mode", "755"), ("size", "64k")], harmless)?;
    dev.attach_to(place::directory(root, "dev")?, "dev")?;
    for (name, device) in devices.all() {
        Tree::copy_of_open(device, name)?.attach_to(place::empty_file(dev.as_fd(), name)?, name)?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for (name, target) in links {
        symlinkat(target, &dev, name).named(|| format!("symlink(\"{target}\", \"/dev/{name}\")"))?;
    }
    // A new devpts: the host's terminals cannot be opened by their numbers.
    let pts = Tree::new_filesystem("devpts", &[("ptmxmode", "0666"), ("mode", "0620")], harmless)?;
    pts.attach_to(place::new_directory(dev.as_fd(), "pts")?, "dev/pts")?;
    let shm = Tree::new_filesystem("tmpfs", &[("mode", "1777"), ("size", "64m")], PLAIN)?;
    shm.attach_to(place::new_directory(dev.as_fd(), "shm")?, "dev/shm")?;
    let mqueue = Tree::new_filesystem("mqueue", &[], PLAIN)?;
    mqueue.attach_to(place::new_directory(dev.as_fd(), "mqueue")?, "dev/mqueue")?;
    Ok((dev, pts))
}
