//! io: reads from disks and writes to them. The writes here bypass the page cache, so that they reach the disk.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use lesson::{Claim, Requirement, Step, first, hand};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{major, minor};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest, Version};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces};
use rustix::fs::{Mode, OFlags, open};

const BLOCK: usize = 4096;
/// The most that a step writes to a file, in bytes.
const LARGEST_FILE: u64 = 32 << 20;

/// The controller is called io on version 2, and blkio on version 1.
const IO: Requirement = Requirement::Probe(|| Ok(parent()?.err()));
pub(crate) const A_DISK: Requirement = Requirement::Probe(|| {
    let (most, _) = getrlimit(Resource::RLIMIT_FSIZE).named(|| "getrlimit(RLIMIT_FSIZE)".into())?;
    if most < LARGEST_FILE {
        let what = format!("files of 32 MiB: RLIMIT_FSIZE allows {most} bytes");
        return Ok(Some(Unmet::new(what, "ulimit -f unlimited")));
    }
    let remedy = "set TMPDIR to a directory on a disk";
    Ok(disk().is_none().then(|| Unmet::new("a directory on a disk, for a file without a name", remedy)))
});

const STAT: Claim = Claim::holds(
    "io-stat",
    "io: the bytes that members write to a disk are counted by device, as wbytes in io.stat.",
)
.factor("membership")
.arms("not a member", "member")
.notes(&[44])
.more(&[121])
.requires(&[IO, A_DISK]);
const MAX: Claim = Claim::holds(
    "io-max",
    "io: past io.max a write waits: 256 blocks without a limit are done before 8 with one.",
)
.factor("io.max: two writes a second")
.notes(&[44])
.requires(&[IO, A_DISK]);

pub(crate) const LIMIT_IO: Step = Step {
    title: "io: write to a disk with O_DIRECT, from inside a cgroup and from outside. Then set io.max.",
    calls: &[
        "open(O_TMPFILE|O_DIRECT)",
        "pwrite()",
        "read(\"…/io.stat\")",
        "write(\"…/io.max\", \"8:0 wiops=2\")",
    ],
    by_hand: &[hand("mkdir new; disk=$(findmnt -no MAJ:MIN -T /var/tmp)  # of a whole disk, not of a partition").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file oflag=direct bs=4k count=256 2>/dev/null'; cat new/io.stat").as_root().prints("… wbytes=1048576 …"), hand("echo $disk wiops=2 > new/io.max; sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file oflag=direct bs=4k count=8 2>&1 | tail -n 1'").as_root().prints("32768 bytes (33 kB, 32 KiB) copied, … s, …"), hand("rm /var/tmp/file; rmdir new").as_root().prints(""), ],
    claims: &[STAT, MAX],
    run: |lab| {
        let parent = parent()?.map_err(|unmet| anyhow!("{unmet}"))?;
        let (directory, disk) = disk().context("a disk")?;
        lab.saw(Fact::outside("io: cgroup version", parent.version().to_string()))?;
        lab.compare(STAT, false, true, |joins| write_and_count(&parent, &directory, &disk, joins))?
            .shows(first().is("yes"))?;
        lab.compare(MAX, false, true, |limited| race(&parent, &directory, &disk, limited))?
            .shows(first().is("no"))
    },
};

/// Whether a cgroup counts the writes of a process, which is a member if `joins`.
fn write_and_count(parent: &CgroupParent, directory: &Path, disk: &str, joins: bool) -> Result<Fact> {
    let cgroup = parent.create("writers")?;
    if cgroup.version() == Version::V1 {
        // On version 1, newer kernels count only where a limit is set. No process reaches this one.
        cgroup.write("blkio.throttle.write_bps_device", &format!("{disk} {}", 1_u64 << 50))?;
    }
    let mut child = writer(directory, "writer", 256)?;
    if joins {
        cgroup.join(child.pid())?;
    }
    child.wake()?;
    child.fact()?; // it begins
    child.fact()?; // all is on the disk
    Ok(Fact::outside("1 MiB is counted", bytes_written(&cgroup, disk)? >= 256 * BLOCK))
}

/// Whether the writer inside is done before the writer outside, which begins later.
fn race(parent: &CgroupParent, directory: &Path, disk: &str, limited: bool) -> Result<[Fact; 2]> {
    let cgroup = parent.create("limited")?;
    if limited {
        limit(&cgroup, disk)?;
    }
    let mut inside = writer(directory, "inside", 8)?;
    let mut outside = writer(directory, "outside", 256)?;
    cgroup.join(inside.pid())?;
    inside.wake()?;
    inside.fact()?;
    // It begins later, and writes 32 times as much.
    outside.wake()?;
    outside.facts()?;
    let done = inside.has_message()?;
    if limited {
        unlimit(&cgroup, disk)?;
    }
    Ok([Fact::outside("inside is done first", done), inside.fact()?])
}

/// A process that reports when it begins to write the blocks, and when all are on the disk.
fn writer(directory: &Path, label: &str, blocks: usize) -> Result<Child> {
    let file = nameless(directory, OFlags::DIRECT)?;
    Ok(Child::spawn(label, Namespaces::NONE, move |me| {
        me.checkpoint()?;
        me.report("begins", true)?;
        // O_DIRECT needs memory that is aligned to a block of the device (open(2)).
        let memory = vec![1_u8; 2 * BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        for at in 0..blocks {
            let block = &memory[aligned..aligned + BLOCK];
            file.write_all_at(block, (at * BLOCK) as u64).named(|| "pwrite()".into())?;
        }
        me.report("blocks written", blocks)
    })?)
}

/// A cgroup that has the controller.
fn parent() -> ns_core::Result<Result<CgroupParent, Unmet>> {
    let on_v2 = CgroupParent::find(CgroupRequest::ControllerV2("io"))?;
    match (on_v2, CgroupParent::find(CgroupRequest::V1("blkio"))?) {
        (Err(_), Ok(parent)) => Ok(Ok(parent)),
        (on_v2, _) => Ok(on_v2),
    }
}

/// A directory on a disk, and the device numbers of the disk: `8:0`.
pub(crate) fn disk() -> Option<(PathBuf, String)> {
    let directories = [std::env::temp_dir(), "/var/tmp".into(), ".".into()];
    directories.into_iter().find_map(|directory| {
        let device = std::fs::metadata(&directory).ok()?.dev();
        let found = format!("/sys/dev/block/{}:{}", major(device), minor(device));
        // A limit applies to the whole disk, and not to a partition.
        let whole = Path::new(&found).join("partition").exists();
        let numbers = std::fs::canonicalize(&found).ok()?.join(if whole { "../dev" } else { "dev" });
        let numbers = std::fs::read_to_string(numbers).ok()?.trim().to_string();
        nameless(&directory, OFlags::DIRECT).ok()?;
        Some((directory, numbers))
    })
}

/// A file without a name, so that nothing of it remains.
pub(crate) fn nameless(directory: &Path, more: OFlags) -> ns_core::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | more;
    let opened = open(directory, flags, Mode::RUSR | Mode::WUSR);
    opened.map(File::from).named(|| format!("open(\"{}\", O_TMPFILE)", directory.display()))
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
