//! A descriptor that one process sends to another through a socket: SCM_RIGHTS in unix(7).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends a copy of `descriptor`, with one byte.
pub(crate) fn send_descriptor(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    let descriptors = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b".")], &rights, MsgFlags::MSG_NOSIGNAL, None).map(drop)
}

/// Receives one, close-on-exec; `None` if the other end is closed, or has sent none.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Errno> {
    let (mut byte, mut space) = ([0], nix::cmsg_space!([RawFd; 1]));
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = loop {
        match recvmsg::<()>(socket.as_raw_fd(), &mut bytes, Some(&mut space), flags) {
            Err(Errno::EINTR) => {}
            received => break received?,
        }
    };
    let sent = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    // SAFETY: the kernel has just opened this descriptor for us, there is room for no other, and nobody else owns it.
    Ok(sent.map(|descriptor| unsafe { OwnedFd::from_raw_fd(descriptor) }))
}
