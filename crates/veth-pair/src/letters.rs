//! Two worlds, a and b, and the letters that go between them.
//!
//! A world is a process in a network namespace of its own. Process b answers every letter in the letter's own words, as
//! an echo service does. Process a writes twice, "first" and "second", and hears the answers up to that to "second".

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Context, Result};
use lesson::Observation;
use ns_core::net::plan::Site;
use ns_core::net::{Link, LinkName, Netlink};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, Witness};

const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The echo service of RFC 862.
const ECHO: u16 = 7;
/// Every network namespace has its loopback link first.
const LO: u32 = 1;
/// What a tells of its first letter.
const FIRST_IS_SENT: &str = "sendto(b, \"first\")";

/// A process in a network namespace of its own.
pub(crate) struct World {
    pub(crate) child: Child,
    pub(crate) namespace: NsFile,
    /// Our line to that namespace.
    pub(crate) net: Netlink,
    /// The name that its end of a cable is to have.
    pub(crate) end: LinkName,
    address: Ipv4Addr,
}

impl World {
    fn new(
        label: &str,
        address: Ipv4Addr,
        body: impl FnOnce(&mut Witness) -> ns_core::Result<()>,
    ) -> Result<World> {
        let child = Child::spawn(label, Namespaces::NET, body)?;
        let namespace = NsFile::of(Some(child.pid()), Kind::Net)?;
        let net = Netlink::open_in(&namespace)?;
        // A letter could go this way if the kernel held both addresses for its own: then lo would count it.
        net.set_up(LO)?;
        Ok(World { child, namespace, net, end: LinkName::new(&format!("{label}0"))?, address })
    }

    /// One of its links, which must be there.
    pub(crate) fn link(&self, name: &LinkName) -> Result<Link> {
        self.net.link(name)?.with_context(|| format!("{} has no {name}", self.child.label()))
    }

    /// Its end of the cable, if it has one.
    pub(crate) fn own_end(&self) -> Result<Option<Link>> {
        Ok(self.net.link(&self.end)?)
    }
}

/// The two who write to each other.
pub(crate) struct Worlds {
    pub(crate) a: World,
    pub(crate) b: World,
}

impl Worlds {
    pub(crate) fn new() -> Result<Worlds> {
        let mut b = World::new("b", B, answer_letters)?;
        b.child.hear()?; // it listens
        Ok(Worlds { a: World::new("a", A, write_letters)?, b })
    }

    /// Both, for a plan of what joins them.
    pub(crate) fn sites(&self) -> [Site<'_>; 2] {
        [("a", &self.a), ("b", &self.b)].map(|(name, world)| Site {
            name,
            net: &world.net,
            namespace: world.namespace.as_fd(),
        })
    }

    /// Gives both ends an address, and sets them up.
    pub(crate) fn plug_in(&self) -> Result<()> {
        for world in [&self.a, &self.b] {
            let end = world.net.index(&world.end)?;
            world.net.keep_quiet(end)?;
            world.net.add_address(end, world.address.into(), 24)?;
        }
        self.set_up()
    }

    /// Sets both ends up, each with the other for a neighbour, and waits until both run. If they do, nothing changes.
    pub(crate) fn set_up(&self) -> Result<()> {
        let Worlds { a, b } = self;
        let (a0, b0) = (a.link(&a.end)?, b.link(&b.end)?);
        for (world, near, far, neighbour) in [(a, &a0, &b0, B), (b, &b0, &a0, A)] {
            world.net.set_up(near.index)?;
            // Without it the kernel asks first (ARP), and keeps the letter until it is told. What was asked into a dead
            // cable is asked again a second later, and then the letter would arrive after all.
            let hardware = far.address.context("a veth end has a hardware address")?;
            world.net.add_neighbour(near.index, neighbour.into(), hardware)?;
        }
        a.net.wait_until_running(a0.index)?;
        b.net.wait_until_running(b0.index)?;
        Ok(())
    }

    /// Has a write two letters. Between them `clear` takes away whatever may have stopped the first, so that the second
    /// arrives. Returns what answers a heard, and by how much the links' counts of packets rose.
    pub(crate) fn write(&mut self, clear: impl FnOnce(&Worlds) -> Result<()>) -> Result<Vec<Fact>> {
        let before = self.counts()?;
        self.a.child.release()?;
        let first = self.a.child.hear()?;
        clear(self)?;
        self.a.child.release()?;
        let answers = self.a.child.hear()?;
        let mut facts = vec![answers, first];
        for ((what, after), (_, before)) in self.counts()?.into_iter().zip(before) {
            facts.push(Fact::outside(what, after.zip(before).map(|(after, before)| after - before)));
        }
        Ok(facts)
    }

    fn counts(&self) -> Result<[(&'static str, Option<i64>); 5]> {
        let (a0, b0, lo) = (self.a.own_end()?, self.b.own_end()?, self.a.net.link_by_index(LO)?);
        let sent = |link: &Option<Link>| link.as_ref().map(|link| link.tx_packets as i64);
        let received = |link: &Option<Link>| link.as_ref().map(|link| link.rx_packets as i64);
        Ok([
            ("a0 sent", sent(&a0)),
            ("b0 received", received(&b0)),
            ("b0 sent", sent(&b0)),
            ("a0 received", received(&a0)),
            ("lo of a sent", sent(&lo)),
        ])
    }
}

/// Both letters were answered, and went by the ends.
pub(crate) fn both_arrived(letters: &Observation) -> bool {
    *letters == "first, second" && counts_are(letters, &[("a0 sent", 2), ("b0 received", 2)])
}

/// Both were sent, and the second alone arrived.
pub(crate) fn first_was_lost(letters: &Observation) -> bool {
    *letters == "second"
        && letters.inside(FIRST_IS_SENT).is_some_and(|it| *it == "OK")
        && counts_are(letters, &[("b0 received", 1)])
}

pub(crate) fn counts_are(letters: &Observation, counts: &[(&str, i64)]) -> bool {
    counts.iter().all(|(what, count)| letters.outside(what).is_some_and(|it| it == count))
}

/// Process b: answers every letter, until it is killed.
fn answer_letters(me: &mut Witness) -> ns_core::Result<()> {
    let socket =
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ECHO)).named(|| format!("bind(\"0.0.0.0:{ECHO}\")"))?;
    me.saw("listens", "yes")?;
    let mut letter = [0; 16];
    loop {
        let (length, sender) = socket.recv_from(&mut letter).named(|| "recvfrom()".into())?;
        socket.send_to(&letter[..length], sender).named(|| format!("sendto(\"{sender}\")"))?;
    }
}

/// Process a: writes "first" and, once it may go on, "second", and tells what answers it heard; again and again.
fn write_letters(me: &mut Witness) -> ns_core::Result<()> {
    loop {
        me.stay()?; // until it is to write
        // A new socket, so that no answer to an earlier letter is heard.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).named(|| "bind(\"0.0.0.0:0\")".into())?;
        me.saw(FIRST_IS_SENT, send(&socket, "first")?)?;
        me.pause()?;
        let mut answers = Vec::new();
        if send(&socket, "second")? == Outcome::Done {
            while answers.last().is_none_or(|last| last != "second") {
                answers.push(hear(&socket)?);
            }
        }
        me.saw("a heard", if answers.is_empty() { "none".into() } else { answers.join(", ") })?;
    }
}

fn send(socket: &UdpSocket, letter: &str) -> ns_core::Result<Outcome> {
    Outcome::of(socket.send_to(letter.as_bytes(), (B, ECHO)).named(|| format!("sendto(b, \"{letter}\")")))
}

fn hear(socket: &UdpSocket) -> ns_core::Result<String> {
    let mut answer = [0; 16];
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
    let (length, _) = socket.recv_from(&mut answer).named(|| "recvfrom() [no answer within 10 s]".into())?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
