//! What a claim declares that people answer.

use transcript::{ClaimHead, DeclaredAnswer};

/// The answers that a claim declares; else those that its misconceptions give.
pub(super) fn believed(claim: &ClaimHead) -> Vec<DeclaredAnswer> {
    if !claim.answers.is_empty() {
        return claim.answers.clone();
    }
    let given = claim.misconceptions.iter();
    given
        .map(|it| DeclaredAnswer { answer: it.answer.clone(), right: false, why: Some(it.why.clone()) })
        .collect()
}
