//! Where each arm takes place.

use std::fs;
use std::path::Path;

use anyhow::Result;
use ns_core::idmap::IdMaps;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, Spawn, mount};

/// An empty tmpfs in every trial.
pub(crate) const PLACE: &str = "/mnt";
/// A directory in it, to mount on.
pub(crate) const DOOR: &str = "/mnt/door";
/// Another.
pub(crate) const ELSEWHERE: &str = "/mnt/elsewhere";

/// Runs `body` in a mount namespace around the whole arm, in which all mounts are private and [`PLACE`] is new. Its mounts go
/// when it ends.
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

/// A child in new `namespaces`, who is root there.
pub(crate) fn root_in(namespaces: Namespaces) -> Spawn<'static> {
    let child = Spawn::new("inside").namespaces(namespaces);
    if namespaces.contains(Namespaces::USER) { child.maps(IdMaps::own(0, 0, 0)) } else { child }
}

pub(crate) fn make_directory(path: impl AsRef<Path>) -> ns_core::Result<()> {
    let path = path.as_ref();
    fs::create_dir(path).named(|| format!("mkdir(\"{}\")", path.display()))
}

/// Whether something is mounted at `target`, as the caller sees it.
pub(crate) fn sees(target: impl AsRef<Path>) -> ns_core::Result<bool> {
    Ok(mount::at(None, target.as_ref())?.is_some())
}

/// How the kernel answers when the caller opens `path`.
pub(crate) fn open(path: impl AsRef<Path>) -> ns_core::Result<Outcome> {
    let path = path.as_ref();
    Outcome::of(fs::File::open(path).named(|| format!("open(\"{}\")", path.display())))
}
