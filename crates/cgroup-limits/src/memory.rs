//! memory: what a cgroup is charged for, and what happens when it is too much.
//!
//! What is killed here is always a child of ours, in a cgroup of ours, for a limit of a few mebibytes.

use std::fs::File;
use std::os::fd::AsFd;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use ns_core::cgroup::{Cgroup, Knob, Place, Want};
use ns_core::swap::{self, Swap};
use ns_core::{Child, Fact, Named, Namespaces, Value, Witness};

use crate::{MEMORY, MEMORY_V2, find};

pub(crate) const MIB: usize = 1 << 20;
/// A limit that a small process fits in, and a need that does not.
const LIMIT: usize = 8 * MIB;
const TOO_MUCH: usize = 32 * MIB;

pub(crate) const TOUCHED: Claim = Claim::holds(
    "memory-touched",
    "memory: what is charged is what was touched, page by page, and not what was asked for.",
)
.cause("a write to every page")
.notes(&[45])
.more(&[113])
.needs(&[MEMORY]);
pub(crate) const MAX: Claim = Claim::holds(
    "memory-max",
    "memory: whoever touches more than memory.max is killed by SIGKILL; no call fails.",
)
.cause("memory.max")
.notes(&[45])
.more(&[113])
.needs(&[MEMORY]);
pub(crate) const COUNTED: Claim = Claim::holds(
    "memory-counted",
    "The cgroup says who did it: the kernel's OOM killer counts a kill as oom_kill in memory.events.",
)
.cause("memory.max")
.notes(&[45])
.more(&[113])
.needs(&[MEMORY]);
pub(crate) const KERNEL: Claim = Claim::holds(
    "memory-kernel",
    "Memory of the kernel's counts as well: whoever fills pipes past memory.max is killed, without a page of its own.",
)
.cause("memory.max")
.notes(&[45])
.needs(&[MEMORY]);
pub(crate) const STAYS: Claim = Claim::holds(
    "memory-stays",
    "A page is charged to the cgroup in which it was touched first, and stays so when the process moves.",
)
.cause("a move after the touch")
.more(&[114])
.needs(&[MEMORY]);
pub(crate) const GROUP: Claim = Claim::holds(
    "memory-group",
    "With memory.oom.group the OOM killer kills all of the cgroup, those too that took nothing.",
)
.cause("memory.oom.group")
.notes(&[45])
.more(&[113])
.needs(&[MEMORY_V2]);
pub(crate) const HIGH: Claim = Claim::holds(
    "memory-high",
    "memory.high kills nobody: past it a process goes on, slowed, and memory.events counts `high`.",
)
.cause("memory.high")
.notes(&[45])
.more(&[113])
.needs(&[MEMORY_V2]);
pub(crate) const SWAP: Claim = Claim::holds(
    "memory-swap",
    "memory.max counts no swap: with space there a process outgrows it, unless memory.swap.max forbids.",
)
.cause("memory.swap.max of 0")
.notes(&[45])
.more(&[113])
.needs(&[MEMORY_V2, Need::ThrowAway, Need::Probe(swap::missing)]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "memory: limit a cgroup to 8 MiB, and touch 32 MiB in it: a process's own, then the kernel's.",
        calls: &["write(\"…/memory.max\", \"8388608\")", "mmap()", "write(pipe)", "read(\"…/memory.events\")"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O memory); cd ${v1:-$v2}; mkdir new; test -n \"$v1\" && max=memory.limit_in_bytes || max=memory.max",
            "echo 8M > new/$max; swapoff --all  # or, on version 2: echo 0 > new/memory.swap.max",
            "sh -c 'echo $$ > new/cgroup.procs; head -c 32M /dev/zero | tail -c 32M | wc -c'; grep -rs ^oom_kill new; rmdir new",
        ],
    })?;
    if lab.can_ask(&[TOUCHED, MAX, COUNTED, KERNEL, STAYS])? {
        let place = find(Want::Controller("memory"))?;
        lab.saw(Fact::outside("memory: the version of the cgroup", place.version().to_string()))?;
        lab.claim(TOUCHED)
            .without(charged(&place, false)?)
            .with(charged(&place, cause(true, false))?)
            .shows(|it| it.outside("charged 32 MiB more").is_some_and(|it| *it == "yes"))?;
        let eats = |limited: bool, eat: fn(&mut Witness) -> ns_core::Result<()>| -> Result<Vec<Fact>> {
            let cgroup = place.create("limited")?;
            cgroup.forbid_swap()?;
            if limited {
                cgroup.limit(cgroup.file(Knob::MEMORY), LIMIT)?;
            }
            fate_of(&cgroup, eat)
        };
        let (free, limited) = (eats(false, touch)?, eats(true, touch)?);
        lab.claim(MAX)
            .without(free.clone())
            .with(limited.clone())
            .shows(|it| it.inside("end").is_some_and(|end| *end == "killed by SIGKILL"))?;
        lab.claim(COUNTED)
            .without(free)
            .with(limited)
            .shows(|it| it.outside("oom_kill").is_some_and(|count| *count == 1))?;
        lab.claim(KERNEL)
            .without(eats(false, fill_pipes)?)
            .with(eats(true, fill_pipes)?)
            .shows(|it| it.inside("end").is_some_and(|end| *end == "killed by SIGKILL"))?;
        lab.step(Step {
            goal: "Let a process touch 16 MiB, and move it to another cgroup before or after that.",
            calls: &["write(\"…/new/cgroup.procs\", \"PID\")", "read(\"…/memory.current\")"],
            by_hand: &[],
        })?;
        lab.claim(STAYS).without(whose(&place, false)?).with(whose(&place, cause(true, false))?).shows(
            |it| {
                it.outside("16 MiB are charged to the old one").is_some_and(|it| *it == "yes")
                    && it.outside("16 MiB are charged to the new one").is_some_and(|it| *it == "no")
            },
        )?;
    }
    lab.step(Step {
        goal: "Ask for other answers than to kill the largest: memory.oom.group, memory.high, swap.",
        calls: &["write(\"…/memory.oom.group\", \"1\")", "write(\"…/memory.high\", \"32M\")", "swapon()"],
        by_hand: &[
            "cd $v2; mkdir new; echo 8M > new/memory.max; echo 0 > new/memory.swap.max; echo 1 > new/memory.oom.group",
            "sh -c 'echo $$ > new/cgroup.procs; head -c 32M /dev/zero | tail -c 32M; echo never said'; cat new/memory.events; rmdir new",
            "mkdir new; echo 16M > new/memory.high; sh -c 'echo $$ > new/cgroup.procs; dd if=/dev/zero of=/var/tmp/file bs=1M count=64'",
            "cat new/memory.current new/memory.events; rm /var/tmp/file; rmdir new",
        ],
    })?;
    if lab.can_ask(&[GROUP, HIGH])? {
        let place = find(Want::ControllerV2("memory"))?;
        lab.claim(GROUP)
            .without(two_of(&place, false)?)
            .with(two_of(&place, true)?)
            .shows(|it| it.inside(FRUGAL).is_some_and(|end| *end == "killed by SIGKILL"))?;
        lab.claim(HIGH).without(grown(&place, false)?).with(grown(&place, true)?).shows(|it| {
            it.inside("touched").is_some()
                && it.outside("memory.events counts high").is_some_and(|it| *it == "yes")
                && it.outside("oom_kill").is_some_and(|count| *count == 0)
        })?;
    }
    if lab.can_ask(&[SWAP])? {
        let place = find(Want::ControllerV2("memory"))?;
        let _space = Swap::on(2 * TOO_MUCH)?;
        let outgrows = |forbidden: bool| -> Result<Vec<Fact>> {
            let cgroup = place.create("limited")?;
            cgroup.write("memory.max", &LIMIT.to_string())?;
            if forbidden {
                cgroup.limit("memory.swap.max", 0)?;
            }
            grow_slowly(&cgroup)
        };
        lab.claim(SWAP)
            .without(outgrows(false)?)
            .with(outgrows(true)?)
            .shows(|it| it.inside("end").is_some_and(|end| *end == "killed by SIGKILL"))?;
    }
    Ok(())
}

/// What becomes of a process that does `eat` in `cgroup`, and how often that was a kill.
pub(crate) fn fate_of(cgroup: &Cgroup, eat: fn(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("eater", Namespaces::NONE, move |me| {
        me.pause()?;
        eat(me)
    })?;
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    child.release()?;
    let mut facts = child.hear_all()?;
    child.wait()?;
    facts.push(Fact::outside("oom_kill", Value::Number(i64::try_from(cgroup.oom_kills()?)?)));
    Ok(facts)
}

/// As [`fate_of`] one that takes a MiB after the other. After each the kernel is told to make room (memory.reclaim):
/// left to itself it may find the disk too slow, and kill though there is swap space.
fn grow_slowly(cgroup: &Cgroup) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("eater", Namespaces::NONE, |me| {
        let mut memory = Vec::with_capacity(TOO_MUCH);
        while memory.len() < TOO_MUCH {
            me.pause()?;
            memory.resize(memory.len() + MIB, 1_u8);
            me.saw("touched", format!("{} MiB", std::hint::black_box(&memory).len() / MIB))?;
        }
        Ok(())
    })?;
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    let mut last = Fact::outside("touched", "nothing");
    for _ in 0..TOO_MUCH / MIB {
        child.release()?;
        last = child.hear()?;
        if last.what != "touched" {
            break;
        }
        // EAGAIN where nothing could be swapped out: then the limit will tell.
        let _ = cgroup.write("memory.reclaim", "1M");
    }
    child.wait()?;
    Ok(vec![last, Fact::outside("oom_kill", Value::Number(i64::try_from(cgroup.oom_kills()?)?))])
}

/// Takes memory of its own, and writes to each page of it.
pub(crate) fn touch(me: &mut Witness) -> ns_core::Result<()> {
    let memory = std::hint::black_box(vec![1_u8; TOO_MUCH]);
    me.saw("touched", format!("{} MiB", memory.len() / MIB))
}

/// Takes memory that only the kernel can reach: pipes full of data.
fn fill_pipes(me: &mut Witness) -> ns_core::Result<()> {
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
    me.saw("written to pipes", format!("{} MiB", written / MIB))
}

/// What is charged to a cgroup for 32 MiB that are asked for, and then touched or not.
fn charged(place: &Place, touches: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("charged")?;
    let mut child = Child::spawn("owner", Namespaces::NONE, move |me| {
        me.pause()?;
        // Zeroes that nobody wrote are not there yet.
        let mut memory = std::hint::black_box(vec![0_u8; TOO_MUCH]);
        if touches {
            memory.fill(1);
        }
        me.saw("asked for", format!("{} MiB", std::hint::black_box(&memory).len() / MIB))?;
        me.stay()
    })?;
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    let before = in_use(&cgroup)?;
    child.release()?;
    let asked = child.hear()?;
    let more = in_use(&cgroup)?.saturating_sub(before);
    Ok(vec![asked, Fact::outside("charged 32 MiB more", more >= TOO_MUCH)])
}

/// To whom the memory is charged of a process that moves before it touches it, or after.
fn whose(place: &Place, moves_late: bool) -> Result<[Fact; 2]> {
    let (old, new) = (place.create("old")?, place.create("new")?);
    let mut child = Child::spawn("mover", Namespaces::NONE, |me| {
        me.pause()?;
        let memory = std::hint::black_box(vec![1_u8; 16 * MIB]);
        me.saw("touched", memory.len())?;
        me.stay()
    })?;
    let pid = child.pid().to_string();
    old.write("cgroup.procs", &pid)?;
    if !moves_late {
        new.write("cgroup.procs", &pid)?;
    }
    child.release()?;
    child.hear()?;
    new.write("cgroup.procs", &pid)?;
    Ok([
        Fact::outside("16 MiB are charged to the old one", in_use(&old)? >= 16 * MIB),
        Fact::outside("16 MiB are charged to the new one", in_use(&new)? >= 16 * MIB),
    ])
}

const FRUGAL: &str = "end of the one that takes nothing";

/// One that takes too much, and one beside it that takes nothing: what becomes of the second.
fn two_of(place: &Place, together: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("limited")?;
    cgroup.forbid_swap()?;
    cgroup.write("memory.max", &LIMIT.to_string())?;
    if together {
        cgroup.limit("memory.oom.group", 1)?;
    }
    let mut frugal = Child::spawn("frugal", Namespaces::NONE, |me| {
        me.pause()?;
        me.saw("end", "none: it lives on")
    })?;
    cgroup.write("cgroup.procs", &frugal.pid().to_string())?;
    // Of its count nothing is shown: with the group the kernel may count the largest twice.
    let mut facts = fate_of(&cgroup, touch)?;
    facts.retain(|fact| fact.what == "end");
    facts.iter_mut().for_each(|fact| fact.what = "end of the one that takes too much".into());
    // Who was killed hears no more of it.
    let _ = frugal.release();
    let last = frugal.hear()?;
    facts.insert(0, Fact { what: FRUGAL.into(), ..last });
    Ok(facts)
}

/// A process that grows a little past 32 MiB.
fn grown(place: &Place, limited: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("limited")?;
    cgroup.forbid_swap()?;
    if limited {
        cgroup.limit("memory.high", TOO_MUCH)?;
    }
    // Little, because the further it is past the limit the longer it has to wait: up to two seconds at a time.
    let mut facts = fate_of(&cgroup, touch)?;
    let high = cgroup.flat_keyed("memory.events")?.get("high").copied().unwrap_or(0);
    facts.push(Fact::outside("memory.events counts high", high > 0));
    Ok(facts)
}

fn in_use(cgroup: &Cgroup) -> Result<usize> {
    Ok(cgroup.read(cgroup.file(Knob::MEMORY_NOW))?.parse()?)
}
