//! Ways out, tried after chroot(2) and after pivot_root(2).

use std::fs::File;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Effect, Lab, Picture, Requirement, Row, Step, every, hand, inside, right, wrong};
use ns_core::{
    Capability, Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Reporter, Value, mount, process, root,
};

use crate::jail::{Confinement, JAIL, OUTSIDE, PLACE, change_directory, jailed, open, trial};

const SECOND_CHROOT: Claim = Claim::holds(
    "second-chroot",
    "Root leaves a chroot by a second chroot() without chdir(), then chdir(\"..\"); pivot_root() prevents this.",
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
            "`..` of the root is the root",
        ),
        wrong("in cell, the new root", "chroot() seems to change the working directory too"),
        wrong(
            "nowhere: a second chroot() gives EPERM",
            "a process in a jail seems unable to call it",
        ),
    ],
);
const DESCRIPTOR: Claim = Claim::holds(
    "descriptor",
    "Root leaves a chroot by open(\".\"), chroot() below it, fchdir() and chdir(\"..\"); pivot_root() prevents this.",
)
.factor("chroot() instead of pivot_root()")
.notes(&[2])
.requires(&[Requirement::Unchrooted])
.arms("pivot_root()", "chroot()");
const OWN_NAMESPACE: Claim = Claim::holds(
    "own-namespace",
    "Root leaves a chroot by setns() to its own mount namespace; pivot_root() prevents this.",
)
.factor("chroot() instead of pivot_root()")
.notes(&[2])
.requires(&[Requirement::Unchrooted])
.arms("pivot_root()", "chroot()");
const NO_CAPABILITY: Claim =
    Claim::holds("no-capability", "Without CAP_SYS_CHROOT, none of these three ways leads out of a chroot.")
        .factor("CAP_SYS_CHROOT given up")
        .notes(&[2])
        .requires(&[Requirement::Unchrooted])
        .arms("root", "no SYS_CHROOT")
        .core(&[Row::first("the same, in chroot")])
        .asks(
            "Which capability must a chrooted process lack, so that these calls do not lead out?",
            &[
                right("CAP_SYS_CHROOT"),
                wrong("CAP_SYS_ADMIN", "it is needed for many other calls"),
                wrong("CAP_DAC_OVERRIDE", "leaving a directory seems to be a matter of file permissions"),
                wrong("none: they need no capability", "chdir(\"..\") is allowed to everyone"),
            ],
        );
const ADMIN: Claim = Claim::holds(
    "admin",
    "The way by setns() also needs CAP_SYS_ADMIN: without it, setns() fails with EPERM.",
)
.factor("CAP_SYS_ADMIN given up")
.arms("root", "no SYS_ADMIN")
.notes(&[2])
.requires(&[Requirement::Unchrooted]);

pub(crate) const TRY_THE_WAYS_OUT: Step = Step {
    title: "Try three ways out of a chroot, with and without capabilities. Try them again after pivot_root().",
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
        // The table comes last, and only where all claims are asked: it gives away answers of this step and the next.
        let shows_all = lab.asks(&ADMIN);
        for (claim, way) in [
            (SECOND_CHROOT, Way::SecondChroot),
            (DESCRIPTOR, Way::Descriptor),
            (OWN_NAMESPACE, Way::OwnNamespace),
        ] {
            lab.compare(claim, Confinement::PivotRoot, Confinement::Chroot, |confinement| {
                try_to_leave(&[way], confinement, Without::Nothing)
            })?
            .in_both_arms(inside("the kernel's answer").is("OK"))
            .shows(escapes(way))?;
        }
        // Each way reports HELD, the errno of its call, and ENOENT for the file outside.
        lab.compare(NO_CAPABILITY, Without::Nothing, CHROOT, |without| {
            try_to_leave(&THREE, Confinement::Chroot, without)
        })?
        .shows(every().that(|seen| *seen == "HELD" || *seen == "EPERM" || *seen == "ENOENT"))?;
        lab.compare(ADMIN, Without::Nothing, SYS_ADMIN, |without| {
            try_to_leave(&[Way::OwnNamespace], Confinement::Chroot, without)
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
    "fchdir() to an open directory outside leads out of chroot() and of pivot_root(), without any capability.",
)
.factor("a directory outside")
.notes(&[2])
.arms("fd inside", "fd outside")
.core(&[
    Row::inside("out of chroot()", "chroot(), fchdir(fd from before)"),
    Row::inside("out of pivot_root()", "pivot_root(), fchdir(fd from before)"),
])
.asks(
    "A process without capabilities still has a directory outside open. Which call does fchdir() lead out of?",
    &[
        right("both chroot() and pivot_root()"),
        wrong("chroot() alone", "pivot_root() is used with an unmount of the old root, which then seems to be gone"),
        wrong("neither: a capability is needed", "the other ways out need CAP_SYS_CHROOT"),
        wrong("neither: the kernel closes such descriptors", "a descriptor seems to be a path that is checked at each use"),
    ],
);

pub(crate) const KEEP_A_DIRECTORY: Step = Step {
    title: "Open a directory outside, or the jail. Call chroot() or pivot_root(), drop all capabilities, and call fchdir().",
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
    "After pivot_root(), /proc/PID/root of a process outside leads out, if /proc still shows the process.",
)
.factor("the /proc from outside")
.arms("new /proc", "outer /proc")
.notes(&[2]);

pub(crate) const REACH_THROUGH_PROC: Step = Step {
    title: "Call pivot_root() in a new PID namespace, with a new /proc and with the /proc from outside.",
    calls: &["mount(\"proc\", \"/mnt/jail/proc\", \"proc\")", "open(\"/proc/PID/root/mnt/outside\")"],
    by_hand: &[],
    claims: &[THROUGH_PROC],
    run: |lab| {
        lab.compare(THROUGH_PROC, false, true, reach_through_proc)?
            .shows(inside("open(\"/proc/PID/root/mnt/outside\")").from("ENOENT").to("OK"))
    },
};

/// A way out. The first three need only the jail. For the fourth, a directory outside is still open.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    SecondChroot,
    Descriptor,
    OwnNamespace,
    KeptDescriptor,
}

/// More levels than any root is likely to be deep. At the top, .. leads nowhere else.
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

    /// Tries it as far as the kernel allows, and returns the answer to its main call. `kept` was opened before the
    /// confinement.
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

    /// The path of the file outside, relative to where this way leads.
    const fn goal(self) -> &'static str {
        match self {
            Way::KeptDescriptor => "outside",
            _ => "mnt/outside",
        }
    }
}

/// The capabilities that the process gives up before it tries.
#[derive(Clone, Copy)]
enum Without {
    Nothing,
    One(Capability),
    All,
}

const CHROOT: Without = Without::One(Capability::CAP_SYS_CHROOT);
const SYS_ADMIN: Without = Without::One(Capability::CAP_SYS_ADMIN);
const THREE: [Way; 3] = [Way::SecondChroot, Way::Descriptor, Way::OwnNamespace];

/// This way leads out: the file outside is found.
fn escapes(way: Way) -> Effect {
    inside(way.words()).is("ESCAPED") & inside(format!("open(\"{}\")", way.goal())).from("ENOENT").to("OK")
}

/// Shows all ways, after either call, and with fewer capabilities.
fn show_each_way(lab: &mut Lab) -> Result<()> {
    let columns = [
        ("chroot()", Confinement::Chroot, Without::Nothing),
        ("no SYS_CHROOT", Confinement::Chroot, CHROOT),
        ("no SYS_ADMIN", Confinement::Chroot, SYS_ADMIN),
        ("pivot_root()", Confinement::PivotRoot, Without::Nothing),
    ];
    let mut rows = Vec::new();
    for way in Way::ALL {
        let mut row: Vec<Value> = vec![way.name().into()];
        for (_, confinement, without) in columns {
            let facts = try_to_leave(&[way], confinement, without)?;
            row.push(facts.first().map_or("?".into(), |fact| fact.value.clone()));
        }
        rows.push(row);
    }
    let mut names = vec!["way out"];
    names.extend(columns.iter().map(|(name, _, _)| name));
    lab.picture(
        Picture::Heat(1),
        "Ways out of chroot(), without one of two capabilities, and out of pivot_root()",
        &names,
        rows,
    )
}

/// Tries each way in a process of its own, since one that is out stays out.
fn try_to_leave(ways: &[Way], confinement: Confinement, without: Without) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for way in ways.iter().copied() {
        facts.extend(jailed(move |me| leave(me, way, PLACE, confinement, without))?);
    }
    Ok(facts)
}

fn leave(
    me: &mut Reporter,
    way: Way,
    kept: &str,
    confinement: Confinement,
    without: Without,
) -> ns_core::Result<()> {
    let kept = File::open(kept).named(|| format!("open(\"{kept}\")"))?;
    confinement.apply()?;
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

/// After each call, by a `directory` that was opened before.
fn keep(directory: &'static str) -> Result<Vec<Fact>> {
    let mut facts = Vec::new();
    for (call, confinement) in [("chroot()", Confinement::Chroot), ("pivot_root()", Confinement::PivotRoot)] {
        let left = jailed(move |me| leave(me, Way::KeptDescriptor, directory, confinement, Without::All))?;
        facts.extend(left.into_iter().map(|fact| Fact { what: format!("{call}, {}", fact.what), ..fact }));
    }
    Ok(facts)
}

/// Uses the /proc from outside in the jail, or a new one.
fn reach_through_proc(from_outside: bool) -> Result<Vec<Fact>> {
    trial(move |me| {
        let path = format!("/proc/{}/root{OUTSIDE}", nix::unistd::getpid());
        let namespaces = Namespaces::MNT | Namespaces::PID;
        let mut jailed = Child::spawn("jailed", namespaces, move |me| {
            if !from_outside {
                mount::mount("proc", &Path::new(JAIL).join("proc"))?;
            }
            Confinement::PivotRoot.apply()?;
            me.report("open(\"/proc/PID/root/mnt/outside\")", open(path)?)
        })?;
        me.send(jailed.fact()?)
    })
}
