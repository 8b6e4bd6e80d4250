//! Ways out, tried from a chroot and from behind pivot_root(2).

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Observation, Picture, Step, cause};
use ns_core::{
    Capability, Fact, Kind, Named, Namespaces, NsFile, Outcome, Spawn, Value, Witness, mount, process, root,
};

use crate::jail::{JAIL, OUTSIDE, PLACE, Wall, change_directory, open, prisoner, trial};

pub(crate) const SECOND_CHROOT: Claim = Claim::holds(
    "second-chroot",
    "Out of a chroot: chroot() once more, stay above the new root, and climb by ..; pivot_root() holds.",
)
.cause("chroot() instead of pivot_root()")
.notes(&[2]);
pub(crate) const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "Out of a chroot: open \".\", chroot() below it, fchdir() back, and climb by ..; pivot_root() holds.",
)
.cause("chroot() instead of pivot_root()")
.notes(&[2]);
pub(crate) const OWN_NAMESPACE: Claim = Claim::holds(
    "own-namespace",
    "Out of a chroot: setns() to the mount namespace one is in goes to its root; pivot_root() has moved that.",
)
.cause("chroot() instead of pivot_root()")
.notes(&[2]);
pub(crate) const NO_CAPABILITY: Claim =
    Claim::holds("no-capability", "Who has given up CAP_SYS_CHROOT stays in: all three ways out need it.")
        .cause("CAP_SYS_CHROOT given up")
        .notes(&[2]);
pub(crate) const ADMIN: Claim = Claim::holds("admin", "The way by setns() needs CAP_SYS_ADMIN as well.")
    .cause("CAP_SYS_ADMIN given up")
    .notes(&[2]);
pub(crate) const KEPT: Claim = Claim::holds(
    "kept",
    "A directory kept open from outside leads out of both, and that needs no capability at all.",
)
.cause("a directory outside")
.notes(&[2]);
pub(crate) const THROUGH_PROC: Claim = Claim::holds(
    "through-proc",
    "Behind pivot_root() too, a /proc that shows a process outside leads out, by its /proc/PID/root.",
)
.cause("the /proc from outside")
.notes(&[2]);

/// A way out. The first three begin with nothing but the jail; for the fourth a directory has been kept open.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    SecondChroot,
    Descriptor,
    OwnNamespace,
    KeptDescriptor,
}

/// Deeper than any directory that a root is likely to be in. Beyond the top, .. stays where it is.
const UP: usize = 40;

impl Way {
    const ALL: [Way; 4] = [Way::SecondChroot, Way::Descriptor, Way::OwnNamespace, Way::KeptDescriptor];

    const fn name(self) -> &'static str {
        match self {
            Way::SecondChroot => "second chroot()",
            Way::Descriptor => "fchdir() back",
            Way::OwnNamespace => "setns()",
            Way::KeptDescriptor => "kept directory",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Way::SecondChroot => "chroot(\"cell\"), then ..",
            Way::Descriptor => "fd = open(\".\"), chroot(\"cell\"), fchdir(fd), then ..",
            Way::OwnNamespace => "setns(/proc/self/ns/mnt)",
            Way::KeptDescriptor => "fchdir(fd from before)",
        }
    }

    /// Goes it, as far as the kernel lets. The answer is that of the call that it rests on. `kept` was opened before the
    /// wall was put up.
    fn go(self, kept: &File) -> ns_core::Result<Outcome> {
        let cell = Path::new("cell");
        let answer = match self {
            // The new root is below the working directory, so .. from there never meets it.
            Way::SecondChroot => Outcome::of(root::chroot(cell))?,
            Way::Descriptor => {
                let here = File::open(".").named(|| "open(\".\")".into())?;
                let answer = Outcome::of(root::chroot(cell))?;
                if answer == Outcome::Done {
                    change_directory("/")?;
                }
                nix::unistd::fchdir(&here).named(|| "fchdir()".into())?;
                answer
            }
            // setns(2): the root and the working directory become the root of the namespace.
            Way::OwnNamespace => Outcome::of(NsFile::of(None, Kind::Mnt)?.enter(Some(Kind::Mnt)))?,
            Way::KeptDescriptor => Outcome::of(nix::unistd::fchdir(kept).named(|| "fchdir()".into()))?,
        };
        if matches!(self, Way::SecondChroot | Way::Descriptor) {
            for _ in 0..UP {
                change_directory("..")?;
            }
        }
        Ok(answer)
    }

    /// The file outside, from where this way leads.
    const fn goal(self) -> &'static str {
        match self {
            Way::KeptDescriptor => "outside",
            _ => "mnt/outside",
        }
    }
}

/// What the prisoner has given up before it tries.
#[derive(Clone, Copy)]
enum Without {
    Nothing,
    One(Capability),
    All,
}

const CHROOT: Without = Without::One(Capability::CAP_SYS_CHROOT);
const SYS_ADMIN: Without = Without::One(Capability::CAP_SYS_ADMIN);
const THREE: [Way; 3] = [Way::SecondChroot, Way::Descriptor, Way::OwnNamespace];

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Try the ways out: from a chroot, with and without capabilities, and from behind pivot_root().",
        calls: &["chroot(\"cell\")", "chdir(\"..\")", "fchdir(fd)", "setns(/proc/self/ns/mnt, CLONE_NEWNS)", "open(\"mnt/outside\")"],
        by_hand: &[
            "unshare -Urm bash",
            "PATH=$PATH:/sbin; mount -t tmpfs x /mnt; cd /mnt; mkdir usr proc dev d; cp -a /bin /lib* . 2>/dev/null",
            "for i in usr proc dev; do mount --rbind /$i $i; done",
            "chroot /mnt ls /; chroot /mnt perl -e 'chroot \"d\"; chdir \"..\" for 1..40; chroot \".\"; exec \"ls /\"'",
            "chroot /mnt perl -e 'open F, \".\"; chroot \"d\"; chdir F;\n\
             chdir \"..\" for 1..40; chroot \".\"; exec \"ls /\"'",
            "chroot /mnt nsenter --mount=/proc/self/ns/mnt ls /",
            "pivot_root . .; umount -l .; perl -e 'chroot \"d\"; chdir \"..\" for 1..40; chroot \".\"; exec \"ls /\"'; exit",
        ],
    })?;
    let columns = [
        ("chroot()", Wall::Chroot, Without::Nothing),
        ("no SYS_CHROOT", Wall::Chroot, CHROOT),
        ("no SYS_ADMIN", Wall::Chroot, SYS_ADMIN),
        ("pivot_root()", Wall::PivotRoot, Without::Nothing),
    ];
    let mut rows = Vec::new();
    for way in Way::ALL {
        let mut row: Vec<Value> = vec![way.name().into()];
        for (_, wall, without) in columns {
            row.push(
                try_to_leave(&[way], wall, without)?.first().map_or("?".into(), |fact| fact.value.clone()),
            );
        }
        rows.push(row);
    }
    let mut names = vec!["way out"];
    names.extend(columns.iter().map(|(name, _, _)| name));
    lab.picture(
        Picture::Heat(1),
        "Out of a chroot, without one of two capabilities, and out of pivot_root()",
        &names,
        rows,
    )?;

    let walls = || cause(Wall::Chroot, Wall::PivotRoot);
    for (claim, way) in [
        (SECOND_CHROOT, Way::SecondChroot),
        (DESCRIPTOR, Way::Descriptor),
        (OWN_NAMESPACE, Way::OwnNamespace),
    ] {
        lab.claim(claim)
            .without(try_to_leave(&[way], Wall::PivotRoot, Without::Nothing)?)
            .with(try_to_leave(&[way], walls(), Without::Nothing)?)
            .shows(|seen| ways_that_end(seen, "ESCAPED") == 1)?;
    }
    lab.claim(NO_CAPABILITY)
        .without(try_to_leave(&THREE, Wall::Chroot, Without::Nothing)?)
        .with(try_to_leave(&THREE, Wall::Chroot, cause(CHROOT, Without::Nothing))?)
        .shows(|seen| ways_that_end(seen, "HELD") == THREE.len())?;
    lab.claim(ADMIN)
        .without(try_to_leave(&[Way::OwnNamespace], Wall::Chroot, Without::Nothing)?)
        .with(try_to_leave(&[Way::OwnNamespace], Wall::Chroot, cause(SYS_ADMIN, Without::Nothing))?)
        .shows(|seen| ways_that_end(seen, "HELD") == 1)?;

    lab.step(Step {
        goal: "Keep a directory open, one outside or the jail; go in, by either call; give up every capability.",
        calls: &["open(\"/mnt\")", "pivot_root(\".\", \".\")", "umount2(\".\", MNT_DETACH)", "capset()", "fchdir(fd)"],
        by_hand: &[],
    })?;
    let keep = |directory: &'static str| -> Result<Vec<Fact>> {
        let mut facts = Vec::new();
        for wall in [Wall::Chroot, Wall::PivotRoot] {
            facts.extend(prisoner(move |me| leave(me, Way::KeptDescriptor, directory, wall, Without::All))?);
        }
        Ok(facts)
    };
    lab.claim(KEPT)
        .without(keep(JAIL)?)
        .with(keep(cause(PLACE, JAIL))?)
        .shows(|seen| ways_that_end(seen, "ESCAPED") == 2)?;

    lab.step(Step {
        goal: "Go in by pivot_root() and a new PID namespace, with the /proc from outside and with a new one.",
        calls: &["mount(\"proc\", \"/mnt/jail/proc\", \"proc\")", "open(\"/proc/PID/root/mnt/outside\")"],
        by_hand: &[],
    })?;
    lab.claim(THROUGH_PROC)
        .without(reach_through_proc(true)?)
        .with(reach_through_proc(cause(false, true))?)
        .shows(|file| *file == "OK")?;
    Ok(())
}

fn ways_that_end(seen: &Observation, how: &str) -> usize {
    seen.facts().iter().filter(|fact| fact.value == *how).count()
}

/// Each way by a prisoner of its own: one that got out is out.
fn try_to_leave(ways: &[Way], wall: Wall, without: Without) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for way in ways.iter().copied() {
        facts.extend(prisoner(move |me| leave(me, way, PLACE, wall, without))?);
    }
    Ok(facts)
}

fn leave(me: &mut Witness, way: Way, kept: &str, wall: Wall, without: Without) -> ns_core::Result<()> {
    let kept = File::open(kept).named(|| format!("open(\"{kept}\")"))?;
    wall.put_up()?;
    match without {
        Without::Nothing => {}
        Without::One(capability) => process::drop_capability(capability)?,
        Without::All => process::drop_all_capabilities()?,
    }
    let answer = way.go(&kept)?;
    let found = open(way.goal())?;
    me.saw(way.words(), if found == Outcome::Done { "ESCAPED" } else { "HELD" })?;
    me.saw("the kernel's answer", answer)?;
    me.saw(format!("open(\"{}\")", way.goal()), found)
}

fn reach_through_proc(new_proc: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let path = format!("/proc/{}/root{OUTSIDE}", nix::unistd::getpid());
        let namespaces = Namespaces::MNT | Namespaces::PID;
        let mut prisoner = Spawn::new("prisoner").namespaces_always(namespaces).run(move |me| {
            if new_proc {
                mount::mount("proc", &Path::new(JAIL).join("proc"))?;
            }
            Wall::PivotRoot.put_up()?;
            me.saw("open(\"/proc/PID/root/mnt/outside\")", open(path)?)
        })?;
        me.tell(prisoner.hear()?)
    })
}
