//! Links, addresses, routes, ports.

use std::net::{TcpListener, UdpSocket};

use ns_core::net::{LinkName, Netlink};
use ns_core::{Named, Namespaces, Reporter, Result};

use crate::plain::Ending::Passed;
use crate::plain::{Answer, Check};
use crate::scene::{child, look, own, reads, says};

pub(crate) const CHECKS: &[Check] = &[
    ("a_new_network_has_one_link_that_is_down", a_new_network_has_one_link_that_is_down),
    (
        "links_addresses_and_routes_are_those_of_its_network",
        links_addresses_and_routes_are_those_of_its_network,
    ),
    ("ports_that_are_listened_on_are_found", ports_that_are_listened_on_are_found),
];

fn a_new_network_has_one_link_that_is_down() -> Answer {
    let new = child(own(Namespaces::NET), |_| Ok(()))?;
    reads!(new.pid(),
        "links" => "lo",
        "link lo" => "loopback",
        "link va" => "absent",
        "link va address" => "absent",
        "link lo address" => "",
        "link lo ports" => "",
        "route default" => "absent",
        "listens tcp" => "",
        "listens udp" => "",
    );
    says!(new.pid(),
        "link va" => "it has no link va",
        "route default" => "it has no default route",
        "listens tcp" => "the tcp ports that are listened on in its network are none",
    );
    Ok(Passed)
}

fn bridge(_: &mut Reporter) -> Result<()> {
    let net = Netlink::open()?;
    let name = LinkName::new;
    let (va, br) = (net.create_veth(&name("va")?, &name("vb")?, None)?, net.create_bridge(&name("br0")?)?);
    for link in net.links()? {
        net.keep_quiet(link.index)?;
        net.set_up(link.index)?;
    }
    net.set_master(va, Some(br))?;
    net.add_address(br, [10, 0, 0, 2].into(), 24)?;
    net.add_route(None, Some([10, 0, 0, 1].into()), br)
}

fn links_addresses_and_routes_are_those_of_its_network() -> Answer {
    let new = child(own(Namespaces::NET), bridge)?;
    reads!(new.pid(),
        "links" => "br0 lo va vb",
        "link br0 address" => "10.0.0.2/24",
        "link br0 ports" => "va",
        "route default" => "via 10.0.0.1 dev br0",
    );
    let va = look("link va", new.pid());
    assert!(va.contains("up") && va.contains("veth"), "{va}");
    assert!(look("link lo", new.pid()).contains("loopback running up"));
    says!(new.pid(), "link br0 address" => "its link br0 has the addresses 10.0.0.2/24");
    Ok(Passed)
}

fn ports_that_are_listened_on_are_found() -> Answer {
    let new = child(own(Namespaces::NET), |me| {
        bridge(me)?;
        let call = || "bind()".to_string();
        std::mem::forget(TcpListener::bind("127.0.0.1:20080").named(call)?);
        std::mem::forget(UdpSocket::bind("10.0.0.2:20053").named(call)?);
        Ok(())
    })?;
    reads!(new.pid(), "listens tcp" => "20080", "listens udp" => "20053");
    Ok(Passed)
}
