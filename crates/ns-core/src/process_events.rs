//! What processes do, as the kernel reports it: the process events connector (linux/cn_proc.h).
//!
//! The kernel sends a datagram over netlink(7) whenever a process forks, executes a program, changes its credentials, its
//! session or its name, or ends.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_CONNECTOR;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;

use crate::error::{Error, Named, Result};
use crate::uts;

/// CN_IDX_PROC and CN_VAL_PROC of linux/connector.h: the connector that reports processes, and its multicast group.
const CONNECTOR: [u32; 2] = [1, 1];
/// PROC_CN_MCAST_LISTEN of linux/cn_proc.h.
const LISTEN: u32 = 1;
/// What happened: the kernel answers (PROC_EVENT_NONE), a fork, an end.
const ANSWER: u32 = 0;
const FORK: u32 = 1;
const EXIT: u32 = 0x8000_0000;
/// Before this version the kernel counts listeners, and one that was killed stays counted for ever.
const FORGETS_THE_KILLED: (u32, u32) = (6, 6);
/// The bytes of a message's two headers, struct nlmsghdr and struct cn_msg.
const HEADERS: usize = 16 + 20;

/// A socket that receives what processes do, on the whole machine.
#[derive(Debug)]
pub struct ProcessEvents {
    socket: Socket,
    family: Family,
}

impl ProcessEvents {
    /// Asks the kernel for process events.
    ///
    /// # Errors
    /// EPERM or EACCES without CAP_NET_ADMIN, where the kernel wants it. ECONNREFUSED in another network namespace than the
    /// first. EPROTONOSUPPORT where the kernel has no connector. [`Error::Input`] before Linux 6.6. The same in another
    /// user or PID namespace than the first, where the kernel does not answer.
    pub fn open() -> Result<ProcessEvents> {
        if uts::kernel_version() < FORGETS_THE_KILLED {
            let (major, minor) = FORGETS_THE_KILLED;
            return Err(Error::Input(format!(
                "process events: before Linux {major}.{minor} a listener that is killed leaves a trace"
            )));
        }
        let mut socket = Socket::new(NETLINK_CONNECTOR)
            .named(|| "socket(AF_NETLINK, SOCK_DGRAM|SOCK_CLOEXEC, NETLINK_CONNECTOR)".into())?;
        let [group, _] = CONNECTOR;
        socket.bind(&SocketAddr::new(0, group)).named(|| "bind(AF_NETLINK, CN_IDX_PROC)".into())?;
        socket.set_non_blocking(true).named(|| "ioctl(netlink, FIONBIO, 1)".into())?;
        let mut events = ProcessEvents { socket, family: Family::of(std::process::id()) };
        events
            .socket
            .send_to(&request(), &SocketAddr::new(0, 0), 0)
            .named(|| "sendto(netlink, PROC_CN_MCAST_LISTEN)".into())?;
        events.acknowledged()?;
        Ok(events)
    }

    /// Takes all that have arrived, and says whether any was about another process than the caller and those that descend
    /// from it since. One that the kernel had to drop may have been.
    ///
    /// # Errors
    /// Those of recvfrom(2), but EAGAIN and ENOBUFS.
    pub fn drain(&mut self) -> Result<bool> {
        let mut any = false;
        while let Some(datagram) = self.next()? {
            any |= self.family.is_of_others(&datagram);
        }
        Ok(any)
    }

    /// The kernel answers while the request is being sent, so its answer is here by now, behind events of others.
    fn acknowledged(&mut self) -> Result<()> {
        while let Some(datagram) = self.next()? {
            match answer(&datagram) {
                None => {}
                Some(0) => return Ok(()),
                Some(errno) => {
                    return Err(Errno::from_raw(errno as i32)).named(|| "PROC_CN_MCAST_LISTEN".into());
                }
            }
        }
        Err(Error::Input("process events: the kernel does not answer here".into()))
    }

    /// The next datagram from the kernel; `None` if none is there. One that was lost is empty.
    fn next(&self) -> Result<Option<Vec<u8>>> {
        loop {
            match self.socket.recv_from_full() {
                // Port 0 is the kernel. A process with CAP_NET_ADMIN may write to us too.
                Ok((datagram, sender)) if sender.port_number() == 0 => return Ok(Some(datagram)),
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Some(Vec::new())),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).named(|| "recvfrom(netlink)".into()),
            }
        }
    }
}

impl AsFd for ProcessEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// struct nlmsghdr, struct cn_msg and the operation, as linux/netlink.h, connector.h and cn_proc.h have them.
fn request() -> Vec<u8> {
    let length = HEADERS as u32 + 4;
    let [index, value] = CONNECTOR;
    // Length, type and flags, sequence number, port.
    let netlink = [length, libc::NLMSG_DONE as u32, 0, 0];
    // Identity, sequence number, acknowledgement; then length and flags, of two bytes each.
    let connector = [index, value, 0, 0];
    let words = netlink.into_iter().chain(connector).flat_map(u32::to_ne_bytes);
    let rest = [4_u16, 0].into_iter().flat_map(u16::to_ne_bytes);
    words.chain(rest).chain(LISTEN.to_ne_bytes()).collect()
}

/// struct proc_event of linux/cn_proc.h: what happened, and the first words of what depends on that. Between them are the
/// CPU and a time of eight bytes.
fn event(datagram: &[u8]) -> Option<(u32, [Option<u32>; 4])> {
    let word = |at: usize| {
        let bytes = datagram.get(at..at + 4)?;
        bytes.try_into().ok().map(u32::from_ne_bytes)
    };
    let data = HEADERS + 16;
    Some((word(HEADERS)?, [data, data + 4, data + 8, data + 12].map(word)))
}

/// The errno in the kernel's answer to [`request`], 0 for none; `None` if the datagram is an event.
fn answer(datagram: &[u8]) -> Option<u32> {
    match event(datagram)? {
        (ANSWER, [errno, ..]) => errno,
        _ => None,
    }
}

/// A process and those that descend from it, as their events tell. Who looks at the machine by children is not to be woken
/// by them.
#[derive(Debug)]
struct Family(BTreeSet<u32>);

impl Family {
    fn of(process: u32) -> Family {
        Family(BTreeSet::from([process]))
    }

    /// Whether an event is about a process of another family.
    fn is_of_others(&mut self, datagram: &[u8]) -> bool {
        match event(datagram) {
            // The parent's thread and PID, and the child's.
            Some((FORK, [_, Some(parent), _, Some(child)])) if self.0.contains(&parent) => {
                self.0.insert(child);
                false
            }
            // The thread and its process, whose PID another may get later.
            Some((EXIT, [Some(thread), Some(process), ..])) if thread == process => !self.0.remove(&process),
            Some((_, [_, Some(process), ..])) => !self.0.contains(&process),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(what: u32, data: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; HEADERS];
        bytes.extend(what.to_ne_bytes());
        bytes.extend([0; 12]);
        bytes.extend(data.iter().flat_map(|word| word.to_ne_bytes()));
        bytes
    }

    #[test]
    fn an_answer_is_told_from_an_event() {
        assert_eq!(answer(&datagram(ANSWER, &[0])), Some(0));
        assert_eq!(answer(&datagram(ANSWER, &[1])), Some(1));
        assert_eq!(answer(&datagram(2, &[1])), None);
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn what_its_own_descendants_do_is_nothing_new() {
        const EXEC: u32 = 2;
        let mut family = Family::of(10);
        for (what, data, is_of_others) in [
            (FORK, vec![10, 10, 11, 11], false),
            (EXEC, vec![11, 11], false),
            (FORK, vec![11, 11, 12, 12], false),
            (FORK, vec![7, 7, 8, 8], true),
            (EXEC, vec![8, 8], true),
            (EXIT, vec![12, 12], false),
            (EXIT, vec![8, 8], true),
            // The end of a thread is not that of its process. A PID that is free again is another's.
            (EXIT, vec![13, 11], false),
            (EXEC, vec![11, 11], false),
            (EXEC, vec![12, 12], true),
        ] {
            assert_eq!(family.is_of_others(&datagram(what, &data)), is_of_others, "{what:#x} {data:?}");
        }
        assert!(family.is_of_others(&[]), "one was lost");
    }

    #[test]
    fn a_request_is_as_long_as_it_says() {
        let bytes = request();
        assert_eq!(bytes.len(), 40);
        assert_eq!(bytes[..4], 40_u32.to_ne_bytes());
        assert_eq!(bytes[36..], LISTEN.to_ne_bytes());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes: Vec<u8>) {
            let _ = (answer(&bytes), Family::of(1).is_of_others(&bytes));
        }
    }
}
