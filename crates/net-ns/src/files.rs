//! The files that show a network, and whose network they show.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use anyhow::Result;
use lesson::{Claim, Lab, Need, Step, cause};
use ns_core::net::Netlink;
use ns_core::{Child, Fact, Kind, Named, Namespaces, Outcome, Pid, Value, Witness, mount, namespace, probe};

pub(crate) const PROC_NET: Claim = Claim::holds(
    "proc-net",
    "/proc/net is a link to self/net: it shows the network of whoever reads it, without a new mount.",
)
.cause("CLONE_NEWNET")
.notes(&[70]);
pub(crate) const SYSCTL: Claim = Claim::holds(
    "sysctl",
    "A network namespace has its own settings in /proc/sys/net: ip_forward set inside stays as it is outside.",
)
.cause("CLONE_NEWNET")
.notes(&[72])
.more(&[64]);
pub(crate) const SYS_CLASS_NET: Claim = Claim::refuted(
    "sys-class-net",
    "A new network namespace isolates /sys/class/net: its members find their own devices there.",
    "who-mounted",
)
.cause("CLONE_NEWNET")
.notes(&[71])
.misconceptions(&[(lesson::YES, "ip netns exec shows it so: it mounts a new sysfs first")]);
pub(crate) const WHO_MOUNTED: Claim = Claim::holds(
    "who-mounted",
    "/sys/class/net shows the devices of the network of whoever mounted that sysfs.",
)
.cause("mount -t sysfs")
.notes(&[71])
.more(&[58])
.needs(&[Need::Probe(probe::sysfs)]);
pub(crate) const MISNAMED: Claim = Claim::refuted(
    "misnamed",
    "/proc/PID/net/socketstat and /proc/ns show that two processes have different networks.",
    "sockstat",
)
.cause("CLONE_NEWNET")
.notes(&[79]);
pub(crate) const SOCKSTAT: Claim = Claim::holds(
    "sockstat",
    "/proc/PID/net/route, /proc/PID/net/sockstat and /proc/PID/ns/net differ for two networks.",
)
.cause("CLONE_NEWNET")
.notes(&[79]);

pub(crate) fn run(lab: &mut Lab) -> Result<()> {
    lab.step(Step {
        goal: "Read /proc/net and /sys/class/net from inside, as they are, and with a sysfs mounted from inside.",
        calls: &["readlink(\"/proc/net\")", "read(\"/proc/net/dev\")", "readdir(\"/sys/class/net\")", "mount(\"sysfs\", \"/sys\")"],
        by_hand: &[
            "readlink /proc/net; unshare --net cat /proc/net/dev",
            "unshare --net ls /sys/class/net",
            "unshare --net --mount sh -c 'mount -t sysfs sysfs /sys; ls /sys/class/net'",
        ],
    })?;
    lab.claim(PROC_NET)
        .without(listed_in_proc(Namespaces::NONE)?)
        .with(listed_in_proc(Namespaces::NET)?)
        .shows(|listed| {
            *listed == "lo" && listed.inside("readlink(\"/proc/net\")").is_some_and(|it| *it == "self/net")
        })?;
    lab.claim(SYS_CLASS_NET)
        .without(listed_in_sys(Namespaces::NONE, false)?)
        .with(listed_in_sys(Namespaces::NET, false)?)
        .shows(|own| *own == true)?;
    if lab.can_ask(&[WHO_MOUNTED])? {
        lab.claim(WHO_MOUNTED)
            .without(listed_in_sys(Namespaces::NET, false)?)
            .with(listed_in_sys(Namespaces::NET, cause(true, false))?)
            .shows(|own| *own == true)?;
    }

    lab.step(Step {
        goal: "Set ip_forward inside, and read it outside.",
        calls: &["write(\"/proc/sys/net/ipv4/ip_forward\")"],
        by_hand: &[
            "unshare --net sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'; cat /proc/sys/net/ipv4/ip_forward",
        ],
    })?;
    lab.claim(SYSCTL)
        .without(set_ip_forward(Namespaces::NONE)?)
        .with(set_ip_forward(Namespaces::NET)?)
        .shows(|changed| {
            *changed == false && changed.inside("ip_forward changed").is_some_and(|it| *it == true)
        })?;

    lab.step(Step {
        goal: "From outside, compare the files in /proc that are said to tell two networks apart, of a process here and of a child.",
        calls: &[
            "read(\"/proc/PID/net/sockstat\")",
            "read(\"/proc/PID/net/route\")",
            "readlink(\"/proc/PID/ns/net\")",
        ],
        by_hand: &[
            "unshare --net sleep 60 & sleep 0.1",
            "cat /proc/$$/net/socketstat /proc/ns; head -n 1 /proc/$$/net/sockstat /proc/$!/net/sockstat",
            "wc -l /proc/$$/net/route /proc/$!/net/route; readlink /proc/$$/ns/net /proc/$!/ns/net",
        ],
    })?;
    let (beside, apart) = (compare(Namespaces::NONE)?, compare(Namespaces::NET)?);
    lab.claim(MISNAMED)
        .without(beside.misnamed)
        .with(apart.misnamed)
        .shows(|files| *files == "differs" && files.outside("/proc/ns").is_some_and(|it| *it == "differs"))?;
    lab.claim(SOCKSTAT)
        .without(beside.right)
        .with(apart.right)
        .shows(|files| files.facts().iter().all(|file| file.value == "differs"))?;
    Ok(())
}

fn listed_in_proc(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let call = || "cat /proc/net/dev".to_string();
        let text = fs::read_to_string("/proc/net/dev").named(call)?;
        let mut names: Vec<_> =
            text.lines().filter_map(|line| line.split_once(':')).map(|it| it.0.trim()).collect();
        names.sort_unstable();
        me.saw("devices in /proc/net/dev", names.join(" "))?;
        let link = fs::read_link("/proc/net").named(|| "readlink(\"/proc/net\")".into())?;
        me.saw("readlink(\"/proc/net\")", link.display().to_string())
    })?;
    Ok(child.hear_all()?)
}

/// Whether /sys/class/net lists what the caller's network has. (Beside links to devices it has a file for bonding.)
fn listed_in_sys(namespaces: Namespaces, mounts: bool) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, move |me| {
        // The mount namespace is no cause of anything: it keeps the new sysfs from the others.
        let mut within = ns_core::Spawn::new("child").namespaces_always(Namespaces::MNT).run(move |me| {
            if mounts {
                mount::mount("sysfs", Path::new("/sys"))?;
            }
            let entries = fs::read_dir("/sys/class/net").named(|| "readdir(\"/sys/class/net\")".into())?;
            let mut listed: Vec<_> = entries
                .flatten()
                .filter(|entry| entry.path().join("ifindex").exists())
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect();
            let mut own: Vec<_> = Netlink::open()?.links()?.into_iter().map(|link| link.name).collect();
            listed.sort();
            own.sort();
            me.saw("/sys/class/net lists its own devices", listed == own)?;
            me.saw("listed in /sys/class/net", Value::Name(listed.join(" ")))?;
            me.saw("its own devices", Value::Text(own.join(" ")))
        })?;
        for fact in within.hear_all()? {
            me.tell(fact)?;
        }
        Ok(())
    })?;
    Ok(child.hear_all()?)
}

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

fn set_ip_forward(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let read = || fs::read_to_string(IP_FORWARD).named(|| format!("cat {IP_FORWARD}"));
    let before = read()?;
    let mut child = Child::spawn("child", namespaces, move |me| {
        let before = read()?;
        let other = if before.trim() == "0" { "1" } else { "0" };
        // The stage has a network of its own too, so that this is nobody's but ours.
        fs::write(IP_FORWARD, other).named(|| format!("echo {other} > {IP_FORWARD}"))?;
        me.saw("ip_forward changed", read()? != before)
    })?;
    let inside = child.hear()?;
    let after = read()?;
    Ok(vec![Fact::outside("ip_forward changed", after != before), inside])
}

/// What the files of two processes are to one another.
struct Compared {
    misnamed: Vec<Fact>,
    right: Vec<Fact>,
}

fn compare(namespaces: Namespaces) -> Result<Compared> {
    let _listener = TcpListener::bind("0.0.0.0:8080").named(|| "bind(0.0.0.0:8080)".into())?;
    // Two that live at the same time: one in the stage's network, and one that the cause is applied to.
    let here = Child::spawn("here", Namespaces::NONE, Witness::stay)?;
    let there = Child::spawn("there", namespaces, Witness::stay)?;
    let pids = [here.pid(), there.pid()];
    let link = pids.map(|pid| namespace::of_kind(Some(pid), Kind::Net));
    let [one, other] = link;
    let ns = if one? == other? { "same" } else { "differs" };
    Ok(Compared {
        misnamed: vec![
            Fact::outside(
                "/proc/PID/net/socketstat",
                difference(pids.map(|pid| of_process(pid, "net/socketstat")))?,
            ),
            Fact::outside("/proc/ns", difference(pids.map(|_| "/proc/ns".to_string()))?),
        ],
        right: vec![
            Fact::outside("/proc/PID/net/route", difference(pids.map(|pid| of_process(pid, "net/route")))?),
            Fact::outside(
                "/proc/PID/net/sockstat",
                difference(pids.map(|pid| of_process(pid, "net/sockstat")))?,
            ),
            Fact::outside("/proc/PID/ns/net", ns),
        ],
    })
}

fn of_process(pid: Pid, file: &str) -> String {
    format!("/proc/{pid}/{file}")
}

fn difference(paths: [String; 2]) -> ns_core::Result<Value> {
    let mut texts = Vec::new();
    for path in paths {
        match fs::read_to_string(&path).named(|| format!("cat {path}")) {
            // Of sockstat the counts alone: what memory is in use is counted for the whole machine.
            Ok(text) if path.ends_with("sockstat") => texts.push(counts(&text)),
            Ok(text) => texts.push(text),
            refused => return Ok(Outcome::of(refused)?.into()),
        }
    }
    Ok(if texts[0] == texts[1] { "same" } else { "differs" }.into())
}

/// `TCP: inuse 1` of each line.
fn counts(text: &str) -> String {
    text.lines()
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}
