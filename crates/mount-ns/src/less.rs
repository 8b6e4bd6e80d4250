//! A mount namespace that a new, less privileged user namespace owns.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Step, every, first, hand, inside};
use ns_core::mount::{self, Propagation, Restriction};
use ns_core::{Fact, Namespaces, Outcome, Value};

use crate::place::{DOOR, ELSEWHERE, PLACE, is_mounted, root_in, trial};
use crate::propagation::{both_ways, receives, sends_none};

const SAME: Namespaces = Namespaces::MNT;
const LESS: Namespaces = Namespaces::MNT.union(Namespaces::USER);

const SLAVES: Claim = Claim::holds(
    "slaves",
    "In a new user namespace's mount namespace, shared mounts become slaves: mounts made inside are not visible outside.",
)
.factor("CLONE_NEWUSER")
.more(&[84]);

pub(crate) const COPY_ONCE_MORE: Step = Step {
    title: "Copy a shared mount of peer group N into a mount namespace: of the same user namespace, and of a new one.",
    calls: &["clone3(CLONE_NEWNS)", "clone3(CLONE_NEWUSER|CLONE_NEWNS)"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; mount --make-shared /mnt; mkdir /mnt/a /mnt/b; grep ' /mnt ' /proc/self/mountinfo").prints("… /mnt rw,relatime shared:<peers> - …"), hand("unshare -m --propagation unchanged mount -t tmpfs y /mnt/a; findmnt -n /mnt/a").prints("/mnt/a y tmpfs …"), hand("unshare -Urm --propagation unchanged mount -t tmpfs y /mnt/b; findmnt -n /mnt/b").prints(""), hand("unshare -Urm --propagation unchanged grep ' /mnt ' /proc/self/mountinfo; exit").prints("… /mnt rw,relatime master:<peers> - …"), ],
    claims: &[SLAVES],
    run: |lab| {
        lab.compare(SLAVES, SAME, LESS, |namespaces| both_ways(None, namespaces))?
            .in_both_arms(receives())
            .shows(sends_none())
    },
};

const LOCKED: Claim = Claim::holds(
    "locked",
    "Mounts that a new user namespace's mount namespace inherits are locked: unmounting and moving them fail with EINVAL.",
)
.factor("CLONE_NEWUSER")
.more(&[85]);
const REVEAL: Claim =
    Claim::holds("reveal", "A bind mount that would reveal what a locked mount hides fails with EINVAL.")
        .factor("CLONE_NEWUSER")
        .more(&[85]);
const WHOLE: Claim =
    Claim::holds("whole", "A recursive bind mount, which includes the locked mounts, succeeds.")
        .factor("MS_REC")
        .more(&[85]);
const LATER: Claim = Claim::holds(
    "later",
    "A mount that propagates in after the copy is not locked: it can be unmounted inside.",
)
.factor("mounted after the copy, not before")
.more(&[85]);
const OWN: Claim =
    Claim::holds("own", "A mount made inside, on top of a locked mount, is not locked: it can be unmounted.")
        .factor("a mount made inside")
        .more(&[85]);

pub(crate) const GET_RID_OF_A_MOUNT: Step = Step {
    title: "Mount a tmpfs at /mnt/door and copy the mount namespace. Try to unmount, move or bypass that mount inside. Repeat with a mount that propagates in later.",
    calls: &["umount2(\"/mnt/door\", MNT_DETACH)", "mount(\"/mnt\", \"/mnt/elsewhere\", NULL, MS_BIND)"],
    by_hand: &[
        hand("unshare -Urm bash").prints(""),
        hand("mount -t tmpfs x /mnt; mkdir /mnt/y; mount -t tmpfs x /mnt/y").prints(""),
        hand("unshare -m umount /mnt/y; unshare -Urm umount /mnt/y").prints("umount: /mnt/y: not mounted."),
        hand("unshare -Urm mount --bind /mnt /mnt").prints("mount: /mnt: wrong fs type, bad option, …\n…"),
        hand("unshare -Urm mount --rbind /mnt /mnt && echo OK; exit").prints("OK"),
    ],
    claims: &[LOCKED, REVEAL, WHOLE, OWN, LATER],
    run: |lab| {
        let mut rows = Vec::new();
        for what in Try::ALL {
            rows.push(vec![
                what.words().into(),
                value(&attempt(&[what], SAME)?),
                value(&attempt(&[what], LESS)?),
            ]);
        }
        lab.table(
            "Attempts inside, on a mount made outside",
            &["attempt", "same user namespace", "new user namespace"],
            rows,
        )?;
        lab.compare(LOCKED, SAME, LESS, |namespaces| attempt(&[Try::Unmount, Try::Move], namespaces))?
            .shows(every().is("EINVAL"))?;
        lab.compare(REVEAL, SAME, LESS, |namespaces| attempt(&[Try::BindBelow], namespaces))?
            .shows(first().is("EINVAL"))?;
        lab.compare(WHOLE, Try::BindBelow, Try::BindAll, |what| attempt(&[what], LESS))?
            .shows(first().from("EINVAL").to("OK"))?;
        lab.compare(OWN, Try::Unmount, Try::UnmountTop, |what| attempt(&[what], LESS))?
            .shows(first().from("EINVAL").to("OK"))?;
        lab.compare(LATER, false, true, unmount_propagated)?
            .in_both_arms(inside("seen inside").is("yes"))
            .shows(inside("umount /mnt/door").from("EINVAL").to("OK"))
    },
};

const FLAGS: Claim = Claim::holds(
    "flags",
    "In a new user namespace, clearing ro, nosuid, nodev or noexec of an inherited mount fails with EPERM.",
)
.factor("CLONE_NEWUSER")
.more(&[74]);

pub(crate) const LOOSEN_RESTRICTIONS: Step = Step {
    title: "Set four restrictions on a mount outside, and clear them inside.",
    calls: &[
        "mount(NULL, \"/mnt\", NULL, MS_REMOUNT|MS_BIND|MS_RDONLY)",
        "mount(NULL, \"/mnt\", NULL, MS_REMOUNT|MS_BIND)",
    ],
    by_hand: &[
        hand("unshare -Urm bash").prints(""),
        hand("mount -t tmpfs x /mnt; mount -o remount,bind,ro /mnt").prints(""),
        hand("unshare -m sh -c 'mount -o remount,bind,rw /mnt; touch /mnt/f && echo OK'").prints("OK"),
        hand("unshare -Urm mount -o remount,bind,rw /mnt; exit").prints("mount: /mnt: permission denied.\n…"),
    ],
    claims: &[FLAGS],
    run: |lab| lab.compare(FLAGS, SAME, LESS, loosen)?.shows(every().is("EPERM")),
};

/// The attempts on the mount at [`DOOR`], which was made outside.
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
            Try::UnmountTop => "mount, then umount top at /mnt/door",
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

/// Makes each attempt in a new trial, since one may undo the mounts of another.
fn attempt(tries: &[Try], namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for what in tries.iter().copied() {
        facts.extend(trial(move |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            let mut inside =
                root_in(namespaces).run(move |me| me.report(what.words(), Outcome::of(what.make())?))?;
            me.send(inside.fact()?)
        })?);
    }
    Ok(facts)
}

/// Unmounts inside a mount that was made outside on a shared mount: before the copy, or `afterwards`.
fn unmount_propagated(afterwards: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::set_propagation(Path::new(PLACE), Propagation::Shared)?;
        if !afterwards {
            mount::mount("tmpfs", Path::new(DOOR))?;
        }
        let mut inside = root_in(LESS).run(|me| {
            me.checkpoint()?;
            me.report("seen inside", is_mounted(DOOR)?)?;
            me.report("umount /mnt/door", Outcome::of(mount::unmount(Path::new(DOOR)))?)
        })?;
        if afterwards {
            mount::mount("tmpfs", Path::new(DOOR))?;
        }
        inside.wake()?;
        inside.pass_on(me)
    })
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
            let mut inside = root_in(namespaces).run(move |me| {
                let loosened = mount::restrict(Path::new(PLACE), &[]);
                me.report(format!("clear {}", restriction.word()), Outcome::of(loosened)?)
            })?;
            me.send(inside.fact()?)
        })?);
    }
    Ok(facts)
}
