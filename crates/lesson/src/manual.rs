//! Manual pages and completions, which a program built with the feature `manual` writes in the place of its work.
//!
//! They come from the very command line that the program parses, and from the claims that it judges, so they can say
//! nothing else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::experiment::Experiment;
use crate::help::Help;

/// Where to write: the directory that `INCEPTION_MANUAL` names.
pub fn directory() -> Option<PathBuf> {
    std::env::var_os("INCEPTION_MANUAL").map(PathBuf::from)
}

/// Writes a page of section 1 for `command`, which `help` leads, and for each command of it, into `man1` below
/// `directory`; completions into `bash`, `zsh` and `fish`. `more` stands between the options and the examples.
///
/// # Errors
/// When a file cannot be written.
pub fn write(help: &Help, command: Command, more: &Roff, directory: &Path) -> Result<()> {
    let mut command = help.lead(command.name(help.name).version(env!("CARGO_PKG_VERSION")));
    for (shell, folder) in [(Shell::Bash, "bash"), (Shell::Zsh, "zsh"), (Shell::Fish, "fish")] {
        let folder = directory.join(folder);
        fs::create_dir_all(&folder)?;
        clap_complete::generate_to(shell, &mut command, help.name, folder)?;
    }
    command.build();
    for part in command.get_subcommands() {
        // As git(1) has it: the page of `inception run` is inception-run(1).
        let page = format!("{}-{}", help.name, part.get_name());
        let mut see = Roff::new();
        see_also(&mut see, &[&format!("{}(1)", help.name)]);
        page_of(part.clone().display_name(page), &see, directory)?;
    }
    page_of(command, more, directory)
}

/// Writes those of an experiment, whose page also has its claims.
pub(crate) fn write_experiment(
    experiment: &Experiment,
    help: &Help,
    command: Command,
    directory: &Path,
) -> Result<()> {
    let command = command.long_about(format!(
        "{} An experiment on the kernel that runs, in namespaces of its own: nothing on the machine changes, and \
         nothing is left behind. It needs root for nothing but what it says to be skipped without.",
        experiment.question
    ));
    write(help, command, &claims(experiment), directory)
}

/// The sections of an experiment's page that are not about its options.
fn claims(experiment: &Experiment) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["CLAIMS"]);
    roff.text([roman(
        "Each is tried twice, by the same code: without its factor, and with it. What was seen from outside and \
         from inside is shown, and what follows: the claim holds, or this kernel refutes it. The numbers are those of \
         the study notes (N) and of further behaviours (M).",
    )]);
    for claim in experiment.claims() {
        let head = claim.head(experiment.arms);
        roff.control("TP", []);
        roff.text([bold(&head.id)]);
        roff.text([roman(format!("{} [{}]", head.text, head.numbers().join(" ")))]);
        roff.control("br", []);
        let expected = match head.expect.correction() {
            Some(correction) => format!("; expected: refuted, see {correction}"),
            None => format!("; expected: {}", head.expect),
        };
        roff.text([roman("Factor: "), italic(&head.factor), roman(expected)]);
    }
    let doc = format!("inception-{}(7)", experiment.name);
    see_also(&mut roff, &[&["inception(1)", &doc], experiment.man].concat());
    roff
}

/// A section that names other pages.
pub fn see_also(roff: &mut Roff, pages: &[&str]) {
    roff.control("SH", ["SEE ALSO"]);
    let mut words = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        let (name, section) = page.split_once('(').unwrap_or((page, ""));
        words.push(roman(if at == 0 { "" } else { ", " }));
        words.push(bold(name));
        words.push(roman(if section.is_empty() { String::new() } else { format!("({section}") }));
    }
    roff.text(words);
}

/// One page. Examples come before all else that is long.
fn page_of(command: Command, more: &Roff, directory: &Path) -> Result<()> {
    let mut body = Roff::new();
    let examples = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    if let Some((_, examples)) = examples.split_once('\n') {
        body.control("SH", ["EXAMPLES"]);
        as_it_stands(&mut body, examples);
    }
    let mut end = Roff::new();
    let status = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if let Some(status) = status.strip_prefix("Exit status: ") {
        end.control("SH", ["EXIT STATUS"]);
        end.text([roman(status)]);
    }
    let has_commands = command.has_subcommands();
    let page = Man::new(command).source(SOURCE).manual(MANUAL);
    let path = directory.join("man1").join(page.get_filename());
    fs::create_dir_all(directory.join("man1"))?;
    let mut file = File::create(&path).with_context(|| path.display().to_string())?;
    page.render_title(&mut file)?;
    page.render_name_section(&mut file)?;
    page.render_synopsis_section(&mut file)?;
    page.render_description_section(&mut file)?;
    body.to_writer(&mut file)?;
    if has_commands {
        page.render_subcommands_section(&mut file)?;
    }
    page.render_options_section(&mut file)?;
    end.to_writer(&mut file)?;
    more.to_writer(&mut file)?;
    Ok(())
}

/// What the foot of every page says at its left.
pub const SOURCE: &str = concat!("inception ", env!("CARGO_PKG_VERSION"));
/// What the head of every page says in its middle.
pub const MANUAL: &str = "Inception";

/// Sets lines as they are, in the font of things typed.
pub fn as_it_stands(roff: &mut Roff, text: &str) {
    roff.control("PP", []);
    roff.control("RS", ["4"]);
    roff.control("EX", []);
    for line in text.lines() {
        // A text line that is empty would be a paragraph of its own.
        if line.is_empty() {
            roff.control("sp", []);
        } else {
            roff.text([roman(line)]);
        }
    }
    roff.control("EE", []);
    roff.control("RE", []);
}
