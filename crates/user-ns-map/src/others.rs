//! One user namespace seen from another: what its map says there, and who may enter.

use anyhow::Result;
use lesson::{Claim, Lab, Step};
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Value, Witness, idmap, namespace};

use crate::person::{self, Person, map};

pub(crate) const SECOND_COLUMN: Claim = Claim::holds(
    "second-column",
    "The second column of uid_map is in the numbers of whoever opens it: a sibling where the user is 7 reads 7.",
)
.cause("a reader in a sibling namespace")
.more(&[68]);
pub(crate) const DOWN: Claim = Claim::holds(
    "down",
    "The user who made a user namespace may enter it from the parent namespace; a sibling gets EPERM.",
)
.cause("starting from the parent")
.more(&[69]);
pub(crate) const UP: Claim = Claim::holds(
    "up",
    "No way leads up: setns() into the parent user namespace gives EPERM, with all capabilities.",
)
.cause("an ancestor as the target")
.more(&[69]);
pub(crate) const SAME: Claim =
    Claim::holds("same", "setns() into the user namespace that one is in gives EINVAL.")
        .cause("one's own namespace as the target")
        .more(&[69]);
pub(crate) const LEAVES: Claim = Claim::holds(
    "leaves",
    "A child stays in its parent's user namespace, until it calls unshare(CLONE_NEWUSER).",
)
.cause("unshare(CLONE_NEWUSER)")
.more(&[70]);

/// What the user is called in the reader's namespace.
const SEVEN: u32 = 7;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Read the uid_map of a process whose root is the user: from outside, and from a sibling namespace.",
        calls: &["write(\"/proc/self/uid_map\", \"7 UID 1\")", "read(\"/proc/PID/uid_map\")"],
        by_hand: &[
            "unshare --user --map-root-user sleep 9 &",
            "sleep 1; cat /proc/$!/uid_map; unshare --user --map-user=7 cat /proc/$!/uid_map",
        ],
    })?;
    lab.claim(SECOND_COLUMN)
        .without(map_of_the_first(Namespaces::NONE)?)
        .with(map_of_the_first(Namespaces::USER)?)
        .shows(|seen| *seen.value() == Value::from(vec![0, SEVEN, 1]))?;

    lab.step(Step {
        goal: "Enter a user namespace of the user's by setns(), from its parent, from a sibling, from below and from itself.",
        calls: &["open(\"/proc/PID/ns/user\")", "setns(fd, CLONE_NEWUSER)"],
        by_hand: &[
            "unshare --user --map-root-user sleep 9 &",
            "sleep 1; nsenter --user --preserve-credentials --target $! id -u",
            "unshare --user --map-root-user nsenter --user=/proc/self/fd/9 true 9< /proc/$!/ns/user",
            "unshare --user --map-root-user nsenter --user=/proc/self/fd/9 true 9< /proc/self/ns/user",
            "nsenter --user=/proc/self/ns/user true",
        ],
    })?;
    let down = enter(Target::Child, Namespaces::NONE)?;
    lab.claim(DOWN)
        .without(enter(Target::Child, Namespaces::USER)?)
        .with(down.clone())
        .shows(|answer| *answer == "OK")?;
    lab.claim(UP)
        .without(down.clone())
        .with(enter(Target::Own, Namespaces::USER)?)
        .shows(|answer| *answer == "EPERM")?;
    lab.claim(SAME)
        .without(down)
        .with(enter(Target::Own, Namespaces::NONE)?)
        .shows(|answer| *answer == "EINVAL")?;

    lab.step(Step {
        goal: "Compare a child's user namespace with its parent's, without and with unshare().",
        calls: &["fork()", "unshare(CLONE_NEWUSER)", "readlink(\"/proc/self/ns/user\")"],
        by_hand: &[
            "readlink /proc/self/ns/user; sh -c 'readlink /proc/self/ns/user'",
            "unshare --user readlink /proc/self/ns/user",
        ],
    })?;
    lab.claim(LEAVES)
        .without(own_and_parents(Namespaces::NONE)?)
        .with(own_and_parents(Namespaces::USER)?)
        .shows(|seen| seen.inside("its user namespace") != seen.outside("its parent's"))?;
    Ok(())
}

fn map_of_the_first(readers: Namespaces) -> Result<Vec<Fact>> {
    let (maps, uid) = (person::root_inside(), person::ids().uid);
    let mut user = Person::User.child("user", Namespaces::NONE, move |me| {
        let first = Child::spawn("first", Namespaces::USER, Witness::stay)?;
        maps.write_for(Some(first.pid()))?;
        let target = first.pid();
        let reader = Child::spawn("reader", readers, move |me| {
            if readers.contains(Namespaces::USER) {
                idmap::write_uid_map(None, &format!("{SEVEN} {uid} 1\n"))?;
            }
            me.saw("the other's uid_map", map(&idmap::read(Some(target), "uid_map")?))
        })?;
        person::tell_all_of(reader, me)
    })?;
    Ok(user.hear_all()?)
}

#[derive(Clone, Copy)]
enum Target {
    /// A user namespace that the user made.
    Child,
    /// The one that the user is in.
    Own,
}

/// Enters the target from a child that was born in namespaces `from`.
fn enter(target: Target, from: Namespaces) -> Result<Vec<Fact>> {
    let mut user = Person::User.child("user", Namespaces::NONE, move |me| {
        let member = Child::spawn("member", Namespaces::USER, Witness::stay)?;
        // Opened here: a sibling may not even open the file.
        let file = match target {
            Target::Child => NsFile::of(Some(member.pid()), Kind::User)?,
            Target::Own => NsFile::of(None, Kind::User)?,
        };
        let visitor = Child::spawn("visitor", from, move |me| {
            me.saw("setns(fd, CLONE_NEWUSER)", Outcome::of(file.enter(Some(Kind::User)))?)
        })?;
        person::tell_all_of(visitor, me)
    })?;
    Ok(user.hear_all()?)
}

fn own_and_parents(unshared: Namespaces) -> Result<Vec<Fact>> {
    let mut parent = Person::User.child("parent", Namespaces::NONE, move |me| {
        let child = Child::spawn("child", Namespaces::NONE, move |me| {
            namespace::unshare(unshared)?;
            me.saw("its user namespace", namespace::of_kind(None, Kind::User)?)
        })?;
        me.tell(Fact::outside("its parent's", namespace::of_kind(None, Kind::User)?))?;
        person::tell_all_of(child, me)
    })?;
    Ok(parent.hear_all()?)
}
