//! One user namespace seen from another: what its map shows there, and who may enter it.

use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, inside, outside};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Reporter, idmap, mount, namespace};

use crate::maps::{self, map};
use crate::user::{self, User};

/// The user's ID in the reader's namespace.
const SEVEN: u32 = 7;

const SECOND_COLUMN: Claim = Claim::holds(
    "second-column",
    "Opened in a sibling namespace, uid_map shows IDs of that namespace in its second column.",
)
.factor("a reader in a sibling namespace")
.more(&[68])
.requires(&[Requirement::Probe(every_process_is_shown)]);

pub(crate) const READ_A_MAP: Step = Step {
    title: "Read the uid_map of a process in a user namespace: from its parent namespace, and from a sibling where the user is 7.",
    calls: &["write(\"/proc/self/uid_map\", \"7 UID 1\")", "read(\"/proc/PID/uid_map\")"],
    by_hand: &[
        hand("unshare --user --map-root-user sleep 60 &").prints(""),
        hand("cat /proc/$!/uid_map; unshare --user --map-user=7 cat /proc/$!/uid_map; kill $!")
            .prints("0 <user id> 1\n0 7 1"),
    ],
    claims: &[SECOND_COLUMN],
    run: |lab| {
        lab.compare(SECOND_COLUMN, Namespaces::NONE, Namespaces::USER, map_of_the_first)?
            .shows(inside("uid_map of the first").is(vec![0, SEVEN, 1]))
    },
};

const DOWN: Claim = Claim::holds(
    "down",
    "setns() by the creating user into a user namespace succeeds from its parent; from a sibling, it fails with EPERM.",
)
.factor("the parent namespace as the start")
.more(&[69]);
const UP: Claim = Claim::holds(
    "up",
    "setns() into the parent user namespace fails with EPERM, even with all capabilities inside.",
)
.factor("the parent as the target")
.more(&[69]);
const SAME: Claim = Claim::holds("same", "setns() into the caller's own user namespace fails with EINVAL.")
    .factor("the own namespace as the target")
    .more(&[69]);

const SETNS: &str = "setns(fd, CLONE_NEWUSER)";

pub(crate) const ENTER: Step = Step {
    title: "Call setns() with a user namespace that is the caller's child, sibling, parent or own.",
    calls: &["open(\"/proc/PID/ns/user\")", "setns(fd, CLONE_NEWUSER)"],
    by_hand: &[
        hand("unshare --user --map-root-user sleep 60 &").prints(""),
        hand("nsenter --user --preserve-credentials --target $! id -u  # from its parent").prints("0"),
        hand("unshare -Ur nsenter --user=/proc/self/fd/9 true 9< /proc/$!/ns/user  # a sibling")
            .prints("EPERM"),
        hand("unshare -Ur nsenter --user=/proc/self/fd/9 true 9< /proc/self/ns/user  # from below")
            .prints("EPERM"),
        hand("nsenter --user=/proc/self/ns/user true; kill $!  # itself").prints("EINVAL"),
    ],
    claims: &[DOWN, UP, SAME],
    run: |lab| {
        lab.compare(DOWN, Target::Sibling, Target::Child, enter)?
            .shows(inside(SETNS).from("EPERM").to("OK"))?;
        lab.compare(UP, Target::Child, Target::Parent, enter)?.shows(inside(SETNS).is("EPERM"))?;
        lab.compare(SAME, Target::Child, Target::Own, enter)?.shows(inside(SETNS).is("EINVAL"))
    },
};

const LEAVES: Claim = Claim::holds(
    "leaves",
    "A child is in its parent's user namespace until it calls unshare(CLONE_NEWUSER).",
)
.factor("unshare(CLONE_NEWUSER)")
.more(&[70]);

pub(crate) const LEAVE: Step = Step {
    title: "Compare a child's user namespace with its parent's, without unshare() and with it.",
    calls: &["fork()", "unshare(CLONE_NEWUSER)", "readlink(\"/proc/self/ns/user\")"],
    by_hand: &[
        hand("readlink /proc/self/ns/user; sh -c 'readlink /proc/self/ns/user'").prints("<ns A>\n<ns A>"),
        hand("unshare --user readlink /proc/self/ns/user").prints("<ns B>"),
    ],
    claims: &[LEAVES],
    run: |lab| {
        lab.compare(LEAVES, Namespaces::NONE, Namespaces::USER, own_and_parents)?
            .shows(inside("user namespace").differs_from(outside("user namespace")))
    },
};

/// With hidepid=, a procfs hides processes from a reader in a sibling namespace, even of the same user.
fn every_process_is_shown() -> ns_core::Result<Option<Unmet>> {
    let procfs = mount::at(None, Path::new("/proc"))?;
    let hides = procfs.and_then(|it| it.super_options.get("hidepid").cloned().flatten());
    let hides = hides.filter(|value| !["0", "off"].contains(&value.as_str()));
    Ok(hides.map(|value| {
        let what = format!("a /proc that shows every process: it is mounted with hidepid={value}");
        Unmet::new(what, "as root: mount -o remount,hidepid=0 /proc")
    }))
}

fn map_of_the_first(readers: Namespaces) -> Result<Vec<Fact>> {
    let (maps, uid) = (maps::root_inside(), user::ids().uid);
    let mut user = User::Ordinary.child("user", Namespaces::NONE, move |me| {
        let first = Child::spawn("first", Namespaces::USER, Reporter::stay)?;
        maps.write_for(Some(first.pid()))?;
        let target = first.pid();
        let mut reader = Child::spawn("reader", readers, move |me| {
            if readers.contains(Namespaces::USER) {
                idmap::write_uid_map(None, &format!("{SEVEN} {uid} 1\n"))?;
            }
            me.report("uid_map of the first", map(&idmap::read(Some(target), "uid_map")?))
        })?;
        reader.pass_on(me)
    })?;
    Ok(user.facts()?)
}

/// The namespace to enter, relative to the one that the visitor is in.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    Child,
    Sibling,
    Parent,
    Own,
}

fn enter(target: Target) -> Result<Vec<Fact>> {
    let mut user = User::Ordinary.child("user", Namespaces::NONE, move |me| {
        let member = Child::spawn("member", Namespaces::USER, Reporter::stay)?;
        // Opened before the visitor starts: a sibling may not open this file.
        let (file, from) = match target {
            Target::Child => (NsFile::of(Some(member.pid()), Kind::User)?, Namespaces::NONE),
            Target::Sibling => (NsFile::of(Some(member.pid()), Kind::User)?, Namespaces::USER),
            Target::Parent => (NsFile::of(None, Kind::User)?, Namespaces::USER),
            Target::Own => (NsFile::of(None, Kind::User)?, Namespaces::NONE),
        };
        let mut visitor = Child::spawn("visitor", from, move |me| {
            me.report(SETNS, Outcome::of(file.enter(Some(Kind::User)))?)
        })?;
        visitor.pass_on(me)
    })?;
    Ok(user.facts()?)
}

fn own_and_parents(unshared: Namespaces) -> Result<Vec<Fact>> {
    let mut parent = User::Ordinary.child("parent", Namespaces::NONE, move |me| {
        let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
            namespace::unshare(unshared)?;
            me.report("user namespace", namespace::of_kind(None, Kind::User)?)
        })?;
        me.send(Fact::outside("user namespace", namespace::of_kind(None, Kind::User)?))?;
        child.pass_on(me)
    })?;
    Ok(parent.facts()?)
}
