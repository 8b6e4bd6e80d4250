//! Clocks, and the offsets that a time namespace adds to them.
//!
//! time_namespaces(7), clock_getres(2).

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};
use nix::unistd::Pid;

use crate::error::{Error, Named, Result};
use crate::{Kind, files, host, sys};

/// A clock of clock_gettime(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// CLOCK_REALTIME: the time of day.
    Realtime,
    /// CLOCK_MONOTONIC: since boot, without the time that the machine was suspended.
    Monotonic,
    /// CLOCK_MONOTONIC_RAW: the same, not slewed by NTP.
    MonotonicRaw,
    /// CLOCK_MONOTONIC_COARSE: the same, of the last tick.
    MonotonicCoarse,
    /// CLOCK_BOOTTIME: since boot, with the time that the machine was suspended.
    Boottime,
}

impl Clock {
    /// All of them.
    pub const ALL: [Clock; 5] =
        [Clock::Realtime, Clock::Monotonic, Clock::MonotonicRaw, Clock::MonotonicCoarse, Clock::Boottime];

    /// Its name as typed in C.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Realtime => "CLOCK_REALTIME",
            Clock::Monotonic => "CLOCK_MONOTONIC",
            Clock::MonotonicRaw => "CLOCK_MONOTONIC_RAW",
            Clock::MonotonicCoarse => "CLOCK_MONOTONIC_COARSE",
            Clock::Boottime => "CLOCK_BOOTTIME",
        }
    }

    fn id(self) -> ClockId {
        match self {
            Clock::Realtime => ClockId::CLOCK_REALTIME,
            Clock::Monotonic => ClockId::CLOCK_MONOTONIC,
            Clock::MonotonicRaw => ClockId::CLOCK_MONOTONIC_RAW,
            Clock::MonotonicCoarse => ClockId::CLOCK_MONOTONIC_COARSE,
            Clock::Boottime => ClockId::CLOCK_BOOTTIME,
        }
    }

    /// What it reads, in nanoseconds.
    ///
    /// # Errors
    /// EINVAL where the kernel lacks the clock.
    pub fn now(self) -> Result<i64> {
        let time = clock_gettime(self.id()).named(|| format!("clock_gettime({})", self.name()))?;
        Ok(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
    }

    /// As [`Clock::now`], but by the system call itself: libc asks the vDSO, which reads the clock without one.
    ///
    /// # Errors
    /// As [`Clock::now`].
    pub fn now_by_system_call(self) -> Result<i64> {
        let [seconds, nanoseconds] = sys::clock_gettime(self.id().as_raw())
            .named(|| format!("syscall(SYS_clock_gettime, {})", self.name()))?;
        Ok(seconds * 1_000_000_000 + nanoseconds)
    }

    /// Sleeps until the clock reads `nanoseconds` (TIMER_ABSTIME). In a time namespace that is the namespace's time.
    ///
    /// # Errors
    /// EINVAL, EOPNOTSUPP for a clock that cannot be slept on.
    pub fn sleep_until(self, nanoseconds: i64) -> Result<()> {
        let until = TimeSpec::new(nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        loop {
            match clock_nanosleep(self.id(), ClockNanosleepFlags::TIMER_ABSTIME, &until) {
                Err(nix::errno::Errno::EINTR) => {}
                other => {
                    return other
                        .map(drop)
                        .named(|| format!("clock_nanosleep({}, TIMER_ABSTIME)", self.name()));
                }
            }
        }
    }

    /// Sets the clock to what it reads already: a question about privilege, not about time.
    ///
    /// # Errors
    /// EPERM without CAP_SYS_TIME in the initial user namespace. Not tried in the user namespace that we were started
    /// in, where it might succeed.
    pub fn set_to_itself(self) -> Result<()> {
        let call = || format!("clock_settime({})", self.name());
        host::require_left(Kind::User, call)?;
        let now = self.now()?;
        let now = TimeSpec::new(now / 1_000_000_000, now % 1_000_000_000);
        nix::time::clock_settime(self.id(), now).named(call)
    }
}

/// Writes `text`, such as `monotonic 86400 0`, to one's own /proc/self/timens_offsets: seconds and nanoseconds that
/// the time namespace of the next child will add to the clock. By one write(2), as it stands.
///
/// # Errors
/// EACCES once the namespace has a member. EINVAL for what is no offset. ERANGE where the clock would leave its range.
/// EPERM without CAP_SYS_TIME in the user namespace that owns the time namespace.
pub fn write_offsets(text: &str) -> Result<()> {
    std::fs::write("/proc/self/timens_offsets", text)
        .named(|| format!("echo '{}' > /proc/self/timens_offsets", text.trim_end().replace('\n', "\\n")))
}

/// The offsets in seconds of the time namespace that the children of `process` (`None`: the caller) will be in:
/// (monotonic, boottime). They are relative to the initial time namespace.
///
/// # Errors
/// ENOENT where the kernel lacks time namespaces.
pub fn offsets(process: Option<Pid>) -> Result<(i64, i64)> {
    let path = files::of(process, "timens_offsets");
    let text = std::fs::read_to_string(&path).named(|| format!("read(\"{path}\")"))?;
    parse_offsets(&text)
        .map_err(|clock| Error::Unreadable { what: path, message: format!("no offset of {clock}: {text:?}") })
}

/// The offsets in the text of a timens_offsets, in seconds: (monotonic, boottime).
///
/// # Errors
/// The clock that has none.
pub fn parse_offsets(text: &str) -> std::result::Result<(i64, i64), &'static str> {
    let of = |clock: &'static str| {
        let mut lines = text.lines().map(str::split_whitespace);
        let offset =
            lines.find_map(|mut words| (words.next() == Some(clock)).then(|| words.next()?.parse().ok()));
        offset.flatten().ok_or(clock)
    };
    Ok((of("monotonic")?, of("boottime")?))
}

/// The first number of /proc/uptime: seconds since boot, as the *reader's* time namespace has it.
///
/// # Errors
/// When /proc is no procfs.
pub fn uptime() -> Result<i64> {
    let path = "/proc/uptime";
    let text = std::fs::read_to_string(path).named(|| format!("read(\"{path}\")"))?;
    let seconds = text.split('.').next().and_then(|whole| whole.parse().ok());
    seconds.ok_or_else(|| Error::Unreadable { what: path.into(), message: format!("no seconds: {text:?}") })
}

/// `btime` of /proc/stat: the boot's time of day in seconds since 1970, as the *reader's* time namespace has it.
///
/// # Errors
/// When /proc is no procfs.
pub fn boot_time() -> Result<i64> {
    let path = "/proc/stat";
    let text = std::fs::read_to_string(path).named(|| format!("read(\"{path}\")"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("btime "));
    line.and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| Error::Unreadable { what: path.into(), message: "no btime".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn offsets_are_read_as_the_kernel_writes_them(monotonic: i64, boottime: i64, nanoseconds in 0_u32..1_000_000_000) {
            // timens_offsets_show() in kernel/time/namespace.c.
            let text = format!(
                "{:<10} {monotonic:>10} {nanoseconds:>9}\n{:<10} {boottime:>10} {nanoseconds:>9}\n",
                "monotonic", "boottime"
            );
            proptest::prop_assert_eq!(parse_offsets(&text), Ok((monotonic, boottime)));
        }

        #[test]
        fn no_text_can_make_it_panic(text: String, other in "(monotonic|boottime|[0-9 \n-]){0,12}") {
            let _ = (parse_offsets(&text), parse_offsets(&other));
        }
    }

    #[test]
    fn a_clock_without_an_offset_is_named() {
        assert_eq!(parse_offsets("monotonic 1 0\n"), Err("boottime"));
        assert_eq!(parse_offsets("boottime 1 0\nmonotonic x 0\n"), Err("monotonic"));
    }
}
