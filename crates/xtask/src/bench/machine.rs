//! The machine on which something is measured, without a word by which it could be found.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use nix::unistd::{SysconfVar, sysconf};

use super::data::Machine;
use crate::project;

/// The peers, and how each is asked for its version.
const PEERS: &[(&str, &str)] = &[
    ("unshare", "--version"),
    ("bwrap", "--version"),
    ("crun", "--version"),
    ("runc", "--version"),
    ("ip", "-V"),
    ("rustc", "--version"),
];

/// This machine, at the beginning of a run.
///
/// # Errors
/// When /proc cannot be read.
pub(super) fn this() -> Result<Machine> {
    let read = |path: &str| project::read(Path::new(path));
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).context("it is before 1970")?.as_secs();
    let day = chrono::DateTime::from_timestamp(i64::try_from(seconds)?, 0).context("no date")?;
    Ok(Machine {
        kernel: numbers(&read("/proc/sys/kernel/osrelease")?),
        cpu: model(&read("/proc/cpuinfo")?),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        conditions: project::conditions()?,
        date: day.format("%Y-%m-%d").to_string(),
        others: 0.0,
        versions: versions(),
    })
}

/// What the machine and we have used of the CPUs up to a moment.
pub(super) struct Moment {
    at: Instant,
    /// All processes and kernel threads, since the machine started.
    all: Duration,
    /// This process, and the children that it has waited for.
    ours: Duration,
}

impl Moment {
    /// # Errors
    /// When /proc/stat cannot be read.
    pub(super) fn now() -> Result<Moment> {
        let own = [UsageWho::RUSAGE_SELF, UsageWho::RUSAGE_CHILDREN].into_iter().map(used_by);
        let all = busy(&project::read(Path::new("/proc/stat"))?).context("/proc/stat counts no time")?;
        Ok(Moment { at: Instant::now(), all, ours: own.sum::<Result<Duration>>()? })
    }

    /// How many CPUs the rest of the machine kept busy since that moment, on average.
    ///
    /// # Errors
    /// When /proc/stat cannot be read.
    pub(super) fn others_since(&self) -> Result<f64> {
        let now = Moment::now()?;
        let others = (now.all - self.all).saturating_sub(now.ours - self.ours);
        Ok(others.as_secs_f64() / (now.at - self.at).as_secs_f64())
    }
}

/// What `who` has used of the CPUs so far, in user space and in the kernel.
///
/// # Errors
/// None that getrusage(2) documents for these.
pub(super) fn used_by(who: UsageWho) -> Result<Duration> {
    let used = getrusage(who).context("getrusage()")?;
    let sum = used.user_time() + used.system_time();
    Ok(Duration::from_micros(u64::try_from(sum.num_microseconds())?))
}

/// The time that all CPUs spent on work, of /proc/stat's first line (proc_stat(5)): user, nice, system, irq and softirq.
fn busy(stat: &str) -> Option<Duration> {
    let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map(str::parse::<u64>);
    let mut ticks = [0; 7];
    for slot in &mut ticks {
        *slot = fields.next()?.ok()?;
    }
    let [user, nice, system, _idle, _iowait, irq, softirq] = ticks;
    let per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    let sum = user + nice + system + irq + softirq;
    Some(Duration::from_secs_f64(sum as f64 / per_second as f64))
}

/// The model of the CPUs; on arm64 that is numbers.
fn model(cpuinfo: &str) -> String {
    let field = |name: &str| {
        let (_, value) =
            cpuinfo.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
        Some(value.trim().to_string())
    };
    let part = || Some(format!("implementer {}, part {}", field("CPU implementer")?, field("CPU part")?));
    field("model name").or_else(part).unwrap_or_else(|| "of unknown model".into())
}

/// The kernel's version without what whoever built it has added.
fn numbers(release: &str) -> String {
    release.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

fn versions() -> Vec<String> {
    let first = |(program, option): &(&str, &str)| {
        let said =
            Command::new(program).arg(option).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let said = String::from_utf8_lossy(&said.stdout).lines().next()?.trim().to_string();
        (!said.is_empty()).then_some(said)
    };
    let found: BTreeSet<String> = PEERS.iter().filter_map(first).collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_name_or_numbers() {
        assert_eq!(model("processor\t: 0\nmodel name\t: AMD EPYC\nmodel\t: 17\n"), "AMD EPYC");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(model(arm), "implementer 0x41, part 0xd0c");
        assert_eq!(model(""), "of unknown model");
        assert_eq!(numbers("6.12.9-amd64\n"), "6.12.9");
    }

    #[test]
    fn work_is_what_is_neither_idle_nor_waits_for_a_disk() {
        let stat = "cpu  100 20 30 9999 9999 5 45 0 0 0\ncpu0 1 1 1 1 1 1 1\n";
        let per_second = sysconf(SysconfVar::CLK_TCK).unwrap().unwrap();
        assert_eq!(busy(stat).unwrap().as_secs_f64(), 200.0 / per_second as f64);
        assert_eq!(busy("cpu  100 20\n"), None);
    }

    #[test]
    fn this_machine_has_a_day_and_a_kernel() {
        let machine = this().unwrap();
        assert_eq!(machine.date.len(), 10, "{}", machine.date);
        assert!(machine.kernel.contains('.') && machine.cpus > 0, "{machine:?}");
    }
}
