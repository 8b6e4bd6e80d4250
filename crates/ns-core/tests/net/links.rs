//! Links, as they are made, set up, moved and renamed.

use std::os::fd::AsFd;

use libtest_mimic::Completion;
use ns_core::Errno;

use crate::bench::{Check, DONE, Net, named, refused, veth_pair, wait_for_both};

pub(crate) const CHECKS: &[(&str, Check)] = named![
    a_new_namespace_has_lo_alone_and_down,
    a_pair_is_born_across_two_namespaces_in_one_step,
    a_pair_in_one_namespace_has_no_namespace_between,
    the_number_of_a_namespace_is_that_of_its_links,
    one_end_set_up_is_lowerlayerdown,
    one_end_set_up_has_no_carrier_across_namespaces,
    both_ends_set_up_run,
    lo_runs_though_its_state_is_unknown,
    a_dummy_runs_though_its_state_is_unknown,
    a_link_moves_and_keeps_its_name,
    lo_and_bridges_do_not_move,
    a_renamed_link_keeps_its_index,
];

fn a_new_namespace_has_lo_alone_and_down() -> Result<Completion, String> {
    let links = Net::new().net.links().unwrap();
    // A kernel with tunnels built in adds tunl0, sit0, ... to every namespace.
    assert_eq!((links[0].index, links[0].name.as_str()), (1, "lo"));
    assert_eq!(links[0].address, Some([0; 6]));
    assert!(links.iter().all(|link| !link.up && !link.running && link.oper_state == "down"), "{links:?}");
    DONE
}

fn a_pair_is_born_across_two_namespaces_in_one_step() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    let index = a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    let (va, vb) = (a.link("va"), b.link("vb"));
    assert_eq!(va.index, index);
    assert_eq!((va.kind.as_deref(), vb.kind.as_deref()), (Some("veth"), Some("veth")));
    assert_eq!((va.peer_index, vb.peer_index), (Some(vb.index), Some(va.index)));
    assert!(va.peer_namespace.is_some() && vb.peer_namespace.is_some(), "{va:?} {vb:?}");
    assert_eq!((a.net.link(&named("vb")), b.net.link(&named("va"))), (Ok(None), Ok(None)));
    assert_ne!(va.address, vb.address);
    DONE
}

fn a_pair_in_one_namespace_has_no_namespace_between() -> Result<Completion, String> {
    let a = Net::new();
    a.net.create_veth(&named("va"), &named("vb"), None).unwrap();
    let (va, vb) = (a.link("va"), a.link("vb"));
    assert_eq!((va.peer_index, vb.peer_index), (Some(vb.index), Some(va.index)));
    assert_eq!((va.peer_namespace, vb.peer_namespace), (None, None));
    DONE
}

fn the_number_of_a_namespace_is_that_of_its_links() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    assert_eq!(a.net.number_of(b.file.as_fd()), Ok(None));
    a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    let va = a.link("va");
    assert!(va.peer_namespace.is_some());
    assert_eq!(a.net.number_of(b.file.as_fd()), Ok(va.peer_namespace));
    DONE
}

fn one_end_set_up_is_lowerlayerdown() -> Result<Completion, String> {
    let a = Net::new();
    let va = a.net.create_veth(&named("va"), &named("vb"), None).unwrap();
    a.net.set_up(va).unwrap();
    a.net.set_up(a.link("vb").index).unwrap();
    a.net.wait_until_running(va).unwrap();
    a.net.set_down(a.link("vb").index).unwrap();
    let va = a.net.wait_until_stopped(va).unwrap();
    assert_eq!(
        (va.up, va.lower_up, va.running, va.oper_state.as_str()),
        (true, false, false, "lowerlayerdown")
    );
    assert_eq!(a.link("vb").oper_state, "down");
    DONE
}

fn one_end_set_up_has_no_carrier_across_namespaces() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    wait_for_both(&a, &b);
    b.net.set_down(b.link("vb").index).unwrap();
    let va = a.net.wait_until_stopped(a.link("va").index).unwrap();
    assert_eq!((va.up, va.lower_up, va.running), (true, false, false));
    // Newer kernels look for the peer in va's own namespace, where it is not, and then say down.
    assert!(["down", "lowerlayerdown"].contains(&va.oper_state.as_str()), "{va:?}");
    DONE
}

fn both_ends_set_up_run() -> Result<Completion, String> {
    let (a, b) = veth_pair();
    for (side, name) in [(&a, "va"), (&b, "vb")] {
        let link = side.net.wait_until_running(side.link(name).index).unwrap();
        assert_eq!((link.up, link.lower_up, link.running), (true, true, true), "{link:?}");
        let link = side.net.wait_until_settled(link.index).unwrap();
        let json = serde_json::to_value(&link).unwrap();
        assert_eq!((&json["name"], &json["oper_state"]), (&name.into(), &"up".into()));
    }
    DONE
}

fn lo_runs_though_its_state_is_unknown() -> Result<Completion, String> {
    let a = Net::new();
    a.net.set_up(1).unwrap();
    assert_eq!(a.net.wait_until_running(1).unwrap().oper_state, "unknown");
    DONE
}

fn a_dummy_runs_though_its_state_is_unknown() -> Result<Completion, String> {
    let a = Net::new();
    let index = match a.net.create_dummy(&named("d0")) {
        Err(error) if error.errno() == Some(Errno::EOPNOTSUPP) => {
            return Ok(Completion::ignored_with(format!(
                "{error}: a kernel with dummy links (modprobe dummy)"
            )));
        }
        index => index.unwrap(),
    };
    a.net.set_up(index).unwrap();
    assert_eq!(a.net.wait_until_running(index).unwrap().oper_state, "unknown");
    DONE
}

fn a_link_moves_and_keeps_its_name() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    let index = a.net.create_veth(&named("va"), &named("vb"), None).unwrap();
    a.equip("va", "10.0.0.1");
    a.net.move_to(index, b.file.as_fd()).unwrap();
    assert_eq!(a.net.link(&named("va")), Ok(None));
    let moved = b.link("va");
    assert_eq!((moved.up, moved.peer_index), (false, Some(a.link("vb").index)));
    assert_eq!(b.net.addresses(), Ok(vec![]));

    let again = a.net.create_veth(&named("va"), &named("vc"), None).unwrap();
    refused(a.net.move_to(again, b.file.as_fd()), Errno::EEXIST, "ip link set va netns /proc/self/fd/");
    DONE
}

fn lo_and_bridges_do_not_move() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    let bridge = a.net.create_bridge(&named("br0")).unwrap();
    refused(a.net.move_to(1, b.file.as_fd()), Errno::EINVAL, "ip link set lo netns /proc/self/fd/");
    refused(a.net.move_to(bridge, b.file.as_fd()), Errno::EINVAL, "ip link set br0 netns /proc/self/fd/");
    DONE
}

fn a_renamed_link_keeps_its_index() -> Result<Completion, String> {
    let a = Net::new();
    let index = a.net.create_veth(&named("va"), &named("vb"), None).unwrap();
    a.net.rename(index, &named("eth0")).unwrap();
    assert_eq!((a.net.index(&named("eth0")), a.net.link(&named("va"))), (Ok(index), Ok(None)));
    refused(a.net.rename(index, &named("vb")), Errno::EEXIST, "ip link set eth0 name vb");
    DONE
}
