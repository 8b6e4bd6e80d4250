//! The jail, and the two walls that can be put around it.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::Result;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, mount, root};

/// An empty tmpfs in every trial. It is outside.
pub(crate) const PLACE: &str = "/mnt";
/// A file there.
pub(crate) const OUTSIDE: &str = "/mnt/outside";
/// The directory that is to be the root. A mount as well, since pivot_root(2) wants one.
pub(crate) const JAIL: &str = "/mnt/jail";

/// What keeps a process in.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wall {
    /// Nothing.
    None,
    /// chroot(2), as it should be called: with chdir(2).
    Chroot,
    /// pivot_root(2), with the old root unmounted.
    PivotRoot,
}

impl Wall {
    /// Puts it around the caller, who has built the jail or is in the mount namespace of who has.
    pub(crate) fn put_up(self) -> ns_core::Result<()> {
        match self {
            Wall::None => Ok(()),
            Wall::Chroot => {
                root::chroot(Path::new(JAIL))?;
                change_directory("/")
            }
            Wall::PivotRoot => {
                change_directory(JAIL)?;
                // The old root comes to lie on the new one. So it needs no directory, and "." leads to it.
                root::pivot(Path::new("."), Path::new("."))?;
                mount::unmount(Path::new("."))?;
                change_directory("/")
            }
        }
    }
}

/// Runs `body` in a mount namespace around the whole arm, with the jail built. What is in it goes when it ends.
pub(crate) fn trial(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut outside = Child::spawn("outside", Namespaces::MNT, |me| {
        build()?;
        body(me)
    })?;
    Ok(outside.facts()?)
}

/// As [`trial`]: one child of it, with a mount namespace of its own, so that no wall is put around anyone else.
pub(crate) fn prisoner(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    trial(|me| {
        let mut prisoner = Child::spawn("prisoner", Namespaces::MNT, body)?;
        prisoner.pass_on(me)
    })
}

fn build() -> ns_core::Result<()> {
    let [place, jail] = [PLACE, JAIL].map(Path::new);
    mount::mount("tmpfs", place)?;
    // One program is to be run from it.
    mount::restrict(place, &[])?;
    write_file(OUTSIDE)?;
    make_directory(jail)?;
    mount::bind(jail, jail)?;
    write_file(jail.join("inside"))?;
    for directory in ["cell", "old", "proc"] {
        make_directory(jail.join(directory))?;
    }
    // Recursively: what a more privileged namespace has mounted on it cannot be left out.
    mount::bind_recursive(Path::new("/proc"), &jail.join("proc"))
}

pub(crate) fn write_file(path: impl AsRef<Path>) -> ns_core::Result<()> {
    let path = path.as_ref();
    fs::write(path, "").named(|| format!("write(\"{}\")", path.display()))
}

pub(crate) fn make_directory(path: impl AsRef<Path>) -> ns_core::Result<()> {
    let path = path.as_ref();
    fs::create_dir(path).named(|| format!("mkdir(\"{}\")", path.display()))
}

pub(crate) fn change_directory(path: &str) -> ns_core::Result<()> {
    env::set_current_dir(path).named(|| format!("chdir(\"{path}\")"))
}

/// How the kernel answers when the caller opens `path`.
pub(crate) fn open(path: impl AsRef<Path>) -> ns_core::Result<Outcome> {
    let path = path.as_ref();
    Outcome::of(fs::File::open(path).named(|| format!("open(\"{}\")", path.display())))
}
