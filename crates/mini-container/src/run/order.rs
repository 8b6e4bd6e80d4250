//! A command line that has been read: what to run, and in which root filesystem.

use std::ffi::OsString;

use anyhow::{Result, bail};
use rustix::stdio::stdin;
use rustix::termios::isatty;

use super::asked::Asked;
use super::own::Own;
use super::root::Rootfs;

pub(super) struct Order {
    pub(super) asked: Asked,
    pub(super) rootfs: Rootfs,
    /// At least one word.
    pub(super) command: Vec<OsString>,
}

impl Order {
    /// # Errors
    /// One line, if the words make no sense, or a terminal is asked for and there is none.
    pub(super) fn of(asked: Asked) -> Result<Order> {
        if asked.tty && !isatty(stdin()) {
            bail!("-t: standard input is not a terminal; leave -t out, or run it at a terminal");
        }
        let (rootfs, command) = asked.words.divided(&std::env::args_os().collect::<Vec<_>>())?;
        let rootfs = rootfs.map_or_else(|| Rootfs::Own(Own::for_command(&command[0])), Rootfs::Given);
        Ok(Order { asked, rootfs, command })
    }
}
