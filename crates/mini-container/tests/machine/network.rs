//! A container's link to its host, with obstacles. Each test runs in a new network namespace, which stands for the host's.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed};

use crate::plain::{Directory, PROGRAM, refused, rootfs, said};

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
