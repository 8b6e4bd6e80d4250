//! Which claims docs/errata.md leans on.
//!
//! Each of its entries has a heading of the third order and a paragraph that begins with `Shown by:` and names claims, as
//! in `pid-ns-init/immune`; or one that begins with `By hand:`, where it is not about the kernel.

use crate::trial::Settled;

use super::notes;

/// docs/errata.md.
const TEXT: &str = include_str!("../../../../docs/errata.md");

/// A line for each claim that it names and that is not there, and for each entry that names none.
pub(crate) fn faults<'a>(declared: impl Fn(&str) -> Option<&'a [Settled]>) -> Vec<String> {
    faults_of(TEXT, declared)
}

fn faults_of<'a>(text: &str, declared: impl Fn(&str) -> Option<&'a [Settled]>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut entry: Option<String> = None;
    for item in notes::items(text) {
        if item.starts_with('#') {
            faults.extend(entry.take().map(|entry| format!("docs/errata.md: '{entry}' names no claim")));
            entry = item.strip_prefix("### ").map(String::from);
        } else if item.starts_with(BY_HAND) {
            entry = None;
        } else if let Some(shown_by) = item.strip_prefix(SHOWN_BY) {
            entry = None;
            for name in shown_by.split('`').skip(1).step_by(2) {
                let known = name.split_once('/').is_some_and(|(experiment, id)| {
                    declared(experiment).is_some_and(|claims| claims.iter().any(|it| it.head.id == id))
                });
                if !known {
                    faults.push(format!("docs/errata.md: there is no claim '{name}'"));
                }
            }
        }
    }
    faults.extend(entry.map(|entry| format!("docs/errata.md: '{entry}' names no claim")));
    faults
}

const SHOWN_BY: &str = "Shown by:";
const BY_HAND: &str = "By hand:";

#[cfg(test)]
mod tests {
    use super::*;
    use lesson::ClaimHead;

    #[test]
    fn what_is_named_must_be_there() {
        let head = ClaimHead {
            id: "immune".into(),
            text: String::new(),
            cause: String::new(),
            expect: String::new(),
            correction: None,
            notes: Vec::new(),
            more: Vec::new(),
        };
        let claims = [Settled { head, fate: None }];
        let declared = |name: &str| (name == "pid-ns-init").then_some(claims.as_slice());
        let text = "# Errata\n\n## A\n\n### One\n\nText with `code/here`.\n\nShown by: `pid-ns-init/immune`,\n\
            `pid-ns-init/mortal` and `moon/is`.\n\n### Two\n\nText.\n\n### Three\n\nShown by: `pid-ns-init/immune`.\n\n### Four\n\nBy hand: `true`\n";
        assert_eq!(
            faults_of(text, declared),
            [
                "docs/errata.md: there is no claim 'pid-ns-init/mortal'",
                "docs/errata.md: there is no claim 'moon/is'",
                "docs/errata.md: 'Two' names no claim",
            ]
        );
    }
}
