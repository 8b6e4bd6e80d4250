//! Which pages there are, and the completions.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use clap::Command;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, TypedValueParser};
use clap_mangen::roff::Roff;
use lesson::Help;
use lesson::manual::see_also;

use super::pages;
use crate::demos;

/// Writes all of them into `directory`.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(help: &Help, mut command: Command, directory: &Path) -> Result<()> {
    // What is completed after `inception run`: the demos' names.
    for (name, word) in [("run", "demos"), ("walk", "demos"), ("claims", "demos"), ("read", "demo")] {
        command = command.mut_subcommand(name, |it| {
            it.mut_arg(word, |it| it.value_parser(Names).hide_possible_values(true))
        });
    }
    let mut more = Roff::new();
    let pages: Vec<_> = demos::ALL.iter().map(|demo| format!("{}(1)", demo.name)).collect();
    let docs: Vec<_> = demos::ALL.iter().map(|demo| format!("inception-{}(7)", demo.name)).collect();
    let see: Vec<_> = pages
        .iter()
        .chain(&docs)
        .map(String::as_str)
        .chain(["inception-exercise(5)", "namespaces(7)", "cgroups(7)"])
        .collect();
    see_also(&mut more, &see);
    let command = command.long_about(
        "Runs, explains and sums up experiments on the kernel that runs. A container is a process with namespaces, \
         cgroups and a changed root; each of those does something that can be seen. So each experiment does it twice, \
         once without the factor and once with it. It shows what was seen from outside and from inside, and says what \
         follows. Nothing on the machine changes, and nothing is left behind.",
    );
    lesson::manual::write(help, command, &more, directory)?;
    let docs = demos::ALL.iter().filter(|demo| !demo.doc.is_empty());
    let docs = docs.map(|demo| (format!("man7/inception-{}.7", demo.name), pages::doc(demo)));
    for (name, page) in docs.chain([("man5/inception-exercise.5".into(), pages::exercise())]) {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap_or(directory))?;
        fs::write(&path, page).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Takes every word, and lets the demos' names be completed.
#[derive(Clone)]
struct Names;

impl TypedValueParser for Names {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        NonEmptyStringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(demos::ALL.iter().map(|demo| PossibleValue::new(demo.name).help(demo.question))))
    }
}
