//! Overlays in memory: a directory below, and above it a layer for all changes.

use std::os::fd::AsFd;

use nix::unistd::fchdir;
use ns_core::mount::Restriction::NoDev;
use ns_core::mount::Tree;
use ns_core::{Errno, Error, Named, Result};

use super::place;

/// The filesystem in memory that holds the upper layers. It has to be mounted.
pub(super) struct Overlays<'a>(pub(super) &'a Tree);

impl Overlays<'_> {
    /// An overlay of `tree`, mounted nowhere yet. `name` is that of its directories in memory.
    ///
    /// # Errors
    /// EINVAL if other filesystems are mounted in `tree`; [`Error::Input`] if the kernel has no overlayfs.
    pub(super) fn over(&self, tree: &Tree, name: &str) -> Result<Tree> {
        let names = ["lower", "upper", "work"].map(|kind| format!("{name}-{kind}"));
        let mut made = names.iter().map(|name| place::new_directory(self.0.as_fd(), name));
        let lower = made.next().transpose()?;
        made.try_for_each(|made| made.map(drop))?;
        if let Some(lower) = lower {
            tree.attach_to(lower, &names[0])?;
        }
        // overlayfs resolves these names from the working directory.
        fchdir(self.0).named(|| "fchdir(assembly)".into())?;
        let [lower, upper, work] = names.each_ref().map(String::as_str);
        // In a user namespace, overlayfs may use only user.* attributes ("userxattr").
        let options = [("lowerdir", lower), ("upperdir", upper), ("workdir", work), ("userxattr", "")];
        Tree::new_filesystem("overlay", &options, &[NoDev]).map_err(|error| match error.errno() {
            Some(Errno::ENODEV) => {
                Error::Input("this kernel has no overlayfs; to get it: sudo modprobe overlay".into())
            }
            _ => error,
        })
    }
}
