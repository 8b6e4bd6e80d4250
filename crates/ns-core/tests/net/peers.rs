//! ip(8) says the same.

use std::process::Command;

use libtest_mimic::Completion;
use ns_core::net::{Address, Route};

use crate::bench::{Check, DONE, Net, ip, wait_for_both};
use crate::packets::two_hosts_and_a_bridge;

pub(crate) const CHECKS: &[(&str, Check)] =
    named![the_lists_equal_those_of_ip, a_name_that_is_not_utf_8_is_listed_too,];

/// What `ip -json ...` prints in the caller's network namespace; `None` without iproute2.
fn ip_json(arguments: &[&str]) -> Option<Vec<serde_json::Value>> {
    let output = Command::new("ip").arg("-json").args(arguments).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

fn the_lists_equal_those_of_ip() -> Result<Completion, String> {
    let (middle, left, right) = two_hosts_and_a_bridge();
    wait_for_both(&left, &right);
    left.net.add_route(None, Some(ip("10.0.0.2")), left.link("va").index).unwrap();
    for side in [&middle, &left] {
        side.enter();
        // The kernel sends IPv6 packets of its own. A list that is the same before and after was so when ip looked.
        let still = (0..100).find_map(|_| {
            let before = side.net.links().unwrap();
            let theirs = ip_json(&["-details", "-statistics", "link"]);
            (before == side.net.links().unwrap()).then_some((before, theirs))
        });
        let (ours, Some(theirs)) = still.expect("a moment in which nothing changes") else {
            return Ok(Completion::ignored_with("ip(8) with -json (apt install iproute2)"));
        };
        assert_eq!(ours.len(), theirs.len());
        for (our, their) in ours.iter().zip(&theirs) {
            assert_eq!(their["ifindex"], our.index);
            assert_eq!(their["ifname"], our.name.as_str());
            assert_eq!(their["operstate"].as_str().unwrap().to_lowercase(), our.oper_state);
            assert_eq!(their["linkinfo"]["info_kind"].as_str(), our.kind.as_deref());
            assert_eq!(their["linkinfo"]["info_slave_data"]["state"].as_str(), our.port_state.as_deref());
            assert_eq!(their["master"].as_str().map(|name| side.link(name).index), our.master);
            let flags: Vec<_> =
                their["flags"].as_array().unwrap().iter().filter_map(|f| f.as_str()).collect();
            assert_eq!((flags.contains(&"UP"), flags.contains(&"LOWER_UP")), (our.up, our.lower_up));
            assert_eq!(their["link_index"].as_u64(), our.peer_index.map(u64::from));
            assert_eq!(their["link_netnsid"].as_i64(), our.peer_namespace.map(i64::from));
            assert_eq!(their["stats64"]["rx"]["packets"], our.rx_packets);
            assert_eq!(their["stats64"]["tx"]["packets"], our.tx_packets);
            let address = our.address.map(|bytes| bytes.map(|byte| format!("{byte:02x}")).join(":"));
            assert_eq!(their["address"].as_str(), address.as_deref());
        }
        let theirs: Vec<_> = ip_json(&["address"])
            .unwrap()
            .iter()
            .flat_map(|link| {
                let index = link["ifindex"].as_u64().unwrap() as u32;
                link["addr_info"].as_array().unwrap().iter().map(move |entry| Address {
                    index,
                    address: ip(entry["local"].as_str().unwrap()),
                    prefix: entry["prefixlen"].as_u64().unwrap() as u8,
                })
            })
            .collect();
        let mut ours = side.net.addresses().unwrap();
        // ip(8) lists by link, the kernel by family.
        ours.sort_by_key(|address| address.index);
        assert_eq!(ours, theirs);
        let theirs: Vec<_> =
            ip_json(&["-4", "route"]).unwrap().iter().map(|entry| route(side, entry)).collect();
        let mut ours = side.net.routes().unwrap();
        ours.retain(|route| route.destination.is_ipv4());
        assert_eq!(ours, theirs);
    }
    DONE
}

fn route(side: &Net, entry: &serde_json::Value) -> Route {
    let (network, prefix) = match entry["dst"].as_str().unwrap() {
        "default" => ("0.0.0.0", "0"),
        destination => destination.split_once('/').unwrap_or((destination, "32")),
    };
    Route {
        destination: ip(network),
        prefix: prefix.parse().unwrap(),
        gateway: entry["gateway"].as_str().map(ip),
        index: entry["dev"].as_str().map(|name| side.link(name).index),
    }
}

fn a_name_that_is_not_utf_8_is_listed_too() -> Result<Completion, String> {
    use std::os::unix::ffi::OsStrExt;
    let a = Net::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let made = Command::new("ip").args(["link", "add", "name"]).arg(name).args(["type", "bridge"]).status();
    if !made.is_ok_and(|status| status.success()) {
        return Ok(Completion::ignored_with("an ip(8) that takes such a name (apt install iproute2)"));
    }
    let links = a.net.links().unwrap();
    assert_eq!(links.last().map(|link| link.name.as_str()), Some("\u{fffd}\u{fffd}"));
    DONE
}
