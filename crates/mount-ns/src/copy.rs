//! The copy: what it has in common with its original, and what becomes of either.

use std::fs;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Value, mount};

use crate::place::{DOOR, open, sees, trial};

pub(crate) const COPY: Claim = Claim::holds(
    "copy",
    "A new mount namespace begins as a copy: the same mounts, each with a new mount ID.",
)
.cause("CLONE_NEWNS")
.notes(&[9]);
pub(crate) const INSIDE_ONLY: Claim =
    Claim::holds("inside-only", "What is mounted inside a mount namespace is not seen outside.")
        .cause("CLONE_NEWNS")
        .notes(&[9]);
pub(crate) const OUTSIDE_ONLY: Claim =
    Claim::holds("outside-only", "What is mounted outside after the copy was made is not seen inside.")
        .cause("CLONE_NEWNS")
        .notes(&[9]);
pub(crate) const SAME_FILES: Claim = Claim::holds(
    "same-files",
    "Mounts are copied, files are not: what is written below a copied mount is seen on both sides.",
)
.cause("a mount that was copied")
.notes(&[9]);
pub(crate) const KEPT: Claim =
    Claim::holds("kept", "What is unmounted outside stays mounted inside, and its filesystem lives on.")
        .cause("CLONE_NEWNS")
        .notes(&[9]);
pub(crate) const REMOVED: Claim = Claim::holds(
    "removed",
    "A directory that is a mount point inside alone can be removed outside, and the mount goes with it.",
)
.cause("CLONE_NEWNS")
.more(&[86]);
pub(crate) const HELD: Claim = Claim::holds(
    "held",
    "Without a member, an open /proc/PID/ns/mnt keeps the namespace and its mounts; setns() leads to them.",
)
.cause("CLONE_NEWNS")
.notes(&[20]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Compare the mounts of a plain child with those of a child in a new mount namespace.",
        calls: &["clone3(0)", "clone3(CLONE_NEWNS)", "open(\"/proc/PID/mountinfo\")"],
        by_hand: &[
            "wc -l /proc/self/mountinfo; unshare -Urm wc -l /proc/self/mountinfo",
            "grep \" / / \" /proc/self/mountinfo; unshare -Urm grep \" / / \" /proc/self/mountinfo",
        ],
    })?;
    lab.claim(COPY).without(compare(Namespaces::NONE)?).with(compare(Namespaces::MNT)?).shows(|list| {
        list.outside("the same mount points").is_some_and(|it| *it == "yes")
            && list.outside("mount IDs in common").is_some_and(|it| *it == "none")
    })?;

    lab.step(Step {
        goal: "Mount a tmpfs, once inside and once outside, and look from the other side.",
        calls: &["mount(\"tmpfs\", \"/mnt/door\", \"tmpfs\")"],
        by_hand: &["unshare -Urm sh -c 'mount -t tmpfs inside /mnt; findmnt /mnt'; findmnt /mnt"],
    })?;
    lab.claim(INSIDE_ONLY)
        .without(mount_inside(Namespaces::NONE)?)
        .with(mount_inside(Namespaces::MNT)?)
        .shows(|seen| {
            seen.outside("seen outside").is_some_and(|it| *it == "no")
                && seen.inside("seen inside").is_some_and(|it| *it == "yes")
        })?;
    lab.claim(OUTSIDE_ONLY)
        .without(mount_outside(Namespaces::NONE)?)
        .with(mount_outside(Namespaces::MNT)?)
        .shows(|seen| {
        seen.outside("seen outside").is_some_and(|it| *it == "yes")
            && seen.inside("seen inside").is_some_and(|it| *it == "no")
    })?;

    lab.step(Step {
        goal: "Write a file inside, below a mount that both sides have and below one that was mounted inside.",
        calls: &["open(\"/mnt/door/file\", O_CREAT)"],
        by_hand: &[
            "f=$(mktemp -u); unshare -Urm sh -c \"echo hello > $f\"; cat $f; rm $f",
            "unshare -Urm sh -c 'mount -t tmpfs inside /mnt; echo hello > /mnt/file'; cat /mnt/file",
        ],
    })?;
    lab.claim(SAME_FILES)
        .without(write_inside(false)?)
        .with(write_inside(cause(true, false))?)
        .shows(|file| *file == "OK")?;

    lab.step(Step {
        goal: "Unmount outside what was copied, and look for its file inside; then remove, outside, a directory that is a mount point inside.",
        calls: &["umount2(\"/mnt/door\", MNT_DETACH)", "rmdir(\"/mnt/door\")"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; mkdir /mnt/y /mnt/z; mount -t tmpfs y /mnt/y; touch /mnt/y/file; unshare -m sleep 60 & sleep 1",
            "umount /mnt/y; ls /mnt/y; nsenter -t $! -m ls /mnt/y",
            "rmdir /mnt/y && echo removed; nsenter -t $! -m ls /mnt; kill $!; exit",
        ],
    })?;
    lab.claim(KEPT)
        .without(unmount_outside(Namespaces::NONE)?)
        .with(unmount_outside(Namespaces::MNT)?)
        .shows(|file| *file == "OK")?;
    lab.claim(REMOVED)
        .without(remove_outside(Namespaces::NONE)?)
        .with(remove_outside(Namespaces::MNT)?)
        .shows(|seen| {
            seen.outside("rmdir() outside").is_some_and(|it| *it == "OK")
                && seen.inside("mounted at the end").is_some_and(|it| *it == "no")
        })?;

    lab.step(Step {
        goal: "Open the mount namespace of a process that mounts something and ends; then enter it, and look for that mount.",
        calls: &["open(\"/proc/PID/ns/mnt\")", "exit(0)", "setns(fd, CLONE_NEWNS)"],
        by_hand: &[
            "unshare -Urm sh -c 'mount -t tmpfs inside /mnt; exec sleep 60' & sleep 1",
            "exec 8</proc/$!/ns/user 9</proc/$!/ns/mnt; kill $!; wait $!",
            "nsenter --user=/proc/self/fd/8 --mount=/proc/self/fd/9 --preserve-credentials findmnt /mnt; exec 8<&- 9<&-",
        ],
    })?;
    lab.claim(HELD)
        .without(enter_when_it_is_empty(Namespaces::NONE)?)
        .with(enter_when_it_is_empty(Namespaces::MNT)?)
        .shows(|seen| {
            seen.inside("seen after setns()").is_some_and(|it| *it == "yes")
                && seen.outside("seen outside").is_some_and(|it| *it == "no")
        })?;
    Ok(())
}

fn compare(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let child = Child::spawn("inside", namespaces, ns_core::Witness::stay)?;
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

fn mount_inside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut inside = Child::spawn("inside", namespaces, |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.saw("seen inside", sees(DOOR)?)?;
            me.stay() // the mount would go with its namespace
        })?;
        let seen = inside.hear()?;
        me.tell(Fact::outside("seen outside", sees(DOOR)?))?;
        me.tell(seen)
    })
}

fn mount_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut inside = Child::spawn("inside", namespaces, |me| {
            me.pause()?;
            me.saw("seen inside", sees(DOOR)?)
        })?;
        mount::mount("tmpfs", Path::new(DOOR))?;
        inside.release()?;
        me.tell(inside.hear()?)?;
        me.tell(Fact::outside("seen outside", sees(DOOR)?))
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
            me.saw("write() inside", Outcome::of(fs::write(&path, "hello").named(|| "write()".into()))?)?;
            me.stay()
        })?;
        let written = inside.hear()?;
        me.tell(Fact::outside("open() outside", open(&file)?))?;
        me.tell(written)
    })
}

fn unmount_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let file = Path::new(DOOR).join("file");
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        fs::write(&file, "hello").named(|| "write()".into())?;
        let path = file.clone();
        let mut inside = Child::spawn("inside", namespaces, move |me| {
            me.pause()?;
            me.saw("open() inside", open(&path)?)
        })?;
        mount::unmount(Path::new(DOOR))?;
        inside.release()?;
        me.tell(inside.hear()?)?;
        me.tell(Fact::outside("open() outside", open(&file)?))
    })
}

fn remove_outside(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut inside = Child::spawn("inside", namespaces, |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.saw("mounted at first", sees(DOOR)?)?;
            me.pause()?;
            me.saw("mounted at the end", sees(DOOR)?)
        })?;
        let mounted = inside.hear()?;
        let removed = Outcome::of(fs::remove_dir(DOOR).named(|| format!("rmdir(\"{DOOR}\")")))?;
        inside.release()?;
        me.tell(Fact::outside("rmdir() outside", removed))?;
        me.tell(mounted)?;
        me.tell(inside.hear()?)
    })
}

fn enter_when_it_is_empty(namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut member = Child::spawn("member", namespaces, |me| {
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.saw("mounted", sees(DOOR)?)?;
            me.pause()
        })?;
        member.hear()?;
        let namespace = NsFile::of(Some(member.pid()), Kind::Mnt)?;
        member.release()?;
        let end = member.wait()?;
        let mut visitor = Child::spawn("visitor", Namespaces::NONE, move |me| {
            namespace.enter(Some(Kind::Mnt))?;
            me.saw("seen after setns()", sees(DOOR)?)
        })?;
        me.tell(Fact::outside("the last member", end))?;
        me.tell(Fact::outside("seen outside", sees(DOOR)?))?;
        me.tell(visitor.hear()?)
    })
}
