//! All programs in one file. The name of the file that is executed says which of them it is; they are hard links to it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

type Program = (&'static str, fn() -> ExitCode);

const PROGRAMS: &[Program] = &include!("programs.rs");

fn main() -> ExitCode {
    let executed = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let called = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    match named(&executed).or_else(|| named(&called)) {
        Some((_, main)) => main(),
        None => {
            eprintln!("{}: no program has this name; use a link that the package has", called.display());
            ExitCode::from(2)
        }
    }
}

/// The program that a path names. Where no procfs is mounted, and of a copy with another name, an experiment's roles tell:
/// they begin with its name.
fn named(path: &Path) -> Option<&'static Program> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let is_role = |program: &str| name.strip_prefix(program).is_some_and(|rest| rest.starts_with('-'));
    let exact = PROGRAMS.iter().find(|(program, _)| *program == name);
    exact.or_else(|| PROGRAMS.iter().find(|(program, _)| is_role(program)))
}
