//! The datagrams that go between a and b.
//!
//! Process b answers every datagram with the same bytes, as an echo service does. Process a sends two, "first" and
//! "second", and receives the answers up to that to "second".

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use lesson::{Effect, inside, outside};
use ns_core::{Named, Outcome, Reporter};

/// The address of b.
pub(crate) const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
/// The echo service of RFC 862.
const ECHO: u16 = 7;
/// What a reports of its first datagram: the result of sendto(), and whether b answered.
pub(crate) const FIRST_IS_SENT: &str = "sendto(b, \"first\")";
pub(crate) const FIRST_IS_ANSWERED: &str = "b answered \"first\"";

/// Both datagrams were answered, and the far end counted them.
pub(crate) fn both_arrived() -> Effect {
    inside("a received").is("first, second") & outside("b0 received").is(2)
}

/// Only the second datagram arrived.
pub(crate) fn first_was_lost() -> Effect {
    inside("a received").is("second") & outside("b0 received").is(1)
}

/// a sent both.
pub(crate) fn first_was_sent() -> Effect {
    inside(FIRST_IS_SENT).from("ENETUNREACH").or("ENETDOWN").to("OK")
}

/// Process b: answers every datagram, until it is killed.
pub(crate) fn answer(me: &mut Reporter) -> ns_core::Result<()> {
    let socket =
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, ECHO)).named(|| format!("bind(\"0.0.0.0:{ECHO}\")"))?;
    me.report("listens", "yes")?;
    let mut datagram = [0; 16];
    loop {
        let (length, sender) = socket.recv_from(&mut datagram).named(|| "recvfrom()".into())?;
        socket.send_to(&datagram[..length], sender).named(|| format!("sendto(\"{sender}\")"))?;
    }
}

/// Process a: sends "first" and, once the parent wakes it, "second". Then it reports the answers, and starts again.
pub(crate) fn send_two(me: &mut Reporter) -> ns_core::Result<()> {
    loop {
        me.stay()?; // until the parent wakes it to send
        // A new socket receives no answers to earlier datagrams.
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).named(|| "bind(\"0.0.0.0:0\")".into())?;
        me.report(FIRST_IS_SENT, send(&socket, "first")?)?;
        me.checkpoint()?;
        let mut answers = Vec::new();
        if send(&socket, "second")? == Outcome::Done {
            while answers.last().is_none_or(|last| last != "second") {
                answers.push(receive(&socket)?);
            }
        }
        me.report(FIRST_IS_ANSWERED, answers.iter().any(|answer| answer == "first"))?;
        me.report("a received", if answers.is_empty() { "none".into() } else { answers.join(", ") })?;
    }
}

fn send(socket: &UdpSocket, datagram: &str) -> ns_core::Result<Outcome> {
    let sent = socket.send_to(datagram.as_bytes(), (B, ECHO));
    Outcome::of(sent.named(|| format!("sendto(b, \"{datagram}\")")))
}

fn receive(socket: &UdpSocket) -> ns_core::Result<String> {
    let mut answer = [0; 16];
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).named(|| "setsockopt(SO_RCVTIMEO)".into())?;
    let (length, _) = socket.recv_from(&mut answer).named(|| "recvfrom() [no answer within 10 s]".into())?;
    Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
}
