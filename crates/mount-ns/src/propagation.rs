//! Propagation: what a mount passes on to its copies, and what it takes from them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use lesson::{Claim, Lab, Need, Observation, Step, cause};
use ns_core::mount::{
    self, Propagation,
    Propagation::{Private, Shared, Slave, Unbindable},
};
use ns_core::probe::Missing;
use ns_core::{Child, Fact, Kind, Namespaces, NsFile, Outcome, Pid, Spawn, Value, idmap::IdMaps, namespace};

use crate::place::{DOOR, ELSEWHERE, PLACE, make_directory, sees, trial};

pub(crate) const SHARED: Claim =
    Claim::holds("shared", "A shared mount and its copy are peers: each sees what is mounted on the other.")
        .cause("--make-shared")
        .more(&[79]);
pub(crate) const PRIVATE: Claim =
    Claim::holds("private", "A private copy neither passes mounts on nor receives any.")
        .cause("--make-private")
        .more(&[80]);
pub(crate) const SLAVE: Claim =
    Claim::holds("slave", "A slave receives what is mounted on its master, and passes nothing on.")
        .cause("--make-slave")
        .more(&[81]);
pub(crate) const UNBINDABLE: Claim =
    Claim::holds("unbindable", "An unbindable mount is private, and cannot be bound elsewhere: EINVAL.")
        .cause("--make-unbindable")
        .more(&[82]);
pub(crate) const COPIED: Claim = Claim::varies(
    "copied-unbindable",
    "The copy of an unbindable mount in a new mount namespace is unbindable too.",
    "newer kernels make the copy private: 6.18 does, 6.12 does not",
)
.cause("--make-unbindable")
.more(&[82]);
pub(crate) const EXPLOSION: Claim = Claim::holds(
    "explosion",
    "Each recursive bind of a tree into itself doubles it: three add seven mounts; unbindable ones add three.",
)
.cause("--make-unbindable")
.more(&[82]);
pub(crate) const LEAK: Claim = Claim::holds(
    "leak",
    "unshare(CLONE_NEWNS) keeps propagation: what is mounted inside below a shared mount is seen outside.",
)
.cause("a shared mount")
.notes(&[4])
.misconceptions(&[(
    lesson::NO,
    "unshare(1) makes all mounts private first, so by that command nobody sees it",
)]);
pub(crate) const MEMBERS_ALONE: Claim = Claim::refuted(
    "members-alone",
    "Only the members of a mount namespace see what is mounted in it.",
    "leak",
)
.cause("CLONE_NEWNS")
.notes(&[4, 9]);
pub(crate) const MADE_PRIVATE: Claim = Claim::holds(
    "made-private",
    "mount --make-rprivate / inside, which unshare(1) does first, keeps in what is mounted from then on.",
)
.cause("--make-rprivate")
.notes(&[4]);
pub(crate) const HOST: Claim = Claim::holds(
    "host",
    "systemd shares the host's mounts: after unshare(CLONE_NEWNS) alone, a mount inside appears on the host.",
)
.cause("shared mounts")
.notes(&[4])
.needs(&[Need::ThrowAway, Need::Probe(the_hosts_namespace)]);

const HOSTS: &str = "/proc/1/ns/mnt";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Share a mount, copy it into a new namespace, and set there how the copy propagates. Then mount something on either, look for it on the other, and bind the copy.",
        calls: &["mount(NULL, \"/mnt\", NULL, MS_SLAVE)", "open(\"/proc/self/mountinfo\")"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs outside /mnt; mount --make-shared /mnt; mkdir /mnt/a /mnt/b",
            "unshare --mount --propagation slave sleep 60 & sleep 1; mount -t tmpfs a /mnt/a",
            "nsenter -t $! -m mount -t tmpfs b /mnt/b; findmnt /mnt/b; grep /mnt/ /proc/$!/mountinfo",
            "grep \" /mnt \" /proc/self/mountinfo /proc/$!/mountinfo; kill $!; exit",
        ],
    })?;
    let copy = |set| both_ways(Some(set), Namespaces::MNT);
    let mut rows = Vec::new();
    for set in Propagation::ALL {
        rows.push(row(format!("--make-{}", set.word()), &copy(set)?.into()));
    }
    let user = both_ways(None, Namespaces::USER | Namespaces::MNT)?;
    rows.push(row("nothing; CLONE_NEWUSER".into(), &user.into()));
    lab.table(
        "A shared mount of peer group N, and its copy: does a mount on the one get to the other?",
        &["set on the copy", "mountinfo", "gets in", "gets out", "bind"],
        rows,
    )?;
    lab.claim(SHARED)
        .without(copy(Private)?)
        .with(copy(cause(Shared, Private))?)
        .shows(|copy| says(copy, "shared:N", "yes", "yes"))?;
    lab.claim(PRIVATE)
        .without(copy(Shared)?)
        .with(copy(cause(Private, Shared))?)
        .shows(|copy| says(copy, "no mark", "no", "no"))?;
    lab.claim(SLAVE)
        .without(copy(Shared)?)
        .with(copy(cause(Slave, Shared))?)
        .shows(|copy| says(copy, "master:N", "yes", "no"))?;
    lab.claim(UNBINDABLE).without(copy(Private)?).with(copy(cause(Unbindable, Private))?).shows(|copy| {
        says(copy, "unbindable", "no", "no") && copy.inside("mount --bind").is_some_and(|it| *it == "EINVAL")
    })?;

    lab.step(Step {
        goal: "Make a mount unbindable, copy it into a new namespace, and bind the copy there.",
        calls: &["mount(NULL, \"/mnt/door\", NULL, MS_UNBINDABLE)", "unshare(CLONE_NEWNS)"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; mount --make-unbindable /mnt; mkdir /mnt/y",
            "unshare --mount --propagation unchanged mount --bind /mnt /mnt/y; exit",
        ],
    })?;
    lab.claim(COPIED)
        .without(bind_the_copy(Private)?)
        .with(bind_the_copy(cause(Unbindable, Private))?)
        .shows(|bind| *bind == "EINVAL")?;

    lab.step(Step {
        goal: "Bind a tree recursively into itself, three times, and count its mounts.",
        calls: &["mount(\"/mnt\", \"/mnt/a\", NULL, MS_BIND|MS_REC)"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; cd /mnt; mkdir a b c; wc -l /proc/self/mountinfo",
            "for d in a b c; do mount --rbind /mnt $d; wc -l /proc/self/mountinfo; done; exit",
        ],
    })?;
    lab.claim(EXPLOSION)
        .without(bind_into_itself(Private)?)
        .with(bind_into_itself(cause(Unbindable, Private))?)
        .shows(|added| *added == 3)?;

    lab.step(Step {
        goal: "Call unshare(2) alone and mount something inside, below a private and below a shared mount; then make all mounts private first, as unshare(1) does.",
        calls: &["unshare(CLONE_NEWNS)", "mount(NULL, \"/\", NULL, MS_REC|MS_PRIVATE)"],
        by_hand: &[
            "unshare -Urm bash",
            "mount -t tmpfs x /mnt; mount --make-shared /mnt; mkdir /mnt/y",
            "unshare --mount --propagation unchanged mount -t tmpfs leak /mnt/y; findmnt /mnt/y",
            "umount /mnt/y; unshare --mount mount -t tmpfs kept /mnt/y; findmnt /mnt/y; exit",
        ],
    })?;
    lab.claim(LEAK)
        .without(mount_after_unshare(Private, Namespaces::MNT, false)?)
        .with(mount_after_unshare(cause(Shared, Private), Namespaces::MNT, false)?)
        .shows(|seen| *seen == "yes")?;
    lab.claim(MEMBERS_ALONE)
        .without(mount_after_unshare(Shared, Namespaces::NONE, false)?)
        .with(mount_after_unshare(Shared, Namespaces::MNT, false)?)
        .shows(|seen| *seen == "no")?;
    lab.claim(MADE_PRIVATE)
        .without(mount_after_unshare(Shared, Namespaces::MNT, false)?)
        .with(mount_after_unshare(Shared, Namespaces::MNT, cause(true, false))?)
        .shows(|seen| *seen == "no")?;

    if lab.can_ask(&[HOST])? {
        lab.step(Step {
            goal: "The same from the host's own mount namespace, which only a machine to throw away may suffer.",
            calls: &["setns(/proc/1/ns/mnt)", "unshare(CLONE_NEWNS)", "mount(\"tmpfs\", \"/mnt\", \"tmpfs\")"],
            by_hand: &["sudo unshare --mount --propagation unchanged mount -t tmpfs leak /mnt; findmnt /mnt; sudo umount /mnt"],
        })?;
        lab.claim(HOST)
            .without(leak_to_the_host(true)?)
            .with(leak_to_the_host(cause(false, true))?)
            .shows(|seen| *seen == "yes")?;
    }
    Ok(())
}

/// Facts of a copy: how mountinfo marks it, and whether mounts pass in either direction.
///
/// `set` is what is set inside, on the copy of a mount that is shared outside.
pub(crate) fn both_ways(set: Option<Propagation>, namespaces: Namespaces) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::set_propagation(Path::new(PLACE), Shared)?;
        let group = mount::at(None, Path::new(PLACE))?.as_ref().and_then(mount::peer_group);
        let [from_outside, from_inside] = ["/mnt/from-outside", "/mnt/from-inside"];
        for directory in [from_outside, from_inside] {
            make_directory(directory)?;
        }
        let maps = namespaces.contains(Namespaces::USER).then(|| IdMaps::own(0, 0, 0));
        let child = Spawn::new("inside").namespaces(namespaces);
        let child = if let Some(maps) = maps { child.maps(maps) } else { child };
        let mut inside = child.run(move |me| {
            if let Some(propagation) = set {
                mount::set_propagation(Path::new(PLACE), propagation)?;
            }
            me.saw("mountinfo", tag(PLACE, group)?)?;
            me.pause()?;
            me.saw("a mount gets in", sees(from_outside)?)?;
            mount::mount("tmpfs", Path::new(from_inside))?;
            me.saw("seen inside", sees(from_inside)?)?;
            me.pause()?;
            let bound = mount::bind(Path::new(PLACE), Path::new(ELSEWHERE));
            me.saw("mount --bind", Outcome::of(bound)?)
        })?;
        me.tell(inside.hear()?)?;
        mount::mount("tmpfs", Path::new(from_outside))?;
        inside.release()?;
        me.tell(inside.hear()?)?;
        inside.hear()?;
        me.tell(Fact::outside("a mount gets out", sees(from_inside)?))?;
        inside.release()?;
        me.tell(inside.hear()?)
    })
}

/// The optional field of mountinfo for what is mounted at `target`. The number of the peer group differs from run to run;
/// N stands for `group`, the one outside.
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

/// Whether the facts of [`both_ways`] are these.
pub(crate) fn says(copy: &Observation, tag: &str, to_inside: &str, to_outside: &str) -> bool {
    copy.inside("mountinfo").is_some_and(|it| it == tag)
        && copy.inside("a mount gets in").is_some_and(|it| it == to_inside)
        && copy.outside("a mount gets out").is_some_and(|it| it == to_outside)
}

fn row(name: String, copy: &Observation) -> Vec<Value> {
    let of = |value: Option<&Value>| value.cloned().unwrap_or_else(|| "?".into());
    vec![
        name.into(),
        of(copy.inside("mountinfo")),
        of(copy.inside("a mount gets in")),
        of(copy.outside("a mount gets out")),
        of(copy.inside("mount --bind")),
    ]
}

fn bind_the_copy(outside: Propagation) -> Result<Vec<Fact>> {
    trial(move |me| {
        mount::mount("tmpfs", Path::new(DOOR))?;
        mount::set_propagation(Path::new(DOOR), outside)?;
        let mut inside = Child::spawn("inside", Namespaces::MNT, |me| {
            let tag = tag(DOOR, None)?;
            let bound = mount::bind(Path::new(DOOR), Path::new(ELSEWHERE));
            me.saw("mount --bind", Outcome::of(bound)?)?;
            me.saw("mountinfo of the copy", tag)
        })?;
        let (bound, copy) = (inside.hear()?, inside.hear()?);
        me.tell(bound)?;
        me.tell(copy)?;
        me.tell(Fact::outside("mountinfo", tag(DOOR, None)?))
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
        me.saw("mounts added", mount::list(None)?.len().saturating_sub(before))
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
            me.saw("seen inside", sees(DOOR)?)?;
            me.stay()
        })?;
        let seen = inside.hear()?;
        me.tell(Fact::outside("seen outside", sees(DOOR)?))?;
        me.tell(seen)
    })
}

/// Only on a machine to throw away: what is mounted here appears on the host, until it is unmounted again.
fn leak_to_the_host(make_private: bool) -> Result<Vec<Fact>> {
    let host = NsFile::open(HOSTS)?;
    let mut inside = Child::spawn("inside", Namespaces::NONE, move |me| {
        host.enter(Some(Kind::Mnt))?;
        namespace::unshare(Namespaces::MNT)?;
        if make_private {
            mount::make_private()?;
        }
        mount::mount("tmpfs", Path::new(PLACE))?;
        me.saw("seen inside", sees(PLACE)?)?;
        me.pause()?;
        mount::unmount(Path::new(PLACE))
    })?;
    let seen = inside.hear()?;
    let on_the_host = mount::at(Some(Pid::from_raw(1)), Path::new(PLACE))?.is_some();
    inside.release()?;
    inside.wait()?;
    Ok(vec![Fact::outside("seen by PID 1", on_the_host), seen])
}

/// Whether the mount namespace of the machine's own init can be entered. `None` if so.
fn the_hosts_namespace() -> ns_core::Result<Option<Missing>> {
    let found = Outcome::of(NsFile::open(HOSTS))?;
    Ok((found != Outcome::Done).then(|| {
        Missing::new(format!("the host's mount namespace ({HOSTS} gives {found})"), "run as root: sudo …")
    }))
}
