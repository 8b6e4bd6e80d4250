//! The eight kinds of namespace, one resource each: changed inside, and read inside and outside.

use std::path::Path;

use anyhow::{Result, bail};
use lesson::{
    Arms, Claim, Effect, Lab, Picture, Requirement, Row, Step, first, hand, inside, last, outside, right,
    wrong,
};
use ns_core::probe::Unmet;
use ns_core::{Child, Error, Fact, Kind, Named, Namespaces, Pid, Reporter, Value, mount, pids, uts};

use crate::eight::{at_once, list, of_this_kernel};
use crate::resource::{self, WRITTEN, change, look};

const CGROUP: Claim =
    Claim::holds("cgroup", "A cgroup namespace has its own root for the paths in /proc/PID/cgroup.")
        .factor("CLONE_NEWCGROUP")
        .notes(&[6])
        .requires(&[Requirement::Namespace(Kind::Cgroup), Requirement::Probe(below_the_root)]);

pub(crate) const READ_CGROUP_PATHS: Step = Step {
    title: "cgroup: read the paths of a process's cgroups, inside and outside.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("tail -n 1 /proc/self/cgroup; unshare -Ur --cgroup tail -n 1 /proc/self/cgroup")
        .prints("0::/…\n0::/")],
    claims: &[CGROUP],
    run: |lab| compare(lab, CGROUP, Kind::Cgroup),
};

const IPC: Claim = Claim::holds("ipc", "An IPC namespace has its own System V message queues.")
    .factor("CLONE_NEWIPC")
    .notes(&[7]);

pub(crate) const MAKE_A_QUEUE: Step = Step {
    title: "ipc: create a message queue inside, and look it up inside and outside.",
    calls: &["unshare(CLONE_NEWIPC)", "msgget(key, IPC_CREAT|IPC_EXCL)", "msgget(key, 0)"],
    by_hand: &[hand("ipcs -q | grep -c 0x; unshare -Ur --ipc sh -c 'ipcmk -Q; ipcs -q | grep -c 0x'; ipcs -q | grep -c 0x").prints("<count>\nMessage queue id: 0\n1\n<count>"), ],
    claims: &[IPC],
    run: |lab| compare(lab, IPC, Kind::Ipc),
};

const NET: Claim = Claim::holds("net", "A network namespace has its own network devices.")
    .factor("CLONE_NEWNET")
    .notes(&[8]);

pub(crate) const MAKE_DEVICES: Step = Step {
    title: "net: create a veth pair inside, and list the devices inside and outside.",
    calls: &["unshare(CLONE_NEWNET)", "sendto(netlink, RTM_NEWLINK)", "read(\"/proc/self/net/dev\")"],
    by_hand: &[hand("unshare -Ur --net sh -c 'ip link add inside0 type veth peer name inside1; grep -c inside /proc/net/dev'").prints("2"), hand("grep -c inside /proc/net/dev").prints("0"), ],
    claims: &[NET],
    run: |lab| compare(lab, NET, Kind::Net),
};

const MNT: Claim =
    Claim::holds("mnt", "A mount namespace has its own list of mounts.").factor("CLONE_NEWNS").notes(&[9]);

pub(crate) const MOUNT: Step = Step {
    title: "mnt: mount a tmpfs at /mnt inside, and list the mounts at /mnt inside and outside.",
    calls: &[
        "unshare(CLONE_NEWNS)",
        "mount(\"tmpfs\", \"/mnt\", \"tmpfs\")",
        "read(\"/proc/self/mountinfo\")",
    ],
    by_hand: &[hand(
        "unshare -Ur --mount sh -c 'mount -t tmpfs tmpfs /mnt; findmnt -n /mnt'; findmnt -n /mnt",
    )
    .prints("/mnt tmpfs tmpfs …")],
    claims: &[MNT],
    run: |lab| compare(lab, MNT, Kind::Mnt),
};

const PID: Claim = Claim::holds("pid", "A PID namespace has its own PIDs.")
    .factor("CLONE_NEWPID")
    .notes(&[10])
    .requires(&[Requirement::Namespace(Kind::Pid)]);

pub(crate) const ASK_FOR_THE_PID: Step = Step {
    title: "pid: read the PID of one process, inside and outside.",
    calls: &["unshare(CLONE_NEWPID)", "fork()", "getpid()", "read(\"/proc/PID/status\")"],
    by_hand: &[hand("unshare -Ur --pid --fork grep NSpid /proc/self/status").prints("NSpid: … 1")],
    claims: &[PID],
    run: |lab| compare(lab, PID, Kind::Pid),
};

const TIME: Claim = Claim::holds("time", "A time namespace has its own offset of the monotonic clock.")
    .factor("CLONE_NEWTIME")
    .notes(&[11])
    .requires(&[Requirement::Namespace(Kind::Time)]);

pub(crate) const SET_THE_CLOCK: Step = Step {
    title: "time: set the clock a day ahead inside, and read it inside and outside.",
    calls: &[
        "unshare(CLONE_NEWTIME)",
        "write(\"/proc/self/timens_offsets\", \"monotonic 86400 0\")",
        "fork()",
        "clock_gettime(CLOCK_MONOTONIC)",
    ],
    by_hand: &[hand("cat /proc/uptime; unshare -Ur --time --boottime 86400 --fork cat /proc/uptime")
        .prints("<seconds A> …\n<seconds B> …")],
    claims: &[TIME],
    run: |lab| compare(lab, TIME, Kind::Time),
};

const USER: Claim = Claim::holds("user", "A user namespace has its own user IDs.")
    .factor("CLONE_NEWUSER")
    .notes(&[12])
    .requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const MAP_A_USER: Step = Step {
    title: "user: map the user to 4321 inside, and read the user ID of one process inside and outside.",
    calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"4321 UID 1\")", "getuid()"],
    by_hand: &[hand("id -u; unshare --user --map-user=4321 id -u").prints("<user id>\n4321")],
    claims: &[USER],
    run: |lab| compare(lab, USER, Kind::User),
};

const UTS: Claim =
    Claim::holds("uts", "A UTS namespace has its own hostname.").factor("CLONE_NEWUTS").notes(&[13]);

pub(crate) const SET_THE_HOSTNAME: Step = Step {
    title: "uts: set the hostname inside, and read it inside and outside.",
    calls: &["unshare(CLONE_NEWUTS)", "sethostname(\"inside\")", "uname()"],
    by_hand: &[hand("hostname; unshare -Ur --uts sh -c 'hostname inside; hostname'; hostname")
        .prints("<name>\ninside\n<name>")],
    claims: &[UTS],
    run: |lab| compare(lab, UTS, Kind::Uts),
};

const OWN: Claim = Claim::holds(
    "own-instance",
    "A namespace of each kind gives its members their own instance of a global resource.",
)
.factor("CLONE_NEW*")
.notes(&[3])
.core(&[Row::outside("kinds that differ", DIFFERENT)])
.asks(
    "New namespaces of every kind are created. For which kinds does a member find another resource than a process outside?",
    &[
        right("for every kind"),
        wrong("for every kind but time", "the date is the same inside"),
        wrong("for every kind but user", "a user ID is thought to be the same in the whole kernel"),
        wrong("for PID, mount and network alone", "these are noticed first in a container"),
    ],
);
const MEMBERS_ONLY: Claim = Claim::refuted(
    "members-only",
    "Only the members of a namespace see changes to its resource.",
    "seen-above",
)
.factor("CLONE_NEW*")
.notes(&[4])
.core(&[Row::outside("changes seen outside", COUNTED)])
.asks(
    "A queue, devices, a mount, a hostname and a process are created in new namespaces. How many are visible outside?",
    &[
        right("one of them"),
        wrong("none", "many texts say so; it is true for hostnames, networks and queues"),
        wrong("all", "root outside is thought to see everything"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid)]);
const SEEN_ABOVE: Claim = Claim::holds(
    "seen-above",
    "Changes to IPC, devices, mounts and hostname stay inside; a new process is visible in the parent PID namespace.",
)
.factor("CLONE_NEW*")
.notes(&[4])
.core(&[Row::outside("which changes", CHANGES)])
.asks(
    "A queue, devices, a mount, a hostname and a process are created inside. Which of them is visible outside?",
    &[
        right("the process"),
        wrong("the mount", "mounts can propagate, but not from private mounts"),
        wrong("the devices", "a pair of devices often has one end outside, but not this one"),
        wrong("the hostname", "the prompt shows it, but the shell of that prompt is inside"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid)]);

pub(crate) const PUT_TOGETHER: Step = Step {
    title: "Summarise: list the kinds whose resource differs inside, and the changes that are visible outside.",
    calls: &[],
    by_hand: &[],
    claims: &[OWN, MEMBERS_ONLY, SEEN_ABOVE],
    run: |lab| {
        let kinds = kinds_that_can_be_asked()?;
        let all = format!("{0} of {0}", kinds.len());
        let results = lab.arms(false, true, |is_new| look_at_all(&kinds, is_new))?;
        show(lab, &results)?;
        let results = results.map(|results| sums(&results));
        lab.judge(OWN, results.only(&[DIFFERENT])).shows(outside(DIFFERENT).is(all))?;
        lab.judge(MEMBERS_ONLY, results.only(&[CHANGES, COUNTED])).shows(outside(CHANGES).is("none"))?;
        lab.judge(SEEN_ABOVE, results.only(&[CHANGES])).shows(outside(CHANGES).is("pid"))
    },
};

const COPY: Claim = Claim::holds(
    "copy",
    "New mount and UTS namespaces start as copies; new IPC and network namespaces start without the creator's objects.",
)
.factor("new namespaces of the four kinds")
.notes(&[4]);

pub(crate) const TAKE_ALONG: Step = Step {
    title: "Set the hostname, mount a tmpfs, create a queue and devices. Look for them in new namespaces of the four kinds.",
    calls: &[
        "sethostname(\"outside\")",
        "mount(…)",
        "msgget(…)",
        "sendto(netlink, RTM_NEWLINK)",
        "unshare(…)",
    ],
    by_hand: &[hand("hostname; unshare -Ur --uts --net sh -c 'hostname; grep -c : /proc/net/dev'")
        .prints("<name>\n<name>\n1")],
    claims: &[COPY],
    run: |lab| {
        lab.compare(COPY, Namespaces::NONE, written(), what_is_taken_along)?.shows(first().is("mnt uts"))
    },
};

const NOT_ALL: Claim = Claim::holds(
    "not-all",
    "In new namespaces of all kinds, /proc lists one process, but /proc/loadavg also counts threads outside.",
)
.factor("new namespaces of all kinds")
.notes(&[3])
.requires(&[
    Requirement::Namespace(Kind::Pid),
    Requirement::Namespace(Kind::User),
    Requirement::Probe(at_once),
]);

pub(crate) const COUNT_THREADS: Step = Step {
    title: "Mount a procfs in new namespaces of all kinds. Count the processes that it lists, and the threads in \
            /proc/loadavg.",
    calls: &["clone3(CLONE_NEW…|…)", "mount(\"proc\", \"/proc\", \"proc\")", "read(\"/proc/loadavg\")"],
    by_hand: &[hand("cut -d' ' -f 4 /proc/loadavg; unshare -Urpfmiun --mount-proc sh -c 'echo /proc/[0-9]*; cut -d\" \" -f 4 /proc/loadavg'").prints("…/…\n/proc/1\n…/…"), ],
    claims: &[NOT_ALL],
    run: |lab| {
        lab.compare(NOT_ALL, Namespaces::NONE, of_this_kernel(), count_processes_and_threads)?
            .in_both_arms(inside("threads in /proc/loadavg").is("more than one"))
            .shows(inside("processes in /proc").is("one"))
    },
};

/// Judges a claim: a member of a new namespace, or of the present one, changes a resource. Both sides read it.
fn compare(lab: &mut Lab, claim: Claim, kind: Kind) -> Result<()> {
    lab.compare(claim, Namespaces::NONE, Namespaces::only(kind), |namespaces| {
        change_and_look(kind, namespaces)
    })?
    .shows(is_its_own(kind))
}

/// The last fact, from inside, differs from the first, from outside.
fn is_its_own(kind: Kind) -> Effect {
    match kind {
        // The clock advances between the two readings.
        Kind::Time => last().is(A_DAY),
        _ => last().differs_from(first()),
    }
}

const DIFFERENT: &str = "kinds that differ inside";
const CHANGES: &str = "changes visible outside";
const COUNTED: &str = "count of these changes";

/// The result for one kind in one arm.
struct Compared {
    kind: Kind,
    /// Inside and outside, the resource reads differently.
    differs: bool,
    /// The change is visible outside too. For PIDs, the change is the new member itself.
    change_is_visible: bool,
}

impl Compared {
    /// The result for a member of a new namespace, or of the present one.
    fn of(kind: Kind, is_new: bool) -> Result<Compared> {
        let namespaces = if is_new { Namespaces::only(kind) } else { Namespaces::NONE };
        let facts = change_and_look(kind, namespaces)?;
        let [outside, .., last] = facts.as_slice() else { bail!("too few facts about {kind}") };
        let differs = match kind {
            Kind::Time => last.value == A_DAY,
            _ => last.value != outside.value,
        };
        let change_is_visible = match kind {
            Kind::Pid => outside.value.as_i64().is_some(),
            _ => WRITTEN.contains(&kind) && !differs,
        };
        Ok(Compared { kind, differs, change_is_visible })
    }
}

/// The kinds that this kernel has. Cgroup is left out for a process in the root of every hierarchy, which sees no
/// difference.
fn kinds_that_can_be_asked() -> Result<Vec<Kind>> {
    let in_the_root = below_the_root()?.is_some();
    Ok(of_this_kernel().kinds().filter(|kind| *kind != Kind::Cgroup || !in_the_root).collect())
}

fn look_at_all(kinds: &[Kind], is_new: bool) -> Result<Vec<Compared>> {
    kinds.iter().map(|kind| Compared::of(*kind, is_new)).collect()
}

fn show(lab: &mut Lab, results: &Arms<Vec<Compared>>) -> Result<()> {
    let word = |result: &Compared| if result.differs { "differs" } else { "the same" };
    let row = |(control, treatment): (&Compared, &Compared)| {
        let kind = control.kind;
        vec![kind.link().into(), kind.isolates().into(), word(control).into(), word(treatment).into()]
    };
    lab.picture(
        Picture::Heat(2),
        "The resource inside, compared with outside",
        &["kind", "isolates", "no flag", "its flag"],
        results.control().iter().zip(results.treatment()).map(row).collect(),
    )
}

/// All kinds together: how many resources differ inside, and which changes are visible outside.
fn sums(results: &[Compared]) -> Vec<Fact> {
    let differing = results.iter().filter(|it| it.differs).count();
    let changes: Vec<_> = results.iter().filter(|it| it.change_is_visible).map(|it| it.kind).collect();
    let changed = results.iter().filter(|it| it.kind == Kind::Pid || WRITTEN.contains(&it.kind)).count();
    let counted = format!("{} of {changed}", changes.len());
    vec![
        Fact::outside(DIFFERENT, format!("{differing} of {}", results.len())),
        Fact::outside(CHANGES, list(changes)),
        Fact::outside(COUNTED, counted),
    ]
}

/// All kinds whose resource is written to.
fn written() -> Namespaces {
    WRITTEN.into_iter().map(Namespaces::only).fold(Namespaces::NONE, Namespaces::union)
}

/// Runs `body` in new namespaces, so that its changes reach neither the host nor another arm.
pub(crate) fn apart(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut outside = Child::spawn("outside", written(), |me| {
        uts::set_hostname("outside")?;
        body(me)
    })?;
    Ok(outside.facts()?)
}

/// A member of new `namespaces` changes a resource. Both sides read it.
fn change_and_look(kind: Kind, namespaces: Namespaces) -> Result<Vec<Fact>> {
    apart(move |me| {
        // A child of the caller of unshare() is in the new namespaces of every kind; PID and time need a child.
        let mut creator = Child::spawn("creator", Namespaces::NONE, move |me| {
            resource::unshare_and_prepare(namespaces, kind)?;
            let mut member = Child::spawn("member", Namespaces::NONE, move |me| {
                change(kind, "inside")?;
                let (what, value) = look(kind, None)?;
                me.report(what, value)?;
                me.stay()
            })?;
            me.report("PID", member.pid())?;
            me.send(member.fact()?)?;
            me.stay()
        })?;
        let member = pid_of(&creator.fact()?.value);
        let inside = creator.fact()?;
        let (what, value) = look(kind, Some(member))?;
        let ahead = ahead(&inside.value, &value);
        me.send(Fact::outside(what, value))?;
        me.send(inside)?;
        ahead.map_or(Ok(()), |hours| me.send(Fact::outside("inside is ahead by", hours)))
    })
}

fn pid_of(value: &Value) -> Pid {
    Pid::from_raw(value.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(i32::MAX))
}

/// A day in the form of [`ahead`].
const A_DAY: &str = "24 h";

/// How far one clock is ahead of another, in whole hours. A pause between the two readings does not change it.
fn ahead(inside: &Value, outside: &Value) -> Option<String> {
    const HOUR: i64 = 3_600_000_000_000;
    let (Value::Nanoseconds(inside), Value::Nanoseconds(outside)) = (inside, outside) else { return None };
    Some(format!("{} h", (inside - outside + HOUR / 2).div_euclid(HOUR)))
}

/// The kinds for which a child in new `namespaces` finds what was written before they were created.
fn what_is_taken_along(namespaces: Namespaces) -> Result<Vec<Fact>> {
    apart(move |me| {
        for kind in WRITTEN {
            change(kind, "outside")?;
        }
        let mut before = Vec::new();
        for kind in WRITTEN {
            before.push(look(kind, None)?);
        }
        let mut child = Child::spawn("child", namespaces, move |me| {
            let mut along = Vec::new();
            for (kind, before) in WRITTEN.into_iter().zip(before) {
                if look(kind, None)? == before {
                    along.push(kind);
                }
            }
            me.report("found afterwards", list(along))
        })?;
        me.send(child.fact()?)
    })
}

/// The numbers of processes and threads that a child in new `namespaces` reads. In a new PID namespace it first mounts a
/// procfs.
fn count_processes_and_threads(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        if namespaces.contains(Namespaces::PID) {
            mount::mount("proc", Path::new("/proc"))?;
        }
        // The exact number differs from run to run.
        let in_words = |count| if count == 1 { "one" } else { "more than one" };
        me.report("processes in /proc", in_words(pids::listed(Path::new("/proc"))?.len()))?;
        me.report("threads in /proc/loadavg", in_words(threads()?))
    })?;
    Ok(child.facts()?)
}

/// The number of threads, from the fourth word of /proc/loadavg, such as `2/512`: proc_loadavg(5).
fn threads() -> ns_core::Result<usize> {
    let file = "/proc/loadavg";
    let text = std::fs::read_to_string(file).named(|| format!("read(\"{file}\")"))?;
    let all = text.split_whitespace().nth(3).and_then(|word| word.split_once('/')?.1.parse().ok());
    all.ok_or_else(|| Error::Unreadable { what: file.into(), message: format!("found {text:?}") })
}

/// Unmet for a process in the root of every hierarchy: it reads `/` in a new cgroup namespace and outside it.
fn below_the_root() -> ns_core::Result<Option<Unmet>> {
    let in_the_root = resource::cgroup_paths(None)?.iter().all(|path| *path == "/");
    Ok(in_the_root.then(|| {
        Unmet::new(
            "a cgroup below the root: this process is in the root of every hierarchy",
            "start it in a cgroup: systemd-run --user --scope ns-compare (as root without --user)",
        )
    }))
}
