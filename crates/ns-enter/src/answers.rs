//! The outcomes of a visitor's calls.

use anyhow::Result;
use lesson::{Arms, Lab, Picture};
use ns_core::{Fact, Kind, Named, Outcome};

use crate::container::kinds;

/// The outcome of opening a file by the path that it has inside the container.
pub(crate) fn can_open(path: &str) -> ns_core::Result<Outcome> {
    Outcome::of(std::fs::File::open(path).named(|| format!("open(\"{path}\")")))
}

/// Shows the outcome of setns() for each kind, in both arms.
pub(crate) fn show_answers(lab: &mut Lab, columns: [&str; 2], answers: &Arms<Vec<Fact>>) -> Result<()> {
    let pairs = answers.control().iter().zip(answers.treatment());
    let row = |(kind, (control, treatment)): (Kind, (&Fact, &Fact))| {
        vec![kind.link().into(), control.value.clone(), treatment.value.clone()]
    };
    let rows = kinds().zip(pairs).map(row).collect();
    lab.picture(Picture::Heat(1), "Outcome of setns()", &["kind", columns[0], columns[1]], rows)
}
