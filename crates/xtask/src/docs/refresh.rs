//! A screen, claims, a whole run, and figures: made anew, and set in their places or compared.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};

use super::document::{Document, Made, Run};
use crate::console::Console;
use crate::difference;
use crate::project::{self, Numbered, Project};

/// What is done about a document that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It is written anew; its transcript only on the conditions that it was made under.
    Refresh,
    /// The same, on whatever conditions.
    Here,
    /// The difference is shown.
    Check,
}

/// Puts the screens of another machine into the docs in `folder`: those in `screens`, a file an experiment, called as it is.
/// Its first line has the conditions, and the rest is what the experiment showed.
pub(super) fn take(console: &mut Console<'_>, folder: &Path, screens: &Path) -> Result<u8> {
    for numbered in project::numbered(folder, ".md")? {
        let Ok(screen) = fs::read_to_string(screens.join(&numbered.name)) else { continue };
        let (conditions, seen) = screen.split_once('\n').unwrap_or_default();
        ensure!(!seen.trim().is_empty(), "{} has no screen", screens.join(&numbered.name).display());
        let path = folder.join(&numbered.file);
        let text = project::read(&path)?;
        let document = Document::parse(&text, Run::Screen)?;
        let run = format!("{}\n{seen}", typed(&numbered.name, Run::Screen));
        let made = Made { sum: sum(&run, &document, folder)?, conditions: conditions.into() };
        project::write(&path, &document.with("", Some((&made, &run))))?;
        console.say(format!("taken: {}, of {conditions}", path.display()))?;
    }
    Ok(0)
}

/// A command line, as a reader would type it.
fn typed(name: &str, kind: Run) -> String {
    format!("$ {name} {}", kind.options().join(" "))
}

/// Refreshes or compares the documents in `folder`; all of them if `names` is empty. Gives the exit status.
pub(super) fn refresh(
    project: &Project,
    console: &mut Console<'_>,
    mode: Mode,
    folder: &Path,
    names: &[String],
) -> Result<u8> {
    let shown = folder.strip_prefix(&project.root).unwrap_or(folder).to_path_buf();
    let documents = chosen(&project::numbered(folder, ".md")?, &shown, names)?;
    let mut packages = vec!["-p", "inception"];
    for document in &documents {
        packages.extend(["-p", &document.name]);
    }
    project.build(&packages)?;

    let workshop = Workshop {
        project,
        folder,
        shown,
        mode,
        conditions: project::conditions()?,
        work: tempfile::tempdir()?,
    };
    let (mut stale, mut skipped, mut changed) = (0, 0, 0);
    let pages = documents.iter().flat_map(|document| [(document, Run::Screen), (document, Run::Whole)]);
    for (document, kind) in pages {
        match workshop.treat(document, kind, console)? {
            Treated::AsItShouldBe => {}
            Treated::Changed => changed += 1,
            Treated::Stale => stale += 1,
            Treated::Broken => return Ok(1),
            Treated::Kept => skipped += 1,
            Treated::KeptAndChanged => (skipped, changed) = (skipped + 1, changed + 1),
            Treated::KeptAndStale => (skipped, stale) = (skipped + 1, stale + 1),
        }
    }
    let all = 2 * documents.len();
    if stale > 0 {
        console.complain(format!("stale: {stale} of {all} documents; run: cargo xtask docs"));
        return Ok(1);
    }
    if mode == Mode::Check {
        console.say(format!(
            "{all} documents quote what is so; runs of other conditions, not compared: {skipped}"
        ))?;
    } else {
        console.say(format!(
            "{changed} of {all} documents refreshed; runs of other conditions, left alone: {skipped}"
        ))?;
    }
    Ok(0)
}

fn chosen(all: &[Numbered], folder: &Path, names: &[String]) -> Result<Vec<Numbered>> {
    let folder = folder.display();
    ensure!(!all.is_empty(), "there is no {folder}/NN-NAME.md; try --help");
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    let named = |name: &String| all.iter().find(|document| document.name == *name).cloned();
    names
        .iter()
        .map(|name| named(name).ok_or_else(|| anyhow!("there is no {folder}/NN-{name}.md; try --help")))
        .collect()
}

/// What became of a document. Kept: its run is of other conditions, and was left as it is.
#[derive(Debug)]
enum Treated {
    AsItShouldBe,
    Changed,
    Stale,
    Broken,
    Kept,
    KeptAndChanged,
    KeptAndStale,
}

/// The exit status of an experiment that could ask nothing for want of something.
const NOTHING_ASKED: i32 = 77;

/// A run for a document.
enum Ran {
    /// All was as expected: what was typed, and what it said.
    AsExpected(String),
    /// This machine lacks what it takes, and why.
    CannotHere(String),
    /// It came out otherwise, and how.
    Otherwise(String),
}

struct Workshop<'a> {
    project: &'a Project,
    folder: &'a Path,
    /// The folder as it is called in what is said.
    shown: PathBuf,
    mode: Mode,
    conditions: String,
    work: tempfile::TempDir,
}

impl Workshop<'_> {
    fn treat(&self, numbered: &Numbered, kind: Run, console: &mut Console<'_>) -> Result<Treated> {
        let file = match kind {
            Run::Screen => PathBuf::from(&numbered.file),
            Run::Whole => Path::new("reference").join(&numbered.file),
        };
        let path = self.folder.join(&file);
        let shown = self.shown.join(&file).display().to_string();
        let (name, text) = (numbered.name.as_str(), project::read(&path)?);
        let document = match Document::parse(&text, kind) {
            Ok(document) => document,
            Err(error) => {
                console.complain(format!("{shown}: {error}"));
                return Ok(Treated::Broken);
            }
        };
        let engine = if name == "docker-view" { self.engine()? } else { None };
        let here = engine
            .as_ref()
            .map_or_else(|| self.conditions.clone(), |it| format!("{}, {it}", self.conditions));
        let claims = match kind {
            Run::Screen => String::new(),
            Run::Whole => self.claims(name)?,
        };

        let elsewhere =
            document.made.as_ref().filter(|made| made.conditions != here && self.mode != Mode::Here);
        let ran = match elsewhere {
            Some(made) => Ran::CannotHere(format!("its run was made on {}; this is {here}", made.conditions)),
            None => self.run(name, kind, engine.is_some())?,
        };
        let (mut figures_differ, mut run, mut kept) = (false, None, false);
        match (ran, &document.made) {
            (Ran::AsExpected(seen), _) => {
                let drawn = self.draw(name, &document)?;
                for figure in document.figures() {
                    let Ok(now) = fs::read_to_string(drawn.join(figure)) else {
                        console.complain(format!(
                            "{shown}: {name} draws no figures/{figure}; see inception report --pictures"
                        ));
                        return Ok(Treated::Broken);
                    };
                    figures_differ |= self.place_figure(figure, &now, console)?;
                }
                run = Some((Made { sum: sum(&seen, &document, &drawn)?, conditions: here }, seen));
            }
            (Ran::CannotHere(why), Some(made)) if self.mode != Mode::Here => {
                console.say(format!("skip: {shown}: {why}"))?;
                if made.sum != sum(&document.run(), &document, &self.folder.join("figures"))? {
                    console.say(format!(
                        "{shown}: its run or a figure is not as it was written; restore it, or make it here: \
                         cargo xtask docs --here {name}"
                    ))?;
                    return Ok(Treated::KeptAndStale);
                }
                kept = true;
            }
            (Ran::CannotHere(why) | Ran::Otherwise(why), _) => {
                console.complain(format!(
                    "{shown}: {why}; what is quoted is a run in which all was as expected"
                ));
                return Ok(Treated::Broken);
            }
        }

        let new = document.with(&claims, run.as_ref().map(|(made, seen)| (made, seen.as_str())));
        if new == text && !figures_differ {
            return Ok(if kept { Treated::Kept } else { Treated::AsItShouldBe });
        }
        if self.mode == Mode::Check {
            let now = format!("{shown}, as the experiment says now");
            console.show(&difference::between((&shown, &text), (&now, &new))?.unwrap_or_default())?;
            return Ok(if kept { Treated::KeptAndStale } else { Treated::Stale });
        }
        project::write(&path, &new)?;
        console.say(format!("refreshed: {shown}"))?;
        Ok(if kept { Treated::KeptAndChanged } else { Treated::Changed })
    }

    /// The experiment's claims, as its reference lists them.
    fn claims(&self, name: &str) -> Result<String> {
        let (claims, status) =
            self.project.ask(name, &["--list-claims", "--width", "80", "--color", "never"])?;
        ensure!(status == 0, "{name} --list-claims exited {status}");
        Ok(claims)
    }

    /// The command and what it says on standard output, as a reader would type it.
    fn run(&self, name: &str, kind: Run, in_lab: bool) -> Result<Ran> {
        let program = self.project.program(name);
        // In a session of its own: what init or a container's engine starts may be in session 0, and would say so.
        let words = ["setsid", "--wait"].into_iter().map(Into::into).chain([program.into_os_string()]);
        let words = words.chain(kind.options().iter().chain(&["--color", "never"]).map(Into::into));
        let mut command = if in_lab {
            let mut command = self.project.command(self.project.root.join("scripts/docker-lab"));
            command.env("DOCKER_LAB", self.work.path().join("lab")).arg("run").args(words);
            command
        } else {
            let mut command = self.project.command("env");
            command.args(words);
            command
        };
        let (seen, status) = project::text_of(&mut command, name)?;
        Ok(match status {
            0 => Ran::AsExpected(format!("{}\n{seen}", typed(name, kind))),
            NOTHING_ASKED => Ran::CannotHere(format!("{name} exited {status}: nothing could be asked here")),
            _ => Ran::Otherwise(format!("{name} exited {status}")),
        })
    }

    /// Draws the experiment's figures, if the document shows any. Gives where they are.
    fn draw(&self, name: &str, document: &Document<'_>) -> Result<PathBuf> {
        let drawn = self.work.path().join("figures").join(name);
        fs::create_dir_all(&drawn)?;
        if !document.figures().is_empty() {
            let into = drawn.to_str().context("the temporary directory's path is no text")?;
            let (_, status) =
                self.project.ask("inception", &["report", name, "--stable", "--pictures", into])?;
            ensure!(status == 0, "inception report {name} exited {status}");
        }
        Ok(drawn)
    }

    /// Compares a figure with the one that was drawn now, and in other modes than --check puts that in its place. Gives
    /// whether they differ.
    fn place_figure(&self, figure: &str, now: &str, console: &mut Console<'_>) -> Result<bool> {
        const SHOWN: usize = 40;
        let path = self.folder.join("figures").join(figure);
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before == now {
            return Ok(false);
        }
        if self.mode == Mode::Check {
            let shown = self.shown.join("figures").join(figure).display().to_string();
            let label = format!("{figure}, as it is drawn now");
            let difference = difference::between((&shown, &before), (&label, now))?.unwrap_or_default();
            for line in difference.lines().take(SHOWN) {
                console.say(line)?;
            }
        } else {
            fs::create_dir_all(self.folder.join("figures"))?;
            project::write(&path, now)?;
        }
        Ok(true)
    }

    /// The engine that docker-view looks at, where scripts/docker-lab can start one. Without dockerd none, and nothing
    /// is installed for a document's sake.
    fn engine(&self) -> Result<Option<String>> {
        if !project::is_root() || !project::has("docker") || !project::has("dockerd") {
            return Ok(None);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = self.project.command("dockerd");
        command.arg("--version").env("PATH", format!("{path}:/usr/sbin:/sbin"));
        Ok(engine_of(&project::text_of(&mut command, "dockerd")?.0))
    }
}

/// `Docker 20.10`, of `Docker version 20.10.24+dfsg1, build 297e128`.
fn engine_of(version: &str) -> Option<String> {
    let version = version.lines().find_map(|line| line.strip_prefix("Docker version "))?;
    let mut numbers = version.split(|it: char| !it.is_ascii_digit());
    Some(format!("Docker {}.{}", numbers.next()?, numbers.next()?))
}

/// cksum(1)'s sum of a run and of the document's figures, which are in that directory.
fn sum(run: &str, document: &Document<'_>, figures: &Path) -> Result<String> {
    let mut bytes = run.as_bytes().to_vec();
    for figure in document.figures() {
        // One that is not there makes another sum.
        bytes.extend(fs::read(figures.join(figure)).unwrap_or_default());
    }
    cksum(&bytes)
}

fn cksum(bytes: &[u8]) -> Result<String> {
    let mut child = Command::new("cksum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cksum")?;
    // It says nothing before it has read all.
    child.stdin.take().context("cksum has no standard input")?.write_all(bytes)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split(' ').next().map(String::from).context("cksum says nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_told_by_the_first_two_numbers() {
        assert_eq!(engine_of("Docker version 20.10.24+dfsg1, build 297e128\n"), Some("Docker 20.10".into()));
        assert_eq!(engine_of("dockerd: not found\n"), None);
    }

    #[test]
    fn the_sum_is_that_of_the_run_and_its_figures() {
        assert_eq!(cksum(b"123456789").unwrap(), "930766865");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("1-a.svg"), "456789").unwrap();
        let text = "![x](../figures/1-a.svg)\n<!-- claims: written by cargo xtask docs -->\n<!-- end -->\n\
                    <!-- transcript: written by cargo xtask docs -->\n<!-- end -->\n";
        let document = Document::parse(text, Run::Whole).unwrap();
        assert_eq!(sum("123", &document, folder.path()).unwrap(), "930766865");
    }
}
