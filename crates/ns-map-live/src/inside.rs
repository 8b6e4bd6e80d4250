//! What is only seen from inside a namespace: a child enters it, and reports.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::Result;
use ns_core::net::Netlink;
use ns_core::{
    Child, Errno, Kind, Namespaces, NsFile, Outcome, Pid, Reporter, Value, namespace, pids, printable,
    series, uts,
};

/// How a namespace is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// The caller is in it.
    Here,
    /// Through a process that is in it.
    Process(i32),
    /// Through a file that stands for it.
    File(String),
}

/// The name by which the child reports why it could not enter.
const REFUSED: &str = "refused";

/// What is seen in a namespace of `kind`: names, and what is read there. None for kinds of which nothing more is seen from
/// inside.
///
/// # Errors
/// One line, where the namespace is not the caller's to enter.
pub(crate) fn look(kind: Kind, way: &Way) -> Option<Result<Vec<(String, String)>, String>> {
    let report: fn(&mut Reporter) -> ns_core::Result<()> = match kind {
        Kind::Uts => names,
        Kind::Net => links,
        Kind::Ipc => objects,
        _ => return None,
    };
    let looked = Child::spawn("the look inside", Namespaces::NONE, |me| match enter(kind, way) {
        Ok(()) => report(me),
        Err(error) => me.report(REFUSED, Outcome::of(Err::<(), _>(error))?),
    });
    let facts = looked.and_then(|mut child| child.facts());
    Some(facts.map_err(|error| printable(&error.to_string())).and_then(|facts| {
        if let Some(refused) = facts.iter().find(|fact| fact.what == REFUSED) {
            return Err(format!("not yours to enter: {}", refused.value));
        }
        let read = |value: &Value| value.as_str().map_or_else(|| value.to_string(), String::from);
        Ok(facts.iter().map(|fact| (fact.what.clone(), printable(&read(&fact.value)))).collect())
    }))
}

fn enter(kind: Kind, way: &Way) -> ns_core::Result<()> {
    match way {
        Way::Here => Ok(()),
        Way::File(path) => NsFile::open(path.as_str())?.enter(Some(kind)),
        Way::Process(pid) => {
            let pidfd = pids::open(Pid::from_raw(*pid))?;
            match namespace::enter_all_of(pidfd.as_fd(), Namespaces::only(kind)) {
                // Without privilege, it takes the user namespace that owns it.
                Err(error) if error.errno() == Some(Errno::EPERM) => {
                    namespace::enter_all_of(pidfd.as_fd(), Namespaces::only(kind) | Namespaces::USER)
                }
                entered => entered,
            }
        }
    }
}

fn names(me: &mut Reporter) -> ns_core::Result<()> {
    me.report("hostname", uts::hostname())?;
    me.report("domain", uts::domain_name())
}

fn links(me: &mut Reporter) -> ns_core::Result<()> {
    let netlink = Netlink::open()?;
    let addresses = netlink.addresses()?;
    for link in netlink.links()? {
        let own = addresses.iter().filter(|it| it.index == link.index);
        let own: Vec<String> = own.map(|it| format!("{}/{}", it.address, it.prefix)).collect();
        let kind = link.kind.map(|kind| format!(", {kind}")).unwrap_or_default();
        let state = if link.up { "up" } else { "down" };
        let own = if own.is_empty() { String::new() } else { format!(": {}", series(&own)) };
        me.report("link", format!("{} ({state}{kind}){own}", link.name))?;
    }
    Ok(())
}

/// System V IPC objects: a line each but the first, which is a head (sysvipc(7), proc(5)).
fn objects(me: &mut Reporter) -> ns_core::Result<()> {
    for (name, file) in [("queues", "msg"), ("semaphores", "sem"), ("memory", "shm")] {
        let text = fs::read_to_string(Path::new("/proc/sysvipc").join(file)).unwrap_or_default();
        me.report(name, text.lines().skip(1).count() as i64)?;
    }
    Ok(())
}
