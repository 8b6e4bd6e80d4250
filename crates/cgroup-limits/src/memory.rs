//! memory: what is charged to a cgroup, and what happens past its limit.
//!
//! Only children of this experiment are killed, in cgroups of this experiment, at limits of a few MiB.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, outside, right, wrong};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use ns_core::cgroup::CgroupRequest::{Controller, ControllerV2};
use ns_core::cgroup::{Cgroup, InterfaceFile};
use ns_core::probe::{self, Unmet};
use ns_core::{Child, Errno, ExitStatus, Fact, Message, Named, Namespaces, Signal, Value, mount};
use rustix::fs::OFlags;

use crate::cgroups::{create, show_version};
use crate::io::{self, A_DISK};
use crate::requirements::{MEMORY, MEMORY_V2};
use crate::swap::{self, Swap};

pub(crate) const MIB: usize = 1 << 20;
/// A limit that a small process stays below, and an amount that exceeds it.
const LIMIT: usize = 8 * MIB;
const TOO_MUCH: usize = 32 * MIB;

/// The fact that says how a process ends that takes [`TOO_MUCH`].
pub(crate) const RESULT: &str = "after 32 MiB";

/// The limits of the ancestors leave room for what the steps use. They are read and not tried: past the limit of an
/// ancestor, the OOM killer could choose any process there.
pub(crate) const ROOM: Requirement = Requirement::Probe(room_for_all);

const TOUCHED: Claim = Claim::holds(
    "memory-touched",
    "memory: allocated memory is charged when the process writes to its pages, and not before.",
)
.factor("a write to every page")
.arms("allocated", "written to")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM]);
const MAX: Claim = Claim::holds(
    "memory-max",
    "memory: without swap, a cgroup's only process that touches more than memory.max is killed by SIGKILL; no call fails.",
)
.factor("memory.max")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM])
.core(&[Row::inside("touch 32 MiB", RESULT)])
.asks(
    "The only process of a cgroup touches 32 MiB. memory.max is 8 MiB, and there is no swap. What happens?",
    &[
        right("the kernel kills it: SIGKILL"),
        wrong("malloc() or mmap() fails with ENOMEM", "past a limit by ulimit -v it does, and malloc(3) lists ENOMEM"),
        wrong("SIGSEGV", "a process gets SIGSEGV when it touches memory that it may not use"),
        wrong("it waits until there is memory", "memory.high makes a process wait"),
    ],
);
const COUNTED: Claim = Claim::holds(
    "memory-counted",
    "memory: a kill by the OOM killer is counted as oom_kill in memory.events, or in memory.oom_control of v1.",
)
.factor("memory.max")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM]);
const KERNEL: Claim = Claim::holds(
    "memory-kernel",
    "Kernel memory counts too: a process that fills pipes past memory.max is killed by SIGKILL.",
)
.factor("memory.max")
.notes(&[45])
.requires(&[MEMORY, ROOM, Requirement::Probe(kernel_memory_is_counted)]);
const VICTIM: Claim = Claim::holds(
    "memory-victim",
    "The OOM killer weighs size and oom_score_adj: at 1000, an idle process is killed before a larger one.",
)
.factor("oom_score_adj of 1000 for the idle process")
.arms("0", "1000")
.notes(&[45])
.requires(&[MEMORY, ROOM]);
const RECLAIMED: Claim = Claim::holds(
    "memory-reclaimed",
    "The kernel frees page cache before it kills: a process can write a 32 MiB file within 8 MiB.",
)
.factor("pages of a file instead of its own")
.arms("own pages", "file pages")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM, A_DISK]);
const MEMINFO: Claim = Claim::holds(
    "meminfo",
    "/proc/meminfo ignores the limit of a cgroup: where memory.max is 8 MiB, MemTotal is not 8 MiB.",
)
.factor("/proc/meminfo instead of memory.max")
.arms("memory.max", "/proc/meminfo")
.notes(&[45])
.requires(&[MEMORY, Requirement::Probe(meminfo_is_the_kernels)]);

pub(crate) const LIMIT_MEMORY: Step = Step {
    title: "memory: limit a cgroup to 8 MiB. Touch 32 MiB in it, then write 32 MiB to pipes.",
    calls: &["write(\"…/memory.max\", \"8388608\")", "mmap()", "write(pipe)", "read(\"…/memory.events\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; head -c 32M /dev/zero | tail -c 32M >/dev/null; echo $?'; grep '^oom_kill ' new/memory.events; rmdir new").as_root().prints("Killed\n137\noom_kill 1"), ],
    claims: &[TOUCHED, MAX, COUNTED, KERNEL],
    run: |lab| {
        show_version(lab, "memory")?;
        // A shell needs more than the small limit.
        lab.leave_a_member(Controller("memory"), "limited", |it| {
            it.limit(it.file(InterfaceFile::MEMORY), 2 * LIMIT)
        })?;
        lab.compare(TOUCHED, false, true, charged_for)?.shows(outside("charged 32 MiB more").is("yes"))?;
        let touched = lab.arms(false, true, |limited| take_within(limited, touch))?;
        lab.judge(MAX, touched.clone()).shows(inside(RESULT).is("killed by SIGKILL"))?;
        lab.judge(COUNTED, touched).shows(outside("oom_kill").is(1))?;
        lab.compare(KERNEL, false, true, |limited| take_within(limited, fill_pipes))?
            .shows(inside(RESULT).is("killed by SIGKILL"))
    },
};

pub(crate) const READ_MEMINFO: Step = Step {
    title: "Limit a cgroup to 8 MiB. In it, read the limit and then /proc/meminfo.",
    calls: &["read(\"…/memory.max\")", "read(\"/proc/meminfo\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; sh -c 'echo $$ > new/cgroup.procs; head -n 1 /proc/meminfo'; cat new/memory.max; rmdir new").as_root().prints("MemTotal: … kB\n8388608").in_the_same_shell(), ],
    claims: &[MEMINFO],
    run: |lab| {
        lab.compare(MEMINFO, Source::Limit, Source::Meminfo, read_within)?
            .shows(inside("shows 8 MiB").is("no"))
    },
};

pub(crate) const CHOOSE_A_VICTIM: Step = Step {
    title: "Fill a cgroup with pages of a file. Then exceed its limit with two processes, and see which is killed.",
    calls: &["write(file)", "fdatasync(file)", "write(\"/proc/PID/oom_score_adj\", \"1000\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file bs=1M count=32 oflag=dsync 2>&1 | tail -n 1'; rm /var/tmp/file; grep '^oom_kill ' new/memory.events").as_root().prints("33554432 bytes (34 MB, 32 MiB) copied, …\noom_kill 0"), hand("echo 32M > new/memory.max; sh -c 'echo $$ > new/cgroup.procs; echo 1000 > /proc/self/oom_score_adj; a=$(head -c 8M /dev/zero | tr \"\\0\" x); kill -STOP $$' &").as_root().prints(""), hand("sleep 1; sh -c 'echo $$ > new/cgroup.procs; head -c 28M /dev/zero | tail -c 28M | wc -c'; grep '^oom_kill ' new/memory.events; sleep 1; rmdir new").as_root().prints("29360128\noom_kill 1"), ],
    claims: &[RECLAIMED, VICTIM],
    run: |lab| {
        if let Some((directory, _)) = io::disk() {
            lab.compare(RECLAIMED, Pages::Own, Pages::OfAFile, |pages| fill(&directory, pages))?
                .shows(inside(RESULT).from("killed by SIGKILL").to("survives"))?;
        }
        lab.compare(VICTIM, false, true, take_beside_an_idle_one)?
            .shows(outside("killed first").is("the idle process"))
    },
};

const STAYS: Claim = Claim::holds(
    "memory-stays",
    "A page stays charged to the cgroup where the process first touched it, even after the process moves.",
)
.factor("a move after the touch")
.arms("move first", "touch first")
.more(&[114])
.requires(&[MEMORY, ROOM]);

pub(crate) const MOVE_AN_OWNER: Step = Step {
    title: "Let a process touch 16 MiB. Move it to another cgroup before that, and then after that.",
    calls: &["write(\"…/new/cgroup.procs\", \"PID\")", "read(\"…/memory.current\")"],
    by_hand: &[],
    claims: &[STAYS],
    run: |lab| {
        lab.compare(STAYS, false, true, charged_to_whom)?
            .shows(outside("16 MiB charged to old").is("yes") & outside("16 MiB charged to new").is("no"))
    },
};

const GROUP: Claim = Claim::holds(
    "memory-group",
    "With memory.oom.group at 1, the OOM killer also kills a member that allocates nothing.",
)
.factor("memory.oom.group")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, ROOM]);
const HIGH: Claim = Claim::holds(
    "memory-high",
    "Past memory.high, a process continues and is not killed, and memory.events counts `high`.",
)
.factor("memory.high")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, ROOM]);

pub(crate) const ANSWER_OTHERWISE: Step = Step {
    title: "Exceed memory.max where memory.oom.group is 1. Then exceed memory.high.",
    calls: &["write(\"…/memory.oom.group\", \"1\")", "write(\"…/memory.high\", \"32M\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max; echo 1 > new/memory.oom.group").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; head -c 32M /dev/zero | tail -c 32M; echo never said'; grep oom_ new/memory.events; rmdir new").as_root().prints("oom_kill …\noom_group_kill 1"), hand("mkdir new; echo 16M > new/memory.high; sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file bs=1M count=64 2>/dev/null'").as_root().prints(""), hand("cat new/memory.current; grep -E '^(high|oom_kill) ' new/memory.events; rm /var/tmp/file; rmdir new").as_root().prints("1…\nhigh …\noom_kill 0"), ],
    claims: &[GROUP, HIGH],
    run: |lab| {
        lab.compare(GROUP, false, true, take_beside_another)?
            .shows(inside(FRUGAL).is("killed by SIGKILL"))?;
        lab.compare(HIGH, false, true, grow_a_little)?
            .in_both_arms(inside(RESULT).is("survives") & outside("oom_kill").is(0))
            .shows(outside("memory.events counts high").is("yes"))
    },
};

const SWAP: Claim = Claim::holds(
    "memory-swap",
    "memory.max does not count swap: with swap space, a process can exceed it, unless memory.swap.max is 0.",
)
.factor("memory.swap.max of 0")
.arms("swap allowed", "no swap")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, Requirement::ThrowAway, Requirement::Probe(swap::missing)]);

pub(crate) const OUTGROW_INTO_SWAP: Step = Step {
    title: "Give the machine swap space. Let a process exceed memory.max, with swap allowed and with swap forbidden.",
    calls: &["swapon()", "write(\"…/memory.swap.max\", \"0\")", "write(\"…/memory.reclaim\", \"1M\")"],
    by_hand: &[],
    claims: &[SWAP],
    run: |lab| {
        let _space = Swap::on(2 * TOO_MUCH)?;
        lab.compare(SWAP, false, true, grow_slowly)?.shows(inside(RESULT).is("killed by SIGKILL"))
    },
};

/// What the steps use at once, and a little more.
const NEEDED: usize = 48 * MIB;

fn room_for_all() -> ns_core::Result<Option<Unmet>> {
    probe::memory(NEEDED)
}

/// With the boot option cgroup.memory=nokmem, kernel memory is not charged to cgroups.
fn kernel_memory_is_counted() -> ns_core::Result<Option<Unmet>> {
    let line = fs::read_to_string("/proc/cmdline").named(|| "cat /proc/cmdline".into())?;
    let off =
        line.split_whitespace().any(|word| word.starts_with("cgroup.memory=") && word.contains("nokmem"));
    let what = "kernel memory in cgroups: this machine was booted with cgroup.memory=nokmem";
    Ok(off.then(|| Unmet::new(what, "boot without that option")))
}

/// LXC and others mount a file over /proc/meminfo that shows the limit. That file is not the kernel's answer.
fn meminfo_is_the_kernels() -> ns_core::Result<Option<Unmet>> {
    let covered = mount::at(None, Path::new("/proc/meminfo"))?.is_some();
    let what = "the kernel's /proc/meminfo: something is mounted over it here";
    Ok(covered.then(|| Unmet::new(what, "run on the host")))
}

/// Has a process run `take` in a cgroup, which has a limit if `limited`.
fn take_within(limited: bool, take: fn() -> ns_core::Result<()>) -> Result<[Fact; 2]> {
    let cgroup = create(Controller("memory"), "limited")?;
    cgroup.forbid_swap()?;
    if limited {
        cgroup.limit(cgroup.file(InterfaceFile::MEMORY), LIMIT)?;
    }
    take_in(&cgroup, take)
}

/// How a process in `cgroup` ends that runs `take`, and how many processes the OOM killer has killed.
pub(crate) fn take_in(cgroup: &Cgroup, take: impl Fn() -> ns_core::Result<()>) -> Result<[Fact; 2]> {
    let mut child = Child::spawn("taker", Namespaces::NONE, move |me| {
        can_be_killed()?;
        me.checkpoint()?;
        take()?;
        me.report("", "survives")
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    let result = child.next(RESULT)?;
    child.wait()?;
    Ok([result, oom_kills(cgroup)?])
}

/// Children inherit oom_score_adj: a negative one protects from the OOM killer, and 1000 chooses the victim. To raise its
/// own a process needs no privilege. Who may not lower it keeps it, and can be killed as well.
fn can_be_killed() -> ns_core::Result<()> {
    match set_oom_score_adj("0") {
        Err(error) if error.errno() == Some(Errno::EACCES) => Ok(()),
        set => set,
    }
}

fn set_oom_score_adj(points: &str) -> ns_core::Result<()> {
    let file = "/proc/self/oom_score_adj";
    fs::write(file, points).named(|| format!("echo {points} > {file}"))
}

/// Like [`take_in`], but the process takes one MiB after the other, and may not swap if `swap_forbidden`. After each MiB
/// memory.reclaim makes the kernel swap. Otherwise the disk may be too slow, and the kernel kills despite swap space.
fn grow_slowly(swap_forbidden: bool) -> Result<[Fact; 2]> {
    let cgroup = create(ControllerV2("memory"), "limited")?;
    cgroup.limit("memory.max", LIMIT)?;
    if swap_forbidden {
        cgroup.limit("memory.swap.max", 0)?;
    }
    let mut child = Child::spawn("taker", Namespaces::NONE, |me| {
        let mut memory = Vec::with_capacity(TOO_MUCH);
        while memory.len() < TOO_MUCH {
            me.checkpoint()?;
            memory.resize(memory.len() + MIB, 1_u8);
            me.report("touched", std::hint::black_box(&memory).len())?;
        }
        me.report("", "survives")
    })?;
    cgroup.join(child.pid())?;
    for _ in 0..TOO_MUCH / MIB {
        child.wake()?;
        let Message::Fact(_) = child.recv()? else { break };
        // EAGAIN where nothing can be swapped out. Then the limit applies.
        let _ = cgroup.write("memory.reclaim", "1M");
    }
    let result = child.next(RESULT)?;
    child.wait()?;
    Ok([result, oom_kills(&cgroup)?])
}

/// How many members of a cgroup the OOM killer has killed.
fn oom_kills(cgroup: &Cgroup) -> Result<Fact> {
    Ok(Fact::outside("oom_kill", Value::Number(i64::try_from(cgroup.oom_kills()?)?)))
}

/// Allocates memory, and writes to each page of it.
pub(crate) fn touch() -> ns_core::Result<()> {
    std::hint::black_box(vec![1_u8; TOO_MUCH]);
    Ok(())
}

/// Where a process reads how much memory there is.
#[derive(Clone, Copy)]
enum Source {
    Limit,
    Meminfo,
}

/// What a process in a limited cgroup reads from `source`.
fn read_within(source: Source) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("memory"), "limited")?;
    let limit = cgroup.file(InterfaceFile::MEMORY);
    cgroup.limit(limit, LIMIT)?;
    let (what, path) = match source {
        Source::Limit => (limit, cgroup.path().join(limit)),
        Source::Meminfo => ("MemTotal of /proc/meminfo", "/proc/meminfo".into()),
    };
    let mut child = Child::spawn("reader", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let text = fs::read_to_string(&path).named(|| format!("cat {}", path.display()))?;
        let bytes = match text.strip_prefix("MemTotal:").and_then(|rest| rest.split_whitespace().next()) {
            Some(kibibytes) => kibibytes.parse().unwrap_or(0) * 1024,
            None => text.trim().parse().unwrap_or(0),
        };
        me.report("shows 8 MiB", bytes == LIMIT)?;
        me.report(what, Value::Name(format!("{} MiB", bytes / MIB)))
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(child.facts()?)
}

/// What a process fills its cgroup with.
#[derive(Clone, Copy)]
enum Pages {
    Own,
    OfAFile,
}

/// How a process ends that takes [`TOO_MUCH`] of these pages where the limit is [`LIMIT`].
fn fill(directory: &Path, pages: Pages) -> Result<[Fact; 2]> {
    let cgroup = create(Controller("memory"), "limited")?;
    cgroup.forbid_swap()?;
    cgroup.limit(cgroup.file(InterfaceFile::MEMORY), LIMIT)?;
    let file = io::nameless(directory, OFlags::empty())?;
    take_in(&cgroup, || match pages {
        Pages::Own => touch(),
        Pages::OfAFile => {
            let block = vec![1_u8; MIB];
            for at in 0..TOO_MUCH / MIB {
                file.write_all_at(&block, (at * MIB) as u64).named(|| "pwrite(file)".into())?;
                // The kernel can free a page at once when the disk has it.
                file.sync_data().named(|| "fdatasync(file)".into())?;
            }
            Ok(())
        }
    })
}

/// Takes kernel memory: pipes full of data.
fn fill_pipes() -> ns_core::Result<()> {
    let mut pipes = Vec::new();
    let mut written = 0;
    while written < TOO_MUCH {
        let (read, write) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).named(|| "pipe()".into())?;
        // The most that an ordinary user may ask for by default (pipe(7)).
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(1 << 20)).named(|| "fcntl(F_SETPIPE_SZ)".into())?;
        let block = [1; 4096];
        // EAGAIN: the pipe is full.
        while let Ok(length) = nix::unistd::write(write.as_fd(), &block) {
            written += length;
        }
        pipes.push((File::from(read), File::from(write)));
    }
    Ok(())
}

/// What is charged to a cgroup for 32 MiB that are allocated, and touched if `touches`.
fn charged_for(touches: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("memory"), "charged")?;
    let mut child = Child::spawn("owner", Namespaces::NONE, move |me| {
        me.checkpoint()?;
        // A page of zeroes does not exist until it is written to.
        let mut memory = std::hint::black_box(vec![0_u8; TOO_MUCH]);
        if touches {
            memory.fill(1);
        }
        me.report("allocated", format!("{} MiB", std::hint::black_box(&memory).len() / MIB))?;
        me.stay()
    })?;
    cgroup.join(child.pid())?;
    let before = in_use(&cgroup)?;
    child.wake()?;
    let allocated = child.fact()?;
    let more = in_use(&cgroup)?.saturating_sub(before);
    Ok(vec![allocated, Fact::outside("charged 32 MiB more", more >= TOO_MUCH)])
}

/// Which cgroup is charged for the memory of a process that moves before or after it touches the memory.
fn charged_to_whom(moves_late: bool) -> Result<[Fact; 2]> {
    let [old, new] = [create(Controller("memory"), "old")?, create(Controller("memory"), "new")?];
    let mut child = Child::spawn("mover", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let memory = std::hint::black_box(vec![1_u8; 16 * MIB]);
        me.report("touched", memory.len())?;
        me.stay()
    })?;
    old.join(child.pid())?;
    if !moves_late {
        new.join(child.pid())?;
    }
    child.wake()?;
    child.fact()?;
    new.join(child.pid())?;
    Ok([
        Fact::outside("16 MiB charged to old", in_use(&old)? >= 16 * MIB),
        Fact::outside("16 MiB charged to new", in_use(&new)? >= 16 * MIB),
    ])
}

const FRUGAL: &str = "end of the idle member";

/// One member takes too much, and another takes nothing. How each ends, with memory.oom.group if `grouped`.
fn take_beside_another(grouped: bool) -> Result<[Fact; 2]> {
    let cgroup = create(ControllerV2("memory"), "limited")?;
    cgroup.forbid_swap()?;
    cgroup.limit("memory.max", LIMIT)?;
    if grouped {
        cgroup.limit("memory.oom.group", 1)?;
    }
    let mut frugal = Child::spawn("frugal", Namespaces::NONE, |me| {
        me.checkpoint()?;
        me.report("", "survives")
    })?;
    cgroup.join(frugal.pid())?;
    // Its oom_kill is not shown: with memory.oom.group the kernel may count the largest process twice.
    let [taker, _] = take_in(&cgroup, touch)?;
    // Fails if the child was killed.
    let _ = frugal.wake();
    Ok([frugal.next(FRUGAL)?, Fact { what: "end of the allocating member".into(), ..taker }])
}

/// Which process is killed first when one takes 28 MiB of 32, and an idle one has 8 MiB. If `adjusted`, the idle one has
/// an oom_score_adj of 1000.
fn take_beside_an_idle_one(adjusted: bool) -> Result<Fact> {
    let cgroup = create(Controller("memory"), "limited")?;
    cgroup.forbid_swap()?;
    cgroup.limit(cgroup.file(InterfaceFile::MEMORY), 32 * MIB)?;
    let mut idle = Child::spawn("idle", Namespaces::NONE, |me| {
        can_be_killed()?;
        if adjusted {
            set_oom_score_adj("1000")?;
        }
        me.checkpoint()?;
        let own = std::hint::black_box(vec![1_u8; 8 * MIB]);
        me.report("has", own.len())?;
        me.checkpoint()?;
        me.report("", "survives")
    })?;
    cgroup.join(idle.pid())?;
    idle.wake()?;
    idle.fact()?;
    let mut taker = Child::spawn("taker", Namespaces::NONE, |me| {
        can_be_killed()?;
        me.checkpoint()?;
        std::hint::black_box(vec![1_u8; 28 * MIB]);
        me.report("", "survives")
    })?;
    cgroup.join(taker.pid())?;
    taker.wake()?;
    let taken = taker.next("after 28 MiB")?.value;
    // Fails if the child was killed.
    let _ = idle.wake();
    let left = idle.next("end of the idle process")?.value;
    // The taker continues until one of the two is killed. If both are, the memory of the idle one was freed too late.
    let killed = Value::from(ExitStatus::Killed(Signal::SIGKILL));
    let first = match (left == killed, taken == killed) {
        (true, _) => "the idle process",
        (false, true) => "the larger process",
        (false, false) => "none",
    };
    Ok(Fact::outside("killed first", first))
}

/// A process grows a little past 32 MiB. That is memory.high if `limited`.
fn grow_a_little(limited: bool) -> Result<Vec<Fact>> {
    let cgroup = create(ControllerV2("memory"), "limited")?;
    cgroup.forbid_swap()?;
    if limited {
        cgroup.limit("memory.high", TOO_MUCH)?;
    }
    // Only a little: the further a process is past memory.high, the longer it waits, up to two seconds at a time.
    let mut facts = Vec::from(take_in(&cgroup, touch)?);
    let high = cgroup.flat_keyed("memory.events")?.get("high").copied().unwrap_or(0);
    facts.push(Fact::outside("memory.events counts high", high > 0));
    Ok(facts)
}

fn in_use(cgroup: &Cgroup) -> Result<usize> {
    Ok(cgroup.read(cgroup.file(InterfaceFile::MEMORY_NOW))?.parse()?)
}
