//! Links, addresses and routes of one network namespace, over rtnetlink(7); and one rule of nftables.
//!
//! [`Netlink`] speaks to the network namespace in which it was opened, wherever its process goes afterwards: a socket
//! keeps the namespace it was created in (network_namespaces(7)). Open it after entering the namespace.
//!
//! ```no_run
//! # use ns_core::net::{LinkName, Netlink};
//! # fn main() -> ns_core::Result<()> {
//! let net = Netlink::open()?;
//! let va = net.create_veth(&LinkName::new("va")?, &LinkName::new("vb")?, None)?;
//! net.add_address(va, "10.0.0.1".parse().unwrap(), 24)?;
//! net.set_up(va)?;
//! # Ok(())
//! # }
//! ```

mod addresses;
mod answer;
mod inet;
mod link;
mod links;
mod loopback;
mod masquerade;
mod message;
mod name;
mod netlink;
pub mod plan;
mod socket;
mod wait;

pub use inet::{Address, Route};
pub use link::Link;
pub use loopback::set_up_loopback;
pub use masquerade::Masquerade;
pub use name::LinkName;
pub use netlink::Netlink;
