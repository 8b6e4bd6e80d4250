//! Which namespaces a container has of its own, and how each is left out.

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::{Child, Fact, Kind, Namespaces, Pid, Spawn, Value, Witness, namespace};

use crate::engine::{Container, Engine};
use crate::process::Process;

pub(crate) const NEW: Claim =
    Claim::holds("new-kinds", "A container has ipc, mnt, net, pid and uts namespaces of its own.")
        .cause("docker run")
        .notes(&[1, 2]);
pub(crate) const SHARED: Claim =
    Claim::holds("shared-kinds", "A container is in the time and user namespaces of its host.")
        .cause("Docker's defaults")
        .notes(&[107])
.misconceptions(&[(lesson::NO, "a container seems to have one of everything; the runtime below could make a time namespace, and Docker does not ask for it")]);
pub(crate) const LEFT_OUT: Claim = Claim::holds(
    "left-out",
    "--ipc host, --network host, --pid host and --uts host leave out a namespace each, and no other.",
)
.cause("the option")
.notes(&[2]);
pub(crate) const OWN_ROOT: Claim = Claim::holds(
    "own-root",
    "A container's root directory is the root of its mount namespace, which no chroot could make it.",
)
.cause("pivot_root(2)")
.notes(&[2]);

const FIVE: [Kind; 5] = [Kind::Ipc, Kind::Net, Kind::Mnt, Kind::Pid, Kind::Uts];
const OPTIONS: [(&str, Kind); 4] =
    [("--ipc", Kind::Ipc), ("--network", Kind::Net), ("--pid", Kind::Pid), ("--uts", Kind::Uts)];

/// What a container does that has only to be there, for longer than the whole takes on an emulated machine.
pub(crate) const STAY: &str = "exec sleep 6000";

pub(crate) fn run(lab: &mut Lab, engine: &Engine) -> Result<Container> {
    lab.step(Step {
        goal: "Start a container, and compare its first process with a plain child of ours.",
        calls: &["clone3(CLONE_NEWIPC|CLONE_NEWNET|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS)"],
        by_hand: &[
            "tar -cC /usr bin/busybox | docker import - box",
            "c=$(docker run --detach box busybox sleep 600)",
            "p=$(docker inspect --format '{{.State.Pid}}' $c); lsns --task $p",
        ],
    })?;
    let container = engine.start(&[], STAY)?;
    let plain = Child::spawn("plain child", Namespaces::NONE, Witness::stay)?;
    lab.actor(&plain)?;
    let mut rows = Vec::new();
    let (ours, its) = (namespace::of(None)?, namespace::of(Some(container.pid))?);
    for id in &its {
        let own = ours.iter().copied().find(|own| own.kind == id.kind);
        rows.push(vec![id.kind.link().into(), own.into(), (*id).into(), ours.contains(id).into()]);
    }
    lab.table("Namespaces of a container", &["kind", "ours", "the container's", "shared"], rows)?;
    let with = cause(container.pid, plain.pid());
    lab.claim(NEW)
        .without(Fact::outside("kinds of its own", list(&own_kinds(plain.pid())?)))
        .with(Fact::outside("kinds of its own", list(&own_kinds(with)?)))
        .shows(|kinds| FIVE.iter().all(|kind| words(kinds.value()).contains(&kind.link())))?;

    lab.step(Step {
        goal: "Ask the same of the two kinds that Docker leaves alone; a child has them both anew.",
        calls: &["clone3(CLONE_NEWTIME|CLONE_NEWUSER)", "readlink(\"/proc/PID/ns/time\")"],
        by_hand: &["readlink /proc/$p/ns/{time,user} /proc/self/ns/{time,user}"],
    })?;
    let other =
        Spawn::new("child").namespaces_always(Namespaces::TIME | Namespaces::USER).run(Witness::stay)?;
    let shared = |pid: Pid| -> Result<Vec<Fact>> {
        let own = own_kinds(pid)?;
        let fact = |kind: Kind| Fact::outside(format!("its {kind} namespace is ours"), !own.contains(&kind));
        Ok([Kind::Time, Kind::User].map(fact).to_vec())
    };
    lab.claim(SHARED)
        .without(shared(other.pid())?)
        .with(shared(cause(container.pid, other.pid()))?)
        .shows(|kinds| kinds.facts().iter().all(|fact| fact.value == true))?;

    lab.step(Step {
        goal: "Start one more for each option that leaves a namespace out.",
        calls: &["readlink(\"/proc/PID/ns/KIND\")"],
        by_hand: &[
            "docker run --rm --uts host box busybox readlink /proc/self/ns/uts",
            "readlink /proc/self/ns/uts",
        ],
    })?;
    let usual = own_kinds(container.pid)?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for (option, _) in OPTIONS {
        let chosen = engine.start(cause([option, "host"].as_slice(), &[]), STAY)?;
        let own = own_kinds(chosen.pid)?;
        let missing: Vec<Kind> = usual.iter().copied().filter(|kind| !own.contains(kind)).collect();
        without.push(Fact::outside("no option leaves out", list(&[])));
        with.push(Fact::outside(format!("{option} host leaves out"), list(&missing)));
    }
    without.truncate(1);
    lab.claim(LEFT_OUT).without(without).with(with).shows(|of| {
        OPTIONS.iter().all(|(option, kind)| {
            of.outside(&format!("{option} host leaves out")).is_some_and(|value| *value == kind.link())
        })
    })?;

    lab.step(Step {
        goal: "Look for the mount of its root directory among those that it sees; a chroot hides that mount.",
        calls: &["chroot(\"/usr\")", "open(\"/proc/PID/mountinfo\")"],
        by_hand: &[
            "awk '$5 == \"/\"' /proc/$p/mountinfo",
            "chroot /usr sleep 60 &",
            "awk '$5 == \"/\"' /proc/$!/mountinfo",
        ],
    })?;
    let mut jailed = Child::spawn("chrooted child", Namespaces::NONE, |me| {
        ns_core::root::chroot("/usr".as_ref())?;
        me.saw("chroot(\"/usr\")", "OK")?;
        me.stay()
    })?;
    jailed.hear()?;
    let root = |pid: Pid| -> Result<Fact> {
        let seen = Process::look_at(pid)?;
        let kind = seen.root_mount().map(|mount| mount.fs_type.clone());
        let is_ours = !own_kinds(pid)?.contains(&Kind::Mnt);
        let how = match kind {
            Some(_) if is_ours => "ours",
            Some(_) => "one of its own mount namespace",
            None => "none that it could see",
        };
        Ok(Fact::outside("the mount of its root directory", how))
    };
    lab.claim(OWN_ROOT)
        .without(root(jailed.pid())?)
        .with(root(cause(container.pid, jailed.pid()))?)
        .shows(|mount| *mount == "one of its own mount namespace")?;
    Ok(container)
}

/// The kinds of namespace that `pid` does not share with us.
pub(crate) fn own_kinds(pid: Pid) -> Result<Vec<Kind>> {
    let ours = namespace::of(None)?;
    let its = namespace::of(Some(pid))?;
    Ok(its.into_iter().filter(|id| !ours.contains(id)).map(|id| id.kind).collect())
}

/// Kinds by their names, in words.
pub(crate) fn list(kinds: &[Kind]) -> Value {
    let names: Vec<_> = kinds.iter().map(|kind| kind.link()).collect();
    if names.is_empty() { "none".into() } else { names.join(" ").into() }
}

fn words(value: &Value) -> Vec<&str> {
    value.as_str().unwrap_or_default().split(' ').collect()
}
