//! Limits above limits: what the file says, and what holds.

use anyhow::Result;
use lesson::{Claim, Lab, Picture, Step, cause};
use ns_core::cgroup::{Cgroup, Knob, Place, Version, Want};
use ns_core::{Child, Fact, Namespaces, Outcome, Value, Witness};

use crate::cpu::allowed;
use crate::memory::{MIB, fate_of, touch};
use crate::pids::forked_in;
use crate::{CPU, CPUSET_V2, MEMORY, PIDS, Pair, find};

pub(crate) const CANNOT_EXCEED: Claim =
    Claim::refuted("cannot-exceed", "The limit of a cgroup cannot exceed that of the cgroup above.", "least")
        .cause("50 instead of 3, where 4 is above")
        .notes(&[51])
        .more(&[115])
        .needs(&[PIDS])
        .misconceptions(&[
            (
                "cat below/pids.max = 4; it exceeds the one above = no",
                "a limit that cannot bind looks like a mistake that the kernel would mend",
            ),
            ("echo 50 > below/pids.max = EINVAL", "some limits of version 1 are refused so"),
        ]);
pub(crate) const LEAST: Claim = Claim::holds(
    "least",
    "A larger number below is taken and read back, and changes nothing: what holds is the least on the way up.",
)
.cause("pids.max of the cgroup above")
.notes(&[51])
.more(&[115])
.needs(&[PIDS]);
pub(crate) const LEAST_MEMORY: Claim = Claim::holds(
    "least-memory",
    "Allowed 1 GiB of memory below a cgroup of 8 MiB, a process is killed for the 8.",
)
.cause("memory.max of the cgroup above")
.notes(&[51])
.needs(&[MEMORY]);
pub(crate) const CPUS: Claim = Claim::holds(
    "least-cpus",
    "cpuset.cpus is what was asked for, cpuset.cpus.effective what is left of it by the cgroups above.",
)
.cause("cpuset.cpus of the cgroup above")
.notes(&[41, 51])
.needs(&[CPUSET_V2]);
pub(crate) const ROUNDED: Claim =
    Claim::holds("rounded", "A limit of memory is kept in whole pages: 5000 bytes are read back as 4096.")
        .cause("5000 instead of 4096")
        .notes(&[45])
        .needs(&[MEMORY]);
pub(crate) const NONSENSE: Claim = Claim::holds(
    "nonsense",
    "A number that is out of range is EINVAL, and the limit stays: so is a quota of less than 1 ms.",
)
.cause("a quota of 0.5 ms")
.notes(&[40])
.needs(&[CPU]);

const READ_BACK: &str = "read back";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "In a cgroup called above make one called below. Give below more than above has, read it back, and hit the limit.",
        calls: &["write(\"…/above/pids.max\", \"4\")", "write(\"…/above/below/pids.max\", \"50\")", "fork()"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O pids); cd ${v1:-$v2}; mkdir -p new/below; test -n \"$v1\" || echo +pids > new/cgroup.subtree_control",
            "echo 4 > new/pids.max; echo 50 > new/below/pids.max; cat new/below/pids.max",
            "sh -c 'echo $$ > new/below/cgroup.procs; for i in 1 2 3 4; do sleep 1 & done'; sleep 2; rmdir new/below new",
        ],
    })?;
    if lab.can_ask(&[CANNOT_EXCEED, LEAST])? {
        let place = find(Want::Controller("pids"))?;
        let asked = |number: u32| -> Result<Vec<Fact>> {
            let pair = Pair::new(&place, "pids")?;
            pair.above.write("pids.max", "4")?;
            let answer = Outcome::of(pair.below.write("pids.max", &number.to_string()))?;
            let more = pair.below.read("pids.max")?.parse::<u32>().is_ok_and(|read| read > 4);
            Ok(vec![
                Fact::outside(format!("echo {number} > below/pids.max"), answer),
                Fact::outside("cat below/pids.max", pair.below.read("pids.max")?),
                Fact::outside("cat above/pids.max", pair.above.read("pids.max")?),
                Fact::outside("it exceeds the one above", more),
            ])
        };
        // The effect would be that a larger one is refused, or lowered.
        lab.claim(CANNOT_EXCEED).without(asked(3)?).with(asked(cause(50, 3))?).shows(|it| *it != "OK")?;
        let forks = |limited: bool| -> Result<Vec<Fact>> {
            let pair = Pair::new(&place, "pids")?;
            if limited {
                pair.above.limit("pids.max", 4)?;
            }
            pair.below.write("pids.max", "50")?;
            let mut facts = vec![
                Fact::outside("cat below/pids.max", pair.below.read("pids.max")?),
                Fact::outside("cat above/pids.max", pair.above.read("pids.max")?),
            ];
            facts.extend(forked_in(&pair.below, 6)?);
            Ok(facts)
        };
        lab.claim(LEAST)
            .without(forks(false)?)
            .with(forks(true)?)
            .shows(|it| *it == "50" && it.inside("fork()").is_some_and(|answer| *answer == "EAGAIN"))?;
        draw(lab, &place)?;
    }
    if lab.can_ask(&[LEAST_MEMORY])? {
        let place = find(Want::Controller("memory"))?;
        let eats = |limited: bool| -> Result<Vec<Fact>> {
            let pair = Pair::new(&place, "memory")?;
            pair.below.forbid_swap()?;
            let file = pair.below.file(Knob::MEMORY);
            pair.below.write(file, &(1024 * MIB).to_string())?;
            if limited {
                pair.above.limit(file, 8 * MIB)?;
            }
            fate_of(&pair.below, touch)
        };
        lab.claim(LEAST_MEMORY)
            .without(eats(false)?)
            .with(eats(true)?)
            .shows(|it| it.inside("end").is_some_and(|end| *end == "killed by SIGKILL"))?;
    }
    if lab.can_ask(&[CPUS])? {
        let place = find(Want::ControllerV2("cpuset"))?;
        let cpus = cpus()?;
        let effective = |limited: bool| -> Result<Vec<Fact>> {
            let pair = Pair::new(&place, "cpuset")?;
            pair.below.write("cpuset.cpus", &cpus.all)?;
            if limited {
                pair.above.limit("cpuset.cpus", &cpus.first)?;
            }
            let same = pair.below.read("cpuset.cpus")? == cpus.all;
            let left = pair.below.read(pair.below.file(Knob::CPUS_NOW))? == cpus.first;
            Ok(vec![
                Fact::outside("cpuset.cpus below is what was written", same),
                Fact::outside("cpuset.cpus.effective below is what above has", left),
            ])
        };
        lab.claim(CPUS)
            .without(effective(false)?)
            .with(effective(true)?)
            .shows(|it| *it == "yes" && it.facts().last().is_some_and(|fact| fact.value == "yes"))?;
    }
    above(lab)?;

    lab.step(Step {
        goal: "Write to memory.max what is no whole page, and to cpu.max and others what is no limit.",
        calls: &["write(\"…/memory.max\", \"5000\")", "write(\"…/cpu.max\", \"500 100000\")"],
        by_hand: &[
            "v1=$(findmnt -nfo TARGET -t cgroup -O cpu); cd ${v1:-$v2}; mkdir new",
            "test -n \"$v1\" && echo 500 > new/cpu.cfs_quota_us || echo 500 100000 > new/cpu.max",
            "rmdir new",
        ],
    })?;
    if lab.can_ask(&[ROUNDED])? {
        let cgroup = find(Want::Controller("memory"))?.create("rounded")?;
        let file = cgroup.file(Knob::MEMORY);
        let written = format!("written to {file}");
        let kept = |bytes: u32| -> Result<Vec<Fact>> {
            cgroup.write(file, &bytes.to_string())?;
            let read = cgroup.read(file)?;
            Ok(vec![Fact::outside(&written, bytes.to_string()), Fact::outside(READ_BACK, read)])
        };
        lab.claim(ROUNDED)
            .without(kept(4096)?)
            .with(kept(cause(5000, 4096))?)
            .shows(|it| it.outside(&written) != it.outside(READ_BACK))?;
    }
    if lab.can_ask(&[NONSENSE])? {
        let cgroup = find(Want::Controller("cpu"))?.create("nonsense")?;
        let file = cgroup.file(Knob::CPU);
        let (good, bad) = match cgroup.version() {
            Version::V2 => ("50000 100000", "500 100000"),
            Version::V1 => ("50000", "500"),
        };
        let written = |text: &str| -> Result<Vec<Fact>> {
            let answer = Outcome::of(cgroup.write(file, text))?;
            Ok(vec![
                Fact::outside(format!("written to {file}"), text),
                Fact::outside("answer", answer),
                Fact::outside(READ_BACK, cgroup.read(file)?),
            ])
        };
        lab.claim(NONSENSE).without(written(good)?).with(written(cause(bad, good))?).shows(|it| {
            it.outside("answer").is_some_and(|it| *it == "EINVAL")
                && it.outside(READ_BACK).is_some_and(|it| *it == good)
        })?;
    }
    grid(lab)
}

/// The tree with a member below, as its files read.
fn draw(lab: &mut Lab, place: &Place) -> Result<()> {
    let pair = Pair::new(place, "pids")?;
    pair.above.limit("pids.max", 4)?;
    pair.below.write("pids.max", "50")?;
    let member = Child::spawn("member", Namespaces::NONE, Witness::stay)?;
    pair.below.join(member.pid())?;
    let row = |path: &str, cgroup: &Cgroup| -> Result<Vec<Value>> {
        let [most, now] = ["pids.max", "pids.current"].map(|file| cgroup.read(file));
        let members: Vec<Value> = cgroup.procs()?.into_iter().map(Value::from).collect();
        Ok(vec![path.into(), most?.into(), now?.into(), Value::List(members)])
    };
    let rows = vec![row("above", &pair.above)?, row("above/below", &pair.below)?];
    let columns = ["cgroup", "pids.max", "pids.current", "members"];
    lab.picture(Picture::Tree, "Who may be how many, and who is there", &columns, rows)
}

/// This machine's CPUs as the file has them: all, and the first alone.
struct Cpus {
    all: String,
    first: String,
}

fn cpus() -> Result<Cpus> {
    let numbers = allowed()?;
    let first = numbers.first().copied().unwrap_or(0).to_string();
    let second = numbers.get(1).map_or(first.clone(), |second| format!("{first}-{second}"));
    // Two neighbours, which the kernel writes as a range; or one, of which nothing can be taken.
    let neighbours = numbers.len() > 1 && numbers[1] == numbers[0] + 1;
    Ok(Cpus { all: if neighbours { second } else { first.clone() }, first })
}

/// The same question for each kind of limit.
fn above(lab: &mut Lab) -> Result<()> {
    let cpus = cpus()?;
    let mut rows = Vec::new();
    for (controller, knob, [v1, v2]) in [
        ("pids", Knob::PIDS, [["4", "50"], ["4", "50"]]),
        ("memory", Knob::MEMORY, [["8388608", "1073741824"], ["8388608", "1073741824"]]),
        ("cpu", Knob::CPU, [["20000", "90000"], ["20000 100000", "90000 100000"]]),
        ("cpuset", Knob::CPUS, [[cpus.first.as_str(), cpus.all.as_str()]; 2]),
    ] {
        let Ok(place) = Place::find(Want::Controller(controller))? else { continue };
        let pair = Pair::new(&place, controller)?;
        let [less, more] = if place.version() == Version::V1 { v1 } else { v2 };
        let file = pair.below.file(knob);
        // From below: on version 1 a cpuset above cannot be made smaller than one below (EBUSY).
        pair.below.write(file, less)?;
        pair.above.write(file, less)?;
        let answer = Outcome::of(pair.below.write(file, more))?;
        rows.push(vec![
            Value::from(file),
            place.version().to_string().into(),
            less.into(),
            more.into(),
            answer.into(),
            pair.below.read(file)?.into(),
        ]);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let columns = ["file", "version", "above", "written below", "answer", "read back"];
    lab.table("More below than there is above", &columns, rows)
}

/// What the kernel makes of other numbers and words.
fn grid(lab: &mut Lab) -> Result<()> {
    let mut rows = Vec::new();
    for (controller, knob, [v1, v2]) in [
        ("pids", Knob::PIDS, [&["0", "max", "-1", "10%"], &["0", "max", "-1", "10%"]]),
        ("memory", Knob::MEMORY, [&["8M", "0", "-1", "10%"], &["8M", "0", "-1", "10%"]]),
        (
            "cpu",
            Knob::CPU,
            [&["1000", "0", "-1", "10%"], &["1000 1000", "0 100000", "-1 100000", "1000 2000000"]],
        ),
        ("cpuset", Knob::CPUS, [&["0", "9999", "-1", "all"], &["0", "9999", "-1", "all"]]),
    ] {
        let Ok(place) = Place::find(Want::Controller(controller))? else { continue };
        let cgroup: Cgroup = place.create("grid")?;
        for text in if place.version() == Version::V1 { v1 } else { v2 } {
            let answer = Outcome::of(cgroup.write(cgroup.file(knob), text))?;
            rows.push(vec![Value::from(cgroup.file(knob)), (*text).into(), answer.into()]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    lab.table("What the kernel answers to other limits", &["file", "written", "answer"], rows)
}
