//! A name for a namespace: `ip netns add` is a bind mount.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, mount, namespace};

use crate::place::trial;

const NAME: Claim = Claim::holds(
    "ip-netns",
    "ip netns add makes a network namespace without a process, and mounts its file on /run/netns/NAME: type nsfs.",
)
.factor("ip netns add")
.more(&[21])
.requires(&[Requirement::Probe(ip_adds)]);

pub(crate) const GIVE_A_NAME: Step = Step {
    title: "Mount a tmpfs on /run, let ip(8) list network namespaces there or add one, and look at the file that it makes.",
    calls: &[
        "unshare(CLONE_NEWNET)",
        "mount(\"/proc/self/ns/net\", \"/run/netns/lab\", NULL, MS_BIND)",
        "setns()",
    ],
    by_hand: &[hand(
        "unshare -Urmn sh -c 'mount -t tmpfs x /run; ip netns add lab; findmnt -n /run/netns/lab'",
    )
    .prints("/run/netns/lab nsfs[net:[…]] nsfs …")],
    claims: &[NAME],
    run: |lab| {
        lab.compare(NAME, "list", "add", name_a_namespace)?.shows(
            inside("mounted on /run/netns/lab").is("nsfs")
                & inside("setns(/run/netns/lab)").from("ENOENT").to("OK")
                & inside("another network namespace").is("yes"),
        )
    },
};

const FILE: &str = "/run/netns/lab";

/// Where ip(8) is, whatever PATH is: an ordinary user's lacks the directory, and an empty environment all.
fn ip() -> Option<&'static str> {
    ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"].into_iter().find(|path| Path::new(path).is_file())
}

const IP: &str = "ip netns";
const DONE: &str = "done";

/// What there is at the name when `ip netns` is done. It is in a network namespace of ours: to come back to it, ip(8)
/// has to enter it.
fn name_a_namespace(what: &'static str) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut caller = Child::spawn("caller of ip", Namespaces::NET, |me| {
            mount::mount("tmpfs", Path::new("/run"))?;
            let words: &[&str] = if what == "add" { &["netns", what, "lab"] } else { &["netns", what] };
            // It reads nothing, and where there is no /dev there is no null device for it.
            let ip = Command::new(ip().unwrap_or("ip"))
                .args(words)
                .stdin(Stdio::inherit())
                .output()
                .named(|| "execve(\"ip\")".into())?;
            let message = String::from_utf8_lossy(&ip.stderr).trim().to_string();
            me.report(IP, if ip.status.success() { DONE.into() } else { message })?;
            let mounted = mount::at(None, Path::new(FILE))?.map_or("none".into(), |found| found.fs_type);
            me.report("mounted on /run/netns/lab", mounted)?;
            let before = namespace::of_kind(None, Kind::Net)?;
            let entered = Outcome::of(NsFile::open(FILE).and_then(|file| file.enter(Some(Kind::Net))))?;
            me.report("setns(/run/netns/lab)", entered)?;
            me.report("another network namespace", namespace::of_kind(None, Kind::Net)? != before)
        })?;
        caller.pass_on(me)
    })
}

/// What keeps ip(8) from adding one: it is tried, and says. Where our own part of that is refused, the claim itself tells.
fn ip_adds() -> ns_core::Result<Option<Unmet>> {
    if ip().is_none() {
        return Ok(Some(Unmet::new("ip, in /usr/sbin or beside it", "apt-get install iproute2")));
    }
    let facts = name_a_namespace("add").unwrap_or_default();
    let refused = facts.iter().find(|fact| fact.what == IP && fact.value != DONE);
    Ok(refused.map(|fact| {
        let remedy = "run as root on the host, or in a virtual machine";
        Unmet::new(format!("ip netns add lab, which says: {}", fact.value), remedy)
    }))
}
