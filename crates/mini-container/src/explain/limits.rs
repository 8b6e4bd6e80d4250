//! How much: what namespaces do not bound.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step};
use ns_core::cgroup::{Cgroup, Place, Version, Want};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Namespaces, Outcome, Spawn, Witness};

const PIDS: Need = Need::Probe(|| missing("pids"));
const RAM: Need = Need::Probe(|| missing("memory"));

pub(crate) const PROCESSES: Claim = Claim::holds(
    "processes-limited",
    "Namespaces limit nothing: a container forks as it likes until its cgroup's pids.max is reached.",
)
.cause("pids.max")
.notes(&[2, 29])
.needs(&[PIDS]);
pub(crate) const MEMORY: Claim = Claim::holds(
    "memory-limited",
    "Past the memory limit of its cgroup a process is killed: SIGKILL, which runtimes report as 137.",
)
.cause("memory.max")
.notes(&[2, 29])
.more(&[113])
.needs(&[RAM]);

/// What a container may have here, and what it asks for.
const ALLOWED: usize = 16 << 20;
const ASKED: usize = 64 << 20;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if lab.can_ask(&[PROCESSES])? {
        lab.step(Step {
            goal: "Limit a container to three processes, and let it have four children.",
            calls: &["write(\"…/pids.max\", \"3\")", "write(\"…/cgroup.procs\")", "fork()"],
            by_hand: &[
                "mini-container run --pids-max 3 rootfs sh -c 'for i in 1 2 3 4; do sleep 1 & done; wait'",
            ],
        })?;
        let place = find("pids")?;
        let fork = |limit: Option<&str>| -> Result<Vec<Fact>> {
            let cgroup = place.create("container")?;
            if let Some(limit) = limit {
                cgroup.limit("pids.max", limit)?;
            }
            in_it(&cgroup, |me| {
                let mut children = Vec::new();
                let answer = loop {
                    match Child::spawn("child", Namespaces::NONE, Witness::stay) {
                        Ok(child) => children.push(child),
                        failed => break Outcome::of(failed)?,
                    }
                    if children.len() == 4 {
                        break Outcome::Done;
                    }
                };
                me.saw("fork()", answer)?;
                me.saw("children", children.len())
            })
        };
        lab.claim(PROCESSES)
            .without(fork(None)?)
            .with(fork(Some("3"))?)
            .shows(|answer| *answer == "EAGAIN")?;
    }
    if lab.can_ask(&[MEMORY])? {
        lab.step(Step {
            goal: "Limit a container to 16 MB, and let it fill 64 MB.",
            calls: &["write(\"…/memory.max\", \"16777216\")", "mmap()"],
            by_hand: &["mini-container run --memory-max 16M rootfs sh -c 'x=$(head -c 64M /dev/zero | tr \"\\0\" x)'; echo $?"],
        })?;
        let place = find("memory")?;
        let fill = |limited: bool| -> Result<Vec<Fact>> {
            let cgroup = place.create("container")?;
            if limited {
                let v2 = cgroup.version() == Version::V2;
                cgroup.limit(if v2 { "memory.max" } else { "memory.limit_in_bytes" }, ALLOWED)?;
                // Where there is swap, what does not fit would go there. Not every kernel counts it.
                let swap = if v2 { ("memory.swap.max", 0) } else { ("memory.memsw.limit_in_bytes", ALLOWED) };
                let _ = cgroup.limit(swap.0, swap.1);
            }
            in_it(&cgroup, |me| {
                let memory = vec![1_u8; ASKED];
                me.saw("64 MB filled", memory.iter().all(|byte| *byte == 1))
            })
        };
        lab.claim(MEMORY).without(fill(false)?).with(fill(true)?).shows(|end| *end == "killed by SIGKILL")?;
    }
    Ok(())
}

/// Runs `body` in PID and mount namespaces, as a member of `cgroup`.
fn in_it(cgroup: &Cgroup, body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let around = Namespaces::PID | Namespaces::MNT;
    let mut container = Spawn::new("container").namespaces_always(around).run(|me| {
        me.pause()?;
        ns_core::mount::make_private()?;
        ns_core::mount::mount("proc", "/proc".as_ref())?;
        body(me)
    })?;
    cgroup.join(container.pid())?;
    container.release()?;
    Ok(container.hear_all()?)
}

fn missing(controller: &str) -> ns_core::Result<Option<Missing>> {
    Ok(Place::find(Want::Controller(controller))?.err())
}

/// The place that a need has found before.
fn find(controller: &str) -> Result<Place> {
    Place::find(Want::Controller(controller))?.map_err(|missing| anyhow::anyhow!("{}", missing.what))
}
