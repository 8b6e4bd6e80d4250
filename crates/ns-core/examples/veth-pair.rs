//! What a veth pair with a round trip costs here, across two network namespaces that stay. Both ends get an address and
//! are set up. When both run, a UDP datagram goes there and back. The peer in C is scripts/bench.d/veth-pair.c.
//!
//! Usage: veth-pair ROUNDS. It prints for each round its nanoseconds, and 1 if the first datagram was lost.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ns_core::net::{LinkName, Netlink};
use ns_core::{Error, Kind, Named, Namespaces, NsFile, Result, host, namespace, sandbox};

const OUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const INNER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const PORT: u16 = 4000;
/// A datagram that has not come by then is lost. ARP asks again after a second.
const PATIENCE: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let rounds: usize = rounds.ok_or_else(|| Error::Input("usage: veth-pair ROUNDS".into()))?;
    host::remember()?;
    sandbox::enter(Namespaces::NET)?;
    let there = End::here()?;
    namespace::unshare(Namespaces::NET)?;
    let here = End::here()?;
    let names = [LinkName::new("out")?, LinkName::new("in")?];
    let mut stdout = std::io::stdout().lock();
    for _ in 0..rounds {
        let (took, arrived) = round(&here, &there, &names)?;
        writeln!(stdout, "{} {}", took.as_nanos(), u8::from(!arrived)).named(|| "write(stdout)".into())?;
    }
    Ok(())
}

/// One end: its namespace, and what was opened in it.
struct End {
    namespace: NsFile,
    net: Netlink,
    udp: UdpSocket,
}

impl End {
    /// In the caller's network namespace.
    fn here() -> Result<End> {
        let udp = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).named(|| "bind(0.0.0.0:4000)".into())?;
        udp.set_read_timeout(Some(PATIENCE)).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
        Ok(End { namespace: NsFile::of(None, Kind::Net)?, net: Netlink::open()?, udp })
    }
}

/// How long a pair with its first round trip takes, and whether that came to its end.
fn round(here: &End, there: &End, [out, within]: &[LinkName; 2]) -> Result<(Duration, bool)> {
    let began = Instant::now();
    let outer = here.net.create_veth(out, within, Some(there.namespace.as_fd()))?;
    let inner = there.net.index(within)?;
    here.net.add_address(outer, OUTER.into(), 24)?;
    there.net.add_address(inner, INNER.into(), 24)?;
    here.net.set_up(outer)?;
    there.net.set_up(inner)?;
    here.net.wait_until_running(outer)?;
    there.net.wait_until_running(inner)?;
    let arrived = round_trip(&here.udp, &there.udp)?;
    let took = began.elapsed();
    here.net.delete(outer)?;
    Ok((took, arrived))
}

fn round_trip(here: &UdpSocket, there: &UdpSocket) -> Result<bool> {
    here.send_to(b".", (INNER, PORT)).named(|| "sendto(10.0.0.2:4000)".into())?;
    let mut byte = [0];
    let from = match there.recv_from(&mut byte) {
        Ok((_, from)) => from,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
        Err(error) => return Err(error).named(|| "recvfrom()".into()),
    };
    there.send_to(b".", from).named(|| format!("sendto({from})"))?;
    Ok(here.recv_from(&mut byte).is_ok())
}
