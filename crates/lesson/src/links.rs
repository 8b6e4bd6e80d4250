//! What experiments with veth pairs and bridges require.

use ns_core::net::{LinkName, Netlink};
use ns_core::probe::Unmet;
use ns_core::{Child, Errno, Namespaces, Outcome, sandbox};

/// Whether the kernel has both types of link, whose modules it may have to load: it is asked for one of each.
/// `None` if it has.
///
/// # Errors
/// When the child that asks could not be made, or cannot enter a network of its own.
pub fn kernel_has_the_links() -> ns_core::Result<Option<Unmet>> {
    let mut child = Child::spawn("probe", Namespaces::NONE, |me| {
        sandbox::enter(Namespaces::NET)?;
        let net = Netlink::open()?;
        let [one, other, bridge] =
            [LinkName::new("probe0")?, LinkName::new("probe1")?, LinkName::new("probe2")?];
        me.report("veth", Outcome::of(net.create_veth(&one, &other, None))?)?;
        me.report("bridge", Outcome::of(net.create_bridge(&bridge))?)
    })?;
    for kind in ["veth", "bridge"] {
        if child.fact()?.value.as_outcome() == Some(Outcome::Failed(Errno::EOPNOTSUPP)) {
            let what = format!("this kernel has no links of type {kind}");
            return Ok(Some(Unmet::new(what, format!("sudo modprobe {kind}, or a kernel that has it"))));
        }
    }
    Ok(None)
}
