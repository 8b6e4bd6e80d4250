//! A link to the outside: a veth pair, whose outer end is a port of a bridge that all containers share.
//!
//! The bridge is in the host's network, and so is the only thing that this program makes there; it goes with the last
//! container. The host answers on it, and the other containers do. Further out somebody would have to translate addresses.

use anyhow::{Context, Result, bail};
use ns_core::{Capability, Kind, NsFile, Pid, process};

use super::switch::{self, Port};

/// Connects the network namespace of `init`. Dropped, the port is gone.
pub(super) fn connect(init: Pid) -> Result<Port> {
    if !process::is_capable(Capability::CAP_NET_ADMIN) {
        bail!(
            "--net needs CAP_NET_ADMIN over the host's network, where the bridge is; to get it: run as root: sudo …; \
             or leave --net out"
        );
    }
    let namespace = NsFile::of(Some(init), Kind::Net)?;
    switch::plug_in(&namespace).context("--net")
}
