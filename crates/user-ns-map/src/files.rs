//! Which files root inside can use: those whose owner is mapped.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, hand, inside, outside, right, unmet, wrong};
use nix::unistd::getuid;
use ns_core::probe::Unmet;
use ns_core::{Capability, Errno, Fact, Named, Namespaces, Outcome, idmap};
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::maps::{self, id};
use crate::user::{self, User};

const ROOTS_DIRECTORY: &str = "/root";
const ROOTS_FILE: &str = "/etc/shadow";
/// Only its owner can list it, as with /root.
const OWN_DIRECTORY: &str = "/proc/self/fd";

const ROOTS_HOME: Claim = Claim::holds(
    "roots-home",
    "opendir(\"/root\") by root inside fails with EACCES: the owner of /root is not mapped.",
)
.factor("an unmapped owner")
.notes(&[115])
.requires(&[Requirement::Probe(closed_to_users)]);

pub(crate) const LIST_DIRECTORIES: Step = Step {
    title: "As root inside, list two directories that only their owners can list: the process's own, and /root.",
    calls: &["stat(\"/root\")", "opendir(\"/root\")"],
    by_hand: &[hand("unshare --user --map-root-user sh -c 'whoami; ls -ld /root; ls /root'")
        .prints("root\ndrwx------ … nobody nogroup …\nEACCES")],
    claims: &[ROOTS_HOME],
    run: |lab| {
        let (overflow_uid, _) = idmap::overflow_ids()?;
        lab.compare(ROOTS_HOME, OWN_DIRECTORY, ROOTS_DIRECTORY, list)?
            .in_both_arms(inside("getuid()").is(0))
            .shows(inside("directory's owner").is(overflow_uid) & inside("opendir()").is("EACCES"))
    },
};

const OWNER: Claim = Claim::holds(
    "owner",
    "stat() of a file that root inside creates shows owner 0 inside, and the user's own ID outside.",
)
.factor("CLONE_NEWUSER")
.notes(&[112, 133])
.core(&[Row::inside("owner of a new file", "owner"), Row::outside("owner, outside", "owner")])
.asks(
    "Root inside, which is user 1000 outside, creates a file. Which owner does `ls` on the host show?",
    &[
        right("1000, the user outside"),
        wrong("0, root", "inside, `ls` shows root as the owner"),
        wrong("65534, nobody", "the overflow ID shows where an ID is not mapped"),
    ],
);

pub(crate) const CREATE_A_FILE: Step = Step {
    title: "Create a file, in memory so that nothing is left, and read its owner on both sides.",
    calls: &["memfd_create()", "fstat()"],
    by_hand: &[
        hand("f=$(mktemp --dry-run); unshare --user --map-root-user sh -c \"touch $f; stat -c %u $f\"")
            .prints("0"),
        hand("id -u; stat -c %u $f; rm $f").prints("<user id>\n<user id>"),
    ],
    claims: &[OWNER],
    run: |lab| {
        lab.compare(OWNER, Namespaces::NONE, Namespaces::USER, owner_on_both_sides)?
            .in_both_arms(outside("owner").is(id(user::ids().uid)))
            .shows(inside("owner").is(0))
    },
};

const OVERRIDE: Claim = Claim::holds(
    "override",
    "Root inside can open a file of mode 0000 for reading if its user and group are mapped.",
)
.factor("CLONE_NEWUSER")
.notes(&[133]);
const NOT_MAPPED: Claim = Claim::holds(
    "not-mapped",
    "open(\"/etc/shadow\") by root inside fails with EACCES: the owner of the file is not mapped.",
)
.factor("an unmapped owner")
.notes(&[133])
.requires(&[Requirement::Probe(closed_to_users)]);

pub(crate) const OPEN_FILES: Step = Step {
    title: "As root inside, open the user's own file of mode 0000, then /etc/shadow, which is root's.",
    calls: &["fchmod(fd, 0)", "open(file, O_RDONLY)"],
    by_hand: &[
        hand("f=$(mktemp); echo text > $f; chmod 0 $f; cat $f").prints("EACCES"),
        hand("unshare --user --map-root-user cat $f; rm -f $f").prints("text"),
        hand("unshare --user --map-root-user cat /etc/shadow").prints("EACCES"),
    ],
    claims: &[OVERRIDE, NOT_MAPPED],
    run: |lab| {
        lab.compare(OVERRIDE, Namespaces::NONE, Namespaces::USER, |namespaces| open(namespaces, None))?
            .shows(inside("open()").from("EACCES").to("OK"))?;
        lab.compare(NOT_MAPPED, None, Some(ROOTS_FILE), |path| open(Namespaces::USER, path))?
            .shows(inside("open()").is("EACCES"))
    },
};

const OUTSIDE_COUNTS: Claim = Claim::holds(
    "outside-counts",
    "IDs outside decide on files: with no ID mapped, root can list /root, and a user gets EACCES.",
)
.factor("root outside")
.notes(&[115, 133])
.requires(&[Requirement::Capability(Capability::CAP_SETUID), Requirement::Probe(closed_to_users)]);

pub(crate) const LIST_AS_NOBODY: Step = Step {
    title: "Let a user and root each create a user namespace, write no map, and list /root.",
    calls: &["unshare(CLONE_NEWUSER)", "getuid()", "opendir(\"/root\")"],
    by_hand: &[
        hand("unshare --user sh -c 'id -u; ls -a /root'").prints("65534\nEACCES"),
        hand("unshare --user sh -c 'id -u; ls -ad /root/.'").as_root().prints("65534\n/root/."),
    ],
    claims: &[OUTSIDE_COUNTS],
    run: |lab| {
        let (overflow_uid, _) = idmap::overflow_ids()?;
        lab.compare(OUTSIDE_COUNTS, User::Ordinary, User::Root, list_as_nobody)?
            .in_both_arms(inside("getuid()").is(overflow_uid))
            .shows(inside("opendir(\"/root\")").from("EACCES").to("OK"))
    },
};

fn list(directory: &str) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut inside = User::Ordinary.child("root inside", Namespaces::USER, |me| {
        maps.write_for(None)?;
        me.report("getuid()", id(getuid().as_raw()))?;
        me.report("directory", directory)?;
        me.report("directory's owner", id(owner_of(directory)?))?;
        me.report("opendir()", try_to_list(directory)?)
    })?;
    Ok(inside.facts()?)
}

fn list_as_nobody(user: User) -> Result<Vec<Fact>> {
    let mut inside = user.child("nobody inside", Namespaces::USER, |me| {
        me.report("getuid()", id(getuid().as_raw()))?;
        me.report("opendir(\"/root\")", try_to_list(ROOTS_DIRECTORY)?)
    })?;
    Ok(inside.facts()?)
}

fn owner_on_both_sides(namespaces: Namespaces) -> Result<[Fact; 2]> {
    let maps = maps::root_inside();
    let mut child = User::Ordinary.child("root inside", namespaces, |me| {
        maps::write_where_new(&maps)?;
        let file = file_in_memory()?;
        me.report("owner", id(owner_of(&path_of(&file, "self"))?))?;
        me.report("descriptor", file.as_raw_fd())?;
        me.stay()
    })?;
    let seen_inside = child.fact()?;
    let path = format!("/proc/{}/fd/{}", child.pid(), child.fact()?.value);
    Ok([Fact::outside("owner", id(owner_of(&path)?)), seen_inside])
}

/// Opens `path`. `None` is a file of mode 0000 that the user owns.
fn open(namespaces: Namespaces, path: Option<&str>) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut child = User::Ordinary.child("root inside", namespaces, |me| {
        maps::write_where_new(&maps)?;
        let own = file_in_memory()?;
        fchmod(&own, Mode::empty()).named(|| "fchmod(own file, 0)".into())?;
        let own = path_of(&own, "self");
        let path = path.unwrap_or(&own);
        me.report("open()", try_to_open(path)?)?;
        me.report("file's owner", id(owner_of(path)?))
    })?;
    Ok(child.facts()?)
}

/// A file without a name. It is deleted when the process ends.
fn file_in_memory() -> ns_core::Result<OwnedFd> {
    let create = |flags| memfd_create("own file", flags | MemfdFlags::CLOEXEC);
    match create(MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3, which lacks the flag.
        Err(rustix::io::Errno::INVAL) => create(MemfdFlags::empty()),
        other => other,
    }
    .named(|| "memfd_create(\"own file\")".into())
}

fn path_of(file: &OwnedFd, process: &str) -> String {
    format!("/proc/{process}/fd/{}", file.as_raw_fd())
}

fn owner_of(path: &str) -> ns_core::Result<u32> {
    Ok(fs::metadata(path).named(|| format!("stat(\"{path}\")"))?.uid())
}

fn try_to_list(path: &str) -> ns_core::Result<Outcome> {
    Outcome::of(fs::read_dir(path).named(|| format!("opendir(\"{path}\")")))
}

fn try_to_open(path: &str) -> ns_core::Result<Outcome> {
    Outcome::of(fs::File::open(path).named(|| format!("open(\"{path}\")")))
}

/// What this machine lacks: /root and /etc/shadow belong to root and are closed to an ordinary user. A child tries.
fn closed_to_users() -> ns_core::Result<Option<Unmet>> {
    let child = User::Ordinary.child("probe", Namespaces::NONE, |me| {
        let closed = Outcome::Failed(Errno::EACCES);
        for (path, answer) in
            [(ROOTS_DIRECTORY, try_to_list(ROOTS_DIRECTORY)?), (ROOTS_FILE, try_to_open(ROOTS_FILE)?)]
        {
            if answer != closed || owner_of(path)? != 0 {
                let what = format!("a {path} of root that is closed to this user (open() returned {answer})");
                let remedy = "run as an ordinary user on a system with such a file";
                return unmet::report(me, &Unmet::new(what, remedy));
            }
        }
        Ok(())
    })?;
    unmet::reported_by(child)
}
