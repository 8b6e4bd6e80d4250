//! The copy of a list of mounts: what it has in common with the original, and how both change.

use std::fs;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, outside, right, wrong};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Pid, Value, mount, namespace};

use crate::place::{DOOR, is_mounted, open, trial};

const COPY: Claim = Claim::holds(
    "copy",
    "A new mount namespace copies its creator's mounts, with new mount IDs, except bind mounts of mount namespaces.",
)
.factor("CLONE_NEWNS")
.notes(&[9])
.core(&[
    Row::outside("number of mounts", "mounts inside"),
    Row::outside("mount IDs in common", "mount IDs in common"),
])
.asks(
    "A process has just been created in a new mount namespace. Which mounts does it have?",
    &[
        right("copies of its creator's"),
        wrong("only an empty root", "a new network namespace begins without its creator's devices"),
        wrong("the same mounts as its creator", "both sides list the same mount points"),
        wrong("those of the initial mount namespace", "a new namespace is thought to begin like the machine at boot"),
    ],
);
// In the copy, such a mount could keep the namespace that it is in, which would keep the mount.
const NOT_COPIED: Claim = Claim::holds(
    "not-copied",
    "A new mount namespace copies the bind mount of a network namespace, and not that of a mount namespace.",
)
.factor("a mount namespace instead of a network namespace")
.notes(&[9]);

pub(crate) const COMPARE_LISTS: Step = Step {
    title: "Compare the mounts of a plain child with those of a child in a new mount namespace. Repeat with a bind mount of \
            a namespace's link.",
    calls: &[
        "clone3(0)",
        "clone3(CLONE_NEWNS)",
        "open(\"/proc/PID/mountinfo\")",
        "mount(\"/proc/PID/ns/mnt\", \"/mnt/door/file\", NULL, MS_BIND)",
    ],
    by_hand: &[
        hand("wc -l /proc/self/mountinfo; unshare -Urm wc -l /proc/self/mountinfo")
            .prints("<count> /proc/self/mountinfo\n<count> /proc/self/mountinfo"),
        hand("grep \" / / \" /proc/self/mountinfo; unshare -Urm grep \" / / \" /proc/self/mountinfo")
            .prints("<id A> … / / …\n<id B> … / / …"),
    ],
    claims: &[COPY, NOT_COPIED],
    run: |lab| {
        lab.compare(COPY, Namespaces::NONE, Namespaces::MNT, compare_lists)?
            .in_both_arms(outside("the same mount points").is("yes"))
            .shows(outside("mount IDs in common").is("none"))?;
        lab.compare(NOT_COPIED, Kind::Net, Kind::Mnt, copy_a_namespace_file)?
            .in_both_arms(outside("seen outside").is("yes"))
            .shows(inside("seen inside").is("no"))
    },
};

const INSIDE_ONLY: Claim = Claim::holds(
    "inside-only",
    "While mounts are private, a mount made inside a mount namespace is not visible outside.",
)
.factor("CLONE_NEWNS")
.notes(&[9])
.core(&[Row::outside("tmpfs seen outside", "seen outside")])
.asks(
    "All mounts are private. In a new mount namespace a process mounts a tmpfs. Who sees that mount?",
    &[
        right("only processes in its own namespace"),
        wrong(
            "everyone: there is one tree of files",
            "before mount namespaces existed, every mount was visible to the whole machine",
        ),
        wrong(
            "the namespace and its parent namespace",
            "a parent PID namespace does see its children's processes",
        ),
        wrong("only the process", "each process has its own /proc/PID/mountinfo"),
    ],
);
const OUTSIDE_ONLY: Claim = Claim::holds(
    "outside-only",
    "While mounts are private, a mount made outside after the copy is not visible inside.",
)
.factor("CLONE_NEWNS")
.notes(&[9]);

pub(crate) const MOUNT_ON_EITHER_SIDE: Step = Step {
    title: "Mount a tmpfs inside, then one outside, and look for each from the other side.",
    calls: &["mount(\"tmpfs\", \"/mnt/door\", \"tmpfs\")"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs inside /mnt; findmnt -n /mnt'; findmnt -n /mnt")
        .prints("/mnt inside tmpfs …")],
    claims: &[INSIDE_ONLY, OUTSIDE_ONLY],
    run: |lab| {
        lab.compare(INSIDE_ONLY, Namespaces::NONE, Namespaces::MNT, mount_inside)?
            .in_both_arms(inside("seen inside").is("yes"))
            .shows(outside("seen outside").is("no"))?;
        lab.compare(OUTSIDE_ONLY, Namespaces::NONE, Namespaces::MNT, mount_outside)?
            .in_both_arms(outside("seen outside").is("yes"))
            .shows(inside("seen inside").is("no"))
    },
};

const SAME_FILES: Claim = Claim::holds(
    "same-files",
    "Mounts are copied, files are not: a file written below a copied mount is visible on both sides.",
)
.factor("a mount that was copied")
.notes(&[9])
.arms("own tmpfs", "copied mount")
.core(&[Row::outside("file: open() outside", "open() outside")])
.asks(
    "In a new mount namespace a process writes a file, below a mount that was copied. Who can open the file?",
    &[
        right("processes inside and outside"),
        wrong("only processes inside", "the mounts are copies, so the files are thought to be copies too"),
        wrong(
            "processes inside, and outside after the process ends",
            "container layers are saved when the container ends",
        ),
        wrong(
            "nobody: a copied mount is read-only",
            "a process inside is thought to be unable to change files outside",
        ),
    ],
);

pub(crate) const WRITE_INSIDE: Step = Step {
    title: "Write a file inside: on a tmpfs mounted inside, then on a mount that both sides have.",
    calls: &["open(\"/mnt/door/file\", O_CREAT)"],
    by_hand: &[
        hand("f=$(mktemp -u); unshare -Urm sh -c \"echo hello > $f\"; cat $f; rm $f").prints("hello"),
        hand("unshare -Urm sh -c 'mount -t tmpfs inside /mnt; echo hello > /mnt/file'; cat /mnt/file")
            .prints("ENOENT"),
    ],
    claims: &[SAME_FILES],
    run: |lab| {
        lab.compare(SAME_FILES, false, true, write_inside)?
            .in_both_arms(inside("write() inside").is("OK"))
            .shows(outside("open() outside").from("ENOENT").to("OK"))
    },
};

const KEPT: Claim = Claim::holds(
    "kept",
    "A private mount that is unmounted outside stays mounted inside, with its filesystem.",
)
.factor("CLONE_NEWNS")
.notes(&[9])
.core(&[Row::inside("open() after umount", "open() inside")])
.asks(
    "A private mount was copied, and then the original is unmounted. What does a process inside find there?",
    &[
        right("the mount, with its files"),
        wrong("an empty directory: the mount is gone", "an unmount is thought to affect the whole machine"),
        wrong(
            "the mount, but open() fails with EIO",
            "the filesystem is thought to end with its first mount",
        ),
        wrong(
            "the mount: umount fails with EBUSY outside",
            "a filesystem that is in use cannot be unmounted",
        ),
    ],
);
const REMOVED: Claim = Claim::holds(
    "removed",
    "A directory that is a mount point only inside can be removed outside; this also unmounts the mount inside.",
)
.factor("CLONE_NEWNS")
.more(&[86]);

pub(crate) const UNMOUNT_OUTSIDE: Step = Step {
    title: "Unmount outside a mount that was copied, and open its file inside. Then remove, outside, a directory that is a mount point inside.",
    calls: &["umount2(\"/mnt/door\", MNT_DETACH)", "rmdir(\"/mnt/door\")"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; mkdir /mnt/y /mnt/z; mount -t tmpfs y /mnt/y; touch /mnt/y/file; unshare -m sleep 60 & sleep 1").prints(""), hand("umount /mnt/y; ls /mnt/y; nsenter -t $! -m ls /mnt/y").prints("file"), hand("rmdir /mnt/y && echo removed; nsenter -t $! -m ls /mnt; kill $!; exit").prints("removed\nz"), ],
    claims: &[KEPT, REMOVED],
    run: |lab| {
        lab.compare(KEPT, Namespaces::NONE, Namespaces::MNT, unmount_outside)?
            .shows(inside("open() inside").from("ENOENT").to("OK"))?;
        lab.compare(REMOVED, Namespaces::NONE, Namespaces::MNT, remove_outside)?
            .shows(outside("rmdir() outside").from("EBUSY").to("OK") & inside("mounted at the end").is("no"))
    },
};

const HELD: Claim = Claim::holds(
    "held",
    "An open /proc/PID/ns/mnt keeps a mount namespace and its mounts after its last member ends; setns() enters it.",
)
.factor("CLONE_NEWNS")
.notes(&[20])
.requires(&[Requirement::Unchrooted]);

pub(crate) const ENTER_WHEN_EMPTY: Step = Step {
    title: "Open the mount namespace of a process that mounts a tmpfs and ends. Then enter it, and look for that mount.",
    calls: &["open(\"/proc/PID/ns/mnt\")", "exit(0)", "setns(fd, CLONE_NEWNS)"],
    by_hand: &[hand("unshare -Urm sh -c 'mount -t tmpfs inside /mnt; exec sleep 60' & sleep 1").prints(""), hand("exec 8</proc/$!/ns/user 9</proc/$!/ns/mnt; kill $!; wait $!").prints(""), hand("nsenter --user=/proc/self/fd/8 --mount=/proc/self/fd/9 --preserve-credentials findmnt -n /mnt; exec 8<&- 9<&-").prints("/mnt inside tmpfs …"), ],
    claims: &[HELD],
    run: |lab| {
        lab.compare(HELD, Namespaces::NONE, Namespaces::MNT, enter_when_it_is_empty)?
            .in_both_arms(inside("seen after setns()").is("yes"))
            .shows(outside("seen outside").is("no"))
    },
};

fn compare_lists(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("inside", namespaces, ns_core::Reporter::stay)?;
    let (outside, inside) = (mount::list(None)?, mount::list(Some(child.pid()))?);
    let points = |list: &[mount::Mount]| {
        let mut points: Vec<_> = list.iter().map(|it| (it.mount_point.clone(), it.fs_type.clone())).collect();
        points.sort();
        points
    };
    let common = inside.iter().filter(|it| outside.iter().any(|other| other.mnt_id == it.mnt_id)).count();
    let common = match common {
        0 => "none",
        all if all == inside.len() => "all",
        _ => "some",
    };
    let count = |list: &[mount::Mount]| Value::Count(i64::try_from(list.len()).unwrap_or(i64::MAX));
    Ok(vec![
        Fact::outside("mounts outside", count(&outside)),
        Fact::outside("mounts inside", count(&inside)),
        Fact::outside("the same mount points", points(&outside) == points(&inside)),
        Fact::outside("mount IDs in common", common),
    ])
}

/// Whether a copy of the mount namespace has the bind mount of a namespace's link.
fn copy_a_namespace_file(kind: Kind) -> Result<Vec<Fact>> {
    trial(move |me| {
        stay_on_one_cpu()?;
        // A mount namespace can only be mounted in an older one (else EINVAL), since two could keep each other. The kernel
        // compares sequence numbers, of which each CPU has its own range.
        namespace::unshare(Namespaces::MNT)?;
        let other = Child::spawn("other", Namespaces::only(kind), ns_core::Reporter::stay)?;
        let file = Path::new(DOOR).join("file");
        fs::write(&file, "").named(|| "write()".into())?;
        mount::bind(Path::new(&format!("/proc/{}/ns/{}", other.pid(), kind.link())), &file)?;
        let mut inside =
            Child::spawn("inside", Namespaces::MNT, |me| me.report("seen inside", is_mounted(&file)?))?;
        me.send(inside.fact()?)?;
        me.send(Fact::outside("seen outside", is_mounted(&file)?))
    })
}

fn stay_on_one_cpu() -> ns_core::Result<()> {
    let mut this = CpuSet::new();
    sched_getcpu().and_then(|cpu| this.set(cpu)).named(|| "getcpu()".into())?;
    sched_setaffinity(Pid::from_raw(0), &this).named(|| "sched_setaffinity()".into())
}

fn mount_inside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut inside = Child::spawn("inside", namespaces, |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.report("seen inside", is_mounted(DOOR)?)?;
            me.stay() // the mount would be removed with its namespace
        })?;
        let seen = inside.fact()?;
        me.send(Fact::outside("seen outside", is_mounted(DOOR)?))?;
        me.send(seen)
    })
}

fn mount_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut inside = Child::spawn("inside", namespaces, |me| {
            me.checkpoint()?;
            me.report("seen inside", is_mounted(DOOR)?)
        })?;
        mount::mount("tmpfs", Path::new(DOOR))?;
        inside.wake()?;
        me.send(inside.fact()?)?;
        me.send(Fact::outside("seen outside", is_mounted(DOOR)?))
    })
}

fn write_inside(on_a_copied_mount: bool) -> Result<Vec<Fact>> {
    let file = Path::new(DOOR).join("file");
    trial(move |me| {
        let path = file.clone();
        let mut inside = Child::spawn("inside", Namespaces::MNT, move |me| {
            if !on_a_copied_mount {
                mount::mount("tmpfs", Path::new(DOOR))?;
            }
            me.report("write() inside", Outcome::of(fs::write(&path, "hello").named(|| "write()".into()))?)?;
            me.stay()
        })?;
        let written = inside.fact()?;
        me.send(Fact::outside("open() outside", open(&file)?))?;
        me.send(written)
    })
}

fn unmount_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let file = Path::new(DOOR).join("file");
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        fs::write(&file, "hello").named(|| "write()".into())?;
        let path = file.clone();
        let mut inside = Child::spawn("inside", namespaces, move |me| {
            me.checkpoint()?;
            me.report("open() inside", open(&path)?)
        })?;
        mount::unmount(Path::new(DOOR))?;
        inside.wake()?;
        me.send(inside.fact()?)?;
        me.send(Fact::outside("open() outside", open(&file)?))
    })
}

fn remove_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut inside = Child::spawn("inside", namespaces, |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.report("mounted at first", is_mounted(DOOR)?)?;
            me.checkpoint()?;
            me.report("mounted at the end", is_mounted(DOOR)?)
        })?;
        let mounted = inside.fact()?;
        let removed = Outcome::of(fs::remove_dir(DOOR).named(|| format!("rmdir(\"{DOOR}\")")))?;
        inside.wake()?;
        me.send(Fact::outside("rmdir() outside", removed))?;
        me.send(mounted)?;
        me.send(inside.fact()?)
    })
}

fn enter_when_it_is_empty(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut member = Child::spawn("member", namespaces, |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.report("mounted", is_mounted(DOOR)?)?;
            me.checkpoint()
        })?;
        member.fact()?;
        let file = NsFile::of(Some(member.pid()), Kind::Mnt)?;
        member.wake()?;
        let end = member.wait()?;
        let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
            file.enter(Some(Kind::Mnt))?;
            me.report("seen after setns()", is_mounted(DOOR)?)
        })?;
        me.send(Fact::outside("the last member", end))?;
        me.send(Fact::outside("seen outside", is_mounted(DOOR)?))?;
        me.send(visitor.fact()?)
    })
}
