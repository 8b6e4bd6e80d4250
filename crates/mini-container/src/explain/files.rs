//! The files in a container's /dev and /proc.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::mount::Tree;
use ns_core::probe::Unmet;
use ns_core::{Fact, Named, Outcome};

use super::container::in_a_container;
use crate::run::{dev, devices, kernel_files};

const DEVICES: Claim = Claim::holds(
    "devices",
    "A container's new /dev has only six harmless devices; the host's /dev has others.",
)
.factor("a new /dev")
.notes(&[2])
.requires(&[Requirement::Probe(harmless), Requirement::Probe(a_hosts_dev)]);

pub(crate) const LIST_DEVICES: Step = Step {
    title: "List the devices in the host's /dev, and in a new /dev.",
    calls: &["mount(\"tmpfs\", \"/dev\")", "open_tree(\"/dev/null\", OPEN_TREE_CLONE)", "move_mount()"],
    by_hand: &[hand("ls -l /dev/null /dev/zero")
        .prints("crw-rw-rw- … 1, 3 … /dev/null\ncrw-rw-rw- … 1, 5 … /dev/zero")],
    claims: &[DEVICES],
    run: |lab| {
        lab.compare(DEVICES, false, true, list_devices)?.shows(inside("devices beyond the six").is("no"))
    },
};

const READ_ONLY: Claim = Claim::holds(
    "read-only",
    "If /proc/sys is mounted read-only, the container's root cannot write a setting there: EROFS.",
)
.factor("a read-only mount")
.notes(&[2])
.requires(&[Requirement::Probe(harmless)]);
const MASKED: Claim =
    Claim::holds("masked", "A file in /proc that is covered by a bind mount of /dev/null reads as empty.")
        .factor("a mount of /dev/null")
        .notes(&[2])
        .requires(&[Requirement::Probe(harmless)]);

pub(crate) const COVER_PROC: Step = Step {
    title: "Mount a new procfs, without and with covered parts. Write a setting, and read a masked file.",
    calls: &[
        "mount_setattr(MOUNT_ATTR_RDONLY)",
        "write(\"/proc/sys/kernel/hostname\")",
        "read(\"/proc/interrupts\")",
    ],
    by_hand: &[hand("unshare -Urpf --uts --mount-proc sh -c 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; echo lab > /proc/sys/kernel/hostname'").prints("EROFS"), hand("unshare -Urpf --mount-proc sh -c 'mount --bind /dev/null /proc/interrupts; wc -c < /proc/interrupts'").prints("0"), ],
    claims: &[READ_ONLY, MASKED],
    run: |lab| {
        let used = lab.arms(false, true, use_proc)?;
        let write = "echo lab > /proc/sys/kernel/hostname";
        // In a user namespace the control gives EACCES: the file belongs to the host's user 0.
        lab.judge(READ_ONLY, used.only(&[write])).shows(inside(write).from("OK").or("EACCES").to("EROFS"))?;
        let empty = "/proc/interrupts is empty";
        lab.judge(MASKED, used.only(&[empty])).shows(inside(empty).is("yes"))
    },
};

fn list_devices(own: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| me.report("devices beyond the six", has_other_devices(own)?))
}

/// Whether a new /dev, or the host's, has devices other than those that `run` gives to a container.
fn has_other_devices(own: bool) -> ns_core::Result<bool> {
    let directory = if own {
        let devices = devices::open()?;
        let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[])?;
        memory.attach(Path::new("/mnt"))?;
        dev::mount(memory.as_fd(), &devices)?;
        "/mnt/dev"
    } else {
        "/dev"
    };
    let call = || format!("readdir(\"{directory}\")");
    for entry in fs::read_dir(directory).named(call)? {
        let entry = entry.named(call)?;
        let kind = entry.file_type().named(call)?;
        let name = entry.file_name();
        let harmless = devices::HARMLESS.iter().any(|(it, ..)| name == *it);
        if (kind.is_char_device() || kind.is_block_device()) && !harmless {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Unmet if /dev lacks the devices of a container.
fn harmless() -> ns_core::Result<Option<Unmet>> {
    let remedy = "mount -t devtmpfs devtmpfs /dev, or run on the host";
    Ok(devices::open().err().map(|error| Unmet::new(format!("the devices of a container: {error}"), remedy)))
}

/// Unmet if /dev has no other devices, as in a container: then the control shows nothing.
fn a_hosts_dev() -> ns_core::Result<Option<Unmet>> {
    let others = Path::new("/dev").is_dir() && has_other_devices(false)?;
    let remedy = "run on the host or in a virtual machine";
    Ok((!others).then(|| Unmet::new("a /dev with other devices than a container's", remedy)))
}

fn use_proc(covers: bool) -> Result<Vec<Fact>> {
    in_a_container(move |me| {
        let proc = Tree::new_filesystem("proc", &[], kernel_files::PLAIN)?;
        proc.attach(Path::new("/proc"))?;
        if covers {
            kernel_files::cover(&proc, &devices::open()?, &mut kernel_files::Empty::default())?;
        }
        let path = "/proc/sys/kernel/hostname";
        let written = Outcome::of(fs::write(path, "lab").named(|| format!("echo lab > {path}")))?;
        me.report(format!("echo lab > {path}"), written)?;
        let text = fs::read("/proc/interrupts").named(|| "cat /proc/interrupts".into())?;
        me.report("/proc/interrupts is empty", text.is_empty())
    })
}
