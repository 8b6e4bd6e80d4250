//! The eight kinds of namespace, one resource each: changed inside, and looked at from both sides.

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
    Claim::holds("cgroup", "A cgroup namespace has a root of its own in the cgroup hierarchies.")
        .factor("CLONE_NEWCGROUP")
        .notes(&[6])
        .requires(&[Requirement::Namespace(Kind::Cgroup), Requirement::Probe(below_the_root)]);

pub(crate) const READ_CGROUP_PATHS: Step = Step {
    title: "cgroup: read the paths of a process's cgroups, from inside and from outside.",
    calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
    by_hand: &[hand("tail -n 1 /proc/self/cgroup; unshare -Ur --cgroup tail -n 1 /proc/self/cgroup")
        .prints("0::/…\n0::/")],
    claims: &[CGROUP],
    run: |lab| compare(lab, CGROUP, Kind::Cgroup),
};

const IPC: Claim = Claim::holds("ipc", "An IPC namespace has System V message queues of its own.")
    .factor("CLONE_NEWIPC")
    .notes(&[7]);

pub(crate) const MAKE_A_QUEUE: Step = Step {
    title: "ipc: make a message queue inside, and look for it from both sides.",
    calls: &["unshare(CLONE_NEWIPC)", "msgget(key, IPC_CREAT|IPC_EXCL)", "msgget(key, 0)"],
    by_hand: &[hand("ipcs -q | grep -c 0x; unshare -Ur --ipc sh -c 'ipcmk -Q; ipcs -q | grep -c 0x'; ipcs -q | grep -c 0x").prints("<count>\nMessage queue id: 0\n1\n<count>"), ],
    claims: &[IPC],
    run: |lab| compare(lab, IPC, Kind::Ipc),
};

const NET: Claim = Claim::holds("net", "A network namespace has network devices of its own.")
    .factor("CLONE_NEWNET")
    .notes(&[8]);

pub(crate) const MAKE_DEVICES: Step = Step {
    title: "net: make a pair of devices inside, and list the devices from both sides.",
    calls: &["unshare(CLONE_NEWNET)", "sendto(netlink, RTM_NEWLINK)", "read(\"/proc/self/net/dev\")"],
    by_hand: &[hand("unshare -Ur --net sh -c 'ip link add inside0 type veth peer name inside1; grep -c inside /proc/net/dev'").prints("2"), hand("grep -c inside /proc/net/dev").prints("0"), ],
    claims: &[NET],
    run: |lab| compare(lab, NET, Kind::Net),
};

const MNT: Claim =
    Claim::holds("mnt", "A mount namespace has mount points of its own.").factor("CLONE_NEWNS").notes(&[9]);

pub(crate) const MOUNT: Step = Step {
    title: "mnt: mount a tmpfs inside, and look what is mounted there from both sides.",
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

const PID: Claim = Claim::holds("pid", "A PID namespace has process IDs of its own.")
    .factor("CLONE_NEWPID")
    .notes(&[10])
    .requires(&[Requirement::Namespace(Kind::Pid)]);

pub(crate) const ASK_FOR_THE_PID: Step = Step {
    title: "pid: ask for the PID of one process, inside and outside.",
    calls: &["unshare(CLONE_NEWPID)", "fork()", "getpid()", "read(\"/proc/PID/status\")"],
    by_hand: &[hand("unshare -Ur --pid --fork grep NSpid /proc/self/status").prints("NSpid: … 1")],
    claims: &[PID],
    run: |lab| compare(lab, PID, Kind::Pid),
};

const TIME: Claim = Claim::holds("time", "A time namespace has a monotonic clock of its own.")
    .factor("CLONE_NEWTIME")
    .notes(&[11])
    .requires(&[Requirement::Namespace(Kind::Time)]);

pub(crate) const SET_THE_CLOCK: Step = Step {
    title: "time: set the clock a day ahead inside, read it there and then outside, and compare.",
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

const USER: Claim = Claim::holds("user", "A user namespace has user IDs of its own.")
    .factor("CLONE_NEWUSER")
    .notes(&[12])
    .requires(&[Requirement::Namespace(Kind::User)]);

pub(crate) const MAP_A_USER: Step = Step {
    title: "user: call our user 4321 inside, and ask on both sides who one process is.",
    calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"4321 UID 1\")", "getuid()"],
    by_hand: &[hand("id -u; unshare --user --map-user=4321 id -u").prints("<user id>\n4321")],
    claims: &[USER],
    run: |lab| compare(lab, USER, Kind::User),
};

const UTS: Claim =
    Claim::holds("uts", "A UTS namespace has a hostname of its own.").factor("CLONE_NEWUTS").notes(&[13]);

pub(crate) const SET_THE_HOSTNAME: Step = Step {
    title: "uts: set the hostname inside, and read it on both sides.",
    calls: &["unshare(CLONE_NEWUTS)", "sethostname(\"inside\")", "uname()"],
    by_hand: &[hand("hostname; unshare -Ur --uts sh -c 'hostname inside; hostname'; hostname")
        .prints("<name>\ninside\n<name>")],
    claims: &[UTS],
    run: |lab| compare(lab, UTS, Kind::Uts),
};

const OWN: Claim = Claim::holds(
    "own-instance",
    "A namespace of any kind gives its members an instance of a global resource that is their own.",
)
.factor("CLONE_NEW*")
.notes(&[3])
.core(&[Row::outside("kinds with their own", DIFFERENT)])
.asks(
    "New namespaces of every kind are made. For which kinds do members find another resource than we do outside?",
    &[
        right("for every kind"),
        wrong("for every kind but time", "the date is the same inside"),
        wrong("for every kind but user", "a user's ID is thought to be the kernel's business, and one for all"),
        wrong("for PID, mount and network alone", "these are what one sees first in a container"),
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
    "In new namespaces a queue, devices, a mount, a hostname and a process are made. How many does one see outside?",
    &[
        right("one of them"),
        wrong("none", "so namespaces are introduced; it is true of hostnames, networks and queues"),
        wrong("all", "outside, root is thought to see everything"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid)]);
const SEEN_ABOVE: Claim = Claim::holds(
    "seen-above",
    "Changes to IPC, devices, mounts and hostname stay inside; a new process is seen from the PID namespace above.",
)
.factor("CLONE_NEW*")
.notes(&[4])
.core(&[Row::outside("which ones", CHANGES)])
.asks(
    "A queue, devices, a mount, a hostname and a process were made inside. Which does one see outside?",
    &[
        right("the process"),
        wrong("the mount", "mounts can propagate, but not out of a namespace that was made private"),
        wrong("the devices", "a pair of devices often has one end outside, but not this one"),
        wrong("the hostname", "the prompt shows it, but the prompt is the shell's inside"),
    ],
)
.requires(&[Requirement::Namespace(Kind::Pid)]);

pub(crate) const PUT_TOGETHER: Step = Step {
    title: "Put it together: whose resource differs inside, and which change was seen outside?",
    calls: &[],
    by_hand: &[],
    claims: &[OWN, MEMBERS_ONLY, SEEN_ABOVE],
    run: |lab| {
        let kinds = kinds_that_can_be_asked()?;
        let all = format!("{0} of {0}", kinds.len());
        let seen = lab.arms(false, true, |anew| look_at_all(&kinds, anew))?;
        show(lab, &seen)?;
        let seen = seen.map(|seen| sums(&seen));
        lab.judge(OWN, seen.only(&[DIFFERENT])).shows(outside(DIFFERENT).is(all))?;
        lab.judge(MEMBERS_ONLY, seen.only(&[CHANGES, COUNTED])).shows(outside(CHANGES).is("none"))?;
        lab.judge(SEEN_ABOVE, seen.only(&[CHANGES])).shows(outside(CHANGES).is("pid"))
    },
};

const COPY: Claim = Claim::holds(
    "copy",
    "A mount or UTS namespace begins as a copy of its creator's; an IPC or network namespace begins without its objects.",
)
.factor("new namespaces of the four kinds")
.notes(&[4]);

pub(crate) const TAKE_ALONG: Step = Step {
    title: "Set the hostname, mount, make a queue and devices; then make namespaces of the four kinds. What is there in them?",
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
    "Not all is namespaced: in new namespaces of all kinds /proc lists one process; /proc/loadavg counts threads outside, too.",
)
.factor("new namespaces of all kinds")
.notes(&[3])
.requires(&[
    Requirement::Namespace(Kind::Pid),
    Requirement::Namespace(Kind::User),
    Requirement::Probe(at_once),
]);

pub(crate) const COUNT_THREADS: Step = Step {
    title: "Mount proc in new namespaces of all kinds. Count the processes that it lists, and the threads of which \
            /proc/loadavg tells.",
    calls: &["clone3(CLONE_NEW…|…)", "mount(\"proc\", \"/proc\", \"proc\")", "read(\"/proc/loadavg\")"],
    by_hand: &[hand("cut -d' ' -f 4 /proc/loadavg; unshare -Urpfmiun --mount-proc sh -c 'echo /proc/[0-9]*; cut -d\" \" -f 4 /proc/loadavg'").prints("…/…\n/proc/1\n…/…"), ],
    claims: &[NOT_ALL],
    run: |lab| {
        lab.compare(NOT_ALL, Namespaces::NONE, of_this_kernel(), count_processes_and_threads)?.shows(
            inside("processes in /proc").is("one") & inside("threads in /proc/loadavg").is("more than one"),
        )
    },
};

/// The whole lesson: a member of a new namespace, or of ours, changes a resource, and both sides look at it.
fn compare(lab: &mut Lab, claim: Claim, kind: Kind) -> Result<()> {
    lab.compare(claim, Namespaces::NONE, Namespaces::only(kind), |namespaces| {
        change_and_look(kind, namespaces)
    })?
    .shows(is_its_own(kind))
}

/// The resource is another one inside, which is seen last, than outside, which is seen first.
fn is_its_own(kind: Kind) -> Effect {
    match kind {
        // Clocks go on between two looks.
        Kind::Time => last().is(A_DAY),
        _ => last().differs_from(first()),
    }
}

const DIFFERENT: &str = "kinds that differ inside";
const CHANGES: &str = "changes seen outside";
const COUNTED: &str = "so many changes";

/// What is made of one kind in one arm.
struct Seen {
    kind: Kind,
    /// The member and we saw something else of the same resource.
    differs: bool,
    /// What the member changed was seen outside too. What a member changes of PIDs is that it is there itself.
    change_is_seen: bool,
}

impl Seen {
    /// Of a member of a namespace that is new, or ours.
    fn of(kind: Kind, anew: bool) -> Result<Seen> {
        let namespaces = if anew { Namespaces::only(kind) } else { Namespaces::NONE };
        let facts = change_and_look(kind, namespaces)?;
        let [outside, .., last] = facts.as_slice() else { bail!("too little was seen of {kind}") };
        let differs = match kind {
            Kind::Time => last.value == A_DAY,
            _ => last.value != outside.value,
        };
        let change_is_seen = match kind {
            Kind::Pid => outside.value.as_i64().is_some(),
            _ => WRITTEN.contains(&kind) && !differs,
        };
        Ok(Seen { kind, differs, change_is_seen })
    }
}

/// Those that this kernel has. Of the cgroup namespace nothing is to be seen by who is in the root of every hierarchy.
fn kinds_that_can_be_asked() -> Result<Vec<Kind>> {
    let in_the_root = below_the_root()?.is_some();
    Ok(of_this_kernel().kinds().filter(|kind| *kind != Kind::Cgroup || !in_the_root).collect())
}

fn look_at_all(kinds: &[Kind], anew: bool) -> Result<Vec<Seen>> {
    kinds.iter().map(|kind| Seen::of(*kind, anew)).collect()
}

fn show(lab: &mut Lab, seen: &Arms<Vec<Seen>>) -> Result<()> {
    let word = |seen: &Seen| if seen.differs { "differs" } else { "the same" };
    let row = |(control, treatment): (&Seen, &Seen)| {
        let kind = control.kind;
        vec![kind.link().into(), kind.isolates().into(), word(control).into(), word(treatment).into()]
    };
    lab.picture(
        Picture::Heat(2),
        "Is it the same inside and outside?",
        &["kind", "isolates", "without its flag", "with it"],
        seen.control().iter().zip(seen.treatment()).map(row).collect(),
    )
}

/// All kinds together: of how many the resource differs inside, and which change was seen outside.
fn sums(seen: &[Seen]) -> Vec<Fact> {
    let differing = seen.iter().filter(|seen| seen.differs).count();
    let changes: Vec<_> = seen.iter().filter(|seen| seen.change_is_seen).map(|seen| seen.kind).collect();
    let made = seen.iter().filter(|seen| seen.kind == Kind::Pid || WRITTEN.contains(&seen.kind)).count();
    let counted = format!("{} of {made}", changes.len());
    vec![
        Fact::outside(DIFFERENT, format!("{differing} of {}", seen.len())),
        Fact::outside(CHANGES, list(changes)),
        Fact::outside(COUNTED, counted),
    ]
}

/// The kinds whose resource is written to, together.
fn written() -> Namespaces {
    WRITTEN.into_iter().map(Namespaces::only).fold(Namespaces::NONE, Namespaces::union)
}

/// Runs `body` in namespaces of its own: what it writes reaches neither the host nor another arm.
pub(crate) fn apart(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut outside = Child::spawn("outside", written(), |me| {
        uts::set_hostname("outside")?;
        body(me)
    })?;
    Ok(outside.facts()?)
}

/// A member of new `namespaces` changes a resource, and both sides look at it.
fn change_and_look(kind: Kind, namespaces: Namespaces) -> Result<Vec<Fact>> {
    apart(move |me| {
        // unshare moves the children of its caller into every kind; of PID and time, them alone.
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

/// As [`ahead`] has it.
const A_DAY: &str = "24 h";

/// By how much one clock is ahead of another: in whole hours, which no pause between two looks changes.
fn ahead(inside: &Value, outside: &Value) -> Option<String> {
    const HOUR: i64 = 3_600_000_000_000;
    let (Value::Nanoseconds(inside), Value::Nanoseconds(outside)) = (inside, outside) else { return None };
    Some(format!("{} h", (inside - outside + HOUR / 2).div_euclid(HOUR)))
}

/// The kinds of which a child in new `namespaces` still finds what was written before they were made.
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

/// What a child in new `namespaces` reads of processes and threads. In a PID namespace of its own it mounts proc first.
fn count_processes_and_threads(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        if namespaces.contains(Namespaces::PID) {
            mount::mount("proc", Path::new("/proc"))?;
        }
        // How many there are changes from run to run.
        let in_words = |count| if count == 1 { "one" } else { "more than one" };
        me.report("processes in /proc", in_words(pids::listed(Path::new("/proc"))?.len()))?;
        me.report("threads in /proc/loadavg", in_words(threads()?))
    })?;
    Ok(child.facts()?)
}

/// How many threads there are, by the fourth word of /proc/loadavg, such as `2/512`: proc_loadavg(5).
fn threads() -> ns_core::Result<usize> {
    let file = "/proc/loadavg";
    let text = std::fs::read_to_string(file).named(|| format!("read(\"{file}\")"))?;
    let all = text.split_whitespace().nth(3).and_then(|word| word.split_once('/')?.1.parse().ok());
    all.ok_or_else(|| Error::Unreadable { what: file.into(), message: format!("found {text:?}") })
}

/// A process in the root of every hierarchy sees `/` with a cgroup namespace and without.
fn below_the_root() -> ns_core::Result<Option<Unmet>> {
    let in_the_root = resource::cgroup_paths(None)?.iter().all(|path| *path == "/");
    Ok(in_the_root.then(|| {
        Unmet::new(
            "a cgroup below the root: this process is in the root of every hierarchy",
            "start it in one: systemd-run --user --scope ns-compare (as root without --user)",
        )
    }))
}
