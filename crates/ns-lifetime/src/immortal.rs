//! A namespace without a process, a descriptor or a mount that lives: one of its packets is under way.
//!
//! A process in it has a TCP connection with us through a veth pair, closes its socket, and ends. The kernel goes on for
//! it: it has sent that there will be no more (FIN), and sends it again until the other side acknowledges. Until then the
//! socket, an orphan that no process has, keeps its network. We do not acknowledge: we have given up the address that
//! it sends to.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use lesson::{Claim, Step, hand, inside, outside};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Reporter, until};

use crate::limited::stay_on_this_cpu;

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PORT: u16 = 8080;
/// How many other namespaces may end while we wait for this one.
const PATIENCE: usize = 200;

const IMMORTAL: Claim = Claim::holds(
    "immortal",
    "While TCP resends a FIN that nobody acknowledges, it keeps a network namespace that no process or file holds.",
)
.factor("a peer that is silent")
.notes(&[20])
.more(&[63]);
const ACKNOWLEDGED: Claim = Claim::holds(
    "acknowledged",
    "A network namespace that an unacknowledged FIN keeps goes, its devices with it, once the FIN is acknowledged.",
)
.factor("the peer's address")
.more(&[63]);

pub(crate) const SAY_GOODBYE: Step = Step {
    title: "Create a veth pair, one end in a network namespace. Its only process opens a TCP connection to us, closes it \
            while we have no address to receive on, and ends. Our end of the pair is there as long as the namespace.",
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
        lab.compare(IMMORTAL, Peer::Answers, Peer::IsSilent, say_goodbye)?.shows(
            outside("our end of its veth pair is there").is("yes") & inside("the socket").is("FIN_WAIT1"),
        )?;
        lab.compare(ACKNOWLEDGED, Peer::IsSilent, Peer::AnswersLater, say_goodbye)?
            .shows(outside("our end of its veth pair is there").is("no"))
    },
};

/// When the other side of the connection acknowledges its end.
#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Answers,
    IsSilent,
    /// When the only process of the namespace has ended.
    AnswersLater,
}

/// Whether a network namespace is there when its only process has closed a connection with us and ended.
fn say_goodbye(peer: Peer) -> Result<Vec<Fact>> {
    stay_on_this_cpu()?;
    let mut child = Child::spawn("caller", Namespaces::NET, move |me| call_and_hang_up(me, peer))?;
    let pair = Pair::into_network_of(&child)?;
    let listener = TcpListener::bind((OURS, PORT)).named(|| "bind(10.0.0.1:8080)".into())?;
    child.wake()?;
    child.fact()?; // it has its connection, which waits to be accepted
    let (connection, _) = listener.accept().named(|| "accept()".into())?;
    if peer != Peer::Answers {
        pair.net.delete_address(pair.out, OURS.into(), 24)?;
    }
    child.wake()?;
    let socket = child.fact()?;
    let end = child.wait()?;
    if peer == Peer::AnswersLater {
        pair.net.add_address(pair.out, OURS.into(), 24)?;
        pair.net.add_neighbour(pair.out, THEIRS.into(), pair.their_hardware)?;
    }
    if peer != Peer::IsSilent {
        hear_the_end(&connection)?;
    }
    let is_there = pair.is_there_after(if peer == Peer::IsSilent { 2 } else { PATIENCE })?;
    Ok(vec![
        Fact::outside("our end of its veth pair is there", is_there),
        Fact::outside("the only process", end),
        socket,
    ])
}

/// A veth pair between us and a network namespace, which it does not hold. It is deleted when it is dropped.
struct Pair {
    net: Netlink,
    /// The index of our end.
    out: u32,
    their_hardware: [u8; 6],
}

impl Pair {
    /// One that runs, with addresses.
    fn into_network_of(child: &Child) -> Result<Pair> {
        let namespace = NsFile::of(Some(child.pid()), Kind::Net)?;
        let (outer, inner) = (LinkName::new("out")?, LinkName::new("in")?);
        let (ours, theirs) = (Netlink::open()?, Netlink::open_in(&namespace)?);
        let out = ours.create_veth(&outer, &inner, Some(namespace.as_fd()))?;
        let within = theirs.index(&inner)?;
        let (our_hardware, their_hardware) = (hardware(&ours, out)?, hardware(&theirs, within)?);
        for (net, index, address, neighbour, at) in
            [(&ours, out, OURS, THEIRS, their_hardware), (&theirs, within, THEIRS, OURS, our_hardware)]
        {
            net.keep_quiet(index)?;
            net.add_address(index, address.into(), 24)?;
            net.set_up(index)?;
            net.add_neighbour(index, neighbour.into(), at)?;
        }
        ours.wait_until_running(out)?;
        theirs.wait_until_running(within)?;
        Ok(Pair { net: ours, out, their_hardware })
    }

    /// Whether our end is there when so many other network namespaces have ended, or as soon as it is not.
    fn is_there_after(&self, rounds: usize) -> Result<bool> {
        for _ in 0..rounds {
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

fn hardware(net: &Netlink, index: u32) -> Result<[u8; 6]> {
    net.link_by_index(index)?.and_then(|link| link.address).context("a veth end has a hardware address")
}

/// Reads to the end of what the other side had to send: the kernel has received its FIN.
fn hear_the_end(mut connection: &TcpStream) -> Result<()> {
    // It is sent again after 0.2, 0.4, 0.8, … seconds: the longer we were silent, the longer it takes.
    let patience = Some(Duration::from_secs(30));
    connection.set_read_timeout(patience).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
    connection.read_to_end(&mut Vec::new()).named(|| "read(connection) [no FIN within 30 s]".into())?;
    Ok(())
}

/// The only process of the namespace.
fn call_and_hang_up(me: &mut Reporter, peer: Peer) -> ns_core::Result<()> {
    me.checkpoint()?; // until there is a veth pair
    let connection = TcpStream::connect((OURS, PORT)).named(|| "connect(10.0.0.1:8080)".into())?;
    me.report("connected", "yes")?;
    me.checkpoint()?; // until the peer is silent, or not
    drop(connection);
    if peer == Peer::Answers {
        // The answer is on its way.
        until("the acknowledgement", || Ok((state_of_the_socket()? != "FIN_WAIT1").then_some(())))?;
    }
    me.report("the socket", state_of_the_socket()?)
}

/// The state of the one that writes to us, by /proc/net/tcp: the third column has the address, the fourth the state.
fn state_of_the_socket() -> ns_core::Result<&'static str> {
    let sockets = std::fs::read_to_string("/proc/self/net/tcp").named(|| "cat /proc/self/net/tcp".into())?;
    let remote = format!("{:08X}:{PORT:04X}", u32::from_le_bytes(OURS.octets()));
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
