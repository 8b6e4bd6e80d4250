//! io: what is read from disks and written to them. A write that a cache takes is not at a disk yet, so here none does.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Need, Step};
use nix::sys::stat::{major, minor};
use ns_core::cgroup::{Cgroup, Place, Version, Want};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Named, Namespaces};
use rustix::fs::{Mode, OFlags, open};

const BLOCK: usize = 4096;

/// The controller is called io on version 2, and blkio on version 1.
const IO: Need = Need::Probe(|| Ok(place()?.err()));
const A_DISK: Need = Need::Probe(|| {
    let remedy = "set TMPDIR to a directory on a disk";
    Ok(disk().is_none().then(|| Missing::new("a directory on a disk, for a file without a name", remedy)))
});

pub(crate) const STAT: Claim = Claim::holds(
    "io-stat",
    "io: what members write to a disk is counted, by device: wbytes and wios in io.stat.",
)
.cause("membership")
.notes(&[44])
.more(&[121])
.needs(&[IO, A_DISK]);
pub(crate) const MAX: Claim = Claim::holds(
    "io-max",
    "io: past io.max a write waits: one outside is done with 256 blocks before one inside is with 8.",
)
.cause("io.max: two writes a second")
.notes(&[44])
.needs(&[IO, A_DISK]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "io: write to a disk, past all caches, from inside and from outside. Then limit it.",
        calls: &["open(O_TMPFILE|O_DIRECT)", "pwrite()", "read(\"…/io.stat\")", "write(\"…/io.max\", \"8:0 wiops=2\")"],
        by_hand: &[
            "cd $v2; echo +io > cgroup.subtree_control; mkdir new; disk=$(lsblk -dno MAJ:MIN /dev/vda)  # the disk that /var/tmp is on",
            "sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file oflag=direct bs=4k count=256'; cat new/io.stat",
            "echo $disk wiops=2 > new/io.max; sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file oflag=direct bs=4k count=8'",
            "rm /var/tmp/file; rmdir new",
        ],
    })?;
    if !lab.can_ask(&[STAT, MAX])? {
        return Ok(());
    }
    let place = place()?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
    let (directory, disk) = disk().context("a disk")?;
    lab.saw(Fact::outside("io: the version of the cgroup", place.version().to_string()))?;
    let written = |joins: bool| -> Result<Fact> {
        let cgroup = place.create("writers")?;
        if cgroup.version() == Version::V1 {
            // Newer kernels count on version 1 only where there is a limit: so one that nobody reaches.
            cgroup.write("blkio.throttle.write_bps_device", &format!("{disk} {}", 1_u64 << 50))?;
        }
        let mut child = writer(&directory, "writer", 256)?;
        if joins {
            cgroup.join(child.pid())?;
        }
        child.release()?;
        child.hear_all()?;
        Ok(Fact::outside("1 MiB was written, by its count", bytes_written(&cgroup, &disk)? >= 256 * BLOCK))
    };
    lab.claim(STAT).without(written(false)?).with(written(true)?).shows(|it| *it == "yes")?;

    let raced = |limited: bool| -> Result<Vec<Fact>> {
        let cgroup = place.create("limited")?;
        if limited {
            limit(&cgroup, &disk)?;
        }
        let mut inside = writer(&directory, "inside", 8)?;
        let mut outside = writer(&directory, "outside", 256)?;
        cgroup.write("cgroup.procs", &inside.pid().to_string())?;
        inside.release()?;
        inside.hear()?;
        // Only now, and with thirty-two times as much to do.
        outside.release()?;
        outside.hear_all()?;
        let done = inside.has_told()?;
        if limited {
            unlimit(&cgroup, &disk)?;
        }
        let last = inside.hear()?;
        Ok(vec![Fact::outside("it is done before the one outside", done), last])
    };
    lab.claim(MAX).without(raced(false)?).with(raced(true)?).shows(|it| *it == "no")?;
    Ok(())
}

/// A process that says when it begins to write so many blocks, and when the disk has them all.
fn writer(directory: &Path, label: &str, blocks: usize) -> Result<Child> {
    let file = nameless(directory).context("O_TMPFILE|O_DIRECT")?;
    Ok(Child::spawn(label, Namespaces::NONE, move |me| {
        me.pause()?;
        me.saw("it has begun", true)?;
        // O_DIRECT takes memory from the process as it is, so it has to lie where a device can get it (open(2)).
        let memory = vec![1_u8; 2 * BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        for at in 0..blocks {
            let block = &memory[aligned..aligned + BLOCK];
            file.write_all_at(block, (at * BLOCK) as u64).named(|| "pwrite()".into())?;
        }
        me.saw("blocks written", blocks)
    })?)
}

fn place() -> ns_core::Result<Result<Place, Missing>> {
    let on_v2 = Place::find(Want::ControllerV2("io"))?;
    match (on_v2, Place::find(Want::V1("blkio"))?) {
        (Err(_), Ok(place)) => Ok(Ok(place)),
        (on_v2, _) => Ok(on_v2),
    }
}

/// A directory that is on a disk, and the disk's numbers: `8:0`.
fn disk() -> Option<(PathBuf, String)> {
    let directories = [std::env::temp_dir(), "/var/tmp".into(), ".".into()];
    directories.into_iter().find_map(|directory| {
        let device = std::fs::metadata(&directory).ok()?.dev();
        let found = format!("/sys/dev/block/{}:{}", major(device), minor(device));
        // Of a partition, limits know the whole disk.
        let whole = Path::new(&found).join("partition").exists();
        let numbers = std::fs::canonicalize(&found).ok()?.join(if whole { "../dev" } else { "dev" });
        let numbers = std::fs::read_to_string(numbers).ok()?.trim().to_string();
        nameless(&directory).ok()?;
        Some((directory, numbers))
    })
}

/// A file that has no name, so that nothing is left of it.
fn nameless(directory: &Path) -> ns_core::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    let opened = open(directory, flags, Mode::RUSR | Mode::WUSR);
    opened.map(File::from).named(|| format!("open(\"{}\", O_TMPFILE|O_DIRECT)", directory.display()))
}

fn bytes_written(cgroup: &Cgroup, disk: &str) -> Result<usize> {
    let (file, key) = match cgroup.version() {
        Version::V2 => ("io.stat", "wbytes="),
        Version::V1 => ("blkio.throttle.io_service_bytes", "Write "),
    };
    let text = cgroup.read(file)?;
    let line = text.lines().find(|line| line.starts_with(&format!("{disk} ")) && line.contains(key));
    let number = line.and_then(|line| line.split_once(key)).map(|(_, rest)| rest);
    Ok(number.and_then(|rest| rest.split(' ').next()).and_then(|it| it.parse().ok()).unwrap_or(0))
}

fn limit(cgroup: &Cgroup, disk: &str) -> ns_core::Result<()> {
    match cgroup.version() {
        Version::V2 => cgroup.limit("io.max", format!("{disk} wiops=2")),
        Version::V1 => cgroup.limit("blkio.throttle.write_iops_device", format!("{disk} 2")),
    }
}

fn unlimit(cgroup: &Cgroup, disk: &str) -> ns_core::Result<()> {
    match cgroup.version() {
        Version::V2 => cgroup.write("io.max", &format!("{disk} wiops=max")),
        Version::V1 => cgroup.write("blkio.throttle.write_iops_device", &format!("{disk} 0")),
    }
}
