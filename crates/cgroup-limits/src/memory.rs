//! memory: what a cgroup is charged for, and what happens when it is too much.
//!
//! What is killed here is always a child of ours, in a cgroup of ours, for a limit of a few mebibytes.

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
use ns_core::{Child, ExitStatus, Fact, Message, Named, Namespaces, Signal, Value, mount};
use rustix::fs::OFlags;

use crate::cgroups::{create, show_version};
use crate::io::{self, A_DISK};
use crate::requirements::{MEMORY, MEMORY_V2};
use crate::swap::{self, Swap};

pub(crate) const MIB: usize = 1 << 20;
/// A limit that a small process fits in, and a need that does not.
const LIMIT: usize = 8 * MIB;
const TOO_MUCH: usize = 32 * MIB;

/// What becomes of a process that takes [`TOO_MUCH`].
pub(crate) const RESULT: &str = "after 32 MiB";

/// A limit of a cgroup above leaves room for what the steps take. Looked up and not tried: there the OOM killer could choose
/// whom it likes.
pub(crate) const ROOM: Requirement = Requirement::Probe(room_for_all);

const TOUCHED: Claim = Claim::holds(
    "memory-touched",
    "memory: what is charged is what was touched, page by page, and not what was asked for.",
)
.factor("a write to every page")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM]);
const MAX: Claim = Claim::holds(
    "memory-max",
    "memory: the only process of a cgroup, if it touches more than memory.max, is killed by SIGKILL; no call fails.",
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
        wrong("malloc() or mmap() fails with ENOMEM", "ulimit -v does so, and the manual page of malloc() says it"),
        wrong("SIGSEGV", "it touches memory that it may not have"),
        wrong("it waits until there is memory", "memory.high does slow it down"),
    ],
);
const COUNTED: Claim = Claim::holds(
    "memory-counted",
    "The OOM killer did it, and the cgroup says so: a kill is counted as oom_kill in memory.events.",
)
.factor("memory.max")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM]);
const KERNEL: Claim = Claim::holds(
    "memory-kernel",
    "Kernel memory counts as well: a process that fills pipes past memory.max is killed, without a page of its own.",
)
.factor("memory.max")
.notes(&[45])
.requires(&[MEMORY, ROOM, Requirement::Probe(kernel_memory_is_counted)]);
const VICTIM: Claim = Claim::holds(
    "memory-victim",
    "The OOM killer picks by size and oom_score_adj: at 1000 an idle member is killed before one that takes more.",
)
.factor("oom_score_adj of 1000 for the idle one")
.notes(&[45])
.requires(&[MEMORY, ROOM]);
const RECLAIMED: Claim = Claim::holds(
    "memory-reclaimed",
    "Before anyone is killed, the page cache is reclaimed: a process writes 32 MiB to a file within 8 MiB.",
)
.factor("pages of a file instead of its own")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY, ROOM, A_DISK]);
const MEMINFO: Claim = Claim::holds(
    "meminfo",
    "/proc/meminfo knows no limit: read inside a cgroup of 8 MiB, MemTotal is the whole machine's.",
)
.factor("/proc/meminfo instead of memory.max")
.notes(&[45])
.requires(&[MEMORY, Requirement::Probe(meminfo_is_the_kernels)]);

pub(crate) const LIMIT_MEMORY: Step = Step {
    title: "memory: limit a cgroup to 8 MiB, and touch 32 MiB in it: a process's own, then the kernel's.",
    calls: &["write(\"…/memory.max\", \"8388608\")", "mmap()", "write(pipe)", "read(\"…/memory.events\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; head -c 32M /dev/zero | tail -c 32M >/dev/null; echo $?'; grep '^oom_kill ' new/memory.events; rmdir new").as_root().prints("Killed\n137\noom_kill 1"), ],
    claims: &[TOUCHED, MAX, COUNTED, KERNEL],
    run: |lab| {
        show_version(lab, "memory")?;
        // A shell has to fit in.
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
    title: "From a cgroup that is limited to 8 MiB, ask how much memory there is: its limit, then /proc/meminfo.",
    calls: &["read(\"…/memory.max\")", "read(\"/proc/meminfo\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; sh -c 'echo $$ > new/cgroup.procs; head -n 1 /proc/meminfo'; cat new/memory.max; rmdir new").as_root().prints("MemTotal: … kB\n8388608").in_the_same_shell(), ],
    claims: &[MEMINFO],
    run: |lab| {
        lab.compare(MEMINFO, Source::Limit, Source::Meminfo, read_within)?
            .shows(inside("it says 8 MiB").is("no"))
    },
};

pub(crate) const CHOOSE_A_VICTIM: Step = Step {
    title: "Fill a cgroup with pages of a file, and then with those of two processes. Who is killed, if anyone?",
    calls: &["write(file)", "fdatasync(file)", "write(\"/proc/PID/oom_score_adj\", \"1000\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file bs=1M count=32 oflag=dsync 2>&1 | tail -n 1'; rm /var/tmp/file; grep '^oom_kill ' new/memory.events").as_root().prints("33554432 bytes (34 MB, 32 MiB) copied, …\noom_kill 0"), hand("echo 32M > new/memory.max; sh -c 'echo $$ > new/cgroup.procs; echo 1000 > /proc/self/oom_score_adj; a=$(head -c 8M /dev/zero | tr \"\\0\" x); kill -STOP $$' &").as_root().prints(""), hand("sleep 1; sh -c 'echo $$ > new/cgroup.procs; head -c 28M /dev/zero | tail -c 28M | wc -c'; grep '^oom_kill ' new/memory.events; sleep 1; rmdir new").as_root().prints("29360128\noom_kill 1"), ],
    claims: &[RECLAIMED, VICTIM],
    run: |lab| {
        if let Some((directory, _)) = io::disk() {
            lab.compare(RECLAIMED, Pages::Own, Pages::OfAFile, |pages| fill(&directory, pages))?
                .shows(inside(RESULT).from("killed by SIGKILL").to("lives on"))?;
        }
        lab.compare(VICTIM, false, true, take_beside_an_idle_one)?
            .shows(outside("who is killed first").is("the idle one"))
    },
};

const STAYS: Claim = Claim::holds(
    "memory-stays",
    "A page is charged to the cgroup in which it was touched first, and stays so when the process moves.",
)
.factor("a move after the touch")
.more(&[114])
.requires(&[MEMORY, ROOM]);

pub(crate) const MOVE_AN_OWNER: Step = Step {
    title: "Let a process touch 16 MiB, and move it to another cgroup before or after that.",
    calls: &["write(\"…/new/cgroup.procs\", \"PID\")", "read(\"…/memory.current\")"],
    by_hand: &[],
    claims: &[STAYS],
    run: |lab| {
        lab.compare(STAYS, false, true, charged_to_whom)?.shows(
            outside("16 MiB are charged to the old one").is("yes")
                & outside("16 MiB are charged to the new one").is("no"),
        )
    },
};

const GROUP: Claim = Claim::holds(
    "memory-group",
    "With memory.oom.group the OOM killer kills the whole cgroup: a member that took nothing dies too.",
)
.factor("memory.oom.group")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, ROOM]);
const HIGH: Claim = Claim::holds(
    "memory-high",
    "memory.high kills nobody: past it a process goes on, and memory.events counts `high`.",
)
.factor("memory.high")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, ROOM]);

pub(crate) const ANSWER_OTHERWISE: Step = Step {
    title: "Ask for other answers than to kill the largest: memory.oom.group, memory.high.",
    calls: &["write(\"…/memory.oom.group\", \"1\")", "write(\"…/memory.high\", \"32M\")"],
    by_hand: &[hand("mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max; echo 1 > new/memory.oom.group").as_root().prints("").in_the_same_shell(), hand("sh -c 'echo $$ > new/cgroup.procs; head -c 32M /dev/zero | tail -c 32M; echo never said'; grep oom_ new/memory.events; rmdir new").as_root().prints("oom_kill …\noom_group_kill 1"), hand("mkdir new; echo 16M > new/memory.high; sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file bs=1M count=64 2>/dev/null'").as_root().prints(""), hand("cat new/memory.current; grep -E '^(high|oom_kill) ' new/memory.events; rm /var/tmp/file; rmdir new").as_root().prints("1…\nhigh …\noom_kill 0"), ],
    claims: &[GROUP, HIGH],
    run: |lab| {
        lab.compare(GROUP, false, true, take_beside_another)?
            .shows(inside(FRUGAL).is("killed by SIGKILL"))?;
        lab.compare(HIGH, false, true, grow_a_little)?.shows(
            inside(RESULT).is("lives on")
                & outside("memory.events counts high").is("yes")
                & outside("oom_kill").is(0),
        )
    },
};

const SWAP: Claim = Claim::holds(
    "memory-swap",
    "memory.max counts no swap: with space there a process outgrows it, unless memory.swap.max forbids.",
)
.factor("memory.swap.max of 0")
.notes(&[45])
.more(&[113])
.requires(&[MEMORY_V2, Requirement::ThrowAway, Requirement::Probe(swap::missing)]);

pub(crate) const OUTGROW_INTO_SWAP: Step = Step {
    title: "Give the machine swap space, and let a process outgrow memory.max: with swap allowed to it, and forbidden.",
    calls: &["swapon()", "write(\"…/memory.swap.max\", \"0\")", "write(\"…/memory.reclaim\", \"1M\")"],
    by_hand: &[],
    claims: &[SWAP],
    run: |lab| {
        let _space = Swap::on(2 * TOO_MUCH)?;
        lab.compare(SWAP, false, true, grow_slowly)?.shows(inside(RESULT).is("killed by SIGKILL"))
    },
};

/// What the steps take at once, and a little more.
const NEEDED: usize = 48 * MIB;

fn room_for_all() -> ns_core::Result<Option<Unmet>> {
    probe::memory(NEEDED)
}

/// Machines were started so that memory of the kernel's is not charged to cgroups.
fn kernel_memory_is_counted() -> ns_core::Result<Option<Unmet>> {
    let line = fs::read_to_string("/proc/cmdline").named(|| "cat /proc/cmdline".into())?;
    let off =
        line.split_whitespace().any(|word| word.starts_with("cgroup.memory=") && word.contains("nokmem"));
    let what = "kernel memory in cgroups: this machine was booted with cgroup.memory=nokmem";
    Ok(off.then(|| Unmet::new(what, "boot without that option")))
}

/// LXC and others mount a file over it that shows the limit: theirs, and no answer of the kernel's.
fn meminfo_is_the_kernels() -> ns_core::Result<Option<Unmet>> {
    let covered = mount::at(None, Path::new("/proc/meminfo"))?.is_some();
    let what = "the kernel's /proc/meminfo: something is mounted over it here";
    Ok(covered.then(|| Unmet::new(what, "run on the host")))
}

/// Takes memory in a cgroup that is limited, or not.
fn take_within(limited: bool, take: fn() -> ns_core::Result<()>) -> Result<[Fact; 2]> {
    let cgroup = create(Controller("memory"), "limited")?;
    cgroup.forbid_swap()?;
    if limited {
        cgroup.limit(cgroup.file(InterfaceFile::MEMORY), LIMIT)?;
    }
    take_in(&cgroup, take)
}

/// What becomes of a process that does `take` in `cgroup`, and how often the OOM killer has killed.
pub(crate) fn take_in(cgroup: &Cgroup, take: impl Fn() -> ns_core::Result<()>) -> Result<[Fact; 2]> {
    let mut child = Child::spawn("taker", Namespaces::NONE, move |me| {
        can_be_killed()?;
        me.checkpoint()?;
        take()?;
        me.report("", "lives on")
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    let result = child.next(RESULT)?;
    child.wait()?;
    Ok([result, oom_kills(cgroup)?])
}

/// Whoever was started with a negative oom_score_adj has protection from the OOM killer, which children inherit. It can
/// be given up by anybody.
fn can_be_killed() -> ns_core::Result<()> {
    let file = "/proc/self/oom_score_adj";
    let text = fs::read_to_string(file).named(|| format!("cat {file}"))?;
    if text.starts_with('-') { fs::write(file, "0").named(|| format!("echo 0 > {file}")) } else { Ok(()) }
}

/// As [`take_in`] one that takes a MiB after the other, where it may not swap, or may. After each the kernel is told to
/// make room (memory.reclaim): left to itself it may find the disk too slow, and kill though there is swap space.
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
        me.report("", "lives on")
    })?;
    cgroup.join(child.pid())?;
    for _ in 0..TOO_MUCH / MIB {
        child.wake()?;
        let Message::Fact(_) = child.recv()? else { break };
        // EAGAIN where nothing could be swapped out: then the limit will tell.
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

/// Takes memory of its own, and writes to each page of it.
pub(crate) fn touch() -> ns_core::Result<()> {
    std::hint::black_box(vec![1_u8; TOO_MUCH]);
    Ok(())
}

/// Where a process looks for how much memory there is.
#[derive(Clone, Copy)]
enum Source {
    Limit,
    Meminfo,
}

/// What a process in a limited cgroup reads there.
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
        me.report("it says 8 MiB", bytes == LIMIT)?;
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

/// What becomes of a process that takes [`TOO_MUCH`] of those pages within [`LIMIT`].
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
                // What the disk has can be taken back at once.
                file.sync_data().named(|| "fdatasync(file)".into())?;
            }
            Ok(())
        }
    })
}

/// Takes memory that only the kernel can reach: pipes full of data.
fn fill_pipes() -> ns_core::Result<()> {
    let mut pipes = Vec::new();
    let mut written = 0;
    while written < TOO_MUCH {
        let (read, write) =
            nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).named(|| "pipe()".into())?;
        // The most that an ordinary user may ask for by default (pipe(7)).
        fcntl(&write, FcntlArg::F_SETPIPE_SZ(1 << 20)).named(|| "fcntl(F_SETPIPE_SZ)".into())?;
        let block = [1; 4096];
        // Full is EAGAIN.
        while let Ok(length) = nix::unistd::write(write.as_fd(), &block) {
            written += length;
        }
        pipes.push((File::from(read), File::from(write)));
    }
    Ok(())
}

/// What is charged to a cgroup for 32 MiB that are asked for, and then touched or not.
fn charged_for(touches: bool) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("memory"), "charged")?;
    let mut child = Child::spawn("owner", Namespaces::NONE, move |me| {
        me.checkpoint()?;
        // Zeroes that nobody wrote are not there yet.
        let mut memory = std::hint::black_box(vec![0_u8; TOO_MUCH]);
        if touches {
            memory.fill(1);
        }
        me.report("asked for", format!("{} MiB", std::hint::black_box(&memory).len() / MIB))?;
        me.stay()
    })?;
    cgroup.join(child.pid())?;
    let before = in_use(&cgroup)?;
    child.wake()?;
    let asked = child.fact()?;
    let more = in_use(&cgroup)?.saturating_sub(before);
    Ok(vec![asked, Fact::outside("charged 32 MiB more", more >= TOO_MUCH)])
}

/// To whom the memory is charged of a process that moves before it touches it, or after.
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
        Fact::outside("16 MiB are charged to the old one", in_use(&old)? >= 16 * MIB),
        Fact::outside("16 MiB are charged to the new one", in_use(&new)? >= 16 * MIB),
    ])
}

const FRUGAL: &str = "end of the one that takes nothing";

/// One that takes too much, and one beside it that takes nothing: what becomes of the second, with memory.oom.group or
/// without.
fn take_beside_another(grouped: bool) -> Result<[Fact; 2]> {
    let cgroup = create(ControllerV2("memory"), "limited")?;
    cgroup.forbid_swap()?;
    cgroup.limit("memory.max", LIMIT)?;
    if grouped {
        cgroup.limit("memory.oom.group", 1)?;
    }
    let mut frugal = Child::spawn("frugal", Namespaces::NONE, |me| {
        me.checkpoint()?;
        me.report("", "lives on")
    })?;
    cgroup.join(frugal.pid())?;
    // Of its count nothing is shown: with the group the kernel may count the largest twice.
    let [taker, _] = take_in(&cgroup, touch)?;
    // Who was killed hears no more of it.
    let _ = frugal.wake();
    Ok([frugal.next(FRUGAL)?, Fact { what: "end of the one that takes too much".into(), ..taker }])
}

/// Who is killed when one takes 28 MiB of 32, beside an idle one that has 8 already, with oom_score_adj at 1000 or not.
fn take_beside_an_idle_one(adjusted: bool) -> Result<Fact> {
    let cgroup = create(Controller("memory"), "limited")?;
    cgroup.forbid_swap()?;
    cgroup.limit(cgroup.file(InterfaceFile::MEMORY), 32 * MIB)?;
    let file = "/proc/self/oom_score_adj";
    let adjust = |points: &str| fs::write(file, points).named(|| format!("echo {points} > {file}"));
    let mut idle = Child::spawn("idle", Namespaces::NONE, |me| {
        can_be_killed()?;
        if adjusted {
            adjust("1000")?;
        }
        me.checkpoint()?;
        let own = std::hint::black_box(vec![1_u8; 8 * MIB]);
        me.report("has", own.len())?;
        me.checkpoint()?;
        me.report("", "lives on")
    })?;
    cgroup.join(idle.pid())?;
    idle.wake()?;
    idle.fact()?;
    let mut taker = Child::spawn("taker", Namespaces::NONE, |me| {
        can_be_killed()?;
        me.checkpoint()?;
        std::hint::black_box(vec![1_u8; 28 * MIB]);
        me.report("", "lives on")
    })?;
    cgroup.join(taker.pid())?;
    taker.wake()?;
    let taken = taker.next("after 28 MiB")?.value;
    // Who was killed hears no more of it.
    let _ = idle.wake();
    let left = idle.next("end of the idle one")?.value;
    // The taker goes on until one of the two is killed. Where both are, the idle one's memory came back too late.
    let killed = Value::from(ExitStatus::Killed(Signal::SIGKILL));
    let first = match (left == killed, taken == killed) {
        (true, _) => "the idle one",
        (false, true) => "the one that takes 28 MiB",
        (false, false) => "nobody",
    };
    Ok(Fact::outside("who is killed first", first))
}

/// A process that grows a little past 32 MiB, where that is memory.high, or nothing is.
fn grow_a_little(limited: bool) -> Result<Vec<Fact>> {
    let cgroup = create(ControllerV2("memory"), "limited")?;
    cgroup.forbid_swap()?;
    if limited {
        cgroup.limit("memory.high", TOO_MUCH)?;
    }
    // Little, because the further it is past the limit the longer it has to wait: up to two seconds at a time.
    let mut facts = Vec::from(take_in(&cgroup, touch)?);
    let high = cgroup.flat_keyed("memory.events")?.get("high").copied().unwrap_or(0);
    facts.push(Fact::outside("memory.events counts high", high > 0));
    Ok(facts)
}

fn in_use(cgroup: &Cgroup) -> Result<usize> {
    Ok(cgroup.read(cgroup.file(InterfaceFile::MEMORY_NOW))?.parse()?)
}
