//! Copies in the hands of someone with less privilege: a mount namespace that a new user namespace owns.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Step, cause};
use ns_core::idmap::IdMaps;
use ns_core::mount::{self, Restriction};
use ns_core::{Fact, Namespaces, Outcome, Spawn, Value};

use crate::place::{DOOR, ELSEWHERE, PLACE, trial};
use crate::propagation::{both_ways, says};

pub(crate) const SLAVES: Claim = Claim::holds(
    "slaves",
    "In a mount namespace of a new user namespace, shared mounts become slaves: nothing gets out.",
)
.cause("CLONE_NEWUSER")
.more(&[84]);
pub(crate) const LOCKED: Claim = Claim::holds(
    "locked",
    "Mounts that the mount namespace of a new user namespace inherits are locked: no umount, no move, EINVAL.",
)
.cause("CLONE_NEWUSER")
.more(&[85]);
pub(crate) const REVEAL: Claim = Claim::holds(
    "reveal",
    "What a locked mount hides stays hidden: to bind the mount below it without it gives EINVAL.",
)
.cause("CLONE_NEWUSER")
.more(&[85]);
pub(crate) const WHOLE: Claim =
    Claim::holds("whole", "A recursive bind takes locked mounts along, and is allowed.")
        .cause("MS_REC")
        .more(&[85]);
pub(crate) const OWN: Claim = Claim::holds(
    "own",
    "A mount made inside is not locked there: on top of a locked one, it can be unmounted.",
)
.cause("a mount made inside")
.more(&[85]);
pub(crate) const FLAGS: Claim = Claim::holds(
    "flags",
    "The restrictions of inherited mounts cannot be taken away: ro, nosuid, nodev and noexec stay, EPERM.",
)
.cause("CLONE_NEWUSER")
.more(&[74]);

/// What is tried with the mount at [`DOOR`], which was made outside.
#[derive(Clone, Copy)]
enum Try {
    Unmount,
    Move,
    BindBelow,
    BindAll,
    MountOnTop,
    UnmountTop,
}

impl Try {
    const ALL: [Try; 6] =
        [Try::Unmount, Try::Move, Try::BindBelow, Try::BindAll, Try::MountOnTop, Try::UnmountTop];

    const fn words(self) -> &'static str {
        match self {
            Try::Unmount => "umount /mnt/door",
            Try::Move => "mount --move /mnt/door /mnt/elsewhere",
            Try::BindBelow => "mount --bind /mnt /mnt/elsewhere",
            Try::BindAll => "mount --rbind /mnt /mnt/elsewhere",
            Try::MountOnTop => "mount -t tmpfs top /mnt/door",
            Try::UnmountTop => "mount top on /mnt/door; umount it",
        }
    }

    fn make(self) -> ns_core::Result<()> {
        let [place, door, elsewhere] = [PLACE, DOOR, ELSEWHERE].map(Path::new);
        match self {
            Try::Unmount => mount::unmount(door),
            Try::Move => mount::move_to(door, elsewhere),
            Try::BindBelow => mount::bind(place, elsewhere),
            Try::BindAll => mount::bind_recursive(place, elsewhere),
            Try::MountOnTop => mount::mount("tmpfs", door),
            Try::UnmountTop => mount::mount("tmpfs", door).and_then(|()| mount::unmount(door)),
        }
    }
}

const SAME: Namespaces = Namespaces::MNT;
const LESS: Namespaces = Namespaces::MNT.union(Namespaces::USER);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Copy a shared mount of peer group N once more, into a namespace of the same user namespace and of a new one.",
        calls: &["clone3(CLONE_NEWNS)", "clone3(CLONE_NEWUSER|CLONE_NEWNS)"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; mount --make-shared /mnt; mkdir /mnt/a /mnt/b; grep \" /mnt \" /proc/self/mountinfo",
            "unshare -m --propagation unchanged mount -t tmpfs y /mnt/a; findmnt /mnt/a",
            "unshare -Urm --propagation unchanged mount -t tmpfs y /mnt/b; findmnt /mnt/b",
            "unshare -Urm --propagation unchanged grep \" /mnt \" /proc/self/mountinfo; exit",
        ],
    })?;
    lab.claim(SLAVES)
        .without(both_ways(None, SAME)?)
        .with(both_ways(None, LESS)?)
        .shows(|copy| says(copy, "master:N", "yes", "no"))?;

    lab.step(Step {
        goal: "Mount a tmpfs on /mnt/door, copy the namespace, and try inside to get rid of that mount, or around it.",
        calls: &["umount2(\"/mnt/door\", MNT_DETACH)", "mount(\"/mnt\", \"/mnt/elsewhere\", NULL, MS_BIND)"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; mkdir /mnt/y; mount -t tmpfs x /mnt/y",
            "unshare -m umount /mnt/y; unshare -Urm umount /mnt/y",
            "unshare -Urm mount --bind /mnt /mnt; unshare -Urm mount --rbind /mnt /mnt; exit",
        ],
    })?;
    let mut rows = Vec::new();
    for what in Try::ALL {
        rows.push(vec![
            what.words().into(),
            value(&attempt(&[what], SAME)?),
            value(&attempt(&[what], LESS)?),
        ]);
    }
    lab.table(
        "With a mount that was made outside, try inside",
        &["try", "same user namespace", "new one"],
        rows,
    )?;
    let all =
        |answer: &'static str| move |seen: &Observation| seen.facts().iter().all(|it| it.value == answer);
    let get_rid = [Try::Unmount, Try::Move];
    lab.claim(LOCKED)
        .without(attempt(&get_rid, SAME)?)
        .with(attempt(&get_rid, LESS)?)
        .shows(all("EINVAL"))?;
    let below = attempt(&[Try::BindBelow], LESS)?;
    lab.claim(REVEAL).without(attempt(&[Try::BindBelow], SAME)?).with(below.clone()).shows(all("EINVAL"))?;
    lab.claim(WHOLE)
        .without(below)
        .with(attempt(&[cause(Try::BindAll, Try::BindBelow)], LESS)?)
        .shows(all("OK"))?;
    lab.claim(OWN)
        .without(attempt(&[Try::Unmount], LESS)?)
        .with(attempt(&[cause(Try::UnmountTop, Try::Unmount)], LESS)?)
        .shows(all("OK"))?;

    lab.step(Step {
        goal: "Restrict a mount outside, in four ways, and take that away inside.",
        calls: &[
            "mount(NULL, \"/mnt\", NULL, MS_REMOUNT|MS_BIND|MS_RDONLY)",
            "mount(NULL, \"/mnt\", NULL, MS_REMOUNT|MS_BIND)",
        ],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; mount -o remount,bind,ro /mnt",
            "unshare -m sh -c 'mount -o remount,bind,rw /mnt; touch /mnt/f && echo OK'",
            "unshare -Urm mount -o remount,bind,rw /mnt; exit",
        ],
    })?;
    lab.claim(FLAGS).without(loosen(SAME)?).with(loosen(LESS)?).shows(all("EPERM"))?;
    Ok(())
}

/// Makes each attempt in a trial of its own: one may undo what another is about.
fn attempt(tries: &[Try], namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for what in tries.iter().copied() {
        facts.extend(trial(move |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            let mut inside =
                copy(namespaces).run(move |me| me.saw(what.words(), Outcome::of(what.make())?))?;
            me.tell(inside.hear()?)
        })?);
    }
    Ok(facts)
}

fn value(facts: &[Fact]) -> Value {
    facts.first().map_or("?".into(), |fact| fact.value.clone())
}

fn loosen(namespaces: Namespaces) -> Result<Vec<Fact>> {
    use Restriction::{NoDev, NoExec, NoSuid, ReadOnly};
    let mut facts = Vec::new();
    for restriction in [ReadOnly, NoSuid, NoDev, NoExec] {
        facts.extend(trial(move |me| {
            mount::restrict(Path::new(PLACE), &[restriction])?;
            let mut inside = copy(namespaces).run(move |me| {
                let loosened = mount::restrict(Path::new(PLACE), &[]);
                me.saw(format!("take {} away", restriction.word()), Outcome::of(loosened)?)
            })?;
            me.tell(inside.hear()?)
        })?);
    }
    Ok(facts)
}

/// A child in new namespaces, who is root there.
fn copy(namespaces: Namespaces) -> Spawn<'static> {
    let child = Spawn::new("inside").namespaces(namespaces);
    if namespaces.contains(Namespaces::USER) { child.maps(IdMaps::own(0, 0, 0)) } else { child }
}
