//! `time-ns shell`: a shell whose clocks are shifted.

use anyhow::Result;
use lesson::shell::{Change, Options, Plan, Shell};
use ns_core::{Namespaces, clock};

pub(crate) const SHELL: Shell = Shell::of::<Offsets>(
    "time-ns shell",
    "a shell in a new time namespace",
    &[
        ("time-ns shell --boottime +7d", "a machine that has run for a week more"),
        ("time-ns shell --monotonic -1h -- cat /proc/self/timens_offsets", "a command there"),
        ("time-ns shell --boottime +7d --by-hand", "the same by unshare(1)"),
    ],
);

#[derive(Debug, clap::Args)]
struct Offsets {
    /// What CLOCK_BOOTTIME shows more: seconds, or with m, h, d, such as +7d or -1h
    #[arg(long, value_name = "OFFSET", default_value = "+7d", allow_hyphen_values = true, value_parser = seconds)]
    boottime: i64,

    /// What CLOCK_MONOTONIC shows more
    #[arg(long, value_name = "OFFSET", default_value = "0", allow_hyphen_values = true, value_parser = seconds)]
    monotonic: i64,
}

/// An offset as it is typed. The kernel's clocks hold 146 years, and none may be negative.
fn seconds(text: &str) -> Result<i64, String> {
    let form = || "give an offset, such as +7d, -1h, 90m or 30s, of at most 36500 days".to_string();
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h', 'd']) {
        Some(number) => (number, &text[number.len()..]),
        None => (text, "s"),
    };
    let factor = match unit {
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        _ => 1,
    };
    let number: i64 = number.parse().map_err(|_| form())?;
    number.checked_mul(factor).filter(|seconds| seconds.abs() <= 36_500 * 86_400).ok_or_else(form)
}

impl Options for Offsets {
    fn plan(&self) -> Result<Plan> {
        let up = clock::Clock::Boottime.now()? / 1_000_000_000;
        let is_negative = |offset: i64| up + offset < 0;
        if is_negative(self.boottime) || is_negative(self.monotonic) {
            anyhow::bail!(
                "a clock would be negative, since this machine has run for {up} s only; give an offset from -{up} on"
            );
        }
        let days = self.boottime.div_euclid(86_400);
        Ok(Plan::created(Namespaces::TIME)
            .change(Change::Offsets { boottime: self.boottime, monotonic: self.monotonic })
            .try_it(
                "tr -s ' ' < /proc/self/timens_offsets",
                "clock, seconds, nanoseconds: what is added there",
                format!("boottime {}", self.boottime),
            )
            .try_it(
                "echo $(($(cut -d. -f1 /proc/uptime) / 86400)) days",
                format!("since boot, by the clock there: {days} more than outside"),
                format!("{} days", (up + self.boottime) / 86_400),
            )
            .try_it("date", "as outside: no namespace has a wall clock of its own", ":"))
    }
}
