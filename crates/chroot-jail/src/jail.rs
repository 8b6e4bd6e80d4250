//! The jail, and the two calls that confine a process to it.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::Result;
use ns_core::{Child, Fact, Named, Namespaces, Outcome, Reporter, mount, root};

/// An empty tmpfs in every trial. It is outside the jail.
pub(crate) const PLACE: &str = "/mnt";
/// A file in it.
pub(crate) const OUTSIDE: &str = "/mnt/outside";
/// The directory that becomes the root. It is a mount point, because pivot_root(2) requires one.
pub(crate) const JAIL: &str = "/mnt/jail";

/// What confines a process.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Confinement {
    /// Nothing.
    None,
    /// chroot(2), with chdir(2) after it, as it should be called.
    Chroot,
    /// pivot_root(2), with the old root unmounted.
    PivotRoot,
}

impl Confinement {
    /// Confines the caller, in whose mount namespace the jail is built.
    pub(crate) fn apply(self) -> ns_core::Result<()> {
        match self {
            Confinement::None => Ok(()),
            Confinement::Chroot => {
                root::chroot(Path::new(JAIL))?;
                change_directory("/")
            }
            Confinement::PivotRoot => {
                change_directory(JAIL)?;
                // The old root is mounted over the new one. So it needs no directory, and "." leads to it.
                root::pivot(Path::new("."), Path::new("."))?;
                mount::unmount(Path::new("."))?;
                change_directory("/")
            }
        }
    }
}

/// Runs `body` in a new mount namespace, with the jail built. The mounts end with the namespace.
pub(crate) fn trial(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let mut outside = Child::spawn("outside", Namespaces::MNT, |me| {
        build()?;
        body(me)
    })?;
    Ok(outside.facts()?)
}

/// Like [`trial`], in a child with its own mount namespace, so that no other process is confined.
pub(crate) fn jailed(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    trial(|me| {
        let mut jailed = Child::spawn("jailed", Namespaces::MNT, body)?;
        jailed.pass_on(me)
    })
}

fn build() -> ns_core::Result<()> {
    let [place, jail] = [PLACE, JAIL].map(Path::new);
    mount::mount("tmpfs", place)?;
    // Executable: one step runs a program from it.
    mount::restrict(place, &[])?;
    write_file(OUTSIDE)?;
    make_directory(jail)?;
    mount::bind(jail, jail)?;
    write_file(jail.join("inside"))?;
    for directory in ["cell", "old", "proc"] {
        make_directory(jail.join(directory))?;
    }
    // Recursive: a mount below it, made by a more privileged namespace, cannot be left out.
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

/// What the kernel answers when the caller opens `path`.
pub(crate) fn open(path: impl AsRef<Path>) -> ns_core::Result<Outcome> {
    let path = path.as_ref();
    Outcome::of(fs::File::open(path).named(|| format!("open(\"{}\")", path.display())))
}
