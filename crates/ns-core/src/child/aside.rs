//! A network namespace that one process creates for another, which does something else meanwhile.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::waitpid;
use observation::Kind;

use super::start_program;
use crate::error::{Error, Named, Result};
use crate::namespace::{Namespaces, NsFile, any_socket, has_left, unshare};
use crate::sys;
use crate::tether::{self, ParentOnlyFd};

/// A network namespace in the making. No other kind takes the kernel so long: half a millisecond. It waits here for the
/// process that is to enter it.
#[derive(Debug)]
pub struct NetworkAside(OwnedFd);

/// Who creates it: the parent of the process that is to enter it.
#[derive(Debug)]
pub struct NetworkCreator(ParentOnlyFd);

impl NetworkAside {
    /// What a child takes along, and what its parent keeps. Nothing is made yet.
    ///
    /// # Errors
    /// Those of socketpair(2).
    pub fn promise() -> Result<(NetworkCreator, NetworkAside)> {
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .named(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)".into())?;
        Ok((NetworkCreator(ParentOnlyFd::new(ours)), NetworkAside(theirs)))
    }

    /// Waits until it is made, and makes the caller a member.
    ///
    /// # Errors
    /// Those of setns(2); [`Error::Input`] if its creator gave up.
    pub fn enter(self) -> Result<()> {
        let namespace = sys::receive_descriptor(self.0.as_fd()).named(|| "recvmsg(SCM_RIGHTS)".into())?;
        let namespace = namespace.ok_or_else(|| Error::Input("there is no network namespace".into()))?;
        NsFile::from_fd(namespace, "network namespace").enter(Some(Kind::Net))?;
        has_left(Namespaces::NET);
        Ok(())
    }
}

impl NetworkCreator {
    /// Creates it, and hands it over. The user namespace `owner` owns it, and `furnish` runs inside it.
    ///
    /// Another process does this, since there is no way back out of `owner`. It shares the caller's memory, and the caller
    /// waits for it.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_ADMIN in `owner`; ENOSPC where the limit of /proc/sys/user is reached; EAGAIN at a limit of
    /// processes; those of `furnish`.
    pub fn create(self, owner: &NsFile, furnish: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut made = Err(Error::Input("the process that creates a network namespace broke off".into()));
        let create = || {
            // Before it hands anything over: so who enters finds out if the caller is gone.
            tether::close_copies_but(self.0.as_fd());
            owner.enter(Some(Kind::User))?;
            unshare(Namespaces::NET)?;
            furnish()?;
            // To open the link in /proc takes the kernel five times as long.
            let namespace = OwnedFd::from(NsFile::of_socket(any_socket()?)?);
            sys::send_descriptor(self.0.as_fd(), namespace.as_fd()).named(|| "sendmsg(SCM_RIGHTS)".into())
        };
        let process = start_program(|| {
            made = create();
            0
        })?;
        waitpid(process, None).named(|| format!("waitpid({process})"))?;
        made
    }
}
