//! Mounts of hierarchies: v2 is one tree, and a mount creates a v1 hierarchy, which ends when it is unmounted.
//!
//! A mount of v1 takes a controller from the whole machine, so this runs on a disposable machine alone.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lesson::{Claim, Need, Requirement, Step, first, hand, inside, outside};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use ns_core::cgroup::{CgroupParent, CgroupRequest, Hierarchy, Layout, Version, walk};
use ns_core::cleanup::TemporaryDirectory;
use ns_core::probe::{self, Unmet};
use ns_core::{Capability, Child, Error, Fact, Named, Namespaces, Outcome, Value, mount};

use crate::cgroups::{A_PARENT, start_in};
use crate::inner::root;
use crate::v1_hierarchies::{BASE, hierarchies_or, mount_point, mount_two_hierarchies, parents};

const ADMIN: Requirement = Requirement::Capability(Capability::CAP_SYS_ADMIN);
/// Root in a user namespace may mount v2 only in its own cgroup namespace (cgroup_namespaces(7)).
const A_SECOND_MOUNT: Requirement = Requirement::Probe(|| {
    let mut child = Child::spawn("probe", Namespaces::MNT, |me| {
        mount::make_private()?;
        me.report("mount", Outcome::of(mount::mount("cgroup2", Path::new(SECOND)))?)
    })?;
    let unmet =
        Unmet::new("permission to mount cgroup2", "run as root of the machine, or under unshare --cgroup");
    Ok((child.fact()?.value != *"OK").then_some(unmet))
});
/// A v1 hierarchy with a name alone. Only a disposable machine gets one.
const NAMED_HIERARCHY: Requirement =
    Requirement::Probe(|| hierarchies_or(|_| parents().is_ok_and(|all| named(&all).is_some())));
/// A controller in v1 and another in v2, or a disposable machine, on which one can be moved to v1.
const BOTH: Requirement = Requirement::Probe(|| {
    if one_of_each()?.is_some() {
        return Ok(None);
    }
    Ok(a_free_controller()?.err().or(probe::throw_away()?).or(probe::capability(Capability::CAP_SYS_ADMIN)))
});
const THROW_AWAY: &[Requirement] =
    &[Requirement::ThrowAway, ADMIN, Requirement::Probe(|| Ok(a_free_controller()?.err()))];

/// The mount point of the second v2 mount, in the mount namespace of a child. Every machine has this directory.
const SECOND: &str = "/tmp";

const ONE_TREE: Claim = Claim::holds(
    "one-tree",
    "All mounts of cgroup2 show one tree: a new cgroup appears in a second mount too.",
)
.factor("the type cgroup2")
.arms("tmpfs", "cgroup2")
.notes(&[55])
.requires(&[A_PARENT, ADMIN, A_SECOND_MOUNT]);

pub(crate) const MOUNT_V2_AGAIN: Step = Step {
    title: "Create a cgroup. Mount cgroup2 again in a new mount namespace, and look for the cgroup there.",
    calls: &["unshare(CLONE_NEWNS)", "mount(\"cgroup2\", \"/tmp\", \"cgroup2\")"],
    // Without its options, which are the machine's, the mount would clear them.
    by_hand: &[hand("options=$(findmnt -nfo FS-OPTIONS -t cgroup2)").as_root().prints("").in_the_same_shell(), hand("unshare --mount bash -c \"mount -t cgroup2 -o $options none /mnt; ls -d /mnt${own#$v2}/r* $own/r*\"").as_root().prints("/mnt/…/rules\n/sys/fs/cgroup/…/rules"), ],
    claims: &[ONE_TREE],
    run: |lab| {
        lab.compare(ONE_TREE, "tmpfs", "cgroup2", mount_and_look)?
            .shows(inside("new mount shows the cgroup").is("yes"))
    },
};

const NAMED: Claim = Claim::holds(
    "named",
    "A v1 hierarchy needs no controller: one with a name alone has cgroups and members.",
)
.factor("a hierarchy with a name alone")
.arms("v2", "named v1")
.notes(&[54])
.requires(&[A_PARENT, NAMED_HIERARCHY]);

pub(crate) const NAME_A_HIERARCHY: Step = Step {
    title: "Put a process into a v1 hierarchy that has a name and no controller.",
    calls: &["mount(\"cgroup\", \"/mnt/lab\", \"cgroup\", \"none,name=lab\")"],
    by_hand: &[hand("grep name= /proc/self/cgroup; ls $v1 | head -n 3")
        .as_root()
        .prints("…:name=lab:/\ncgroup.clone_children\ncgroup.procs\ncgroup.sane_behavior")
        .needs(&[Need::ThrowAway])
        .in_the_same_shell()],
    claims: &[NAMED],
    run: |lab| {
        mount_two_hierarchies(lab)?;
        let parents = parents()?;
        let (name, parent) = named(&parents).context("a hierarchy with a name alone")?;
        lab.saw(Fact::outside("the hierarchy", Value::Name(name.clone())))?;
        let v2 = CgroupParent::require(CgroupRequest::AnyV2)?;
        lab.compare(NAMED, &v2, parent, read_line)?
            .in_both_arms(outside("members").is(1))
            .shows(outside("line in /proc/PID/cgroup has name=").is("yes"))
    },
};

const EITHER: Claim = Claim::holds(
    "either",
    "A controller is in v1 or in v2: one of a v1 hierarchy is missing in cgroup.controllers of v2.",
)
.factor("a controller of a v1 hierarchy")
.arms("of v2", "of v1")
.notes(&[52, 53])
.requires(&[BOTH]);

pub(crate) const LOOK_FOR_A_CONTROLLER: Step = Step {
    title: "Look for a controller of a v1 hierarchy in cgroup.controllers of the v2 root.",
    calls: &["read(\"/proc/self/cgroup\")", "read(\"/sys/fs/cgroup/cgroup.controllers\")"],
    by_hand: &[hand("cut -d: -f2 /proc/self/cgroup; cat $v2/cgroup.controllers")
        .as_root()
        .prints("name=lab\n…\ncpuset cpu io memory …")
        .needs(&[Need::ThrowAway])
        .in_the_same_shell()],
    claims: &[EITHER],
    run: |lab| {
        mount_two_hierarchies(lab)?;
        // Where v1 has no controller, it gets one for this step.
        let lent = match one_of_each()? {
            Some(_) => None,
            None => Some(a_free_controller()?.map_err(Error::Unmet)?),
        };
        if let Some(controller) = &lent {
            mount_v1(controller)?;
        }
        let (of_v1, of_v2) = one_of_each()?.context("a controller in v1, and one in v2")?;
        lab.compare(EITHER, &of_v2, &of_v1, |controller| {
            let layout = Layout::detect()?;
            Ok([
                Fact::outside("v2 lists it", layout.v2_controllers().contains(controller)),
                Fact::outside("the controller", Value::Name(controller.clone())),
            ])
        })?
        .shows(outside("v2 lists it").is("no"))?;
        lent.map_or(Ok(()), |controller| unmount_v1(&controller))
    },
};

const TAKEN: Claim =
    Claim::holds("taken", "A mount of v1 with a controller takes the controller from v2 at once.")
        .factor("mount -t cgroup -o CONTROLLER")
        .arms("not mounted", "mounted")
        .notes(&[52, 53])
        .requires(THROW_AWAY);
const RETURNS: Claim = Claim::holds("returns", "After an unmount of v1, v2 has the controller again.")
    .factor("umount")
    .arms("mounted", "unmounted")
    .notes(&[53])
    .requires(THROW_AWAY);
const IN_USE: Claim = Claim::holds(
    "in-use",
    "A controller that the v2 root enables for children cannot be mounted as v1: EBUSY.",
)
.factor("a controller in the root's cgroup.subtree_control")
.arms("not enabled", "enabled")
.notes(&[53])
.requires(THROW_AWAY);

pub(crate) const MOUNT_V1: Step = Step {
    title: "Mount a controller as v1 that v2 does not use, and unmount it. Then try one that v2 uses.",
    calls: &["mount(\"cgroup\", \"/mnt/hop\", \"cgroup\", \"misc\")", "umount2(\"/mnt/hop\", 0)"],
    by_hand: &[hand("hop=$(mktemp -d); mount -t cgroup -o misc none $hop; grep -c misc $v2/cgroup.controllers").as_root().prints("0").needs(&[Need::ThrowAway]).in_the_same_shell(), hand("umount $hop; sleep 1; grep -c misc $v2/cgroup.controllers; mount -t cgroup -o pids none $hop; rmdir $hop").as_root().prints("1\nmount: …: none already mounted or mount point busy.\n…").needs(&[Need::ThrowAway]), ],
    claims: &[TAKEN, RETURNS, IN_USE],
    run: |lab| {
        ensure!(mount_two_hierarchies(lab)?, "this disposable machine already has v1");
        let free = &a_free_controller()?.map_err(Error::Unmet)?;
        lab.saw(Fact::outside("the controller", Value::Name(free.clone())))?;
        let listed = || outside("v2 lists it");
        lab.compare(TAKEN, false, true, |mounts| {
            if mounts {
                mount_v1(free)?;
            }
            let listed = v2_lists(free)?;
            if mounts {
                unmount_v1(free)?;
            }
            Ok(listed)
        })?
        .shows(listed().is("no"))?;
        lab.compare(RETURNS, false, true, |unmounts| {
            mount_v1(free)?;
            if unmounts {
                unmount_v1(free)?;
            }
            let listed = v2_lists(free)?;
            if !unmounts {
                unmount_v1(free)?;
            }
            Ok(listed)
        })?
        .shows(listed().is("yes"))?;
        lab.compare(IN_USE, free, &used_controller()?, |controller| {
            let answer = Outcome::of(mount_v1(controller))?;
            if answer == Outcome::Done {
                unmount_v1(controller)?;
            }
            Ok(Fact::outside(format!("mount -t cgroup -o {controller}"), answer))
        })?
        .shows(first().is("EBUSY"))
    },
};

const RELEASE_AGENT: Claim = Claim::holds(
    "release-agent",
    "With notify_on_release at 1, v1 starts the release_agent when a cgroup's last member has ended.",
)
.factor("echo 1 > notify_on_release")
.arms("notify 0", "notify 1")
.more(&[120])
.requires(THROW_AWAY);

pub(crate) const EMPTY_CGROUPS: Step = Step {
    title: "Set a release_agent that reports the cgroup that it is started for. Empty two cgroups.",
    calls: &["write(\"/mnt/first/release_agent\", PATH)", "write(\"…/notify_on_release\", \"1\")"],
    by_hand: &[hand("export agent=$(mktemp); printf '#!/bin/sh\\necho $1 >> %s.gone\\n' $agent > $agent; chmod +x $agent; echo $agent > $v1/release_agent").as_root().prints("").needs(&[Need::ThrowAway]).in_the_same_shell(), hand("mkdir $v1/x; echo 1 > $v1/x/notify_on_release; bash -c \"echo 0 > $v1/x/tasks\"; sleep 2; cat $agent.gone; rm $agent*").as_root().prints("/x").needs(&[Need::ThrowAway]), hand("kill $(find $v1 -mindepth 2 -name cgroup.procs -exec cat {} +); sleep 1; find $v1 -mindepth 1 -depth -type d -exec rmdir {} +; umount $v1; exit").as_root().prints("").needs(&[Need::ThrowAway]), ],
    claims: &[RELEASE_AGENT],
    run: |lab| {
        ensure!(mount_two_hierarchies(lab)?, "this disposable machine already has v1");
        // The kernel starts the program in the mount namespace of the host's init, which has this directory too.
        let directory = TemporaryDirectory::new("agent")?;
        let (fifo, agent) = (directory.path().join("gone"), directory.path().join("agent"));
        mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).context("mkfifo")?;
        fs::write(&agent, format!("#!/bin/sh\necho \"$1\" > {}\n", fifo.display())).context("the agent")?;
        fs::set_permissions(&agent, PermissionsExt::from_mode(0o755)).context("chmod")?;
        let file = Path::new(BASE).join("first/release_agent");
        fs::write(file, agent.display().to_string()).context("echo PROGRAM > release_agent")?;
        lab.compare(RELEASE_AGENT, false, true, |notifies| empty_two(&fifo, notifies))?
            .shows(inside("cgroups reported").is(vec!["first", "last"]))
    },
};

/// Whether a new mount of type `kind` shows a new cgroup.
fn mount_and_look(kind: &str) -> Result<Fact> {
    let cgroup = CgroupParent::require(CgroupRequest::AnyV2)?.create("seen")?;
    let name = cgroup.path().file_name().context("a name")?;
    // Both arms have a mount namespace, so that the mount ends with the child.
    let mut child = Child::spawn("mounter", Namespaces::MNT, |me| {
        mount::make_private()?;
        mount::mount(kind, Path::new(SECOND))?;
        let found = walk(Path::new(SECOND))?.iter().any(|node| node.path.file_name() == Some(name));
        me.report("new mount shows the cgroup", found)
    })?;
    Ok(child.fact()?)
}

/// The line of a new cgroup in /proc/PID/cgroup of its member.
fn read_line(parent: &CgroupParent) -> Result<[Fact; 2]> {
    let cgroup = parent.create("new")?;
    let member = start_in(&cgroup, "member")?;
    let text = fs::read_to_string(format!("/proc/{}/cgroup", member.pid())).context("/proc/PID/cgroup")?;
    let own = cgroup.path().file_name().unwrap_or_default().to_string_lossy();
    let line = text.lines().find(|line| line.ends_with(&*own)).unwrap_or_default();
    Ok([
        Fact::outside("line in /proc/PID/cgroup has name=", line.contains(":name=")),
        Fact::outside("members", cgroup.procs()?.len()),
    ])
}

/// Empties two cgroups. The first notifies if `first_notifies`, and the last always does.
fn empty_two(fifo: &Path, first_notifies: bool) -> Result<Fact> {
    let parent = CgroupParent::require(CgroupRequest::V1("name=first"))?;
    let (first, last) = (parent.create("first")?, parent.create("last")?);
    // As many lines as cgroups that notify.
    let lines = if first_notifies { 2 } else { 1 };
    let mut reader = Child::spawn("reader", Namespaces::NONE, |me| {
        let file = OpenOptions::new().read(true).write(true).open(fifo).named(|| "open(fifo)".into())?;
        me.report("ready", true)?;
        let mut started = Vec::new();
        for line in BufReader::new(file).lines().take(lines) {
            let path = line.named(|| "read(fifo)".into())?;
            started.push(path.rsplit('-').next().unwrap_or_default().to_string());
        }
        started.sort();
        me.report("cgroups reported", started)
    })?;
    reader.fact()?; // the FIFO is open
    first.write("notify_on_release", if first_notifies { "1" } else { "0" })?;
    last.write("notify_on_release", "1")?;
    for cgroup in [&first, &last] {
        let mut member = start_in(cgroup, "member")?;
        member.wake()?;
        member.wait()?;
    }
    Ok(reader.fact()?)
}

fn mount_v1(controller: &str) -> ns_core::Result<()> {
    mount::mount_with("cgroup", controller, &mount_point("hop")?)
}

/// Unmounts it. The kernel removes the hierarchy later and sends no event, so this looks again for up to 10 s.
fn unmount_v1(controller: &str) -> Result<()> {
    mount::unmount(&mount_point("hop")?)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_listed(controller)? {
        ensure!(Instant::now() < deadline, "v2 does not list {controller} again within 10 s");
        nix::poll::poll(&mut [], 1_u8).context("poll()")?;
    }
    Ok(())
}

fn named(parents: &[(String, CgroupParent)]) -> Option<&(String, CgroupParent)> {
    parents.iter().find(|(name, _)| name.starts_with("name="))
}

/// A controller of v1 and one of v2.
fn one_of_each() -> ns_core::Result<Option<(String, String)>> {
    let layout = Layout::detect()?;
    let v1 = layout.hierarchies().iter().filter(|it| it.version() == Version::V1);
    let of_v1 = v1.flat_map(Hierarchy::controllers).find(|controller| !controller.contains('='));
    Ok(of_v1.cloned().zip(layout.v2_controllers().first().cloned()))
}

/// A controller that the v2 root has and does not enable for children, so that v1 can take it.
fn a_free_controller() -> ns_core::Result<Result<String, Unmet>> {
    let read = |file| words(file).unwrap_or_default();
    let (offered, enabled) = (read("cgroup.controllers"), read("cgroup.subtree_control"));
    let has = |words: &[String], controller: &str| words.iter().any(|word| word == controller);
    let free = ["misc", "rdma", "hugetlb"]
        .into_iter()
        .find(|controller| has(&offered, controller) && !has(&enabled, controller));
    let remedy = "run it in a virtual machine: scripts/vm --user root -- cgroup-rules";
    Ok(free.map(String::from).ok_or_else(|| Unmet::new("a controller that v2 has and does not use", remedy)))
}

/// A controller that the v2 root enables for children.
fn used_controller() -> Result<String> {
    let mut enabled = words("cgroup.subtree_control")?.into_iter();
    enabled.find(|controller| ["pids", "cpu"].contains(&&**controller)).context("pids or cpu in use")
}

fn v2_lists(controller: &str) -> Result<Fact> {
    Ok(Fact::outside("v2 lists it", is_listed(controller)?))
}

/// Whether cgroup.controllers of the v2 root lists the controller.
fn is_listed(controller: &str) -> Result<bool> {
    Ok(words("cgroup.controllers")?.iter().any(|own| own == controller))
}

/// The words in a file of the v2 root.
fn words(file: &str) -> Result<Vec<String>> {
    let text = fs::read_to_string(root()?.join(file)).with_context(|| format!("cat {file}"))?;
    Ok(text.split_whitespace().map(String::from).collect())
}
