//! The cgroups that the steps make.

use anyhow::Result;
use lesson::Lab;
use ns_core::cgroup::CgroupRequest::{self, AnyV2, Controller};
use ns_core::cgroup::{Cgroup, CgroupParent, Version};
use ns_core::{Fact, Outcome};

/// A new cgroup there.
pub(crate) fn create(request: CgroupRequest<'_>, purpose: &str) -> Result<Cgroup> {
    Ok(CgroupParent::require(request)?.create(purpose)?)
}

/// Shows the version of the cgroups that have a controller here.
pub(crate) fn show_version(lab: &mut Lab, controller: &str) -> Result<()> {
    let version = CgroupParent::require(Controller(controller))?.version();
    lab.saw(Fact::outside(format!("{controller}: the version of the cgroup"), version.to_string()))
}

/// How the kernel answers when a cgroup enables a controller for its children.
pub(crate) fn enable(cgroup: &Cgroup, controller: &str) -> Result<Fact> {
    let answer = Outcome::of(cgroup.enable(controller))?;
    Ok(Fact::outside(format!("echo +{controller} > cgroup.subtree_control"), answer))
}

/// A cgroup and one below it.
pub(crate) struct Pair {
    // The child goes first.
    pub(crate) below: Cgroup,
    pub(crate) above: Cgroup,
}

impl Pair {
    /// Both with a controller.
    pub(crate) fn with(controller: &str) -> Result<Pair> {
        let above = create(Controller(controller), "above")?;
        if above.version() == Version::V2 {
            above.enable(controller)?;
        }
        Ok(Pair { below: above.child(&"below".parse()?)?, above })
    }

    /// Both of version 2, the one below without a controller.
    pub(crate) fn bare() -> Result<Pair> {
        let above = create(AnyV2, "above")?;
        Ok(Pair { below: above.child(&"below".parse()?)?, above })
    }
}
