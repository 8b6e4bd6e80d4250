//! The command: which hand-ins are marked, by which rules, and what is written.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use lesson::render::Layout;
use lesson::{Screen, complain, status};
use ns_core::printable;
use pages::{Replacement, Target};

use super::catalogue::catalogue;
use super::class::Class;
use super::gradescope;
use super::junit::junit;
use super::page::Page;
use super::read::{self, Found};
use super::results::{self, Student};
use super::table::csv;
use crate::exercise::Library;
use crate::stdout::BufferedStdout;

/// What to mark, and what to write.
#[derive(Debug, Args)]
pub(crate) struct Grade {
    /// The directory of the hand-ins: every file below it
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// The table to write, a row a student (-: standard output)
    #[arg(short, long, value_name = "FILE.csv", required_unless_present_any = ["gradescope", "junit", "html"])]
    output: Option<PathBuf>,

    /// How the class is marked: class word, deadline, points, penalties
    #[arg(long, value_name = "FILE.toml")]
    class: Option<PathBuf>,

    #[command(flatten)]
    library: Library,

    /// Gradescope's results.json: of one student a file, of several a directory with a file each
    #[arg(long, value_name = "DIR|FILE")]
    gradescope: Option<PathBuf>,

    /// JUnit's XML: a suite a student, a case an exercise
    #[arg(long, value_name = "FILE.xml")]
    junit: Option<PathBuf>,

    /// A page: the table, and what the class found hardest
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,

    #[command(flatten)]
    screen: Screen,
}

impl Grade {
    /// Marks them. The exit status is 1 if a file is no hand-in, or if there is none at all.
    pub(crate) fn run(&self) -> Result<u8> {
        let stdout = BufferedStdout::open(&self.screen)?;
        let catalogue = catalogue(&self.library)?;
        let class = match &self.class {
            Some(path) => Class::read(path, &catalogue)?,
            None => Class::default(),
        };
        // What cannot be written shall be known before anything is.
        let targets = [&self.output, &self.junit, &self.html].map(|path| path.as_deref().map(Target::open));
        let [table, xml, page] = targets.map(Option::transpose);
        let (table, xml, page) = (table?, xml?, page?);
        let Found { handed, others } = read::read(&self.directory)?;
        others.iter().for_each(|line| complain("inception", line));
        ensure!(
            !handed.is_empty(),
            "no hand-in in {}: inception exercise export makes them",
            self.directory.display()
        );
        let students = results::mark(&handed, &class, &catalogue);
        let prints = matches!(table, Some(Target::Stdout))
            || matches!(xml, Some(Target::Stdout))
            || matches!(page, Some(Target::Stdout));
        if let Some(target) = table {
            target.write(&csv(&students)?)?;
        }
        if let Some(target) = xml {
            target.write(junit(&students)?.as_bytes())?;
        }
        if let Some(target) = page {
            let others: Vec<_> = others.iter().map(|line| format!("{line:#}")).collect();
            target.write(Page::of(&students, &class, &others).html()?.as_bytes())?;
        }
        if let Some(path) = &self.gradescope {
            write_results(path, &students)?;
        }
        if !prints {
            stdout.show(&summary(&students, self.screen.layout()))?;
        }
        Ok(if others.is_empty() { status::AS_EXPECTED } else { status::UNEXPECTED })
    }
}

/// What was marked, in a line for all and one for each student with a flag.
fn summary(students: &[Student<'_>], layout: Layout) -> String {
    let exercises = students.first().map_or(0, |student| student.marks.len());
    let mut text = format!("{} students, {exercises} exercises\n", students.len());
    for student in students.iter().filter(|student| !student.flags.is_empty()) {
        let flags: Vec<_> = student.flags.iter().map(|flag| printable(&flag.text)).collect();
        text += &layout.wrap(&format!("{}: {}", printable(student.name), flags.join("; ")), "  ", "    ");
    }
    text
}

/// Gradescope's files: `path` is one, or the directory of all.
fn write_results(path: &Path, students: &[Student<'_>]) -> Result<()> {
    if let ([student], false) = (students, path.is_dir()) {
        return Replacement::open(path)?.replace(gradescope::results(student)?.as_bytes());
    }
    std::fs::create_dir_all(path).with_context(|| {
        anyhow!("cannot make {}: name a directory for {} files", path.display(), students.len())
    })?;
    let mut taken = Vec::new();
    for student in students {
        let name = gradescope::file_name(student.name, &taken);
        Replacement::open(&path.join(&name))?.replace(gradescope::results(student)?.as_bytes())?;
        taken.push(name);
    }
    Ok(())
}
