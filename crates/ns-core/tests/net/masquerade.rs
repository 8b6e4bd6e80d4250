//! Addresses that are translated, and that are not.

use std::net::{IpAddr, Ipv4Addr};

use libtest_mimic::Completion;
use ns_core::Errno;
use ns_core::net::Masquerade;

use crate::bench::{Check, DONE, Net, ip, refused, veth_pair, wait_for_both};

pub(crate) const CHECKS: &[(&str, Check)] = named![a_source_is_translated_as_long_as_the_rule_is_held,];

const INNER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
/// A network that no packet here goes to.
const ELSEWHERE: &[u8] = &[192, 0, 2];

fn a_source_is_translated_as_long_as_the_rule_is_held() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    wait_for_both(&a, &b);
    a.net.add_address(a.link("lo").index, INNER.into(), 32).unwrap();
    a.net.set_up(a.link("lo").index).unwrap();
    b.net.add_route(None, Some(ip("10.0.0.1")), b.link("vb").index).unwrap();
    // Sockets of its own each time: the kernel goes on as it has begun with a connection.
    assert_eq!(source_seen(&a, &b), INNER);
    a.enter();
    let rule = match Masquerade::on_host("inception-test", INNER, ELSEWHERE) {
        Err(error) if matches!(error.errno(), Some(Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP)) => {
            return Ok(Completion::ignored_with(format!("this kernel has no nftables: {error}")));
        }
        made => made.unwrap(),
    };
    assert_eq!(source_seen(&a, &b), ip("10.0.0.1"));
    a.enter();
    let again = Masquerade::on_host("inception-test", INNER, ELSEWHERE);
    // The table is another socket's.
    refused(again, Errno::EPERM, "nft add rule ip inception-test postrouting ip saddr 10.1.0.1 masquerade");
    assert_eq!(source_seen(&a, &b), ip("10.0.0.1"));
    drop(rule);
    assert_eq!(source_seen(&a, &b), INNER);
    // The name is free again. What goes to the network's own addresses is left as it is, and so is another source.
    for (source, own) in [(INNER, &[10, 0][..]), (Ipv4Addr::new(10, 1, 0, 2), ELSEWHERE)] {
        a.enter();
        let _rule = Masquerade::on_host("inception-test", source, own).unwrap();
        assert_eq!(source_seen(&a, &b), INNER);
    }
    DONE
}

/// The source address of a datagram from [`INNER`], as its receiver has it.
fn source_seen(a: &Net, b: &Net) -> IpAddr {
    let (from, to) = (a.udp(&INNER.to_string()), b.udp("10.0.0.2"));
    from.send_to(b"x", to.local_addr().unwrap()).unwrap();
    to.recv_from(&mut [0; 8]).unwrap().1.ip()
}
