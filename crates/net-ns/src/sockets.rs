//! Ports and names that sockets are bound to, and a socket whose process moves to another network namespace.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Row, Step, first, hand, inside, outside, right, wrong};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, mount, namespace, sandbox};

use crate::host::{ADDRESS, Host};

const PORT: u16 = 8080;
const NAME: &str = "inception";
const PATH: &str = "/tmp/door";
const ANOTHER_PATH: &str = "/tmp/gate";

const PORTS: Claim = Claim::holds(
    "ports",
    "A network namespace has its own ports: bind() to 8080 succeeds inside while 8080 is in use outside.",
)
.factor("CLONE_NEWNET")
.notes(&[73])
.core(&[Row::first("bind() to port 8080")])
.asks(
    "A server outside listens on port 8080. A process in a new network namespace binds port 8080. What happens?",
    &[
        right("it gets the port"),
        wrong("EADDRINUSE", "a port is thought to belong to the machine, since two servers on a host collide"),
        wrong("EACCES", "docker run -p looks like a permission to use a port"),
        wrong("it takes the port over from the server", "the newest namespace is thought to have priority"),
    ],
);
const ABSTRACT: Claim = Claim::holds(
    "abstract",
    "To an abstract UNIX socket of another network namespace, connect() fails with ECONNREFUSED; bind() to its name succeeds.",
)
.factor("CLONE_NEWNET")
.notes(&[74]);
const PATHNAME: Claim = Claim::holds(
    "pathname",
    "A UNIX socket that is bound to a path can be reached from another network namespace.",
)
.factor("a path")
.notes(&[74])
.arms("abstract", "path")
.core(&[Row::first("UNIX socket outside")])
.asks(
    "A client in a new network namespace connects to a UNIX socket outside, by a path that both see. What happens?",
    &[
        right("it is connected"),
        wrong("ECONNREFUSED", "this is true for UNIX sockets with abstract names"),
        wrong("ENOENT: there is no such path", "a network namespace is thought to hide all sockets outside"),
        wrong("EPERM", "a namespace is thought to be a permission"),
    ],
);
const ACCEPTED: Claim = Claim::holds(
    "accepted",
    "The UNIX socket that accept() returns belongs to the network namespace of the process that connected.",
)
.factor("CLONE_NEWNET")
.notes(&[74]);

pub(crate) const BIND_AND_CONNECT: Step = Step {
    title: "Listen outside on a port, an abstract name and a path. Call bind() and connect() with the same from inside.",
    calls: &[
        "bind(10.0.0.1:8080)",
        "bind(\"@inception\")",
        "connect(\"@inception\")",
        "connect(\"/tmp/door\")",
        "accept()",
    ],
    by_hand: &[hand("mount -t tmpfs tmpfs /tmp; perl -MIO::Socket -e 'alarm 60; @doors = map IO::Socket::UNIX->new(Local => $_, Listen => 1), \"\\0inception\", \"/tmp/door\"; sleep 60' & sleep 1").prints("").in_the_same_shell(), hand("unshare --net perl -MIO::Socket -e 'print IO::Socket::UNIX->new($_) ? \"reached\\n\" : \"$!\\n\" for \"\\0inception\", \"/tmp/door\"'; kill $!").prints("ECONNREFUSED\nreached"), ],
    claims: &[PORTS, ABSTRACT, PATHNAME, ACCEPTED],
    run: |lab| {
        mount::mount("tmpfs", Path::new("/tmp"))?;
        let _port = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).named(|| "bind(0.0.0.0:8080)".into())?;
        let _name = UnixListener::bind_addr(&name()?).named(|| "bind(\"@inception\")".into())?;
        let _path = UnixListener::bind(PATH).named(|| format!("bind(\"{PATH}\")"))?;
        lab.compare(PORTS, Namespaces::NONE, Namespaces::NET, bind_port)?
            .shows(first().from("EADDRINUSE").to("OK"))?;
        lab.compare(ABSTRACT, Namespaces::NONE, Namespaces::NET, use_the_name)?.shows(
            inside("connect(\"@inception\")").from("OK").to("ECONNREFUSED")
                & inside("bind(\"@inception\")").from("EADDRINUSE").to("OK"),
        )?;
        lab.compare(PATHNAME, false, true, connect_from_inside)?
            .shows(first().from("ECONNREFUSED").to("OK"))?;
        lab.compare(ACCEPTED, Namespaces::NONE, Namespaces::NET, accept_client)?
            .in_both_arms(outside("ioctl(accepted, SIOCGSKNS)").same_as(outside("ns/net of the client")))
            .shows(outside("ioctl(accepted, SIOCGSKNS)").differs_from(outside("ns/net of the server")))
    },
};

const LOW_PORTS: Claim = Claim::holds(
    "low-ports",
    "Root of a user namespace can bind port 80 and open raw sockets in a network namespace that this owns.",
)
.factor("CLONE_NEWNET")
.more(&[61]);

pub(crate) const BE_ROOT: Step = Step {
    title: "As root of a new user namespace, bind port 80 and open a raw socket: in the old network namespace, and in a new one.",
    calls: &[
        "unshare(CLONE_NEWUSER)",
        "unshare(CLONE_NEWNET)",
        "bind(0.0.0.0:80)",
        "socket(AF_INET, SOCK_RAW)",
    ],
    by_hand: &[hand("bind=\"perl -MIO::Socket -e 'print IO::Socket::INET->new(LocalPort => 80, Listen => 1) ? qq(OK) : \\$@'\"").prints("").in_the_same_shell(), hand("unshare --user --map-root-user sh -c \"$bind; echo\"; unshare --user --map-root-user --net sh -c \"$bind; echo\"").prints("EACCES\nOK"), ],
    claims: &[LOW_PORTS],
    run: |lab| {
        lab.compare(LOW_PORTS, Namespaces::NONE, Namespaces::NET, as_root)?.shows(
            inside("bind(0.0.0.0:80)").from("EACCES").to("OK")
                & inside("socket(AF_INET, SOCK_RAW)").from("EPERM").to("OK"),
        )
    },
};

const STAYS: Claim = Claim::holds(
    "stays",
    "A socket stays, and works, in the network namespace where it was created when its process moves to another.",
)
.factor("unshare(CLONE_NEWNET)")
.more(&[62]);

pub(crate) const MOVE_AWAY: Step = Step {
    title: "Create a socket, move to a new network namespace, and send with the old socket and with a new one.",
    calls: &[
        "socket(AF_INET, SOCK_DGRAM)",
        "unshare(CLONE_NEWNET)",
        "sendto(10.0.0.1:9)",
        "ioctl(SIOCGSKNS)",
    ],
    by_hand: &[hand("bash -c 'exec 3<>/dev/udp/10.0.0.1/9; unshare --net sh -c \"echo x >&3 && echo sent; ping -c 1 10.0.0.1\"'").prints("sent\nENETUNREACH").in_the_same_shell(), ],
    claims: &[STAYS],
    run: |lab| {
        let _host = Host::of(lab)?; // it has the destination address
        lab.compare(STAYS, Namespaces::NONE, Namespaces::NET, move_away)?
            .in_both_arms(
                inside("sendto() with the old socket").from("ENETUNREACH").to("OK")
                    & inside("ioctl(SIOCGSKNS)").same_as(inside("ns/net before unshare()")),
            )
            .shows(inside("sendto() with a new one").from("OK").to("ENETUNREACH"))
    },
};

fn name() -> Result<SocketAddr, ns_core::Error> {
    SocketAddr::from_abstract_name(NAME).named(|| "an abstract name".into())
}

fn bind_port(namespaces: Namespaces) -> Result<Fact> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let bound = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).named(|| "bind(0.0.0.0:8080)".into());
        me.report("bind(0.0.0.0:8080)", Outcome::of(bound)?)
    })?;
    Ok(child.fact()?)
}

fn use_the_name(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let name = name()?;
        let connected = UnixStream::connect_addr(&name).named(|| "connect(\"@inception\")".into());
        me.report("connect(\"@inception\")", Outcome::of(connected)?)?;
        let bound = UnixListener::bind_addr(&name).named(|| "bind(\"@inception\")".into());
        me.report("bind(\"@inception\")", Outcome::of(bound)?)
    })?;
    Ok(child.facts()?)
}

fn connect_from_inside(to_a_path: bool) -> Result<Fact> {
    let mut child = Child::spawn("child", Namespaces::NET, move |me| {
        let (what, connected) = if to_a_path {
            (PATH, UnixStream::connect(PATH))
        } else {
            ("@inception", UnixStream::connect_addr(&name()?))
        };
        let call = format!("connect(\"{what}\")");
        me.report(call.clone(), Outcome::of(connected.named(|| call))?)
    })?;
    Ok(child.fact()?)
}

fn accept_client(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let listener = UnixListener::bind(ANOTHER_PATH).named(|| format!("bind(\"{ANOTHER_PATH}\")"))?;
    let mut client = Child::spawn("client", namespaces, |me| {
        let connected = UnixStream::connect(ANOTHER_PATH);
        let _connection = connected.named(|| format!("connect(\"{ANOTHER_PATH}\")"))?;
        me.report("connected", "yes")?;
        me.stay()
    })?;
    client.fact()?;
    let (accepted, _) = listener.accept().named(|| "accept()".into())?;
    fs::remove_file(ANOTHER_PATH).named(|| format!("unlink(\"{ANOTHER_PATH}\")"))?;
    Ok(vec![
        Fact::outside("ioctl(accepted, SIOCGSKNS)", NsFile::of_socket(&accepted)?.id()?),
        Fact::outside("ns/net of the client", namespace::of_kind(Some(client.pid()), Kind::Net)?),
        Fact::outside("ns/net of the server", namespace::of_kind(None, Kind::Net)?),
    ])
}

fn as_root(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
        sandbox::enter(Namespaces::USER)?;
        namespace::unshare(namespaces)?;
        let bound = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 80)).named(|| "bind(0.0.0.0:80)".into());
        me.report("bind(0.0.0.0:80)", Outcome::of(bound)?)?;
        let raw =
            socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Icmp));
        me.report("socket(AF_INET, SOCK_RAW)", Outcome::of(raw.named(|| "socket(SOCK_RAW)".into()))?)
    })?;
    Ok(child.facts()?)
}

fn move_away(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", Namespaces::NONE, move |me| {
        let new = || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).named(|| "bind(0.0.0.0:0)".into());
        let before = NsFile::of(None, Kind::Net)?;
        let socket = new()?;
        namespace::unshare(namespaces)?;
        let send =
            |socket: &UdpSocket| Outcome::of(socket.send_to(b"x", (ADDRESS, 9)).named(|| "sendto()".into()));
        me.report("sendto() with the old socket", send(&socket)?)?;
        me.report("sendto() with a new one", send(&new()?)?)?;
        me.report("ioctl(SIOCGSKNS)", NsFile::of_socket(&socket)?.id()?)?;
        me.report("ns/net before unshare()", before.id()?)
    })?;
    Ok(child.facts()?)
}
