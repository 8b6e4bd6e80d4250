//! `w`: the rules behind what is seen, and where they stand.

use anyhow::Result;
use lesson::render::wrap;

use super::page::Page;
use crate::demos::Demo;
use crate::markdown;
use transcript::{ClaimResult, Run};

/// Says which rules the last step has shown, which manual pages state them, and what the doc says about why.
pub(super) fn show(demo: &Demo, run: &Run, page: &Page<'_>) -> Result<()> {
    let width = page.columns();
    let last = Some(page.judged().0);
    let judged = run.claims.iter().filter(|claim| matches!(claim.result, Some(ClaimResult::Judged { .. })));
    for rule in judged.filter(|claim| claim.step == last).map(|claim| &claim.head) {
        let text = &run.correction(rule).unwrap_or(rule).text;
        page.say(&page.layout().wrap(&format!("{text} Factor: {}.", rule.factor), "   - ", "     "))?;
    }
    let pages = run.begin.man.join(", ");
    page.say(&wrap(&format!("The rules stand in {pages}."), width, "   ", "   "))?;
    match markdown::section(demo.doc, "Why") {
        Some(text) => page.say(&format!("\n{}\n", markdown::render(text, page.layout()).trim_matches('\n'))),
        None => page.remark(&format!("Why it is so: inception read {}", demo.name)),
    }
}
