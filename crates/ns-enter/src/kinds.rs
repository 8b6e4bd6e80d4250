//! One namespace at a time: what a visitor finds changed, and what not.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use nix::unistd::getpid;
use ns_core::janitor::TemporaryDirectory;
use ns_core::net::{LinkName, Netlink};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Spawn, Value, Witness, ipc, mount, namespace, uts,
};

use crate::{can_open, enter, of};

pub(crate) const HOSTNAME: Claim = Claim::holds(
    "hostname",
    "Who enters a UTS namespace reads its hostname at once, and is in no other namespace than before.",
)
.cause("setns(uts)")
.notes(&[136])
.more(&[3, 123]);
pub(crate) const BACK: Claim = Claim::holds(
    "back",
    "Who has kept descriptors of its own UTS and IPC namespaces can go back, and finds them as they were.",
)
.cause("setns() with the kept descriptors")
.more(&[3]);
pub(crate) const DEVICES: Claim = Claim::holds(
    "devices",
    "Who enters a network namespace has its devices: /proc/net shows them at once, and /sys/class/net does not.",
)
.cause("setns(net)")
.notes(&[66, 71])
.more(&[40, 58, 123]);
pub(crate) const MOUNTS: Claim = Claim::holds(
    "mounts",
    "Who enters a mount namespace sees its mounts, and has its root as root and as working directory.",
)
.cause("setns(mnt)")
.notes(&[9])
.more(&[124]);
pub(crate) const OLD_PROC: Claim = Claim::holds(
    "old-proc",
    "The child of a visitor to a PID namespace has a number there, and /proc does not know it by that number.",
)
.cause("setns(pid)")
.notes(&[97, 101])
.more(&[123]);
pub(crate) const OWN_PROC: Claim = Claim::holds(
    "own-proc",
    "With the mount namespace entered too, /proc is the container's, and has the numbers of inside.",
)
.cause("setns(mnt)")
.notes(&[102])
.more(&[24]);

/// A System V key that nobody else can meet: the IPC namespaces are ours.
const KEY: i32 = 0x1ab;
/// The container's network device.
const DEVICE: &str = "lab0";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    let directory = TemporaryDirectory::new("enter")?;
    let mounted = directory.path();
    let all_but_user = Namespaces::all().difference(Namespaces::USER);
    let mut container =
        Spawn::new("container").namespaces_always(all_but_user).run(|me| furnish(me, mounted))?;
    container.hear()?;

    lab.step(Step {
        goal: "Start a container, and enter its UTS namespace alone. What else has changed?",
        calls: &["open(\"/proc/PID/ns/uts\")", "setns(uts, CLONE_NEWUTS)", "uname()"],
        by_hand: &[
            "unshare -Ur --cgroup --uts --net --pid --fork --kill-child --mount-proc sh -c 'hostname container; exec sleep 600' &",
            "c=$(pgrep --parent $!); nsenter -U --preserve-credentials --uts --target $c hostname; hostname",
        ],
    })?;
    lab.actor(&container)?;
    lab.claim(HOSTNAME).without(visit_uts(&container, false)?).with(visit_uts(&container, true)?).shows(
        |it| *it == crate::NAME && it.inside("changed in /proc/self/ns").is_some_and(|it| *it == "uts"),
    )?;

    lab.step(Step {
        goal: "Out here, make a message queue with the key 0x1ab. Enter a container's UTS and IPC namespaces, and go back through descriptors that were opened before.",
        calls: &["open(\"/proc/self/ns/uts\")", "setns(uts, CLONE_NEWUTS)", "msgget(0x1ab, 0)"],
        by_hand: &[
            "unshare -Ur --uts sh -c 'hostname home; exec 7</proc/self/ns/uts; unshare --uts sh -c \"hostname container; hostname; nsenter --uts=/proc/self/fd/7 hostname\"'",
        ],
    })?;
    ipc::make_queue(KEY)?;
    lab.claim(BACK)
        .without(go_and_return(&container, false)?)
        .with(go_and_return(&container, cause(true, false))?)
        .shows(|it| {
            it.inside("hostname there").is_some_and(|it| *it == crate::NAME)
                && it.inside("hostname at the end").is_some_and(|it| *it == "outside")
                && it.inside("queue 0x1ab at the end").is_some_and(|it| *it == "yes")
        })?;

    lab.step(Step {
        goal: "Enter the container's network namespace, and look for its device, lab0, in three ways.",
        calls: &["setns(net, CLONE_NEWNET)", "sendto(netlink, RTM_GETLINK)", "read(\"/proc/net/dev\")", "open(\"/sys/class/net/lab0\")"],
        by_hand: &[
            "nsenter -U --preserve-credentials --net --target $c ip link add lab0 type bridge",
            "nsenter -U --preserve-credentials --net --target $c sh -c 'cat /proc/net/dev; ls /sys/class/net'",
        ],
    })?;
    lab.claim(DEVICES).without(visit_net(&container, false)?).with(visit_net(&container, true)?).shows(
        |it| {
            let is = |what: &str, value: &str| it.inside(what).is_some_and(|it| it == value);
            is("ip link has lab0", "yes")
                && is("/proc/net/dev has lab0", "yes")
                && is("open(\"/sys/class/net/lab0\")", "ENOENT")
        },
    )?;

    lab.step(Step {
        goal: "Enter the container's mount namespace, from a DIRECTORY where it has mounted something with a file in it.",
        calls: &["chdir(DIRECTORY)", "setns(mnt, CLONE_NEWNS)", "getcwd()", "open(\"DIRECTORY/file\")"],
        by_hand: &[
            "(cd /usr; nsenter -U --preserve-credentials --mount --target $c sh -c 'pwd; echo /proc/[0-9]*')",
        ],
    })?;
    let visit = |enters| visit_mnt(&container, mounted, enters);
    lab.claim(MOUNTS).without(visit(false)?).with(visit(true)?).shows(|it| {
        it.inside("open(\"DIRECTORY/file\")").is_some_and(|it| *it == "OK")
            && it.inside("getcwd()").is_some_and(|it| *it == "/")
    })?;

    lab.step(Step {
        goal: "Enter the container's PID namespace and make a child. Who is it, and who does /proc say that it is?",
        calls: &["setns(pid, CLONE_NEWPID)", "fork()", "getpid()", "readlink(\"/proc/self\")"],
        by_hand: &[
            "nsenter -U --preserve-credentials --pid --target $c sh -c 'echo $$; exec readlink /proc/self'",
            "nsenter -U --preserve-credentials --pid --mount --target $c sh -c 'echo $$; exec readlink /proc/self'",
        ],
    })?;
    let alike = |it: &Observation| it.inside("getpid()") == it.inside("readlink /proc/self");
    let alone = child_of_a_visitor(&container, true, false)?;
    lab.claim(OLD_PROC)
        .without(child_of_a_visitor(&container, false, false)?)
        .with(alone.clone())
        .shows(|it| !alike(it))?;
    lab.claim(OWN_PROC).without(alone).with(child_of_a_visitor(&container, true, true)?).shows(|it| {
        alike(it) && it.inside("getpid()").and_then(Value::as_i64).is_some_and(|pid| pid < 100)
    })?;
    Ok(())
}

/// In the container: a name, a device, a mount and a /proc of its own.
fn furnish(me: &mut Witness, mounted: &Path) -> ns_core::Result<()> {
    uts::set_hostname(crate::NAME)?;
    Netlink::open()?.create_bridge(&LinkName::new(DEVICE)?)?;
    mount::mount("proc", "/proc".as_ref())?;
    mount::mount("tmpfs", mounted)?;
    std::fs::write(mounted.join("file"), "here").named(|| "write(\"file\")".into())?;
    me.saw("furnished", "yes")?;
    me.stay()
}

fn visit_uts(container: &Child, enters: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let before = namespace::of(None)?;
        if enters {
            enter(container, Kind::Uts)?;
        }
        me.saw("hostname", uts::hostname())?;
        let changed = namespace::of(None)?.into_iter().filter(|id| !before.contains(id));
        let changed: Vec<_> = changed.map(|id| id.kind.link()).collect();
        me.saw("changed in /proc/self/ns", if changed.is_empty() { "none".into() } else { changed.join(" ") })
    })?;
    Ok(visitor.hear_all()?)
}

fn go_and_return(container: &Child, returns: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let kept = [(Kind::Uts, NsFile::of(None, Kind::Uts)?), (Kind::Ipc, NsFile::of(None, Kind::Ipc)?)];
        for (kind, _) in &kept {
            enter(container, *kind)?;
        }
        me.saw("hostname there", uts::hostname())?;
        me.saw("queue 0x1ab there", ipc::find_queue(KEY)?.is_some())?;
        if returns {
            for (kind, own) in &kept {
                own.enter(Some(*kind))?;
            }
        }
        me.saw("hostname at the end", uts::hostname())?;
        me.saw("queue 0x1ab at the end", ipc::find_queue(KEY)?.is_some())
    })?;
    Ok(visitor.hear_all()?)
}

fn visit_net(container: &Child, enters: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // Looked at once before, so that what was found could be remembered wrongly.
        me.saw("before: /proc/net/dev has lab0", is_in_proc_net()?)?;
        if enters {
            enter(container, Kind::Net)?;
        }
        // A netlink socket belongs to the namespace in which it is opened: here, to the one entered.
        let link = Netlink::open()?.link(&LinkName::new(DEVICE)?)?;
        me.saw("ip link has lab0", link.is_some())?;
        me.saw("/proc/net/dev has lab0", is_in_proc_net()?)?;
        me.saw("open(\"/sys/class/net/lab0\")", can_open("/sys/class/net/lab0")?)
    })?;
    Ok(visitor.hear_all()?)
}

fn is_in_proc_net() -> ns_core::Result<bool> {
    let devices = std::fs::read_to_string("/proc/net/dev").named(|| "cat /proc/net/dev".into())?;
    Ok(devices.contains(DEVICE))
}

fn visit_mnt(container: &Child, mounted: &Path, enters: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        std::env::set_current_dir(mounted).named(|| "chdir(DIRECTORY)".into())?;
        if enters {
            enter(container, Kind::Mnt)?;
        }
        let directory = std::env::current_dir().named(|| "getcwd()".into())?;
        let is_root = directory == Path::new("/");
        me.saw("getcwd()", if is_root { "/" } else { "DIRECTORY" })?;
        let file = mounted.join("file");
        me.saw("open(\"DIRECTORY/file\")", can_open(&file.to_string_lossy())?)
    })?;
    Ok(visitor.hear_all()?)
}

fn child_of_a_visitor(container: &Child, pid: bool, mnt: bool) -> Result<Vec<Fact>> {
    let files = [of(container, Kind::Pid)?, of(container, Kind::Mnt)?];
    let [pids, mounts] = &files;
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
        if pid {
            pids.enter(Some(Kind::Pid))?;
        }
        let mut child = Child::spawn("its child", Namespaces::NONE, move |me| {
            // Only now: the visitor itself has no number in the container's /proc, and could make no child there.
            if mnt {
                mounts.enter(Some(Kind::Mnt))?;
            }
            me.saw("getpid()", getpid())?;
            let link = std::fs::read_link("/proc/self").named(|| "readlink(\"/proc/self\")".into());
            let number = link.as_ref().ok().and_then(|link| link.to_string_lossy().parse().ok());
            let answer = Outcome::of(link)?;
            me.saw("readlink /proc/self", number.map_or(answer.into(), Value::Pid))
        })?;
        let number = child.pid();
        for fact in child.hear_all()? {
            me.tell(fact)?;
        }
        me.tell(Fact::outside("its PID", number))
    })?;
    Ok(visitor.hear_all()?)
}
