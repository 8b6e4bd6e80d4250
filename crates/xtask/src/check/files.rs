//! The files of an experiment: which there are to be, and what of them can be seen without building anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use lesson::Help;

use super::parts;
use crate::console::Console;
use crate::project::{Numbered, Project};

pub(crate) const HELP: Help = Help {
    name: "cargo xtask check",
    about: "what is missing of an experiment, a line each",
    examples: &[("cargo xtask check", "of all"), ("cargo xtask check dev-shm", "of one")],
    after: "An experiment NAME has crates/NAME (Cargo.toml, src/main.rs,\n\
tests/promises.rs), demos/NN-NAME.sh, docs/NN-NAME.md,\n\
docs/reference/NN-NAME.md and a row in README.md.\n\
Nothing is built and nothing run; `cargo xtask pairs` asks the programs as\n\
well.\n\
\n\
Exit status: 0 nothing is missing, 1 something is, 2 misused.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The experiments [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

impl Check {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let mut names: Vec<_> = self.names.clone();
        if names.is_empty() {
            names.extend(project.experiments()?);
        }
        let mut missing = Vec::new();
        for name in &names {
            missing.extend(self::missing(project, name)?);
        }
        for line in &missing {
            console.say(line)?;
        }
        if !missing.is_empty() {
            console.complain(format!("missing: {}", missing.len()));
            return Ok(1);
        }
        console.say(format!("{} experiments: nothing is missing", names.len()))?;
        Ok(0)
    }
}

/// What is missing of an experiment, a line each.
///
/// # Errors
/// When what is there cannot be read.
pub(crate) fn missing(project: &Project, name: &str) -> Result<Vec<String>> {
    Ok([crate_faults(project, name)?, Seen::of(project, name)?.1].concat())
}

/// What is missing of the crate.
fn crate_faults(project: &Project, name: &str) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let folder = format!("crates/{name}");
    if !project.root.join(&folder).exists() {
        return Ok(vec![format!("{folder}: is missing; cargo xtask new {name} --question \"…?\" writes it")]);
    }
    for file in ["Cargo.toml", "src/main.rs", "tests/promises.rs"] {
        if !project.root.join(&folder).join(file).exists() {
            faults.push(format!("{folder}/{file}: is missing"));
        }
    }
    if !project.experiments()?.contains(name) {
        faults.push(format!(
            "{folder}/Cargo.toml: does not depend on lesson, which makes a crate an experiment"
        ));
    }
    Ok(faults)
}

/// An experiment's demo and document.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The demo, below the project's directory.
    pub(crate) demo: String,
    /// The document.
    pub(crate) doc: String,
    /// The document's text.
    pub(crate) text: String,
    /// The text of its reference, docs/reference/NN-NAME.md.
    pub(crate) reference: String,
}

impl Seen {
    /// Finds them, and what is missing or wrong about them, a line each. Without both there is nothing to see.
    ///
    /// # Errors
    /// When what is there cannot be read.
    pub(crate) fn of(project: &Project, name: &str) -> Result<(Option<Seen>, Vec<String>)> {
        ensure!(!name.is_empty() && !name.contains('/'), "'{name}' is no name of an experiment; try --help");
        let own = |files: Vec<Numbered>| files.into_iter().filter(|it| it.name == name).collect::<Vec<_>>();
        let (demos, docs) = (own(project.numbered("demos", ".sh")?), own(project.numbered("docs", ".md")?));
        let ([demo], [doc]) = (demos.as_slice(), docs.as_slice()) else {
            let (demos, docs) = (demos.len(), docs.len());
            return Ok((
                None,
                vec![format!(
                    "{name}: has {demos} demos and {docs} documents; write one demos/NN-{name}.sh and one docs/NN-{name}.md"
                )],
            ));
        };
        let numbers_differ = demo.number != doc.number;
        let file = &doc.file;
        let (demo, doc) = (format!("demos/{}", demo.file), format!("docs/{file}"));
        let mut faults = Vec::new();
        if numbers_differ {
            faults.push(format!("{name}: {demo} and {doc} have different numbers; rename one"));
        }
        if fs::metadata(project.root.join(&demo))?.permissions().mode() & 0o111 == 0 {
            faults.push(format!("{demo}: cannot be executed; chmod +x {demo}"));
        }
        if project.read(&demo)?.lines().last() != Some(format!("finish {name}").as_str()) {
            faults.push(format!(
                "{demo}: does not end with the experiment; its last line is to be: finish {name}"
            ));
        }
        let text = project.read(&doc)?;
        faults.extend(parts::faults(&doc, &text)?);
        let path = format!("docs/reference/{file}");
        if !project.root.join(&path).exists() {
            return Ok((None, [faults, vec![format!("{path}: is missing")]].concat()));
        }
        let reference = project.read(&path)?;
        faults.extend(parts::faults_of_reference(&path, &reference));
        let readme = project.read("README.md")?;
        // The backtick begins the command line that runs it.
        for path in [format!("`{name}"), demo.clone(), doc.clone()] {
            if !readme.contains(&path) {
                faults.push(format!("README.md: does not lead to {path}; add it"));
            }
        }
        Ok((Some(Seen { demo, doc, text, reference }), faults))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::new;

    /// A project with one experiment, as `new` writes it.
    fn project() -> (tempfile::TempDir, Project) {
        let folder = tempfile::tempdir().unwrap();
        let project = Project { root: folder.path().into(), target: folder.path().join("target") };
        for path in ["crates", "demos", "docs"] {
            fs::create_dir(folder.path().join(path)).unwrap();
        }
        let row = "| Who? | `x` | [demos/03](demos/03-x.sh) | [docs/03](docs/03-x.md) |\n";
        fs::write(folder.path().join("docs/03-x.md"), "").unwrap();
        fs::write(folder.path().join("README.md"), row).unwrap();
        new::write(&project, "dev-shm", "Who sees a file in /dev/shm?").unwrap();
        (folder, project)
    }

    fn missing(project: &Project) -> Vec<String> {
        super::missing(project, "dev-shm").unwrap()
    }

    #[test]
    fn nothing_is_missing_of_a_new_experiment() {
        let (_folder, project) = project();
        assert_eq!(missing(&project), Vec::<String>::new());
    }

    #[test]
    fn a_file_that_is_taken_away_is_missed() {
        let numbered =
            "dev-shm: has 0 demos and 1 documents; write one demos/NN-dev-shm.sh and one docs/NN-dev-shm.md";
        for (file, expected) in [
            ("crates/dev-shm/src/main.rs", "crates/dev-shm/src/main.rs: is missing"),
            ("crates/dev-shm/tests/promises.rs", "crates/dev-shm/tests/promises.rs: is missing"),
            ("crates/dev-shm/Cargo.toml", "crates/dev-shm/Cargo.toml: is missing"),
            ("demos/04-dev-shm.sh", numbered),
            ("docs/reference/04-dev-shm.md", "docs/reference/04-dev-shm.md: is missing"),
        ] {
            let (_folder, project) = project();
            fs::remove_file(project.root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_eq!(missing(&project)[0], expected);
        }
    }

    #[test]
    fn each_thing_that_is_wrong_is_told() {
        type Case = (&'static str, fn(&str) -> String, &'static str);
        let alter: &[Case] = &[
            ("demos/04-dev-shm.sh", |it| format!("{it}echo\n"), "does not end with the experiment"),
            ("docs/04-dev-shm.md", |it| it.replace("## Try", "## Do"), "its headings are not"),
            ("docs/reference/04-dev-shm.md", |it| it.replace("## Why", "## Because"), "its headings are not"),
            ("README.md", |it| it.replace("docs/04-dev-shm.md", ""), "does not lead to docs/04-dev-shm.md"),
            ("README.md", |it| it.replace("`dev-shm`", ""), "does not lead to `dev-shm"),
            ("crates/dev-shm/Cargo.toml", |it| it.replace("lesson", "lessons"), "does not depend on lesson"),
        ];
        for (file, alter, expected) in alter {
            let (_folder, project) = project();
            let text = project.read(file).unwrap();
            fs::write(project.root.join(file), alter(&text)).unwrap();
            let missing = missing(&project);
            assert!(missing.len() == 1 && missing[0].contains(expected), "{expected}: {missing:?}");
        }
        let (_folder, project) = project();
        let demo = project.root.join("demos/04-dev-shm.sh");
        fs::set_permissions(&demo, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(
            missing(&project),
            ["demos/04-dev-shm.sh: cannot be executed; chmod +x demos/04-dev-shm.sh"]
        );
        fs::rename(&demo, project.root.join("demos/05-dev-shm.sh")).unwrap();
        assert!(missing(&project)[0].contains("have different numbers"));
    }
}
