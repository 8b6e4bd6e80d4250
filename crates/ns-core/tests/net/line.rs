//! The line itself.

use std::os::fd::AsRawFd;

use libtest_mimic::{Completion, Failed};
use ns_core::net::Netlink;
use ns_core::{Error, Kind, NsFile};

use crate::bench::{Check, DONE, Net, ip, named, veth_pair};

pub(crate) const CHECKS: &[(&str, Check)] = named![
    a_netlink_keeps_the_namespace_it_was_opened_in,
    a_netlink_opened_in_another_namespace_leads_there,
    a_hundred_links_come_in_one_list,
];

/// The link that is named does not exist: were this to fail, nothing would happen all the same.
pub(crate) fn nothing_is_changed_through(host: &Netlink) -> Result<(), Failed> {
    assert!(!host.links().unwrap().is_empty());
    for answer in [host.delete(999_999_999), host.add_address(999_999_999, ip("10.0.0.1"), 24)] {
        assert!(matches!(&answer, Err(Error::WouldChangeHost { .. })), "{answer:?}");
    }
    Ok(())
}

fn a_netlink_keeps_the_namespace_it_was_opened_in() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    b.enter();
    a.net.wait_until_running(a.link("va").index).unwrap();
    assert_eq!(a.net.link(&named("vb")), Ok(None));
    assert_eq!(Netlink::open().unwrap().link(&named("va")), Ok(None));
    DONE
}

fn a_netlink_opened_in_another_namespace_leads_there() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    b.enter();
    let before = NsFile::of(None, Kind::Net).unwrap().id();
    let namespace = NsFile::open(format!("/proc/self/fd/{}", a.file.as_raw_fd())).unwrap();
    let line = Netlink::open_in(&namespace).unwrap();
    assert_eq!(line.link(&named("vb")), Ok(None));
    assert_eq!(line.index(&named("va")), a.net.index(&named("va")));
    assert_eq!(NsFile::of(None, Kind::Net).unwrap().id(), before);
    DONE
}

fn a_hundred_links_come_in_one_list() -> Result<Completion, String> {
    let a = Net::new();
    for number in 0..50 {
        let (near, far) = (named(&format!("a{number}")), named(&format!("b{number}")));
        a.net.create_veth(&near, &far, None).unwrap();
    }
    let links = a.net.links().unwrap();
    assert_eq!(links.iter().filter(|link| link.kind.as_deref() == Some("veth")).count(), 100);
    assert!(links.windows(2).all(|pair| pair[0].index < pair[1].index));
    DONE
}
