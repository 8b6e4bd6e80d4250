//! Where the time of a program goes, as data and as tables.

use serde::{Deserialize, Serialize};

use super::account::Row;
use super::counted::Counted;
use super::plain::Spent;
use crate::figures::{self, Table};

/// What was found of a program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// The command, as it is typed.
    pub(crate) command: String,
    /// Of the runs that nothing disturbed: the median of the wall time, and the means of what was used.
    pub(crate) spent: Spent,
    /// Of the same runs: how many, and their least and greatest wall time.
    pub(crate) runs: usize,
    pub(crate) least: f64,
    pub(crate) most: f64,
    /// Milliseconds of a start of the program that does nothing, where it is one of ours.
    pub(crate) start: Option<f64>,
    /// None without strace(1).
    pub(crate) counted: Option<Counted>,
    /// The parts of the wall time, the longest first.
    pub(crate) parts: Vec<Row>,
    /// How many looks were taken in a run.
    pub(crate) looks: f64,
    /// Milliseconds of a run in which looks were taken: the median.
    pub(crate) watched: f64,
}

/// As many parts are shown; the others are one line.
const PARTS: usize = 10;
/// A shorter part, of all, is among the others in any case.
const SHARE: f64 = 0.005;

/// What a run used, a row for each program.
pub(crate) fn overview(profiles: &[&Profile]) -> Table {
    let heads = [
        "program",
        "wall ms",
        "CPU ms",
        "processes",
        "starts",
        "cost, ms",
        "page faults",
        "calls",
        "netlink",
    ];
    let mut table = Table::new("What a run uses", &heads);
    for profile in profiles {
        let counted = |of: fn(&Counted) -> usize| {
            profile.counted.as_ref().map_or("-".into(), |it| figures::count(of(it) as f64))
        };
        table.rows.push(vec![
            profile.command.clone(),
            figures::ms(profile.spent.wall),
            figures::ms(profile.spent.user + profile.spent.system),
            counted(|it| it.processes),
            counted(|it| it.programs),
            profile.cost_of_starts().map_or("-".into(), figures::ms),
            figures::count(profile.spent.minor + profile.spent.major),
            counted(|it| it.calls),
            counted(|it| it.netlink),
        ]);
    }
    table
}

/// The parts of the wall time of a program.
pub(crate) fn table(profile: &Profile) -> Table {
    let mut table = Table::new(
        format!("{}: where {} ms go", profile.command, figures::ms(profile.spent.wall)),
        &["in a run, at each moment", "ms", "share", "times × ms"],
    );
    let whole: f64 = profile.parts.iter().map(|part| part.ms).sum();
    let share = |ms: f64| if whole > 0.0 { ms / whole } else { 0.0 };
    let shown = profile.parts.iter().take(PARTS).filter(|part| share(part.ms) >= SHARE).count();
    let row = |what: &str, ms: f64, times: String| {
        vec![what.to_string(), figures::ms(ms), format!("{:.0} %", share(ms) * 100.0), times]
    };
    for part in &profile.parts[..shown] {
        table.rows.push(row(&part.what, part.ms, each(part)));
    }
    let others: f64 = profile.parts[shown..].iter().map(|part| part.ms).sum();
    if others > 0.0 {
        table.rows.push(row(&format!("{} other kinds", profile.parts.len() - shown), others, String::new()));
    }
    table
}

/// How often, and how long each time.
fn each(part: &Row) -> String {
    let times = match part.times {
        few if few < 0.95 => format!("{few:.2}"),
        few if few < 9.95 => format!("{few:.1}"),
        many => figures::count(many),
    };
    format!("{times} × {}", figures::ms(part.ms / part.times.max(f64::MIN_POSITIVE)))
}

impl Profile {
    /// Milliseconds of all starts of a program in a run, if each costs as much as one of it alone.
    fn cost_of_starts(&self) -> Option<f64> {
        Some(self.start? * self.counted.as_ref()?.programs as f64)
    }

    /// What a run used, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let ms = figures::ms;
        let mut lines = vec![
            format!(
                "wall time       {:>9} ms  {} to {}, {} runs",
                ms(self.spent.wall),
                ms(self.least),
                ms(self.most),
                self.runs
            ),
            format!(
                "CPU time        {:>9} ms  user {}, system {}: of all its processes",
                ms(self.spent.user + self.spent.system),
                ms(self.spent.user),
                ms(self.spent.system)
            ),
            format!(
                "page faults     {:>9}     {} of them read a disk",
                figures::count(self.spent.minor + self.spent.major),
                figures::count(self.spent.major)
            ),
        ];
        match &self.counted {
            Some(counted) => {
                let number = |value: usize| figures::count(value as f64);
                lines.push(format!(
                    "processes       {:>9}     and {} threads; {} starts of a program",
                    number(counted.processes),
                    number(counted.threads),
                    number(counted.programs)
                ));
                if let (Some(start), Some(cost)) = (self.start, self.cost_of_starts()) {
                    lines.push(format!(
                        "these starts    {:>9} ms  if each costs as this program alone: {} ms",
                        ms(cost),
                        ms(start)
                    ));
                }
                lines.push(format!(
                    "system calls    {:>9}     {} to netlink",
                    number(counted.calls),
                    number(counted.netlink)
                ));
            }
            None => lines.push("processes, calls        -     strace is missing; apt install strace".into()),
        }
        lines
    }

    /// By how much the looks and strace changed what they looked at.
    pub(super) fn distortion(&self) -> String {
        let times = |ms: f64| figures::ratio(ms / self.spent.wall.max(f64::MIN_POSITIVE));
        let mut text = format!(
            "By {} looks at /proc in a run, which took {} times as long as one without.",
            figures::count(self.looks),
            times(self.watched)
        );
        if let Some(counted) = &self.counted {
            text.push_str(&format!(" strace, which counted, made it {} times as long.", times(counted.wall)));
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A profile with all that one can have.
    pub(crate) fn profile() -> Profile {
        let part = |what: &str, ms, times| Row { what: what.into(), ms, times };
        Profile {
            command: "ns-lifetime".into(),
            spent: Spent { wall: 2950.0, user: 31.2, system: 55.0, minor: 9120.0, major: 2.0 },
            runs: 3,
            least: 2905.0,
            most: 3011.0,
            start: Some(1.25),
            counted: Some(Counted {
                processes: 41,
                threads: 0,
                programs: 4,
                calls: 12_345,
                netlink: 210,
                wall: 5900.0,
            }),
            parts: vec![
                part("waits for RCU: exit()", 2100.0, 12.0),
                part("runs, or waits for a processor", 800.0, 60.0),
                part("waits: mount()", 3.0, 1.0),
            ],
            looks: 5000.0,
            watched: 3009.0,
        }
    }

    #[test]
    fn the_longest_parts_are_shown_and_the_others_summed() {
        assert_eq!(
            table(&profile()).screen(80),
            "ns-lifetime: where 2,950 ms go\n\
             in a run, at each moment           ms  share  times × ms\n\
             waits for RCU: exit()           2,100   72 %    12 × 175\n\
             runs, or waits for a processor    800   28 %   60 × 13.3\n\
             1 other kinds                    3.00    0 %\n"
        );
    }

    #[test]
    fn what_a_run_used_is_lines_and_a_row() {
        assert_eq!(
            profile().lines().join("\n"),
            "wall time           2,950 ms  2,905 to 3,011, 3 runs\n\
             CPU time             86.2 ms  user 31.2, system 55.0: of all its processes\n\
             page faults         9,122     2 of them read a disk\n\
             processes              41     and 0 threads; 4 starts of a program\n\
             these starts         5.00 ms  if each costs as this program alone: 1.25 ms\n\
             system calls       12,345     210 to netlink"
        );
        assert_eq!(
            overview(&[&profile()]).rows[0].join(" "),
            "ns-lifetime 2,950 86.2 41 4 5.00 9,122 12,345 210"
        );
        assert_eq!(
            profile().distortion(),
            "By 5,000 looks at /proc in a run, which took 1.02 times as long as one without. strace, which counted, \
             made it 2.00 times as long."
        );
    }

    #[test]
    fn without_strace_the_counts_are_missing_and_the_remedy_is_told() {
        let profile = Profile { counted: None, ..profile() };
        assert_eq!(profile.lines()[3], "processes, calls        -     strace is missing; apt install strace");
        assert_eq!(overview(&[&profile]).rows[0][3], "-");
    }
}
