//! The connection to the outside: a veth pair, whose outer end is a port of a bridge that all containers share.
//!
//! The bridge and its ports are all that this program creates in the host's network namespace. The bridge is removed with
//! the last container. A container reaches the host and other containers; to reach further, addresses would have to be
//! translated.

use anyhow::{Context, Result, bail};
use ns_core::{Capability, Kind, NsFile, Pid, process};

use super::switch::{self, Port};

/// Connects the network namespace of `init`. Dropping the port removes it.
pub(super) fn connect(init: Pid) -> Result<Port> {
    if !process::is_capable(Capability::CAP_NET_ADMIN) {
        bail!(
            "--net needs CAP_NET_ADMIN in the host's network namespace, where the bridge is; to get it: run as root: \
             sudo …; or leave --net out"
        );
    }
    let namespace = NsFile::of(Some(init), Kind::Net)?;
    switch::plug_in(&namespace).context("--net")
}
