//! /etc/resolv.conf for a container that reaches out: the host's name servers, resolv.conf(5).

use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::place;

/// The host's files, in the order in which they are read. systemd-resolved(8) has its own servers in the second, and
/// itself, at a loopback address, in the first.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
const NAME: &str = "resolv.conf";

/// The host's name servers that a container can reach: by IPv4, and not on a loopback address, which is the container's.
pub(super) fn servers() -> Vec<Ipv4Addr> {
    let found = FILES.iter().map(|file| named_in(&std::fs::read_to_string(file).unwrap_or_default()));
    found.into_iter().find(|servers| !servers.is_empty()).unwrap_or_default()
}

fn named_in(text: &str) -> Vec<Ipv4Addr> {
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse().ok()
    });
    servers.filter(|server: &Ipv4Addr| !server.is_loopback() && !server.is_unspecified()).collect()
}

/// Writes them below `root`, in place of what ROOTFS has there. It may be a link to nowhere.
pub(super) fn write(root: BorrowedFd<'_>, servers: &[Ipv4Addr]) -> rustix::io::Result<()> {
    let etc = place::made(root, Path::new("etc"))?;
    match unlinkat(etc.as_fd(), NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(etc, NAME, flags, Mode::from_raw_mode(0o644))?;
    let text: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    rustix::io::write(file, text.as_bytes()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_a_container_cannot_reach_is_left_out() {
        let text = "# nameserver 1.1.1.1\nsearch lan\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.1 x\n\
                    nameserver\nnameserver many\nnameserver 0.0.0.0\n nameserver 192.0.2.2\n";
        assert_eq!(named_in(text), [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]);
    }
}
