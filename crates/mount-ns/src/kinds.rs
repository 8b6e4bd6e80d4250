//! What root of a user namespace may mount anew.

use std::fs;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Requirement, Step, every, hand};
use ns_core::idmap::IdMaps;
use ns_core::probe::{self, Unmet};
use ns_core::{Fact, Namespaces, Outcome, Spawn, mount};

use crate::place::{PLACE, trial};

const ITS_OWN: [&str; 4] = ["proc", "sysfs", "mqueue", "cgroup2"];
const ALL: [&str; 10] =
    ["tmpfs", "ramfs", "devpts", "proc", "sysfs", "mqueue", "cgroup2", "devtmpfs", "debugfs", "ext4"];

const ALONE: Namespaces = Namespaces::USER.union(Namespaces::MNT);
const WITH_OTHERS: Namespaces =
    ALONE.union(Namespaces::PID).union(Namespaces::NET).union(Namespaces::IPC).union(Namespaces::CGROUP);

const OWNED: Claim = Claim::holds(
    "owned",
    "In a user namespace, mounting proc, sysfs, mqueue or cgroup2 takes its own PID, network, IPC or cgroup namespace.",
)
.factor("the namespaces that they show")
.more(&[77])
.requires(&[Requirement::Probe(whole_proc), Requirement::Probe(probe::sysfs)]);
const NEVER: Claim = Claim::holds(
    "never",
    "In a user namespace a filesystem that is not marked as safe for it, such as devtmpfs, gives EPERM.",
)
.factor("devtmpfs instead of tmpfs")
.more(&[77]);

pub(crate) const MOUNT_EACH_KIND: Step = Step {
    title: "As root of a new user namespace, mount each kind of filesystem: first with a mount namespace alone.",
    calls: &["mount(TYPE, \"/mnt\", TYPE)"],
    by_hand: &[hand("unshare -Urm sh -c 'for t in tmpfs proc sysfs mqueue devtmpfs; do mount -t $t x /mnt && echo $t; done 2>/dev/null'").prints("tmpfs"), hand("unshare -UrmpfniC sh -c 'for t in tmpfs proc sysfs mqueue devtmpfs; do mount -t $t x /mnt && echo $t; done 2>/dev/null'").prints("tmpfs\nproc\nsysfs\nmqueue"), ],
    claims: &[OWNED, NEVER],
    run: |lab| {
        // What this kernel does not know already stays out: to ask would load a module.
        let known = fs::read_to_string("/proc/filesystems")?;
        let known = |kind: &str| known.lines().any(|line| line.split_whitespace().last() == Some(kind));
        let kinds: Vec<_> = ALL.into_iter().filter(|kind| known(kind)).collect();
        let [alone, others] = [mount_each(&kinds, ALONE)?, mount_each(&kinds, WITH_OTHERS)?];
        let answers = alone.into_iter().zip(others).map(|(alone, others)| [alone.value, others.value]);
        let rows =
            kinds.iter().zip(answers).map(|(kind, [alone, others])| vec![(*kind).into(), alone, others]);
        lab.table(
            "mount(2) by root of a new user namespace",
            &["type", "alone", "with PID, net, IPC, cgroup"],
            rows.collect(),
        )?;
        lab.compare(OWNED, ALONE, WITH_OTHERS, |namespaces| mount_each(&ITS_OWN, namespaces))?
            .shows(every().from("EPERM").to("OK"))?;
        lab.compare(NEVER, "tmpfs", "devtmpfs", |kind| mount_each(&[kind], ALONE))?.shows(every().is("EPERM"))
    },
};

/// One fact a kind. Each is mounted on what was mounted before.
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

/// A new proc or sysfs may not show more than the ones that are there: where container engines have covered parts of
/// them, it is refused.
fn whole_proc() -> ns_core::Result<Option<Unmet>> {
    // On an empty directory that the kernel keeps for mounts, one hides nothing.
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
        Unmet::new(
            "a /proc and a /sys of which nothing is covered",
            "run on the host or in a virtual machine",
        )
    }))
}
