//! The numbered list, and how one of it is asked for.

use std::ffi::{OsStr, OsString};

use anyhow::{Result, anyhow, ensure};
use serde::Serialize;

/// A numbered demo: an experiment, the walkthrough that one types by hand, and the doc that explains both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Demo {
    /// Its place in the notes' order.
    pub(crate) number: u8,
    /// The experiment's binary.
    pub(crate) name: &'static str,
    /// What it asks; empty while the doc is not written.
    pub(crate) question: &'static str,
    /// The numbers of those to take first.
    pub(crate) needs: &'static [u8],
    /// Its place on the path.
    #[serde(skip)]
    pub(crate) place: usize,
    /// The doc's Markdown text.
    #[serde(skip)]
    pub(crate) doc: &'static str,
    /// What the doc leaves out, in Markdown: docs/reference/.
    #[serde(skip)]
    pub(crate) reference: &'static str,
}

/// All of them by number, from the names of the files in demos/ and docs/ and the table of README.md (build.rs).
pub(crate) const ALL: &[Demo] = include!(concat!(env!("OUT_DIR"), "/demos.rs"));

impl Demo {
    /// Its files' names without what follows the dot: `11-pid-ns-init`.
    pub(crate) fn stem(&self) -> String {
        format!("{:02}-{}", self.number, self.name)
    }

    /// As it stands in tables: `11 pid-ns-init`.
    pub(crate) fn title(&self) -> String {
        format!("{:02} {}", self.number, self.name)
    }

    fn is_called(&self, word: &str) -> bool {
        word == self.name || word == self.stem() || word.parse() == Ok(self.number)
    }
}

/// The demos that `words` ask for, each a number, a name or `all`. No word asks for all.
///
/// # Errors
/// One line that names the word that is none of these.
pub(crate) fn chosen(words: &[OsString]) -> Result<Vec<&'static Demo>> {
    ensure!(!ALL.is_empty(), "no demos: when this program was built, there was none in demos/ and docs/");
    if words.is_empty() {
        return Ok(ALL.iter().collect());
    }
    let mut chosen = Vec::new();
    for word in words {
        if word == "all" {
            chosen.extend(ALL);
        } else {
            chosen.push(named(word)?);
        }
    }
    Ok(chosen)
}

/// The one demo that `word` asks for.
///
/// # Errors
/// One line that names the word, and the demo that may be meant.
pub(crate) fn named(word: &OsStr) -> Result<&'static Demo> {
    let text = word.to_string_lossy();
    ALL.iter().find(|demo| demo.is_called(&text)).ok_or_else(|| {
        let remedy = match nearest(&text) {
            Some(demo) => format!("did you mean {} ({})?", demo.name, demo.number),
            None => "inception list shows them".into(),
        };
        anyhow!("no demo is called '{text}'; {remedy}")
    })
}

/// All of them in the order in which to take them.
///
/// # Errors
/// When there is none.
pub(crate) fn path() -> Result<Vec<&'static Demo>> {
    let mut path = chosen(&[])?;
    path.sort_by_key(|demo| demo.place);
    Ok(path)
}

fn nearest(word: &str) -> Option<&'static Demo> {
    // As clap has it for its own words.
    const ALIKE: f64 = 0.7;
    let alike = |demo: &Demo| strsim::jaro_winkler(demo.name, word);
    ALL.iter().max_by(|a, b| alike(a).total_cmp(&alike(b))).filter(|demo| alike(demo) > ALIKE)
}

#[cfg(test)]
#[path = "../build/numbered.rs"]
mod numbered;

#[cfg(test)]
mod tests {
    use super::numbered::{Numbered, as_rust, read};
    use std::fs;
    use std::path::PathBuf;

    /// A workspace that has these files.
    fn workspace(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("inception-{name}-{}", std::process::id()));
        for folder in ["demos", "docs"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        for (path, text) in files {
            fs::write(root.join(path), text).unwrap();
        }
        root
    }

    #[test]
    fn file_names_make_the_list() {
        let root = workspace(
            "list",
            &[
                ("demos/11-pid-ns-init.sh", ""),
                ("demos/02-ns-lifetime.sh", ""),
                ("demos/stage.sh", ""),
                ("demos/07-ipc-ns.sh~", ""),
                ("demos/.08-net-ns.sh.swp", ""),
                ("docs/11-pid-ns-init.md", "# What can kill PID 1?\n\nA \"quoted\" word.\n"),
                ("docs/16-uts-demo.md", "no heading\n"),
                ("docs/DESIGN.md", "# Design\n"),
                ("docs/1-one.md", "# One\n"),
                (
                    "README.md",
                    "| question | run | first | read |\n|---|---|---|---|\n\
                     | Who? | `uts-demo` | – | [docs/16](docs/16-uts-demo.md) |\n\
                     | What can kill PID 1? | `pid-ns-init` | 16, 02 | [docs/11](docs/11-pid-ns-init.md) |\n",
                ),
            ],
        );
        let list = read(&root.join("demos"), &root.join("docs"), &root.join("README.md"));
        fs::remove_dir_all(&root).unwrap();
        let list = list.unwrap();
        let seen: Vec<_> =
            list.iter().map(|(number, it)| (*number, it.name.as_str(), it.question())).collect();
        let expected =
            [(2, "ns-lifetime", ""), (11, "pid-ns-init", "What can kill PID 1?"), (16, "uts-demo", "")];
        assert_eq!(seen, expected, "a demo without a doc, a doc without a demo, and nothing else");
        let path: Vec<_> = list.values().map(|it| (it.place, it.needs.as_slice())).collect();
        assert_eq!(path, [(2, &[][..]), (1, &[16, 2]), (0, &[])], "what README.md has no row of comes last");
        assert!(
            as_rust(&list)
                .contains(r##"question: "What can kill PID 1?", needs: &[16, 2], place: 1, doc: "# What"##)
        );
        assert!(as_rust(&list).contains(r#"A \"quoted\" word.\n"#));
    }

    #[test]
    fn what_is_needed_first_comes_first_on_the_path() {
        let path = super::path().unwrap();
        for (at, demo) in path.iter().enumerate() {
            assert_eq!(demo.place, at, "README.md has one row of {}", demo.name);
            let before = |needed: &u8| path[..at].iter().any(|it| it.number == *needed);
            assert!(demo.needs.iter().all(before), "README.md: {} stands before what it needs", demo.name);
        }
    }

    #[test]
    fn one_number_has_one_name() {
        let root = workspace("two", &[("demos/11-pid-ns-init.sh", ""), ("docs/11-pid-init.md", "")]);
        let list = read(&root.join("demos"), &root.join("docs"), &root.join("README.md"));
        fs::remove_dir_all(&root).unwrap();
        assert!(list.unwrap_err().ends_with("11 is 'pid-init' here and 'pid-ns-init' elsewhere"));
    }

    #[test]
    fn missing_folders_make_an_empty_list() {
        let list = read("/nowhere/demos".as_ref(), "/nowhere/docs".as_ref(), "/nowhere/README.md".as_ref());
        assert_eq!(list, Ok(std::collections::BTreeMap::<u8, Numbered>::new()));
        assert_eq!(as_rust(&list.unwrap()), "&[\n]\n");
    }
}
