//! Links, addresses and routes against the kernel, in network namespaces that end with this process.
//!
//! A second thread could not be brought into them, so everything runs on the first and only one (`harness = false`).

use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, ExitCode};
use std::time::Duration;

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sched::{CloneFlags, setns, unshare};
use ns_core::net::{Address, Link, LinkName, Netlink, Route};
use ns_core::{Errno, Error, Kind, NsFile};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    ns_core::host::remember().expect("a procfs at /proc");
    let host = Netlink::open().expect("a line to the network that we were started in");
    let missing = if arguments.list { None } else { become_root_of_new_namespaces().err() };
    let mut checks = checks(missing);
    checks.push(Trial::test("nothing is changed on the host", move || nothing_is_changed_through(&host)));
    libtest_mimic::run(&arguments, checks).exit_code()
}

/// A user namespace in which we are root, so that no privilege is needed, and a network namespace that it owns.
fn become_root_of_new_namespaces() -> Result<(), String> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
        .map_err(|errno| format!("unshare(CLONE_NEWUSER|CLONE_NEWNET): {errno}"))?;
    // user_namespaces(7): gid_map may be written only once setgroups is denied.
    for (file, text) in
        [("setgroups", "deny".into()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
    {
        let path = format!("/proc/self/{file}");
        std::fs::write(&path, &text).map_err(|error| format!("echo {text} > {path}: {error}"))?;
    }
    Ok(())
}

type Check = fn() -> Result<Completion, String>;

/// The checks; each is skipped, in sight, with what is missing.
fn checks(missing: Option<String>) -> Vec<Trial> {
    macro_rules! named {
        ($($check:ident),* $(,)?) => { [$((stringify!($check), $check as Check)),*] };
    }
    let all = named![
        a_new_namespace_has_lo_alone_and_down,
        a_pair_is_born_across_two_namespaces_in_one_step,
        a_pair_in_one_namespace_has_no_namespace_between,
        the_number_of_a_namespace_is_that_of_its_links,
        one_end_set_up_is_lowerlayerdown,
        one_end_set_up_has_no_carrier_across_namespaces,
        both_ends_set_up_run,
        lo_runs_though_its_state_is_unknown,
        a_dummy_runs_though_its_state_is_unknown,
        an_address_is_listed_as_given_and_usable_at_once,
        packets_flow_both_ways_and_are_counted,
        the_first_packet_after_the_wait_is_not_lost,
        a_neighbour_that_is_known_is_not_asked_for,
        two_ports_of_a_bridge_forward_and_nomaster_stops_it,
        a_port_of_a_bridge_that_is_down_is_disabled,
        one_end_deleted_takes_the_other_along,
        the_far_end_goes_when_a_namespace_dies,
        a_wait_for_a_link_that_goes_ends_with_enodev,
        a_wait_sees_what_comes_while_it_waits,
        a_link_moves_and_keeps_its_name,
        lo_and_bridges_do_not_move,
        a_renamed_link_keeps_its_index,
        a_default_route_leads_through_its_gateway,
        a_route_beyond_the_link_is_refused_with_the_kernels_words,
        a_route_of_two_families_is_not_even_asked_for,
        a_taken_name_is_eexist,
        what_is_not_there_is_enodev_or_none,
        without_cap_net_admin_every_change_is_eperm,
        a_netlink_keeps_the_namespace_it_was_opened_in,
        a_netlink_opened_in_another_namespace_leads_there,
        a_hundred_links_come_in_one_list,
        the_lists_equal_those_of_ip,
        a_name_that_is_not_utf_8_is_listed_too,
    ];
    let must_run = std::env::var_os("LAB_MUST_RUN").is_some_and(|value| value == "1");
    all.into_iter()
        .map(|(name, check)| {
            let missing = missing.clone();
            Trial::ignorable_test(name.replace('_', " "), move || {
                let done = match missing {
                    Some(missing) => Completion::ignored_with(missing),
                    None => check()?,
                };
                if let (true, Completion::Ignored { reason }) = (must_run, &done) {
                    return Err(format!("LAB_MUST_RUN=1, but skipped: {reason:?}").into());
                }
                Ok(done)
            })
        })
        .collect()
}

const DONE: Result<Completion, String> = Ok(Completion::Completed);

/// A network namespace and a line to it. It dies with the last descriptor and socket.
struct Net {
    file: File,
    net: Netlink,
}

impl Net {
    /// A new namespace; the caller becomes a member.
    fn new() -> Net {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        // Addresses that the kernel makes up by itself would send packets of their own into our counts.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1");
        Net { file: File::open("/proc/self/ns/net").unwrap(), net: Netlink::open().unwrap() }
    }

    fn enter(&self) {
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// A UDP socket of this namespace, which hears for 10 s at most.
    fn udp(&self, address: &str) -> UdpSocket {
        self.enter();
        let socket = UdpSocket::bind((ip(address), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    fn link(&self, name: &str) -> Link {
        self.net.link(&named(name)).unwrap().unwrap_or_else(|| panic!("no link {name}"))
    }

    /// An end with an address, set up.
    fn equip(&self, name: &str, address: &str) -> u32 {
        let index = self.net.index(&named(name)).unwrap();
        self.net.add_address(index, ip(address), 24).unwrap();
        self.net.set_up(index).unwrap();
        index
    }
}

fn named(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// va (10.0.0.1) in one namespace, vb (10.0.0.2) in another: a cable between them, not yet waited for.
fn cable() -> (Net, Net) {
    let (a, b) = (Net::new(), Net::new());
    a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    a.equip("va", "10.0.0.1");
    b.equip("vb", "10.0.0.2");
    (a, b)
}

fn wait_for_both(a: &Net, b: &Net) {
    a.net.wait_until_running(a.link("va").index).unwrap();
    b.net.wait_until_running(b.link("vb").index).unwrap();
}

/// Sends `word` and returns what the other hears next, which need not be the same.
fn send(word: &str, from: &UdpSocket, to: &UdpSocket) -> String {
    from.send_to(word.as_bytes(), to.local_addr().unwrap()).unwrap();
    let mut heard = [0; 64];
    let length = to.recv(&mut heard).unwrap();
    String::from_utf8_lossy(&heard[..length]).into()
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: ns_core::Result<T>, errno: Errno, call: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.errno(), Some(errno), "{error}");
    assert!(error.to_string().starts_with(call), "{error}\nshould start with\n{call}");
}

// ---- Links

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
    let (a, b) = cable();
    wait_for_both(&a, &b);
    b.net.set_down(b.link("vb").index).unwrap();
    let va = a.net.wait_until_stopped(a.link("va").index).unwrap();
    assert_eq!((va.up, va.lower_up, va.running), (true, false, false));
    // Newer kernels look for the peer in va's own namespace, where it is not, and then say down.
    assert!(["down", "lowerlayerdown"].contains(&va.oper_state.as_str()), "{va:?}");
    DONE
}

fn both_ends_set_up_run() -> Result<Completion, String> {
    let (a, b) = cable();
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

fn one_end_deleted_takes_the_other_along() -> Result<Completion, String> {
    let (a, b) = cable();
    let vb = b.link("vb").index;
    a.net.delete(a.link("va").index).unwrap();
    b.net.wait_until_gone(vb).unwrap();
    assert_eq!(b.net.link_by_index(vb), Ok(None));
    DONE
}

/// The end in `a` of a pair whose other end is in a namespace that is about to die.
fn end_of_a_dying_pair(a: &Net) -> u32 {
    let b = Net::new();
    let index = a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    a.net.set_up(index).unwrap();
    a.enter();
    index
}

fn the_far_end_goes_when_a_namespace_dies() -> Result<Completion, String> {
    let a = Net::new();
    let va = end_of_a_dying_pair(&a);
    a.net.wait_until_gone(va).unwrap();
    assert_eq!(a.net.link(&named("va")), Ok(None));
    DONE
}

fn a_wait_for_a_link_that_goes_ends_with_enodev() -> Result<Completion, String> {
    let a = Net::new();
    let va = end_of_a_dying_pair(&a);
    refused(a.net.wait_until_running(va), Errno::ENODEV, &format!("ip link show if{va}"));
    DONE
}

fn a_wait_sees_what_comes_while_it_waits() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    let va = a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    a.net.set_up(va).unwrap();
    let setter = std::thread::spawn(move || {
        while !main_thread_sleeps() {
            std::thread::yield_now();
        }
        b.net.set_up(b.link("vb").index).unwrap();
        b
    });
    let seen = a.net.wait_until_running(va);
    let _b = setter.join().unwrap();
    assert!(seen.unwrap().lower_up);
    DONE
}

/// Whether the main thread waits for something: S in proc_pid_stat(5), behind its name in brackets.
fn main_thread_sleeps() -> bool {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", std::process::id())).unwrap();
    stat.rsplit_once(") ").unwrap().1.starts_with('S')
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

// ---- Packets

fn packets_flow_both_ways_and_are_counted() -> Result<Completion, String> {
    let (a, b) = cable();
    wait_for_both(&a, &b);
    let (at_a, at_b) = (a.udp("10.0.0.1"), b.udp("10.0.0.2"));
    let before = (a.link("va"), b.link("vb"));
    assert_eq!(send("there", &at_a, &at_b), "there");
    assert_eq!(send("back", &at_b, &at_a), "back");
    let after = (a.link("va"), b.link("vb"));
    assert!(
        after.0.tx_packets > before.0.tx_packets && after.0.rx_packets > before.0.rx_packets,
        "{after:?}"
    );
    assert!(
        after.1.tx_packets > before.1.tx_packets && after.1.rx_packets > before.1.rx_packets,
        "{after:?}"
    );
    DONE
}

fn the_first_packet_after_the_wait_is_not_lost() -> Result<Completion, String> {
    for round in 0..50 {
        let (a, b) = cable();
        a.enter();
        // With one ARP request allowed and no second after 1 s, a lost one is a lost packet.
        let limit = "/proc/sys/net/ipv4/neigh/va/mcast_solicit";
        if let Err(error) = std::fs::write(limit, "1") {
            return Ok(Completion::ignored_with(format!("echo 1 > {limit}: {error}")));
        }
        wait_for_both(&a, &b);
        let (at_a, at_b) = (a.udp("10.0.0.1"), b.udp("10.0.0.2"));
        assert_eq!(send("first", &at_a, &at_b), "first", "round {round}");
    }
    DONE
}

fn a_neighbour_that_is_known_is_not_asked_for() -> Result<Completion, String> {
    let (a, b) = (Net::new(), Net::new());
    a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    for (side, name) in [(&a, "va"), (&b, "vb")] {
        side.net.keep_quiet(side.link(name).index).unwrap();
    }
    let va = a.equip("va", "10.0.0.1");
    b.equip("vb", "10.0.0.2");
    wait_for_both(&a, &b);
    a.net.add_neighbour(va, ip("10.0.0.2"), b.link("vb").address.unwrap()).unwrap();
    a.enter();
    let table = std::fs::read_to_string("/proc/self/net/arp").unwrap();
    // Complete (0x2) and permanent (0x4), before a single packet went.
    assert!(table.lines().any(|line| line.starts_with("10.0.0.2 ") && line.contains(" 0x6 ")), "{table}");
    assert!(a.net.addresses().unwrap().iter().all(|address| address.address.is_ipv4()));
    assert_eq!(send("first", &a.udp("10.0.0.1"), &b.udp("10.0.0.2")), "first");
    DONE
}

/// h1 (10.0.0.1) and h2 (10.0.0.2), each at the end of a cable whose other end, p1 or p2, is a port of br0.
fn two_hosts_and_a_bridge() -> (Net, Net, Net) {
    let (middle, left, right) = (Net::new(), Net::new(), Net::new());
    let bridge = middle.net.create_bridge(&named("br0")).unwrap();
    middle.net.set_up(bridge).unwrap();
    for (host, port, name, address) in [(&left, "p1", "va", "10.0.0.1"), (&right, "p2", "vb", "10.0.0.2")] {
        let index = middle.net.create_veth(&named(port), &named(name), Some(host.file.as_fd())).unwrap();
        middle.net.set_master(index, Some(bridge)).unwrap();
        middle.net.set_up(index).unwrap();
        host.equip(name, address);
    }
    (middle, left, right)
}

fn two_ports_of_a_bridge_forward_and_nomaster_stops_it() -> Result<Completion, String> {
    let (middle, left, right) = two_hosts_and_a_bridge();
    wait_for_both(&left, &right);
    let bridge = middle.link("br0");
    for name in ["p1", "p2"] {
        let port = middle.net.wait_until_forwarding(middle.link(name).index).unwrap();
        assert_eq!((port.master, port.port_state.as_deref()), (Some(bridge.index), Some("forwarding")));
    }
    assert_eq!(middle.net.wait_until_running(bridge.index).unwrap().kind.as_deref(), Some("bridge"));
    let (at_left, at_right) = (left.udp("10.0.0.1"), right.udp("10.0.0.2"));
    assert_eq!(send("attached", &at_left, &at_right), "attached");

    let port = middle.link("p2").index;
    middle.net.set_master(port, None).unwrap();
    let detached = middle.link("p2");
    assert_eq!((detached.master, detached.port_state), (None, None));
    at_left.send_to(b"detached", at_right.local_addr().unwrap()).unwrap();

    middle.net.set_master(port, Some(bridge.index)).unwrap();
    middle.net.wait_until_forwarding(port).unwrap();
    // What was sent before would have come before.
    assert_eq!(send("attached again", &at_left, &at_right), "attached again");
    DONE
}

fn a_port_of_a_bridge_that_is_down_is_disabled() -> Result<Completion, String> {
    let (middle, left, right) = two_hosts_and_a_bridge();
    wait_for_both(&left, &right);
    let (bridge, port) = (middle.link("br0").index, middle.link("p1").index);
    middle.net.wait_until_forwarding(port).unwrap();
    middle.net.set_down(bridge).unwrap();
    let disabled = middle.net.wait_until_running(port).unwrap();
    assert_eq!(disabled.port_state.as_deref(), Some("disabled"));
    middle.net.set_up(bridge).unwrap();
    middle.net.wait_until_forwarding(port).unwrap();
    DONE
}

// ---- Addresses and routes

fn an_address_is_listed_as_given_and_usable_at_once() -> Result<Completion, String> {
    let (a, b) = cable();
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
    let (a, b) = cable();
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
    let (a, b) = cable();
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

// ---- Refusals

fn a_taken_name_is_eexist() -> Result<Completion, String> {
    let (a, b) = cable();
    let again = a.net.create_veth(&named("va"), &named("vc"), None);
    refused(again, Errno::EEXIST, "ip link add va type veth peer name vc");
    let there = a.net.create_veth(&named("vc"), &named("vb"), Some(b.file.as_fd()));
    refused(there, Errno::EEXIST, "ip link add vc type veth peer name vb netns /proc/self/fd/");
    // One name is taken, so neither end was made.
    assert_eq!(a.net.link(&named("vc")), Ok(None));
    refused(a.net.create_bridge(&named("va")), Errno::EEXIST, "ip link add va type bridge");
    DONE
}

fn what_is_not_there_is_enodev_or_none() -> Result<Completion, String> {
    let a = Net::new();
    assert_eq!((a.net.link(&named("va")), a.net.link_by_index(77)), (Ok(None), Ok(None)));
    refused(a.net.index(&named("va")), Errno::ENODEV, "ip link show va");
    refused(a.net.set_up(77), Errno::ENODEV, "ip link set if77 up");
    refused(a.net.delete(77), Errno::ENODEV, "ip link delete if77");
    refused(a.net.add_address(77, ip("10.0.0.1"), 24), Errno::ENODEV, "ip address add 10.0.0.1/24 dev if77");
    refused(a.net.wait_until_running(77), Errno::ENODEV, "ip link show if77");
    assert_eq!(a.net.wait_until_gone(77), Ok(()));
    DONE
}

fn without_cap_net_admin_every_change_is_eperm() -> Result<Completion, String> {
    let (a, b) = cable();
    let index = a.link("va").index;
    caps::drop(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap();
    let answers = [
        (
            a.net.create_veth(&named("v1"), &named("v2"), None).map(drop),
            "ip link add v1 type veth peer name v2",
        ),
        (a.net.create_dummy(&named("d0")).map(drop), "ip link add d0 type dummy"),
        (a.net.set_up(index), "ip link set va up"),
        (a.net.set_down(index), "ip link set va down"),
        (a.net.set_master(index, None), "ip link set va nomaster"),
        (a.net.set_master(index, Some(1)), "ip link set va master lo"),
        (a.net.move_to(index, b.file.as_fd()), "ip link set va netns /proc/self/fd/"),
        (a.net.rename(index, &named("vx")), "ip link set va name vx"),
        (a.net.delete(index), "ip link delete va"),
        (a.net.add_address(index, ip("fd00::1"), 64), "ip address add fd00::1/64 dev va nodad"),
        (a.net.delete_address(index, ip("10.0.0.1"), 24), "ip address delete 10.0.0.1/24 dev va"),
        (a.net.add_route(Some((ip("10.9.0.0"), 16)), None, index), "ip route add 10.9.0.0/16 dev va"),
        (a.net.delete_route(None, Some(ip("fd00::2")), index), "ip route delete default via fd00::2 dev va"),
    ];
    let looked = a.net.links().map(|links| links.len());
    caps::raise(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap();
    for (answer, call) in answers {
        refused(answer, Errno::EPERM, call);
    }
    assert_eq!(looked, a.net.links().map(|links| links.len()));
    DONE
}

// ---- The line itself

/// The link that is named does not exist: were this to fail, nothing would happen all the same.
fn nothing_is_changed_through(host: &Netlink) -> Result<(), Failed> {
    assert!(!host.links().unwrap().is_empty());
    for answer in [host.delete(999_999_999), host.add_address(999_999_999, ip("10.0.0.1"), 24)] {
        assert!(matches!(&answer, Err(Error::WouldChangeHost { .. })), "{answer:?}");
    }
    Ok(())
}

fn a_netlink_keeps_the_namespace_it_was_opened_in() -> Result<Completion, String> {
    let (a, b) = cable();
    b.enter();
    a.net.wait_until_running(a.link("va").index).unwrap();
    assert_eq!(a.net.link(&named("vb")), Ok(None));
    assert_eq!(Netlink::open().unwrap().link(&named("va")), Ok(None));
    DONE
}

fn a_netlink_opened_in_another_namespace_leads_there() -> Result<Completion, String> {
    let (a, b) = cable();
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
