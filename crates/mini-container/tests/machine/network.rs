//! A container's link to its host, with obstacles. Each test runs in a new network namespace, which stands for the host's.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed};

use crate::plain::{self, Directory, PROGRAM, refused, rootfs, said};

/// Runs a shell script in new user, mount and network namespaces; its first argument is the program, its second a root
/// filesystem.
fn on_a_host(rootfs: &Directory, script: &str) -> Output {
    Command::new("unshare")
        .args(["-Urnm", "sh", "-c", script, "sh", PROGRAM])
        .arg(&rootfs.0)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Why this test cannot run here.
fn missing(rootfs: &Directory) -> Option<String> {
    let lists = Command::new("ip").arg("-V").stdout(Stdio::null()).status();
    if lists.is_err() {
        return Some("ip is missing: apt install iproute2".into());
    }
    let output = on_a_host(rootfs, "exec \"$1\" run --net \"$2\" true");
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then(|| format!("no link can be made here, try as root: {why}"))
}

pub(crate) fn a_failure_on_the_way_to_a_link_ends() -> Result<Completion, Failed> {
    let rootfs = rootfs("net-failure");
    if let Some(missing) = missing(&rootfs) {
        return Ok(Completion::ignored_with(missing));
    }
    // This error occurs while the lock is held and the port is registered with the cleanup worker.
    let script =
        "ip link add inception-br0 type veth peer name other; timeout -k 1 30 \"$1\" run --net \"$2\" true
        status=$?; ip -o link | wc -l; exit $status";
    let began = Instant::now();
    let output = on_a_host(&rootfs, script);
    refused(&output, 125, &["the link inception-br0 exists and is not a bridge", "rename it"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "3",
        "that link stays, and those of the run are gone"
    );
    assert!(began.elapsed() < Duration::from_secs(20));
    Ok(Completion::Completed)
}

pub(crate) fn nobody_without_the_capability_holds_the_link_up() -> Result<Completion, Failed> {
    let rootfs = rootfs("net-lock");
    if let Some(missing) = missing(&rootfs) {
        return Ok(Completion::ignored_with(missing));
    }
    // Any user can lock a file that any user can open.
    let script = "exec 8</sys/class/net; flock 8; exec 7</proc/sys/net/ipv4; flock 7
        timeout -k 1 30 \"$1\" run --net \"$2\" ls /sys/class/net 8<&- 7<&-";
    assert_eq!(said(&on_a_host(&rootfs, script)), "eth0\nlo");
    let mut other = Command::new("setpriv");
    if nix::unistd::geteuid().is_root() {
        other.args(["--reuid", "64321", "--regid", "64321", "--clear-groups"]);
    }
    let open = ["sh", "-c", "exec 9>/proc/sys/net/ipv4/route/flush"];
    let opened = other.args(["--no-new-privs"]).args(open).output()?;
    assert!(String::from_utf8_lossy(&opened.stderr).contains("denied"), "nor may they open it: {opened:?}");
    Ok(Completion::Completed)
}

pub(crate) fn a_lock_that_is_held_is_waited_for_and_told() -> Result<Completion, Failed> {
    let rootfs = rootfs("net-held");
    if let Some(missing) = missing(&rootfs) {
        return Ok(Completion::ignored_with(missing));
    }
    let lock = "exec 9>/proc/sys/net/ipv4/route/flush; flock 9";
    let script = format!("{lock}; timeout -k 1 60 \"$1\" run --net \"$2\" true 9>&-");
    refused(&on_a_host(&rootfs, &script), 125, &["has held the lock", "for 10 s", "lslocks"]);
    // If the lock is released in time, the run succeeds.
    let script =
        format!("{lock}; (sleep 1) & exec 9>&-; timeout -k 1 60 \"$1\" run --net \"$2\" ls /sys/class/net");
    assert_eq!(said(&on_a_host(&rootfs, &script)), "eth0\nlo");
    Ok(Completion::Completed)
}

/// Makes a network namespace beyond the host, joined to it by a veth pair, with a server that says who it was reached by.
/// It has no route to the containers' addresses.
const BEYOND: &str = r#"
    ip link set lo up
    unshare --net sh -c 'exec sleep 300' & server=$!
    trap 'kill $server' EXIT
    until [ "$(readlink /proc/$server/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
    inside() { nsenter --target $server --net "$@"; }
    ip link add up0 type veth peer name eth0 netns $server
    ip address add 192.0.2.1/24 dev up0; ip link set up0 up
    inside ip address add 192.0.2.2/24 dev eth0; inside ip link set eth0 up
    mkfifo "$3/listens"
    nsenter --target $server --net perl -MIO::Socket::INET -e '
        $s = IO::Socket::INET->new(Listen => 5, LocalPort => 7) or die; open F, ">", shift; print F "yes\n"; close F;
        while ($c = $s->accept) { print $c "reached by ", $c->peerhost, "\n"; close $c }' "$3/listens" & perl=$!
    trap 'kill $server $perl' EXIT
    read -r _ <"$3/listens"
    links=$(ip -o link | wc -l)
    # Tables of nftables, by NFT_MSG_GETTABLE.
    tables() {
        perl -e 'socket(S, 16, 3, 12) or die; send(S, pack("LSSLLCCn", 20, 10 << 8 | 1, 0x301, 1, 0, 2, 0, 0), 0);
            recv(S, $all, 65536, 0); print $all =~ /inception-\w+/ ? "$&\n" : "none\n"'
    }
    ask='exec 3<>/dev/tcp/192.0.2.2/7 && cat <&3'
"#;

/// Runs a script after [`BEYOND`].
fn with_a_server(rootfs: &Directory, script: &str) -> Output {
    let work = Directory::new("beyond");
    plain::install(&rootfs.0, std::path::Path::new("/bin/bash"));
    Command::new("unshare")
        .args(["-Urnm", "bash", "-c", &format!("{BEYOND}\n{script}"), "bash", PROGRAM])
        .arg(&rootfs.0)
        .arg(&work.0)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Why no address can be translated here.
fn cannot_translate(rootfs: &Directory) -> Option<String> {
    let script = "echo 1 >/proc/sys/net/ipv4/ip_forward; exec \"$1\" run --net=out \"$2\" true";
    let output = on_a_host(rootfs, script);
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then(|| format!("no address can be translated here: {why}"))
}

pub(crate) fn a_container_reaches_a_server_beyond_the_host_only_by_translation() -> Result<Completion, Failed>
{
    let rootfs = rootfs("net-out");
    if let Some(missing) = missing(&rootfs).or_else(|| cannot_translate(&rootfs)) {
        return Ok(Completion::ignored_with(missing));
    }
    let script = r#"
        echo 1 >/proc/sys/net/ipv4/ip_forward
        timeout 60 "$1" run --net=out "$2" bash -c "$ask" 2>/dev/null
        # The factor left out: the server has no route back to the container's own address, so it waits in vain.
        timeout 60 "$1" run --net "$2" timeout 1 bash -c "$ask"; echo "status $?"
        # Docker's word for it.
        timeout 60 "$1" run --network bridge "$2" bash -c "$ask" 2>/dev/null
        [ "$(ip -o link | wc -l)" = "$links" ] && echo "no link left"; tables"#;
    plain::install(&rootfs.0, std::path::Path::new("/usr/bin/timeout"));
    let output = with_a_server(&rootfs, script);
    assert_eq!(
        said(&output),
        "reached by 192.0.2.1\nstatus 124\nreached by 192.0.2.1\nno link left\nnone",
        "{output:?}"
    );
    Ok(Completion::Completed)
}

pub(crate) fn a_host_that_does_not_forward_is_asked_to() -> Result<Completion, Failed> {
    let rootfs = rootfs("net-forward");
    if let Some(missing) = missing(&rootfs) {
        return Ok(Completion::ignored_with(missing));
    }
    let script = "echo 0 >/proc/sys/net/ipv4/ip_forward; \"$1\" run --net=out \"$2\" true; status=$?
        cat /proc/sys/net/ipv4/ip_forward; ip -o link | wc -l; exit $status";
    let output = on_a_host(&rootfs, script);
    refused(
        &output,
        125,
        &["net.ipv4.ip_forward is 0", "sudo sysctl net.ipv4.ip_forward=1", "or give --net"],
    );
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n1\n", "it is not set, and no link is left");
    Ok(Completion::Completed)
}

pub(crate) fn the_rule_is_gone_after_sigkill_too() -> Result<Completion, Failed> {
    let rootfs = rootfs("net-killed");
    if let Some(missing) = missing(&rootfs).or_else(|| cannot_translate(&rootfs)) {
        return Ok(Completion::ignored_with(missing));
    }
    let script = r#"
        echo 1 >/proc/sys/net/ipv4/ip_forward
        mkfifo "$3/ready"
        "$1" run --net=out "$2" sh -c 'echo ready; exec sleep 300' >"$3/ready" 2>/dev/null & container=$!
        read -r _ <"$3/ready"
        tables | sed 's/-.*/-…/'
        kill -KILL $container; wait $container 2>/dev/null
        # The cleanup worker removes the links, and the kernel the table.
        until [ "$(ip -o link | wc -l)" = "$links" ]; do :; done
        tables"#;
    let output = with_a_server(&rootfs, script);
    assert_eq!(said(&output), "inception-…\nnone", "{output:?}");
    Ok(Completion::Completed)
}

pub(crate) fn name_servers_are_those_of_the_host() -> Result<Completion, Failed> {
    let rootfs = rootfs("net-names");
    if let Some(missing) = missing(&rootfs).or_else(|| cannot_translate(&rootfs)) {
        return Ok(Completion::ignored_with(missing));
    }
    // In ROOTFS, it is a link to nowhere, as systemd-resolved makes it.
    std::os::unix::fs::symlink("../run/systemd/resolve/stub-resolv.conf", rootfs.at("etc/resolv.conf"))?;
    let script = r#"
        echo 1 >/proc/sys/net/ipv4/ip_forward
        printf 'nameserver 127.0.0.53\nnameserver 192.0.2.53\n' >"$2/etc/hosts-own"
        mount --bind "$2/etc/hosts-own" "$(readlink -f /etc/resolv.conf)"
        "$1" run --net=out "$2" cat /etc/resolv.conf
        echo 'nameserver ::1' >"$2/etc/hosts-own"
        "$1" run --net=out "$2" true"#;
    let output = on_a_host(&rootfs, script);
    if !output.status.success() {
        return Ok(Completion::ignored_with("this machine has no /etc/resolv.conf to mount on"));
    }
    assert_eq!(said(&output), "nameserver 192.0.2.53");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        told.contains("no name server") || std::path::Path::new("/run/systemd/resolve").exists(),
        "{told}"
    );
    Ok(Completion::Completed)
}
