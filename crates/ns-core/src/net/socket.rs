//! The two sockets: one asks and receives answers, one receives events.

use std::cell::Cell;
use std::io::ErrorKind;
use std::os::fd::AsFd;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags};

use super::answer::{Answer, End, Record};
use crate::deadline::Deadline;
use crate::error::{Error, Named, Result};

/// A socket of this protocol of netlink(7), that never blocks: waiting is poll's, which has a deadline.
pub(super) fn open(protocol: isize) -> Result<Socket> {
    let mut socket = Socket::new(protocol).named(|| {
        let name = if protocol == NETLINK_ROUTE { "NETLINK_ROUTE" } else { "NETLINK_NETFILTER" };
        format!("socket(AF_NETLINK, SOCK_DGRAM|SOCK_CLOEXEC, {name})")
    })?;
    // The kernel gives us a port number. Without one, we would be left out of multicasts.
    socket.bind_auto().named(|| "bind(AF_NETLINK)".into())?;
    socket.set_non_blocking(true).named(|| "ioctl(netlink, FIONBIO, 1)".into())?;
    Ok(socket)
}

/// Sends a datagram to the kernel.
pub(super) fn send(socket: &Socket, datagram: &[u8]) -> std::io::Result<()> {
    loop {
        match socket.send_to(datagram, &SocketAddr::new(0, 0), 0) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The next datagram that the kernel sent.
pub(super) fn receive(socket: &Socket, deadline: Deadline, what: &str) -> Result<Vec<u8>> {
    loop {
        deadline.poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], what)?;
        match socket.recv_from_full() {
            // Port 0 is the kernel. A process with CAP_NET_ADMIN may write to us too.
            Ok((datagram, sender)) if sender.port_number() == 0 => return Ok(datagram),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            Err(error) => return Err(error).named(|| format!("{what} [recvfrom(netlink)]")),
        }
    }
}

/// The socket for requests.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    sequence: Cell<u32>,
}

impl Requests {
    pub(super) fn open() -> Result<Requests> {
        let socket = open(NETLINK_ROUTE)?;
        // Comforts, which very old or emulated kernels lack: words beside the errno, without our request quoted back
        // in full, and dumps that refuse a filter that they do not know.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Requests { socket, sequence: Cell::new(0) })
    }

    /// Makes one request and waits for the end of its answer.
    ///
    /// `flags` are NLM_F_* flags beside NLM_F_REQUEST, with NLM_F_ACK unless it is a dump, so that every answer ends.
    /// `typed` is the request as one would type it.
    ///
    /// # Errors
    /// [`Error::Call`] when the kernel refuses, its words in brackets; [`Error::Deadline`].
    pub(super) fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        typed: impl FnOnce() -> String,
    ) -> Result<Vec<Record>> {
        // Not before the answer has ended: to name a link, `typed` may ask on this same socket.
        self.exchange(message, flags).map_err(|error| about(typed(), error))
    }

    /// As [`Requests::ask`], with errors that do not say what was asked.
    fn exchange(&self, message: RouteNetlinkMessage, flags: u16) -> Result<Vec<Record>> {
        let mut header = NetlinkHeader::default();
        header.flags = flags | NLM_F_REQUEST;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        let deadline = Deadline::new();
        loop {
            self.send(&mut request).named(|| " [sendto(netlink)]".into())?;
            let mut answer = Answer::to(request.header.sequence_number);
            let end = loop {
                if let Some(end) = answer.end.take() {
                    break end;
                }
                let datagram = receive(&self.socket, deadline, "")?;
                let read = answer.read(&datagram);
                read.map_err(|error| Error::Unreadable { what: String::new(), message: error.to_string() })?;
            };
            match end {
                End::Done if !answer.interrupted => return Ok(answer.records),
                // What was dumped is no picture of any one moment: once more.
                End::Done => deadline.check(" [it changed under every look]")?,
                End::Refused { errno, words } => {
                    let call = words.map(|words| format!(" [kernel: {words}]")).unwrap_or_default();
                    return Err(Error::Call { call, errno });
                }
            }
        }
    }

    /// Everything of one kind.
    ///
    /// # Errors
    /// As [`Requests::ask`].
    pub(super) fn dump(&self, message: RouteNetlinkMessage, typed: &str) -> Result<Vec<Record>> {
        self.ask(message, NLM_F_DUMP, || typed.into())
    }

    /// Sends the request under a sequence number of its own.
    fn send(&self, request: &mut NetlinkMessage<RouteNetlinkMessage>) -> std::io::Result<()> {
        self.sequence.set(self.sequence.get().wrapping_add(1));
        request.header.sequence_number = self.sequence.get();
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        send(&self.socket, &bytes)
    }
}

/// The error with what was asked before whatever it says itself.
fn about(asked: String, error: Error) -> Error {
    match error {
        Error::Call { call, errno } => Error::Call { call: asked + &call, errno },
        Error::Deadline { what, seconds } => Error::Deadline { what: asked + &what, seconds },
        Error::Unreadable { what, message } => Error::Unreadable { what: asked + &what, message },
        other => other,
    }
}

/// The socket for events. An event says that something changed, and who receives it looks again. So none needs to be
/// decoded, and none is missed even when the kernel had to drop some (ENOBUFS).
#[derive(Debug)]
pub(super) struct Events(Socket);

impl Events {
    pub(super) fn open() -> Result<Events> {
        open(NETLINK_ROUTE).map(Events)
    }

    /// From here on, changes of links (of bridge ports too) are received.
    pub(super) fn join(&self) -> Result<()> {
        self.0
            .add_membership(libc::RTNLGRP_LINK)
            .named(|| "setsockopt(netlink, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK)".into())
    }

    /// Receives no more.
    pub(super) fn leave(&self) -> Result<()> {
        self.0
            .drop_membership(libc::RTNLGRP_LINK)
            .named(|| "setsockopt(netlink, NETLINK_DROP_MEMBERSHIP, RTNLGRP_LINK)".into())
    }

    /// Waits for one event.
    pub(super) fn wait_for_one(&self, deadline: Deadline, what: &str) -> Result<()> {
        match receive(&self.0, deadline, what) {
            Err(error) if error.errno() == Some(nix::errno::Errno::ENOBUFS) => Ok(()),
            other => other.map(drop),
        }
    }
}
