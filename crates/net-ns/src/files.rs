//! The files that show a network, and the network namespace that each of them shows.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::Result;
use lesson::{Claim, Requirement, Row, Step, every, hand, inside, outside, right, wrong};
use ns_core::net::Netlink;
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Named, Namespaces, Outcome, Pid, Reporter, Value, mount, namespace, probe};

use crate::host::{Host, but_fallback_tunnels};

const LISTS_ITS_OWN: &str = "/sys/class/net lists its own devices";
const FIRST_LISTED: &str = "listed first";

const PROC_NET: Claim = Claim::holds(
    "proc-net",
    "/proc/net is a link to self/net: it shows the network namespace of its reader, without a new mount.",
)
.factor("CLONE_NEWNET")
.notes(&[70]);
const SYS_CLASS_NET: Claim = Claim::refuted(
    "sys-class-net",
    "A new network namespace isolates /sys/class/net: its members find their own devices there.",
    "who-mounted",
)
.factor("CLONE_NEWNET")
.notes(&[71])
.requires(&[Requirement::Probe(a_sysfs)])
.core(&[Row::inside("/sys/class/net", FIRST_LISTED)])
.asks(
    "A process in a new network namespace lists /sys/class/net. Nothing has been mounted. What does it find?",
    &[
        right("the devices of a network namespace outside"),
        wrong(
            "its own devices",
            "the notes say so, and ip netns exec shows them, since it mounts a new sysfs",
        ),
        wrong(
            "nothing: the directory is empty",
            "a new namespace is thought to begin with empty directories",
        ),
        wrong("the devices of both namespaces", "sysfs is thought to show all devices of the machine"),
    ],
);
const WHO_MOUNTED: Claim = Claim::holds(
    "who-mounted",
    "/sys/class/net shows the devices of the network namespace in which that sysfs was mounted.",
)
.factor("mount -t sysfs")
.notes(&[71])
.more(&[58])
.requires(&[Requirement::Probe(a_sysfs), Requirement::Probe(probe::sysfs)])
.arms("old sysfs", "new sysfs")
.core(&[Row::inside("/sys/class/net", FIRST_LISTED)])
.asks(
    "In a new network namespace, a new sysfs is mounted at /sys. What does /sys/class/net list now?",
    &[
        right("the devices of the new namespace"),
        wrong("the machine's devices, as before", "sysfs is known as one tree of all devices of the machine"),
        wrong("the devices of both namespaces", "a new mount is thought to add to the old one"),
        wrong("nothing, until lo is up", "a device is thought to have files only while it is up"),
    ],
);

pub(crate) const LIST_DEVICES: Step = Step {
    title: "Read /proc/net and /sys/class/net inside: with the old sysfs, then with a new one mounted inside.",
    calls: &[
        "readlink(\"/proc/net\")",
        "read(\"/proc/net/dev\")",
        "readdir(\"/sys/class/net\")",
        "mount(\"sysfs\", \"/sys\")",
    ],
    by_hand: &[
        hand("readlink /proc/net; grep -c : /proc/net/dev; unshare --net grep -c : /proc/net/dev")
            .prints("self/net\n3\n1")
            .in_the_same_shell(),
        hand("ls /sys/class/net | wc -l; unshare --net sh -c 'ls /sys/class/net | wc -l'")
            .prints("<count>\n<count>"),
        hand("unshare --net --mount sh -c 'mount -t sysfs sysfs /sys; ls /sys/class/net'").prints("lo"),
    ],
    claims: &[PROC_NET, SYS_CLASS_NET, WHO_MOUNTED],
    run: |lab| {
        let _host = Host::of(lab)?; // it has devices to list
        lab.compare(PROC_NET, Namespaces::NONE, Namespaces::NET, listed_in_proc)?
            .in_both_arms(inside("readlink(\"/proc/net\")").is("self/net"))
            .shows(inside("devices in /proc/net/dev").is("lo"))?;
        let lists_its_own = || inside(LISTS_ITS_OWN).is("yes");
        lab.compare(SYS_CLASS_NET, Namespaces::NONE, Namespaces::NET, |namespaces| {
            listed_in_sys(namespaces, false)
        })?
        .shows(lists_its_own())?;
        lab.compare(WHO_MOUNTED, false, true, |mounts| listed_in_sys(Namespaces::NET, mounts))?
            .shows(lists_its_own())
    },
};

const SYSCTL: Claim = Claim::holds(
    "sysctl",
    "A network namespace has its own ip_forward in /proc/sys/net: setting it inside does not change it outside.",
)
.factor("CLONE_NEWNET")
.notes(&[72])
.more(&[64]);

pub(crate) const SET_IP_FORWARD: Step = Step {
    title: "Set ip_forward inside, and read it outside.",
    calls: &["write(\"/proc/sys/net/ipv4/ip_forward\")"],
    by_hand: &[hand("export f=/proc/sys/net/ipv4/ip_forward; unshare --net sh -c 'cat $f; echo $((1 - $(cat $f))) > $f; cat $f'; cat $f").prints("<value A>\n<value B>\n<value A>").in_the_same_shell(), ],
    claims: &[SYSCTL],
    run: |lab| {
        lab.compare(SYSCTL, Namespaces::NONE, Namespaces::NET, set_ip_forward)?
            .in_both_arms(inside("ip_forward changed").is("yes"))
            .shows(outside("ip_forward changed").is("no"))
    },
};

const NOT_COPIED: Claim = Claim::holds(
    "not-copied",
    "A new network namespace does not copy the IPv4 setting arp_announce from its creator.",
)
.factor("CLONE_NEWNET")
.notes(&[72])
.more(&[64])
.requires(&[Requirement::Probe(nothing_is_inherited)]);

pub(crate) const MAKE_ANOTHER: Step = Step {
    title: "Set arp_announce for new devices, and read it in a new network namespace.",
    calls: &["write(\"/proc/sys/net/ipv4/conf/default/arp_announce\")", "clone3(CLONE_NEWNET)"],
    by_hand: &[hand("echo 2 > /proc/sys/net/ipv4/conf/default/arp_announce; unshare --net cat /proc/sys/net/ipv4/conf/default/arp_announce").prints("0").in_the_same_shell(), ],
    claims: &[NOT_COPIED],
    run: |lab| {
        lab.compare(NOT_COPIED, Namespaces::NONE, Namespaces::NET, read_arp_announce)?
            .shows(inside("arp_announce as its creator set it").is("no"))
    },
};

const MISNAMED: Claim = Claim::refuted(
    "misnamed",
    "/proc/PID/net/socketstat and /proc/ns show that two processes are in different network namespaces.",
    "sockstat",
)
.factor("CLONE_NEWNET")
.notes(&[79]);
const SOCKSTAT: Claim = Claim::holds(
    "sockstat",
    "Of two network namespaces, /proc/PID/net/route and net/sockstat can differ, and /proc/PID/ns/net differs.",
)
.factor("CLONE_NEWNET")
.notes(&[79]);

pub(crate) const COMPARE_FILES: Step = Step {
    title: "Compare the files in /proc that should distinguish two network namespaces: of a process here, and of a child.",
    calls: &[
        "read(\"/proc/PID/net/sockstat\")",
        "read(\"/proc/PID/net/route\")",
        "readlink(\"/proc/PID/ns/net\")",
    ],
    by_hand: &[hand("unshare --net sleep 60 & sleep 1").prints("").in_the_same_shell(), hand("cat /proc/$$/net/socketstat /proc/ns; grep -h used /proc/$$/net/sockstat /proc/$!/net/sockstat").prints("ENOENT\nENOENT\nsockets: used …\nsockets: used 0"), hand("wc -l < /proc/$$/net/route; wc -l < /proc/$!/net/route; readlink /proc/$$/ns/net /proc/$!/ns/net").prints("2\n0\nnet:[<ns A>]\nnet:[<ns B>]"), ],
    claims: &[MISNAMED, SOCKSTAT],
    run: |lab| {
        let _host = Host::of(lab)?; // it has a route
        let files = lab.arms(Namespaces::NONE, Namespaces::NET, compare_files)?;
        let differ = |file| outside(file).from("ENOENT").or("same").to("differs");
        lab.judge(MISNAMED, files.only(&["/proc/PID/net/socketstat", "/proc/ns"]))
            .shows(differ("/proc/PID/net/socketstat") & differ("/proc/ns"))?;
        let right = ["/proc/PID/net/route", "/proc/PID/net/sockstat", "/proc/PID/ns/net"];
        lab.judge(SOCKSTAT, files.only(&right)).shows(every().is("differs"))
    },
};

fn listed_in_proc(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let mut child = Child::spawn("child", namespaces, |me| {
        let call = || "cat /proc/net/dev".to_string();
        let text = fs::read_to_string("/proc/net/dev").named(call)?;
        let names = text.lines().filter_map(|line| line.split_once(':')).map(|it| it.0.trim());
        let mut names = but_fallback_tunnels(names);
        names.sort_unstable();
        me.report("devices in /proc/net/dev", names.join(" "))?;
        let link = fs::read_link("/proc/net").named(|| "readlink(\"/proc/net\")".into())?;
        me.report("readlink(\"/proc/net\")", link.display().to_string())
    })?;
    Ok(child.facts()?)
}

/// Whether /sys/class/net lists the devices of the caller's network namespace. (It also has a file for bonding.)
fn listed_in_sys(namespaces: Namespaces, mounts: bool) -> Result<Vec<Fact>> {
    // Both arms have a new mount namespace, so that the new sysfs is not visible to others.
    let mut child = Child::spawn("child", namespaces | Namespaces::MNT, move |me| {
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
        me.report(LISTS_ITS_OWN, listed == own)?;
        me.report(FIRST_LISTED, Value::Name(first_of(&listed)))?;
        me.report("listed in /sys/class/net", Value::Name(listed.join(" ")))?;
        me.report("its own devices", Value::Text(own.join(" ")))
    })?;
    Ok(child.facts()?)
}

/// The first name, and the number of the others, since a host may have many.
fn first_of(names: &[String]) -> String {
    match names {
        [first, rest @ ..] if !rest.is_empty() => format!("{first} +{}", rest.len()),
        few => few.concat(),
    }
}

const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

fn set_ip_forward(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let read = || fs::read_to_string(IP_FORWARD).named(|| format!("cat {IP_FORWARD}"));
    let before = read()?;
    let mut child = Child::spawn("child", namespaces, move |me| {
        let before = read()?;
        let other = if before.trim() == "0" { "1" } else { "0" };
        // The sandbox is in a new network namespace too, so this changes nothing on the host.
        fs::write(IP_FORWARD, other).named(|| format!("echo {other} > {IP_FORWARD}"))?;
        me.report("ip_forward changed", read()? != before)
    })?;
    let inside = child.fact()?;
    let after = read()?;
    Ok(vec![Fact::outside("ip_forward changed", after != before), inside])
}

const ARP_ANNOUNCE: &str = "/proc/sys/net/ipv4/conf/default/arp_announce";

/// A process in a new network namespace changes a setting. Reports whether its child reads the changed value.
fn read_arp_announce(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let read = || fs::read_to_string(ARP_ANNOUNCE).named(|| format!("cat {ARP_ANNOUNCE}"));
    let mut creator = Child::spawn("creator", Namespaces::NET, move |me| {
        // A value other than the default of this kernel.
        let other = if read()?.trim() == "2" { "1" } else { "2" };
        fs::write(ARP_ANNOUNCE, other).named(|| format!("echo {other} > {ARP_ANNOUNCE}"))?;
        let mut child = Child::spawn("child", namespaces, move |me| {
            me.report("arp_announce as its creator set it", read()?.trim() == other)
        })?;
        child.pass_on(me)
    })?;
    Ok(creator.facts()?)
}

/// Whose settings a new network namespace copies: 3 means its creator's. Only the initial network namespace has this
/// file, so it is read before the sandbox is entered (Documentation/admin-guide/sysctl/net.rst).
const INHERIT: &str = "/proc/sys/net/core/devconf_inherit_init_net";
static INHERITED: OnceLock<bool> = OnceLock::new();

/// Reads [`INHERIT`]. To be called before the sandbox is entered.
pub(crate) fn read_inherit_setting() {
    let copies = fs::read_to_string(INHERIT).is_ok_and(|text| text.trim() == "3");
    INHERITED.get_or_init(|| copies);
}

fn nothing_is_inherited() -> ns_core::Result<Option<Unmet>> {
    let copies = INHERITED.get() == Some(&true);
    let what = format!("{INHERIT} is 3: new network namespaces copy their creator's settings");
    Ok(copies.then(|| Unmet::new(what, "sudo sysctl net.core.devconf_inherit_init_net=0")))
}

/// The reason, if there is one, why /sys has no sysfs.
fn a_sysfs() -> ns_core::Result<Option<Unmet>> {
    let found = Outcome::of(fs::read_dir("/sys/class/net").named(|| "readdir(\"/sys/class/net\")".into()))?;
    let what = format!("a sysfs at /sys: readdir(\"/sys/class/net\") fails with {found}");
    Ok((found != Outcome::Done).then(|| Unmet::new(what, "as root: mount -t sysfs sysfs /sys")))
}

/// Compares the files of two running processes: one in this network namespace, one in `namespaces`.
fn compare_files(namespaces: Namespaces) -> Result<Vec<Fact>> {
    let _listener = TcpListener::bind("0.0.0.0:8080").named(|| "bind(0.0.0.0:8080)".into())?;
    let here = Child::spawn("here", Namespaces::NONE, Reporter::stay)?;
    let there = Child::spawn("there", namespaces, Reporter::stay)?;
    let pids = [here.pid(), there.pid()];
    let [one, other] = pids.map(|pid| namespace::of_kind(Some(pid), Kind::Net));
    let ns = if one? == other? { "same" } else { "differs" };
    let of_both = |file| difference(pids.map(|pid| of_process(pid, file)));
    Ok(vec![
        Fact::outside("/proc/PID/net/socketstat", of_both("net/socketstat")?),
        Fact::outside("/proc/ns", difference(["/proc/ns".into(), "/proc/ns".into()])?),
        Fact::outside("/proc/PID/net/route", of_both("net/route")?),
        Fact::outside("/proc/PID/net/sockstat", of_both("net/sockstat")?),
        Fact::outside("/proc/PID/ns/net", ns),
    ])
}

fn of_process(pid: Pid, file: &str) -> String {
    format!("/proc/{pid}/{file}")
}

fn difference(paths: [String; 2]) -> ns_core::Result<Value> {
    let mut texts = Vec::new();
    for path in paths {
        match fs::read_to_string(&path).named(|| format!("cat {path}")) {
            // Only the counts of sockstat: its memory numbers are those of the whole machine.
            Ok(text) if path.ends_with("sockstat") => texts.push(counts(&text)),
            Ok(text) => texts.push(text),
            refused => return Ok(Outcome::of(refused)?.into()),
        }
    }
    Ok(if texts[0] == texts[1] { "same" } else { "differs" }.into())
}

/// The first three words of each line, such as `TCP: inuse 1`. The first line counts sockets of every kind, those too that
/// were closed a moment ago and that the kernel frees later.
fn counts(text: &str) -> String {
    text.lines()
        .filter(|line| !line.starts_with("sockets:"))
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}
