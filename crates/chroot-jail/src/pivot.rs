//! pivot_root(2): what it does, and what it requires.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Step, every, hand, inside};
use ns_core::mount::{self, Propagation};
use ns_core::{Child, Fact, Namespaces, Outcome, process, root};

use crate::jail::{Confinement, JAIL, OUTSIDE, PLACE, change_directory, jailed, make_directory, open, trial};

const EVERYONE: Claim = Claim::holds(
    "everyone",
    "pivot_root() also changes the root of another process in the mount namespace that had the old root.",
)
.factor("pivot_root() instead of chroot()")
.arms("chroot()", "pivot_root()")
.more(&[88]);
const STACKED: Claim = Claim::holds(
    "stacked",
    "pivot_root(\".\", \".\") mounts the old root over the new one; umount2(\".\", MNT_DETACH) removes it.",
)
.factor("umount2()")
.arms("no umount2()", "umount2()")
.more(&[88]);

pub(crate) const ASK_ANOTHER_MEMBER: Step = Step {
    title: "Let one member of a mount namespace change the root. Let another member open files by their paths.",
    calls: &["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)"],
    by_hand: &[],
    claims: &[EVERYONE, STACKED],
    run: |lab| {
        lab.compare(EVERYONE, Confinement::Chroot, Confinement::PivotRoot, ask_another_member)?
            .shows(inside("open(\"/inside\")").from("ENOENT").to("OK"))?;
        lab.compare(STACKED, false, true, stack)?
            .in_both_arms(inside("pivot_root(\".\", \".\")").from("EINVAL").to("OK"))
            .shows(inside("mounts at /").is(1))
    },
};

const RULES: Claim = Claim::holds(
    "rules",
    "pivot_root() needs a new_root that is a mount point, not on a shared mount and not the root, above put_old.",
)
.factor("a rule broken")
.arms("as required", "rule broken")
.more(&[87]);

pub(crate) const BREAK_THE_RULES: Step = Step {
    title: "Break the rules of pivot_root(), one at a time.",
    calls: &["pivot_root(new_root, put_old)"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs x /mnt; cd /mnt; mkdir d; /sbin/pivot_root d d'").prints("EINVAL"), hand("unshare -Urm sh -c 'mount -t tmpfs x /mnt; cd /mnt; mount --make-shared /mnt; /sbin/pivot_root . .'").prints("EINVAL"), ],
    claims: &[RULES],
    run: |lab| {
        let mut rows = Vec::new();
        for call in Call::ALL {
            let answer = make(&[call])?.first().map_or("?".into(), |fact| fact.value.clone());
            rows.push(vec![call.words().into(), answer]);
        }
        lab.table("Calls of pivot_root(new_root, put_old)", &["call", "answer"], rows)?;
        lab.compare(RULES, &[Call::AsItShouldBe][..], &Call::BREAKS_A_RULE, make)?
            .shows(every().that(|answer| *answer == "EINVAL" || *answer == "EBUSY"))
    },
};

/// How pivot_root(2) is called.
#[derive(Clone, Copy)]
enum Call {
    AsItShouldBe,
    NoMountPoint,
    SharedParent,
    OldRootElsewhere,
    PresentRoot,
    NoDirectory,
    NoCapability,
}

const PLAIN: &str = "/mnt/plain";

impl Call {
    const ALL: [Call; 7] = [
        Call::AsItShouldBe,
        Call::NoMountPoint,
        Call::SharedParent,
        Call::OldRootElsewhere,
        Call::PresentRoot,
        Call::NoDirectory,
        Call::NoCapability,
    ];
    const BREAKS_A_RULE: [Call; 4] =
        [Call::NoMountPoint, Call::SharedParent, Call::OldRootElsewhere, Call::PresentRoot];

    const fn words(self) -> &'static str {
        match self {
            Call::AsItShouldBe => "new_root is a private mount, above put_old",
            Call::NoMountPoint => "new_root is not a mount point",
            Call::SharedParent => "new_root is on a shared mount",
            Call::OldRootElsewhere => "put_old is not below new_root",
            Call::PresentRoot => "new_root is the present root",
            Call::NoDirectory => "new_root is a file",
            Call::NoCapability => "without CAP_SYS_ADMIN",
        }
    }

    fn make(self) -> ns_core::Result<()> {
        let old = format!("{JAIL}/old");
        let (new_root, put_old) = match self {
            Call::NoMountPoint => (PLAIN, PLAIN),
            Call::OldRootElsewhere => (JAIL, PLAIN),
            Call::PresentRoot => ("/", "/"),
            Call::NoDirectory => (OUTSIDE, OUTSIDE),
            Call::AsItShouldBe | Call::SharedParent | Call::NoCapability => (JAIL, old.as_str()),
        };
        match self {
            Call::SharedParent => mount::set_propagation(Path::new(PLACE), Propagation::Shared)?,
            Call::NoCapability => process::drop_capability(ns_core::Capability::CAP_SYS_ADMIN)?,
            _ => {}
        }
        root::pivot(Path::new(new_root), Path::new(put_old))
    }
}

fn ask_another_member(confinement: Confinement) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut other = Child::spawn("other member", Namespaces::NONE, |me| {
            me.checkpoint()?;
            me.report("open(\"/inside\")", open("/inside")?)?;
            me.report("open(\"/mnt/outside\")", open(OUTSIDE)?)
        })?;
        let mut mover = Child::spawn("mover", Namespaces::NONE, move |_| confinement.apply())?;
        mover.facts()?; // no facts, or its error
        other.wake()?;
        other.pass_on(me)
    })
}

fn stack(unmounts: bool) -> Result<Vec<Fact>> {
    jailed(move |me| {
        change_directory(JAIL)?;
        me.report("pivot_root(\".\", \".\")", Outcome::of(root::pivot(Path::new("."), Path::new(".")))?)?;
        if unmounts {
            mount::unmount(Path::new("."))?;
        }
        let mounts = mount::list(None)?;
        me.report("mounts at /", mounts.iter().filter(|it| it.mount_point == Path::new("/")).count())?;
        me.report("open(\"/inside\")", open("/inside")?)?;
        me.report("open(\"../mnt/outside\")", open("../mnt/outside")?)
    })
}

/// Makes each call in a process of its own.
fn make(calls: &[Call]) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for call in calls.iter().copied() {
        facts.extend(jailed(move |me| {
            make_directory(PLAIN)?;
            me.report(call.words(), Outcome::of(call.make())?)
        })?);
    }
    Ok(facts)
}
