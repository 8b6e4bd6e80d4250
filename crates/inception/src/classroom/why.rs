//! `w`: the rules behind what is seen, and where they stand.

use anyhow::Result;

use super::doc;
use super::page::Page;
use crate::demos::Demo;
use transcript::Run;

/// Says which rules the step has shown so far, which manual pages state them, and what the doc says of these. It is at
/// most a screen, and has nothing of what is to come.
pub(super) fn show(demo: &Demo, run: &Run, page: &Page<'_>) -> Result<()> {
    let layout = page.layout();
    let (step, ids) = page.judged();
    if step == 0 {
        return page.remark("No step has shown anything yet.");
    }
    if ids.is_empty() {
        return page
            .remark(&format!("Step {step} has shown nothing yet. b goes back to what was shown before."));
    }
    let shown: Vec<_> = ids.iter().filter_map(|id| run.claim(id)).map(|claim| &claim.head).collect();
    let rule = |text: &str, factor: &str| layout.wrap(&format!("{text} Factor: {factor}."), "   - ", "     ");
    let mut rules: Vec<String> = Vec::new();
    for claim in &shown {
        let right = run.correction(claim).unwrap_or(claim);
        let rule = rule(&right.text, &right.factor);
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    let pages = layout.wrap(&format!("The rules stand in {}.", run.begin.man.join(", ")), "   ", "   ");
    let more = layout.wrap(&format!("More: inception read {}", demo.name), "   ", "   ");
    let mut text = rules.concat() + &pages;
    let to_come: Vec<&str> =
        run.claims.iter().map(|claim| claim.head.id.as_str()).filter(|id| !page.has_shown(id)).collect();
    let numbers: Vec<u16> = shown.iter().flat_map(|claim| claim.notes.clone()).collect();
    let reasons = [
        doc::why(demo.doc, "Step by step", &ids, &to_come),
        doc::why(demo.reference, "Why", &ids, &to_come),
        doc::on_notes(demo.doc, &numbers),
    ];
    for part in reasons.concat() {
        let part = format!("\n{}", layout.wrap(&part, "   ", "   "));
        // What does not fit any more is left to the doc.
        if text.lines().count() + part.lines().count() + more.lines().count() < page.room() {
            text += &part;
        }
    }
    page.say(&(text + &more))
}
