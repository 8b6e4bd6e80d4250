//! Which cgroup hierarchies this machine has.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::MountInfo;
use procfs::{FromBufRead, ProcessCGroup, ProcessCGroups};

use super::Version;
use super::hierarchy::{Hierarchy, Mount};
use crate::error::{Error, Named, Result};
use crate::mount::mountinfo;
use crate::unmet::Unmet;

/// Which versions of cgroups are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LayoutKind {
    /// Only v2, as current distributions have it.
    Unified,
    /// v2 beside v1. Each controller is in one of the two.
    Hybrid,
    /// Only v1.
    Legacy,
    /// Neither.
    None,
}

impl fmt::Display for LayoutKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayoutKind::Unified => "unified",
            LayoutKind::Hybrid => "hybrid",
            LayoutKind::Legacy => "legacy",
            LayoutKind::None => "none",
        })
    }
}

/// The mounted cgroup hierarchies, as they are from where the caller stands. Displayed, it is one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    hierarchies: Vec<Hierarchy>,
}

impl Layout {
    /// Looks at /proc/self/mountinfo and /proc/self/cgroup (cgroups(7)), and asks stat(2) at each mount point
    /// whether that file system is the one that is visible there.
    ///
    /// # Errors
    /// When there is no procfs at /proc. No cgroups at all is not an error but [`LayoutKind::None`].
    pub fn detect() -> Result<Layout> {
        let mountinfo = fs::read("/proc/self/mountinfo").named(|| "cat /proc/self/mountinfo".into())?;
        // A kernel without cgroups has no such file.
        let cgroup = fs::read("/proc/self/cgroup").unwrap_or_default();
        // The name of a cgroup that is no UTF-8 is changed by this. It is then not found below, and left out.
        let mut layout = Layout::parse(&mountinfo, &String::from_utf8_lossy(&cgroup));
        for hierarchy in &mut layout.hierarchies {
            hierarchy.mounts.retain(Mount::is_visible);
        }
        layout.hierarchies.retain(|hierarchy| !hierarchy.mounts.is_empty());
        for hierarchy in layout.hierarchies.iter_mut().filter(|hierarchy| hierarchy.version == Version::V2) {
            let offered = hierarchy.mount_point().join("cgroup.controllers");
            let offered = fs::read_to_string(offered).unwrap_or_default();
            hierarchy.controllers = offered.split_whitespace().map(String::from).collect();
        }
        Ok(layout)
    }

    /// What the text of a process's /proc/PID/mountinfo and /proc/PID/cgroup say, without a look at the mounts
    /// themselves. A line that cannot be read is passed over.
    pub fn parse(mountinfo: &[u8], cgroup: &str) -> Layout {
        // Others are many, and to read a line whole takes time.
        let lines = mountinfo.split_inclusive(|byte| *byte == b'\n');
        let of_cgroups: Vec<u8> = lines
            .filter(|line| line.windows(KIND.len()).any(|part| part == KIND))
            .flatten()
            .copied()
            .collect();
        let mut mounts = mountinfo::parse(&of_cgroups).into_iter().flatten().collect::<Vec<_>>();
        mounts.retain(|mount| matches!(mount.fs_type.as_str(), "cgroup" | "cgroup2"));
        let memberships =
            ProcessCGroups::from_buf_read(cgroup.as_bytes()).map_or_else(|_| Vec::new(), |all| all.0);
        let mut hierarchies = Vec::new();
        for ProcessCGroup { hierarchy, controllers, pathname } in memberships {
            let (version, of_it): (_, Vec<&MountInfo>) = if hierarchy == 0 {
                (Version::V2, mounts.iter().filter(|mount| mount.fs_type == "cgroup2").collect())
            } else {
                (Version::V1, mounts.iter().filter(|mount| is_v1_mount_of(mount, &controllers)).collect())
            };
            let mounts: Vec<Mount> = of_it.into_iter().map(Mount::from).collect();
            if !mounts.is_empty() {
                hierarchies.push(Hierarchy { version, controllers, own: pathname, mounts });
            }
        }
        // The kernel lists the newest first; the order of mounting is easier to recognise.
        hierarchies.reverse();
        Layout { hierarchies }
    }

    /// Which versions are mounted.
    pub fn kind(&self) -> LayoutKind {
        let has = |version| self.hierarchies.iter().any(|hierarchy| hierarchy.version == version);
        match (has(Version::V2), has(Version::V1)) {
            (true, false) => LayoutKind::Unified,
            (true, true) => LayoutKind::Hybrid,
            (false, true) => LayoutKind::Legacy,
            (false, false) => LayoutKind::None,
        }
    }

    /// Every mounted hierarchy.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// The v2 hierarchy, if it is mounted. There is only one.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|hierarchy| hierarchy.version == Version::V2)
    }

    /// The v1 hierarchy of a controller such as `pids`, or of a name such as `name=systemd`, if it is mounted.
    pub fn v1(&self, controller: &str) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|it| it.version == Version::V1 && it.has_controller(controller))
    }

    /// Where v2 is mounted.
    pub fn v2_mount(&self) -> Option<&Path> {
        self.v2().map(Hierarchy::mount_point)
    }

    /// Where the v1 hierarchy of a controller is mounted.
    pub fn v1_mount(&self, controller: &str) -> Option<&Path> {
        self.v1(controller).map(Hierarchy::mount_point)
    }

    /// The controllers that v2 offers: `cgroup.controllers` at the root of its mount. Those bound to v1 are missing.
    pub fn v2_controllers(&self) -> &[String] {
        self.v2().map_or(&[], Hierarchy::controllers)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind())?;
        let mut before = ": ";
        if let Some(v2) = self.v2() {
            let offered =
                if v2.controllers.is_empty() { "no controller".into() } else { v2.controllers.join(" ") };
            write!(f, "{before}v2 at {} with {offered}", v2.mount_point().display())?;
            before = "; ";
        }
        let v1 = self.hierarchies.iter().filter(|hierarchy| hierarchy.version == Version::V1);
        let v1: Vec<String> = v1.map(|hierarchy| hierarchy.controllers.join(",")).collect();
        if !v1.is_empty() {
            write!(f, "{before}v1 with {}", v1.join(" "))?;
        }
        Ok(())
    }
}

/// How the kind of a cgroup filesystem, of either version, begins in a line of mountinfo.
const KIND: &[u8] = b" - cgroup";

/// A line of /proc/self/cgroup and a v1 mount belong together by their controllers, or by the name of a hierarchy
/// without any, which is the mount option `name=systemd`.
fn is_v1_mount_of(mount: &MountInfo, controllers: &[String]) -> bool {
    let has = |controller: &String| match controller.split_once('=') {
        Some((key, value)) => mount.super_options.get(key).is_some_and(|it| it.as_deref() == Some(value)),
        None => mount.super_options.contains_key(controller),
    };
    mount.fs_type == "cgroup" && !controllers.is_empty() && controllers.iter().all(has)
}

/// Where v2 is mounted.
///
/// # Errors
/// [`Error::Unmet`] where it is not.
pub(super) fn v2_root() -> Result<PathBuf> {
    let layout = Layout::detect()?;
    layout.v2_mount().map(Path::to_path_buf).ok_or(Error::Unmet(Unmet::CgroupV2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
23 1 0:21 / /sys rw,nosuid - sysfs sysfs rw
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
";
    const HYBRID_CGROUP: &str = "\
9:name=systemd:/user.slice
8:pids:/user.slice/u:1
7:net_cls:/
1:cpu,cpuacct:/
0::/user.slice
";
    const UNIFIED: &str =
        "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";

    #[test]
    fn only_v2_is_unified() {
        let layout = Layout::parse(UNIFIED.as_bytes(), "0::/user.slice/session-1.scope\n");
        assert_eq!(layout.kind(), LayoutKind::Unified);
        assert_eq!(layout.v2_mount(), Some(Path::new("/sys/fs/cgroup")));
        assert_eq!(layout.v2().unwrap().own(), "/user.slice/session-1.scope");
        assert_eq!(layout.v1("pids"), None);
        assert_eq!(layout.to_string(), "unified: v2 at /sys/fs/cgroup with no controller");
    }

    #[test]
    fn both_is_hybrid() {
        let layout = Layout::parse(HYBRID.as_bytes(), HYBRID_CGROUP);
        assert_eq!(layout.kind(), LayoutKind::Hybrid);
        assert_eq!(layout.v2_mount(), Some(Path::new("/sys/fs/cgroup/unified")));
        assert_eq!(layout.v1_mount("cpuacct"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(layout.v1("pids").unwrap().own(), "/user.slice/u:1", "a path may hold a colon");
        assert_eq!(layout.v1_mount("name=systemd"), Some(Path::new("/sys/fs/cgroup/systemd")));
        assert_eq!(layout.v1_mount("net_cls"), None, "it is on no mount");
        assert_eq!(
            layout.to_string(),
            "hybrid: v2 at /sys/fs/cgroup/unified with no controller; v1 with cpu,cpuacct pids name=systemd"
        );
    }

    #[test]
    fn only_v1_is_legacy() {
        let legacy: String =
            HYBRID.lines().filter(|line| !line.contains("cgroup2")).map(|l| format!("{l}\n")).collect();
        let layout = Layout::parse(legacy.as_bytes(), HYBRID_CGROUP);
        assert_eq!(layout.kind(), LayoutKind::Legacy);
        assert_eq!(layout.v2(), None);
        assert!(layout.v2_controllers().is_empty());
    }

    #[test]
    fn neither_is_none() {
        for (mountinfo, cgroup) in
            [("", ""), ("", HYBRID_CGROUP), ("22 1 0:20 / /proc rw - proc proc rw\n", "0::/\n")]
        {
            let layout = Layout::parse(mountinfo.as_bytes(), cgroup);
            assert_eq!(layout.kind(), LayoutKind::None);
            assert_eq!(layout.to_string(), "none");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_passed_over() {
        let broken = format!("x y z - cgroup2\n31 - cgroup\n{UNIFIED}");
        assert_eq!(Layout::parse(broken.as_bytes(), "0::/\n").kind(), LayoutKind::Unified);
        assert_eq!(Layout::parse(UNIFIED.as_bytes(), "not a line\n").kind(), LayoutKind::None);
    }

    #[test]
    fn a_container_of_v1_sees_its_own_part_only() {
        let inside = "36 31 0:36 /docker/4f1c /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n";
        let layout = Layout::parse(inside.as_bytes(), "8:pids:/docker/4f1c\n0::/\n");
        assert_eq!(layout.kind(), LayoutKind::Legacy);
        assert_eq!(layout.v1("pids").unwrap().own(), "/docker/4f1c");
    }

    #[test]
    fn a_mount_point_with_a_space_is_unescaped() {
        let layout = Layout::parse(b"30 23 0:26 / /mnt/my\\040cgroups rw - cgroup2 none rw\n", "0::/\n");
        assert_eq!(layout.v2_mount(), Some(Path::new("/mnt/my cgroups")));
    }

    proptest::proptest! {
        #[test]
        fn no_text_can_make_it_panic(bytes: Vec<u8>, cgroup: String, line in 0_usize..6, at in 0_usize..80, byte: u8) {
            let _ = Layout::parse(&bytes, &cgroup).to_string();
            let mut damaged: Vec<Vec<u8>> = HYBRID.lines().map(|it| it.as_bytes().to_vec()).collect();
            let length = damaged[line].len();
            damaged[line][at % length] = byte;
            let damaged = damaged.join(&b'\n');
            let _ = Layout::parse(&damaged, HYBRID_CGROUP).to_string();
            let _ = Layout::parse(HYBRID.as_bytes(), &String::from_utf8_lossy(&damaged)).to_string();
        }
    }
}
