//! Hierarchies as mounts: v2's one tree, and those of v1, which a mount makes and an unmount ends.
//!
//! A mount of v1 takes a controller from the whole machine, so only a machine to throw away is asked.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lesson::{Claim, Lab, Need, Step, cause};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ns_core::cgroup::{Layout, Place, Want, walk};
use ns_core::janitor::{self, TemporaryDirectory};
use ns_core::probe::{self, Missing};
use ns_core::{Capability, Child, Fact, Namespaces, Outcome, Spawn, Value, mount, stage};

use crate::inner::root;
use crate::v1::{hierarchies_or, places};
use crate::{A_PLACE, find, put, stander};

const ADMIN: Need = Need::Capability(Capability::CAP_SYS_ADMIN);
/// Root of a user namespace may mount v2 in a cgroup namespace of its own alone (cgroup_namespaces(7)).
const A_SECOND_MOUNT: Need = Need::Probe(|| {
    let mut child = Spawn::new("probe").namespaces_always(Namespaces::MNT).run(|me| {
        mount::make_private()?;
        me.saw("mount", Outcome::of(mount::mount("cgroup2", Path::new(SECOND)))?)
    })?;
    let missing =
        Missing::new("the right to mount cgroup2", "run as root of the machine, or by unshare --cgroup");
    Ok((child.hear()?.value != *"OK").then_some(missing))
});
/// A name of v1 beside v2, which no machine but one to throw away is given.
const NAMED_HIERARCHY: Need =
    Need::Probe(|| hierarchies_or(|_| places().is_ok_and(|all| named(&all).is_some())));
/// A controller in v1 and another in v2, or a machine on which one may be moved.
const BOTH: Need = Need::Probe(|| {
    if of_each().is_ok() {
        return Ok(None);
    }
    Ok(a_free_controller()?.err().or(probe::throw_away()?).or(probe::capability(Capability::CAP_SYS_ADMIN)))
});
const THROW_AWAY: &[Need] = &[Need::ThrowAway, ADMIN, Need::Probe(|| Ok(a_free_controller()?.err()))];

pub(crate) const ONE_TREE: Claim = Claim::holds(
    "one-tree",
    "However often v2 is mounted, it is one tree: a second mount shows the cgroups of the first.",
)
.cause("the type cgroup2")
.notes(&[55])
.needs(&[A_PLACE, ADMIN, A_SECOND_MOUNT]);
pub(crate) const NAMED: Claim = Claim::holds(
    "named",
    "A hierarchy of v1 needs no controller: a name makes a tree that sorts processes and limits nothing.",
)
.cause("a hierarchy with a name alone")
.notes(&[54])
.needs(&[A_PLACE, NAMED_HIERARCHY]);
pub(crate) const EITHER: Claim = Claim::holds(
    "either",
    "A controller is in v1 or in v2, never in both: one that v1 has is missing from v2's cgroup.controllers.",
)
.cause("a controller of a v1 hierarchy")
.notes(&[52, 53])
.needs(&[BOTH]);
pub(crate) const TAKEN: Claim = Claim::holds(
    "taken",
    "Mounting v1 with a controller takes it away from v2 at once, on a running machine.",
)
.cause("mount -t cgroup -o CONTROLLER")
.notes(&[52, 53])
.needs(THROW_AWAY);
pub(crate) const RETURNS: Claim = Claim::holds("returns", "Unmounting v1 gives the controller back to v2.")
    .cause("umount")
    .notes(&[53])
    .needs(THROW_AWAY);
pub(crate) const IN_USE: Claim =
    Claim::holds("in-use", "A controller that v2 hands down to a cgroup cannot be mounted as v1: EBUSY.")
        .cause("a controller in the root's cgroup.subtree_control")
        .notes(&[53])
        .needs(THROW_AWAY);
pub(crate) const RELEASE_AGENT: Claim = Claim::holds(
    "release-agent",
    "v1 starts a program when a cgroup's last member is gone: notify_on_release, and the root's release_agent.",
)
.cause("echo 1 > notify_on_release")
.more(&[120])
.needs(THROW_AWAY);

/// Where v2 is mounted once more, in a child's mount namespace: a directory that every machine has.
const SECOND: &str = "/tmp";
/// Where we mount: nothing of the machine's is there in our mount namespace.
const BENCH: &str = "/mnt";

pub(crate) fn one_tree(lab: &mut Lab) -> Result<()> {
    if !lab.can_ask(&[ONE_TREE])? {
        return Ok(());
    }
    lab.step(Step {
        goal: "Make a cgroup, mount cgroup2 once more in a mount namespace, and look for the cgroup there.",
        calls: &["unshare(CLONE_NEWNS)", "mount(\"cgroup2\", \"/tmp\", \"cgroup2\")"],
        // Without its options, which are the machine's, the mount would clear them.
        by_hand: &[
            "options=$(findmnt -nfo FS-OPTIONS -t cgroup2)",
            "unshare --mount bash -c \"mount -t cgroup2 -o $options none /mnt; ls -d /mnt${own#$v2}/r* $own/r*\"",
        ],
    })?;
    let cgroup = find(Want::AnyV2)?.create("seen")?;
    let mount_and_look = |kind: &'static str| -> Result<Fact> {
        let name = cgroup.path().file_name().context("a name")?.to_os_string();
        // A mount namespace for both arms: what is mounted is to end with the child.
        let mut child = Spawn::new("mounter").namespaces_always(Namespaces::MNT).run(move |me| {
            mount::make_private()?;
            mount::mount(kind, Path::new(SECOND))?;
            let found = walk(Path::new(SECOND))?.iter().any(|node| node.path.file_name() == Some(&name));
            me.saw(format!("the cgroup is seen in a mount of {kind}"), found)
        })?;
        let mut seen = child.hear()?;
        seen.what = "the new mount shows the cgroup".into();
        Ok(seen)
    };
    lab.claim(ONE_TREE)
        .without(mount_and_look("tmpfs")?)
        .with(mount_and_look(cause("cgroup2", "tmpfs"))?)
        .shows(|seen| *seen == "yes")?;
    Ok(())
}

/// Where this machine has no v1 and is to be thrown away: two hierarchies for the claims about v1. They are unmounted
/// with our mount namespace.
pub(crate) fn two_hierarchies() -> Result<bool> {
    let may = probe::throw_away()?.is_none() && probe::capability(Capability::CAP_SYS_ADMIN).is_none();
    if !may || !places()?.is_empty() {
        return Ok(false);
    }
    // The next janitor is made in the new mount namespace: only from there the cgroups of v1 can be removed.
    janitor::finish()?;
    stage::enter(Namespaces::MNT)?;
    mount::mount("tmpfs", Path::new(BENCH))?;
    for name in ["first", "second"] {
        let point = bench(name)?;
        mount::mount_with("cgroup", &format!("none,name={name}"), &point)?;
    }
    Ok(true)
}

pub(crate) fn run(lab: &mut Lab, mounted: bool) -> Result<()> {
    if lab.can_ask(&[NAMED])? {
        name_alone(lab)?;
    }
    let hop = [TAKEN, RETURNS, IN_USE, RELEASE_AGENT];
    if lab.can_ask(&[EITHER])? {
        if let Ok(pair) = of_each() {
            either(lab, pair)?;
        } else {
            // The one that is mounted for this claim is unmounted for the next.
            let controller = a_free_controller()?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
            let point = bench("either")?;
            mount::mount_with("cgroup", &controller, &point)?;
            either(lab, of_each()?)?;
            mount::unmount(&point)?;
            until_v2_has(&controller)?;
        }
    }
    if lab.can_ask(&hop)? {
        ensure!(mounted, "v1 is there already on a machine to throw away");
        hops(lab)?;
        release_agent(lab)?;
    }
    Ok(())
}

fn name_alone(lab: &mut Lab) -> Result<()> {
    let places = places()?;
    let (name, place) = named(&places).context("a hierarchy with a name alone")?;
    lab.step(Step {
        goal: "Put a process into a hierarchy of v1 that has a name and no controller.",
        calls: &["mount(\"cgroup\", \"/mnt/lab\", \"cgroup\", \"none,name=lab\")"],
        by_hand: &["grep name= /proc/self/cgroup; ls $v1"],
    })?;
    lab.saw(Fact::outside("the hierarchy", Value::Name(name.clone())))?;
    let v2 = find(Want::AnyV2)?;
    let look = |place: &Place| -> Result<[Fact; 2]> {
        let cgroup = place.create("new")?;
        let member = stander("member")?;
        put(&cgroup, &member)?;
        let text =
            fs::read_to_string(format!("/proc/{}/cgroup", member.pid())).context("/proc/PID/cgroup")?;
        let own = cgroup.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let line = text.lines().find(|line| line.ends_with(&*own)).unwrap_or_default();
        Ok([
            Fact::outside("its line in /proc/PID/cgroup has a name", line.contains(":name=")),
            Fact::outside("members", cgroup.procs()?.len()),
        ])
    };
    lab.claim(NAMED)
        .without(look(&v2)?)
        .with(look(cause(place, &v2))?)
        .shows(|it| *it == "yes" && it.outside("members").is_some_and(|it| *it == 1))?;
    Ok(())
}

fn either(lab: &mut Lab, (of_v1, of_v2): (String, String)) -> Result<()> {
    lab.step(Step {
        goal: "Look for a controller of a v1 hierarchy in v2's root.",
        calls: &["read(\"/proc/self/cgroup\")", "read(\"/sys/fs/cgroup/cgroup.controllers\")"],
        by_hand: &["cut -d: -f2 /proc/self/cgroup; cat $v2/cgroup.controllers"],
    })?;
    let layout = Layout::detect()?;
    let look = |controller: &str| {
        let listed = layout.v2_controllers().iter().any(|own| own == controller);
        [
            Fact::outside("v2's cgroup.controllers lists it", listed),
            Fact::outside("the controller", Value::Name(controller.into())),
        ]
    };
    lab.claim(EITHER)
        .without(look(&of_v2))
        .with(look(cause(&of_v1, &of_v2)))
        .shows(|listed| *listed == "no")?;
    Ok(())
}

fn hops(lab: &mut Lab) -> Result<()> {
    let controller = a_free_controller()?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
    lab.step(Step {
        goal: "Mount a controller as v1 that v2 has and does not use, unmount it, and try one that v2 uses.",
        calls: &["mount(\"cgroup\", \"/mnt/hop\", \"cgroup\", \"misc\")", "umount2(\"/mnt/hop\", 0)"],
        by_hand: &[
            "mkdir /tmp/hop; mount -t cgroup -o misc none /tmp/hop; cat $v2/cgroup.controllers",
            "umount /tmp/hop; sleep 1; cat $v2/cgroup.controllers; mount -t cgroup -o pids none /tmp/hop",
        ],
    })?;
    lab.saw(Fact::outside("the controller", Value::Name(controller.clone())))?;
    let point = bench("hop")?;
    let look =
        || -> Result<Fact> { Ok(Fact::outside("v2's cgroup.controllers lists it", has(&controller)?)) };
    let before = look()?;
    if cause(true, false) {
        mount::mount_with("cgroup", &controller, &point)?;
    }
    let meanwhile = look()?;
    lab.claim(TAKEN).without(before).with(meanwhile.clone()).shows(|listed| *listed == "no")?;
    if cause(true, false) {
        mount::unmount(&point)?;
        until_v2_has(&controller)?;
    }
    lab.claim(RETURNS).without(meanwhile).with(look()?).shows(|listed| *listed == "yes")?;
    let handed =
        fs::read_to_string(root()?.join("cgroup.subtree_control")).context("cgroup.subtree_control")?;
    let of_both = |it: &&str| ["pids", "cpu"].contains(it);
    let used = handed.split_whitespace().find(of_both).context("pids or cpu in use")?;
    let attempt = |controller: &str| -> Result<Fact> {
        let answer = Outcome::of(mount::mount_with("cgroup", controller, &point))?;
        if answer == Outcome::Done {
            mount::unmount(&point)?;
            until_v2_has(controller)?;
        }
        Ok(Fact::outside(format!("mount -t cgroup -o {controller}"), answer))
    };
    lab.claim(IN_USE)
        .without(attempt(&controller)?)
        .with(attempt(cause(used, &controller))?)
        .shows(|answer| *answer == "EBUSY")?;
    Ok(())
}

fn release_agent(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Name a program that tells us the cgroup that it is started for, and empty two cgroups.",
        calls: &["write(\"/mnt/first/release_agent\", PATH)", "write(\"…/notify_on_release\", \"1\")"],
        by_hand: &[
            "printf '#!/bin/sh\\necho $1 >> /tmp/gone\\n' > /tmp/agent; chmod +x /tmp/agent; echo /tmp/agent > $v1/release_agent",
            "mkdir $v1/x; echo 1 > $v1/x/notify_on_release; bash -c \"echo 0 > $v1/x/tasks\"; sleep 1; cat /tmp/gone",
        ],
    })?;
    // The kernel starts the program in the mount namespace of the machine's init, which has this directory too.
    let directory = TemporaryDirectory::new("agent")?;
    let (fifo, agent) = (directory.path().join("gone"), directory.path().join("agent"));
    mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).context("mkfifo")?;
    fs::write(&agent, format!("#!/bin/sh\necho \"$1\" > {}\n", fifo.display())).context("the agent")?;
    fs::set_permissions(&agent, std::os::unix::fs::PermissionsExt::from_mode(0o755)).context("chmod")?;
    let point = Path::new(BENCH).join("first");
    let path = agent.display().to_string();
    fs::write(point.join("release_agent"), path).context("echo PROGRAM > release_agent")?;
    let place =
        Place::find(Want::V1("name=first"))?.map_err(|missing| anyhow::anyhow!("{}", missing.what))?;
    let empty_two = |first_is_told: bool| -> Result<Fact> {
        let first = place.create("first")?;
        let last = place.create("last")?;
        let path = fifo.clone();
        // As many lines as cgroups with a notice: the last one's comes in any case.
        let lines = if first_is_told { 2 } else { 1 };
        let mut reader = Child::spawn("reader", Namespaces::NONE, move |me| {
            let file = fs::OpenOptions::new().read(true).write(true).open(path);
            let file = ns_core::Named::named(file, || "open(fifo)".into())?;
            me.saw("ready", true)?;
            let mut told = Vec::new();
            for line in std::io::BufRead::lines(std::io::BufReader::new(file)).take(lines) {
                told.push(ns_core::Named::named(line, || "read(fifo)".into())?);
            }
            told.sort();
            let purpose = |path: &String| path.rsplit('-').next().unwrap_or_default().to_string();
            me.saw("cgroups that it was started for", told.iter().map(purpose).collect::<Vec<_>>())
        })?;
        reader.hear()?;
        first.write("notify_on_release", if first_is_told { "1" } else { "0" })?;
        last.write("notify_on_release", "1")?;
        for cgroup in [&first, &last] {
            let mut member = stander("member")?;
            put(cgroup, &member)?;
            member.release()?;
            member.wait()?;
        }
        Ok(reader.hear()?)
    };
    let told = empty_two(false)?;
    lab.claim(RELEASE_AGENT)
        .without(told)
        .with(empty_two(cause(true, false))?)
        .shows(|told| *told.value() == Value::from(vec!["first", "last"]))?;
    Ok(())
}

/// A directory to mount on.
fn bench(name: &str) -> Result<PathBuf> {
    let point = Path::new(BENCH).join(name);
    fs::create_dir_all(&point).with_context(|| format!("mkdir {}", point.display()))?;
    Ok(point)
}

fn named(places: &[(String, Place)]) -> Option<&(String, Place)> {
    places.iter().find(|(name, _)| name.starts_with("name="))
}

/// A controller of v1 and one of v2.
fn of_each() -> Result<(String, String)> {
    let layout = Layout::detect()?;
    let all = layout.hierarchies().iter().filter(|it| it.version() == ns_core::cgroup::Version::V1);
    let mut of_v1 =
        all.flat_map(ns_core::cgroup::Hierarchy::controllers).filter(|controller| !controller.contains('='));
    let of_v1 = of_v1.next().context("no controller is in v1")?;
    let of_v2 = layout.v2_controllers().first().context("no controller is in v2")?;
    Ok((of_v1.clone(), of_v2.clone()))
}

/// A controller that the root of v2 has and hands to nobody, so that v1 may take it.
fn a_free_controller() -> ns_core::Result<Result<String, Missing>> {
    let read = |file: &str| {
        let path = root().map(|root| root.join(file)).ok();
        path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let (offered, handed) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    let free = ["misc", "rdma", "hugetlb"].into_iter().find(|controller| {
        let has = |text: &str| text.split_whitespace().any(|it| it == *controller);
        has(&offered) && !has(&handed)
    });
    let remedy = "a machine to throw away: scripts/vm --user root -- cgroup-rules";
    Ok(free
        .map(String::from)
        .ok_or_else(|| Missing::new("a controller that v2 has and does not use", remedy)))
}

/// Whether the root of v2 offers the controller.
fn has(controller: &str) -> Result<bool> {
    let offered = fs::read_to_string(root()?.join("cgroup.controllers")).context("cat cgroup.controllers")?;
    Ok(offered.split_whitespace().any(|own| own == controller))
}

/// The kernel ends a hierarchy in its own time after the unmount, and tells nobody. So we look again, for a while.
fn until_v2_has(controller: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !has(controller)? {
        ensure!(Instant::now() < deadline, "{controller} did not come back to v2 within 10 s");
        nix::poll::poll(&mut [], 1_u8).context("poll()")?;
    }
    Ok(())
}
