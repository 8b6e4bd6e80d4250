//! How far a container reaches over the network.

use std::str::FromStr;

/// What a container reaches, besides the other containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The host.
    Host,
    /// The host, and what the host reaches.
    Out,
}

impl FromStr for Reach {
    type Err = String;

    fn from_str(text: &str) -> Result<Reach, String> {
        match text {
            "host" => Ok(Reach::Host),
            "out" => Ok(Reach::Out),
            _ => Err("give --net, or --net=out to reach what the host reaches".into()),
        }
    }
}

/// The values of Docker's `--network` that there is something like here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    None,
    Bridge,
}

pub(super) fn network(text: &str) -> Result<Network, String> {
    match text {
        "none" => Ok(Network::None),
        "bridge" => Ok(Network::Bridge),
        "host" => Err(
            "in Docker, the container shares the host's network namespace; one here has its own: leave it \
                       out, or give --net=out"
                .into(),
        ),
        _ => Err(
            "in Docker, this is a network that was created before; here is one: --network bridge, or none"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_has_two_words() {
        assert_eq!("host".parse(), Ok(Reach::Host));
        assert_eq!("out".parse(), Ok(Reach::Out));
        for bad in ["", "OUT", "bridge"] {
            assert!(bad.parse::<Reach>().is_err(), "{bad}");
        }
        assert_eq!(network("none"), Ok(Network::None));
        for (bad, word) in [("host", "its own"), ("backend", "--network bridge"), ("", "--network bridge")] {
            assert!(network(bad).unwrap_err().contains(word), "{bad}");
        }
    }
}
