//! What an experiment claims, without a run of it.

use anyhow::{Context, Result, bail, ensure};
use ns_core::ExitStatus;

use crate::demos::Demo;
use crate::program::{self, Running};
use crate::stdout::BufferedStdout;
use transcript::Claim;

/// The claims that an experiment declares, without a run of it.
pub(crate) fn declared(demo: &Demo, stdout: &BufferedStdout) -> Result<Vec<Claim>> {
    let program = program::find(demo.name).ok_or_else(|| program::not_found(&[demo.name]))?;
    let mut running = Running::start(&program, &["--list-claims", "--format", "jsonl"])?;
    let mut claims = Vec::new();
    while let Some(line) = running.line(stdout)? {
        let head = serde_json::from_slice(&line)
            .with_context(|| format!("its line {} is no claim", claims.len() + 1))?;
        claims.push(Claim::declared(head));
    }
    match running.end()? {
        ExitStatus::Exited(0) => {}
        end => bail!("--list-claims: {end}"),
    }
    ensure!(!claims.is_empty(), "it declares no claim");
    Ok(claims)
}
