//! Which claims docs/errata.md leans on.
//!
//! Each of its entries has a heading of the third order and a paragraph that begins with `Shown by:` and names claims,
//! as in `pid-ns-init/immune`. Where it is not about the kernel, the paragraph begins with `By hand:`.

use super::notes;
use transcript::Claim;

/// docs/errata.md.
const TEXT: &str = include_str!("../../../../docs/errata.md");

/// The claims of an experiment.
type Declared<'a> = (&'a str, &'a [Claim]);

/// A line for each claim that it names and that is not there, and for each entry that names none. A line, too, for each
/// sentence that is expected to be refuted and that it does not name.
pub(crate) fn faults(declared: &[Declared<'_>]) -> Vec<String> {
    faults_of(TEXT, declared)
}

fn faults_of(text: &str, declared: &[Declared<'_>]) -> Vec<String> {
    let all = || declared.iter().flat_map(|(name, claims)| claims.iter().map(move |it| (name, &it.head)));
    let mut wrong: Vec<_> = all()
        .filter(|(_, head)| head.expect.correction().is_some())
        .map(|(name, head)| format!("{name}/{}", head.id))
        .collect();
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
                if !all()
                    .any(|(experiment, head)| Some((*experiment, head.id.as_str())) == name.split_once('/'))
                {
                    faults.push(format!("docs/errata.md: there is no claim '{name}'"));
                }
                wrong.retain(|claim| claim != name);
            }
        }
    }
    faults.extend(entry.map(|entry| format!("docs/errata.md: '{entry}' names no claim")));
    faults.extend(wrong.iter().map(|claim| format!("docs/errata.md lacks '{claim}', which is wrong")));
    faults
}

const SHOWN_BY: &str = "Shown by:";
const BY_HAND: &str = "By hand:";

#[cfg(test)]
mod tests {
    use super::*;
    use transcript::{ClaimHead, Expectation};

    #[test]
    fn what_is_named_must_be_there() {
        let claim = |id: &str, correction: Option<&str>| {
            Claim::declared(ClaimHead {
                id: id.into(),
                expect: correction
                    .map_or(Expectation::Holds, |it| Expectation::Refuted { correction: it.into() }),
                ..ClaimHead::default()
            })
        };
        let claims =
            [claim("immune", None), claim("cannot-send", Some("immune")), claim("freely", Some("x"))];
        let declared = [("pid-ns-init", claims.as_slice())];
        let text = "# Errata\n\n## A\n\n### One\n\nText with `code/here`.\n\nShown by: `pid-ns-init/immune`,\n\
            `pid-ns-init/mortal`, `pid-ns-init/freely` and `moon/is`.\n\n### Two\n\nText.\n\n\
            ### Three\n\nShown by: `pid-ns-init/immune`.\n\n### Four\n\nBy hand: `true`\n";
        assert_eq!(
            faults_of(text, &declared),
            [
                "docs/errata.md: there is no claim 'pid-ns-init/mortal'",
                "docs/errata.md: there is no claim 'moon/is'",
                "docs/errata.md: 'Two' names no claim",
                "docs/errata.md lacks 'pid-ns-init/cannot-send', which is wrong",
            ]
        );
    }
}
