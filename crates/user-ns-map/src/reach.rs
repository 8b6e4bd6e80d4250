//! How far that root reaches: to what its namespaces own, and to files whose owner is mapped.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use nix::unistd::getuid;
use ns_core::error::Named;
use ns_core::idmap::{self, IdMaps};
use ns_core::probe::Missing;
use ns_core::{Capability, Child, Errno, Fact, Namespaces, Outcome, Spawn, mount, uts};
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};

use crate::person::{self, Person, id};

pub(crate) const ELSEWHERE: Claim = Claim::holds(
    "elsewhere",
    "Root inside may not set the hostname or mount in namespaces that its user namespace does not own: EPERM.",
)
.cause("CLONE_NEWUSER")
.notes(&[114]);
pub(crate) const ITS_OWN: Claim = Claim::holds(
    "its-own",
    "Root inside may do both in UTS and mount namespaces that its user namespace owns.",
)
.cause("CLONE_NEWUTS|CLONE_NEWNS")
.notes(&[114]);
pub(crate) const ROOTS_HOME: Claim = Claim::holds(
    "roots-home",
    "Root inside may not list /root: its owner is not mapped, and shows as nobody, 65534.",
)
.cause("an unmapped owner")
.notes(&[115])
.needs(&[Need::Probe(roots_places)])
.misconceptions(&[(
    "the directory = /root; its owner = 0; opendir() = OK",
    "id says uid=0(root), and all capabilities are there, CAP_DAC_OVERRIDE among them",
)]);
pub(crate) const OWNER: Claim = Claim::holds(
    "owner",
    "A file that root inside makes belongs to the user outside; fstat() says 0 inside, the user's ID outside.",
)
.cause("CLONE_NEWUSER")
.notes(&[112, 133]);
pub(crate) const OVERRIDE: Claim =
    Claim::holds("override", "Root inside opens the user's own files even with mode 0000.")
        .cause("CLONE_NEWUSER")
        .notes(&[133]);
pub(crate) const NOT_MAPPED: Claim = Claim::holds(
    "not-mapped",
    "No capability inside opens a file whose owner is not mapped: /etc/shadow gives EACCES.",
)
.cause("an unmapped owner")
.notes(&[133])
.needs(&[Need::Probe(roots_places)]);
pub(crate) const OUTSIDE_COUNTS: Claim = Claim::holds(
    "outside-counts",
    "For files the IDs outside count: of two who are nobody inside, the one who is root outside may list /root.",
)
.cause("root outside")
.notes(&[115, 133])
.needs(&[Need::Capability(Capability::CAP_SETUID), Need::Probe(roots_places)]);

const ROOTS_DIRECTORY: &str = "/root";
const ROOTS_FILE: &str = "/etc/shadow";
/// Closed to all but its owner, as /root is.
const OWN_DIRECTORY: &str = "/proc/self/fd";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Let root inside set the hostname and mount a tmpfs, in namespaces of its parent's and of its own.",
        calls: &["sethostname(\"inside\")", "mount(\"tmpfs\", \"/tmp\", \"tmpfs\")"],
        by_hand: &[
            "unshare --user --map-root-user hostname inside",
            "unshare --user --map-root-user --uts sh -c 'hostname inside; hostname'",
        ],
    })?;
    let both = |answer: &'static str| {
        move |seen: &lesson::Observation| seen.facts().iter().all(|fact| fact.value == answer)
    };
    let refused = set_hostname_and_mount(Namespaces::USER)?;
    lab.claim(ELSEWHERE)
        .without(set_hostname_and_mount(Namespaces::NONE)?)
        .with(refused.clone())
        .shows(both("EPERM"))?;
    lab.claim(ITS_OWN)
        .without(refused)
        .with(set_hostname_and_mount(Namespaces::USER | Namespaces::UTS | Namespaces::MNT)?)
        .shows(both("OK"))?;

    if lab.can_ask(&[ROOTS_HOME])? {
        lab.step(Step {
            goal: "As root inside, list two directories that are closed to all but their owners.",
            calls: &["stat(\"/root\")", "opendir(\"/root\")"],
            by_hand: &["unshare --user --map-root-user sh -c 'whoami; ls -ld /root; ls /root'"],
        })?;
        lab.claim(ROOTS_HOME)
            .without(list(OWN_DIRECTORY)?)
            .with(list(cause(ROOTS_DIRECTORY, OWN_DIRECTORY))?)
            .shows(|seen| {
                seen.inside("getuid()").is_some_and(|it| *it == 0)
                    && seen.inside("opendir()").is_some_and(|it| *it == "EACCES")
            })?;
    }

    lab.step(Step {
        goal: "Make a file, in memory so that nothing is left, and ask on both sides whose it is.",
        calls: &["memfd_create()", "fstat()"],
        by_hand: &[
            "f=$(mktemp --dry-run); unshare --user --map-root-user sh -c \"touch $f; stat -c %u $f\"",
            "stat -c %u $f; rm $f",
        ],
    })?;
    let user = id(person::ids().uid);
    lab.claim(OWNER)
        .without(owner_on_both_sides(Namespaces::NONE)?)
        .with(owner_on_both_sides(Namespaces::USER)?)
        .shows(|seen| {
            seen.inside("owner").is_some_and(|it| *it == 0) && seen.outside("owner") == Some(&user)
        })?;

    lab.step(Step {
        goal: "Open the user's own file of mode 0000, then a file of root's, which is closed to users.",
        calls: &["fchmod(fd, 0)", "open(file, O_RDONLY)"],
        by_hand: &[
            "f=$(mktemp); chmod 0 $f; cat $f; unshare --user --map-root-user cat $f; rm -f $f",
            "unshare --user --map-root-user cat /etc/shadow",
        ],
    })?;
    let own = open_inside(Namespaces::USER, None)?;
    lab.claim(OVERRIDE)
        .without(open_inside(Namespaces::NONE, None)?)
        .with(own.clone())
        .shows(|answer| *answer == "OK")?;
    if lab.can_ask(&[NOT_MAPPED])? {
        lab.claim(NOT_MAPPED)
            .without(own)
            .with(open_inside(Namespaces::USER, cause(Some(ROOTS_FILE), None))?)
            .shows(|answer| *answer == "EACCES")?;
    }

    if lab.can_ask(&[OUTSIDE_COUNTS])? {
        lab.step(Step {
            goal: "Let a user and root each move into a user namespace, map nobody, and list /root.",
            calls: &["unshare(CLONE_NEWUSER)", "getuid()", "opendir(\"/root\")"],
            by_hand: &[
                "unshare --user sh -c 'id -u; ls -a /root'",
                "sudo unshare --user sh -c 'id -u; ls -a /root'",
            ],
        })?;
        let (overflow_uid, _) = idmap::overflow_ids()?;
        lab.claim(OUTSIDE_COUNTS)
            .without(list_as_nobody(Person::User)?)
            .with(list_as_nobody(cause(Person::Root, Person::User))?)
            .shows(|seen| {
                seen.inside("getuid()").is_some_and(|it| *it == overflow_uid)
                    && seen.inside("opendir(\"/root\")").is_some_and(|it| *it == "OK")
            })?;
    }
    Ok(())
}

fn set_hostname_and_mount(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let maps = person::root_inside();
    let mut user = Person::User.child("user", Namespaces::NONE, move |me| {
        // Around both arms, so that no hostname and no mount of the machine is at stake.
        let around = Namespaces::USER | Namespaces::UTS | Namespaces::MNT;
        let owner = Spawn::new("owner").namespaces_always(around).maps(maps).run(move |me| {
            mount::make_private()?;
            let child = Child::spawn("root inside", namespaces, move |me| {
                if namespaces.contains(Namespaces::USER) {
                    IdMaps::own(0, 0, 0).write_for(None)?;
                }
                me.saw("sethostname(\"inside\")", Outcome::of(uts::set_hostname("inside"))?)?;
                me.saw("mount(tmpfs)", Outcome::of(mount::mount("tmpfs", Path::new("/tmp")))?)
            })?;
            person::tell_all_of(child, me)
        })?;
        person::tell_all_of(owner, me)
    })?;
    Ok(user.hear_all()?)
}

fn list(directory: &'static str) -> Result<Vec<Fact>> {
    let maps = person::root_inside();
    let mut inside = Person::User.child("root inside", Namespaces::USER, move |me| {
        maps.write_for(None)?;
        me.saw("getuid()", id(getuid().as_raw()))?;
        me.saw("the directory", directory)?;
        me.saw("its owner", id(owner_of(directory)?))?;
        me.saw("opendir()", try_to_list(directory)?)
    })?;
    Ok(inside.hear_all()?)
}

fn list_as_nobody(who: Person) -> Result<Vec<Fact>> {
    let mut inside = who.child("nobody inside", Namespaces::USER, |me| {
        me.saw("getuid()", id(getuid().as_raw()))?;
        me.saw("opendir(\"/root\")", try_to_list(ROOTS_DIRECTORY)?)
    })?;
    Ok(inside.hear_all()?)
}

fn owner_on_both_sides(namespaces: Namespaces) -> Result<[Fact; 2]> {
    let maps = person::root_inside();
    let mut inside = Person::User.child("root inside", namespaces, move |me| {
        person::map_where_new(&maps)?;
        let file = file_in_memory()?;
        me.saw("owner", id(owner_of(&path_of(&file, "self"))?))?;
        me.saw("descriptor", file.as_raw_fd())?;
        me.stay()
    })?;
    let seen_inside = inside.hear()?;
    let path = format!("/proc/{}/fd/{}", inside.pid(), inside.hear()?.value);
    Ok([Fact::outside("owner", id(owner_of(&path)?)), seen_inside])
}

/// Opens `path`, or else a file of the user's own that has mode 0000.
fn open_inside(namespaces: Namespaces, path: Option<&'static str>) -> Result<Vec<Fact>> {
    let maps = person::root_inside();
    let mut inside = Person::User.child("root inside", namespaces, move |me| {
        person::map_where_new(&maps)?;
        let own = file_in_memory()?;
        fchmod(&own, Mode::empty()).named(|| "fchmod(own file, 0)".into())?;
        let opened = path.map_or_else(|| try_to_open(&path_of(&own, "self")), try_to_open)?;
        me.saw("open()", opened)?;
        let owner = path.map_or_else(|| owner_of(&path_of(&own, "self")), owner_of)?;
        me.saw("the file's owner", id(owner))
    })?;
    Ok(inside.hear_all()?)
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
fn roots_places() -> ns_core::Result<Option<Missing>> {
    let mut child = Person::User.child("probe", Namespaces::NONE, |me| {
        let closed = Outcome::Failed(Errno::EACCES);
        for (path, answer) in
            [(ROOTS_DIRECTORY, try_to_list(ROOTS_DIRECTORY)?), (ROOTS_FILE, try_to_open(ROOTS_FILE)?)]
        {
            if answer != closed || owner_of(path)? != 0 {
                let what = format!("{path} is not root's and closed to this user (open() gives {answer})");
                return person::tell_missing(
                    me,
                    Missing::new(what, "run on a system where it is, as an ordinary user"),
                );
            }
        }
        Ok(())
    })?;
    person::missing_as_told(&mut child)
}
