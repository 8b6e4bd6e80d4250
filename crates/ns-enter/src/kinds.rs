//! One namespace at a time: what changes for a visitor, and what does not.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use nix::unistd::getpid;
use ns_core::cleanup::TemporaryDirectory;
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, ipc, mount, namespace, uts};

use crate::answers::can_open;
use crate::container::{NAME, enter, of, start, take_name};

/// The container's namespaces. USER is left out, since it would have to be entered first (see order.rs). TIME is left
/// out, since some kernels do not have it.
const SIX: Namespaces = Namespaces::all().difference(Namespaces::USER.union(Namespaces::TIME));

const HOSTNAME: Claim = Claim::holds(
    "hostname",
    "setns() into a UTS namespace changes the caller's hostname, and none of its other namespaces.",
)
.factor("setns(uts)")
.notes(&[136])
.more(&[123])
.core(&[
    Row::inside("UTS: hostname", "hostname"),
    Row::inside("changed namespaces", "changed in /proc/self/ns"),
])
.asks(
    "You enter a container's UTS namespace by setns(). What do you see of the container?",
    &[
        right("its hostname, and nothing else"),
        wrong("its hostname and its processes", "`docker exec` shows both, since it enters more namespaces"),
        wrong("all of it: a container is entered as a whole", "the kernel is thought to know containers"),
        wrong("nothing: only your next child does", "this is true for the PID namespace"),
    ],
);

pub(crate) const ENTER_UTS: Step = Step {
    title: "Start a container, and enter only its UTS namespace. Compare /proc/self/ns before and after.",
    calls: &["open(\"/proc/PID/ns/uts\")", "setns(uts, CLONE_NEWUTS)", "uname()"],
    by_hand: &[hand("unshare -Ur --cgroup --uts --net --pid --fork --kill-child --mount-proc sh -c 'hostname container; exec sleep 600' &").prints(""), hand("hostname; c=$(pgrep --parent $!); nsenter -U --preserve-credentials --uts --target $c hostname; hostname").prints("<name>\ncontainer\n<name>"), ],
    claims: &[HOSTNAME],
    run: |lab| {
        uts::set_hostname("outside")?;
        let container = start(SIX, take_name)?;
        lab.actor(&container)?;
        lab.compare(HOSTNAME, false, true, |enters| visit_uts(&container, enters))?
            .shows(inside("hostname").is(NAME) & inside("changed in /proc/self/ns").is("uts"))
    },
};

/// A System V key. No other program uses it, since the IPC namespaces are new.
const KEY: i32 = 0x1ab;

const BACK: Claim = Claim::holds(
    "back",
    "By descriptors that it opened before, a process returns to its own UTS and IPC namespaces, which are unchanged.",
)
.factor("setns() with the kept descriptors")
.more(&[3]);

pub(crate) const GO_BACK: Step = Step {
    title: "Create a message queue with the key 0x1ab. Enter a container's UTS and IPC namespaces, and return by descriptors that were opened before.",
    calls: &["open(\"/proc/self/ns/uts\")", "setns(uts, CLONE_NEWUTS)", "msgget(0x1ab, 0)"],
    by_hand: &[hand("unshare -Ur --uts sh -c 'hostname home; exec 7</proc/self/ns/uts; unshare --uts sh -c \"hostname container; hostname; nsenter --uts=/proc/self/fd/7 hostname\"'").prints("container\nhome").in_the_same_shell(), ],
    claims: &[BACK],
    run: |lab| {
        uts::set_hostname("outside")?;
        ipc::make_queue(KEY)?;
        let container = start(SIX, take_name)?;
        lab.compare(BACK, false, true, |returns| go_and_return(&container, returns))?
            .in_both_arms(inside("hostname inside").is(NAME))
            .shows(inside("hostname at the end").is("outside") & inside("queue 0x1ab at the end").is("yes"))
    },
};

/// The container's network device.
const DEVICE: &str = "lab0";

const DEVICES: Claim = Claim::holds(
    "devices",
    "After setns() into a network namespace, /proc/net shows its devices, and the old /sys/class/net does not.",
)
.factor("setns(net)")
.notes(&[66, 71])
.more(&[40, 123])
.core(&[
    Row::inside("net: /proc/net/dev", "/proc/net/dev has lab0"),
    Row::inside("/sys/class/net", "open(\"/sys/class/net/lab0\")"),
])
.asks(
    "You enter a container's network namespace, and nothing else. Where do you find its device lab0?",
    &[
        right("in /proc/net/dev, and not in /sys/class/net"),
        wrong("in both", "both show network devices"),
        wrong("in neither", "/proc and /sys are both mounted outside"),
        wrong("in /sys/class/net, and not in /proc/net/dev", "PIDs need a new procfs, so devices are thought to need one"),
    ],
);

pub(crate) const ENTER_NET: Step = Step {
    title: "Enter the container's network namespace, and look for its device lab0 by netlink, /proc and /sys.",
    calls: &[
        "setns(net, CLONE_NEWNET)",
        "sendto(netlink, RTM_GETLINK)",
        "read(\"/proc/net/dev\")",
        "open(\"/sys/class/net/lab0\")",
    ],
    by_hand: &[hand("nsenter -U --preserve-credentials --net --target $c ip link add lab0 type bridge").prints("").in_the_same_shell(), hand("nsenter -U --preserve-credentials --net --target $c sh -c 'grep -c lab0 /proc/net/dev; ls -d /sys/class/net/lab0'").prints("1\nENOENT"), ],
    claims: &[DEVICES],
    run: |lab| {
        let container = start(SIX, || Netlink::open()?.create_bridge(&LinkName::new(DEVICE)?).map(drop))?;
        lab.compare(DEVICES, false, true, |enters| visit_net(&container, enters))?
            .in_both_arms(inside("open(\"/sys/class/net/lab0\")").is("ENOENT"))
            .shows(inside("ip link has lab0").is("yes") & inside("/proc/net/dev has lab0").is("yes"))
    },
};

const MOUNTS: Claim = Claim::holds(
    "mounts",
    "After setns() into a mount namespace, the caller sees its mounts, and getcwd() returns /.",
)
.factor("setns(mnt)")
.notes(&[9])
.more(&[124])
.core(&[Row::inside("mnt: getcwd()", "getcwd()")])
.asks(
    "Your working directory is DIRECTORY. You enter a container's mount namespace. What does getcwd() return?",
    &[
        right("/"),
        wrong("DIRECTORY, where you were", "setns() of other kinds keeps the working directory"),
        wrong("DIRECTORY, inside the container", "the path is thought to be looked up again"),
    ],
)
.requires(&[Requirement::Unchrooted]);

pub(crate) const ENTER_MNT: Step = Step {
    title: "Enter the container's mount namespace from a DIRECTORY where the container has mounted a tmpfs with a file.",
    calls: &["chdir(DIRECTORY)", "setns(mnt, CLONE_NEWNS)", "getcwd()", "open(\"DIRECTORY/file\")"],
    by_hand: &[hand(
        "(cd /usr; nsenter -U --preserve-credentials --mount --target $c sh -c 'pwd; echo /proc/[0-9]*')",
    )
    .prints("/\n/proc/1")
    .in_the_same_shell()],
    claims: &[MOUNTS],
    run: |lab| {
        let directory = TemporaryDirectory::new("enter")?;
        let mounted = directory.path();
        let container = start(SIX, || {
            mount::mount("tmpfs", mounted)?;
            std::fs::write(mounted.join("file"), "here").named(|| "write(\"file\")".into())
        })?;
        lab.compare(MOUNTS, false, true, |enters| visit_mnt(&container, mounted, enters))?
            .shows(inside("open(\"DIRECTORY/file\")").from("ENOENT").to("OK") & inside("getcwd()").is("/"))
    },
};

const OLD_PROC: Claim = Claim::holds(
    "old-proc",
    "After setns() into a PID namespace, a child's getpid() and the old /proc/self show different PIDs.",
)
.factor("setns(pid)")
.notes(&[97, 101])
.more(&[123])
.core(&[
    Row::inside("pid: child's getpid()", "getpid()"),
    Row::inside("/proc/self", "readlink /proc/self"),
])
.asks(
    "You enter only a container's PID namespace, and call fork(). What do getpid() and /proc/self show in the child?",
    &[
        right("getpid() its PID inside, /proc/self another PID"),
        wrong("both its PID inside", "in a shell of `docker exec` they agree, since /proc is the container's"),
        wrong("both its PID outside", "getpid() of the caller does not change"),
    ],
);
const OWN_PROC: Claim = Claim::holds(
    "own-proc",
    "With the mount namespace entered too, /proc is the container's, and shows the PIDs inside.",
)
.factor("setns(mnt)")
.notes(&[102])
.requires(&[Requirement::Unchrooted]);

pub(crate) const ENTER_PID: Step = Step {
    title: "Enter the container's PID namespace and call fork(). Compare getpid() with /proc/self in the child.",
    calls: &["setns(pid, CLONE_NEWPID)", "fork()", "getpid()", "readlink(\"/proc/self\")"],
    by_hand: &[hand("nsenter -U --preserve-credentials --pid --target $c sh -c 'echo $$; exec readlink /proc/self'").prints("<pid A>\n<pid B>").in_the_same_shell(), hand("nsenter -U --preserve-credentials --pid --mount --target $c sh -c 'echo $$; exec readlink /proc/self'").prints("<pid>\n<pid>"), ],
    claims: &[OLD_PROC, OWN_PROC],
    run: |lab| {
        let container = start(SIX, || mount::mount("proc", "/proc".as_ref()))?;
        let visit = |enters| child_of_a_visitor(&container, enters);
        lab.compare(OLD_PROC, Namespaces::NONE, Namespaces::PID, visit)?
            .shows(inside("getpid()").differs_from(inside("readlink /proc/self")))?;
        lab.compare(OWN_PROC, Namespaces::PID, Namespaces::PID | Namespaces::MNT, visit)?
            .in_both_arms(inside("getpid()").that(|pid| pid.as_i64().is_some_and(|pid| pid < 100)))
            .shows(inside("getpid()").same_as(inside("readlink /proc/self")))
    },
};

fn visit_uts(container: &Child, enters: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let before = namespace::of(None)?;
        if enters {
            enter(container, Kind::Uts)?;
        }
        me.report("hostname", uts::hostname())?;
        let changed = namespace::of(None)?.into_iter().filter(|id| !before.contains(id));
        let changed: Vec<_> = changed.map(|id| id.kind.link()).collect();
        me.report(
            "changed in /proc/self/ns",
            if changed.is_empty() { "none".into() } else { changed.join(" ") },
        )
    })?;
    Ok(visitor.facts()?)
}

fn go_and_return(container: &Child, returns: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        let kept = [(Kind::Uts, NsFile::of(None, Kind::Uts)?), (Kind::Ipc, NsFile::of(None, Kind::Ipc)?)];
        for (kind, _) in &kept {
            enter(container, *kind)?;
        }
        me.report("hostname inside", uts::hostname())?;
        me.report("queue 0x1ab inside", ipc::find_queue(KEY)?.is_some())?;
        if returns {
            for (kind, own) in &kept {
                own.enter(Some(*kind))?;
            }
        }
        me.report("hostname at the end", uts::hostname())?;
        me.report("queue 0x1ab at the end", ipc::find_queue(KEY)?.is_some())
    })?;
    Ok(visitor.facts()?)
}

fn visit_net(container: &Child, enters: bool) -> Result<Vec<Fact>> {
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        // Read once before setns(), so that a stale cache would show.
        me.report("before: /proc/net/dev has lab0", is_in_proc_net()?)?;
        if enters {
            enter(container, Kind::Net)?;
        }
        // A netlink socket belongs to the network namespace in which it is opened, here the container's.
        let link = Netlink::open()?.link(&LinkName::new(DEVICE)?)?;
        me.report("ip link has lab0", link.is_some())?;
        me.report("/proc/net/dev has lab0", is_in_proc_net()?)?;
        me.report("open(\"/sys/class/net/lab0\")", can_open("/sys/class/net/lab0")?)
    })?;
    Ok(visitor.facts()?)
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
        me.report("getcwd()", if is_root { "/" } else { "DIRECTORY" })?;
        let file = mounted.join("file");
        me.report("open(\"DIRECTORY/file\")", can_open(&file.to_string_lossy())?)
    })?;
    Ok(visitor.facts()?)
}

/// A visitor to the container's PID namespace forks a child, which may enter the mount namespace too.
fn child_of_a_visitor(container: &Child, enters: Namespaces) -> Result<Vec<Fact>> {
    let [pids, mounts] = [of(container, Kind::Pid)?, of(container, Kind::Mnt)?];
    let mut visitor = Child::spawn("visitor", Namespaces::NONE, |me| {
        if enters.contains(Namespaces::PID) {
            pids.enter(Some(Kind::Pid))?;
        }
        let mut child = Child::spawn("its child", Namespaces::NONE, |me| {
            // Only in the child: the visitor itself has no PID in the container's /proc, and could not fork after this.
            if enters.contains(Namespaces::MNT) {
                mounts.enter(Some(Kind::Mnt))?;
            }
            me.report("getpid()", getpid())?;
            let link = std::fs::read_link("/proc/self").named(|| "readlink(\"/proc/self\")".into());
            let pid = link.as_ref().ok().and_then(|link| link.to_string_lossy().parse().ok());
            let answer = Outcome::of(link)?;
            me.report("readlink /proc/self", pid.map_or(answer.into(), Value::Pid))
        })?;
        let pid = child.pid();
        for fact in child.facts()? {
            me.send(fact)?;
        }
        me.send(Fact::outside("its PID", pid))
    })?;
    Ok(visitor.facts()?)
}
