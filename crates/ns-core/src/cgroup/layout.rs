//! Which cgroup hierarchies this machine has, and where in them we are.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
use nix::unistd::getpid;
use procfs::process::MountInfo;
use procfs::{FromBufRead, ProcessCGroup, ProcessCGroups};

use super::Version;
use super::walk::walk;
use crate::error::{Named, Result};

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

/// One mounted hierarchy of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    version: Version,
    controllers: Vec<String>,
    own: String,
    mounts: Vec<Mount>,
}

/// Where a hierarchy is mounted, and which of its cgroups is the root of that mount.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    root: String,
    /// `major:minor`: which file system should be found at `point`.
    device: String,
}

impl Layout {
    /// Looks at /proc/self/mountinfo and /proc/self/cgroup (cgroups(7)), and asks statfs(2) at each mount point
    /// whether that file system is the one that is visible there.
    ///
    /// # Errors
    /// When there is no procfs at /proc. No cgroups at all is not an error but [`LayoutKind::None`].
    pub fn detect() -> Result<Layout> {
        let mountinfo = fs::read("/proc/self/mountinfo").named(|| "cat /proc/self/mountinfo".into())?;
        // A kernel without cgroups has no such file.
        let cgroup = fs::read("/proc/self/cgroup").unwrap_or_default();
        // A path that is no UTF-8 is changed by this. It is then not found below, and left out.
        let mut layout =
            Layout::parse(&String::from_utf8_lossy(&mountinfo), &String::from_utf8_lossy(&cgroup));
        for hierarchy in &mut layout.hierarchies {
            let version = hierarchy.version;
            hierarchy.mounts.retain(|mount| mount.is_visible(version));
        }
        layout.hierarchies.retain(|hierarchy| !hierarchy.mounts.is_empty());
        for hierarchy in layout.hierarchies.iter_mut().filter(|hierarchy| hierarchy.version == Version::V2) {
            let offered = hierarchy.mount_point().join("cgroup.controllers");
            let offered = fs::read_to_string(offered).unwrap_or_default();
            hierarchy.controllers = offered.split_whitespace().map(String::from).collect();
        }
        Ok(layout)
    }

    /// The two files' text, without a look at the mounts themselves.
    pub(super) fn parse(mountinfo: &str, cgroup: &str) -> Layout {
        let is_cgroup = |line: &&str| line.contains(" - cgroup");
        let mounts = mountinfo.lines().filter(is_cgroup).filter_map(|line| MountInfo::from_line(line).ok());
        let mounts: Vec<MountInfo> = mounts.collect();
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

impl Hierarchy {
    /// Which version's files it has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its controllers. On v1 a hierarchy without controllers has a name instead: `name=systemd`.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// Whether `controller` is one of its controllers.
    pub fn has_controller(&self, controller: &str) -> bool {
        self.controllers.iter().any(|own| own == controller)
    }

    /// Where it is mounted; the first of these places if there are several.
    pub fn mount_point(&self) -> &Path {
        self.mounts.first().map_or(Path::new(""), |mount| &mount.point)
    }

    /// The line of /proc/self/cgroup: our cgroup's path, seen from the root of our cgroup namespace.
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The directory of the cgroup that the caller was in at [`Layout::detect`], if any mount shows it.
    ///
    /// /proc/self/cgroup gives a path from the root of our cgroup namespace, and a mount shows a part of the
    /// hierarchy. After unshare(CLONE_NEWCGROUP) the old mount begins above that root, at `/..`, and the names in
    /// between cannot be read anywhere (cgroup_namespaces(7)). Then the directory is found by our PID in it.
    ///
    /// # Errors
    /// Those of the search for our PID.
    pub fn own_path(&self) -> Result<Option<PathBuf>> {
        for mount in &self.mounts {
            match beneath(&mount.root, &self.own) {
                Beneath::At(below) => {
                    // Joined with nothing, a path would end in a slash.
                    let root = below.as_os_str().is_empty();
                    let path = if root { mount.point.clone() } else { mount.point.join(below) };
                    if path.is_dir() {
                        return Ok(Some(path));
                    }
                }
                Beneath::Somewhere => {
                    let tree = walk(&mount.point)?;
                    let ours = tree
                        .into_iter()
                        .find(|node| node.pids.as_ref().is_ok_and(|pids| pids.contains(&getpid())));
                    if let Some(node) = ours {
                        return Ok(Some(node.path));
                    }
                }
                Beneath::Not => {}
            }
        }
        Ok(None)
    }

    /// Our cgroup and its ancestors, nearest first, as far as the mount shows them. Where no mount shows our cgroup,
    /// the roots of the mounts.
    ///
    /// # Errors
    /// Those of [`Hierarchy::own_path`].
    pub fn own_and_ancestors(&self) -> Result<Vec<PathBuf>> {
        let Some(own) = self.own_path()? else {
            return Ok(self.mounts.iter().map(|mount| mount.point.clone()).collect());
        };
        let shown = |path: &Path| self.mounts.iter().any(|mount| path.starts_with(&mount.point));
        Ok(own.ancestors().take_while(|path| shown(path)).map(PathBuf::from).collect())
    }
}

impl Mount {
    fn from(row: &MountInfo) -> Mount {
        let point = unescaped(&row.mount_point.to_string_lossy());
        Mount { point: point.into(), root: unescaped(&row.root), device: row.majmin.clone() }
    }

    /// Whether the mount point shows this mount, and not one that was put over it.
    fn is_visible(&self, version: Version) -> bool {
        let magic = match version {
            Version::V1 => CGROUP_SUPER_MAGIC,
            Version::V2 => CGROUP2_SUPER_MAGIC,
        };
        let device = |found: fs::Metadata| {
            let device = found.dev();
            format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
        };
        statfs(&self.point).is_ok_and(|found| found.filesystem_type() == magic)
            && fs::metadata(&self.point).is_ok_and(|found| device(found) == self.device)
    }
}

/// A line of /proc/self/cgroup and a v1 mount belong together by their controllers, or by the name of a hierarchy
/// without any, which is the mount option `name=systemd`.
fn is_v1_mount_of(mount: &MountInfo, controllers: &[String]) -> bool {
    let has = |controller: &String| match controller.split_once('=') {
        Some((key, value)) => mount.super_options.get(key).is_some_and(|it| it.as_deref() == Some(value)),
        None => mount.super_options.contains_key(controller),
    };
    mount.fs_type == "cgroup" && !controllers.is_empty() && controllers.iter().all(has)
}

/// mountinfo writes space, tab, newline, `\` and `#` in a path as `\` and three octal digits (proc_pid_mountinfo(5)).
fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_string();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte as char);
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// Where a cgroup is, seen from the root of a mount.
#[derive(Debug, PartialEq, Eq)]
enum Beneath {
    /// At this relative path.
    At(PathBuf),
    /// Beneath it, but the path cannot be known.
    Somewhere,
    /// The mount does not show it.
    Not,
}

/// `root` and `path` both start at the root of the reader's cgroup namespace, and climb above it by `/..`.
fn beneath(root: &str, path: &str) -> Beneath {
    let parts = |text: &'_ str| -> (usize, Vec<String>) {
        let all = text.split('/').filter(|part| !part.is_empty());
        let climbs = all.clone().take_while(|part| *part == "..").count();
        (climbs, all.skip(climbs).map(String::from).collect())
    };
    let ((root_climbs, root), (path_climbs, path)) = (parts(root), parts(path));
    if root_climbs > path_climbs {
        return if root.is_empty() { Beneath::Somewhere } else { Beneath::Not };
    }
    match path.strip_prefix(root.as_slice()) {
        Some(rest) if root_climbs == path_climbs => Beneath::At(rest.iter().collect()),
        _ => Beneath::Not,
    }
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
        let layout = Layout::parse(UNIFIED, "0::/user.slice/session-1.scope\n");
        assert_eq!(layout.kind(), LayoutKind::Unified);
        assert_eq!(layout.v2_mount(), Some(Path::new("/sys/fs/cgroup")));
        assert_eq!(layout.v2().unwrap().own(), "/user.slice/session-1.scope");
        assert_eq!(layout.v1("pids"), None);
        assert_eq!(layout.to_string(), "unified: v2 at /sys/fs/cgroup with no controller");
    }

    #[test]
    fn both_is_hybrid() {
        let layout = Layout::parse(HYBRID, HYBRID_CGROUP);
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
        let layout = Layout::parse(&legacy, HYBRID_CGROUP);
        assert_eq!(layout.kind(), LayoutKind::Legacy);
        assert_eq!(layout.v2(), None);
        assert!(layout.v2_controllers().is_empty());
    }

    #[test]
    fn neither_is_none() {
        for (mountinfo, cgroup) in
            [("", ""), ("", HYBRID_CGROUP), ("22 1 0:20 / /proc rw - proc proc rw\n", "0::/\n")]
        {
            let layout = Layout::parse(mountinfo, cgroup);
            assert_eq!(layout.kind(), LayoutKind::None);
            assert_eq!(layout.to_string(), "none");
        }
    }

    #[test]
    fn lines_that_cannot_be_read_are_passed_over() {
        let broken = format!("x y z - cgroup2\n31 - cgroup\n{UNIFIED}");
        assert_eq!(Layout::parse(&broken, "0::/\n").kind(), LayoutKind::Unified);
        assert_eq!(Layout::parse(UNIFIED, "not a line\n").kind(), LayoutKind::None);
    }

    #[test]
    fn a_container_of_v1_sees_its_own_part_only() {
        let inside = "36 31 0:36 /docker/4f1c /sys/fs/cgroup/pids ro,nosuid - cgroup cgroup rw,pids\n";
        let layout = Layout::parse(inside, "8:pids:/docker/4f1c\n0::/\n");
        assert_eq!(layout.kind(), LayoutKind::Legacy);
        assert_eq!(beneath("/docker/4f1c", layout.v1("pids").unwrap().own()), Beneath::At(PathBuf::new()));
    }

    #[test]
    fn a_mount_point_with_a_space_is_unescaped() {
        let layout = Layout::parse("30 23 0:26 / /mnt/my\\040cgroups rw - cgroup2 none rw\n", "0::/\n");
        assert_eq!(layout.v2_mount(), Some(Path::new("/mnt/my cgroups")));
        for (escaped, plain) in
            [("a\\134b", "a\\b"), ("\\011", "\t"), ("a\\9", "a\\9"), ("\\", "\\"), ("\\\u{e9}x", "\\\u{e9}x")]
        {
            assert_eq!(unescaped(escaped), plain);
        }
    }

    #[test]
    fn a_path_is_seen_from_the_root_of_the_mount() {
        let at = |path: &str| Beneath::At(path.into());
        assert_eq!(beneath("/", "/"), at(""));
        assert_eq!(beneath("/", "/a/b"), at("a/b"));
        assert_eq!(beneath("/a", "/a/b"), at("b"));
        assert_eq!(beneath("/a", "/ab"), Beneath::Not);
        assert_eq!(beneath("/a/b", "/a"), Beneath::Not);
        // In a cgroup namespace of our own, on the mount from before: our part of it has names that we cannot see.
        assert_eq!(beneath("/..", "/"), Beneath::Somewhere);
        assert_eq!(beneath("/../..", "/../x"), Beneath::Somewhere);
        assert_eq!(beneath("/../x", "/"), Beneath::Not);
        // Moved out of the namespace's root, with and without a mount that shows where to.
        assert_eq!(beneath("/", "/../x"), Beneath::Not);
        assert_eq!(beneath("/..", "/../x"), at("x"));
    }
}
