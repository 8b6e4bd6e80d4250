//! The user namespace, which Docker creates only with userns-remap.

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
    "With userns-remap, a container has its own user namespace, and its root is an ordinary user of the host.",
)
.factor("userns-remap")
.arms("--userns host", "userns-remap")
.notes(&[2, 107])
.requires(&[Requirement::Probe(second_engine)]);

pub(crate) const START: Step = Step {
    title: "At an engine with userns-remap, start a container with --userns host, and one without. Read the host's user ID of root.",
    calls: &["clone3(CLONE_NEWUSER|…)", "write(\"/proc/PID/uid_map\")"],
    by_hand: &[hand("remapped='docker --host unix:///run/docker-remapped.sock'  # of scripts/docker-lab").as_root().prints("").in_the_same_shell(), hand("tar -cC /usr bin/busybox | $remapped import - box >/dev/null; $remapped run --rm box busybox cat /proc/self/uid_map").as_root().prints("0 … 65536"), hand("$remapped run --rm --userns host box busybox cat /proc/self/uid_map; $remapped image rm box >/dev/null").as_root().prints("0 0 4294967295"), ],
    claims: &[REMAPPED],
    run: |lab| {
        let engine = Engine::open(Socket::Remapped)?;
        lab.compare(REMAPPED, ["--userns", "host"].as_slice(), DEFAULTS, |options| {
            root_of(&engine.start(options)?)
        })?
        .shows(
            outside("in the host's user namespace").is("no") & outside("its root on the host").is_not("root"),
        )
    },
};

/// What is missing to use an engine with userns-remap. An engine remaps all its containers or none, so this is a second
/// one.
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
        Fact::outside("in the host's user namespace", !own_kinds(container.pid)?.contains(&Kind::User)),
        Fact::outside("its root on the host", who),
    ])
}
