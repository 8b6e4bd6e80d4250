//! The mount namespace and the directories of each arm.

use std::fs;
use std::path::Path;

use anyhow::Result;
use ns_core::idmap::IdMaps;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, Spawn, mount};

/// The mount point of a new tmpfs in every trial.
pub(crate) const PLACE: &str = "/mnt";
/// A directory in the tmpfs, to mount on.
pub(crate) const DOOR: &str = "/mnt/door";
/// A second directory in the tmpfs.
pub(crate) const ELSEWHERE: &str = "/mnt/elsewhere";

/// Runs `body` in a new mount namespace for the whole arm. All mounts in it are private, and [`PLACE`] is a new tmpfs.
/// Its mounts are removed when it ends.
pub(crate) fn trial(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut outside = Child::spawn("outside", Namespaces::MNT, |me| {
        mount::mount("tmpfs", Path::new(PLACE))?;
        for directory in [DOOR, ELSEWHERE] {
            make_directory(directory)?;
        }
        body(me)
    })?;
    Ok(outside.facts()?)
}

/// A child in new `namespaces`, with user ID 0 inside.
pub(crate) fn root_in(namespaces: Namespaces) -> Spawn<'static> {
    let child = Spawn::new("inside").namespaces(namespaces);
    if namespaces.contains(Namespaces::USER) { child.maps(IdMaps::own(0, 0, 0)) } else { child }
}

pub(crate) fn make_directory(path: impl AsRef<Path>) -> ns_core::Result<()> {
    let path = path.as_ref();
    fs::create_dir(path).named(|| format!("mkdir(\"{}\")", path.display()))
}

/// Whether a filesystem is mounted at `target` in the caller's mount namespace.
pub(crate) fn is_mounted(target: impl AsRef<Path>) -> ns_core::Result<bool> {
    Ok(mount::at(None, target.as_ref())?.is_some())
}

/// The outcome of opening `path`.
pub(crate) fn open(path: impl AsRef<Path>) -> ns_core::Result<Outcome> {
    let path = path.as_ref();
    Outcome::of(fs::File::open(path).named(|| format!("open(\"{}\")", path.display())))
}
