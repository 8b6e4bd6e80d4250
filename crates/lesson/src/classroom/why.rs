//! `w`: the rules behind what is seen, and where they stand.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::page::Page;
use crate::event::{ClaimHead, Event};
use crate::model::Experiment;
use crate::render;

/// Says which rules the last steps have shown, which manual pages state them, and what the doc says about why.
pub(super) fn show(experiment: &Experiment, page: &Page<'_>) -> Result<()> {
    let width = page.columns();
    // The step that waits has shown nothing yet.
    let last = page.step().saturating_sub(1);
    let judged = |event: &Event| match event {
        Event::Judged { claim, .. } => experiment.claims.iter().find(|own| own.id == claim),
        _ => None,
    };
    let rules: Vec<ClaimHead> = page.events_of(last).filter_map(judged).map(ClaimHead::from).collect();
    for rule in &rules {
        let text = rule.correction.as_ref().and_then(|id| experiment.claims.iter().find(|own| own.id == id));
        let text = text.map_or(rule.text.as_str(), |right| right.text);
        page.say(&render::wrap(&format!("{text} Cause: {}.", rule.cause), width, "   - ", "     "))?;
    }
    let pages = experiment.man.join(", ");
    page.say(&render::wrap(&format!("The rules stand in {pages}."), width, "   ", "   "))?;
    match section(experiment.name, width) {
        Some(text) => page.say(&format!("\n{text}\n")),
        None => page.remark(&format!("Why it is so: inception read {}", experiment.name)),
    }
}

/// The section "Why" of the experiment's doc, set by the driver that stands beside us.
fn section(name: &str, width: usize) -> Option<String> {
    let driver = std::env::current_exe().ok()?.with_file_name("inception");
    let mut command = Command::new(driver.exists().then_some(driver)?);
    command.args(["read", name, "--section", "Why", "--width", &width.to_string(), "--color", "always"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim_matches('\n').to_string() + "\n")
}
