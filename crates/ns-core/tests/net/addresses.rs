//! Addresses and routes.

use libtest_mimic::Completion;
use ns_core::net::{Address, Route};
use ns_core::{Errno, Error};

use crate::bench::{Check, DONE, Net, ip, refused, veth_pair, wait_for_both};

pub(crate) const CHECKS: &[(&str, Check)] = named![
    an_address_is_listed_as_given_and_usable_at_once,
    a_default_route_leads_through_its_gateway,
    a_route_beyond_the_link_is_refused_with_the_kernels_words,
    a_route_of_two_families_is_not_even_asked_for,
];

fn an_address_is_listed_as_given_and_usable_at_once() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    let index = a.link("va").index;
    let ipv6 = a.net.add_address(index, ip("fd00::1"), 64);
    wait_for_both(&a, &b);
    let mut expected = vec![Address { index, address: ip("10.0.0.1"), prefix: 24 }];
    if ipv6.is_ok() {
        expected.push(Address { index, address: ip("fd00::1"), prefix: 64 });
        // An address that is still being tested for duplicates cannot be bound: EADDRNOTAVAIL.
        drop(a.udp("fd00::1"));
    }
    let mut found = a.net.addresses().unwrap();
    found.retain(|address| expected.contains(address));
    assert_eq!(found, expected);
    refused(a.net.add_address(index, ip("10.0.0.1"), 24), Errno::EEXIST, "ip address add 10.0.0.1/24 dev va");
    a.net.delete_address(index, ip("10.0.0.1"), 24).unwrap();
    let call = "ip address delete 10.0.0.1/24 dev va";
    refused(a.net.delete_address(index, ip("10.0.0.1"), 24), Errno::EADDRNOTAVAIL, call);
    DONE
}

fn a_default_route_leads_through_its_gateway() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    wait_for_both(&a, &b);
    let index = a.link("va").index;
    let of_the_address = Route { destination: ip("10.0.0.0"), prefix: 24, gateway: None, index: Some(index) };
    let default =
        Route { destination: ip("0.0.0.0"), prefix: 0, gateway: Some(ip("10.0.0.2")), index: Some(index) };
    let ipv4 = || {
        let mut routes = a.net.routes().unwrap();
        routes.retain(|route| route.destination.is_ipv4());
        routes
    };
    assert_eq!(ipv4(), std::slice::from_ref(&of_the_address));
    let far = a.udp("10.0.0.1");
    assert_eq!(far.send_to(b"x", "192.0.2.1:9").unwrap_err().raw_os_error(), Some(libc::ENETUNREACH));

    a.net.add_route(None, default.gateway, index).unwrap();
    assert_eq!(ipv4(), [default.clone(), of_the_address.clone()]);
    far.send_to(b"x", "192.0.2.1:9").unwrap();
    let call = "ip route add default via 10.0.0.2 dev va";
    refused(a.net.add_route(None, default.gateway, index), Errno::EEXIST, call);

    a.net.delete_route(None, default.gateway, index).unwrap();
    a.net.delete_route(Some((ip("10.0.0.0"), 24)), None, index).unwrap();
    assert_eq!(ipv4(), []);
    refused(a.net.delete_route(None, None, index), Errno::ESRCH, "ip route delete default dev va");
    DONE
}

fn a_route_beyond_the_link_is_refused_with_the_kernels_words() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    wait_for_both(&a, &b);
    let error = a.net.add_route(None, Some(ip("192.0.2.1")), a.link("va").index).unwrap_err();
    let text = error.to_string();
    let call = "ip route add default via 192.0.2.1 dev va [kernel: ";
    assert!(text.starts_with(call) && text.ends_with("]: ENETUNREACH (Network is unreachable)"), "{text}");
    assert!(text.contains("gateway"), "{text}");
    DONE
}

fn a_route_of_two_families_is_not_even_asked_for() -> Result<Completion, String> {
    let error = Net::new().net.add_route(Some((ip("10.0.0.0"), 8)), Some(ip("fd00::1")), 1).unwrap_err();
    assert!(matches!(error, Error::Input(_)), "{error}");
    DONE
}
