//! The exercises, as students get them: `exercises/NAME.toml` up to its line `[solution]`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The line from which on a file is for teachers.
const SOLUTION: &str = "[solution]";

/// The text of each exercise by its name, without its solution. The folder may be missing.
///
/// # Errors
/// One line, when the folder or a file cannot be read.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let told = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        other => other.map_err(|error| told(folder, error))?,
    };
    let mut exercises = BTreeMap::new();
    for entry in entries {
        let path = entry.map_err(|error| told(folder, error))?.path();
        let name =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".toml"));
        let Some(name) = name else { continue };
        let text = fs::read_to_string(&path).map_err(|error| told(&path, error))?;
        exercises.insert(name.to_string(), without_solution(&text));
    }
    Ok(exercises)
}

/// What of a file is for students.
pub(crate) fn without_solution(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.trim_end() != SOLUTION);
    lines.map(|line| format!("{line}\n")).collect()
}

/// The files that the exercises hand out, by their paths from `top`: what stands in quotes in a line `files = […]`.
///
/// # Errors
/// One line, when one cannot be read.
pub(crate) fn handouts(
    exercises: &BTreeMap<String, String>,
    top: &Path,
) -> Result<BTreeMap<String, String>, String> {
    let lines = exercises.values().flat_map(|text| text.lines());
    let lists = lines.filter_map(|line| line.strip_prefix("files")?.trim_start().strip_prefix('='));
    let mut files = BTreeMap::new();
    for path in lists.flat_map(|list| list.split('"').skip(1).step_by(2)) {
        let text = fs::read_to_string(top.join(path)).map_err(|error| format!("{path}: {error}"))?;
        files.insert(path.to_string(), text);
    }
    Ok(files)
}

/// Texts as an array of name and text, in Rust.
pub(crate) fn as_rust(texts: &BTreeMap<String, String>) -> String {
    let mut rust = String::from("&[\n");
    for (name, text) in texts {
        let _ = writeln!(rust, "    ({name:?}, {text:?}),");
    }
    rust + "]\n"
}
