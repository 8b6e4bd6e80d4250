//! Network namespaces to try things in.

use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use libtest_mimic::Completion;
use nix::sched::{CloneFlags, setns, unshare};
use ns_core::Errno;
use ns_core::net::{Link, LinkName, Netlink};

/// A check: completed, or skipped with the reason.
pub(crate) type Check = fn() -> Result<Completion, String>;

pub(crate) const DONE: Result<Completion, String> = Ok(Completion::Completed);

/// A network namespace and a line to it. It dies with the last descriptor and socket.
pub(crate) struct Net {
    pub(crate) file: File,
    pub(crate) net: Netlink,
}

impl Net {
    /// A new namespace; the caller becomes a member.
    pub(crate) fn new() -> Net {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        // Addresses that the kernel makes up by itself would send packets of their own into our counts.
        let _ = std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1");
        Net { file: File::open("/proc/self/ns/net").unwrap(), net: Netlink::open().unwrap() }
    }

    pub(crate) fn enter(&self) {
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// A UDP socket of this namespace, which hears for 10 s at most.
    pub(crate) fn udp(&self, address: &str) -> UdpSocket {
        self.enter();
        let socket = UdpSocket::bind((ip(address), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    pub(crate) fn link(&self, name: &str) -> Link {
        self.net.link(&named(name)).unwrap().unwrap_or_else(|| panic!("no link {name}"))
    }

    /// An end with an address, set up.
    pub(crate) fn equip(&self, name: &str, address: &str) -> u32 {
        let index = self.net.index(&named(name)).unwrap();
        self.net.add_address(index, ip(address), 24).unwrap();
        self.net.set_up(index).unwrap();
        index
    }
}

pub(crate) fn named(name: &str) -> LinkName {
    LinkName::new(name).unwrap()
}

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// va (10.0.0.1) in one namespace, vb (10.0.0.2) in another: a veth pair, not yet waited for.
pub(crate) fn veth_pair() -> (Net, Net) {
    let (a, b) = (Net::new(), Net::new());
    a.net.create_veth(&named("va"), &named("vb"), Some(b.file.as_fd())).unwrap();
    a.equip("va", "10.0.0.1");
    b.equip("vb", "10.0.0.2");
    (a, b)
}

pub(crate) fn wait_for_both(a: &Net, b: &Net) {
    a.net.wait_until_running(a.link("va").index).unwrap();
    b.net.wait_until_running(b.link("vb").index).unwrap();
}

/// Sends `word` and returns what the other hears next, which need not be the same.
pub(crate) fn send(word: &str, from: &UdpSocket, to: &UdpSocket) -> String {
    from.send_to(word.as_bytes(), to.local_addr().unwrap()).unwrap();
    let mut heard = [0; 64];
    let length = to.recv(&mut heard).unwrap();
    String::from_utf8_lossy(&heard[..length]).into()
}

#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: ns_core::Result<T>, errno: Errno, call: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.errno(), Some(errno), "{error}");
    assert!(error.to_string().starts_with(call), "{error}\nshould start with\n{call}");
}
