//! One hierarchy of cgroups: where it is mounted, and where in it we are.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::getpid;
use procfs::process::MountInfo;

use super::Version;
use super::walk::walk;
use crate::error::Result;

/// One mounted hierarchy of cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub(super) version: Version,
    pub(super) controllers: Vec<String>,
    pub(super) own: String,
    pub(super) mounts: Vec<Mount>,
}

/// Where a hierarchy is mounted, and which of its cgroups is the root of that mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    point: PathBuf,
    root: String,
    /// `major:minor`: which file system should be found at `point`.
    device: String,
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

    /// The directory of the cgroup that has this `path` in a /proc/PID/cgroup, if a mount shows it at a place that can be
    /// told from the path.
    pub fn directory(&self, path: &str) -> Option<PathBuf> {
        let shown = self.mounts.iter().filter_map(|mount| match beneath(&mount.root, path) {
            Beneath::At(below) => Some(mount.point.join(below)),
            Beneath::Somewhere | Beneath::Not => None,
        });
        shown.filter(|directory| directory.is_dir()).map(|it| it.components().collect()).next()
    }

    /// The directory of the cgroup that the caller was in at [`super::Layout::detect`], if any mount shows it.
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
        Ok(self.with_ancestors(&own))
    }

    /// As [`Hierarchy::directory`], and after it those of its ancestors, nearest first, as far as a mount shows them. None
    /// where it finds none.
    pub fn directories(&self, path: &str) -> Vec<PathBuf> {
        self.directory(path).map_or_else(Vec::new, |own| self.with_ancestors(&own))
    }

    fn with_ancestors(&self, directory: &Path) -> Vec<PathBuf> {
        let shown = |path: &Path| self.mounts.iter().any(|mount| path.starts_with(&mount.point));
        directory.ancestors().take_while(|path| shown(path)).map(PathBuf::from).collect()
    }
}

impl Mount {
    pub(super) fn from(row: &MountInfo) -> Mount {
        Mount { point: row.mount_point.clone(), root: row.root.clone(), device: row.majmin.clone() }
    }

    /// Whether the mount point shows this mount, and not one that was put over it. Each filesystem has a device number of its
    /// own as long as it is mounted.
    pub(super) fn is_visible(&self) -> bool {
        let device = |found: fs::Metadata| {
            let device = found.dev();
            format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device))
        };
        fs::metadata(&self.point).is_ok_and(|found| device(found) == self.device)
    }
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

    #[test]
    fn a_container_sees_its_own_part_only() {
        assert_eq!(beneath("/docker/4f1c", "/docker/4f1c"), Beneath::At(PathBuf::new()));
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
