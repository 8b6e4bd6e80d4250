//! What all calls of mount(2) go through.

use observation::Kind;

use crate::error::{Named, Result};
use crate::host;

/// Makes a call that changes mounts, unless they are the host's. `arguments` are those of mount(8).
pub(super) fn attempt(arguments: &str, call: impl FnOnce() -> nix::Result<()>) -> Result<()> {
    let as_typed = || format!("mount {arguments}");
    host::require_left(Kind::Mnt, as_typed)?;
    call().named(as_typed)
}
