//! The controllers that few machines use: perf_event, hugetlb, rdma.

use anyhow::Result;
use lesson::{Claim, Requirement, Step, first, hand, outside};
use ns_core::cgroup::CgroupRequest::{AnyV2, ControllerV2};
use ns_core::cgroup::{CgroupParent, Layout};
use ns_core::machine::{self, Setting};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Named, Namespaces, Outcome};
use rustix::fs::{FallocateFlags, MemfdFlags, fallocate, memfd_create};

use crate::cgroups::{create, enable};
use crate::perf::PageFaults;
use crate::requirements::ANY_V2;

/// Version 1 takes a controller away from version 2.
const NO_V1_PERF: Requirement = Requirement::Probe(|| {
    let on_v1 = Layout::detect()?.v1("perf_event").is_some();
    Ok(on_v1.then(|| Unmet::new("perf_event on cgroup v2", "boot with cgroup v2 alone, as Debian does")))
});
/// To count what others do is root's by default.
const COUNTING: Requirement = Requirement::Probe(|| {
    let Ok(parent) = CgroupParent::find(AnyV2)? else { return Ok(None) };
    Ok(match PageFaults::of(parent.create("probe")?.fd()) {
        Ok(_) => None,
        Err(error) => Some(Unmet::new(error.to_string(), "run as root: sudo …")),
    })
});

const PERF: Claim = Claim::holds(
    "perf-event",
    "perf_event cannot be enabled for children, though the kernel has it: ENOENT, where an unknown name is EINVAL.",
)
.factor("the name perf_event")
.notes(&[46])
.requires(&[ANY_V2, NO_V1_PERF]);
const PERF_COUNTS: Claim = Claim::holds(
    "perf-counts",
    "perf_event_open() with the directory of a cgroup counts page faults of its members, and of nobody else.",
)
.factor("membership")
.notes(&[46])
.requires(&[ANY_V2, NO_V1_PERF, COUNTING]);

pub(crate) const COUNT_EVENTS: Step = Step {
    title: "Ask what perf_event can, which few use: enable it, and count what members of a cgroup do.",
    calls: &["write(\"…/cgroup.subtree_control\", \"+perf_event\")", "perf_event_open(cgroup)"],
    by_hand: &[hand("mkdir new; echo +perf_event > new/cgroup.subtree_control; echo +nonsense > new/cgroup.subtree_control; rmdir new").as_root().prints("ENOENT\nEINVAL").in_the_same_shell(), ],
    claims: &[PERF, PERF_COUNTS],
    run: |lab| {
        lab.compare(PERF, "nonsense", "perf_event", |name| enable(&create(AnyV2, "controllers")?, name))?
            .shows(first().from("EINVAL").to("ENOENT"))?;
        lab.compare(PERF_COUNTS, false, true, count_page_faults)?
            .shows(outside("page faults are counted").is("yes"))
    },
};

const POOL: &str = "/proc/sys/vm/nr_hugepages";
const HUGE: u64 = 2 << 20;

/// A pool of huge pages is the machine's.
const HUGETLB_HERE: Requirement = Requirement::Probe(|| {
    Ok(CgroupParent::find(ControllerV2("hugetlb"))?.err().or(machine::changeable(POOL)?))
});

const HUGETLB: Claim = Claim::holds(
    "hugetlb",
    "hugetlb: with hugetlb.2MB.max at 0, fallocate() gets no huge page, though the machine has free ones: ENOSPC.",
)
.factor("hugetlb.2MB.max of 0")
.notes(&[43])
.requires(&[HUGETLB_HERE]);

pub(crate) const TAKE_A_HUGE_PAGE: Step = Step {
    title: "Give the machine four huge pages, and take one: without a limit, and where hugetlb.2MB.max is 0.",
    calls: &["write(\"…/hugetlb.2MB.max\", \"0\")", "fallocate(memfd with MFD_HUGETLB)"],
    by_hand: &[],
    claims: &[HUGETLB],
    run: |lab| {
        let _pool = Setting::change(POOL, "4")?;
        lab.compare(HUGETLB, false, true, take_a_huge_page)?.shows(first().is("ENOSPC"))
    },
};

const RDMA_HERE: Requirement = Requirement::CgroupParent(ControllerV2("rdma"));

const RDMA: Claim = Claim::holds(
    "rdma",
    "rdma: the cgroups below have rdma.max, for RDMA devices, once the controller is enabled for them.",
)
.factor("+rdma")
.notes(&[48])
.requires(&[RDMA_HERE]);

pub(crate) const ENABLE_RDMA: Step = Step {
    title: "Look for rdma.max in a cgroup of which the one above has enabled the controller, or has not.",
    calls: &["write(\"…/cgroup.subtree_control\", \"+rdma\")", "open(\"…/below/rdma.max\")"],
    by_hand: &[],
    claims: &[RDMA],
    run: |lab| lab.compare(RDMA, false, true, read_rdma_max)?.shows(first().from("ENOENT").to("OK")),
};

/// The page faults that are counted for a cgroup, while a process inside or outside of it has some.
fn count_page_faults(joins: bool) -> Result<Vec<Fact>> {
    let cgroup = create(AnyV2, "counted")?;
    let mut child = Child::spawn("toucher", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let memory = std::hint::black_box(vec![1_u8; 1 << 20]);
        me.report("touched", format!("{} MiB", memory.len() >> 20))
    })?;
    let faults = PageFaults::of(cgroup.fd())?;
    if joins {
        cgroup.join(child.pid())?;
    }
    child.wake()?;
    let mut facts = child.facts()?;
    child.wait()?;
    facts.push(Fact::outside("page faults are counted", faults.count()? > 0));
    Ok(facts)
}

/// Asks for a huge page, from within the cgroup.
fn take_a_huge_page(limited: bool) -> Result<Fact> {
    let cgroup = create(ControllerV2("hugetlb"), "limited")?;
    if limited {
        cgroup.limit("hugetlb.2MB.max", 0)?;
    }
    let mut child = Child::spawn("taker", Namespaces::NONE, |me| {
        me.checkpoint()?;
        let file = memfd_create("huge", MemfdFlags::CLOEXEC | MemfdFlags::HUGETLB | MemfdFlags::HUGE_2MB);
        let file = file.named(|| "memfd_create(MFD_HUGETLB)".into())?;
        let taken = fallocate(&file, FallocateFlags::empty(), 0, HUGE);
        me.report("fallocate() of a huge page", Outcome::of(taken.named(|| "fallocate()".into()))?)
    })?;
    cgroup.join(child.pid())?;
    child.wake()?;
    Ok(child.fact()?)
}

fn read_rdma_max(enables: bool) -> Result<Fact> {
    let above = create(ControllerV2("rdma"), "above")?;
    let below = above.child(&"below".parse()?)?;
    if enables {
        above.enable("rdma")?;
    }
    Ok(Fact::outside("cat rdma.max", Outcome::of(below.read("rdma.max"))?))
}
