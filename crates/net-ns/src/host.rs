//! The network of the sandbox, which stands for a host's: lo, a device with an address, and its route.

use std::net::Ipv4Addr;
use std::rc::Rc;

use anyhow::Result;
use lesson::Lab;
use ns_core::net::{LinkName, Netlink};

/// The index of lo, the first device of every network namespace.
pub(crate) const LO: u32 = 1;
/// The address of the sandbox besides 127.0.0.1.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Devices that tunnel modules, if they are loaded, create in every new network namespace
/// (fb_tunnels_only_for_init_net, Documentation/admin-guide/sysctl/net.rst).
const FALLBACK_TUNNELS: [&str; 9] =
    ["tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"];

/// The names of devices, without those of [`FALLBACK_TUNNELS`].
pub(crate) fn but_fallback_tunnels<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.filter(|name| !FALLBACK_TUNNELS.contains(name)).collect()
}

/// The sandbox's network namespace with its devices.
pub(crate) struct Host {
    pub(crate) net: Netlink,
    /// The index of the device that has the address.
    pub(crate) d0: u32,
}

impl Host {
    /// The network that all steps share.
    pub(crate) fn of(lab: &mut Lab) -> Result<Rc<Host>> {
        lab.once(|_| Host::set_up())
    }

    fn set_up() -> Result<Host> {
        let net = Netlink::open()?;
        net.set_up(LO)?;
        let d0 = net.create_veth(&LinkName::new("d0")?, &LinkName::new("d1")?, None)?;
        let d1 = net.index(&LinkName::new("d1")?)?;
        net.keep_quiet(d0)?;
        net.keep_quiet(d1)?;
        net.add_address(d0, ADDRESS.into(), 24)?;
        net.set_up(d0)?;
        net.set_up(d1)?;
        net.wait_until_running(d0)?;
        Ok(Host { net, d0 })
    }
}
