//! The namespace that Docker makes only where its engine is configured so: of user IDs.

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, outside};
use ns_core::probe::Unmet;
use ns_core::{Fact, Kind, Value};

use crate::client::Socket;
use crate::engine::{Container, DEFAULTS, Engine};
use crate::kinds::own_kinds;
use crate::process::Process;

const REMAPPED: Claim = Claim::holds(
    "remapped",
    "With userns-remap a container has a user namespace, whose root is an ordinary user of the host.",
)
.factor("userns-remap")
.notes(&[2, 107])
.requires(&[Requirement::Probe(second_engine)]);

pub(crate) const START: Step = Step {
    title: "Start a container at an engine with userns-remap, and one that declines it. Which user of the host is its root?",
    calls: &["clone3(CLONE_NEWUSER|…)", "write(\"/proc/PID/uid_map\")"],
    by_hand: &[hand("remapped='docker --host unix:///run/docker-remapped.sock'  # of scripts/docker-lab").as_root().prints("").in_the_same_shell(), hand("tar -cC /usr bin/busybox | $remapped import - box >/dev/null; $remapped run --rm box busybox cat /proc/self/uid_map").as_root().prints("0 … 65536"), hand("$remapped run --rm --userns host box busybox cat /proc/self/uid_map; $remapped image rm box >/dev/null").as_root().prints("0 0 4294967295"), ],
    claims: &[REMAPPED],
    run: |lab| {
        let engine = Engine::open(Socket::Remapped)?;
        lab.compare(REMAPPED, ["--userns", "host"].as_slice(), DEFAULTS, |options| {
            root_of(&engine.start(options)?)
        })?
        .shows(
            outside("its user namespace is ours").is("no") & outside("its root on the host").is_not("root"),
        )
    },
};

/// What is missing for a remapped engine to be asked. An engine is remapped for all its containers or for none, so it has
/// to be a second one.
fn second_engine() -> ns_core::Result<Option<Unmet>> {
    let answer = Socket::Remapped.docker(&["version"]);
    Ok((!answer.is_ok_and(|ran| ran.status == 0)).then(|| {
        Unmet::new(
            "a second Docker engine, with --userns-remap",
            "sudo scripts/docker-lab run docker-view, where user namespaces are allowed",
        )
    }))
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
        Fact::outside("its root on the host", who),
    ])
}
