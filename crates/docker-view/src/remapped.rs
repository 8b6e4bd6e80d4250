//! The namespace that Docker does not make unless its engine is told to: of user IDs.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::probe::Missing;
use ns_core::{Fact, Kind, Value};

use crate::engine::{Container, Engine, Socket};
use crate::kinds::{STAY, own_kinds};
use crate::process::Process;

pub(crate) const REMAPPED: Claim = Claim::holds(
    "remapped",
    "With userns-remap a container has a user namespace, whose root is an ordinary user of the host.",
)
.cause("userns-remap")
.notes(&[2, 107])
.needs(&[Need::Probe(missing)]);

/// What is missing for a remapped engine to be asked. An engine is remapped for all its containers or for none, so it has
/// to be a second one.
fn missing() -> ns_core::Result<Option<Missing>> {
    let answer = Socket::Remapped.docker(&["version"]);
    Ok((!answer.is_ok_and(|ran| ran.status == 0)).then(|| {
        Missing::new(
            "a second Docker engine, with --userns-remap",
            "sudo scripts/docker-lab run docker-view, where user namespaces are allowed",
        )
    }))
}

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[REMAPPED])? {
        return Ok(());
    }
    lab.step(Step {
        goal: "Start a container at an engine with userns-remap, and one that declines it. Who is root there, out here?",
        calls: &["clone3(CLONE_NEWUSER|…)", "write(\"/proc/PID/uid_map\")"],
        by_hand: &[
            "sudo scripts/docker-lab run bash",
            "export DOCKER_HOST=unix:///run/docker-remapped.sock; tar -cC /usr bin/busybox | docker import - box",
            "docker run --rm box busybox cat /proc/self/uid_map",
            "docker run --rm --userns host box busybox cat /proc/self/uid_map; exit",
        ],
    })?;
    let engine = Engine::open(Socket::Remapped)?;
    let declined = engine.start(&["--userns", "host"], STAY)?;
    let remapped = engine.start(cause(&[], ["--userns", "host"].as_slice()), STAY)?;
    lab.claim(REMAPPED).without(root_of(&declined)?).with(root_of(&remapped)?).shows(|of| {
        of.outside("its user namespace is ours").is_some_and(|it| *it == false)
            && of.outside("its root is out here").is_some_and(|it| *it != "root")
    })?;
    Ok(())
}

fn root_of(container: &Container) -> Result<Vec<Fact>> {
    let seen = Process::look_at(container.pid)?;
    // A map's lines are: first ID inside, first ID outside, count (user_namespaces(7)).
    let outside = seen.uid_map.iter().find_map(|line| line.strip_prefix("0 ")?.split(' ').next());
    let who: Value = match outside {
        None => "nobody".into(),
        Some("0") => "root".into(),
        Some(id) => format!("user {id}").into(),
    };
    Ok(vec![
        Fact::outside("its user namespace is ours", !own_kinds(container.pid)?.contains(&Kind::User)),
        Fact::outside("its root is out here", who),
    ])
}
