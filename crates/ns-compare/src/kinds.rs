//! The eight kinds of namespace, one resource each: changed inside, and looked at from both sides.

use anyhow::Result;
use lesson::{Claim, Lab, Need, Observation, Picture, Step};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Kind, Namespaces, Spawn, Value, View, Witness, uts};

use crate::resource::{self, DAY, WRITTEN, change, look};

pub(crate) const CGROUP: Claim =
    Claim::holds("cgroup", "A cgroup namespace has a root of its own in the cgroup hierarchies.")
        .cause("CLONE_NEWCGROUP")
        .notes(&[6])
        .needs(&[Need::Probe(below_the_root)]);
pub(crate) const IPC: Claim = Claim::holds("ipc", "An IPC namespace has System V message queues of its own.")
    .cause("CLONE_NEWIPC")
    .notes(&[7]);
pub(crate) const NET: Claim = Claim::holds("net", "A network namespace has network devices of its own.")
    .cause("CLONE_NEWNET")
    .notes(&[8]);
pub(crate) const MNT: Claim =
    Claim::holds("mnt", "A mount namespace has mount points of its own.").cause("CLONE_NEWNS").notes(&[9]);
pub(crate) const PID: Claim =
    Claim::holds("pid", "A PID namespace has process IDs of its own.").cause("CLONE_NEWPID").notes(&[10]);
pub(crate) const TIME: Claim = Claim::holds("time", "A time namespace has a monotonic clock of its own.")
    .cause("CLONE_NEWTIME")
    .notes(&[11]);
pub(crate) const USER: Claim =
    Claim::holds("user", "A user namespace has user IDs of its own.").cause("CLONE_NEWUSER").notes(&[12]);
pub(crate) const UTS: Claim =
    Claim::holds("uts", "A UTS namespace has a hostname of its own.").cause("CLONE_NEWUTS").notes(&[13]);
pub(crate) const OWN: Claim = Claim::holds(
    "own-instance",
    "A namespace of any kind gives its members an instance of a global resource that is their own.",
)
.cause("CLONE_NEW*")
.notes(&[3]);
pub(crate) const MEMBERS_ONLY: Claim = Claim::refuted(
    "members-only",
    "Only the members of a namespace see changes to its resource.",
    "seen-above",
)
.cause("CLONE_NEW*")
.notes(&[4])
.misconceptions(&[(
    lesson::YES,
    "it is how namespaces are introduced, and true of hostnames, networks and queues",
)]);
pub(crate) const SEEN_ABOVE: Claim = Claim::holds(
    "seen-above",
    "Changes to IPC, devices, mounts and hostname stay inside; a new process is seen from every PID namespace above.",
)
.cause("CLONE_NEW*")
.notes(&[4]);
pub(crate) const COPY: Claim = Claim::holds(
    "copy",
    "A mount or UTS namespace begins as a copy of its maker's; an IPC or network namespace begins without its objects.",
)
.cause("new namespaces of the four kinds")
.notes(&[4]);

/// One kind: what is claimed, and how it is tried.
struct Trial {
    kind: Kind,
    claim: Claim,
    step: Step,
}

const TRIALS: [Trial; 8] = [
    Trial {
        kind: Kind::Cgroup,
        claim: CGROUP,
        step: Step {
            goal: "cgroup: read the paths of a process's cgroups, from inside and from outside.",
            calls: &["unshare(CLONE_NEWCGROUP)", "read(\"/proc/self/cgroup\")"],
            by_hand: &["cat /proc/self/cgroup; unshare -Ur --cgroup cat /proc/self/cgroup"],
        },
    },
    Trial {
        kind: Kind::Ipc,
        claim: IPC,
        step: Step {
            goal: "ipc: make a message queue inside, and look for it from both sides.",
            calls: &["unshare(CLONE_NEWIPC)", "msgget(key, IPC_CREAT|IPC_EXCL)", "msgget(key, 0)"],
            by_hand: &["unshare -Ur --ipc sh -c 'ipcmk -Q; ipcs -q'; ipcs -q"],
        },
    },
    Trial {
        kind: Kind::Net,
        claim: NET,
        step: Step {
            goal: "net: make a pair of devices inside, and list the devices from both sides.",
            calls: &["unshare(CLONE_NEWNET)", "sendto(netlink, RTM_NEWLINK)", "read(\"/proc/self/net/dev\")"],
            by_hand: &[
                "unshare -Ur --net sh -c 'ip link add inside0 type veth peer name inside1; cat /proc/net/dev'",
                "cat /proc/net/dev",
            ],
        },
    },
    Trial {
        kind: Kind::Mnt,
        claim: MNT,
        step: Step {
            goal: "mnt: mount a tmpfs inside, and look what is mounted there from both sides.",
            calls: &[
                "unshare(CLONE_NEWNS)",
                "mount(\"tmpfs\", \"/mnt\", \"tmpfs\")",
                "read(\"/proc/self/mountinfo\")",
            ],
            by_hand: &["unshare -Ur --mount sh -c 'mount -t tmpfs tmpfs /mnt; findmnt /mnt'; findmnt /mnt"],
        },
    },
    Trial {
        kind: Kind::Pid,
        claim: PID,
        step: Step {
            goal: "pid: ask for the number of one process, inside and outside.",
            calls: &["unshare(CLONE_NEWPID)", "fork()", "getpid()", "read(\"/proc/PID/status\")"],
            by_hand: &["unshare -Ur --pid --fork grep NSpid /proc/self/status"],
        },
    },
    Trial {
        kind: Kind::Time,
        claim: TIME,
        step: Step {
            goal: "time: set the clock a day ahead inside, read it there and then outside, and compare.",
            calls: &[
                "unshare(CLONE_NEWTIME)",
                "write(\"/proc/self/timens_offsets\", \"monotonic 86400 0\")",
                "fork()",
                "clock_gettime(CLOCK_MONOTONIC)",
            ],
            by_hand: &["cat /proc/uptime; unshare -Ur --time --boottime 86400 --fork cat /proc/uptime"],
        },
    },
    Trial {
        kind: Kind::User,
        claim: USER,
        step: Step {
            goal: "user: call our user 4321 inside, and ask on both sides who one process is.",
            calls: &["unshare(CLONE_NEWUSER)", "write(\"/proc/self/uid_map\", \"4321 UID 1\")", "getuid()"],
            by_hand: &["id -u; unshare --user --map-user=4321 id -u"],
        },
    },
    Trial {
        kind: Kind::Uts,
        claim: UTS,
        step: Step {
            goal: "uts: set the hostname inside, and read it on both sides.",
            calls: &["unshare(CLONE_NEWUTS)", "sethostname(\"inside\")", "uname()"],
            by_hand: &["unshare -Ur --uts sh -c 'hostname inside; hostname'; hostname"],
        },
    },
];

/// What was seen of one kind in both arms.
struct Seen {
    kind: Kind,
    without: Observation,
    with: Observation,
}

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    let mut seen = Vec::new();
    for Trial { kind, claim, step } in &TRIALS {
        if !lab.can_ask(&[*claim])? {
            continue;
        }
        lab.step(*step)?;
        let without = Observation::from(change_and_look(*kind, Namespaces::NONE)?);
        let with = Observation::from(change_and_look(*kind, kind.only())?);
        lab.claim(*claim).without(without.clone()).with(with.clone()).shows(differs)?;
        seen.push(Seen { kind: *kind, without, with });
    }

    lab.step(Step {
        goal: "Put it together: whose resource differs inside, and which change was seen outside?",
        calls: &[],
        by_hand: &[],
    })?;
    lab.picture(
        Picture::Heat(2),
        "Is it the same inside and outside?",
        &["kind", "isolates", "without its flag", "with it"],
        seen.iter()
            .map(|Seen { kind, without, with }| {
                let word = |arm| if differs(arm) { "differs" } else { "the same" };
                vec![kind.link().into(), kind.isolates().into(), word(without).into(), word(with).into()]
            })
            .collect(),
    )?;
    let own = |arm: fn(&Seen) -> &Observation| {
        let differing = seen.iter().filter(|it| differs(arm(it))).count();
        Fact::outside("kinds that differ inside", format!("{differing} of {}", seen.len()))
    };
    lab.claim(OWN)
        .without(own(|it| &it.without))
        .with(own(|it| &it.with))
        .shows(|count| *count == format!("{0} of {0}", seen.len()).as_str())?;

    let seen_outside = |arm: fn(&Seen) -> &Observation| {
        let changes = seen.iter().filter(|it| change_is_seen(it.kind, arm(it)));
        Fact::outside("changes seen outside", crate::list(changes.map(|it| it.kind)))
    };
    let (without, with) = (seen_outside(|it| &it.without), seen_outside(|it| &it.with));
    lab.claim(MEMBERS_ONLY)
        .without(without.clone())
        .with(with.clone())
        .shows(|changes| *changes == "none")?;
    lab.claim(SEEN_ABOVE).without(without).with(with).shows(|changes| *changes == "pid")?;

    lab.step(Step {
        goal: "Set the hostname, mount, make a queue and devices; then make namespaces of the four kinds. What is there in them?",
        calls: &[
            "sethostname(\"outside\")",
            "mount(…)",
            "msgget(…)",
            "sendto(netlink, RTM_NEWLINK)",
            "unshare(…)",
        ],
        by_hand: &["hostname; unshare -Ur --uts --net sh -c 'hostname; cat /proc/net/dev'"],
    })?;
    lab.claim(COPY)
        .without(what_is_taken_along(Namespaces::NONE)?)
        .with(what_is_taken_along(written())?)
        .shows(|along| *along == "mnt uts")?;
    Ok(())
}

/// Whether the member and we saw something else of the same resource.
fn differs(arm: &Observation) -> bool {
    let side = |view| arm.facts().iter().find(|fact| fact.view == view).map(|fact| &fact.value);
    match (side(View::Inside), side(View::Outside)) {
        // Clocks go on between two looks, but not by half a day.
        (Some(Value::Nanoseconds(inside)), Some(Value::Nanoseconds(outside))) => {
            (inside - outside).abs() > DAY * 1_000_000_000 / 2
        }
        (inside, outside) => inside != outside,
    }
}

/// Whether what the member changed was seen outside too. What a member changes of PIDs is that it is there itself.
fn change_is_seen(kind: Kind, arm: &Observation) -> bool {
    match kind {
        Kind::Pid => arm.outside("its PID").is_some_and(|pid| pid.as_i64().is_some()),
        _ => WRITTEN.contains(&kind) && !differs(arm),
    }
}

/// The kinds whose resource is written to, together.
fn written() -> Namespaces {
    WRITTEN.into_iter().map(Kind::only).fold(Namespaces::NONE, Namespaces::union)
}

/// Runs `body` in namespaces of its own: what it writes reaches neither the host nor another trial.
fn in_a_room(body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    // The room is no cause of anything, and stays under --sabotage too.
    let mut outside = Spawn::new("outside").namespaces_always(written()).run(|me| {
        uts::set_hostname("outside")?;
        body(me)
    })?;
    Ok(outside.hear_all()?)
}

/// The whole lesson: a member of new `namespaces` changes a resource, and both sides look at it.
fn change_and_look(kind: Kind, namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a_room(move |me| {
        // unshare moves the children of its caller into every kind; of PID and time, them alone.
        let mut maker = Child::spawn("maker", Namespaces::NONE, move |me| {
            resource::unshare_and_prepare(namespaces, kind)?;
            let mut member = Child::spawn("member", Namespaces::NONE, move |me| {
                change(kind, "inside")?;
                let (what, value) = look(kind, None)?;
                me.saw(what, value)?;
                me.stay()
            })?;
            me.saw("PID", member.pid())?;
            me.tell(member.hear()?)?;
            me.stay()
        })?;
        let member = crate::pid_of(&maker.hear()?.value);
        let inside = maker.hear()?;
        let (what, value) = look(kind, Some(member))?;
        let ahead = ahead(&inside.value, &value);
        me.tell(Fact::outside(what, value))?;
        me.tell(inside)?;
        ahead.map_or(Ok(()), |hours| me.tell(Fact::outside("inside is ahead by", hours)))
    })
}

/// By how much one clock is ahead of another: in whole hours, which no pause between two looks changes.
fn ahead(inside: &Value, outside: &Value) -> Option<String> {
    const HOUR: i64 = 3_600_000_000_000;
    let (Value::Nanoseconds(inside), Value::Nanoseconds(outside)) = (inside, outside) else { return None };
    Some(format!("{} h", (inside - outside + HOUR / 2).div_euclid(HOUR)))
}

/// The kinds of which a child in new `namespaces` still finds what was written before they were made.
fn what_is_taken_along(namespaces: Namespaces) -> Result<Vec<Fact>> {
    in_a_room(move |me| {
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
            me.saw("found afterwards", crate::list(along))
        })?;
        me.tell(child.hear()?)
    })
}

/// A process in the root of every hierarchy sees `/` with a cgroup namespace and without.
fn below_the_root() -> ns_core::Result<Option<Missing>> {
    let in_the_root = resource::cgroup_paths(None)?.iter().all(|path| *path == "/");
    Ok(in_the_root.then(|| {
        Missing::new(
            "a cgroup below the root: this process is in the root of every hierarchy",
            "start it in one: systemd-run --user --scope ns-compare (as root without --user)",
        )
    }))
}
