//! What differs between two texts, as diff(1) shows it.

use std::fs::File;
use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The unified difference from `before` to `after`, each under its name; `None` if there is none.
///
/// # Errors
/// When diff(1) cannot be run.
pub(crate) fn between(before: (&str, &str), after: (&str, &str)) -> Result<Option<String>> {
    if before.1 == after.1 {
        return Ok(None);
    }
    let directory = tempfile::tempdir()?;
    let mut command = Command::new("diff");
    command.arg("-u");
    for (file, (name, text)) in [("before", before), ("after", after)] {
        File::create(directory.path().join(file))?.write_all(text.as_bytes())?;
        command.args(["--label", name]);
    }
    command.args(["before", "after"]).current_dir(directory.path()).stdin(Stdio::null());
    let output = command.output().context("cannot run diff")?;
    ensure!(output.status.code() == Some(1), "diff: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_shown_under_both_names() {
        assert_eq!(between(("a", "1\n"), ("b", "1\n")).unwrap(), None);
        let shown = between(("a", "1\n2\n"), ("b", "1\n3\n")).unwrap();
        assert_eq!(shown.unwrap(), "--- a\n+++ b\n@@ -1,2 +1,2 @@\n 1\n-2\n+3\n");
    }
}
