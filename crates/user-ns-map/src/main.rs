//! Who is root inside, and who decides?
//!
//! An ordinary user makes a user namespace and is nobody in it, until someone writes down who is who: the ID maps.
//! Watch for the number that stays: whatever a process is called inside, outside it is who it was.
//!
//! All of it is done by an ordinary user's children. Root becomes one for that, and stays root only where the
//! question is what root may do and a user may not.

mod forbidden;
mod maps;
mod others;
mod person;
mod program;
mod reach;

use anyhow::Result;
use lesson::{Claim, Experiment, Lab, Need, Picture, Step};
use nix::unistd::{getgid, getuid};
use ns_core::idmap;
use ns_core::{Child, Fact, Namespaces, Outcome, Value, Witness, process};
use person::{Person, id, map};

const UNMAPPED: Claim = Claim::holds(
    "unmapped",
    "In a new user namespace no ID is mapped: getuid() and getgid() give the overflow IDs, 65534.",
)
.cause("CLONE_NEWUSER")
.notes(&[128])
.more(&[66]);
const ALL_CAPABILITIES: Claim = Claim::holds(
    "all-capabilities",
    "The first member of a new user namespace has every capability in it, before any ID is mapped.",
)
.cause("CLONE_NEWUSER")
.more(&[66]);
const MAPPED: Claim = Claim::holds(
    "mapped",
    "With `0 UID 1` in uid_map and `0 GID 1` in gid_map, the user is root inside: user 0, group 0.",
)
.cause("the maps")
.notes(&[129]);
const TWO_IDS: Claim = Claim::holds(
    "two-ids",
    "One process has two user IDs: inside it is root, outside it stays the user who started it.",
)
.cause("CLONE_NEWUSER")
.notes(&[108, 112]);
const BY_PARENT: Claim =
    Claim::holds("by-parent", "A parent may write the maps of its child's user namespace, from outside.")
        .cause("a parent that writes")
        .more(&[67]);
const ONCE: Claim = Claim::holds("once", "A map can be written once: a second write gives EPERM.")
    .cause("a second write")
    .notes(&[131]);

const USER_NS_MAP: Experiment = Experiment {
    name: "user-ns-map",
    question: "Who is root inside, and who decides?",
    notes: "User Namespace",
    man: &["user_namespaces(7)", "setns(2)", "credentials(7)"],
    examples: &[
        ("user-ns-map", "run the experiment, as any user"),
        ("sudo user-ns-map", "and ask too what root may map"),
        ("user-ns-map --sabotage", "without namespaces and maps: no claim holds"),
        ("strace -f -e trace=write user-ns-map", "every map that is written"),
    ],
    // Both arms begin where an ordinary user begins. Children alone make namespaces, and nothing else.
    stage: Namespaces::NONE,
    needs: &[Need::Probe(person::ordinary_user)],
    claims: &[
        UNMAPPED,
        ALL_CAPABILITIES,
        MAPPED,
        TWO_IDS,
        BY_PARENT,
        ONCE,
        maps::RULES,
        maps::PRIVILEGED,
        maps::MUST_DENY,
        maps::ALWAYS_DENY,
        maps::SETGROUPS,
        maps::FROZEN,
        program::OWN_ID,
        program::FROM_INSIDE,
        program::NUL,
        program::PROC_FIRST,
        program::STATUS,
        reach::ELSEWHERE,
        reach::ITS_OWN,
        reach::ROOTS_HOME,
        reach::OWNER,
        reach::OVERRIDE,
        reach::NOT_MAPPED,
        reach::OUTSIDE_COUNTS,
        others::SECOND_COLUMN,
        others::DOWN,
        others::UP,
        others::SAME,
        others::LEAVES,
        forbidden::NO_MORE,
        forbidden::NO_USERS,
    ],
    run,
};

fn main() -> std::process::ExitCode {
    lesson::main(&USER_NS_MAP)
}

fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Let an ordinary user's process move into a new user namespace, and say who it is there.",
        calls: &["unshare(CLONE_NEWUSER)", "getuid()", "getgid()", "read(\"/proc/self/uid_map\")"],
        by_hand: &[
            "unshare --user sh -c 'id; cat /proc/self/uid_map'",
            "unshare --user --keep-caps grep CapEff /proc/self/status",
        ],
    })?;
    let (overflow_uid, overflow_gid) = idmap::overflow_ids()?;
    lab.saw(Fact::outside("/proc/sys/kernel/overflowuid", overflow_uid))?;
    lab.saw(Fact::outside("/proc/sys/kernel/overflowgid", overflow_gid))?;
    let mut plain = Person::User.child("plain child", Namespaces::NONE, say_who_and_stay)?;
    let mut inside = Person::User.child("inside", Namespaces::USER, say_who_and_stay)?;
    lab.actor(&plain)?;
    lab.actor(&inside)?;
    lab.claim(UNMAPPED)
        .without([plain.hear()?, plain.hear()?, plain.hear()?])
        .with([inside.hear()?, inside.hear()?, inside.hear()?])
        .shows(|who| {
            who.inside("getuid()").is_some_and(|it| *it == overflow_uid)
                && who.inside("getgid()").is_some_and(|it| *it == overflow_gid)
                && who.inside("/proc/self/uid_map").is_some_and(|it| *it == "empty")
        })?;
    lab.claim(ALL_CAPABILITIES)
        .without([plain.hear()?, plain.hear()?])
        .with([inside.hear()?, inside.hear()?])
        .shows(|of| of.inside("CapEff") == of.inside("all that this kernel knows"))?;

    lab.step(Step {
        goal: "Let it write the maps itself: its own user and group outside are 0 inside.",
        calls: &[
            "write(\"/proc/self/setgroups\", \"deny\")",
            "write(\"/proc/self/uid_map\", \"0 UID 1\")",
            "write(\"/proc/self/gid_map\", \"0 GID 1\")",
        ],
        by_hand: &["unshare --user --map-root-user sh -c 'id; cat /proc/self/uid_map'"],
    })?;
    lab.claim(MAPPED)
        .without(write_maps_and_say_who(false)?)
        .with(write_maps_and_say_who(true)?)
        .shows(is_root)?;

    lab.step(Step {
        goal: "Ask for its user ID on both sides: the process itself, and /proc out here.",
        calls: &["getuid()", "read(\"/proc/PID/status\")"],
        by_hand: &[
            "unshare --user --map-root-user sh -c 'id -u; sleep 9' &",
            "sleep 1; grep Uid /proc/$!/status",
        ],
    })?;
    let user = id(person::ids().uid);
    lab.claim(TWO_IDS)
        .without(both_sides(Namespaces::NONE)?)
        .with(both_sides(Namespaces::USER)?)
        .shows(|who| is_root(who) && who.outside("Uid in /proc/PID/status") == Some(&user))?;
    lab.picture(Picture::Bands, "Its maps, read from outside", &maps::COLUMNS, its_maps()?)?;

    lab.step(Step {
        goal: "Let its parent write the maps, from outside.",
        calls: &["write(\"/proc/PID/uid_map\", \"0 UID 1\")"],
        by_hand: &[
            "unshare --user sleep 9 &",
            "sleep 1; echo \"0 $(id -u) 1\" > /proc/$!/uid_map; cat /proc/$!/uid_map",
        ],
    })?;
    lab.claim(BY_PARENT).without(mapped_by_parent(false)?).with(mapped_by_parent(true)?).shows(is_root)?;

    lab.step(Step {
        goal: "Write the same map again.",
        calls: &["write(\"/proc/self/uid_map\", \"0 UID 1\")", "write(\"/proc/self/uid_map\", \"0 UID 1\")"],
        by_hand: &["unshare --user --map-root-user sh -c 'cat /proc/self/uid_map > /proc/self/uid_map'"],
    })?;
    lab.claim(ONCE)
        .without(write_uid_map_times(1)?)
        .with(write_uid_map_times(2)?)
        .shows(|writes| writes.facts().last().is_some_and(|last| last.value == "EPERM"))?;

    maps::run(lab)?;
    program::run(lab)?;
    reach::run(lab)?;
    others::run(lab)?;
    forbidden::run(lab)
}

fn is_root(who: &lesson::Observation) -> bool {
    who.inside("getuid()").is_some_and(|it| *it == 0) && who.inside("getgid()").is_some_and(|it| *it == 0)
}

fn say_ids(me: &mut Witness) -> ns_core::Result<()> {
    me.saw("getuid()", id(getuid().as_raw()))?;
    me.saw("getgid()", id(getgid().as_raw()))
}

fn say_who_and_stay(me: &mut Witness) -> ns_core::Result<()> {
    say_ids(me)?;
    me.saw("/proc/self/uid_map", map(&idmap::read(None, "uid_map")?))?;
    me.saw("CapEff", format!("{:x}", process::status(None)?.capeff))?;
    me.saw("all that this kernel knows", format!("{:x}", person::all_capabilities()?))?;
    me.stay()
}

fn write_maps_and_say_who(writes: bool) -> Result<Vec<Fact>> {
    let maps = person::root_inside();
    let mut inside = Person::User.child("inside", Namespaces::USER, move |me| {
        if writes {
            maps.write_for(None)?;
        }
        say_ids(me)
    })?;
    Ok(inside.hear_all()?)
}

fn both_sides(namespaces: Namespaces) -> Result<[Fact; 3]> {
    let maps = person::root_inside();
    let mut inside = Person::User.child("inside", namespaces, move |me| {
        person::map_where_new(&maps)?;
        say_ids(me)?;
        me.stay()
    })?;
    let (uid, gid) = (inside.hear()?, inside.hear()?);
    let status = process::status(Some(inside.pid()))?;
    Ok([uid, gid, Fact::outside("Uid in /proc/PID/status", id(status.ruid))])
}

fn its_maps() -> Result<Vec<Vec<Value>>> {
    let maps = person::root_inside();
    let mut inside = Person::User.child("inside", Namespaces::USER, move |me| {
        person::map_where_new(&maps)?;
        say_ids(me)?;
        me.stay()
    })?;
    inside.hear()?; // its maps are written
    let mut rows = Vec::new();
    for file in ["uid_map", "gid_map"] {
        rows.extend(maps::lines(file, &idmap::read(Some(inside.pid()), file)?));
    }
    Ok(rows)
}

fn mapped_by_parent(writes: bool) -> Result<Vec<Fact>> {
    let maps = person::root_inside();
    let mut parent = Person::User.child("parent", Namespaces::NONE, move |me| {
        let inside = Child::spawn("inside", Namespaces::USER, |me| {
            me.pause()?;
            say_ids(me)
        })?;
        if writes {
            maps.write_for(Some(inside.pid()))?;
        }
        inside.release()?;
        person::tell_all_of(inside, me)
    })?;
    Ok(parent.hear_all()?)
}

fn write_uid_map_times(times: usize) -> Result<Vec<Fact>> {
    let text = person::own_id();
    let mut inside = Person::User.child("inside", Namespaces::USER, move |me| {
        for nth in ["first write", "second write"].into_iter().take(times) {
            me.saw(nth, Outcome::of(idmap::write_uid_map(None, &text))?)?;
        }
        Ok(())
    })?;
    Ok(inside.hear_all()?)
}
