//! Measures the tables, and where the time of the longest programs goes.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::crowd::Crowd;
use super::data::{Became, Machine, Measured, Measurement, Timed};
use super::machine::{self, Moment};
use super::peers::{CgroupRoot, Places};
use super::rows::{self, TABLES, Table};
use super::runner::{self, Limits};
use super::view;
use crate::console::Console;
use crate::project::Project;
use crate::time::{self, Profile};

/// A screen.
const COLUMNS: usize = 80;
/// What has more is looked at closely.
const LONG_MS: f64 = 150.0;
/// The word for what is no table.
pub(super) const WHERE: &str = "where";
/// Its share of the time for all, beside those of the tables.
const WHERE_WEIGHT: u32 = 80;

/// What is asked for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// A word of a table or of one of its rows.
    pub(super) only: Option<String>,
    /// Whether optional tables are measured too.
    pub(super) build: bool,
    /// For all tables together.
    pub(super) time: Duration,
    /// Rounds of a table, at most.
    pub(super) runs: usize,
}

/// A bench that is set up.
pub(super) struct Bench<'a> {
    project: &'a Project,
    places: Places,
    wanted: Wanted,
    cgroups: Option<CgroupRoot>,
}

impl<'a> Bench<'a> {
    /// # Errors
    /// When the way back into this mount namespace is lost.
    pub(super) fn new(project: &'a Project, scratch: &Path, wanted: Wanted) -> Result<Bench<'a>> {
        let places = Places::new(project, scratch);
        Ok(Bench { project, places, wanted, cgroups: CgroupRoot::new()? })
    }

    /// Measures what is wanted, and shows each table when it is done.
    ///
    /// # Errors
    /// When something breaks; what cannot be run is a row that is skipped.
    pub(super) fn run(&self, console: &mut Console<'_>) -> Result<Measured> {
        let mut machine = machine::this()?;
        console.say(textwrap::fill(&head(&machine), COLUMNS))?;
        let began = Moment::now()?;
        let experiments = self.project.experiments()?;
        let mut tables = Vec::new();
        for table in TABLES {
            let rows = rows::rows(table, &experiments);
            if self.is_wanted(table, &rows) {
                let measured = self.table(table, &rows)?;
                console.say("")?;
                console.show(&view::of(table, &measured).screen(COLUMNS))?;
                tables.push(measured);
            }
        }
        let mut profiles = Vec::new();
        if self.wanted.only.as_deref().is_none_or(|word| WHERE.contains(word)) {
            profiles = self.profiles(&tables, console)?;
        }
        machine.others = began.others_since()?;
        if let Some(warning) = machine.is_busy() {
            console.say(textwrap::fill(&warning, COLUMNS))?;
        }
        Ok(Measured { machine, tables, profiles })
    }

    fn is_wanted(&self, table: &Table, rows: &[rows::Row]) -> bool {
        match &self.wanted.only {
            Some(word) => table.is_called(word, rows),
            None => !table.optional || self.wanted.build,
        }
    }

    /// The time for a part of that weight.
    fn share(&self, weight: u32) -> Duration {
        let tables = TABLES.iter().filter(|table| !table.optional).map(|table| table.weight);
        self.wanted.time * weight / (tables.sum::<u32>() + WHERE_WEIGHT)
    }

    fn table(&self, table: &Table, rows: &[rows::Row]) -> Result<Measurement> {
        let limits = Limits {
            fewest: table.fewest,
            runs: self.wanted.runs,
            time: self.share(table.weight),
            pause: Duration::from_millis(table.pause),
        };
        let crowd = match table.crowd {
            0 => Ok(None),
            count => Crowd::gather(&self.places.peer("crowd"), count).map(Some),
        };
        let rows = match crowd {
            Ok(_crowd) => runner::by_turns(rows, &self.places, self.cgroups.as_ref(), limits)?,
            Err(error) => {
                let skipped = |row: &rows::Row| Timed {
                    name: row.name.clone(),
                    became: Became::Skipped(format!("{error:#}")),
                };
                rows.iter().map(skipped).collect()
            }
        };
        Ok(Measurement { id: table.id.into(), rows })
    }

    /// Of all experiments together, of each that takes long, and of a container.
    fn profiles(&self, tables: &[Measurement], console: &mut Console<'_>) -> Result<Vec<Profile>> {
        let experiments = self.project.experiments()?;
        let measured = tables.iter().find(|table| table.id == "experiments");
        let is_long = |name: &String| {
            measured.is_none_or(|table| table.median(name).is_some_and(|median| median > LONG_MS))
        };
        let mut commands: Vec<String> = ["inception run", "inception run --all"].map(String::from).into();
        commands.extend(experiments.iter().filter(|name| is_long(name)).cloned());
        commands.push(CONTAINER.into());
        let budget = self.share(WHERE_WEIGHT) / u32::try_from(commands.len()).unwrap_or(1);
        let mut profiles = Vec::new();
        residue::adopt()?;
        for command in commands {
            let profile = self.profile(&command, budget)?;
            console.say("")?;
            console.show(&time::table(&profile).screen(COLUMNS))?;
            profiles.push(profile);
        }
        Ok(profiles)
    }

    fn profile(&self, command: &str, budget: Duration) -> Result<Profile> {
        let mut words = command.split(' ').map(OsString::from);
        let program = words.next().context("no command is given")?;
        let program: OsString = self.project.release(&program.to_string_lossy()).into();
        let mut words: Vec<OsString> = [program.clone()].into_iter().chain(words).collect();
        if command == CONTAINER {
            words.extend([self.places.peer("bundle/rootfs").into(), "/bin/nothing".into()]);
        }
        time::profile(command.to_string(), &words, Some(&[program, "--version".into()]), budget)
    }
}

const CONTAINER: &str = "mini-container run";

/// What a reader has to know before the first figure.
fn head(machine: &Machine) -> String {
    format!(
        "{}; {} CPUs ({}). Read the ratios: the times are this machine's.",
        machine.conditions, machine.cpus, machine.cpu
    )
}
