//! Which namespaces a container has of its own, and which options leave them out.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Row, Step, every, hand, outside, right, wrong};
use ns_core::{Child, Fact, Kind, Namespaces, Pid, Reporter, Spawn, Value, namespace};

use crate::engine::{Container, DEFAULTS, Engine, engine};
use crate::process::Process;

const NEW: Claim =
    Claim::holds("new-kinds", "A container has its own ipc, mnt, net, pid and uts namespaces.")
        .factor("docker run")
        .notes(&[1, 2])
        .core(&[Row::outside("own namespaces", "own namespaces")])
        .asks(
            "Which namespaces does docker run create when no option is given?",
            &[
                right("ipc, mnt, net, pid and uts, at least"),
                wrong("one of each kind", "a container seems to have one of everything"),
                wrong("pid, net and mnt alone", "tutorials show ps, ip and ls in a container"),
                wrong("user, mnt and pid", "unshare -r and rootless engines start with a user namespace"),
            ],
        );

pub(crate) const START: Step = Step {
    title: "Start a container. Compare the namespaces of its first process with those of a plain child.",
    calls: &["clone3(CLONE_NEWIPC|CLONE_NEWNET|CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS)"],
    by_hand: &[
        hand("tar -cC /usr bin/busybox | docker import - box >/dev/null")
            .as_root()
            .prints("")
            .needs(&[Need::Docker]),
        hand("c=$(docker run --detach box busybox sleep 600)").as_root().prints(""),
        hand("p=$(docker inspect --format '{{.State.Pid}}' $c); lsns --task $p --type uts")
            .as_root()
            .prints("NS TYPE NPROCS PID USER COMMAND\n… uts 1 … root busybox sleep 600"),
    ],
    claims: &[NEW],
    run: |lab| {
        let container = engine(lab)?.idle(DEFAULTS)?;
        let plain = Child::spawn("plain child", Namespaces::NONE, Reporter::stay)?;
        lab.actor(&plain)?;
        show_namespaces(lab, &container)?;
        lab.compare(NEW, plain.pid(), container.pid, |pid| {
            Ok(Fact::outside("own namespaces", list(&own_kinds(pid)?)))
        })?
        .shows(outside("own namespaces").that(|kinds| FIVE.iter().all(|kind| is_in(kinds, kind.link()))))
    },
};

const SHARED: Claim =
    Claim::holds("shared-kinds", "By default, a container is in the time and user namespaces of its host.")
        .factor("Docker's defaults")
        .notes(&[107])
        .arms("new ones", "docker run")
        .core(&[
            Row::outside("in host's time ns", "in the host's time namespace"),
            Row::outside("in host's user ns", "in the host's user namespace"),
        ])
        .asks(
            "Root in a container, with Docker's defaults: which user is that on the host?",
            &[
                right("root: they share the user namespace"),
                wrong("nobody", "an unmapped user shows as nobody, and a container seems to map none"),
                wrong("one with an ID of 100000 or so", "userns-remap or a rootless engine does so"),
                wrong("the user who typed docker run", "unshare --map-root-user does so"),
            ],
        );

pub(crate) const COMPARE_THE_REST: Step = Step {
    title: "Compare the time and user namespaces with the host's. The control is a child that creates both.",
    calls: &["clone3(CLONE_NEWTIME|CLONE_NEWUSER)", "readlink(\"/proc/PID/ns/time\")"],
    by_hand: &[hand("readlink /proc/$p/ns/{time,user} /proc/self/ns/{time,user}")
        .as_root()
        .prints("time:[<time>]\nuser:[<user>]\ntime:[<time>]\nuser:[<user>]")
        .in_the_same_shell()],
    claims: &[SHARED],
    run: |lab| {
        let container = engine(lab)?.idle(DEFAULTS)?;
        let other =
            Spawn::new("child").namespaces(Namespaces::TIME | Namespaces::USER).run(Reporter::stay)?;
        lab.compare(SHARED, other.pid(), container.pid, |pid| {
            let own = own_kinds(pid)?;
            let is_shared =
                |kind| Fact::outside(format!("in the host's {kind} namespace"), !own.contains(&kind));
            Ok([Kind::Time, Kind::User].map(is_shared))
        })?
        .shows(every().is("yes"))
    },
};

const LEFT_OUT: Claim = Claim::holds(
    "left-out",
    "--ipc host, --network host, --pid host and --uts host each leave out one namespace, and no other.",
)
.factor("the option")
.arms("the default", "the option")
.notes(&[2]);

pub(crate) const LEAVE_OUT: Step = Step {
    title: "Start a container for each option that leaves a namespace out.",
    calls: &["readlink(\"/proc/PID/ns/KIND\")"],
    by_hand: &[
        hand("docker run --rm --uts host box busybox readlink /proc/self/ns/uts")
            .as_root()
            .prints("uts:[<ns>]")
            .in_the_same_shell(),
        hand("readlink /proc/self/ns/uts").as_root().prints("uts:[<ns>]"),
    ],
    claims: &[LEFT_OUT],
    run: |lab| {
        let engine = engine(lab)?;
        lab.compare(LEFT_OUT, false, true, |given| left_out(&engine, given))?.shows(
            outside("left out (--ipc)").is("ipc")
                & outside("left out (--network)").is("net")
                & outside("left out (--pid)").is("pid")
                & outside("left out (--uts)").is("uts"),
        )
    },
};

const OWN_ROOT: Claim = Claim::holds(
    "own-root",
    "mountinfo of a container lists a mount at / in its own mount namespace; after chroot() it lists none.",
)
.factor("pivot_root(2)")
.arms("chroot()", "docker run")
.notes(&[2]);

pub(crate) const FIND_THE_ROOT: Step = Step {
    title: "Look for a mount at / in mountinfo of a container, and of a chrooted process.",
    calls: &["chroot(\"/usr\")", "open(\"/proc/PID/mountinfo\")"],
    by_hand: &[
        hand("awk '$5 == \"/\" {print $4, $5, $(NF-2)}' /proc/$p/mountinfo")
            .as_root()
            .prints("/ / overlay")
            .in_the_same_shell(),
        hand("chroot /usr sleep 60 &").as_root().prints(""),
        hand("awk '$5 == \"/\" {print $4, $5, $(NF-2)}' /proc/$!/mountinfo; kill $!").as_root().prints(""),
    ],
    claims: &[OWN_ROOT],
    run: |lab| {
        let container = engine(lab)?.idle(DEFAULTS)?;
        let mut jailed = Child::spawn("chrooted child", Namespaces::NONE, |me| {
            ns_core::root::chroot("/usr".as_ref())?;
            me.report("chroot(\"/usr\")", "OK")?;
            me.stay()
        })?;
        jailed.fact()?; // chroot() is done
        lab.compare(OWN_ROOT, jailed.pid(), container.pid, mount_of_the_root)?
            .shows(outside("mount at /").is("in its own namespace"))
    },
};

const FIVE: [Kind; 5] = [Kind::Ipc, Kind::Net, Kind::Mnt, Kind::Pid, Kind::Uts];

fn show_namespaces(lab: &mut Lab, container: &Container) -> Result<()> {
    let mut rows = Vec::new();
    let (ours, its) = (namespace::of(None)?, namespace::of(Some(container.pid))?);
    for id in &its {
        let own = ours.iter().copied().find(|own| own.kind == id.kind);
        rows.push(vec![id.kind.link().into(), own.into(), (*id).into(), ours.contains(id).into()]);
    }
    lab.table("Namespaces of a container", &["kind", "host", "container", "shared"], rows)
}

/// For each of four options: which of the usual kinds a container lacks. It has the option if `given`.
fn left_out(engine: &Engine, given: bool) -> Result<Vec<Fact>> {
    let usual = own_kinds(engine.idle(DEFAULTS)?.pid)?;
    let lacks = |option: &str| {
        let with_option = [option, "host"];
        let own = own_kinds(engine.idle(if given { &with_option } else { DEFAULTS })?.pid)?;
        let missing: Vec<Kind> = usual.iter().copied().filter(|kind| !own.contains(kind)).collect();
        Ok(Fact::outside(format!("left out ({option})"), list(&missing)))
    };
    ["--ipc", "--network", "--pid", "--uts"].into_iter().map(lacks).collect()
}

fn mount_of_the_root(pid: Pid) -> Result<Fact> {
    let process = Process::look_at(pid)?;
    let how = match process.root_mount() {
        Some(_) if !own_kinds(pid)?.contains(&Kind::Mnt) => "the host's",
        Some(_) => "in its own namespace",
        None => "none",
    };
    Ok(Fact::outside("mount at /", how))
}

/// The kinds of namespace that `pid` does not share with this program.
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

/// Whether a word is in a list of words.
pub(crate) fn is_in(list: &Value, word: &str) -> bool {
    list.as_str().unwrap_or_default().split(' ').any(|own| own == word)
}
