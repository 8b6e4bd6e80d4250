//! `inception review`: asks again what was predicted wrong, with the experiments run anew.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use lesson::classroom::Score;
use lesson::render::wrap;
use lesson::{Screen, status};

use crate::attend::{self, Answers};
use crate::demos::{self, Demo};
use crate::outbox::Outbox;

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

    #[command(flatten)]
    screen: Screen,
}

impl Review {
    /// Asks again. The exit status is the worst of the experiments'.
    pub(crate) fn run(&self) -> Result<u8> {
        let chosen = demos::chosen(&self.demos)?;
        let outbox = Outbox::open(&self.screen)?;
        let score = Score::open("inception")?;
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
            outbox.show(&wrap(&text, width, "", "  "))?;
            return Ok(status::AS_EXPECTED);
        }
        if self.list {
            for (demo, claims) in again {
                outbox.show(&wrap(&format!("{}: {}", demo.title(), claims.join(", ")), width, "", "    "))?;
            }
            return Ok(status::AS_EXPECTED);
        }
        let classes = again.into_iter().map(|(demo, claims)| {
            let mut arguments = attend::screen_arguments(&self.screen);
            arguments.push("--predict".into());
            arguments.extend(claims.into_iter().map(|claim| format!("--ask={claim}").into()));
            arguments.extend(self.answers.is_some().then(|| "--answers=-".into()));
            (demo, arguments)
        });
        attend::one_by_one(classes, &Answers::open(self.answers.as_deref())?)
    }
}
