//! The connection to the outside: a veth pair, whose outer end is a port of a bridge that all containers share.
//!
//! The bridge, its ports and a rule are all that this program creates in the host's network namespace. The bridge is
//! removed with the last container. A container reaches the host and other containers. To reach further, the host has to
//! forward packets, which is a setting for all of its links: it is asked for, and not made. The addresses are translated
//! by a rule that the kernel removes with the launcher ([`Masquerade`]).

use anyhow::{Context, Result, bail};
use ns_core::net::Masquerade;
use ns_core::{Capability, Errno, Error, Kind, NsFile, Pid, process};

use super::reach::Reach;
use super::switch::{self, Port};

/// Whether the host forwards packets (Documentation/networking/ip-sysctl.rst). Each network namespace has its own.
const FORWARDS: &str = "/proc/sys/net/ipv4/ip_forward";

/// A container's connection. Dropping it removes it.
pub(super) struct Connection {
    _masquerade: Option<Masquerade>,
    _port: Port,
}

/// Connects the network namespace of `init`.
pub(super) fn connect(init: Pid, reach: Reach) -> Result<Connection> {
    if !process::is_capable(Capability::CAP_NET_ADMIN) {
        bail!(
            "--net needs CAP_NET_ADMIN in the host's network namespace, where the bridge is; to get it: run as root: \
             sudo …; or leave --net out"
        );
    }
    if reach == Reach::Out {
        must_forward()?;
    }
    let namespace = NsFile::of(Some(init), Kind::Net)?;
    let port = switch::plug_in(&namespace).context("--net")?;
    let masquerade = match reach {
        Reach::Host => None,
        Reach::Out => Some(masquerade(&port)?),
    };
    Ok(Connection { _masquerade: masquerade, _port: port })
}

fn must_forward() -> Result<()> {
    let set = std::fs::read_to_string(FORWARDS).with_context(|| format!("--net=out: read {FORWARDS}"))?;
    if set.trim() == "0" {
        bail!(
            "--net=out: this host forwards no packets: net.ipv4.ip_forward is 0. That setting is for all of its links; to \
             set it: sudo sysctl net.ipv4.ip_forward=1; or give --net, which reaches the host"
        );
    }
    Ok(())
}

/// Translates the container's address in what it sends further than to other containers.
fn masquerade(port: &Port) -> Result<Masquerade> {
    match Masquerade::on_host(port.name(), port.address(), switch::NETWORK) {
        Err(Error::Call {
            call,
            errno: errno @ (Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::ENOENT),
        }) => {
            let error = Error::Call { call, errno };
            bail!(
                "--net=out: {error}: this kernel has no nftables that translate addresses; to get them: sudo modprobe \
                 -a nft_chain_nat nft_masq; or give --net, which reaches the host"
            )
        }
        made => made.context("--net=out"),
    }
}
