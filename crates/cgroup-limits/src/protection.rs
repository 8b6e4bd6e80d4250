//! memory.high makes a process wait, and memory.low protects pages from being freed. Only version 2 has both.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use lesson::{Claim, Step, hand, inside, outside};
use nix::sys::resource::{UsageWho, getrusage};
use ns_core::cgroup::CgroupRequest::ControllerV2;
use ns_core::cgroup::{Cgroup, InterfaceFile};
use ns_core::{Child, Fact, Named, Namespaces, Value};
use rustix::fs::OFlags;

use crate::cgroups::create;
use crate::io::{self, A_DISK};
use crate::memory::{MIB, ROOM, take_in};
use crate::requirements::MEMORY_V2;

const WAITS: Claim = Claim::holds(
    "memory-high-waits",
    "Past memory.high, a process sleeps while it touches memory, although it makes no blocking call.",
)
.factor("memory.high")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, ROOM]);

pub(crate) const WAIT_PAST_HIGH: Step = Step {
    title: "memory: let a process touch 33 MiB where memory.high is 32 MiB. Count how often it sleeps meanwhile.",
    calls: &["write(\"…/memory.high\", \"33554432\")", "mmap()", "getrusage(RUSAGE_SELF)"],
    by_hand: &[hand("mkdir new; echo 32M > new/memory.high; echo 0 > new/memory.swap.max").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; head -c 33M /dev/zero | timeout 5 tail -c 33M | wc -c'; grep '^high ' new/memory.events; rmdir new").as_root().prints("…\nhigh …"), ],
    claims: &[WAITS],
    run: |lab| lab.compare(WAITS, false, true, touch_past_high)?.shows(inside(SLEPT).is("yes")),
};

const SLEPT: &str = "it sleeps";

const LOW: Claim = Claim::holds(
    "memory-low",
    "At the parent's limit, a cgroup within memory.low keeps 7/8 of its file pages, and its sibling loses half.",
)
.factor("memory.low")
.notes(&[45])
.more(&[137])
.requires(&[MEMORY_V2, ROOM, A_DISK]);

pub(crate) const PROTECT: Step = Step {
    title: "memory: protect one of two siblings by memory.low. Write a file of 8 MiB in each, then limit the parent to 10 MiB.",
    calls: &["write(\"…/above/one/memory.low\", \"8388608\")", "write(\"…/above/memory.max\", \"10485760\")"],
    by_hand: &[hand("mkdir new; echo +memory > new/cgroup.subtree_control; mkdir new/one new/other; echo 8M > new/one/memory.low").as_root().prints("").in_the_same_shell(), hand("for g in one other; do sh -c \"echo \\$\\$ > new/$g/cgroup.procs; dd if=/dev/zero of=/var/tmp/$g bs=1M count=8 conv=fsync 2>/dev/null\"; done").as_root().prints(""), hand("echo 10M > new/memory.max; grep '^file ' new/*/memory.stat; rm /var/tmp/one /var/tmp/other; rmdir new/*/ new").as_root().prints("new/one/memory.stat:file …\nnew/other/memory.stat:file …"), ],
    claims: &[LOW],
    run: |lab| {
        let Some((directory, _)) = io::disk() else { return Ok(()) };
        lab.compare(LOW, false, true, |protected| run_short(&directory, protected))?
            .shows(outside(ONE_FOR_THE_OTHER).is("yes"))
    },
};

const MIN: Claim = Claim::holds(
    "memory-min",
    "The kernel frees pages within memory.low if it must; within memory.min it keeps them, and kills a process instead.",
)
.factor("memory.min instead of memory.low")
.arms("memory.low", "memory.min")
.notes(&[45])
.more(&[137])
.requires(&[MEMORY_V2, ROOM, A_DISK]);

pub(crate) const PROTECT_FOR_GOOD: Step = Step {
    title: "memory: protect 8 MiB of a file by memory.low, then by memory.min. Let a sibling take 12 MiB, where 16 MiB is the limit.",
    calls: &["write(\"…/above/one/memory.min\", \"8388608\")", "mmap()"],
    by_hand: &[hand("mkdir new; echo +memory > new/cgroup.subtree_control; mkdir new/one new/other; echo 8M > new/one/memory.min").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/one/cgroup.procs; dd if=/dev/zero of=/var/tmp/one bs=1M count=8 conv=fsync 2>/dev/null'").as_root().prints(""), hand("echo 16M > new/memory.max; echo 0 > new/memory.swap.max").as_root().prints(""), hand("sh -c 'echo $$ > new/other/cgroup.procs; head -c 12M /dev/zero | tail -c 12M >/dev/null; echo $?'; rm /var/tmp/one; rmdir new/*/ new; exit").as_root().prints("Killed\n137"), ],
    claims: &[MIN],
    run: |lab| {
        let Some((directory, _)) = io::disk() else { return Ok(()) };
        lab.compare(MIN, "memory.low", "memory.min", |file| take_beside(&directory, file))?
            .shows(inside(WANTS).from("survives").to("killed by SIGKILL") & outside(KEEPS).is("yes"))
    },
};

const WANTS: &str = "after 12 MiB";

const KEEPS: &str = "one keeps 7/8 of its pages";
/// One fact: without protection, the other may lose half too.
const ONE_FOR_THE_OTHER: &str = "one keeps 7/8, the other loses half";

/// The value of memory.high. The further a process is past it, the longer it waits, up to two seconds at a time.
const HIGH: usize = 32 * MIB;
const A_LITTLE: usize = MIB;

/// Whether a process sleeps while it touches a little more than [`HIGH`]. That is memory.high if `limited`.
fn touch_past_high(limited: bool) -> Result<Vec<Fact>> {
    let cgroup = create(ControllerV2("memory"), "limited")?;
    cgroup.forbid_swap()?;
    if limited {
        cgroup.limit("memory.high", HIGH)?;
    }
    let mut child = Child::spawn("toucher", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let since = Instant::now();
        let before = sleeps()?;
        std::hint::black_box(vec![1_u8; HIGH + A_LITTLE]);
        let slept = sleeps()? - before;
        let time = i64::try_from(since.elapsed().as_nanos()).unwrap_or(i64::MAX);
        me.report("time", Value::Nanoseconds(time))?;
        me.report(SLEPT, slept > 0)
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(child.facts()?)
}

/// How often this process gave up its CPU to wait for something: `ru_nvcsw` of getrusage(2).
fn sleeps() -> ns_core::Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF).named(|| "getrusage(RUSAGE_SELF)".into())?;
    Ok(usage.voluntary_context_switches())
}

/// The file pages of each sibling, and the limit that their parent gets in the end.
const PAGES: usize = 8 * MIB;
const ABOVE: usize = 10 * MIB;
/// What a process in the other sibling takes, and the limit of the parent: enough for either, and not for both.
const WANTED: usize = 12 * MIB;
const FOR_BOTH: usize = 16 * MIB;

/// Two siblings.
struct Siblings {
    // Both are dropped before their parent.
    one: Cgroup,
    other: Cgroup,
    above: Cgroup,
}

impl Siblings {
    fn new() -> Result<Siblings> {
        let above = create(ControllerV2("memory"), "above")?;
        above.enable("memory")?;
        above.forbid_swap()?;
        Ok(Siblings { one: above.child(&"one".parse()?)?, other: above.child(&"other".parse()?)?, above })
    }
}

/// Which sibling loses pages at the limit of their parent. One is protected if `protected`.
fn run_short(directory: &Path, protected: bool) -> Result<Vec<Fact>> {
    let Siblings { one, other, above } = &Siblings::new()?;
    if protected {
        one.limit("memory.low", PAGES)?;
    }
    let _files = [fill(one, directory)?, fill(other, directory)?];
    let before = [in_use(one)?, in_use(other)?];
    above.limit("memory.max", ABOVE)?;
    let after = [in_use(one)?, in_use(other)?];
    Ok(vec![
        Fact::outside("memory.current of one", rounded(after[0])),
        Fact::outside("memory.current of the other", rounded(after[1])),
        Fact::outside(ONE_FOR_THE_OTHER, keeps(before[0], after[0]) && 2 * after[1] <= before[1]),
    ])
}

/// How a process ends that needs memory, where `file` protects the pages of a sibling.
fn take_beside(directory: &Path, file: &str) -> Result<Vec<Fact>> {
    let Siblings { one, other, above } = &Siblings::new()?;
    one.limit(file, PAGES)?;
    let _file = fill(one, directory)?;
    // Not earlier: under a small limit, a process that writes to a file waits for the disk.
    above.limit("memory.max", FOR_BOTH)?;
    let before = in_use(one)?;
    let [result, _] = take_in(other, || {
        std::hint::black_box(vec![1_u8; WANTED]);
        Ok(())
    })?;
    let after = in_use(one)?;
    Ok(vec![
        Fact { what: WANTS.into(), ..result },
        Fact::outside("memory.current of one", rounded(after)),
        Fact::outside(KEEPS, keeps(before, after)),
    ])
}

/// Has a process in `cgroup` write a file. Its pages stay as long as the file is open.
fn fill(cgroup: &Cgroup, directory: &Path) -> Result<File> {
    let file = io::nameless(directory, OFlags::empty())?;
    let mut writer = Child::spawn("writer", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let block = vec![1_u8; MIB];
        for at in 0..PAGES / MIB {
            file.write_all_at(&block, (at * MIB) as u64).named(|| "pwrite(file)".into())?;
        }
        // The kernel can free a page at once when the disk has it.
        file.sync_data().named(|| "fdatasync(file)".into())
    })?;
    cgroup.join(writer.pid())?;
    writer.wake()?;
    writer.facts()?;
    Ok(file)
}

fn keeps(before: usize, after: usize) -> bool {
    8 * after >= 7 * before
}

fn rounded(bytes: usize) -> Value {
    Value::Name(format!("{} MiB", (bytes + MIB / 2) / MIB))
}

fn in_use(cgroup: &Cgroup) -> Result<usize> {
    Ok(cgroup.read(cgroup.file(InterfaceFile::MEMORY_NOW))?.parse()?)
}
