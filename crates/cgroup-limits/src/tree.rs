//! The limits of a cgroup and its ancestors: what the file reads, and which limit applies.

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Requirement, Row, Step, first, hand, inside, outside, right, wrong};
use nix::unistd::{SysconfVar, sysconf};
use ns_core::cgroup::CgroupRequest::Controller;
use ns_core::cgroup::{Cgroup, CgroupParent, InterfaceFile, Version};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, Value};

use crate::cgroups::{Pair, create};
use crate::cpu::allowed;
use crate::memory::{self, MIB, RESULT, take_in, touch};
use crate::pids::{ROOM, forked_in};
use crate::requirements::{CPU, CPUSET_V2, MEMORY, PIDS};

const CANNOT_EXCEED: Claim =
    Claim::refuted("cannot-exceed", "The limit of a cgroup cannot exceed its parent's limit.", "least")
        .factor("50 instead of 3, where 4 is above")
        .notes(&[51])
        .more(&[115])
        .requires(&[PIDS])
        .arms("3 below", "50 below")
        .core(&[Row::first("write, 4 above")])
        .asks(
            "pids.max of a cgroup is 4. 50 is written to pids.max of its child. What happens?",
            &[
                right("the write succeeds, and the file reads 50"),
                wrong("the write fails with EINVAL", "version 1 refuses some limits with EINVAL"),
                wrong(
                    "the write succeeds, and the file reads 4",
                    "a limit without effect looks like a mistake that the kernel would correct",
                ),
            ],
        );
const LEAST: Claim = Claim::holds(
    "least",
    "A pids.max larger than the parent's is accepted, but has no effect: the strictest ancestor limit applies.",
)
.factor("pids.max of the parent")
.notes(&[51])
.more(&[115])
.requires(&[PIDS, ROOM])
.arms("max above", "4 above")
.core(&[
    Row::outside("pids.max below", "cat below/pids.max"),
    Row::inside("6 forks below", "fork()"),
])
.asks(
    "pids.max reads 4 in a cgroup, and 50 in its child. How many processes can the child have?",
    &[
        right("four, as the parent allows"),
        wrong("50", "the processes are members of the child, and its file says 50"),
        wrong("54", "the two limits look like separate quotas, which add up"),
        wrong("none, until the two agree", "a limit above the parent's looks like a mistake"),
    ],
);
const LEAST_MEMORY: Claim = Claim::holds(
    "least-memory",
    "Where memory.max is 1 GiB and the parent's is 8 MiB, a process that touches 32 MiB is killed.",
)
.factor("memory.max of the parent")
.notes(&[51])
.requires(&[MEMORY, memory::ROOM]);
const CPUS: Claim = Claim::holds(
    "least-cpus",
    "cpuset.cpus reads as written; cpuset.cpus.effective has only those CPUs that the parent has too.",
)
.factor("cpuset.cpus of the parent")
.notes(&[41, 51])
.requires(&[CPUSET_V2, Requirement::Probe(two_neighbours)]);

pub(crate) const GIVE_MORE_BELOW: Step = Step {
    title: "Create a cgroup called above, and its child called below. Give the child the larger limit, read it back, and exceed both.",
    calls: &["write(\"…/above/pids.max\", \"4\")", "write(\"…/above/below/pids.max\", \"50\")", "fork()"],
    by_hand: &[hand("mkdir -p new/below; echo +pids > new/cgroup.subtree_control; echo 4 > new/pids.max; echo 50 > new/below/pids.max; cat new/below/pids.max").as_root().prints("50").in_the_same_shell(), hand("sh -c 'echo $$ > new/below/cgroup.procs; for i in 1 2 3 4; do sleep 1 & done'; sleep 2; rmdir new/below new").as_root().prints("…: Cannot fork"), ],
    claims: &[CANNOT_EXCEED, LEAST, LEAST_MEMORY, CPUS],
    run: |lab| {
        // The sentence would hold if a larger limit were refused.
        lab.compare(CANNOT_EXCEED, 3, 50, give_below)?.shows(first().from("OK").to("EINVAL"))?;
        lab.compare(LEAST, false, true, fork_below)?
            .in_both_arms(outside("cat below/pids.max").is("50"))
            .shows(inside("fork()").is("EAGAIN"))?;
        draw(lab)?;
        lab.compare(LEAST_MEMORY, false, true, take_below)?.shows(inside(RESULT).is("killed by SIGKILL"))?;
        lab.compare(CPUS, false, true, read_effective_cpus)?
            .in_both_arms(outside("cpuset.cpus is as written").is("yes"))
            .shows(outside("effective CPUs are the parent's").is("yes"))?;
        show_more_below(lab)
    },
};

const ROUNDED: Claim = Claim::holds(
    "rounded",
    "A memory limit is rounded down to whole pages: a page and a byte read back as one page.",
)
.factor("a byte more than a page")
.arms("a page", "a page + 1 byte")
.notes(&[45])
.requires(&[MEMORY]);
const NONSENSE: Claim = Claim::holds(
    "nonsense",
    "A CPU quota of 0.5 ms is out of range: the write fails with EINVAL, and the old limit stays.",
)
.factor("a quota of 0.5 ms")
.arms("50 ms", "0.5 ms")
.notes(&[40])
.requires(&[CPU]);

pub(crate) const WRITE_NO_LIMIT: Step = Step {
    title: "Write to memory.max more than a whole page. Write values out of range to cpu.max and other files.",
    calls: &["write(\"…/memory.max\", \"4097\")", "write(\"…/cpu.max\", \"500 100000\")"],
    by_hand: &[
        hand("mkdir new; echo 10000 > new/memory.max; cat new/memory.max")
            .as_root()
            .prints("8192")
            .in_the_same_shell(),
        hand("echo 500 100000 > new/cpu.max; echo -1 > new/memory.max; rmdir new")
            .as_root()
            .prints("EINVAL\nEINVAL"),
    ],
    claims: &[ROUNDED, NONSENSE],
    run: |lab| {
        lab.compare(ROUNDED, 0, 1, write_a_page_and)?
            .in_both_arms(outside("pages read back").is(1))
            .shows(outside("bytes rounded off").is(1))?;
        lab.compare(NONSENSE, Quota::Good, Quota::TooSmall, write_quota)?
            .in_both_arms(outside("the limit stays").is("yes"))
            .shows(outside("answer").is("EINVAL"))?;
        show_answers(lab)
    },
};

fn give_below(number: u32) -> Result<Vec<Fact>> {
    let pair = Pair::with("pids")?;
    pair.above.limit("pids.max", 4)?;
    let answer = Outcome::of(pair.below.limit("pids.max", number))?;
    let more = pair.below.read("pids.max")?.parse::<u32>().is_ok_and(|read| read > 4);
    Ok(vec![
        Fact::outside(format!("echo {number} > below/pids.max"), answer),
        Fact::outside("cat below/pids.max", pair.below.read("pids.max")?),
        Fact::outside("cat above/pids.max", pair.above.read("pids.max")?),
        Fact::outside("exceeds the parent's", more),
    ])
}

/// Forks in a cgroup that allows 50 processes. Its parent allows four if `limited`, else any number.
fn fork_below(limited: bool) -> Result<Vec<Fact>> {
    let pair = Pair::with("pids")?;
    if limited {
        pair.above.limit("pids.max", 4)?;
    }
    pair.below.limit("pids.max", 50)?;
    let mut facts = vec![
        Fact::outside("cat below/pids.max", pair.below.read("pids.max")?),
        Fact::outside("cat above/pids.max", pair.above.read("pids.max")?),
    ];
    facts.extend(forked_in(&pair.below, 6)?);
    Ok(facts)
}

/// Takes 32 MiB in a cgroup that allows 1 GiB. Its parent allows 8 MiB if `limited`, else any amount.
fn take_below(limited: bool) -> Result<[Fact; 2]> {
    let pair = Pair::with("memory")?;
    pair.below.forbid_swap()?;
    let file = pair.below.file(InterfaceFile::MEMORY);
    pair.below.limit(file, 1024 * MIB)?;
    if limited {
        pair.above.limit(file, 8 * MIB)?;
    }
    take_in(&pair.below, touch)
}

fn read_effective_cpus(limited: bool) -> Result<[Fact; 2]> {
    let cpus = cpus()?;
    let pair = Pair::with("cpuset")?;
    pair.below.limit("cpuset.cpus", &cpus.all)?;
    if limited {
        pair.above.limit("cpuset.cpus", &cpus.first)?;
    }
    let same = pair.below.read("cpuset.cpus")? == cpus.all;
    let left = pair.below.read(pair.below.file(InterfaceFile::CPUS_NOW))? == cpus.first;
    Ok([
        Fact::outside("cpuset.cpus is as written", same),
        Fact::outside("effective CPUs are the parent's", left),
    ])
}

/// What a memory limit of a page and `more` bytes reads back as.
fn write_a_page_and(more: u64) -> Result<[Fact; 2]> {
    let page = sysconf(SysconfVar::PAGE_SIZE).named(|| "sysconf(_SC_PAGESIZE)".into())?.unwrap_or(4096);
    let page = u64::try_from(page)?;
    let cgroup = create(Controller("memory"), "rounded")?;
    let file = cgroup.file(InterfaceFile::MEMORY);
    cgroup.limit(file, page + more)?;
    let read: u64 = cgroup.read(file)?.parse()?;
    Ok([
        Fact::outside("bytes rounded off", usize::try_from(page + more - read)?),
        Fact::outside("pages read back", usize::try_from(read / page)?),
    ])
}

/// Half of a CPU, or less than the minimum.
#[derive(Clone, Copy)]
enum Quota {
    Good,
    TooSmall,
}

/// Writes a quota to a cgroup that is allowed half of a CPU.
fn write_quota(quota: Quota) -> Result<Vec<Fact>> {
    let cgroup = create(Controller("cpu"), "nonsense")?;
    let file = cgroup.file(InterfaceFile::CPU);
    let (good, too_small) = match cgroup.version() {
        Version::V2 => ("50000 100000", "500 100000"),
        Version::V1 => ("50000", "500"),
    };
    let text = match quota {
        Quota::Good => good,
        Quota::TooSmall => too_small,
    };
    cgroup.write(file, good)?;
    let answer = Outcome::of(cgroup.write(file, text))?;
    let left = cgroup.read(file)?;
    Ok(vec![
        Fact::outside(format!("written to {file}"), text),
        Fact::outside("answer", answer),
        Fact::outside("the limit stays", left == good),
        Fact::outside("read back", left),
    ])
}

/// A cgroup with a limit, and its child with a member, as their files read.
fn draw(lab: &mut Lab) -> Result<()> {
    if CgroupParent::find(Controller("pids"))?.is_err() {
        return Ok(());
    }
    let pair = Pair::with("pids")?;
    pair.above.limit("pids.max", 4)?;
    pair.below.limit("pids.max", 50)?;
    let member = Child::spawn("member", Namespaces::NONE, Reporter::stay)?;
    pair.below.join(member.pid())?;
    let row = |path: &str, cgroup: &Cgroup| -> Result<Vec<Value>> {
        let [most, now] = ["pids.max", "pids.current"].map(|file| cgroup.read(file));
        let members: Vec<Value> = cgroup.procs()?.into_iter().map(Value::from).collect();
        Ok(vec![path.into(), most?.into(), now?.into(), Value::List(members)])
    };
    let rows = vec![row("above", &pair.above)?, row("above/below", &pair.below)?];
    let columns = ["cgroup", "pids.max", "pids.current", "members"];
    lab.picture(Picture::Tree, "Limits and members", &columns, rows)
}

/// Two CPUs as the file shows them: both, and the first alone.
struct Cpus {
    all: String,
    first: String,
}

/// A single CPU cannot be reduced.
fn two_neighbours() -> ns_core::Result<Option<Unmet>> {
    let cpus = cpus()?;
    let remedy = "run it on a machine with two CPUs, without taskset";
    Ok((cpus.all == cpus.first).then(|| Unmet::new("two CPUs with consecutive numbers", remedy)))
}

fn cpus() -> ns_core::Result<Cpus> {
    let numbers = allowed()?;
    let first = numbers.first().copied().unwrap_or(0).to_string();
    let second = numbers.get(1).map_or(first.clone(), |second| format!("{first}-{second}"));
    // Two consecutive CPUs, which the kernel shows as a range, or one, which cannot be reduced.
    let neighbours = numbers.len() > 1 && numbers[1] == numbers[0] + 1;
    Ok(Cpus { all: if neighbours { second } else { first.clone() }, first })
}

/// Writes a larger limit in the child, for each controller.
fn show_more_below(lab: &mut Lab) -> Result<()> {
    let cpus = cpus()?;
    let mut rows = Vec::new();
    for (controller, interface, [v1, v2]) in [
        ("pids", InterfaceFile::PIDS, [["4", "50"], ["4", "50"]]),
        ("memory", InterfaceFile::MEMORY, [["8388608", "1073741824"], ["8388608", "1073741824"]]),
        ("cpu", InterfaceFile::CPU, [["20000", "90000"], ["20000 100000", "90000 100000"]]),
        ("cpuset", InterfaceFile::CPUS, [[cpus.first.as_str(), cpus.all.as_str()]; 2]),
    ] {
        if CgroupParent::find(Controller(controller))?.is_err() {
            continue;
        }
        let pair = Pair::with(controller)?;
        let [less, more] = if pair.below.version() == Version::V1 { v1 } else { v2 };
        let file = pair.below.file(interface);
        // The child first: on version 1 a cpuset cannot become smaller than that of its child (EBUSY).
        pair.below.write(file, less)?;
        pair.above.write(file, less)?;
        let answer = Outcome::of(pair.below.write(file, more))?;
        rows.push(vec![
            Value::from(file),
            pair.below.version().to_string().into(),
            less.into(),
            more.into(),
            answer.into(),
            pair.below.read(file)?.into(),
        ]);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let columns = ["file", "version", "parent", "written in child", "answer", "read back"];
    lab.table("A larger limit in the child", &columns, rows)
}

/// What the kernel answers to other numbers and words.
fn show_answers(lab: &mut Lab) -> Result<()> {
    let mut rows = Vec::new();
    for (controller, interface, [v1, v2]) in [
        ("pids", InterfaceFile::PIDS, [&["0", "max", "-1", "10%"], &["0", "max", "-1", "10%"]]),
        ("memory", InterfaceFile::MEMORY, [&["8M", "0", "-1", "10%"], &["8M", "0", "-1", "10%"]]),
        (
            "cpu",
            InterfaceFile::CPU,
            [&["1000", "0", "-1", "10%"], &["1000 1000", "0 100000", "-1 100000", "1000 2000000"]],
        ),
        ("cpuset", InterfaceFile::CPUS, [&["0", "9999", "-1", "all"], &["0", "9999", "-1", "all"]]),
    ] {
        let Ok(parent) = CgroupParent::find(Controller(controller))? else { continue };
        let cgroup = parent.create("grid")?;
        for text in if cgroup.version() == Version::V1 { v1 } else { v2 } {
            let answer = Outcome::of(cgroup.write(cgroup.file(interface), text))?;
            rows.push(vec![Value::from(cgroup.file(interface)), (*text).into(), answer.into()]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    lab.table("What the kernel answers to other values", &["file", "written", "answer"], rows)
}
