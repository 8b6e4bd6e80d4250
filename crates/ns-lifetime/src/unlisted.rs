//! References that keep a namespace without members and that namespaces(7) does not list, and one mount that does not
//! keep it.

use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, right, wrong};
use ns_core::{Child, Kind, Named, Namespaces, NsFile, Value, mount, probe};

use crate::limited::{NAMESPACE, Trial, clean_up_after, exists, gone, one_more};
use crate::member::{end, member};
use crate::scratch::empty_directory;

const LISTED: Claim = Claim::refuted(
    "listed",
    "Besides its members, only what namespaces(7) lists under \"Namespace lifetime\" keeps a namespace.",
    "socket",
)
.factor("socket(AF_INET)")
.notes(&[20])
.core(&[Row::inside("not in namespaces(7)", HELD)])
.asks(
    "namespaces(7) lists what keeps a namespace without a member: files, mounts, children. How complete is the list?",
    &[
        right("it is incomplete: a socket keeps a namespace too"),
        wrong("complete", "the manual page is taken for the whole rule"),
        wrong("complete: a socket is a file", "the files on the list are the links in /proc/PID/ns"),
    ],
);
const SOCKET: Claim = Claim::holds(
    "socket",
    "A socket keeps the network namespace that it was created in, whichever process has it open.",
)
.factor("socket(AF_INET)")
.notes(&[20])
.more(&[22])
.core(&[Row::outside("net: open socket", NAMESPACE)])
.asks(
    "A process creates a socket in a new network namespace, passes it to a process outside, and ends. How long does the namespace exist?",
    &[
        right("as long as the socket is open"),
        wrong("until the process ends: it was the last member", "the receiver is in another network namespace"),
        wrong("until the socket arrives: it moves to the receiver's namespace", "a socket is thought to belong to the network of the process that has it open"),
    ],
);
const FILE: Claim = Claim::holds(
    "file",
    "An open file, here /dev/null, keeps the user namespace of the process that opened it.",
)
.factor("open(\"/dev/null\")")
.notes(&[20])
.requires(&[Requirement::Namespace(Kind::User)]);
const PIDFD: Claim = Claim::holds(
    "pidfd",
    "A pidfd keeps the PID namespace of its process even after that process has been waited for.",
)
.factor("the pidfd")
.notes(&[20])
.requires(&[Requirement::Namespace(Kind::Pid)]);

pub(crate) const TAKE_OUT: Step = Step {
    title: "Copy a socket, an open file or a pidfd to a process outside before the only member of the namespace ends.",
    calls: &["socket(AF_INET, SOCK_DGRAM)", "open(\"/dev/null\")", "pidfd_getfd()"],
    by_hand: &[],
    claims: &[SOCKET, LISTED, FILE, PIDFD],
    run: |lab| {
        let socket = lab.arms(false, true, socket)?;
        let file = lab.begin(FILE, false, true, open_file);
        let pidfd = lab.begin(PIDFD, false, true, pidfd);
        let of_sockets = [socket.control(), socket.treatment()];
        clean_up_after(of_sockets.into_iter().chain(file.so_far()).chain(pidfd.so_far()))?;
        let socket = socket.try_map(Trial::ask)?;
        lab.judge(SOCKET, socket.clone()).shows(exists(Kind::Net))?;
        lab.judge(LISTED, socket).shows(gone(Kind::Net))?;
        lab.end(file, Trial::ask)?.shows(exists(Kind::User))?;
        lab.end(pidfd, Trial::ask)?.shows(exists(Kind::Pid))
    },
};

const SYSFS: Claim =
    Claim::holds("sysfs", "A mounted sysfs does not keep the network namespace whose devices it shows.")
        .factor("mount -t sysfs alone")
        .notes(&[20])
        .requires(&[Requirement::Probe(probe::sysfs)]);

pub(crate) const MOUNT_SYSFS: Step = Step {
    title: "Mount sysfs, which shows network devices, from inside a network namespace. Then end the only member.",
    calls: &["mount(\"sysfs\", …)", "readdir(\"…/class/net\")"],
    by_hand: &[
        hand("unshare --user --map-root-user --mount  # a shell of your own, for this step").prints(""),
        hand("mount -t tmpfs tmpfs /tmp; mkdir /tmp/sys; echo 1 > /proc/sys/user/max_net_namespaces")
            .prints(""),
        hand("unshare --net sh -c 'mount -t sysfs sysfs /tmp/sys; ls /tmp/sys/class/net'").prints("lo"),
        hand("sleep 1; ls /tmp/sys/class/net; unshare --net true && echo room").prints("room"),
    ],
    claims: &[SYSFS],
    run: |lab| {
        let sysfs = lab.begin(SYSFS, false, true, sysfs);
        clean_up_after(sysfs.so_far())?;
        lab.end(sysfs, Trial::ask)?
            .in_both_arms(
                inside("mounted filesystem").is("sysfs")
                    & inside("devices listed before the end").is_not("none"),
            )
            .shows(gone(Kind::Net))
    },
};

fn socket(taken: bool) -> Result<Trial> {
    one_more(Kind::Net, 1, move |me| {
        let copy = take_out(taken, Kind::Net, || {
            UdpSocket::bind("0.0.0.0:0").named(|| "bind(\"0.0.0.0:0\")".into()).map(Into::into)
        })?;
        me.report(HELD, copy.as_ref().map_or(Ok("nothing".into()), what_it_is)?)?;
        Ok(copy)
    })
}

/// The fact that says which reference to the namespace is left.
const HELD: &str = "held outside";

/// The type of an open file, from its link in /proc/self/fd without the inode number: `socket`.
fn what_it_is(file: &OwnedFd) -> ns_core::Result<String> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = fs::read_link(&path).named(|| format!("readlink(\"{path}\")"))?;
    let link = link.to_string_lossy();
    Ok(link.split(':').next().unwrap_or(&link).into())
}

fn open_file(taken: bool) -> Result<Trial> {
    one_more(Kind::User, 1, move |_| {
        take_out(taken, Kind::User, || {
            File::open("/dev/null").named(|| "open(\"/dev/null\")".into()).map(Into::into)
        })
    })
}

/// Has a member open a file, copies its descriptor by pidfd_getfd() if `taken`, and ends the member.
fn take_out(
    taken: bool,
    kind: Kind,
    open: impl FnOnce() -> ns_core::Result<OwnedFd>,
) -> ns_core::Result<Option<OwnedFd>> {
    let mut member = Child::spawn("member", Namespaces::only(kind), |me| {
        let opened = open()?;
        me.report("descriptor", opened.as_raw_fd())?;
        me.stay()
    })?;
    let number = member.fact()?.value.as_i64().and_then(|it| i32::try_from(it).ok()).unwrap_or(-1);
    let copy = taken.then(|| member.take_descriptor(number)).transpose()?;
    end(&mut member)?;
    Ok(copy)
}

fn pidfd(kept: bool) -> Result<Trial> {
    one_more(Kind::Pid, 1, move |_| {
        let mut member = member(Kind::Pid, |_| Ok(()))?;
        end(&mut member)?;
        Ok(kept.then_some(member)) // and with it the pidfd
    })
}

/// Mounts a sysfs from inside. Unless `alone`, a descriptor of the namespace stays open too.
fn sysfs(alone: bool) -> Result<Trial> {
    one_more(Kind::Net, 1, move |me| {
        let target = empty_directory()?;
        let within = target.clone();
        let mut member = member(Kind::Net, move |_| mount::mount("sysfs", &within))?;
        let listed = names_in(&target.join("class/net"));
        let file = (!alone).then(|| NsFile::of(Some(member.pid()), Kind::Net)).transpose()?;
        end(&mut member)?;
        me.report("mounted filesystem", mount::filesystem_type(&target)?)?;
        me.report("devices listed before the end", listed)?;
        Ok(file)
    })
}

/// The names in a directory: `none` if it is empty or missing.
fn names_in(directory: &Path) -> Value {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    if names.is_empty() { "none".into() } else { names.into() }
}
