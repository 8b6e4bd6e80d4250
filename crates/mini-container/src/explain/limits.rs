//! Resources that namespaces do not limit.

use std::hint::black_box;

use anyhow::Result;
use lesson::{Claim, Need, Requirement, Step, hand, inside};
use ns_core::cgroup::{Cgroup, CgroupParent, CgroupRequest, Version};
use ns_core::child::have_children;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Message, Namespaces, Reporter, Spawn, mount};

const PROCESSES: Claim = Claim::holds(
    "processes-limited",
    "Namespaces do not limit fork(); in a cgroup, fork() fails with EAGAIN when pids.max is reached.",
)
.factor("pids.max")
.notes(&[2, 29])
.requires(&[Requirement::Probe(|| lacks("pids"))]);

pub(crate) const FORK: Step = Step {
    title: "Limit a container to three processes, and let it call fork() four times.",
    calls: &["write(\"…/pids.max\", \"3\")", "write(\"…/cgroup.procs\")", "fork()"],
    by_hand: &[hand("mkdir -p rootfs/bin; cp $(command -v busybox) rootfs/bin/; for n in sh sleep head tr; do ln -s busybox rootfs/bin/$n; done").prints("").needs(&[Need::Controllers, Need::Cgroup]), hand("mini-container run --pids-max 3 rootfs sh -c 'for i in 1 2 3 4; do sleep 1 & done; wait'").prints("…"), ],
    claims: &[PROCESSES],
    run: |lab| lab.compare(PROCESSES, None, Some("3"), fork)?.shows(inside("fork()").is("EAGAIN")),
};

const MEMORY: Claim = Claim::holds(
    "memory-limited",
    "The only process of a cgroup is killed by SIGKILL when it exceeds the memory limit.",
)
.factor("memory.max")
.notes(&[2, 29])
.more(&[113])
.requires(&[Requirement::Probe(|| lacks("memory")), Requirement::Probe(lacks_room)]);

pub(crate) const FILL_MEMORY: Step = Step {
    title: "Limit a container to 16 MB, and let it fill 64 MB.",
    calls: &["write(\"…/memory.max\", \"16777216\")", "mmap()"],
    by_hand: &[hand("mini-container run --memory-max 16M rootfs sh -c 'x=$(head -c 64M /dev/zero | tr \"\\0\" x)'; echo $?").prints("137").in_the_same_shell(), ],
    claims: &[MEMORY],
    run: |lab| {
        lab.compare(MEMORY, None, Some(ALLOWED), fill_memory)?
            .shows(inside("after filling 64 MB").is("killed by SIGKILL"))
    },
};

/// The limit, and the memory that the container fills, in bytes.
const ALLOWED: usize = 16 << 20;
const ASKED: usize = 64 << 20;

fn fork(limit: Option<&str>) -> Result<Vec<Fact>> {
    let cgroup = parent("pids")?.create("container")?;
    if let Some(limit) = limit {
        cgroup.limit("pids.max", limit)?;
    }
    let mut container = start_in(&cgroup, |me| {
        let mut children = Vec::new();
        me.report("fork()", have_children(&mut children, 4)?)?;
        me.report("children", children.len())
    })?;
    Ok(container.facts()?)
}

fn fill_memory(limit: Option<usize>) -> Result<Fact> {
    let cgroup = parent("memory")?.create("container")?;
    if let Some(limit) = limit {
        let v2 = cgroup.version() == Version::V2;
        cgroup.limit(if v2 { "memory.max" } else { "memory.limit_in_bytes" }, limit)?;
        // With swap, memory over the limit would be swapped out. Some kernels do not count swap.
        let swap = if v2 { ("memory.swap.max", 0) } else { ("memory.memsw.limit_in_bytes", limit) };
        let _ = cgroup.limit(swap.0, swap.1);
    }
    let mut container = start_in(&cgroup, |me| {
        black_box(vec![1_u8; ASKED]);
        me.report("", "lives on")
    })?;
    Ok(container.next("after filling 64 MB")?)
}

/// Starts `body` in new PID and mount namespaces, as a member of `cgroup`.
fn start_in(cgroup: &Cgroup, body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Child> {
    let namespaces = Namespaces::PID | Namespaces::MNT;
    let container = Spawn::new("container").namespaces(namespaces).run(|me| {
        me.checkpoint()?;
        mount::make_private()?;
        mount::mount("proc", "/proc".as_ref())?;
        body(me)
    })?;
    cgroup.join(container.pid())?;
    container.wake()?;
    Ok(container)
}

/// Unmet if the control cannot fill its memory either, because of the present cgroup's limit.
fn lacks_room() -> ns_core::Result<Option<Unmet>> {
    let mut probe = Child::spawn("probe", Namespaces::NONE, |me| {
        black_box(vec![1_u8; ASKED]);
        me.report("", "lives on")
    })?;
    let lives = matches!(probe.recv()?, Message::Fact(_));
    Ok((!lives).then(|| {
        Unmet::new("64 MB of memory that a process can fill", "raise the memory limit of its cgroups")
    }))
}

fn lacks(controller: &str) -> ns_core::Result<Option<Unmet>> {
    Ok(CgroupParent::find(CgroupRequest::Controller(controller))?.err())
}

/// The parent cgroup that the claim's requirement has found.
fn parent(controller: &str) -> Result<CgroupParent> {
    CgroupParent::find(CgroupRequest::Controller(controller))?.map_err(|unmet| anyhow::anyhow!("{unmet}"))
}
