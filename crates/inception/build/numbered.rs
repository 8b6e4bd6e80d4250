//! The numbered list, as file names give it: `demos/NN-name.sh` and `docs/NN-name.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// A demo and the doc that is paired with it by its stem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    /// The experiment, which is the name of its binary.
    pub(crate) name: String,
    /// The doc's text; empty while nobody has written it.
    pub(crate) doc: String,
}

impl Numbered {
    /// The doc's first heading.
    pub(crate) fn question(&self) -> &str {
        self.doc.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().trim()
    }
}

/// Reads both folders. A file of another form is none of ours, and a folder may be missing.
///
/// # Errors
/// One line, when a folder or doc cannot be read, or one number stands for two names.
pub(crate) fn read(demos: &Path, docs: &Path) -> Result<BTreeMap<u8, Numbered>, String> {
    let mut list = BTreeMap::new();
    for (folder, extension) in [(demos, "sh"), (docs, "md")] {
        for (number, name) in stems(folder, extension)? {
            let other: &Numbered =
                list.entry(number).or_insert_with(|| Numbered { name: name.clone(), doc: String::new() });
            if other.name != name {
                let folder = folder.display();
                return Err(format!("{folder}: {number:02} is '{name}' here and '{}' elsewhere", other.name));
            }
        }
    }
    for (number, numbered) in &mut list {
        let path = docs.join(format!("{number:02}-{}.md", numbered.name));
        numbered.doc = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            other => other.map_err(|error| format!("{}: {error}", path.display()))?,
        };
    }
    Ok(list)
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
        let (name, doc) = (&numbered.name, &numbered.doc);
        let question = numbered.question();
        let _ = writeln!(
            text,
            "    Demo {{ number: {number}, name: {name:?}, question: {question:?}, doc: {doc:?} }},"
        );
    }
    text + "]\n"
}
