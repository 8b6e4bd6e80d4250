//! The cgroups that the steps create.

use anyhow::Result;
use lesson::Lab;
use ns_core::cgroup::CgroupRequest::{self, AnyV2, Controller};
use ns_core::cgroup::{Cgroup, CgroupParent, Version};
use ns_core::{Fact, Outcome};

/// Creates a cgroup below the one that `request` finds.
pub(crate) fn create(request: CgroupRequest<'_>, purpose: &str) -> Result<Cgroup> {
    Ok(CgroupParent::require(request)?.create(purpose)?)
}

/// Shows which version of cgroups has a controller on this machine.
pub(crate) fn show_version(lab: &mut Lab, controller: &str) -> Result<()> {
    let version = CgroupParent::require(Controller(controller))?.version();
    lab.saw(Fact::outside(format!("{controller}: cgroup version"), version.to_string()))
}

/// What the kernel answers when a cgroup enables a controller for its children.
pub(crate) fn enable(cgroup: &Cgroup, controller: &str) -> Result<Fact> {
    let answer = Outcome::of(cgroup.enable(controller))?;
    Ok(Fact::outside(format!("echo +{controller} > cgroup.subtree_control"), answer))
}

/// A cgroup and its child.
pub(crate) struct Pair {
    // The child is dropped first: a cgroup that has a child cannot be removed.
    pub(crate) below: Cgroup,
    pub(crate) above: Cgroup,
}

impl Pair {
    /// Both have the controller.
    pub(crate) fn with(controller: &str) -> Result<Pair> {
        let above = create(Controller(controller), "above")?;
        if above.version() == Version::V2 {
            above.enable(controller)?;
        }
        Ok(Pair { below: above.child(&"below".parse()?)?, above })
    }

    /// Both are of version 2. The child has no controller.
    pub(crate) fn bare() -> Result<Pair> {
        let above = create(AnyV2, "above")?;
        Ok(Pair { below: above.child(&"below".parse()?)?, above })
    }
}
