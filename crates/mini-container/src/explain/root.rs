//! What there is in a container: its root directory, /dev and /proc.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::unistd::{chdir, chroot, fchdir};
use ns_core::mount::Tree;
use ns_core::{Fact, Named, Namespaces, Outcome, Spawn, Witness, mount};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::run::{devices, kernel_files, place, root};

pub(crate) const PIVOT: Claim =
    Claim::holds("pivot", "After pivot_root() there is no old root: a second chroot() finds no way out.")
        .cause("pivot_root(), not chroot()")
        .notes(&[2])
        .more(&[88]);
pub(crate) const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "A directory that is left open leads outside, whatever the root is; closed, it leads nowhere.",
)
.cause("close()")
.notes(&[2]);
pub(crate) const OVERLAY: Claim = Claim::holds(
    "overlay",
    "With an overlay the root filesystem stays clean: what is written goes to a layer above it.",
)
.cause("overlayfs")
.notes(&[2])
.more(&[94]);
pub(crate) const DEVICES: Claim =
    Claim::holds("devices", "A /dev of its own has the harmless devices alone; the host's has all.")
        .cause("a new /dev")
        .notes(&[2]);
pub(crate) const READ_ONLY: Claim = Claim::holds(
    "read-only",
    "A read-only /proc/sys refuses the container's root, whom the settings' permissions let write.",
)
.cause("a read-only mount")
.notes(&[2]);
pub(crate) const MASKED: Claim =
    Claim::holds("masked", "A file of /proc that is covered by the null device has nothing to read.")
        .cause("a mount of /dev/null")
        .notes(&[2]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Enter an empty root directory, by chroot() or by pivot_root(), and try to get back by a second chroot().",
        calls: &["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "chroot(\"door\")", "chdir(\"..\")"],
        by_hand: &[
            "unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mkdir old; pivot_root . old; cd /; echo *'",
        ],
    })?;
    let escape = |pivots: bool| {
        in_a_box(move |me| {
            let outside = identity_of("/")?;
            enter_an_empty_root(pivots)?;
            me.saw("the old root was reached", climb()? == outside)
        })
    };
    lab.claim(PIVOT).without(escape(false)?).with(escape(cause(true, false))?).shows(|got| *got == "no")?;

    lab.step(Step {
        goal: "Do the same with a descriptor of the old root left open, as a careless runtime does.",
        calls: &["open(\"/\", O_PATH)", "pivot_root(\".\", \".\")", "fchdir(fd)"],
        by_hand: &[],
    })?;
    let leak = |closes: bool| {
        in_a_box(move |me| {
            let outside = identity_of("/")?;
            let mut left_open = Some(open_directory("/")?);
            enter_an_empty_root(true)?;
            if closes {
                left_open = None;
            }
            if let Some(fd) = &left_open {
                fchdir(fd).named(|| "fchdir(fd)".into())?;
            }
            me.saw("the old root was reached", identity_of(".")? == outside)
        })
    };
    lab.claim(DESCRIPTOR).without(leak(false)?).with(leak(cause(true, false))?).shows(|got| *got == "no")?;

    lab.step(Step {
        goal: "Write a file in the container, and look for it in the root filesystem that it was made from.",
        calls: &["fsopen(\"overlay\")", "fsconfig(lowerdir, upperdir, workdir)", "fsmount()", "move_mount()"],
        by_hand: &[
            "unshare -Urm sh -c 'mount -t tmpfs none /mnt; cd /mnt; mkdir lower upper work root; mount -t overlay -o \
             lowerdir=lower,upperdir=upper,workdir=work none root; touch root/new; echo lower/* upper/*'",
        ],
    })?;
    let write = |overlays: bool| {
        in_a_box(move |me| {
            let (rootfs, new_root) = overlay_in_memory()?;
            let to = if overlays { &new_root } else { &rootfs };
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(to, "new", flags, Mode::from_raw_mode(0o644)).named(|| "open(\"new\", O_CREAT)".into())?;
            me.saw("ROOTFS has the file", place::find(rootfs.as_fd(), "new")?.is_some())?;
            me.saw("the container has it", place::find(new_root.as_fd(), "new")?.is_some())
        })
    };
    lab.claim(OVERLAY)
        .without(write(false)?)
        .with(write(cause(true, false))?)
        .shows(|of| *of == "no" && of.inside("the container has it").is_some_and(|it| *it == "yes"))?;

    lab.step(Step {
        goal: "Look for devices in a new /dev, and in the host's.",
        calls: &["mount(\"tmpfs\", \"/dev\")", "open_tree(\"/dev/null\", OPEN_TREE_CLONE)", "move_mount()"],
        by_hand: &["find /dev -maxdepth 1 -type b -o -maxdepth 1 -type c"],
    })?;
    let list =
        |own: bool| in_a_box(move |me| me.saw("others than the harmless six", has_other_devices(own)?));
    lab.claim(DEVICES).without(list(false)?).with(list(cause(true, false))?).shows(|any| *any == "no")?;

    lab.step(Step {
        goal: "Mount a new /proc, cover some of it or not, write to a setting and read what is masked.",
        calls: &["mount_setattr(MOUNT_ATTR_RDONLY)", "write(\"/proc/sys/kernel/hostname\")", "read(\"/proc/interrupts\")"],
        by_hand: &[
            "unshare -Urpf --uts --mount-proc sh -c 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; \
             echo lab > /proc/sys/kernel/hostname'",
            "unshare -Urpf --mount-proc sh -c 'mount --bind /dev/null /proc/interrupts; wc -c < /proc/interrupts'",
        ],
    })?;
    let [uncovered, covered] = [false, cause(true, false)].map(|covers| {
        in_a_box(move |me| {
            let proc = Tree::new_filesystem("proc", &[], kernel_files::PLAIN)?;
            proc.attach(Path::new("/proc"))?;
            if covers {
                kernel_files::cover(&proc, &devices::open()?)?;
            }
            let path = "/proc/sys/kernel/hostname";
            let written = Outcome::of(fs::write(path, "lab").named(|| format!("echo lab > {path}")))?;
            me.saw(format!("echo lab > {path}"), written)?;
            let text = fs::read("/proc/interrupts").named(|| "cat /proc/interrupts".into())?;
            me.saw("/proc/interrupts is empty", text.is_empty())
        })
    });
    let (mut uncovered, mut covered) = (uncovered?, covered?);
    let masked = (uncovered.pop(), covered.pop());
    lab.claim(READ_ONLY).without(uncovered).with(covered).shows(|answer| *answer == "EROFS")?;
    let (Some(without), Some(with)) = masked else { anyhow::bail!("/proc/interrupts was not read") };
    lab.claim(MASKED).without(without).with(with).shows(|empty| *empty == "yes")?;
    Ok(())
}

/// Runs `body` in mount, PID and UTS namespaces around the whole arm. They are no cause here, and stay under sabotage.
pub(super) fn in_a_box(body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let around = Namespaces::MNT | Namespaces::PID | Namespaces::UTS;
    let mut inside = Spawn::new("container").namespaces_always(around).run(|me| {
        mount::make_private()?;
        body(me)
    })?;
    Ok(inside.hear_all()?)
}

/// Which directory a name leads to.
pub(super) fn identity_of(path: &str) -> ns_core::Result<(u64, u64)> {
    fs::metadata(path).map(|it| (it.dev(), it.ino())).named(|| format!("stat(\"{path}\")"))
}

/// Makes an empty directory in memory the root directory, in one of two ways.
pub(super) fn enter_an_empty_root(pivots: bool) -> ns_core::Result<()> {
    let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[])?;
    memory.attach(Path::new("/mnt"))?;
    if pivots {
        return root::enter(&memory);
    }
    chdir("/mnt").and_then(|()| chroot(".")).named(|| "chroot(\"/mnt\")".into())
}

/// The classic way out of a chroot: another one, whose root the working directory is outside of, and then up.
pub(super) fn climb() -> ns_core::Result<(u64, u64)> {
    fs::create_dir("/door").named(|| "mkdir /door".into())?;
    chroot("/door").named(|| "chroot(\"/door\")".into())?;
    for _ in 0..64 {
        chdir("..").named(|| "chdir(\"..\")".into())?;
    }
    identity_of(".")
}

fn open_directory(path: &str) -> ns_core::Result<std::os::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).named(|| format!("open(\"{path}\", O_PATH)"))
}

/// An empty root filesystem, and a container's root above it, both in memory.
fn overlay_in_memory() -> ns_core::Result<(Tree, Tree)> {
    let rootfs = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[])?;
    rootfs.attach(Path::new("/mnt"))?;
    let source = root::Source::Directory(Tree::copy_of_all(Path::new("/mnt"))?);
    let (new_root, _) = root::build(&source, || Ok(()))?;
    Ok((rootfs, new_root))
}

/// Whether /dev, a new one or the host's, has devices besides those that `run` gives.
fn has_other_devices(own: bool) -> ns_core::Result<bool> {
    let directory = if own {
        let devices = devices::open()?;
        let memory = Tree::new_filesystem("tmpfs", &[("mode", "755")], &[])?;
        memory.attach(Path::new("/mnt"))?;
        devices::dev(memory.as_fd(), &devices)?;
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
