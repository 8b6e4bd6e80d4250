//! A link as the kernel describes it.

use netlink_packet_core::{DecodeError, NlaBuffer, NlasIterator, Parseable, ParseableParametrized};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, Inet6IfaceFlags, InfoBridgePort, InfoKind, InfoPortKind, LinkAttribute,
    LinkFlags, LinkHeader, LinkMessageBuffer, State,
};
use serde::Serialize;

/// Two attributes of rtnetlink(7) that the decoder's own reading would give up where a plain one need not.
const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
/// Inside IFLA_LINKINFO: what the link's master keeps about it.
const IFLA_INFO_SLAVE_DATA: u16 = 5;

/// A link: a network device, physical or virtual (netdevice(7), rtnetlink(7)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Its number in this network namespace, from 1. It keeps it when renamed, and may not when moved.
    pub index: u32,
    /// Its name. Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is: `veth`, `bridge`, `dummy`; the loopback link and most hardware do not say.
    pub kind: Option<String>,
    /// IFF_UP: somebody has set it up.
    pub up: bool,
    /// IFF_RUNNING: the kernel holds it for fit to carry packets (operational state up, or unknown).
    pub running: bool,
    /// IFF_LOWER_UP: it has a carrier; for a veth end, both ends are set up.
    pub lower_up: bool,
    /// The operational state of RFC 2863, spelled as in /sys/class/net/*/operstate: `up`, `down`, `lowerlayerdown`,
    /// `unknown` (the driver does not say), `dormant`, `testing`, `notpresent`. A veth end whose peer is not up is
    /// `lowerlayerdown` if the peer is in this namespace too; if it is in another, newer kernels say `down`.
    pub oper_state: String,
    /// The hardware address, if it has one of 6 bytes.
    pub address: Option<[u8; 6]>,
    /// The index of the bridge (or other master) that it is a port of.
    pub master: Option<u32>,
    /// As a port of a bridge, its state: `disabled`, `listening`, `learning`, `forwarding`, `blocking`.
    pub port_state: Option<String>,
    /// IFLA_LINK: the index of the link it belongs to, for a veth end its peer's. That index counts in the peer's
    /// namespace.
    pub peer_index: Option<u32>,
    /// IFLA_LINK_NETNSID: this namespace's own number for the namespace of the peer, where that is another.
    pub peer_namespace: Option<i32>,
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// IF_READY, which IPv6 sets once the link is running and its queue takes packets. It may be set too late (never, if
    /// IPv6 is off), but not too early.
    #[serde(skip)]
    ready: bool,
}

impl Link {
    /// Reads the body of an RTM_NEWLINK message. An attribute that the decoder cannot read, because the kernel is newer,
    /// must not hide the link: it is left out.
    pub(super) fn read(body: &[u8]) -> Result<Link, DecodeError> {
        let header = LinkHeader::parse(body)?;
        let mut link = Link {
            index: header.index,
            name: String::new(),
            kind: None,
            up: header.flags.contains(LinkFlags::Up),
            running: header.flags.contains(LinkFlags::Running),
            lower_up: header.flags.contains(LinkFlags::LowerUp),
            oper_state: in_words(State::Unknown),
            address: None,
            master: None,
            port_state: None,
            peer_index: None,
            peer_namespace: None,
            rx_packets: 0,
            tx_packets: 0,
            ready: false,
        };
        for nla in NlasIterator::new(&body[size_of::<LinkMessageBuffer>()..]) {
            link.note(&nla?);
        }
        Ok(link)
    }

    fn note(&mut self, nla: &NlaBuffer<&[u8]>) {
        match nla.kind() {
            IFLA_IFNAME => {
                self.name = String::from_utf8_lossy(nla.value()).trim_end_matches('\0').into();
                return;
            }
            IFLA_LINKINFO => return self.note_info(nla.value()),
            _ => {}
        }
        match LinkAttribute::parse_with_param(nla, AddressFamily::Unspec) {
            Ok(LinkAttribute::OperState(state)) => self.oper_state = in_words(state),
            Ok(LinkAttribute::Address(bytes)) => self.address = bytes.try_into().ok(),
            Ok(LinkAttribute::Controller(index)) => self.master = Some(index),
            Ok(LinkAttribute::Link(index)) => self.peer_index = (index != 0).then_some(index),
            Ok(LinkAttribute::LinkNetNsId(id)) => self.peer_namespace = (id >= 0).then_some(id),
            Ok(LinkAttribute::Stats64(stats)) => {
                (self.rx_packets, self.tx_packets) = (stats.rx_packets, stats.tx_packets);
            }
            Ok(LinkAttribute::AfSpecUnspec(families)) => self.ready = families.iter().any(ipv6_is_ready),
            _ => {}
        }
    }

    /// IFLA_LINKINFO: the kind, and for a port what its master says of it.
    fn note_info(&mut self, info: &[u8]) {
        let mut master = None;
        for nla in NlasIterator::new(info).flatten() {
            if let Ok(kind) = InfoKind::parse(&nla) {
                self.kind = Some(kind.to_string());
            } else if let Ok(kind) = InfoPortKind::parse(&nla) {
                master = Some(kind);
            } else if nla.kind() == IFLA_INFO_SLAVE_DATA && master == Some(InfoPortKind::Bridge) {
                self.port_state = NlasIterator::new(nla.value()).flatten().find_map(|nla| {
                    match InfoBridgePort::parse(&nla) {
                        Ok(InfoBridgePort::State(state)) => Some(state.to_string()),
                        _ => None,
                    }
                });
            }
        }
    }

    /// Whether a packet that is sent now leaves the link.
    ///
    /// A veth end that gets its carrier is IFF_RUNNING and IFF_LOWER_UP at once, but its queue drops everything until
    /// the kernel's link watch has run. Only then does its state turn from `unknown` to `up`. (Since Linux 6.8, looking
    /// makes it run first.) At the end that was set up last the queue is in order from the start, and the state may
    /// follow a second later: so IPv6's word is taken too.
    pub(super) fn carries_packets(&self) -> bool {
        let ready = self.oper_state == "unknown" && self.ready;
        self.running && self.lower_up && (ready || self.state_is_settled())
    }

    /// Whether the operational state agrees with the carrier. Links that have none, such as lo and dummy, stay `unknown`.
    pub(super) fn state_is_settled(&self) -> bool {
        let has_carrier = matches!(self.kind.as_deref(), Some("veth" | "bridge"));
        match (self.lower_up, self.oper_state.as_str()) {
            (true, "up") => true,
            (true, "unknown") => !has_carrier,
            (true, _) => false,
            (false, _) => !self.running,
        }
    }
}

fn ipv6_is_ready(family: &AfSpecUnspec) -> bool {
    let AfSpecUnspec::Inet6(attributes) = family else { return false };
    attributes.iter().any(
        |attribute| matches!(attribute, AfSpecInet6::Flags(flags) if flags.contains(Inet6IfaceFlags::Ready)),
    )
}

fn in_words(state: State) -> String {
    state.to_string().to_lowercase()
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{DefaultNla, Emitable};
    use netlink_packet_route::link::{BridgePortState, InfoPortData, LinkInfo, LinkMessage, Stats64};

    use super::*;

    fn body(flags: LinkFlags, attributes: Vec<LinkAttribute>) -> Vec<u8> {
        let mut message = LinkMessage::default();
        message.header.index = 4;
        message.header.flags = flags;
        message.attributes = attributes;
        let mut bytes = vec![0; message.buffer_len()];
        message.emit(&mut bytes);
        bytes
    }

    #[test]
    fn a_port_of_a_bridge_is_read_whole() {
        let mut stats = Stats64::default();
        (stats.rx_packets, stats.tx_packets) = (3, 5);
        let info = vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![
                InfoBridgePort::Priority(32),
                InfoBridgePort::State(BridgePortState::Forwarding),
            ])),
        ];
        let attributes = vec![
            LinkAttribute::IfName("p1".into()),
            LinkAttribute::OperState(State::LowerLayerDown),
            LinkAttribute::Address(vec![2, 0, 0, 0, 0, 1]),
            LinkAttribute::Controller(3),
            LinkAttribute::Link(2),
            LinkAttribute::LinkNetNsId(0),
            LinkAttribute::Stats64(stats),
            LinkAttribute::LinkInfo(info),
        ];
        let expected = Link {
            index: 4,
            name: "p1".into(),
            kind: Some("veth".into()),
            up: true,
            running: false,
            lower_up: false,
            oper_state: "lowerlayerdown".into(),
            address: Some([2, 0, 0, 0, 0, 1]),
            master: Some(3),
            port_state: Some("forwarding".into()),
            peer_index: Some(2),
            peer_namespace: Some(0),
            rx_packets: 3,
            tx_packets: 5,
            ready: false,
        };
        assert_eq!(Link::read(&body(LinkFlags::Up, attributes)).unwrap(), expected);
    }

    #[test]
    fn what_the_decoder_cannot_read_does_not_hide_the_link() {
        let odd = |kind, value: &[u8]| LinkAttribute::Other(DefaultNla::new(kind, value.to_vec()));
        // A state of three bytes, a kind without its end, and a name that is not UTF-8.
        let attributes = vec![odd(16, &[6, 0, 0]), odd(IFLA_LINKINFO, &[9, 0]), odd(IFLA_IFNAME, b"\xffx\0")];
        let link = Link::read(&body(LinkFlags::empty(), attributes)).unwrap();
        assert_eq!((link.name.as_str(), link.oper_state.as_str(), link.kind), ("\u{fffd}x", "unknown", None));
    }

    #[test]
    fn what_is_no_link_is_an_error() {
        let mut cut = body(LinkFlags::Up, vec![LinkAttribute::Mtu(1500)]);
        cut.truncate(22);
        assert!(Link::read(&cut).is_err());
        assert!(Link::read(&[0; 15]).is_err());
    }

    #[test]
    fn only_a_link_whose_queue_takes_packets_carries_them() {
        let both = LinkFlags::Running | LinkFlags::LowerUp;
        for (kind, flags, state, ready, carries, settled) in [
            (InfoKind::Veth, both, State::Up, false, true, true),
            // The link watch has not run: at one end the queue drops everything, at the other it does not.
            (InfoKind::Veth, both, State::Unknown, false, false, false),
            (InfoKind::Veth, both, State::Unknown, true, true, false),
            (InfoKind::Bridge, both, State::Unknown, false, false, false),
            (InfoKind::Dummy, both, State::Unknown, false, true, true),
            // The carrier has gone, or come, and the state not yet.
            (InfoKind::Veth, LinkFlags::Running, State::Up, true, false, false),
            (InfoKind::Veth, LinkFlags::LowerUp, State::LowerLayerDown, true, false, false),
            (InfoKind::Veth, LinkFlags::empty(), State::Down, true, false, true),
        ] {
            let case = format!("{kind} {flags:?} {state} {ready}");
            let said = if ready { Inet6IfaceFlags::Ready } else { Inet6IfaceFlags::empty() };
            let attributes = vec![
                LinkAttribute::OperState(state),
                LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]),
                LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![AfSpecInet6::Flags(said)])]),
            ];
            let link = Link::read(&body(flags | LinkFlags::Up, attributes)).unwrap();
            assert_eq!((link.carries_packets(), link.state_is_settled()), (carries, settled), "{case}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes: Vec<u8>, kind: u16, value: Vec<u8>) {
            let _ = Link::read(&bytes);
            let _ = Link::read(&body(LinkFlags::Up, vec![LinkAttribute::Other(DefaultNla::new(kind, value.clone()))]));
            let _ = Link::read(&body(LinkFlags::Up, vec![LinkAttribute::Other(DefaultNla::new(kind % 70, value))]));
        }
    }
}
