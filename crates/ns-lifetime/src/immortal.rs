//! A namespace without a process, a descriptor or a mount that lives: one of its packets is under way.
//!
//! A process in it speaks TCP through a cable with us, closes its socket, and ends. The kernel goes on for it: it has said
//! that there will be no more (FIN), and says so again until the other side has heard. Until then the socket, an orphan
//! that no process has, keeps its network. We do not hear: we have given up the address that it writes to.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use lesson::{Claim, Lab, Step, cause};
use ns_core::net::{LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Spawn, Witness, until};

pub(crate) const IMMORTAL: Claim = Claim::holds(
    "immortal",
    "A TCP socket whose FIN nobody acknowledges keeps a network namespace that no process, file or mount holds.",
)
.cause("a peer that is silent")
.notes(&[20])
.more(&[63]);
pub(crate) const ACKNOWLEDGED: Claim = Claim::holds(
    "acknowledged",
    "A network namespace that an unacknowledged FIN keeps goes, its devices with it, once the FIN is acknowledged.",
)
.cause("the peer's address")
.more(&[63]);

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THEIRS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PORT: u16 = 8080;
/// Every network namespace has its loopback link first.
const LO: u32 = 1;
/// How many other namespaces may end while we wait for this one.
const PATIENCE: usize = 200;

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Lay a cable into a network namespace. Its only process opens a TCP connection to us, closes it while we \
               have no address to hear it by, and ends. The far end of the cable tells whether the namespace lives.",
        calls: &[
            "clone3(CLONE_NEWNET)",
            "connect(10.0.0.1:8080)",
            "RTM_DELADDR(10.0.0.1)",
            "close(socket)",
            "exit(0)",
            "RTM_NEWADDR(10.0.0.1)",
        ],
        by_hand: &[
            "unshare --user --map-root-user --net  # a shell of your own, for this step",
            "unshare --net sleep 60 & sleep 0.1; in=\"nsenter --net --target $!\"",
            "ip link add out type veth peer name in netns $!; ip link set out up; $in ip link set in up",
            "ip address add 10.0.0.1/24 dev out; $in ip address add 10.0.0.2/24 dev in; sleep 2",
            "perl -MIO::Socket -e 'alarm 60;\n\
             $l = IO::Socket::INET->new(LocalAddr => \"10.0.0.1:8080\", Listen => 1);\n\
             $c = $l->accept; sleep 60' &",
            "sleep 1; $in bash -c 'exec 3<>/dev/tcp/10.0.0.1/8080; sleep 2' & sleep 1; ip address delete 10.0.0.1/24 dev out",
            "kill %1; sleep 2; jobs; ip link show out",
            "ip address add 10.0.0.1/24 dev out; sleep 5; ip link show out",
        ],
    })?;
    let net = Netlink::open()?;
    net.set_up(LO)?; // for --sabotage, where the two ends are in one namespace
    let (_, heard) = farewell(&net, Peer::Answers)?;
    let (cable, silent) = farewell(&net, cause(Peer::IsSilent, Peer::Answers))?;
    lab.claim(IMMORTAL).without(heard).with(silent.clone()).shows(|far_end| {
        *far_end == true && far_end.inside("the socket").is_some_and(|it| *it == "FIN_WAIT1")
    })?;
    let answered = cable.answer(&net, cause(true, false))?;
    lab.claim(ACKNOWLEDGED).without(silent).with(answered).shows(|far_end| *far_end == false)?;
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Peer {
    Answers,
    IsSilent,
}

/// Our end of a cable, and of the connection that went through it.
struct Cable {
    out: u32,
    hardware: [u8; 6],
    connection: TcpStream,
}

fn farewell(net: &Netlink, peer: Peer) -> Result<(Cable, Vec<Fact>)> {
    let mut child = Child::spawn("caller", Namespaces::NET, move |me| call_and_hang_up(me, peer))?;
    let namespace = NsFile::of(Some(child.pid()), Kind::Net)?;
    let (outer, inner) = (LinkName::new("out")?, LinkName::new("in")?);
    if let Some(old) = net.link(&outer)? {
        net.delete(old.index)?;
    }
    let out = net.create_veth(&outer, &inner, Some(namespace.as_fd()))?;
    let theirs = Netlink::open_in(&namespace)?;
    let within = theirs.index(&inner)?;
    let hardware = |net: &Netlink, index| {
        anyhow::Ok(net.link_by_index(index)?.and_then(|link| link.address).context("no hardware address")?)
    };
    let (ours_is, theirs_is) = (hardware(net, out)?, hardware(&theirs, within)?);
    for (line, index, address, neighbour, at) in
        [(net, out, OURS, THEIRS, theirs_is), (&theirs, within, THEIRS, OURS, ours_is)]
    {
        line.keep_quiet(index)?;
        line.add_address(index, address.into(), 24)?;
        line.set_up(index)?;
        line.add_neighbour(index, neighbour.into(), at)?;
    }
    net.wait_until_running(out)?;
    theirs.wait_until_running(within)?;
    // From here on only its process holds the namespace.
    drop((theirs, namespace));

    let door = TcpListener::bind((OURS, PORT)).named(|| "bind(10.0.0.1:8080)".into())?;
    child.release()?;
    child.hear()?; // it has its connection, which waits for us at the door
    let (connection, _) = door.accept().named(|| "accept()".into())?;
    if peer == Peer::IsSilent {
        net.delete_address(out, OURS.into(), 24)?;
    }
    child.release()?;
    let socket = child.hear()?;
    let end = child.wait()?;
    let mut cable = Cable { out, hardware: theirs_is, connection };
    if peer == Peer::Answers {
        cable.hear_the_end()?;
    }
    let there = cable.is_there_after(net, 2)?;
    let facts = vec![
        Fact::outside("the far end of its cable is there", there),
        Fact::outside("the only process", end),
        socket,
    ];
    Ok((cable, facts))
}

impl Cable {
    /// Takes the address back, or not, and looks for the link once more.
    fn answer(mut self, net: &Netlink, answers: bool) -> Result<Vec<Fact>> {
        if answers {
            net.add_address(self.out, OURS.into(), 24)?;
            net.add_neighbour(self.out, THEIRS.into(), self.hardware)?;
            self.hear_the_end()?;
        }
        let rounds = if answers { PATIENCE } else { 2 };
        Ok(vec![Fact::outside("the far end of its cable is there", self.is_there_after(net, rounds)?)])
    }

    /// Reads to the end of what the other side had to say: the kernel has heard its FIN.
    fn hear_the_end(&mut self) -> Result<()> {
        // It is sent again after 0.2, 0.4, 0.8, … seconds: the longer we were silent, the longer it takes.
        let patience = Some(Duration::from_secs(30));
        self.connection.set_read_timeout(patience).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
        self.connection
            .read_to_end(&mut Vec::new())
            .named(|| "read(connection) [no FIN within 30 s]".into())?;
        Ok(())
    }

    /// Whether the link is there when so many other network namespaces have been taken down, or as soon as it is not.
    fn is_there_after(&self, net: &Netlink, rounds: usize) -> Result<bool> {
        for _ in 0..rounds {
            let fence = Spawn::new("fence").namespaces_always(Namespaces::NET).run(Witness::stay)?;
            let namespace = NsFile::of(Some(fence.pid()), Kind::Net)?;
            let (outer, inner) = (LinkName::new("fence")?, LinkName::new("in")?);
            let link = net.create_veth(&outer, &inner, Some(namespace.as_fd()))?;
            drop((namespace, fence));
            net.wait_until_gone(link)?;
            if net.link_by_index(self.out)?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The only process of the namespace.
fn call_and_hang_up(me: &mut Witness, peer: Peer) -> ns_core::Result<()> {
    me.pause()?; // until there is a cable
    let connection = TcpStream::connect((OURS, PORT)).named(|| "connect(10.0.0.1:8080)".into())?;
    me.saw("connected", "yes")?;
    me.pause()?; // until the peer is silent, or not
    drop(connection);
    if peer == Peer::Answers {
        // The answer is on its way.
        until("the acknowledgement", || Ok((state_of_the_socket()? != "FIN_WAIT1").then_some(())))?;
    }
    me.saw("the socket", state_of_the_socket()?)
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
