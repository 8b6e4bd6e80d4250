//! The controllers that few machines use: perf_event, hugetlb, rdma; and the list of all.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::cgroup::{Layout, Place, Want};
use ns_core::machine::{self, Setting};
use ns_core::perf::PageFaults;
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Value};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};

use crate::{ANY_V2, find, missing};

const POOL: &str = "/proc/sys/vm/nr_hugepages";
const HUGE: u64 = 2 << 20;

/// A pool of huge pages is the machine's.
const HUGETLB_HERE: Need =
    Need::Probe(|| Ok(missing(Want::ControllerV2("hugetlb"))?.or(machine::changeable(POOL)?)));
const RDMA_HERE: Need = Need::Probe(|| missing(Want::ControllerV2("rdma")));
/// To count what others do is root's by default.
const COUNTING: Need = Need::Probe(|| {
    let Ok(place) = Place::find(Want::AnyV2)? else { return Ok(None) };
    Ok(match PageFaults::of(place.create("probe")?.fd()) {
        Ok(_) => None,
        Err(error) => Some(Missing::new(error.to_string(), "run as root: sudo …")),
    })
});

pub(crate) const PERF: Claim = Claim::holds(
    "perf-event",
    "perf_event is always on and never listed: to hand it down is ENOENT, where an unknown name is EINVAL.",
)
.cause("the name perf_event")
.notes(&[46])
.needs(&[ANY_V2, NO_V1_PERF]);
pub(crate) const PERF_COUNTS: Claim = Claim::holds(
    "perf-counts",
    "perf_event_open() with the directory of a cgroup counts what its members do, and nobody else.",
)
.cause("membership")
.notes(&[46])
.needs(&[ANY_V2, NO_V1_PERF, COUNTING]);
pub(crate) const HUGETLB: Claim = Claim::holds(
    "hugetlb",
    "hugetlb: past hugetlb.2MB.max no huge page is to be had, though the machine has free ones: ENOSPC.",
)
.cause("hugetlb.2MB.max of 0")
.notes(&[43])
.needs(&[HUGETLB_HERE]);
pub(crate) const RDMA: Claim = Claim::holds(
    "rdma",
    "rdma: the cgroups below have rdma.max, for RDMA devices, once the controller is handed down to them.",
)
.cause("+rdma")
.notes(&[48])
.needs(&[RDMA_HERE]);

/// Version 1 takes a controller away from version 2.
const NO_V1_PERF: Need = Need::Probe(|| {
    let on_v1 = Layout::detect()?.v1("perf_event").is_some();
    Ok(on_v1.then(|| Missing::new("perf_event on cgroup v2", "boot with cgroup v2 alone, as Debian does")))
});

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Compare the notes' list of controllers with this machine's, and ask what those can that few use.",
        calls: &["write(\"…/cgroup.subtree_control\", \"+perf_event\")", "fallocate(memfd with MFD_HUGETLB)"],
        by_hand: &[
            "cat $v2/cgroup.controllers; cat /proc/cgroups",
            "mkdir new; echo +perf_event > new/cgroup.subtree_control; echo +nonsense > new/cgroup.subtree_control; rmdir new",
        ],
    })?;
    list(lab)?;
    if lab.can_ask(&[PERF])? {
        let place = find(Want::AnyV2)?;
        let known = |name: &str| -> Result<Fact> {
            let cgroup = place.create("controllers")?;
            let answer = Outcome::of(cgroup.enable(name))?;
            Ok(Fact::outside(format!("echo +{name} > cgroup.subtree_control"), answer))
        };
        lab.claim(PERF)
            .without(known("nonsense")?)
            .with(known(cause("perf_event", "nonsense"))?)
            .shows(|answer| *answer == "ENOENT")?;
    }
    if lab.can_ask(&[PERF_COUNTS])? {
        let place = find(Want::AnyV2)?;
        lab.claim(PERF_COUNTS)
            .without(counted(&place, false)?)
            .with(counted(&place, true)?)
            .shows(|it| it.outside("page faults are counted").is_some_and(|it| *it == "yes"))?;
    }
    if lab.can_ask(&[HUGETLB])? {
        let _pool = Setting::change(POOL, "4")?;
        let place = find(Want::ControllerV2("hugetlb"))?;
        lab.claim(HUGETLB)
            .without(huge_page(&place, false)?)
            .with(huge_page(&place, true)?)
            .shows(|answer| *answer == "ENOSPC")?;
    }
    if lab.can_ask(&[RDMA])? {
        let place = find(Want::ControllerV2("rdma"))?;
        let has_file = |hands_down: bool| -> Result<Fact> {
            let top = place.create("top")?;
            let below = top.child(&"below".parse()?)?;
            if hands_down {
                top.limit("cgroup.subtree_control", "+rdma")?;
            }
            Ok(Fact::outside("cat rdma.max", Outcome::of(below.read("rdma.max"))?))
        };
        lab.claim(RDMA).without(has_file(false)?).with(has_file(true)?).shows(|answer| *answer == "OK")?;
    }
    Ok(())
}

/// The notes' controllers, and those besides, with where this machine has them.
fn list(lab: &mut Lab) -> Result<()> {
    let layout = Layout::detect()?;
    let notes =
        ["cpu", "cpuset", "freezer", "hugetlb", "io", "memory", "perf_event", "pids", "rdma", "misc", "dmem"];
    let rows = notes.into_iter().map(|name| {
        let on_v1 = layout.v1(if name == "io" { "blkio" } else { name }).is_some();
        let on_v2 = layout.v2_controllers().iter().any(|own| own == name);
        let noted = !matches!(name, "misc" | "dmem");
        vec![name.into(), Value::from(noted), on_v2.into(), on_v1.into()]
    });
    let columns = ["controller", "in the notes", "in cgroup.controllers", "mounted on v1"];
    lab.table("Controllers, and where this machine has them", &columns, rows.collect())
}

/// The page faults that are counted for a cgroup, while a process inside or outside of it has some.
fn counted(place: &Place, joins: bool) -> Result<Vec<Fact>> {
    let cgroup = place.create("counted")?;
    let mut child = Child::spawn("toucher", Namespaces::NONE, |me| {
        me.pause()?;
        let memory = std::hint::black_box(vec![1_u8; 1 << 20]);
        me.saw("touched", format!("{} MiB", memory.len() >> 20))
    })?;
    let faults = PageFaults::of(cgroup.fd())?;
    if joins {
        cgroup.join(child.pid())?;
    }
    child.release()?;
    let mut facts = child.hear_all()?;
    child.wait()?;
    facts.push(Fact::outside("page faults are counted", faults.count()? > 0));
    Ok(facts)
}

/// Asks for a huge page, from within the cgroup.
fn huge_page(place: &Place, limited: bool) -> Result<Fact> {
    let cgroup = place.create("limited")?;
    if limited {
        cgroup.limit("hugetlb.2MB.max", 0)?;
    }
    let mut child = Child::spawn("taker", Namespaces::NONE, |me| {
        me.pause()?;
        let file = memfd_create("huge", MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB);
        let file = file.named(|| "memfd_create(MFD_HUGETLB)".into())?;
        let taken = fallocate(&file, FallocateFlags::empty(), 0, HUGE);
        me.saw("fallocate() of a huge page", Outcome::of(taken.named(|| "fallocate()".into()))?)
    })?;
    cgroup.write("cgroup.procs", &child.pid().to_string())?;
    child.release()?;
    Ok(child.hear()?)
}
