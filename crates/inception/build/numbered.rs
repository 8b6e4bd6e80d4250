//! The numbered list, as file names give it: `demos/NN-name.sh` and `docs/NN-name.md`; and the path through it, which is
//! the table of README.md.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A demo and the doc that is paired with it by its stem.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// The experiment, which is the name of its binary.
    pub(crate) name: String,
    /// The doc's text; empty while nobody has written it.
    pub(crate) doc: String,
    /// The text of what the doc leaves out; empty likewise.
    pub(crate) reference: String,
    /// Its place on the path, from 0: what README.md has no row of comes last.
    pub(crate) place: usize,
    /// The numbers of those to take first.
    pub(crate) needs: Vec<u8>,
}

impl Numbered {
    /// The doc's first heading.
    pub(crate) fn question(&self) -> &str {
        self.doc.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().trim()
    }
}

/// Reads both folders, and the path in the table of `readme`. A file of another form is none of ours, and each may be
/// missing.
///
/// # Errors
/// One line, when a folder or doc cannot be read, or one number stands for two names.
pub(crate) fn read(demos: &Path, docs: &Path, readme: &Path) -> Result<BTreeMap<u8, Numbered>, String> {
    let mut list = BTreeMap::new();
    for (folder, extension) in [(demos, "sh"), (docs, "md")] {
        for (number, name) in stems(folder, extension)? {
            let other: &Numbered =
                list.entry(number).or_insert_with(|| Numbered { name: name.clone(), ..Numbered::default() });
            if other.name != name {
                let folder = folder.display();
                return Err(format!("{folder}: {number:02} is '{name}' here and '{}' elsewhere", other.name));
            }
        }
    }
    for (number, numbered) in &mut list {
        let file = format!("{number:02}-{}.md", numbered.name);
        numbered.doc = text(&docs.join(&file))?;
        numbered.reference = text(&docs.join("reference").join(&file))?;
    }
    let mut last = Vec::new();
    let path = path(&text(readme)?);
    for (number, numbered) in &mut list {
        match path.iter().position(|(on_it, _)| on_it == number) {
            Some(place) => (numbered.place, numbered.needs) = (place, path[place].1.clone()),
            None => last.push(numbered),
        }
    }
    for (after, numbered) in last.into_iter().enumerate() {
        numbered.place = path.len() + after;
    }
    Ok(list)
}

/// The text of a file, which may be missing.
fn text(path: &Path) -> Result<String, String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|error| format!("{}: {error}", path.display())),
    }
}

/// The numbers of the experiments in the order of the rows of README.md's table, each with those of its third column.
fn path(readme: &str) -> Vec<(u8, Vec<u8>)> {
    let row = |line: &str| {
        let (_, doc) = line.strip_prefix("| ")?.split_once("](docs/")?;
        let (number, _) = parse(doc.split(')').next()?, "md")?;
        let first = line.split(" | ").nth(2).unwrap_or_default();
        Some((number, first.split(", ").filter_map(|it| it.parse().ok()).collect()))
    };
    readme.lines().filter_map(row).collect()
}

fn stems(folder: &Path, extension: &str) -> Result<Vec<(u8, String)>, String> {
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(told)?,
    };
    let mut stems = Vec::new();
    for entry in entries {
        let file = entry.map_err(told)?.file_name();
        stems.extend(file.to_str().and_then(|file| parse(file, extension)));
    }
    stems.sort();
    Ok(stems)
}

/// `11-pid-ns-init.sh` is number 11, `pid-ns-init`.
fn parse(file: &str, extension: &str) -> Option<(u8, String)> {
    let stem = file.strip_suffix(extension)?.strip_suffix('.')?;
    let (number, name) = stem.split_once('-')?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain);
    let is_number = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_name && is_number { Some((number.parse().ok()?, name.into())) } else { None }
}

/// The list as an array of `Demo`, in Rust.
pub(crate) fn as_rust(list: &BTreeMap<u8, Numbered>) -> String {
    let mut text = String::from("&[\n");
    for (number, numbered) in list {
        let Numbered { name, doc, reference, place, needs } = numbered;
        let question = numbered.question();
        let _ = writeln!(
            text,
            "    Demo {{ number: {number}, name: {name:?}, question: {question:?}, needs: &{needs:?}, place: {place}, doc: {doc:?}, reference: {reference:?} }},"
        );
    }
    text + "]\n"
}
