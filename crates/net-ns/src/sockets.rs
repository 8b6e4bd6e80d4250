//! Ports and names that sockets are bound to, and a socket that stays behind.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Step, cause};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, mount, namespace, stage};

use crate::OURS;

pub(crate) const PORTS: Claim = Claim::holds(
    "ports",
    "A network namespace has its own ports: 8080 can be bound inside while it is taken outside.",
)
.cause("CLONE_NEWNET")
.notes(&[73]);
pub(crate) const LOW_PORTS: Claim = Claim::holds(
    "low-ports",
    "Root of a user namespace binds port 80 and opens raw sockets in a network that this namespace owns.",
)
.cause("CLONE_NEWNET")
.more(&[61]);
pub(crate) const ABSTRACT: Claim = Claim::holds(
    "abstract",
    "A network namespace has its own abstract UNIX sockets: one outside is not there, and its name is free.",
)
.cause("CLONE_NEWNET")
.notes(&[74]);
pub(crate) const PATHNAME: Claim = Claim::holds(
    "pathname",
    "A UNIX socket that is bound to a path is reached from other network namespaces too.",
)
.cause("a path")
.notes(&[74]);
pub(crate) const ACCEPTED: Claim = Claim::holds(
    "accepted",
    "The UNIX socket that accept() returns belongs to the network namespace of who connected.",
)
.cause("CLONE_NEWNET")
.notes(&[74]);
pub(crate) const STAYS: Claim = Claim::holds(
    "stays",
    "A socket stays in the network that it was made in, and works there, when its process moves to another.",
)
.cause("unshare(CLONE_NEWNET)")
.more(&[62]);

const PORT: u16 = 8080;
const NAME: &str = "inception";
const PLACE: &str = "/tmp";
const PATH: &str = "/tmp/door";

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Listen outside, at a port, at an abstract name and at a path. Bind and connect the same from inside.",
        calls: &["bind(10.0.0.1:8080)", "bind(\"@inception\")", "connect(\"@inception\")", "connect(\"/tmp/door\")", "accept()"],
        by_hand: &[
            "mount -t tmpfs tmpfs /tmp; perl -MIO::Socket -e 'alarm 60; \
             @doors = map IO::Socket::UNIX->new(Local => $_, Listen => 1), \"\\0inception\", \"/tmp/door\"; sleep 60' & sleep 1",
            "unshare --net perl -MIO::Socket -e \
             'print IO::Socket::UNIX->new($_) ? \"reached\\n\" : \"$!\\n\" for \"\\0inception\", \"/tmp/door\"'",
        ],
    })?;
    let _listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).named(|| "bind(0.0.0.0:8080)".into())?;
    let _name = UnixListener::bind_addr(&name()?).named(|| "bind(\"@inception\")".into())?;
    mount::mount("tmpfs", Path::new(PLACE))?;
    let door = UnixListener::bind(PATH).named(|| format!("bind(\"{PATH}\")"))?;
    lab.claim(PORTS)
        .without(bind_port(Namespaces::NONE)?)
        .with(bind_port(Namespaces::NET)?)
        .shows(|it| *it == "OK")?;
    lab.claim(ABSTRACT).without(use_the_name(Namespaces::NONE)?).with(use_the_name(Namespaces::NET)?).shows(
        |seen| *seen == "ECONNREFUSED" && seen.inside("bind(\"@inception\")").is_some_and(|it| *it == "OK"),
    )?;
    lab.claim(PATHNAME)
        .without(connect_from_inside(false)?)
        .with(connect_from_inside(cause(true, false))?)
        .shows(|connect| *connect == "OK")?;
    // A door without callers: those of before are still waiting at the first.
    drop(door);
    fs::remove_file(PATH).named(|| format!("unlink(\"{PATH}\")"))?;
    let door = UnixListener::bind(PATH).named(|| format!("bind(\"{PATH}\")"))?;
    lab.claim(ACCEPTED)
        .without(accept_from(Namespaces::NONE, &door)?)
        .with(accept_from(Namespaces::NET, &door)?)
        .shows(|accepted| {
            accepted.outside("the network of the caller").is_some_and(|caller| accepted.value() == caller)
                && accepted.outside("our own network").is_some_and(|own| accepted.value() != own)
        })?;

    lab.step(Step {
        goal: "As root of a new user namespace, take port 80 and a raw socket: in the network that was there, and in a new one.",
        calls: &["unshare(CLONE_NEWUSER)", "unshare(CLONE_NEWNET)", "bind(0.0.0.0:80)", "socket(AF_INET, SOCK_RAW)"],
        by_hand: &[
            "bind=\"perl -MIO::Socket -e 'print IO::Socket::INET->new(LocalPort => 80, Listen => 1) ? qq(OK) : \\$@'\"",
            "unshare --user --map-root-user sh -c \"$bind; echo\"; unshare --user --map-root-user --net sh -c \"$bind; echo\"",
        ],
    })?;
    lab.claim(LOW_PORTS).without(as_root(Namespaces::NONE)?).with(as_root(Namespaces::NET)?).shows(
        |root| *root == "OK" && root.inside("socket(AF_INET, SOCK_RAW)").is_some_and(|it| *it == "OK"),
    )?;

    lab.step(Step {
        goal: "Make a socket, move to a new network, and send with that socket and with a new one.",
        calls: &[
            "socket(AF_INET, SOCK_DGRAM)",
            "unshare(CLONE_NEWNET)",
            "sendto(10.0.0.1:9)",
            "ioctl(SIOCGSKNS)",
        ],
        by_hand: &[
            "bash -c 'exec 3<>/dev/udp/10.0.0.1/9; unshare --net sh -c \"echo x >&3 && echo sent; ping -c 1 10.0.0.1\"'",
        ],
    })?;
    lab.claim(STAYS).without(move_away(Namespaces::NONE)?).with(move_away(Namespaces::NET)?).shows(
        |sent| {
            *sent == "OK"
                && sent.inside("sendto() with a new one").is_some_and(|it| *it == "ENETUNREACH")
                && sent.inside("ioctl(SIOCGSKNS)") == sent.inside("the network that it began in")
        },
    )?;
    Ok(())
}

fn name() -> Result<SocketAddr, ns_core::Error> {
    SocketAddr::from_abstract_name(NAME).named(|| "an abstract name".into())
}

fn bind_port(namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).named(|| "bind(0.0.0.0:8080)".into());
        me.saw("bind(0.0.0.0:8080)", Outcome::of(bound)?)
    })?;
    Ok(child.hear()?)
}

fn use_the_name(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let name = name()?;
        let connected = UnixStream::connect_addr(&name).named(|| "connect(\"@inception\")".into());
        me.saw("connect(\"@inception\")", Outcome::of(connected)?)?;
        let bound = UnixListener::bind_addr(&name).named(|| "bind(\"@inception\")".into());
        me.saw("bind(\"@inception\")", Outcome::of(bound)?)
    })?;
    Ok(child.hear_all()?)
}

fn connect_from_inside(to_a_path: bool) -> Result<Fact> {
    let mut child = Child::spawn("child", Namespaces::NET, move |me| {
        let (what, connected) = if to_a_path {
            (PATH, UnixStream::connect(PATH))
        } else {
            ("@inception", UnixStream::connect_addr(&name()?))
        };
        let call = format!("connect(\"{what}\")");
        me.saw(call.clone(), Outcome::of(connected.named(|| call))?)
    })?;
    Ok(child.hear()?)
}

fn accept_from(namespaces: Namespaces, door: &UnixListener) -> Result<Vec<Fact>> {
    let mut caller = Child::spawn("caller", namespaces, |me| {
        let _connection = UnixStream::connect(PATH).named(|| format!("connect(\"{PATH}\")"))?;
        me.saw("connected", "yes")?;
        me.stay()
    })?;
    caller.hear()?;
    let (accepted, _) = door.accept().named(|| "accept()".into())?;
    Ok(vec![
        Fact::outside("ioctl(accepted, SIOCGSKNS)", NsFile::of_socket(&accepted)?.id()?),
        Fact::outside("the network of the caller", namespace::of_kind(Some(caller.pid()), Kind::Net)?),
        Fact::outside("our own network", namespace::of_kind(None, Kind::Net)?),
    ])
}

fn as_root(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
        stage::enter(Namespaces::USER)?;
        namespace::unshare(namespaces)?;
        let bound = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 80)).named(|| "bind(0.0.0.0:80)".into());
        me.saw("bind(0.0.0.0:80)", Outcome::of(bound)?)?;
        let raw =
            socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Icmp));
        me.saw("socket(AF_INET, SOCK_RAW)", Outcome::of(raw.named(|| "socket(SOCK_RAW)".into()))?)
    })?;
    Ok(child.hear_all()?)
}

fn move_away(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
        let new = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).named(|| "bind(0.0.0.0:0)".into());
        let before = NsFile::of(None, Kind::Net)?;
        let socket = new()?;
        namespace::unshare(namespaces)?;
        let send =
            |socket: &UdpSocket| Outcome::of(socket.send_to(b"x", (OURS, 9)).named(|| "sendto()".into()));
        me.saw("sendto() with the old socket", send(&socket)?)?;
        me.saw("sendto() with a new one", send(&new()?)?)?;
        me.saw("ioctl(SIOCGSKNS)", NsFile::of_socket(&socket)?.id()?)?;
        me.saw("the network that it began in", before.id()?)
    })?;
    Ok(child.hear_all()?)
}
