//! The filesystems that root of a user namespace can mount.

use std::fs;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Step, every, hand};
use ns_core::idmap::IdMaps;
use ns_core::probe::{self, Unmet};
use ns_core::{Fact, Namespaces, Outcome, Spawn, mount};

use crate::place::{PLACE, trial};

const SHOW_A_NAMESPACE: [&str; 4] = ["proc", "sysfs", "mqueue", "cgroup2"];
const ALL: [&str; 10] =
    ["tmpfs", "ramfs", "devpts", "proc", "sysfs", "mqueue", "cgroup2", "devtmpfs", "debugfs", "ext4"];

const ALONE: Namespaces = Namespaces::USER.union(Namespaces::MNT);
const WITH_OTHERS: Namespaces =
    ALONE.union(Namespaces::PID).union(Namespaces::NET).union(Namespaces::IPC).union(Namespaces::CGROUP);

const OWNED: Claim = Claim::holds(
    "owned",
    "Mounting proc, sysfs, mqueue or cgroup2 in a user namespace needs its own PID, network, IPC or cgroup namespace.",
)
.factor("new PID, network, IPC and cgroup namespaces")
.more(&[77])
.requires(&[Requirement::Probe(whole_proc), Requirement::Probe(probe::sysfs)]);
const NEVER: Claim = Claim::holds(
    "never",
    "In a user namespace, mount() of devtmpfs, which lacks the flag FS_USERNS_MOUNT, fails with EPERM.",
)
.factor("devtmpfs instead of tmpfs")
.more(&[77]);

pub(crate) const MOUNT_EACH_KIND: Step = Step {
    title: "As root of a new user namespace, mount each type of filesystem: with a new mount namespace only, then with more namespaces.",
    calls: &["mount(TYPE, \"/mnt\", TYPE)"],
    by_hand: &[hand("unshare -Urm sh -c 'for t in tmpfs proc sysfs mqueue devtmpfs; do mount -t $t x /mnt && echo $t; done 2>/dev/null'").prints("tmpfs"), hand("unshare -UrmpfniC sh -c 'for t in tmpfs proc sysfs mqueue devtmpfs; do mount -t $t x /mnt && echo $t; done 2>/dev/null'").prints("tmpfs\nproc\nsysfs\nmqueue"), ],
    claims: &[OWNED, NEVER],
    run: |lab| {
        // Types that this kernel has not loaded are left out: mount() would load a module.
        let known = fs::read_to_string("/proc/filesystems")?;
        let known = |kind: &str| known.lines().any(|line| line.split_whitespace().last() == Some(kind));
        let kinds: Vec<_> = ALL.into_iter().filter(|kind| known(kind)).collect();
        let [alone, others] = [mount_each(&kinds, ALONE)?, mount_each(&kinds, WITH_OTHERS)?];
        let answers = alone.into_iter().zip(others).map(|(alone, others)| [alone.value, others.value]);
        let rows =
            kinds.iter().zip(answers).map(|(kind, [alone, others])| vec![(*kind).into(), alone, others]);
        lab.table(
            "mount(2) by root of a new user namespace",
            &["type", "user, mnt", "and PID, net, IPC, cgroup"],
            rows.collect(),
        )?;
        lab.compare(OWNED, ALONE, WITH_OTHERS, |namespaces| mount_each(&SHOW_A_NAMESPACE, namespaces))?
            .shows(every().from("EPERM").to("OK"))?;
        lab.compare(NEVER, "tmpfs", "devtmpfs", |kind| mount_each(&[kind], ALONE))?.shows(every().is("EPERM"))
    },
};

/// One fact for each type. Each is mounted on top of the previous one.
fn mount_each(kinds: &[&str], namespaces: Namespaces) -> Result<Vec<Fact>> {
    let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    trial(move |me| {
        let child = Spawn::new("root inside").namespaces(namespaces).maps(IdMaps::own(0, 0, 0));
        let mut inside = child.run(move |me| {
            for kind in kinds {
                let mounted = Outcome::of(mount::mount(&kind, Path::new(PLACE)))?;
                me.report(format!("mount -t {kind}"), mounted)?;
            }
            Ok(())
        })?;
        inside.pass_on(me)
    })
}

/// Unmet if parts of /proc or /sys are covered, as in containers. A new procfs or sysfs must not show more than the
/// existing ones, so mounting it fails there.
fn whole_proc() -> ns_core::Result<Option<Unmet>> {
    // A mount on a directory that the kernel keeps empty for mounts hides nothing.
    let mounts = mount::list(None)?;
    let covered = mounts.iter().any(|mount| {
        let point = &mount.mount_point;
        (point.starts_with("/proc/")
            && point != Path::new("/proc")
            && point != Path::new("/proc/sys/fs/binfmt_misc"))
            || ((point == Path::new("/proc") || point == Path::new("/sys"))
                && mount.mount_options.contains_key("ro"))
    });
    Ok(covered.then(|| {
        Unmet::new("a /proc and a /sys without covered parts", "run on the host or in a virtual machine")
    }))
}
