//! A claim before it is judged: its sentence, and what is expected.

use transcript::ClaimHead;

use super::layout::Layout;

/// A claim as it stands in a list.
pub fn claim_head(claim: &ClaimHead, layout: Layout) -> String {
    let mut text = layout.wrap(&format!("{}: {}", claim.id, sentence(claim, false)), "", "  ");
    let expect = match claim.expect.correction() {
        Some(correction) => format!("expected: refuted; see {correction}"),
        None => format!("expected: {}", claim.expect),
    };
    text += &layout.wrap(&format!("factor: {}; {expect}", claim.factor), "    ", "    ");
    text
}

/// The sentence with the numbers that it answers to.
pub(super) fn sentence(claim: &ClaimHead, with_id: bool) -> String {
    let numbers = claim.numbers();
    let id = if with_id { format!(" ({})", claim.id) } else { String::new() };
    if numbers.is_empty() {
        format!("{}{id}", claim.text)
    } else {
        format!("{}{id} [{}]", claim.text, numbers.join(" "))
    }
}
