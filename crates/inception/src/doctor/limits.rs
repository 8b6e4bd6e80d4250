//! Limits that an experiment can reach: those of setrlimit(2), and those of the cgroups that we are in.

use std::fs;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use ns_core::cgroup::Layout;
use ns_core::probe::Unmet;
use ns_core::{Named, Result};

use super::check::Group;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// From here on a limit limits nothing: v1 has no word for that, and shows the most bytes that are whole pages.
const NO_LIMIT: u64 = 1 << 62;

/// Each with the least that all experiments do with, and how ulimit of bash(1) raises it.
const OF_A_PROCESS: [(&str, Resource, u64, &str); 6] = [
    ("open files", Resource::RLIMIT_NOFILE, 64, "-n 1024"),
    ("processes", Resource::RLIMIT_NPROC, 128, "-u 4096"),
    ("size of files", Resource::RLIMIT_FSIZE, 16 * MIB, "-f unlimited"),
    ("address space", Resource::RLIMIT_AS, 512 * MIB, "-v unlimited"),
    ("locked memory", Resource::RLIMIT_MEMLOCK, 64 * KIB, "-l 8192"),
    ("message queues", Resource::RLIMIT_MSGQUEUE, 128 * KIB, "-q 819200"),
];

/// Controllers, with the file of each limit on v2 and on v1.
const OF_CGROUPS: [(&str, &str, &str, u64); 2] =
    [("pids", "pids.max", "pids.max", 128), ("memory", "memory.max", "memory.limit_in_bytes", 128 * MIB)];

pub(super) fn limits() -> Group {
    let mut group = Group::new("Limits");
    for (name, resource, least, option) in OF_A_PROCESS {
        let limit = getrlimit(resource).named(|| format!("getrlimit({resource:?})"));
        let missing = limit.as_ref().map_err(Clone::clone).map(|(soft, _)| {
            (*soft < least).then(|| {
                Unmet::new(
                    format!("{resource:?} is {soft}"),
                    format!("ulimit {option}, as root if it is hard"),
                )
            })
        });
        group.add(name, in_words(limit.map_or(RLIM_INFINITY, |(soft, _)| soft)), missing);
    }
    for (controller, v2, v1, least) in OF_CGROUPS {
        let tightest = tightest(controller, v2, v1);
        let found =
            tightest.as_ref().ok().and_then(Option::as_ref).map_or(RLIM_INFINITY, |(limit, _)| *limit);
        let missing = tightest.map(|tightest| {
            let (limit, file) = tightest.filter(|(limit, _)| *limit < least)?;
            let raise = format!("echo {} > {file}, as root", 8 * least);
            Some(Unmet::new(format!("{file} is {limit}"), raise))
        });
        group.add(format!("{controller} of the cgroup"), in_words(found), missing);
    }
    group
}

fn in_words(limit: u64) -> String {
    if limit >= NO_LIMIT { "no limit".into() } else { format!("up to {limit}") }
}

/// The least limit of the cgroups that we are in, and its file. `None` if none limits us.
fn tightest(controller: &str, v2: &str, v1: &str) -> Result<Option<(u64, String)>> {
    let layout = Layout::detect()?;
    let on_v1 = layout.v1(controller).map(|hierarchy| (hierarchy, v1));
    let Some((hierarchy, file)) = on_v1.or(layout.v2().map(|hierarchy| (hierarchy, v2))) else {
        return Ok(None);
    };
    let files = hierarchy.own_and_ancestors()?.into_iter().map(|cgroup| cgroup.join(file));
    // A root cgroup has no such file on v2, and `max` is no number.
    let limits = files.filter_map(|file| {
        let limit = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
        Some((limit, file.display().to_string()))
    });
    Ok(limits.min())
}
