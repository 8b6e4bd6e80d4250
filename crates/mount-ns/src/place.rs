//! Where each arm takes place.

use std::fs;
use std::path::Path;

use anyhow::Result;
use ns_core::{Fact, Named, Namespaces, Outcome, Spawn, Witness, mount};

/// An empty tmpfs in every trial.
pub(crate) const PLACE: &str = "/mnt";
/// A directory in it, to mount on.
pub(crate) const DOOR: &str = "/mnt/door";
/// Another.
pub(crate) const ELSEWHERE: &str = "/mnt/elsewhere";

/// Runs `body` in a mount namespace around the whole arm, in which all mounts are private and [`PLACE`] is new.
pub(crate) fn trial(body: impl FnOnce(&mut Witness) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    // It is no cause of anything, and stays under --sabotage too. Its mounts go when it ends.
    let mut outside = Spawn::new("outside").namespaces_always(Namespaces::MNT).run(|me| {
        mount::mount("tmpfs", Path::new(PLACE))?;
        for directory in [DOOR, ELSEWHERE] {
            make_directory(directory)?;
        }
        body(me)
    })?;
    Ok(outside.hear_all()?)
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
