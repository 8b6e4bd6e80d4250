//! A cgroup with the given limits, v2 or v1.

use std::fmt::Display;
use std::str::FromStr;

use anyhow::{Result, bail};
use clap::Args;
use ns_core::Pid;
use ns_core::cgroup::{self, Cgroup, CgroupParent, CgroupRequest, Version};

/// The options for limits.
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// The memory limit, in bytes, or with K, M, G
    #[arg(long, value_name = "SIZE")]
    memory_max: Option<Bytes>,

    /// The maximum number of processes and threads
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pids_max: Option<u32>,

    /// The maximum number of CPUs: 0.5 is half of one
    #[arg(long, value_name = "CPUS")]
    cpu_max: Option<Cpus>,
}

/// A number of bytes, as `64M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bytes(u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let form = || "give a number of bytes, such as 67108864 or 64M".to_string();
        let digits = text.trim_end_matches(['K', 'M', 'G', 'k', 'm', 'g']);
        let unit: u64 = match &text[digits.len()..] {
            "" => 1,
            "K" | "k" => 1 << 10,
            "M" | "m" => 1 << 20,
            "G" | "g" => 1 << 30,
            _ => return Err(form()),
        };
        let number: u64 = digits.parse().map_err(|_| form())?;
        let bytes = number.checked_mul(unit).filter(|bytes| *bytes > 0 && *bytes <= i64::MAX as u64);
        bytes.map(Bytes).ok_or_else(form)
    }
}

/// CPU time, in thousandths of one CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cpus(u64);

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Cpus, String> {
        let cpus: f64 = text.parse().unwrap_or(0.0);
        // The kernel accepts no quota below 1 ms in its period of 100 ms (sched/core.c, min_cfs_quota_period).
        if !(0.01..=10_000.0).contains(&cpus) {
            return Err("give a number of processors from 0.01 on, such as 0.5 or 2".into());
        }
        Ok(Cpus((cpus * 1000.0) as u64))
    }
}

/// One limit: its controller, and the file and value for v2 and v1.
struct Limit {
    controller: &'static str,
    v2: (&'static str, String),
    v1: (&'static str, String),
}

fn limit(controller: &'static str, v2: &'static str, v1: &'static str, value: impl Display) -> Limit {
    Limit { controller, v2: (v2, value.to_string()), v1: (v1, value.to_string()) }
}

/// Creates the cgroups of the container, with their limits. Dropping them removes them.
pub(super) fn make(asked: &Limits) -> Result<Vec<Cgroup>> {
    let mut limits = Vec::new();
    if let Some(Bytes(bytes)) = asked.memory_max {
        limits.push(limit("memory", "memory.max", "memory.limit_in_bytes", bytes));
    }
    if let Some(number) = asked.pids_max {
        limits.push(limit("pids", "pids.max", "pids.max", number));
    }
    if let Some(Cpus(thousandths)) = asked.cpu_max {
        // Microseconds in each period of 100 000.
        let quota = thousandths * 100;
        limits.push(Limit {
            controller: "cpu",
            v2: ("cpu.max", format!("{quota} 100000")),
            v1: ("cpu.cfs_quota_us", quota.to_string()),
        });
    }
    if !limits.is_empty() {
        // Removes what earlier runs left that were killed together with their cleanup worker.
        cgroup::sweep()?;
    }
    let mut made: Vec<(std::path::PathBuf, Cgroup)> = Vec::new();
    for limit in limits {
        let parent = match CgroupParent::find(CgroupRequest::Controller(limit.controller))? {
            Ok(parent) => parent,
            Err(missing) => {
                bail!("a limit by the {} controller: {missing}; or leave it out", limit.controller)
            }
        };
        // On v2, one cgroup has all limits. On v1, each controller may have its own hierarchy.
        let at = made.iter().position(|(directory, _)| directory == parent.directory());
        let at = match at {
            Some(at) => at,
            None => {
                made.push((parent.directory().into(), parent.create("container")?));
                made.len() - 1
            }
        };
        let cgroup = &made[at].1;
        let (file, value) = if cgroup.version() == Version::V2 { limit.v2 } else { limit.v1 };
        cgroup.write(file, &value)?;
    }
    Ok(made.into_iter().map(|(_, cgroup)| cgroup).collect())
}

/// The cgroup that init can be created in. CLONE_INTO_CGROUP works only on v2.
pub(super) fn created_in(cgroups: &[Cgroup]) -> Option<&Cgroup> {
    cgroups.iter().find(|cgroup| cgroup.version() == Version::V2)
}

/// Moves the caller, which is init, to the other cgroups.
///
/// To move a process, the kernel blocks every fork and exit of the machine, and waits an RCU grace period for that. This
/// takes longer than everything else. Creating a process in a cgroup avoids it, and so does a thread that moves itself
/// ("0" to `tasks`).
pub(super) fn enter(cgroups: &[Cgroup]) -> ns_core::Result<()> {
    let mut others = cgroups.iter().filter(|cgroup| cgroup.version() == Version::V1);
    others.try_for_each(|cgroup| cgroup.join_thread(Pid::from_raw(0)))
}

/// Moves `init` to the cgroups after it was created, and so all its later children.
pub(super) fn put(init: Pid, cgroups: &[Cgroup]) -> Result<()> {
    Ok(cgroups.iter().try_for_each(|cgroup| cgroup.join(init))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_typed() {
        assert_eq!("64M".parse(), Ok(Bytes(64 << 20)));
        assert_eq!("1048576".parse(), Ok(Bytes(1 << 20)));
        for bad in ["", "M", "0", "-1", "64MB", "6.4M", "64 M", "64KM", "18446744073709551615G"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn processors_read_as_typed() {
        assert_eq!("0.5".parse(), Ok(Cpus(500)));
        for bad in ["", "0", "-1", "nan", "inf", "half", "0,5", "1e300"] {
            assert!(bad.parse::<Cpus>().is_err(), "{bad:?}");
        }
    }
}
