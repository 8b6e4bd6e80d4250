//! Propagation: the mount events that a mount sends to its copies and receives from them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lesson::{Claim, Effect, Need, Requirement, Row, Step, hand, inside, outside, right, wrong};
use ns_core::mount::{
    self, Propagation,
    Propagation::{Private, Shared, Slave, Unbindable},
};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Pid, Value, namespace};

use crate::place::{DOOR, ELSEWHERE, PLACE, is_mounted, make_directory, root_in, trial};

const SHARED: Claim = Claim::holds(
    "shared",
    "A shared mount and its copy are peers: each receives what is mounted on the other.",
)
.factor("--make-shared")
.more(&[79]);
const PRIVATE: Claim = Claim::holds("private", "A private copy neither sends nor receives mount events.")
    .factor("--make-private")
    .more(&[80]);
const SLAVE: Claim =
    Claim::holds("slave", "A slave mount receives mount events from its master, and sends none back.")
        .factor("--make-slave")
        .more(&[81]);
const UNBINDABLE: Claim =
    Claim::holds("unbindable", "An unbindable mount is private, and a bind mount of it fails with EINVAL.")
        .factor("--make-unbindable")
        .more(&[82]);

pub(crate) const SET_ON_THE_COPY: Step = Step {
    title: "Make a mount shared, copy it into a new mount namespace, and set the propagation of the copy. Mount a tmpfs on each, look for it on the other, and bind the copy.",
    calls: &["mount(NULL, \"/mnt\", NULL, MS_SLAVE)", "open(\"/proc/self/mountinfo\")"],
    by_hand: &[
        hand("unshare -Urm bash").prints(""),
        hand("mount -t tmpfs outside /mnt; mount --make-shared /mnt; mkdir /mnt/a /mnt/b").prints(""),
        hand("unshare --mount --propagation slave sleep 60 & sleep 1; mount -t tmpfs a /mnt/a").prints(""),
        hand(
            "nsenter -t $! -m mount -t tmpfs b /mnt/b; findmnt /mnt/b; grep ' /mnt/[ab] ' /proc/$!/mountinfo",
        )
        .prints("… /mnt/a … master:… a …\n… /mnt/b … b …"),
        hand("grep -h ' /mnt ' /proc/self/mountinfo /proc/$!/mountinfo; kill $!; exit")
            .prints("… /mnt rw,relatime shared:<peers> - …\n… /mnt rw,relatime master:<peers> - …"),
    ],
    claims: &[SHARED, PRIVATE, SLAVE, UNBINDABLE],
    run: |lab| {
        let copy = |set| both_ways(Some(set), Namespaces::MNT);
        let mut rows = Vec::new();
        for set in Propagation::ALL {
            rows.push(row(format!("--make-{}", set.word()), copy(set)?));
        }
        let user = both_ways(None, Namespaces::USER | Namespaces::MNT)?;
        rows.push(row("nothing; CLONE_NEWUSER".into(), user));
        lab.table(
            "Propagation between a shared mount of peer group N and its copy",
            &["set on the copy", "mountinfo", "to inside", "to outside", "bind"],
            rows,
        )?;
        lab.compare(SHARED, Private, Shared, copy)?.shows(propagates("shared:N", "yes"))?;
        lab.compare(PRIVATE, Shared, Private, copy)?.shows(propagates("no mark", "no"))?;
        lab.compare(SLAVE, Shared, Slave, copy)?.in_both_arms(receives()).shows(sends_none())?;
        lab.compare(UNBINDABLE, Private, Unbindable, copy)?
            .in_both_arms(inside("propagates to inside").is("no") & outside("propagates to outside").is("no"))
            .shows(inside("mountinfo").is("unbindable") & inside("mount --bind").is("EINVAL"))
    },
};

const COPIED: Claim = Claim::varies(
    "copied-unbindable",
    "The copy of an unbindable mount in a new mount namespace is unbindable too.",
    "newer kernels make the copy private: 6.18 does, 6.12 does not",
)
.factor("--make-unbindable")
.more(&[82]);

pub(crate) const BIND_THE_COPY: Step = Step {
    title: "Make a mount unbindable, copy it into a new mount namespace, and bind the copy there.",
    calls: &["mount(NULL, \"/mnt/door\", NULL, MS_UNBINDABLE)", "unshare(CLONE_NEWNS)"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; mount --make-unbindable /mnt; mkdir /mnt/y; mount --bind /mnt /mnt/y").prints("mount: /mnt/y: wrong fs type, bad option, …\n…"), hand("unshare --mount --propagation unchanged mount --bind /mnt /mnt/y; echo $?; exit  # kernels differ").prints("…"), ],
    claims: &[COPIED],
    run: |lab| {
        lab.compare(COPIED, Private, Unbindable, bind_the_copy)?.shows(inside("mount --bind").is("EINVAL"))
    },
};

const EXPLOSION: Claim = Claim::holds(
    "explosion",
    "Three recursive binds of a mount tree into itself add seven mounts; if each is made unbindable, they add three.",
)
.factor("--make-unbindable")
.more(&[82]);

pub(crate) const BIND_INTO_ITSELF: Step = Step {
    title: "Bind a mount tree recursively into itself, three times, and count the added mounts.",
    calls: &["mount(\"/mnt\", \"/mnt/a\", NULL, MS_BIND|MS_REC)"],
    by_hand: &[hand("unshare -Urm bash").prints(""), hand("mount -t tmpfs x /mnt; cd /mnt; mkdir a b c; grep -cE ' /mnt(/[abc])* ' /proc/self/mountinfo").prints("1"), hand("for d in a b c; do mount --rbind /mnt $d; grep -cE ' /mnt(/[abc])* ' /proc/self/mountinfo; done; exit").prints("2\n4\n8"), ],
    claims: &[EXPLOSION],
    run: |lab| {
        lab.compare(EXPLOSION, Private, Unbindable, bind_into_itself)?.shows(inside("mounts added").is(3))
    },
};

const LEAK: Claim = Claim::holds(
    "leak",
    "unshare(CLONE_NEWNS) keeps propagation: a mount made inside on a shared mount is visible outside.",
)
.factor("a shared mount")
.notes(&[4])
.arms("on private", "on shared")
.core(&[Row::outside("tmpfs seen outside", "seen outside")])
.asks(
    "After unshare(CLONE_NEWNS), some mounts that a process makes are visible outside. What decides which?",
    &[
        right("the propagation of the mount below: shared or not"),
        wrong("who mounts: root or an ordinary user", "root is thought to change the whole machine"),
        wrong("the type of the filesystem", "some types, such as proc, belong to a namespace"),
        wrong("who looks: root outside sees all", "root outside is thought to see all namespaces"),
    ],
);
const MEMBERS_ALONE: Claim = Claim::refuted(
    "members-alone",
    "Only the members of a mount namespace see what is mounted in it.",
    "leak",
)
.factor("CLONE_NEWNS")
.notes(&[4, 9])
.core(&[Row::outside("shared: seen outside", "seen outside")])
.asks(
    "Only the members of a mount namespace see what is mounted in it. Is this true?",
    &[
        right("no: others may see it too"),
        wrong("yes", "the notes say so, and unshare(1) makes it so"),
        wrong("yes, but root outside sees all", "root outside is thought to see all namespaces"),
    ],
);
const MADE_PRIVATE: Claim = Claim::holds(
    "made-private",
    "After mount --make-rprivate / inside, which unshare(1) does first, later mounts inside are not visible outside.",
)
.factor("--make-rprivate")
.notes(&[4])
.arms("shared", "made private")
.core(&[Row::outside("tmpfs seen outside", "seen outside")])
.asks(
    "A shared mount was copied, and the copy is made private. Inside, a tmpfs is mounted on it. Who sees the tmpfs?",
    &[
        right("processes inside, and none outside"),
        wrong("both: the original is still shared", "sharing is thought to be decided by the original"),
        wrong("both, until the original is made private too", "two mounts are thought to have one setting"),
        wrong("nobody: nothing can be mounted on a private mount", "private is thought to mean locked"),
    ],
);

pub(crate) const MOUNT_AFTER_UNSHARE: Step = Step {
    title: "Call unshare(2) and mount a tmpfs inside: on a private mount, and on a shared one. Then make all mounts private first, as unshare(1) does.",
    calls: &["unshare(CLONE_NEWNS)", "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE)"],
    by_hand: &[
        hand("unshare -Urm bash").prints(""),
        hand("mount -t tmpfs x /mnt; mount --make-shared /mnt; mkdir /mnt/y").prints(""),
        hand("unshare --mount --propagation unchanged mount -t tmpfs leak /mnt/y; findmnt -n /mnt/y")
            .prints("/mnt/y leak tmpfs …"),
        hand("umount /mnt/y; unshare --mount mount -t tmpfs kept /mnt/y; findmnt -n /mnt/y; exit").prints(""),
    ],
    claims: &[MEMBERS_ALONE, LEAK, MADE_PRIVATE],
    run: |lab| {
        lab.compare(MEMBERS_ALONE, Namespaces::NONE, Namespaces::MNT, |namespaces| {
            mount_after_unshare(Shared, namespaces, false)
        })?
        .shows(outside("seen outside").is("no"))?;
        lab.compare(LEAK, Private, Shared, |set| mount_after_unshare(set, Namespaces::MNT, false))?
            .shows(outside("seen outside").is("yes"))?;
        lab.compare(MADE_PRIVATE, false, true, |make_private| {
            mount_after_unshare(Shared, Namespaces::MNT, make_private)
        })?
        .shows(outside("seen outside").is("no"))
    },
};

const HOST: Claim = Claim::holds(
    "host",
    "systemd makes the host's mounts shared: after unshare(CLONE_NEWNS) alone, a mount made inside appears on the host.",
)
.factor("shared mounts")
.notes(&[4])
.requires(&[Requirement::ThrowAway, Requirement::Probe(the_hosts_namespace)]);

pub(crate) const LEAK_TO_THE_HOST: Step = Step {
    title: "Do the same in the host's mount namespace. This changes the host, so it needs a throw-away machine.",
    calls: &["setns(/proc/1/ns/mnt)", "unshare(CLONE_NEWNS)", "mount(\"tmpfs\", \"/mnt\", \"tmpfs\")"],
    by_hand: &[hand(
        "unshare --mount --propagation unchanged mount -t tmpfs leak /mnt; findmnt -n /mnt; umount /mnt",
    )
    .as_root()
    .prints("/mnt leak tmpfs …")
    .needs(&[Need::Systemd, Need::ThrowAway])],
    claims: &[HOST],
    run: |lab| lab.compare(HOST, true, false, leak_to_the_host)?.shows(outside("seen by PID 1").is("yes")),
};

const HOSTS: &str = "/proc/1/ns/mnt";

/// Facts of a copy: its mark in mountinfo, whether mounts propagate in each direction, and whether it can be bound.
///
/// `set` is the propagation that is set inside, on the copy of a mount that is shared outside.
pub(crate) fn both_ways(set: Option<Propagation>, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::set_propagation(Path::new(PLACE), Shared)?;
        let group = mount::at(None, Path::new(PLACE))?.as_ref().and_then(mount::peer_group);
        let [from_outside, from_inside] = ["/mnt/from-outside", "/mnt/from-inside"];
        for directory in [from_outside, from_inside] {
            make_directory(directory)?;
        }
        let mut inside = root_in(namespaces).run(move |me| {
            if let Some(propagation) = set {
                mount::set_propagation(Path::new(PLACE), propagation)?;
            }
            me.report("mountinfo", tag(PLACE, group)?)?;
            me.checkpoint()?;
            me.report("propagates to inside", is_mounted(from_outside)?)?;
            mount::mount("tmpfs", Path::new(from_inside))?;
            me.report("seen inside", is_mounted(from_inside)?)?;
            me.checkpoint()?;
            let bound = mount::bind(Path::new(PLACE), Path::new(ELSEWHERE));
            me.report("mount --bind", Outcome::of(bound)?)
        })?;
        me.send(inside.fact()?)?;
        mount::mount("tmpfs", Path::new(from_outside))?;
        inside.wake()?;
        me.send(inside.fact()?)?;
        inside.fact()?;
        me.send(Fact::outside("propagates to outside", is_mounted(from_inside)?))?;
        inside.wake()?;
        me.send(inside.fact()?)
    })
}

/// The optional field in mountinfo of the mount at `target`. The number of a peer group differs from run to run: N stands
/// for `group`, the peer group outside.
fn tag(target: &str, group: Option<u32>) -> ns_core::Result<String> {
    let Some(mount) = mount::at(None, Path::new(target))? else { return Ok("not mounted".into()) };
    let name = |number: u32| if Some(number) == group { "N" } else { "M" };
    Ok(if let Some(number) = mount::peer_group(&mount) {
        format!("shared:{}", name(number))
    } else if let Some(number) = mount::master(&mount) {
        format!("master:{}", name(number))
    } else if mount::is_unbindable(&mount) {
        "unbindable".into()
    } else {
        "no mark".into()
    })
}

/// The effect that mountinfo has this tag, and that mounts propagate both ways or neither.
fn propagates(tag: &str, both_ways: &str) -> Effect {
    inside("mountinfo").is(tag)
        & inside("propagates to inside").is(both_ways)
        & outside("propagates to outside").is(both_ways)
}

/// The effect that the copy of a shared mount sends no mount events.
pub(crate) fn sends_none() -> Effect {
    inside("mountinfo").is("master:N") & outside("propagates to outside").is("no")
}

/// It receives them.
pub(crate) fn receives() -> Effect {
    inside("propagates to inside").is("yes")
}

/// A row of the table, whose columns are the facts of [`both_ways`] in their order.
fn row(name: String, copy: Vec<Fact>) -> Vec<Value> {
    [name.into()].into_iter().chain(copy.into_iter().map(|fact| fact.value)).collect()
}

fn bind_the_copy(outside: Propagation) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        mount::set_propagation(Path::new(DOOR), outside)?;
        let mut inside = Child::spawn("inside", Namespaces::MNT, |me| {
            let tag = tag(DOOR, None)?;
            let bound = mount::bind(Path::new(DOOR), Path::new(ELSEWHERE));
            me.report("mount --bind", Outcome::of(bound)?)?;
            me.report("mountinfo of the copy", tag)
        })?;
        let (bound, copy) = (inside.fact()?, inside.fact()?);
        me.send(bound)?;
        me.send(copy)?;
        me.send(Fact::outside("mountinfo", tag(DOOR, None)?))
    })
}

fn bind_into_itself(targets: Propagation) -> Result<Vec<Fact>> {
    trial(move |me| {
        let before = mount::list(None)?.len();
        for name in ["a", "b", "c"] {
            let target = PathBuf::from(PLACE).join(name);
            make_directory(&target)?;
            mount::bind_recursive(Path::new(PLACE), &target)?;
            mount::set_propagation(&target, targets)?;
        }
        me.report("mounts added", mount::list(None)?.len().saturating_sub(before))
    })
}

fn mount_after_unshare(
    outside: Propagation,
    namespaces: Namespaces,
    make_private: bool,
) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::set_propagation(Path::new(PLACE), outside)?;
        let mut inside = Child::spawn("inside", Namespaces::NONE, move |me| {
            namespace::unshare(namespaces)?;
            if make_private {
                mount::make_private()?;
            }
            mount::mount("tmpfs", Path::new(DOOR))?;
            me.report("seen inside", is_mounted(DOOR)?)?;
            me.stay()
        })?;
        let seen = inside.fact()?;
        me.send(Fact::outside("seen outside", is_mounted(DOOR)?))?;
        me.send(seen)
    })
}

/// Only for a throw-away machine: the mount appears on the host until it is unmounted.
fn leak_to_the_host(make_private: bool) -> Result<Vec<Fact>> {
    let host = NsFile::open(HOSTS)?;
    let mut inside = Child::spawn("inside", Namespaces::NONE, move |me| {
        host.enter(Some(Kind::Mnt))?;
        namespace::unshare(Namespaces::MNT)?;
        if make_private {
            mount::make_private()?;
        }
        mount::mount("tmpfs", Path::new(PLACE))?;
        me.report("seen inside", is_mounted(PLACE)?)?;
        me.checkpoint()?;
        mount::unmount(Path::new(PLACE))
    })?;
    let seen = inside.fact()?;
    let on_the_host = mount::at(Some(Pid::from_raw(1)), Path::new(PLACE))?.is_some();
    inside.wake()?;
    inside.wait()?;
    Ok(vec![Fact::outside("seen by PID 1", on_the_host), seen])
}

/// The reason, if there is one, why the mount namespace of the host's init cannot be opened.
fn the_hosts_namespace() -> ns_core::Result<Option<Unmet>> {
    let found = Outcome::of(NsFile::open(HOSTS))?;
    Ok((found != Outcome::Done).then(|| {
        Unmet::new(
            format!("the host's mount namespace (open() of {HOSTS} fails with {found})"),
            "run as root: sudo …",
        )
    }))
}
