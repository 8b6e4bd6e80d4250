//! `inception review`: asks again what was predicted wrong, with the experiments run anew.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lesson::render::wrap;
use lesson::{Look, Screen, Steps, status};
use pages::Target;

use crate::classroom::{self, Score};
use crate::demos::{self, Demo};
use crate::run::provide;
use crate::stdout::BufferedStdout;
use crate::trial::Conditions;

/// What to ask again.
#[derive(Debug, Args)]
pub(crate) struct Review {
    /// Numbers or names; none means all
    #[arg(value_name = "NN|NAME|all")]
    demos: Vec<OsString>,

    /// List what was missed, and ask nothing
    #[arg(long)]
    list: bool,

    /// Take the answers from a file, one a line (-: standard input)
    #[arg(long, value_name = "FILE", conflicts_with = "list")]
    answers: Option<PathBuf>,

    /// Write all that was predicted and voted, a row each, and ask nothing (-: standard output)
    #[arg(long, value_name = "FILE.csv", conflicts_with_all = ["list", "answers"])]
    csv: Option<PathBuf>,

    #[command(flatten)]
    screen: Screen,
}

impl Review {
    /// Asks again. The exit status is the worst of the experiments'.
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        let stdout = BufferedStdout::open(&self.screen)?;
        let score = Score::open("inception")?;
        if let Some(path) = &self.csv {
            let names: Vec<&str> = chosen.iter().map(|demo| demo.name).collect();
            Target::open(path)?.write(classroom::csv(&score, &names)?.as_bytes())?;
            return Ok(status::AS_EXPECTED);
        }
        let missed = score.missed();
        let claims = |demo: &Demo| missed.get(demo.name).cloned().unwrap_or_default();
        let again: Vec<(&'static Demo, Vec<&str>)> = chosen
            .into_iter()
            .map(|demo| (demo, claims(demo)))
            .filter(|(_, claims)| !claims.is_empty())
            .collect();
        let width = self.screen.columns();
        if again.is_empty() {
            let text = match score.so_far() {
                (_, 0) => {
                    "Nothing was predicted yet: inception run 11 --predict asks before it shows.".into()
                }
                (right, asked) => format!(
                    "Nothing to ask again. Of all that you were asked so far: {right} of {asked} right."
                ),
            };
            stdout.show(&wrap(&text, width, "", "  "))?;
            return Ok(status::AS_EXPECTED);
        }
        if self.list {
            for (demo, claims) in again {
                stdout.show(&wrap(&format!("{}: {}", demo.title(), claims.join(", ")), width, "", "    "))?;
            }
            return Ok(status::AS_EXPECTED);
        }
        provide(&again.iter().map(|(demo, _)| *demo).collect::<Vec<_>>())?;
        let classes = again
            .into_iter()
            .map(|(demo, claims)| (demo, claims.into_iter().map(String::from).collect()))
            .collect::<Vec<_>>();
        let options = classroom::Options {
            pause: false,
            predict: true,
            answers: self.answers.clone(),
            score: None,
            screen: self.screen.clone(),
            look: Look::default(),
            notes: None,
            record: None,
            conditions: Conditions::default(),
            steps: Steps::all(),
        };
        classroom::one_by_one(classes, &options)
    }
}
