//! Who is root inside, and who decides?
//!
//! An ordinary user creates a user namespace. No ID is mapped in it until the ID maps are written. Watch the ID
//! outside: it stays the same, whatever getuid() returns inside.
//!
//! The children of an ordinary user do all of this. Started by root, the experiment becomes user 1000 for them. It
//! stays root only where a step asks what root can do and a user cannot.

mod files;
mod forbidden;
mod grid;
mod maps;
mod ordinary_user;
mod others;
mod program;
mod reach;
mod setgroups;
mod shell;
mod user;

use anyhow::Result;
use lesson::{
    Claim, Effect, Experiment, Picture, Requirement, Row, Step, hand, inside, last, outside, right, wrong,
};
use maps::{id, map};
use nix::unistd::{getgid, getuid};
use ns_core::{Child, Fact, Namespaces, Outcome, Reporter, Value, capabilities, idmap, process};
use user::User;

const USER_NS_MAP: Experiment = Experiment {
    name: "user-ns-map",
    question: "Who is root inside, and who decides?",
    setup: "A child of an ordinary user: as it is, and in a new user namespace.",
    arms: ["plain child", "CLONE_NEWUSER"],
    in_short: "maps translate IDs. Root inside is the user outside, with power only over what its user namespace owns.",
    notes: "User Namespace",
    man: &["user_namespaces(7)", "setns(2)", "credentials(7)"],
    examples: &[
        ("user-ns-map", "run the experiment, as any user"),
        ("sudo user-ns-map", "also ask what root may map"),
        ("user-ns-map --sabotage", "the negative control: no claim holds"),
        ("strace -f -e trace=write user-ns-map", "every map that is written"),
    ],
    // Both arms start in the namespaces of an ordinary user. Only children create namespaces.
    sandbox: Namespaces::NONE,
    requires: &[Requirement::Probe(ordinary_user::missing)],
    steps: &[
        UNSHARE,
        WRITE_MAPS,
        ASK_ON_BOTH_SIDES,
        WRITE_FROM_OUTSIDE,
        WRITE_AGAIN,
        grid::WRITE_AS_A_USER,
        grid::WRITE_AS_ROOT,
        setgroups::WRITE_AS_A_USER,
        setgroups::WRITE_AS_ROOT,
        setgroups::DENY_TWICE,
        setgroups::NEST,
        program::MAP_ONE_ID,
        program::MAP_AS_ROOT,
        program::WRITE_TOO_MUCH,
        program::RUN_ITS_CHILD,
        program::FAIL,
        reach::CHANGE_WHAT_IS_OWNED,
        files::LIST_DIRECTORIES,
        files::CREATE_A_FILE,
        files::OPEN_FILES,
        files::LIST_AS_NOBODY,
        others::READ_A_MAP,
        others::ENTER,
        others::LEAVE,
        forbidden::ALLOW_NONE,
        forbidden::FORBID_TO_USERS,
    ],
    shell: Some(shell::SHELL),
    prepare: None,
};

fn main() -> std::process::ExitCode {
    lesson::main(&USER_NS_MAP)
}

const UNMAPPED: Claim = Claim::holds(
    "unmapped",
    "In a new user namespace no ID is mapped: getuid() and getgid() return the overflow IDs, 65534 by default.",
)
.factor("CLONE_NEWUSER")
.notes(&[128])
.more(&[66])
.requires(&[Requirement::Probe(ordinary_user::nobody)])
.core(&[Row::inside("getuid(), unmapped", "getuid()")])
.asks(
    "A user's process calls unshare(CLONE_NEWUSER). What does getuid() return then?",
    &[
        right("65534, the overflow ID"),
        wrong(
            "0: it is root there",
            "`unshare --map-root-user` shows root at once, because it writes the maps first",
        ),
        wrong("the user's own ID", "a process keeps its credentials until a call changes them"),
    ],
);
const ALL_CAPABILITIES: Claim = Claim::holds(
    "all-capabilities",
    "The first member of a new user namespace has every capability in it, before any ID is mapped.",
)
.factor("CLONE_NEWUSER")
.more(&[66]);

const UID_MAP: &str = "/proc/self/uid_map";
const CAP_EFF: &str = "CapEff";
const ALL_KNOWN: &str = "all of this kernel";

const UNSHARE: Step = Step {
    title: "Let a process of an ordinary user create a user namespace, and read its IDs and capabilities there.",
    calls: &["unshare(CLONE_NEWUSER)", "getuid()", "getgid()", "read(\"/proc/self/uid_map\")"],
    by_hand: &[
        hand("unshare --user sh -c 'id; cat /proc/self/uid_map'")
            .prints("uid=65534(nobody) gid=65534(nogroup) …"),
        hand("unshare --user --keep-caps grep CapEff /proc/self/status").prints("CapEff: …ffffffff"),
    ],
    claims: &[UNMAPPED, ALL_CAPABILITIES],
    run: |lab| {
        let (overflow_uid, overflow_gid) = idmap::overflow_ids()?;
        lab.saw(Fact::outside("/proc/sys/kernel/overflowuid", overflow_uid))?;
        lab.saw(Fact::outside("/proc/sys/kernel/overflowgid", overflow_gid))?;
        let who =
            lab.arms(Namespaces::NONE, Namespaces::USER, unshare_and_report)?.try_map(|(child, facts)| {
                lab.keep(child)?;
                Ok(facts)
            })?;
        lab.judge(UNMAPPED, who.only(&["getuid()", "getgid()", UID_MAP])).shows(
            inside("getuid()").is(overflow_uid)
                & inside("getgid()").is(overflow_gid)
                & inside(UID_MAP).is("empty"),
        )?;
        lab.judge(ALL_CAPABILITIES, who.only(&[CAP_EFF, ALL_KNOWN]))
            .shows(inside(CAP_EFF).same_as(inside(ALL_KNOWN)))
    },
};

const MAPPED: Claim = Claim::holds(
    "mapped",
    "With `0 UID 1` in uid_map and `0 GID 1` in gid_map, getuid() and getgid() return 0.",
)
.factor("the maps")
.notes(&[129]);

const WRITE_MAPS: Step = Step {
    title: "Let the process write both maps itself. They map 0 inside to its own user and group outside.",
    calls: &[
        "write(\"/proc/self/setgroups\", \"deny\")",
        "write(\"/proc/self/uid_map\", \"0 UID 1\")",
        "write(\"/proc/self/gid_map\", \"0 GID 1\")",
    ],
    by_hand: &[hand("unshare --user --map-root-user sh -c 'id; cat /proc/self/uid_map'")
        .prints("uid=0(root) gid=0(root) groups=0(root)…\n0 <user id> 1")],
    claims: &[MAPPED],
    run: |lab| lab.compare(MAPPED, false, true, write_maps)?.shows(is_root()),
};

const TWO_IDS: Claim = Claim::holds(
    "two-ids",
    "With the map written, getuid() returns 0 inside, and /proc/PID/status outside shows the user's own ID.",
)
.factor("CLONE_NEWUSER")
.notes(&[108, 112])
.core(&[
    Row::inside("getuid(), mapped", "getuid()"),
    Row::outside("user ID outside", "Uid in /proc/PID/status"),
])
.asks(
    "The map is `0 1000 1`: user 1000 is root inside. Which user does `ps` on the host show for its process?",
    &[
        right("1000"),
        wrong("0, root", "inside, `id` and `whoami` show root, so it seems to be root everywhere"),
        wrong("65534, nobody", "the overflow ID shows where an ID is not mapped"),
    ],
);

const ASK_ON_BOTH_SIDES: Step = Step {
    title: "Read its user ID on both sides: by getuid() inside, and in /proc/PID/status in the parent namespace.",
    calls: &["getuid()", "read(\"/proc/PID/status\")"],
    by_hand: &[
        hand("unshare --user --map-root-user sh -c 'id -u; exec sleep 60' &").prints("0"),
        hand("id -u; grep Uid /proc/$!/status; kill $!")
            .prints("<user id>\nUid: <user id> <user id> <user id> <user id>"),
    ],
    claims: &[TWO_IDS],
    run: |lab| {
        let seen = lab.arms(Namespaces::NONE, Namespaces::USER, ask_on_both_sides)?;
        let rows = seen.treatment().1.clone();
        lab.picture(Picture::Bands, "Its maps, read from outside", &maps::COLUMNS, rows)?;
        lab.judge(TWO_IDS, seen.map(|(ids, _)| ids))
            .in_both_arms(outside("Uid in /proc/PID/status").is(id(user::ids().uid)))
            .shows(is_root())
    },
};

const BY_PARENT: Claim = Claim::holds(
    "by-parent",
    "From the parent namespace, a user's process can map its own IDs in its child's user namespace.",
)
.factor("maps written by the parent")
.more(&[67]);

const WRITE_FROM_OUTSIDE: Step = Step {
    title: "Let the parent write the maps of its child, from outside.",
    calls: &["write(\"/proc/PID/uid_map\", \"0 UID 1\")"],
    by_hand: &[
        hand("unshare --user sleep 60 &").prints(""),
        hand("echo \"0 $(id -u) 1\" > /proc/$!/uid_map; cat /proc/$!/uid_map; kill $!")
            .prints("0 <user id> 1"),
    ],
    claims: &[BY_PARENT],
    run: |lab| lab.compare(BY_PARENT, false, true, write_from_outside)?.shows(is_root()),
};

const ONCE: Claim = Claim::holds("once", "uid_map can be written once: a second write() fails with EPERM.")
    .factor("a second write")
    .notes(&[131])
    .arms("first write", "second write")
    .core(&[Row::last("write(uid_map)")])
    .asks(
        "uid_map has been written once. What does a second write of the same line do?",
        &[
            right("it fails with EPERM"),
            wrong("it succeeds: nothing changes", "a write without an effect looks harmless"),
            wrong("it adds a second line", "the file can have several lines"),
        ],
    );

const WRITE_AGAIN: Step = Step {
    title: "Write the same map again.",
    calls: &["write(\"/proc/self/uid_map\", \"0 UID 1\")", "write(\"/proc/self/uid_map\", \"0 UID 1\")"],
    by_hand: &[hand("unshare --user --map-root-user sh -c 'cat /proc/self/uid_map > /proc/self/uid_map'")
        .prints("EPERM")],
    claims: &[ONCE],
    run: |lab| lab.compare(ONCE, 1, 2, write_uid_map_times)?.shows(last().is("EPERM")),
};

fn is_root() -> Effect {
    inside("getuid()").is(0) & inside("getgid()").is(0)
}

fn report_ids(me: &mut Reporter) -> ns_core::Result<()> {
    me.report("getuid()", id(getuid().as_raw()))?;
    me.report("getgid()", id(getgid().as_raw()))
}

/// A child that reports its IDs and capabilities, and stays.
fn unshare_and_report(namespaces: Namespaces) -> Result<(Child, Vec<Fact>)> {
    let label = if namespaces.is_empty() { "plain child" } else { "inside" };
    let mut child = User::Ordinary.child(label, namespaces, |me| {
        report_ids(me)?;
        me.report(UID_MAP, map(&idmap::read(None, "uid_map")?))?;
        me.report(CAP_EFF, format!("{:x}", process::status(None)?.capeff))?;
        me.report(ALL_KNOWN, format!("{:x}", capabilities::all()?))?;
        me.stay()
    })?;
    let facts = (0..5).map(|_| child.fact()).collect::<ns_core::Result<_>>()?;
    Ok((child, facts))
}

fn write_maps(writes: bool) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut inside = User::Ordinary.child("inside", Namespaces::USER, |me| {
        if writes {
            maps.write_for(None)?;
        }
        report_ids(me)
    })?;
    Ok(inside.facts()?)
}

/// The IDs of a process on both sides, and its maps as rows of [`maps::COLUMNS`].
fn ask_on_both_sides(namespaces: Namespaces) -> Result<([Fact; 3], Vec<Vec<Value>>)> {
    let maps = maps::root_inside();
    let mut child = User::Ordinary.child("inside", namespaces, |me| {
        maps::write_where_new(&maps)?;
        report_ids(me)?;
        me.stay()
    })?;
    let (uid, gid) = (child.fact()?, child.fact()?);
    let status = process::status(Some(child.pid()))?;
    let mut rows = Vec::new();
    for file in ["uid_map", "gid_map"] {
        rows.extend(maps::rows(file, &idmap::read(Some(child.pid()), file)?));
    }
    Ok(([uid, gid, Fact::outside("Uid in /proc/PID/status", id(status.ruid))], rows))
}

fn write_from_outside(writes: bool) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut parent = User::Ordinary.child("parent", Namespaces::NONE, |me| {
        let mut inside = Child::spawn("inside", Namespaces::USER, |me| {
            me.checkpoint()?;
            report_ids(me)
        })?;
        if writes {
            maps.write_for(Some(inside.pid()))?;
        }
        inside.wake()?;
        inside.pass_on(me)
    })?;
    Ok(parent.facts()?)
}

fn write_uid_map_times(times: usize) -> Result<Vec<Fact>> {
    let text = maps::own_id();
    let mut inside = User::Ordinary.child("inside", Namespaces::USER, |me| {
        for nth in ["first write", "second write"].into_iter().take(times) {
            me.report(nth, Outcome::of(idmap::write_uid_map(None, &text))?)?;
        }
        Ok(())
    })?;
    Ok(inside.facts()?)
}
