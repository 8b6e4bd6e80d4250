//! Cgroups with limits, of version 2, or of version 1 where only that has the controller.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ns_core::cgroup::{self, Cgroup, CgroupName, CgroupParent, CgroupRequest, Layout, Version};
use ns_core::{Result, Unmet, cleanup};

/// The options for limits.
#[derive(Debug, Clone, Default, Args)]
pub struct Limits {
    /// The memory limit, in bytes, or with K, M, G
    #[arg(short, long, alias = "memory", value_name = "SIZE")]
    pub memory_max: Option<Bytes>,

    /// The maximum number of processes and threads
    #[arg(long, alias = "pids-limit", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids_max: Option<u32>,

    /// The maximum number of CPUs: 0.5 is half of one
    #[arg(long, alias = "cpus", value_name = "CPUS")]
    pub cpu_max: Option<Cpus>,
}

/// A number of bytes, as `64M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

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
pub struct Cpus(pub u64);

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
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) controller: &'static str,
    v2: (&'static str, String),
    v1: (&'static str, String),
}

impl Limit {
    /// The file that it is written to, and what.
    pub(crate) fn in_version(&self, version: Version) -> &(&'static str, String) {
        if version == Version::V2 { &self.v2 } else { &self.v1 }
    }
}

fn limit(controller: &'static str, v2: &'static str, v1: &'static str, value: impl Display) -> Limit {
    Limit { controller, v2: (v2, value.to_string()), v1: (v1, value.to_string()) }
}

/// Cgroups that were made for a program. Dropping them removes them.
#[derive(Debug, Default)]
pub struct Made {
    /// Where their parents are, and they.
    pub cgroups: Vec<(PathBuf, Cgroup)>,
    /// The controllers of the limits that were set, each with its cgroup's place in that list.
    pub set: Vec<(&'static str, usize)>,
    /// The limits that were asked for and could not be set: the controllers, and why not.
    pub lacking: Vec<(&'static str, Unmet)>,
    /// The hierarchies in which places were looked for; `None` if no limit is asked for.
    pub layout: Option<Layout>,
}

impl Limits {
    /// Whether none is asked for.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    pub(crate) fn all(&self) -> Vec<Limit> {
        let mut limits = Vec::new();
        if let Some(Bytes(bytes)) = self.memory_max {
            limits.push(limit("memory", "memory.max", "memory.limit_in_bytes", bytes));
        }
        if let Some(number) = self.pids_max {
            limits.push(limit("pids", "pids.max", "pids.max", number));
        }
        if let Some(Cpus(thousandths)) = self.cpu_max {
            // Microseconds in each period of 100 000.
            let quota = thousandths * 100;
            limits.push(Limit {
                controller: "cpu",
                v2: ("cpu.max", format!("{quota} 100000")),
                v1: ("cpu.cfs_quota_us", quota.to_string()),
            });
        }
        limits
    }

    /// Makes the cgroups, each with its limits, and called after `name`. Where no limit is asked for, or none can be set,
    /// there is none.
    ///
    /// # Errors
    /// Those of mkdir(2) and write(2) on cgroupfs.
    pub fn make(&self, name: &CgroupName) -> Result<Made> {
        let limits = self.all();
        if !limits.is_empty() {
            // What earlier runs left that were killed together with their cleanup worker.
            cgroup::sweep()?;
        }
        self.make_unswept(name)
    }

    /// As [`Limits::make`], for who sweeps when there is time ([`cgroup::sweep_in`]).
    ///
    /// # Errors
    /// As [`Limits::make`].
    pub fn make_unswept(&self, name: &CgroupName) -> Result<Made> {
        let limits = self.all();
        let mut made = Made::default();
        if limits.is_empty() {
            return Ok(made);
        }
        // It gets ready meanwhile.
        cleanup::start(&[cgroup::REMOVAL])?;
        let layout = Layout::detect()?;
        for limit in &limits {
            let request = CgroupRequest::Controller(limit.controller);
            match made.for_request(&layout, request, name)? {
                Ok(at) => {
                    let cgroup = &made.cgroups[at].1;
                    let (file, value) = limit.in_version(cgroup.version());
                    cgroup.write(file, value)?;
                    made.set.push((limit.controller, at));
                }
                Err(missing) => made.lacking.push((limit.controller, missing)),
            }
        }
        made.layout = Some(layout);
        Ok(made)
    }
}

impl Made {
    /// The place of the cgroup that does what `request` asks for, which is made if there is none yet.
    fn for_request(
        &mut self,
        layout: &Layout,
        request: CgroupRequest<'_>,
        name: &CgroupName,
    ) -> Result<std::result::Result<usize, Unmet>> {
        if !self.cgroups.is_empty() {
            let found = CgroupParent::find_in(layout, request)?;
            return match found {
                Ok(parent) => self.below(&parent, name).map(Ok),
                Err(missing) => Ok(Err(missing)),
            };
        }
        Ok(CgroupParent::find_and_create(layout, request, name)?.map(|(parent, cgroup)| {
            self.cgroups.push((parent.directory().into(), cgroup));
            0
        }))
    }

    /// The place of the cgroup below a parent. On version 2, one has all limits; on version 1 each controller may have a hierarchy of
    /// its own.
    fn below(&mut self, parent: &CgroupParent, name: &CgroupName) -> Result<usize> {
        let at = self.cgroups.iter().position(|(directory, _)| directory == parent.directory());
        if at.is_none() {
            self.cgroups.push((parent.directory().into(), parent.create(name.as_str())?));
        }
        Ok(at.unwrap_or(self.cgroups.len() - 1))
    }

    /// Makes one without a limit, of version 2 if there is one, if there is none yet.
    ///
    /// # Errors
    /// Those of mkdir(2) on cgroupfs; [`ns_core::Error::Unmet`] where none can be made.
    pub(crate) fn or_a_plain_one(&mut self, name: &CgroupName) -> Result<()> {
        if self.cgroups.is_empty() {
            cgroup::sweep()?;
            let parent = match CgroupParent::find(CgroupRequest::AnyV2)? {
                Ok(parent) => parent,
                Err(_) => CgroupParent::require(CgroupRequest::Controller("pids"))?,
            };
            self.below(&parent, name)?;
        }
        Ok(())
    }

    /// Moves the caller, which has one thread, into all of them.
    ///
    /// # Errors
    /// Those of write(2) on cgroupfs.
    pub(crate) fn join(&self) -> Result<()> {
        use ns_core::Pid;
        self.cgroups.iter().try_for_each(|(_, cgroup)| match cgroup.version() {
            // A thread that moves itself makes the kernel wait for nobody else.
            Version::V1 => cgroup.join_thread(Pid::from_raw(0)),
            Version::V2 => cgroup.join(Pid::from_raw(0)),
        })
    }
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
