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

/// A controller that version 1 has is missing in version 2.
const NO_V1_PERF: Requirement = Requirement::Probe(|| {
    let on_v1 = Layout::detect()?.v1("perf_event").is_some();
    Ok(on_v1.then(|| Unmet::new("perf_event on cgroup v2", "boot with cgroup v2 alone, as Debian does")))
});
/// By default only root may count the events of other processes.
const COUNTING: Requirement = Requirement::Probe(|| {
    let Ok(parent) = CgroupParent::find(AnyV2)? else { return Ok(None) };
    Ok(match PageFaults::of(parent.create("probe")?.fd()) {
        Ok(_) => None,
        Err(error) => Some(Unmet::new(error.to_string(), "run as root: sudo …")),
    })
});

const PERF: Claim = Claim::holds(
    "perf-event",
    "perf_event cannot be enabled for children: the kernel answers ENOENT, where an unknown name gives EINVAL.",
)
.factor("the name perf_event")
.arms("nonsense", "perf_event")
.notes(&[46])
.requires(&[ANY_V2, NO_V1_PERF]);
const PERF_COUNTS: Claim = Claim::holds(
    "perf-counts",
    "perf_event_open() on a cgroup's directory counts the page faults of members, and not of a process outside.",
)
.factor("membership")
.arms("not a member", "member")
.notes(&[46])
.requires(&[ANY_V2, NO_V1_PERF, COUNTING]);

pub(crate) const COUNT_EVENTS: Step = Step {
    title: "perf_event: try to enable it for children. Then count the page faults of a cgroup's members.",
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

/// The pool of huge pages belongs to the whole machine.
const HUGETLB_HERE: Requirement = Requirement::Probe(|| {
    Ok(CgroupParent::find(ControllerV2("hugetlb"))?.err().or(machine::changeable(POOL)?))
});

const HUGETLB: Claim = Claim::holds(
    "hugetlb",
    "hugetlb: where hugetlb.2MB.max is 0, fallocate() of a huge page fails with ENOSPC, although pages are free.",
)
.factor("hugetlb.2MB.max of 0")
.notes(&[43])
.requires(&[HUGETLB_HERE]);

pub(crate) const TAKE_A_HUGE_PAGE: Step = Step {
    title: "hugetlb: give the machine four huge pages. Take one, without a limit and where hugetlb.2MB.max is 0.",
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
    "rdma: a child cgroup has rdma.max once its parent enables the controller for children.",
)
.factor("+rdma")
.arms("not enabled", "enabled")
.notes(&[48])
.requires(&[RDMA_HERE]);

pub(crate) const ENABLE_RDMA: Step = Step {
    title: "rdma: look for rdma.max in a child cgroup, before and after its parent enables the controller.",
    calls: &["write(\"…/cgroup.subtree_control\", \"+rdma\")", "open(\"…/below/rdma.max\")"],
    by_hand: &[],
    claims: &[RDMA],
    run: |lab| lab.compare(RDMA, false, true, read_rdma_max)?.shows(first().from("ENOENT").to("OK")),
};

/// Whether a cgroup counts the page faults of a process, which is a member if `joins`.
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

/// Allocates a huge page in a member of a cgroup.
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
