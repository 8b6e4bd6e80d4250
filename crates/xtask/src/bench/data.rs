//! What was measured, as it is kept: docs/performance.json.

use serde::{Deserialize, Serialize};

use crate::time::Profile;

/// All of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) machine: Machine,
    pub(super) tables: Vec<Measurement>,
    pub(super) profiles: Vec<Profile>,
}

/// On what it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) kernel: String,
    pub(super) cpu: String,
    pub(super) cpus: usize,
    /// Who ran it, and how cgroups are mounted.
    pub(super) conditions: String,
    /// The day, as 2026-01-31.
    pub(super) date: String,
    /// How many CPUs the rest of the machine kept busy meanwhile, kernel threads included; on average.
    pub(super) others: f64,
    /// The first line that each peer says of its version.
    pub(super) versions: Vec<String>,
}

/// What became of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measurement {
    pub(super) id: String,
    pub(super) rows: Vec<Timed>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Timed {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) became: Became,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Became {
    /// It ran.
    Ran(Figures),
    /// It could not; why, and what to do.
    Skipped(String),
}

/// The times of a row, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) runs: usize,
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// The mean of what its processes used of the CPUs; none where it prints its times.
    pub(super) cpu: Option<f64>,
    /// How many of the runs ended otherwise than the first.
    pub(super) failed: usize,
}

impl Machine {
    /// A warning, where others used more than a quarter of the machine.
    pub(super) fn is_busy(&self) -> Option<String> {
        (self.others > self.cpus as f64 / 4.0).then(|| {
            format!("Other work used {}: times are too long, and ratios uncertain.", self.used_by_others())
        })
    }

    /// As `0.25 of 2 CPUs`.
    pub(super) fn used_by_others(&self) -> String {
        format!("{:.2} of {} CPUs", self.others, self.cpus)
    }
}

impl Measurement {
    /// The median of a row, if it ran.
    pub(super) fn median(&self, name: &str) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name).and_then(|row| match &row.became {
            Became::Ran(figures) => Some(figures.median),
            Became::Skipped(_) => None,
        })
    }
}
