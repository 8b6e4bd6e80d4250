//! What is installed.

use std::process::{Command, Stdio};

pub(crate) fn is_there(program: &str) -> bool {
    let line = format!("command -v {program}");
    Command::new("sh").args(["-c", &line]).stdout(Stdio::null()).status().is_ok_and(|it| it.success())
}
