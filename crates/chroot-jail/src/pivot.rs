//! pivot_root(2): what it does, and what it wants.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Step, every, hand, inside};
use ns_core::mount::{self, Propagation};
use ns_core::{Child, Fact, Namespaces, Outcome, process, root};

use crate::jail::{JAIL, OUTSIDE, PLACE, Wall, change_directory, make_directory, open, prisoner, trial};

const EVERYONE: Claim = Claim::holds(
    "everyone",
    "pivot_root() moves the root of the mount namespace: who had the old one as root has the new one now.",
)
.factor("pivot_root() instead of chroot()")
.more(&[88]);
const STACKED: Claim = Claim::holds(
    "stacked",
    "pivot_root(\".\", \".\") puts the old root on top of the new; umount2(\".\", MNT_DETACH) takes it away.",
)
.factor("umount2()")
.more(&[88]);

pub(crate) const ASK_A_BYSTANDER: Step = Step {
    title: "Let one member of a mount namespace change the root, and ask another what it sees at /.",
    calls: &["pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)"],
    by_hand: &[],
    claims: &[EVERYONE, STACKED],
    run: |lab| {
        lab.compare(EVERYONE, Wall::Chroot, Wall::PivotRoot, ask_a_bystander)?
            .shows(inside("open(\"/inside\")").from("ENOENT").to("OK"))?;
        lab.compare(STACKED, false, true, stack)?
            .shows(inside("pivot_root(\".\", \".\")").from("EINVAL").to("OK") & inside("mounts at /").is(1))
    },
};

const RULES: Claim = Claim::holds(
    "rules",
    "pivot_root() refuses a new root that is no mount, is on a shared one, is root already, or lacks the old one's place.",
)
.factor("a rule broken")
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
        lab.table("pivot_root(new_root, put_old), where", &["given", "answer"], rows)?;
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
            Call::AsItShouldBe => "a private mount, and a directory below it",
            Call::NoMountPoint => "the new root is no mount point",
            Call::SharedParent => "the new root is mounted on a shared mount",
            Call::OldRootElsewhere => "the old root's place is not below the new one",
            Call::PresentRoot => "the new root is the present one",
            Call::NoDirectory => "the new root is a file",
            Call::NoCapability => "CAP_SYS_ADMIN given up",
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

fn ask_a_bystander(wall: Wall) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut bystander = Child::spawn("bystander", Namespaces::NONE, |me| {
            me.checkpoint()?;
            me.report("open(\"/inside\")", open("/inside")?)?;
            me.report("open(\"/mnt/outside\")", open(OUTSIDE)?)
        })?;
        let mut mover = Child::spawn("mover", Namespaces::NONE, move |_| wall.put_up())?;
        mover.facts()?; // none, or why it could not
        bystander.wake()?;
        bystander.pass_on(me)
    })
}

fn stack(unmounts: bool) -> Result<Vec<Fact>> {
    prisoner(move |me| {
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

/// Each call by a prisoner of its own.
fn make(calls: &[Call]) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for call in calls.iter().copied() {
        facts.extend(prisoner(move |me| {
            make_directory(PLAIN)?;
            me.report(call.words(), Outcome::of(call.make())?)
        })?);
    }
    Ok(facts)
}
