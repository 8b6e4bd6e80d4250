//! By how many seconds a clock inside is ahead of the same clock outside: the exact number.
//!
//! A reading inside, minus the offset, lies between two readings outside. All offsets here are whole seconds. So if
//! less than a second passes between the two readings outside, one offset alone fits.

use nix::unistd::{SysconfVar, getpid, sysconf};
use ns_core::clock::{self, Clock};
use ns_core::{Child, Error, Kind, Named, NsFile, Pid, Reporter, Result, Value, process};

/// A second in nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// A day more on the monotonic clocks, and a week more on the boot-time clock.
pub(crate) const LAST_WEEK: &str = "monotonic 86400 0\nboottime 604800 0\n";

/// A clock, or a file or call that shows a time.
#[derive(Clone, Copy)]
pub(crate) struct Gauge {
    /// Its name.
    pub(crate) what: &'static str,
    /// Reads it, in nanoseconds. The PID is for the start time of a process.
    read: fn(Pid) -> Result<i64>,
}

/// The clock of most claims.
pub(crate) const MONOTONIC: [Gauge; 1] =
    [Gauge { what: "CLOCK_MONOTONIC", read: |_| Clock::Monotonic.now() }];

/// The five clocks, and two of them by the system call, without the vDSO.
pub(crate) const CLOCKS: [Gauge; 7] = [
    Gauge { what: "CLOCK_REALTIME", read: |_| Clock::Realtime.now() },
    Gauge { what: "CLOCK_MONOTONIC", read: |_| Clock::Monotonic.now() },
    Gauge { what: "CLOCK_BOOTTIME", read: |_| Clock::Boottime.now() },
    Gauge { what: "CLOCK_MONOTONIC_RAW", read: |_| Clock::MonotonicRaw.now() },
    Gauge { what: "CLOCK_MONOTONIC_COARSE", read: |_| Clock::MonotonicCoarse.now() },
    Gauge { what: "CLOCK_MONOTONIC, syscall", read: |_| Clock::Monotonic.now_by_system_call() },
    Gauge { what: "CLOCK_BOOTTIME, syscall", read: |_| Clock::Boottime.now_by_system_call() },
];

/// Other sources of the machine's uptime.
pub(crate) const SINCE_BOOT: [Gauge; 4] = [
    Gauge { what: "/proc/uptime", read: |_| Ok(clock::uptime()? * SECOND) },
    Gauge { what: "sysinfo()", read: |_| sysinfo_uptime() },
    Gauge { what: "btime of /proc/stat", read: |_| Ok(clock::boot_time()? * SECOND) },
    Gauge { what: "start time of the child", read: start_time },
];

/// A gauge, read on both sides.
pub(crate) struct Reading {
    pub(crate) what: &'static str,
    pub(crate) outside: i64,
    pub(crate) inside: i64,
    /// How many seconds the reading inside is ahead.
    pub(crate) ahead: i64,
}

/// Reads `gauges` in this process and in `child`, which runs [`report`].
pub(crate) fn read(gauges: &[Gauge], child: &mut Child) -> Result<Vec<Reading>> {
    let look = |pid| gauges.iter().map(|gauge| (gauge.read)(pid)).collect::<Result<Vec<_>>>();
    measure(|| {
        let before = look(child.pid())?;
        child.wake()?;
        let inside: Vec<_> =
            gauges.iter().map(|_| Ok(child.fact()?.value.as_i64().unwrap_or(0))).collect::<Result<_>>()?;
        let after = look(child.pid())?;
        let readings = gauges.iter().enumerate().map(|(at, gauge)| {
            let ahead = ahead(before[at], inside[at], after[at])?;
            Some(Reading { what: gauge.what, outside: before[at], inside: inside[at], ahead })
        });
        Ok(readings.collect())
    })
}

/// In the child: reads `gauges` each time that the parent wakes it.
pub(crate) fn report(me: &mut Reporter, gauges: &[Gauge]) -> Result<()> {
    loop {
        me.checkpoint()?;
        for gauge in gauges {
            me.report(gauge.what, Value::Nanoseconds((gauge.read)(getpid())?))?;
        }
    }
}

/// By how many seconds CLOCK_MONOTONIC in the time namespace `away` is ahead of `home`. The caller is in `home`. It
/// enters `away`, reads the clock, and returns.
pub(crate) fn between(home: &NsFile, away: &NsFile) -> Result<i64> {
    measure(|| {
        let before = Clock::Monotonic.now()?;
        away.enter(Some(Kind::Time))?;
        let inside = Clock::Monotonic.now()?;
        home.enter(Some(Kind::Time))?;
        Ok(ahead(before, inside, Clock::Monotonic.now()?))
    })
}

/// A number of seconds as a value.
pub(crate) fn seconds(count: i64) -> Value {
    format!("{count} s").into()
}

/// The seconds by which `inside` is ahead. `None` if `before` and `after` are too far apart to decide.
fn ahead(before: i64, inside: i64, after: i64) -> Option<i64> {
    // before ≤ inside − shift ≤ after
    let most = (inside - before).div_euclid(SECOND);
    let least = -(after - inside).div_euclid(SECOND);
    (least == most).then_some(most)
}

/// Repeats `look` until it has an answer: under load, a second may pass between two readings.
fn measure<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        if let Some(answer) = look()? {
            return Ok(answer);
        }
    }
    Err(Error::Unreadable {
        what: "clocks".into(),
        message: format!("more than a second between two readings, {TRIES} times"),
    })
}

fn sysinfo_uptime() -> Result<i64> {
    let info = nix::sys::sysinfo::sysinfo().named(|| "sysinfo()".into())?;
    Ok(info.uptime().as_secs() as i64 * SECOND)
}

fn start_time(process: Pid) -> Result<i64> {
    let ticks_per_second =
        sysconf(SysconfVar::CLK_TCK).named(|| "sysconf(_SC_CLK_TCK)".into())?.unwrap_or(100);
    Ok(process::start_time(Some(process))? as i64 * (SECOND / ticks_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_between_two_others_tells_the_offset() {
        assert_eq!(ahead(7, 8, 9), Some(0));
        assert_eq!(ahead(7, 8 + 86_400 * SECOND, 9), Some(86_400));
        assert_eq!(ahead(7, 8 - 500 * SECOND, 9), Some(-500));
        // Whole seconds, as /proc/uptime gives them.
        assert_eq!(ahead(7 * SECOND, 107 * SECOND, 7 * SECOND), Some(100));
    }

    #[test]
    fn readings_too_far_apart_tell_nothing() {
        assert_eq!(ahead(0, SECOND, SECOND + 1), None, "0 or 1");
        assert_eq!(ahead(7 * SECOND, 107 * SECOND, 8 * SECOND), None, "99 or 100");
        assert_eq!(ahead(7, 6, 9), None, "not between them, whatever the offset");
    }
}
