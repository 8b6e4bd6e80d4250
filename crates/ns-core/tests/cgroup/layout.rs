//! Which hierarchies there are, and where in them we are.

use std::fs;
use std::path::PathBuf;

use ns_core::cgroup::{CgroupName, CgroupParent, CgroupRequest, Layout, LayoutKind};

use crate::plain::Ending::{self, Passed};
use crate::plain::{Answer, Check};
use crate::processes::{Waiting, ask};

pub(crate) const CHECKS: &[Check] = &[
    ("our_own_path_in_every_hierarchy_lists_us", our_own_path_in_every_hierarchy_lists_us),
    ("our_own_path_is_found_from_a_cgroup_namespace", our_own_path_is_found_from_a_cgroup_namespace),
    ("the_layout_is_what_is_mounted_and_visible", the_layout_is_what_is_mounted_and_visible),
    ("a_read_only_cgroupfs_is_named", a_read_only_cgroupfs_is_named),
];

fn our_own_path_in_every_hierarchy_lists_us() -> Answer {
    let layout = Layout::detect()?;
    if layout.kind() == LayoutKind::None {
        return Ok(Ending::Skipped("no cgroup hierarchy is mounted".into()));
    }
    for hierarchy in layout.hierarchies() {
        let own = hierarchy.own_path()?.ok_or_else(|| format!("no path for {}", hierarchy.own()))?;
        let us = std::process::id().to_string();
        let lists_us =
            || fs::read_to_string(own.join("cgroup.procs")).map(|it| it.lines().any(|pid| pid == us));
        // A list of v1 has room for as many as there were when it began: while others fork, one may be missing
        // (pidlist_array_load() in kernel/cgroup/cgroup-v1.c).
        let is_listed =
            (0..20).map(|_| lists_us()).find(|it| !matches!(it, Ok(false))).unwrap_or(Ok(false))?;
        assert!(is_listed, "{}", own.display());
        let places = hierarchy.own_and_ancestors()?;
        assert_eq!(places.first(), Some(&own));
        assert_eq!(places.last().map(PathBuf::as_path), Some(hierarchy.mount_point()));
    }
    Ok(Passed)
}

fn our_own_path_is_found_from_a_cgroup_namespace() -> Answer {
    skip_unless_root!();
    let place = place!(CgroupRequest::AnyV2);
    let cgroup = place.create("outside")?;
    let inner = cgroup.child(&CgroupName::new("inner")?)?;
    let script = format!("exec unshare -C '{}' role-own-path", std::env::current_exe()?.display());
    let mut process = Waiting::running(&script)?;
    inner.join(process.pid())?;
    assert_eq!(process.output()?, inner.path().display().to_string());
    Ok(Passed)
}

fn the_layout_is_what_is_mounted_and_visible() -> Answer {
    skip_unless_root!();
    let here = Layout::detect()?;
    if here.kind() == LayoutKind::None {
        return Ok(Ending::Skipped("no cgroup hierarchy is mounted".into()));
    }
    let changed = |change: &str| {
        let script = format!("{change}\nexec \"$0\" \"$@\"");
        ask(&["unshare", "-m", "sh", "-ec", &script], "layout")
    };
    assert_eq!(changed("true")?, here.to_string());
    // With the options that v2 has: it has one set for the machine, and a mount that leaves them out clears them.
    let unified = changed(
        "options=$(sed -n 's/.* - cgroup2 [^ ]* //p' /proc/self/mountinfo | head -n 1)
         umount -lR /sys/fs/cgroup; mount -t cgroup2 -o $options none /sys/fs/cgroup",
    )?;
    assert!(unified.starts_with("unified: v2 at /sys/fs/cgroup with"), "{unified}");
    assert_eq!(changed("umount -lR /sys/fs/cgroup")?, "none");
    // A cgroup is still mounted there, says mountinfo; what is seen there is something else.
    assert_eq!(changed("mount -t tmpfs none /sys/fs/cgroup")?, "none");
    if let (Some(point), LayoutKind::Hybrid) = (here.v2_mount(), here.kind()) {
        let legacy = changed(&format!("umount {}", point.display()))?;
        assert!(legacy.starts_with("legacy: v1 with"), "{legacy}");
    }
    Ok(Passed)
}

fn a_read_only_cgroupfs_is_named() -> Answer {
    skip_unless_root!();
    let layout = Layout::detect()?;
    let Some(point) = layout.v2_mount() else {
        return Ok(Ending::Skipped("cgroup v2 is not mounted".into()));
    };
    let script = format!("mount -o remount,bind,ro {}\nexec \"$0\" \"$@\"", point.display());
    let seen = ask(&["unshare", "-m", "sh", "-ec", &script], "find-v2")?;
    assert!(seen.starts_with("no cgroup that we may write to: ") && seen.contains("EROFS"), "{seen}");
    Ok(Passed)
}
