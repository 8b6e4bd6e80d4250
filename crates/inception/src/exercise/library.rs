//! The exercises that there are: those that were there when this program was built, or those of a directory.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use exercise::{Exercise, Fault};

use crate::cargo::Target;

/// Each exercise's name and its text without the solution (build.rs).
const EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/exercises.rs"));
/// The path and the text of each file that an exercise hands out.
const HANDOUTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/handouts.rs"));
/// Where the package for teachers has the exercises with their solutions.
const TEACHERS: &str = "/usr/share/inception-teacher/exercises";

/// Where the exercises come from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Library {
    /// A directory with other exercises [default: $INCEPTION_EXERCISES, else those of this program]
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,
}

impl Library {
    /// The directory, if it is not this program.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let named = std::env::var_os("INCEPTION_EXERCISES").filter(|path| !path.is_empty());
        self.from.clone().or_else(|| named.map(PathBuf::from))
    }

    /// The names of all exercises.
    ///
    /// # Errors
    /// Where the directory cannot be read, or holds none.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = match self.directory() {
            None => EMBEDDED.iter().map(|(name, _)| (*name).into()).collect(),
            Some(directory) => names_in(&directory)?,
        };
        names.sort();
        Ok(names)
    }

    /// All exercises by level and name, and what is wrong with the files of the others.
    ///
    /// # Errors
    /// As [`Library::names`].
    pub(crate) fn all(&self) -> Result<(Vec<Exercise>, Vec<Fault>)> {
        let (mut exercises, mut faults) = (Vec::new(), Vec::new());
        for name in self.names()? {
            match self.read(&name) {
                Ok(exercise) => exercises.push(exercise),
                Err(fault) => faults.push(fault),
            }
        }
        exercises
            .sort_by(|a: &Exercise, b| (a.level, a.minutes, &a.name).cmp(&(b.level, b.minutes, &b.name)));
        Ok((exercises, faults))
    }

    /// The exercise called `name`.
    ///
    /// # Errors
    /// In one line: there is none of that name, and which may be meant; or what is wrong with its file.
    pub(crate) fn named(&self, name: &str) -> Result<Exercise> {
        let names = self.names()?;
        ensure!(!names.is_empty(), "no exercises: when this program was built, there was none in exercises/");
        if !names.iter().any(|known| known == name) {
            let remedy = match nearest(&names, name) {
                Some(near) => format!("did you mean {near}?"),
                None => "inception exercise list shows them".into(),
            };
            return Err(anyhow!("no exercise is called '{name}'; {remedy}"));
        }
        Ok(self.read(name)?)
    }

    /// The same exercise with its solution, from the first place that has it.
    ///
    /// # Errors
    /// In one line, where it is to be had.
    pub(crate) fn with_solution(&self, name: &str) -> Result<Exercise> {
        let file = format!("{name}.toml");
        let program = std::env::current_exe().ok();
        let checkout =
            program.and_then(|it| Target::around(&it)?.checkout(&Path::new("exercises").join(&file)));
        let places = [self.directory(), checkout.map(|it| it.join("exercises")), Some(TEACHERS.into())];
        let files = places.into_iter().flatten().map(|place| place.join(&file)).filter(|path| path.is_file());
        for path in files {
            let exercise = Exercise::read(&path)?;
            if exercise.solution.is_some() {
                return Ok(exercise);
            }
        }
        Err(anyhow!(
            "the solution of {name} is not here; ask your teacher, who has the package inception-teacher"
        ))
    }

    fn read(&self, name: &str) -> Result<Exercise, Fault> {
        match self.directory() {
            Some(directory) => Exercise::read(&directory.join(format!("{name}.toml"))),
            None => {
                let text = EMBEDDED.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
                let given = |path: &str| {
                    HANDOUTS.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_string())
                };
                Exercise::parse(name, text, &format!("exercises/{name}.toml"), &given)
            }
        }
    }
}

fn names_in(directory: &Path) -> Result<Vec<String>> {
    let unreadable = || format!("cannot read the exercises in {}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.extension() == Some(OsStr::new("toml")) {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    ensure!(!names.is_empty(), "{} has no exercise; its files are called NAME.toml", directory.display());
    Ok(names)
}

fn nearest<'a>(names: &'a [String], word: &str) -> Option<&'a String> {
    // As clap has it for its own words.
    const ALIKE: f64 = 0.7;
    let alike = |name: &String| strsim::jaro_winkler(name, word);
    names.iter().max_by(|a, b| alike(a).total_cmp(&alike(b))).filter(|name| alike(name) > ALIKE)
}
