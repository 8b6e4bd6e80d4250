//! The files of a new experiment, from those in template/.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};

use crate::project::{self, Project};

/// What is written where. Names in the text: @name@, @NAME@, @number@, @question@.
const TEMPLATES: &[(&str, &str)] = &[
    ("crates/@name@/Cargo.toml", include_str!("../../template/Cargo.toml")),
    ("crates/@name@/src/main.rs", include_str!("../../template/main.rs")),
    ("crates/@name@/src/shell.rs", include_str!("../../template/shell.rs")),
    ("crates/@name@/tests/promises.rs", include_str!("../../template/promises.rs")),
    ("demos/@number@-@name@.sh", include_str!("../../template/demo.sh")),
    ("docs/@number@-@name@.md", include_str!("../../template/doc.md")),
    ("docs/reference/@number@-@name@.md", include_str!("../../template/reference.md")),
];

const ROW: &str = include_str!("../../template/row.md");

/// Writes the files of an experiment under the next free number. Gives their names.
///
/// # Errors
/// When the name or the question is none, the experiment is there already, or a file cannot be written.
pub(crate) fn write(project: &Project, name: &str, question: &str) -> Result<Vec<String>> {
    is_name(name)?;
    is_question(question)?;
    let place = format!("crates/{name}");
    ensure!(!project.root.join(&place).exists(), "{place} is there already");
    let number = next_number(project)?;
    let readme = with_row(&project.read("README.md")?, &fill(ROW, name, question, &number))?;
    let mut written = Vec::new();
    for (path, text) in TEMPLATES {
        let path = fill(path, name, question, &number);
        let file = project.root.join(&path);
        let folder = file.parent().context("a file is in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        project::write(&file, &fill(text, name, question, &number))?;
        if path.ends_with(".sh") {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        }
        written.push(path);
    }
    project::write(&project.root.join("README.md"), &readme)?;
    written.push("README.md, a row".into());
    Ok(written)
}

fn is_name(name: &str) -> Result<()> {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit())
    };
    let is = name.split('-').all(word) && name.starts_with(|it: char| it.is_ascii_lowercase());
    ensure!(is, "'{name}' is no name: lower-case words and hyphens; try --help");
    Ok(())
}

/// It stands in Rust, TOML, a shell script and a table in Markdown, and in each as it is.
fn is_question(question: &str) -> Result<()> {
    let plain = !question.contains(['"', '\'', '\\', '|', '@', '\n']);
    ensure!(
        question.ends_with('?') && plain,
        "a question is a line that ends with '?', without quotes, \\, | and @; try --help"
    );
    Ok(())
}

fn next_number(project: &Project) -> Result<String> {
    let files = [project.numbered("demos", ".sh")?, project.numbered("docs", ".md")?].concat();
    let last = files.iter().filter_map(|it| it.number.parse::<u8>().ok()).max().unwrap_or(0);
    ensure!(last < 99, "there is no number after 99");
    Ok(format!("{:02}", last + 1))
}

fn fill(template: &str, name: &str, question: &str, number: &str) -> String {
    let constant = name.to_uppercase().replace('-', "_");
    template
        .replace("@name@", name)
        .replace("@NAME@", &constant)
        .replace("@question@", question)
        .replace("@number@", number)
}

/// README.md with one row more below the last of its table of experiments.
fn with_row(readme: &str, row: &str) -> Result<String> {
    let mut lines: Vec<_> = readme.split_inclusive('\n').collect();
    let is_row = |line: &&str| line.starts_with("| ") && line.contains("](docs/");
    let last = lines.iter().rposition(is_row).context("README.md has no table of experiments")?;
    lines.insert(last + 1, row);
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_questions_are_looked_at() {
        assert!(is_name("dev-shm").is_ok() && is_name("x2").is_ok());
        for bad in ["", "-x", "x-", "x--y", "Dev", "2x", "a/b", "a_b"] {
            assert!(is_name(bad).is_err(), "{bad}");
        }
        assert!(is_question("Who sees it?").is_ok());
        for bad in ["", "It is seen.", "Whose is 'it'?", "a|b?", "a\nb?"] {
            assert!(is_question(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_row_goes_below_the_last_one() {
        let readme = "| q | run |\n|---|---|\n| A? | [docs/01](docs/01-a.md) |\n\nAfter.\n";
        let with = with_row(readme, "| B? |\n").unwrap();
        assert_eq!(with, "| q | run |\n|---|---|\n| A? | [docs/01](docs/01-a.md) |\n| B? |\n\nAfter.\n");
        assert!(with_row("# Nothing\n", "| B? |\n").is_err());
    }

    /// docs/contributor.md explains these files, and quotes them.
    #[test]
    fn the_contributors_page_shows_what_is_written() {
        let page = Project::of_this_checkout().read("docs/contributor.md").unwrap();
        let files = TEMPLATES.iter().chain([&("README.md", ROW)]);
        for (path, text) in files {
            let text = fill(text, "dev-shm", "Who sees a file in /dev/shm?", "22");
            assert!(
                page.contains(&format!("\n{text}```\n")) || page.contains(&format!("\n{text}~~~\n")),
                "{path}"
            );
        }
    }
}
