//! A named namespace: `ip netns add` makes a bind mount.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use lesson::{Claim, Requirement, Step, hand, inside};
use ns_core::probe::Unmet;
use ns_core::{Child, Fact, Kind, Named, Namespaces, NsFile, Outcome, mount, namespace};

use crate::place::trial;

const NAME: Claim = Claim::holds(
    "ip-netns",
    "ip netns add creates a network namespace without a process, and bind-mounts it at /run/netns/NAME: type nsfs.",
)
.factor("ip netns add")
.more(&[21])
.requires(&[Requirement::Probe(ip_adds)]);

pub(crate) const GIVE_A_NAME: Step = Step {
    title: "Mount a tmpfs at /run, and run `ip netns list`, then `ip netns add lab`. Inspect /run/netns/lab.",
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

/// The path of ip(8), found without PATH: that of an ordinary user lacks its directory, and PATH may be empty.
fn ip() -> Option<&'static str> {
    ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip"].into_iter().find(|path| Path::new(path).is_file())
}

const IP: &str = "ip netns";
const DONE: &str = "done";

/// What is mounted at the name after `ip netns`. It runs in a new network namespace of the experiment: ip(8) leaves it,
/// and has to enter it again.
fn name_a_namespace(what: &'static str) -> Result<Vec<Fact>> {
    trial(move |me| {
        let mut caller = Child::spawn("caller of ip", Namespaces::NET, |me| {
            mount::mount("tmpfs", Path::new("/run"))?;
            let words: &[&str] = if what == "add" { &["netns", what, "lab"] } else { &["netns", what] };
            // ip(8) reads no input. It inherits it, since without /dev there is no /dev/null to open.
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

/// The reason, if there is one, why `ip netns add` fails: its error message. If the trial itself fails, the claim reports
/// it.
fn ip_adds() -> ns_core::Result<Option<Unmet>> {
    if ip().is_none() {
        return Ok(Some(Unmet::new("ip, in /usr/sbin, /sbin, /usr/bin or /bin", "apt-get install iproute2")));
    }
    let facts = name_a_namespace("add").unwrap_or_default();
    let refused = facts.iter().find(|fact| fact.what == IP && fact.value != DONE);
    Ok(refused.map(|fact| {
        let remedy = "run as root on the host, or in a virtual machine";
        Unmet::new(format!("ip netns add lab, which fails: {}", fact.value), remedy)
    }))
}
