//! A network namespace that exists without a process, a descriptor or a mount: TCP still resends a packet in it.
//!
//! A process in it has a TCP connection to its parent through a veth pair, closes its socket, and ends. The kernel sends
//! a FIN, and sends it again until the peer acknowledges it. Until then the socket, which no process has open, keeps its
//! network namespace. The parent does not acknowledge, since it has deleted the address that the FIN goes to.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::Result;
use lesson::{Claim, Step, hand, outside};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Error, Fact, Kind, Named, Namespaces, NsFile, Reporter, until};

use crate::limited::stay_on_this_cpu;

const OUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const INNER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PORT: u16 = 8080;
/// How many other namespaces may end before the wait for this one ends.
const PATIENCE: usize = 200;

const IMMORTAL: Claim = Claim::holds(
    "immortal",
    "A network namespace without processes or open files exists while TCP resends an unacknowledged FIN in it.",
)
.factor("a peer that does not acknowledge")
.notes(&[20])
.more(&[63]);
const ACKNOWLEDGED: Claim = Claim::holds(
    "acknowledged",
    "A network namespace that only an unacknowledged FIN keeps is gone, with its devices, after the acknowledgement.",
)
.factor("the peer's address")
.more(&[63]);

pub(crate) const CLOSE_UNACKNOWLEDGED: Step = Step {
    title: "Create a veth pair with one end in a network namespace. Open a TCP connection from there, delete the peer's \
            address, close the connection and end. The other veth end exists as long as the namespace.",
    calls: &[
        "clone3(CLONE_NEWNET)",
        "connect(10.0.0.1:8080)",
        "RTM_DELADDR(10.0.0.1)",
        "close(socket)",
        "exit(0)",
        "RTM_NEWADDR(10.0.0.1)",
    ],
    by_hand: &[hand("unshare --user --map-root-user --net  # a shell of your own, for this step").prints(""), hand("unshare --net sleep 60 & sleep 1; member=$! in=\"nsenter --net --target $!\"").prints(""), hand("ip link add out type veth peer name in netns $member; ip link set out up; $in ip link set in up").prints(""), hand("ip address add 10.0.0.1/24 dev out; $in ip address add 10.0.0.2/24 dev in; sleep 2").prints(""), hand("perl -MIO::Socket -e 'alarm 60;\n$l = IO::Socket::INET->new(LocalAddr => \"10.0.0.1:8080\", Listen => 1);\n$c = $l->accept; sleep 60' &").prints(""), hand("$in bash -c 'exec 3<>/dev/tcp/10.0.0.1/8080; sleep 2' & sleep 1; ip address delete 10.0.0.1/24 dev out").prints(""), hand("kill $member; sleep 2; ip -brief link show out").prints("out@… UP …"), hand("ip address add 10.0.0.1/24 dev out; sleep 5; ip link show out").prints("Device \"out\" does not exist."), ],
    claims: &[IMMORTAL, ACKNOWLEDGED],
    run: |lab| {
        let immortal = lab.begin(IMMORTAL, Peer::Answers, Peer::DoesNotAnswer, close_and_end);
        let acknowledged = lab.begin(ACKNOWLEDGED, Peer::DoesNotAnswer, Peer::AnswersLater, close_and_end);
        lab.end(immortal, all_of)?
            .shows(outside("the other veth end exists").is("yes"))?;
        lab.end(acknowledged, all_of)?.shows(outside("the other veth end exists").is("no"))
    },
};

/// When the peer acknowledges the FIN.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Answers,
    DoesNotAnswer,
    /// When the only process of the namespace has ended.
    AnswersLater,
}

/// A process in a network namespace of its own, which reports whether that of its child exists after the child has closed
/// a connection to it and ended. Each arm has such a peer, so that all of them wait at the same time.
fn close_and_end(peer: Peer) -> Result<Child> {
    stay_on_this_cpu()?;
    Ok(Child::spawn("peer", Namespaces::NET, move |me| {
        let mut child = Child::spawn("caller", Namespaces::NET, move |me| connect_and_close(me, peer))?;
        let pair = Pair::into_network_of(&child)?;
        let listener = TcpListener::bind((OUTER, PORT)).named(|| "bind(10.0.0.1:8080)".into())?;
        child.wake()?;
        child.fact()?; // its connection waits for accept()
        let (connection, _) = listener.accept().named(|| "accept()".into())?;
        if peer != Peer::Answers {
            pair.net.delete_address(pair.out, OUTER.into(), 24)?;
        }
        child.wake()?;
        let socket = child.fact()?;
        let end = child.wait()?;
        if peer == Peer::AnswersLater {
            pair.net.add_address(pair.out, OUTER.into(), 24)?;
            pair.net.add_neighbour(pair.out, INNER.into(), pair.inner_hardware)?;
        }
        if peer != Peer::DoesNotAnswer {
            read_to_the_fin(&connection)?;
        }
        let rounds = if peer == Peer::DoesNotAnswer { 2 } else { PATIENCE };
        let is_there = pair.is_there_after(rounds, || me.report(ROUND, "yes"))?;
        me.send(Fact::outside("the other veth end exists", is_there))?;
        me.send(Fact::outside("the only process", end))?;
        me.send(socket)
    })?)
}

/// What a peer reports while it waits, so that a slow machine is not taken for one that hangs.
const ROUND: &str = "it waits for another end";

/// What a peer has observed.
fn all_of(mut peer: Child) -> Result<Vec<Fact>> {
    let mut facts = peer.facts()?;
    facts.retain(|fact| fact.what != ROUND);
    Ok(facts)
}

/// A veth pair between this namespace and that of the child, which it does not keep. Dropping it deletes it.
struct Pair {
    net: Netlink,
    /// The index of the end in this namespace.
    out: u32,
    inner_hardware: [u8; 6],
}

impl Pair {
    /// Creates the pair, gives both ends addresses, and waits until they have a carrier.
    fn into_network_of(child: &Child) -> ns_core::Result<Pair> {
        let namespace = NsFile::of(Some(child.pid()), Kind::Net)?;
        let (outer_name, inner_name) = (LinkName::new("out")?, LinkName::new("in")?);
        let (outer, inner) = (Netlink::open()?, Netlink::open_in(&namespace)?);
        let out = outer.create_veth(&outer_name, &inner_name, Some(namespace.as_fd()))?;
        let within = inner.index(&inner_name)?;
        let (outer_hardware, inner_hardware) = (hardware(&outer, out)?, hardware(&inner, within)?);
        for (net, index, address, neighbour, at) in
            [(&outer, out, OUTER, INNER, inner_hardware), (&inner, within, INNER, OUTER, outer_hardware)]
        {
            net.keep_quiet(index)?;
            net.add_address(index, address.into(), 24)?;
            net.set_up(index)?;
            net.add_neighbour(index, neighbour.into(), at)?;
        }
        outer.wait_until_running(out)?;
        inner.wait_until_running(within)?;
        Ok(Pair { net: outer, out, inner_hardware })
    }

    /// Whether the outer end still exists after `rounds` other network namespaces have ended. Returns early if it is gone.
    /// It calls `each` in each round.
    fn is_there_after(
        &self,
        rounds: usize,
        mut each: impl FnMut() -> ns_core::Result<()>,
    ) -> ns_core::Result<bool> {
        for _ in 0..rounds {
            each()?;
            let fence = Child::spawn("fence", Namespaces::NET, Reporter::stay)?;
            let namespace = NsFile::of(Some(fence.pid()), Kind::Net)?;
            let (outer, inner) = (LinkName::new("fence")?, LinkName::new("in")?);
            let link = self.net.create_veth(&outer, &inner, Some(namespace.as_fd()))?;
            drop((namespace, fence));
            self.net.wait_until_gone(link)?;
            if self.net.link_by_index(self.out)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.net.delete(self.out);
    }
}

fn hardware(net: &Netlink, index: u32) -> ns_core::Result<[u8; 6]> {
    let link = net.link_by_index(index)?;
    let none = || Error::Input("a veth end has no hardware address".into());
    link.and_then(|link| link.address).ok_or_else(none)
}

/// Reads until the kernel has received the FIN of the peer.
fn read_to_the_fin(mut connection: &TcpStream) -> ns_core::Result<()> {
    // TCP doubles the time until it resends. So the longer the address was missing, the longer this takes.
    let patience = Some(Duration::from_secs(30));
    connection.set_read_timeout(patience).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
    connection.read_to_end(&mut Vec::new()).named(|| "read(connection) [no FIN within 30 s]".into())?;
    Ok(())
}

/// The only process of the namespace.
fn connect_and_close(me: &mut Reporter, peer: Peer) -> ns_core::Result<()> {
    resend_soon();
    me.checkpoint()?; // until there is a veth pair
    let connection = TcpStream::connect((OUTER, PORT)).named(|| "connect(10.0.0.1:8080)".into())?;
    me.report("connected", "yes")?;
    me.checkpoint()?; // until the peer has deleted its address, or kept it
    drop(connection);
    if peer == Peer::Answers {
        // The acknowledgement may still be under way.
        until("the acknowledgement", || Ok((state_of_the_socket()? != "FIN_WAIT1").then_some(())))?;
    }
    me.report("the socket", state_of_the_socket()?)
}

/// Has TCP resend after 20 ms for the first time, and not after 200, in this network namespace: tcp_rto_min_us of ip-sysctl
/// in the kernel's documentation, since Linux 6.11. An orphaned socket then has to resend oftener than the eight times
/// after which TCP gives up, to exist as long. Where a file is missing or read-only, the step takes longer.
fn resend_soon() {
    let files = [("tcp_orphan_retries", "15"), ("tcp_rto_min_us", "20000")];
    let _ = files.iter().try_for_each(|(file, value)| fs::write(format!("/proc/sys/net/ipv4/{file}"), value));
}

/// The state of the socket of that connection in /proc/net/tcp. Column 3 is the remote address, column 4 the state.
fn state_of_the_socket() -> ns_core::Result<&'static str> {
    let sockets = fs::read_to_string("/proc/self/net/tcp").named(|| "cat /proc/self/net/tcp".into())?;
    let remote = format!("{:08X}:{PORT:04X}", u32::from_le_bytes(OUTER.octets()));
    for line in sockets.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        if words.get(2) == Some(&remote.as_str()) {
            // include/net/tcp_states.h of the kernel
            return Ok(match words.get(3).copied() {
                Some("04") => "FIN_WAIT1",
                Some("05") => "FIN_WAIT2",
                _ => "another state",
            });
        }
    }
    Ok("gone")
}
