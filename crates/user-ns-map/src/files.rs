//! How far that root reaches among files: to those whose owner is mapped.

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
/// Closed to all but its owner, as /root is.
const OWN_DIRECTORY: &str = "/proc/self/fd";

const ROOTS_HOME: Claim = Claim::holds(
    "roots-home",
    "Root inside may not list /root: its owner is not mapped, and shows as nobody, 65534.",
)
.factor("an unmapped owner")
.notes(&[115])
.requires(&[Requirement::Probe(roots_places)]);

pub(crate) const LIST_DIRECTORIES: Step = Step {
    title: "As root inside, list two directories that are closed to all but their owners.",
    calls: &["stat(\"/root\")", "opendir(\"/root\")"],
    by_hand: &[hand("unshare --user --map-root-user sh -c 'whoami; ls -ld /root; ls /root'")
        .prints("root\ndrwx------ … nobody nogroup …\nEACCES")],
    claims: &[ROOTS_HOME],
    run: |lab| {
        let (overflow_uid, _) = idmap::overflow_ids()?;
        lab.compare(ROOTS_HOME, OWN_DIRECTORY, ROOTS_DIRECTORY, list)?.shows(
            inside("getuid()").is(0)
                & inside("its owner").is(overflow_uid)
                & inside("opendir()").is("EACCES"),
        )
    },
};

const OWNER: Claim = Claim::holds(
    "owner",
    "A file that root inside makes belongs to the user outside; fstat() says 0 inside, the user's ID outside.",
)
.factor("CLONE_NEWUSER")
.notes(&[112, 133])
.core(&[Row::inside("new file: its owner", "owner"), Row::outside("owner, outside", "owner")])
.asks(
    "Root inside, which is user 1000 outside, creates a file. Which owner does the host's ls show?",
    &[
        right("1000, the user outside"),
        wrong("0, root", "inside, ls shows root as its owner"),
        wrong("65534, nobody", "that is what shows where an ID is not mapped"),
    ],
);

pub(crate) const MAKE_A_FILE: Step = Step {
    title: "Make a file, in memory so that nothing is left, and ask on both sides whose it is.",
    calls: &["memfd_create()", "fstat()"],
    by_hand: &[
        hand("f=$(mktemp --dry-run); unshare --user --map-root-user sh -c \"touch $f; stat -c %u $f\"")
            .prints("0"),
        hand("id -u; stat -c %u $f; rm $f").prints("<user id>\n<user id>"),
    ],
    claims: &[OWNER],
    run: |lab| {
        lab.compare(OWNER, Namespaces::NONE, Namespaces::USER, owner_on_both_sides)?
            .shows(inside("owner").is(0) & outside("owner").is(id(user::ids().uid)))
    },
};

const OVERRIDE: Claim =
    Claim::holds("override", "Root inside opens even with mode 0000 a file whose user and group are mapped.")
        .factor("CLONE_NEWUSER")
        .notes(&[133]);
const NOT_MAPPED: Claim = Claim::holds(
    "not-mapped",
    "No capability inside opens a file whose owner is not mapped: /etc/shadow gives EACCES.",
)
.factor("an unmapped owner")
.notes(&[133])
.requires(&[Requirement::Probe(roots_places)]);

pub(crate) const OPEN_FILES: Step = Step {
    title: "Open the user's own file of mode 0000, then a file of root's, which is closed to users.",
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
    "For files the IDs outside count: of two who are nobody inside, the one who is root outside may list /root.",
)
.factor("root outside")
.notes(&[115, 133])
.requires(&[Requirement::Capability(Capability::CAP_SETUID), Requirement::Probe(roots_places)]);

pub(crate) const LIST_AS_NOBODY: Step = Step {
    title: "Let a user and root each move into a user namespace, map nobody, and list /root.",
    calls: &["unshare(CLONE_NEWUSER)", "getuid()", "opendir(\"/root\")"],
    by_hand: &[
        hand("unshare --user sh -c 'id -u; ls -a /root'").prints("65534\nEACCES"),
        hand("unshare --user sh -c 'id -u; ls -ad /root/.'").as_root().prints("65534\n/root/."),
    ],
    claims: &[OUTSIDE_COUNTS],
    run: |lab| {
        let (overflow_uid, _) = idmap::overflow_ids()?;
        lab.compare(OUTSIDE_COUNTS, User::Ordinary, User::Root, list_as_nobody)?
            .shows(inside("getuid()").is(overflow_uid) & inside("opendir(\"/root\")").from("EACCES").to("OK"))
    },
};

fn list(directory: &str) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut inside = User::Ordinary.child("root inside", Namespaces::USER, |me| {
        maps.write_for(None)?;
        me.report("getuid()", id(getuid().as_raw()))?;
        me.report("the directory", directory)?;
        me.report("its owner", id(owner_of(directory)?))?;
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

/// Opens `path`, or else a file of the user's own that has mode 0000.
fn open(namespaces: Namespaces, path: Option<&str>) -> Result<Vec<Fact>> {
    let maps = maps::root_inside();
    let mut child = User::Ordinary.child("root inside", namespaces, |me| {
        maps::write_where_new(&maps)?;
        let own = file_in_memory()?;
        fchmod(&own, Mode::empty()).named(|| "fchmod(own file, 0)".into())?;
        let own = path_of(&own, "self");
        let path = path.unwrap_or(&own);
        me.report("open()", try_to_open(path)?)?;
        me.report("the file's owner", id(owner_of(path)?))
    })?;
    Ok(child.facts()?)
}

/// A file without a name, which goes with the process.
fn file_in_memory() -> ns_core::Result<OwnedFd> {
    let create = |flags| memfd_create("own file", flags | MemfdFlags::CLOEXEC);
    match create(MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3, where a file in memory was always executable.
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

/// What this machine lacks of the places that are root's and closed to an ordinary user: a child tries to get in.
fn roots_places() -> ns_core::Result<Option<Unmet>> {
    let child = User::Ordinary.child("probe", Namespaces::NONE, |me| {
        let closed = Outcome::Failed(Errno::EACCES);
        for (path, answer) in
            [(ROOTS_DIRECTORY, try_to_list(ROOTS_DIRECTORY)?), (ROOTS_FILE, try_to_open(ROOTS_FILE)?)]
        {
            if answer != closed || owner_of(path)? != 0 {
                let what = format!("{path} is not root's and closed to this user (open() gives {answer})");
                let remedy = "run on a system where it is, as an ordinary user";
                return unmet::report(me, &Unmet::new(what, remedy));
            }
        }
        Ok(())
    })?;
    unmet::reported_by(child)
}
