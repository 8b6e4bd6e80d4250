//! Claims that could not be asked: a line for each reason, with its remedy once.

use super::item::item;
use super::lines::first_lines;
use super::tone;

/// What was skipped so far, by its reason.
#[derive(Debug, Default)]
pub(super) struct Skips(Vec<Reason>);

#[derive(Debug)]
struct Reason {
    missing: String,
    remedy: String,
    steps: Vec<usize>,
    claims: Vec<String>,
}

impl Skips {
    /// Takes a claim that was skipped in `step`; 0 is before all steps.
    pub(super) fn add(&mut self, step: usize, claim: &str, missing: &str, remedy: &str) {
        let known = self.0.iter().position(|it| it.missing == missing && it.remedy == remedy);
        let at = known.unwrap_or_else(|| {
            let (steps, claims) = (Vec::new(), Vec::new());
            self.0.push(Reason { missing: missing.into(), remedy: remedy.into(), steps, claims });
            self.0.len() - 1
        });
        let reason = &mut self.0[at];
        reason.claims.push(claim.into());
        if step > 0 && !reason.steps.contains(&step) {
            reason.steps.push(step);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A line for each reason; `verbose` names the claims too.
    pub(super) fn set(&self, width: usize, verbose: bool) -> String {
        self.0.iter().map(|reason| reason.set(width, verbose)).collect()
    }

    /// As [`Skips::set`], of each reason `most` lines: a path can be long.
    pub(super) fn set_short(&self, width: usize, most: usize) -> String {
        let short = |reason: &Reason| first_lines(reason.set(width, false).trim_end(), most) + "\n";
        self.0.iter().map(short).collect()
    }
}

impl Reason {
    fn set(&self, width: usize, verbose: bool) -> String {
        item("SKIPPED", &self.line(verbose), tone::note(), width)
    }

    fn line(&self, verbose: bool) -> String {
        let Reason { missing, remedy, steps, claims } = self;
        let numbers: Vec<_> = steps.iter().map(ToString::to_string).collect();
        let place = match numbers.as_slice() {
            [] => String::new(),
            [only] => format!(" (step {only})"),
            several => format!(" (steps {})", several.join(", ")),
        };
        let names = if verbose { format!("\nClaims: {}", claims.join(", ")) } else { String::new() };
        format!("{}{place}: missing: {missing}. Fix: {remedy}{names}", claims.len())
    }
}
