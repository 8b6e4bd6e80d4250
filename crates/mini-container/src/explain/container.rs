//! The namespaces that both arms of most steps run in.

use anyhow::Result;
use ns_core::{Fact, Namespaces, Reporter, Spawn, mount};

/// Runs `body` in new mount, PID and UTS namespaces.
pub(super) fn in_a_container(body: impl FnOnce(&mut Reporter) -> ns_core::Result<()>) -> Result<Vec<Fact>> {
    let namespaces = Namespaces::MNT | Namespaces::PID | Namespaces::UTS;
    let mut container = Spawn::new("container").namespaces(namespaces).run(|me| {
        mount::make_private()?;
        body(me)
    })?;
    Ok(container.facts()?)
}
