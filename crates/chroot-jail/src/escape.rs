//! Ways out, tried from a chroot and from behind pivot_root(2).

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Effect, Lab, Picture, Requirement, Row, Step, every, hand, inside, right, wrong};
use ns_core::{
    Capability, Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, Value, mount, process, root,
};

use crate::jail::{JAIL, OUTSIDE, PLACE, Wall, change_directory, open, prisoner, trial};

const SECOND_CHROOT: Claim = Claim::holds(
    "second-chroot",
    "Out of a chroot: chroot() once more, stay above the new root, and climb by ..; pivot_root() holds.",
)
.factor("chroot() instead of pivot_root()")
.notes(&[2])
.requires(&[Requirement::Unchrooted])
.arms("pivot_root()", "chroot()")
.core(&[Row::first("chroot() again, \"..\"")])
.asks(
    "In a chroot, root calls chroot(\"cell\") without chdir(), and then chdir(\"..\") 40 times. Where is it?",
    &[
        right("at the root of the whole tree, outside"),
        wrong(
            "at the root of the first chroot",
            "`..` of the root is the root: that is the rule which keeps it in",
        ),
        wrong("in cell, the new root", "chroot() is thought to move the working directory along"),
        wrong(
            "nowhere: a second chroot() gives EPERM",
            "a process in a jail is thought to be unable to call it",
        ),
    ],
);
const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "Out of a chroot: open \".\", chroot() below it, fchdir() back, and climb by ..; pivot_root() holds.",
)
.factor("chroot() instead of pivot_root()")
.notes(&[2])
.requires(&[Requirement::Unchrooted]);
const OWN_NAMESPACE: Claim = Claim::holds(
    "own-namespace",
    "Out of a chroot: setns() to the mount namespace one is in goes to its root; pivot_root() has moved that.",
)
.factor("chroot() instead of pivot_root()")
.notes(&[2])
.requires(&[Requirement::Unchrooted]);
const NO_CAPABILITY: Claim =
    Claim::holds("no-capability", "Without CAP_SYS_CHROOT none of these three ways leads out.")
        .factor("CAP_SYS_CHROOT given up")
        .notes(&[2])
        .requires(&[Requirement::Unchrooted])
        .arms("root", "no SYS_CHROOT")
        .core(&[Row::first("the same, in chroot")])
        .asks(
            "Which capability must a chrooted process lack, so that it can't get out by calls like these?",
            &[
                right("CAP_SYS_CHROOT"),
                wrong("CAP_SYS_ADMIN", "it is known as the capability for nearly everything"),
                wrong("CAP_DAC_OVERRIDE", "getting out is thought to be a matter of file permissions"),
                wrong("none: they need no capability", "chdir(\"..\") is allowed to everyone"),
            ],
        );
const ADMIN: Claim = Claim::holds("admin", "The way by setns() needs CAP_SYS_ADMIN as well: EPERM.")
    .factor("CAP_SYS_ADMIN given up")
    .notes(&[2])
    .requires(&[Requirement::Unchrooted]);

pub(crate) const TRY_THE_WAYS_OUT: Step = Step {
    title: "Try the ways out: from a chroot, with and without capabilities, and from behind pivot_root().",
    calls: &[
        "chroot(\"cell\")",
        "chdir(\"..\")",
        "fchdir(fd)",
        "setns(/proc/self/ns/mnt, CLONE_NEWNS)",
        "open(\"mnt/outside\")",
    ],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("PATH=$PATH:/sbin; mount -t tmpfs x /mnt; cd /mnt; mkdir usr proc dev d; cp -a /bin /lib* . 2>/dev/null").prints(""), hand("for i in usr proc dev; do mount --rbind /$i $i; done").prints(""), hand("chroot /mnt ls -d /etc; chroot /mnt perl -e 'chroot \"d\"; chdir \"..\" for 1..40; chroot \".\"; exec \"ls -d /etc\"'").prints("ENOENT\n/etc"), hand("chroot /mnt perl -e 'open F, \".\"; chroot \"d\"; chdir F;\nchdir \"..\" for 1..40; chroot \".\"; exec \"ls -d /etc\"'").prints("/etc"), hand("chroot /mnt nsenter --mount=/proc/self/ns/mnt ls -d /etc").prints("/etc"), hand("pivot_root . .; umount -l .; perl -e 'chroot \"d\"; chdir \"..\" for 1..40; chroot \".\"; exec \"ls -d /etc\"'; exit").prints("ENOENT"), ],
    claims: &[SECOND_CHROOT, DESCRIPTOR, OWN_NAMESPACE, NO_CAPABILITY, ADMIN],
    run: |lab| {
        // The table comes last, and where all is asked: it answers what is asked here and in the next step.
        let shows_all = lab.asks(&ADMIN);
        for (claim, way) in [
            (SECOND_CHROOT, Way::SecondChroot),
            (DESCRIPTOR, Way::Descriptor),
            (OWN_NAMESPACE, Way::OwnNamespace),
        ] {
            lab.compare(claim, Wall::PivotRoot, Wall::Chroot, |wall| {
                try_to_leave(&[way], wall, Without::Nothing)
            })?
            .shows(escapes(way))?;
        }
        // Each way reports that it is held, why its call is refused, and that it does not find the file.
        lab.compare(NO_CAPABILITY, Without::Nothing, CHROOT, |without| {
            try_to_leave(&THREE, Wall::Chroot, without)
        })?
        .shows(every().that(|seen| *seen == "HELD" || *seen == "EPERM" || *seen == "ENOENT"))?;
        lab.compare(ADMIN, Without::Nothing, SYS_ADMIN, |without| {
            try_to_leave(&[Way::OwnNamespace], Wall::Chroot, without)
        })?
        .shows(
            inside(Way::OwnNamespace.words()).is("HELD")
                & inside("the kernel's answer").from("OK").to("EPERM"),
        )?;
        if shows_all { show_each_way(lab) } else { Ok(()) }
    },
};

const KEPT: Claim = Claim::holds(
    "kept",
    "A directory kept open from outside leads out of both, and that needs no capability at all.",
)
.factor("a directory outside")
.notes(&[2])
.arms("fd inside", "fd outside")
.core(&[
    Row::inside("out of chroot()", "chroot(), fchdir(fd from before)"),
    Row::inside("out of pivot_root()", "pivot_root(), fchdir(fd from before)"),
])
.asks(
    "A process without capabilities has kept a directory outside open. Which of the two does fchdir() lead out of?",
    &[
        right("both chroot() and pivot_root()"),
        wrong("chroot() alone", "pivot_root() unmounts the old root, so it is thought to be gone"),
        wrong("neither: a capability is needed", "the other ways out need CAP_SYS_CHROOT"),
        wrong("neither: the kernel closes such descriptors", "a descriptor is thought to be a path, checked again at each use"),
    ],
);

pub(crate) const KEEP_A_DIRECTORY: Step = Step {
    title: "Keep a directory open, one outside or the jail; go in, by either call; give up every capability.",
    calls: &[
        "open(\"/mnt\")",
        "pivot_root(\".\", \".\")",
        "umount2(\".\", MNT_DETACH)",
        "capset()",
        "fchdir(fd)",
    ],
    by_hand: &[],
    claims: &[KEPT],
    run: |lab| {
        lab.compare(KEPT, JAIL, PLACE, keep)?.shows(
            inside("chroot(), fchdir(fd from before)").is("ESCAPED")
                & inside("pivot_root(), fchdir(fd from before)").is("ESCAPED"),
        )
    },
};

const THROUGH_PROC: Claim = Claim::holds(
    "through-proc",
    "Behind pivot_root() too, a /proc that shows a process outside leads out, by its /proc/PID/root.",
)
.factor("the /proc from outside")
.notes(&[2]);

pub(crate) const REACH_THROUGH_PROC: Step = Step {
    title: "Go in by pivot_root() and a new PID namespace, with the /proc from outside and with a new one.",
    calls: &["mount(\"proc\", \"/mnt/jail/proc\", \"proc\")", "open(\"/proc/PID/root/mnt/outside\")"],
    by_hand: &[],
    claims: &[THROUGH_PROC],
    run: |lab| {
        lab.compare(THROUGH_PROC, false, true, reach_through_proc)?
            .shows(inside("open(\"/proc/PID/root/mnt/outside\")").from("ENOENT").to("OK"))
    },
};

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

/// This way leads out: all of its calls succeed, and the file outside is found.
fn escapes(way: Way) -> Effect {
    inside(way.words()).is("ESCAPED")
        & inside("the kernel's answer").is("OK")
        & inside(format!("open(\"{}\")", way.goal())).from("ENOENT").to("OK")
}

/// A table of all ways, from behind either wall, and with fewer capabilities.
fn show_each_way(lab: &mut Lab) -> Result<()> {
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
            let facts = try_to_leave(&[way], wall, without)?;
            row.push(facts.first().map_or("?".into(), |fact| fact.value.clone()));
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
    )
}

/// Each way by a prisoner of its own: one that got out is out.
fn try_to_leave(ways: &[Way], wall: Wall, without: Without) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for way in ways.iter().copied() {
        facts.extend(prisoner(move |me| leave(me, way, PLACE, wall, without))?);
    }
    Ok(facts)
}

fn leave(me: &mut Reporter, way: Way, kept: &str, wall: Wall, without: Without) -> ns_core::Result<()> {
    let kept = File::open(kept).named(|| format!("open(\"{kept}\")"))?;
    wall.put_up()?;
    match without {
        Without::Nothing => {}
        Without::One(capability) => process::drop_capability(capability)?,
        Without::All => process::drop_all_capabilities()?,
    }
    let answer = way.go(&kept)?;
    let found = open(way.goal())?;
    me.report(way.words(), if found == Outcome::Done { "ESCAPED" } else { "HELD" })?;
    me.report("the kernel's answer", answer)?;
    me.report(format!("open(\"{}\")", way.goal()), found)
}

/// From behind each wall, by a `directory` that was opened before.
fn keep(directory: &'static str) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (call, wall) in [("chroot()", Wall::Chroot), ("pivot_root()", Wall::PivotRoot)] {
        let left = prisoner(move |me| leave(me, Way::KeptDescriptor, directory, wall, Without::All))?;
        facts.extend(left.into_iter().map(|fact| Fact { what: format!("{call}, {}", fact.what), ..fact }));
    }
    Ok(facts)
}

/// With the /proc from outside in the jail, or a new one.
fn reach_through_proc(from_outside: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let path = format!("/proc/{}/root{OUTSIDE}", nix::unistd::getpid());
        let namespaces = Namespaces::MNT | Namespaces::PID;
        let mut prisoner = Child::spawn("prisoner", namespaces, move |me| {
            if !from_outside {
                mount::mount("proc", &Path::new(JAIL).join("proc"))?;
            }
            Wall::PivotRoot.put_up()?;
            me.report("open(\"/proc/PID/root/mnt/outside\")", open(path)?)
        })?;
        me.send(prisoner.fact()?)
    })
}
