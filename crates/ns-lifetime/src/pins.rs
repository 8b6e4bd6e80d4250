//! What keeps a namespace that has no member: the list of namespaces(7), and what is not on it.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use ns_core::{
    Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, limit, mount, namespace, probe, stage, uts,
};

use crate::office::{end, gone, lives, member, one_more, wait_until_gone};

pub(crate) const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "An open descriptor of a file in /proc/PID/ns keeps that namespace alive without a member.",
)
.cause("open(ns/uts)")
.notes(&[20])
.more(&[22]);
pub(crate) const BIND: Claim = Claim::holds(
    "bind-mount",
    "A bind mount of a file in /proc/PID/ns keeps that namespace alive without a member.",
)
.cause("mount --bind")
.notes(&[20])
.more(&[21, 22]);
pub(crate) const BY_NAME: Claim = Claim::holds(
    "by-name",
    "setns() enters a namespace without members by its bind mount; unmounted, the file is any file: EINVAL.",
)
.cause("mount --bind")
.more(&[21]);
pub(crate) const IN_ITSELF: Claim = Claim::holds(
    "in-itself",
    "A mount namespace cannot be bind-mounted inside itself, where it would keep itself alive: EINVAL.",
)
.cause("its own mount namespace")
.more(&[21]);
pub(crate) const CHILD: Claim =
    Claim::holds("child", "A user namespace without a member lives as long as a child namespace of it does.")
        .cause("a child that lives")
        .notes(&[20])
        .more(&[22]);
pub(crate) const OWNED: Claim = Claim::holds(
    "owned",
    "A user namespace without a member lives as long as a namespace that it owns does.",
)
.cause("CLONE_NEWUTS")
.notes(&[20])
.more(&[22]);
pub(crate) const PID_CHILDREN: Claim = Claim::holds(
    "pid-for-children",
    "A PID namespace lives as long as a process outside has it in pid_for_children, though its init has ended.",
)
.cause("a caller that lives")
.notes(&[20])
.more(&[22]);
pub(crate) const TIME_CHILDREN: Claim = Claim::holds(
    "time-for-children",
    "A time namespace lives as long as a process outside has it in time_for_children.",
)
.cause("a caller that lives")
.notes(&[20])
.more(&[22]);
pub(crate) const MQUEUE: Claim = Claim::refuted(
    "mqueue",
    "An mqueue filesystem that is mounted keeps its IPC namespace alive without a member.",
    "mqueue-outlives",
)
.cause("mount -t mqueue")
.notes(&[20])
.more(&[22]);
pub(crate) const MQUEUE_OUTLIVES: Claim = Claim::holds(
    "mqueue-outlives",
    "A mounted mqueue filesystem outlives its IPC namespace; no queue can be made in it any more: EACCES.",
)
.cause("exit(0)")
.notes(&[20]);
pub(crate) const PROC: Claim =
    Claim::holds("proc", "A proc filesystem that is mounted keeps its PID namespace alive without a member.")
        .cause("mount -t proc")
        .notes(&[20])
        .more(&[22]);
pub(crate) const LISTED: Claim = Claim::refuted(
    "listed",
    "Beside members, only what namespaces(7) lists under \"Namespace lifetime\" keeps a namespace alive.",
    "socket",
)
.cause("socket(AF_INET)")
.notes(&[20]);
pub(crate) const SOCKET: Claim = Claim::holds(
    "socket",
    "A socket keeps the network namespace that it was born in, in whoever's hands it is.",
)
.cause("socket(AF_INET)")
.notes(&[20])
.more(&[22]);
pub(crate) const FILE: Claim = Claim::holds(
    "file",
    "An open file keeps the user namespace of the process that opened it, whatever file it is.",
)
.cause("open(\"/dev/null\")")
.notes(&[20]);
pub(crate) const PIDFD: Claim = Claim::holds(
    "pidfd",
    "A pidfd keeps the PID namespace of its process, although that process has ended and been waited for.",
)
.cause("the pidfd")
.notes(&[20]);
pub(crate) const SYSFS: Claim = Claim::holds(
    "sysfs",
    "A mounted sysfs shows the devices of a network namespace and does not keep it alive.",
)
.cause("mount -t sysfs alone")
.notes(&[20])
.needs(&[Need::Probe(probe::sysfs)]);

/// Where the trials mount: a tmpfs of their own hides what is there.
const PLACE: &str = "/tmp";

pub(crate) fn on_the_list(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "End the only member of a UTS namespace. Who holds it open meanwhile, by a descriptor or by a name?",
        calls: &["open(\"/proc/PID/ns/uts\")", "mount(\"/proc/PID/ns/uts\", …, MS_BIND)", "setns()"],
        by_hand: &[
            "unshare --user --map-root-user --mount  # a shell of your own, for this step",
            "mount -t tmpfs tmpfs /tmp; touch /tmp/kept; unshare --uts=/tmp/kept hostname kept",
            "nsenter --uts=/tmp/kept hostname; umount /tmp/kept; nsenter --uts=/tmp/kept hostname",
            "mount --bind /proc/self/ns/mnt /tmp/kept",
            "echo 1 > /proc/sys/user/max_uts_namespaces; unshare --uts sleep 60 & sleep 0.1",
            "exec 3< /proc/$!/ns/uts; kill $!; wait; unshare --uts true; exec 3<&-; unshare --uts true && echo room",
        ],
    })?;
    lab.claim(DESCRIPTOR).without(descriptor(false)?).with(descriptor(cause(true, false))?).shows(lives)?;
    lab.claim(BIND).without(bind_mount(false)?).with(bind_mount(cause(true, false))?).shows(lives)?;
    lab.claim(BY_NAME)
        .without(by_name(false)?)
        .with(by_name(cause(true, false))?)
        .shows(|name| *name == "OK" && name.inside("hostname there").is_some_and(|it| *it == "kept"))?;
    lab.claim(IN_ITSELF)
        .without(bind_a_mount_namespace(false)?)
        .with(bind_a_mount_namespace(cause(true, false))?)
        .shows(|bind| *bind == "EINVAL")?;

    lab.step(Step {
        goal: "Nest a user namespace in another, or let it own a UTS namespace. Then end everyone in them.",
        calls: &["unshare(CLONE_NEWUSER)", "unshare(CLONE_NEWUSER|CLONE_NEWUTS)", "open(\"/proc/PID/ns/…\")"],
        by_hand: &[
            "unshare --user --map-root-user  # a shell of your own, for this step",
            "echo 1 > /proc/sys/user/max_user_namespaces; unshare --user --map-root-user --uts sleep 60 & sleep 0.1",
            "exec 3< /proc/$!/ns/uts; kill $!; wait; unshare --user true",
            "exec 3<&-; sleep 1; unshare --user true && echo room",
        ],
    })?;
    lab.claim(CHILD).without(nested(false)?).with(nested(cause(true, false))?).shows(lives)?;
    lab.claim(OWNED)
        .without(owner(Namespaces::NONE)?)
        .with(owner(cause(Namespaces::UTS, Namespaces::NONE))?)
        .shows(lives)?;

    lab.step(Step {
        goal: "Unshare a PID namespace, or a time namespace, which one's children go to. End the only child there.",
        calls: &["unshare(CLONE_NEWPID)", "unshare(CLONE_NEWTIME)", "fork()", "waitpid()"],
        by_hand: &[
            "unshare --user --map-root-user  # a shell of your own, for this step",
            "echo 1 > /proc/sys/user/max_pid_namespaces; unshare --pid sh -c '/bin/true; exec sleep 60' & sleep 0.1",
            "unshare --pid --fork true; kill $!; sleep 1; unshare --pid --fork true && echo room",
        ],
    })?;
    for (claim, kind) in [(PID_CHILDREN, Kind::Pid), (TIME_CHILDREN, Kind::Time)] {
        lab.claim(claim)
            .without(for_children(kind, false)?)
            .with(for_children(kind, cause(true, false))?)
            .shows(lives)?;
    }

    lab.step(Step {
        goal: "From inside, mount a filesystem that shows what is in the namespace. Then end the only member.",
        calls: &["mount(\"proc\", …)", "mount(\"mqueue\", …)", "open(\"…/queue\", O_CREAT)"],
        by_hand: &[
            "unshare --user --map-root-user --mount  # a shell of your own, for this step",
            "mount -t tmpfs tmpfs /tmp; mkdir /tmp/proc /tmp/mqueue; echo 1 > /proc/sys/user/max_pid_namespaces",
            "unshare --pid --fork mount -t proc proc /tmp/proc; unshare --pid --fork true",
            "umount /tmp/proc; sleep 1; unshare --pid --fork true && echo room",
            "unshare --ipc mount -t mqueue mqueue /tmp/mqueue; sleep 1; touch /tmp/mqueue/queue",
        ],
    })?;
    for (claim, kind, filesystem) in [(PROC, Kind::Pid, "proc"), (MQUEUE, Kind::Ipc, "mqueue")] {
        lab.claim(claim)
            .without(mounted(kind, filesystem, false)?)
            .with(mounted(kind, filesystem, cause(true, false))?)
            .shows(lives)?;
    }
    lab.claim(MQUEUE_OUTLIVES).without(a_queue(false)?).with(a_queue(cause(true, false))?).shows(
        |queue| *queue == "EACCES" && queue.inside("the filesystem").is_some_and(|it| *it == "mqueue"),
    )?;
    Ok(())
}

pub(crate) fn not_on_the_list(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Take a socket, an open file or a pidfd out of a namespace before its only member ends.",
        calls: &["socket(AF_INET, SOCK_DGRAM)", "open(\"/dev/null\")", "pidfd_getfd()"],
        by_hand: &[],
    })?;
    let (without, with) = (socket(false)?, socket(cause(true, false))?);
    lab.claim(LISTED).without(without.clone()).with(with.clone()).shows(gone)?;
    lab.claim(SOCKET).without(without).with(with).shows(lives)?;
    lab.claim(FILE).without(open_file(false)?).with(open_file(cause(true, false))?).shows(lives)?;
    lab.claim(PIDFD).without(pidfd(false)?).with(pidfd(cause(true, false))?).shows(lives)?;

    if lab.can_ask(&[SYSFS])? {
        lab.step(Step {
            goal: "From inside a network namespace mount sysfs, which shows its devices. Then end the only member.",
            calls: &["mount(\"sysfs\", …)", "readdir(\"…/class/net\")"],
            by_hand: &[
                "unshare --user --map-root-user --mount  # a shell of your own, for this step",
                "mount -t tmpfs tmpfs /tmp; mkdir /tmp/sys; echo 1 > /proc/sys/user/max_net_namespaces",
                "unshare --net sh -c 'mount -t sysfs sysfs /tmp/sys; ls /tmp/sys/class/net'",
                "sleep 1; ls /tmp/sys/class/net; unshare --net true && echo room",
            ],
        })?;
        lab.claim(SYSFS)
            .without(sysfs(false)?)
            .with(sysfs(cause(true, false))?)
            .shows(|sysfs| gone(sysfs) && sysfs.inside("mounted there").is_some_and(|it| *it == "sysfs"))?;
    }
    Ok(())
}

fn descriptor(opens: bool) -> Result<Observation> {
    one_more(Kind::Uts, 1, move |_| {
        let mut member = member(Kind::Uts, |_| Ok(()))?;
        let file = opens.then(|| NsFile::of(Some(member.pid()), Kind::Uts)).transpose()?;
        end(&mut member)?;
        Ok(file)
    })
}

fn bind_mount(binds: bool) -> Result<Observation> {
    one_more(Kind::Uts, 1, move |_| {
        let mut member = member(Kind::Uts, |_| Ok(()))?;
        let name = an_empty_file()?;
        if binds {
            mount::bind(Path::new(&format!("/proc/{}/ns/uts", member.pid())), &name)?;
        }
        end(&mut member)
    })
}

fn by_name(stays_bound: bool) -> Result<Vec<Fact>> {
    let mut office = Child::spawn("office", Namespaces::NONE, move |me| {
        stage::enter(Namespaces::USER | Namespaces::MNT)?;
        let mut member = member(Kind::Uts, |_| Outcome::of(uts::set_hostname("kept")).map(drop))?;
        let name = an_empty_file()?;
        mount::bind(Path::new(&format!("/proc/{}/ns/uts", member.pid())), &name)?;
        end(&mut member)?;
        if !stays_bound {
            mount::unmount(&name)?;
        }
        let file = NsFile::open(name.display().to_string())?;
        me.saw("setns(…, CLONE_NEWUTS)", Outcome::of(file.enter(Some(Kind::Uts)))?)?;
        me.saw("hostname there", Value::Name(uts::hostname()))
    })?;
    Ok(office.hear_all()?)
}

fn bind_a_mount_namespace(own: bool) -> Result<Fact> {
    let mut office = Child::spawn("office", Namespaces::NONE, move |me| {
        stage::enter(Namespaces::USER | Namespaces::MNT)?;
        let name = an_empty_file()?;
        let younger = member(Kind::Mnt, |_| Ok(()))?;
        let whose = if own { "self".into() } else { younger.pid().to_string() };
        let bound = mount::bind(Path::new(&format!("/proc/{whose}/ns/mnt")), &name);
        me.saw("mount(\"/proc/…/ns/mnt\", …, MS_BIND)", Outcome::of(bound)?)
    })?;
    Ok(office.hear()?)
}

fn nested(child_lives: bool) -> Result<Observation> {
    one_more(Kind::User, 2, move |_| {
        let mut member = member(Kind::Cgroup, |_| {
            stage::enter(Namespaces::USER)?; // the parent, which its only process leaves …
            stage::enter(Namespaces::USER).map(drop) // … for the child
        })?;
        let child = NsFile::of(Some(member.pid()), Kind::User)?;
        end(&mut member)?;
        Ok(child_lives.then_some(child))
    })
}

fn owner(owned: Namespaces) -> Result<Observation> {
    one_more(Kind::User, 1, move |_| {
        let mut member = Child::spawn("member", Namespaces::NONE, move |me| {
            stage::enter(Namespaces::USER | owned)?;
            me.saw("ready", "yes")?;
            me.stay()
        })?;
        member.hear()?;
        // Where it has none of its own, this is the UTS namespace that all share.
        let uts = NsFile::of(Some(member.pid()), Kind::Uts)?;
        end(&mut member)?;
        Ok(uts)
    })
}

fn for_children(kind: Kind, caller_lives: bool) -> Result<Observation> {
    one_more(kind, 1, move |_| {
        let mut caller = Child::spawn("caller", Namespaces::NONE, move |me| {
            namespace::unshare(kind.only())?;
            Child::spawn("only child", Namespaces::NONE, |_| Ok(()))?.wait()?;
            me.saw("ready", "yes")?;
            me.stay()
        })?;
        caller.hear()?;
        if !caller_lives {
            end(&mut caller)?;
        }
        Ok(caller)
    })
}

fn mounted(kind: Kind, filesystem: &'static str, mounts: bool) -> Result<Observation> {
    one_more(kind, 1, move |_| {
        let target = an_empty_directory()?;
        let mut member = member(kind, move |_| {
            // The mount is in the office's mount namespace, which the member shares: it outlives the member.
            if mounts { mount::mount(filesystem, &target) } else { Ok(()) }
        })?;
        end(&mut member)
    })
}

/// Makes a queue by the mount, which stays, while the only member lives or when the namespace is gone.
fn a_queue(ends: bool) -> Result<Vec<Fact>> {
    let mut office = Child::spawn("office", Namespaces::NONE, move |me| {
        stage::enter(Namespaces::USER | Namespaces::MNT)?;
        limit::set(Kind::Ipc, 1)?;
        let target = an_empty_directory()?;
        let within = target.clone();
        // Refused where the IPC namespace is not ours: then nothing is mounted, and that is said below.
        let mut member = member(Kind::Ipc, move |_| Outcome::of(mount::mount("mqueue", &within)).map(drop))?;
        if ends {
            end(&mut member)?;
            wait_until_gone(Kind::Ipc)?;
        }
        let queue = target.join("queue");
        me.saw(
            "open(\"…/queue\", O_CREAT)",
            Outcome::of(File::create(&queue).named(|| "open(O_CREAT)".into()))?,
        )?;
        me.saw("the filesystem", mount::filesystem_type(&target)?)
    })?;
    Ok(office.hear_all()?)
}

fn socket(taken: bool) -> Result<Observation> {
    one_more(Kind::Net, 1, move |_| {
        take_out(taken, Kind::Net, || {
            UdpSocket::bind("0.0.0.0:0").named(|| "bind(\"0.0.0.0:0\")".into()).map(Into::into)
        })
    })
}

fn open_file(taken: bool) -> Result<Observation> {
    one_more(Kind::User, 1, move |_| {
        take_out(taken, Kind::User, || {
            File::open("/dev/null").named(|| "open(\"/dev/null\")".into()).map(Into::into)
        })
    })
}

/// Has a member open something, takes a copy of it out of there or not, and ends the member.
fn take_out(
    taken: bool,
    kind: Kind,
    open: impl FnOnce() -> ns_core::Result<std::os::fd::OwnedFd>,
) -> ns_core::Result<Option<std::os::fd::OwnedFd>> {
    let mut member = Child::spawn("member", kind.only(), |me| {
        let opened = open()?;
        me.saw("number", opened.as_raw_fd())?;
        me.stay()
    })?;
    let number = member.hear()?.value.as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or(-1);
    let copy = taken.then(|| member.take_descriptor(number)).transpose()?;
    end(&mut member)?;
    Ok(copy)
}

fn pidfd(kept: bool) -> Result<Observation> {
    one_more(Kind::Pid, 1, move |_| {
        let mut member = member(Kind::Pid, |_| Ok(()))?;
        end(&mut member)?;
        Ok(kept.then_some(member)) // and with it the pidfd
    })
}

fn sysfs(alone: bool) -> Result<Observation> {
    one_more(Kind::Net, 1, move |me| {
        let target = an_empty_directory()?;
        let within = target.clone();
        let mut member = member(Kind::Net, move |_| {
            if alone {
                // Refused where the network namespace is not ours.
                Outcome::of(mount::mount("sysfs", &within)).map(drop)?;
            }
            Ok(())
        })?;
        let listed = names_in(&target.join("class/net"));
        let file = (!alone).then(|| NsFile::of(Some(member.pid()), Kind::Net)).transpose()?;
        end(&mut member)?;
        me.saw("mounted there", mount::filesystem_type(&target)?)?;
        me.saw("devices listed there before", listed)?;
        Ok(file)
    })
}

/// Nothing where there is no such directory.
fn names_in(directory: &Path) -> Value {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if names.is_empty() { "none".into() } else { names.into() }
}

fn an_empty_file() -> ns_core::Result<std::path::PathBuf> {
    mount::mount("tmpfs", Path::new(PLACE))?;
    let path = Path::new(PLACE).join("kept");
    fs::write(&path, "").named(|| format!("write(\"{}\", \"\")", path.display()))?;
    Ok(path)
}

fn an_empty_directory() -> ns_core::Result<std::path::PathBuf> {
    mount::mount("tmpfs", Path::new(PLACE))?;
    let path = Path::new(PLACE).join("mounted");
    fs::create_dir(&path).named(|| format!("mkdir(\"{}\")", path.display()))?;
    Ok(path)
}
