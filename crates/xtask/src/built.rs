//! `cargo xtask tests`: the test programs that cargo builds.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use lesson::Help;
use serde::Deserialize;

use crate::console::Console;
use crate::project::{self, Project};

pub(crate) const HELP: Help = Help {
    name: "cargo xtask tests",
    about: "build test programs, and list them",
    examples: &[
        ("cargo xtask tests -- --workspace --locked", "of all crates"),
        ("cargo xtask tests -- --package ns-core", "of one"),
    ],
    after: "OPTIONS are those of cargo test. A line each, with tabs between: what it tests\n\
(lib, bin, test), its name, its crate's directory, which cargo would start it\n\
in, and the program.\n\
\n\
Exit status: 0 listed; 2 misused, or cargo could not build them.",
};

#[derive(Debug, clap::Args)]
pub(crate) struct Tests {
    /// Which to build
    #[arg(value_name = "OPTIONS", last = true)]
    options: Vec<String>,
}

impl Tests {
    pub(crate) fn run(&self, project: &Project, console: &mut Console<'_>) -> Result<u8> {
        let mut cargo = project.command("cargo");
        cargo
            .args(["test", "--no-run", "--message-format", "json"])
            .args(&self.options)
            .stderr(Stdio::inherit());
        let (said, status) = project::text_of(&mut cargo, "cargo")?;
        ensure!(status == 0, "cargo could not build them");
        let tests = listed(&said)?;
        ensure!(!tests.is_empty(), "cargo named no test program");
        tests.iter().try_for_each(|line| console.say(line)).map(|()| 0)
    }
}

/// What cargo says of something that it built; of other things it says other things.
#[derive(Deserialize)]
struct Message {
    executable: Option<String>,
    #[serde(default)]
    manifest_path: String,
    target: Option<Target>,
    profile: Option<Profile>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// The lines of [`Tests`], from what cargo says of each thing that it built.
fn listed(said: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for line in said.lines().filter(|line| line.starts_with('{')) {
        let message: Message = serde_json::from_str(line).context("cargo says what is no message of its")?;
        if let Message {
            executable: Some(program),
            manifest_path,
            target: Some(target),
            profile: Some(Profile { test: true }),
        } = message
        {
            let directory = manifest_path.strip_suffix("/Cargo.toml").unwrap_or(&manifest_path);
            found.push(format!("{}\t{}\t{directory}\t{program}", target.kind.join(","), target.name));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_programs_are_listed() {
        let program = |kind: &str, test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/p/crates/x/Cargo.toml","target":{{"kind":["{kind}"],"name":"n"}},"profile":{{"opt_level":"0","test":{test}}},"executable":{executable}}}"#
            )
        };
        let said = [
            program("lib", false, "null"),
            program("test", true, "\"/t/n-1\""),
            program("bin", false, "\"/t/x\""),
            r#"{"reason":"build-finished","success":true}"#.into(),
        ]
        .join("\n");
        assert_eq!(listed(&said).unwrap(), ["test\tn\t/p/crates/x\t/t/n-1"]);
        assert!(listed("{\"reason\":").is_err());
    }
}
