//! For tests: what one experiment with one claim covers.

use super::judges::Coverage;
use crate::claims::notes::{Number, Sentence};
use crate::demos::Demo;
use transcript::{Claim, ClaimHead};

const DEMO: Demo = Demo {
    number: 11,
    name: "pid-ns-init",
    question: "",
    needs: &[],
    place: 0,
    doc: "# A",
    reference: "# A",
};

/// A sentence of the notes.
pub(super) fn sentence(number: Number, reason: Option<&str>) -> Sentence {
    let text = format!("The sentence {number}.");
    Sentence { number, section: "A".into(), text, reason: reason.map(String::from) }
}

/// What a claim that judges these numbers covers.
pub(super) fn coverage(notes: &[u16], more: &[u16], sentences: Vec<Sentence>) -> Coverage {
    let head = ClaimHead {
        id: "immune".into(),
        text: "It is immune.".into(),
        notes: notes.to_vec(),
        more: more.to_vec(),
        ..ClaimHead::default()
    };
    let mut coverage = Coverage::of(sentences, &[(&DEMO, vec![Claim::declared(head)])]);
    // The true errata name claims that this one experiment lacks.
    coverage.faults.retain(|fault| !fault.contains("docs/errata.md"));
    coverage
}
