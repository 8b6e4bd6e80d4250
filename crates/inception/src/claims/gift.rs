//! The core questions as Moodle reads them: GIFT (docs.moodle.org/en/GIFT_format).

use transcript::{Claim, DeclaredAnswer};

use crate::demos::Demo;

/// The questions about an experiment's core claims, in a category of its own.
pub(super) fn gift(demo: &Demo, claims: &[Claim]) -> String {
    let mut text = format!("$CATEGORY: Inception/{}\n", demo.title());
    for claim in claims.iter().map(|claim| &claim.head).filter(|head| head.core) {
        let Some(question) = &claim.question else { continue };
        let name = escaped(&format!("{}/{}", demo.name, claim.id));
        // Plain, so that backticks and angle brackets stay what they are.
        text += &format!("\n::{name}::[plain]{} {{\n{}}}\n", escaped(question), answers(&claim.answers));
    }
    text + "\n"
}

fn answers(answers: &[DeclaredAnswer]) -> String {
    let line = |it: &DeclaredAnswer| {
        let why = it.why.as_ref().map(|why| escaped(&format!("Why people say so: {why}.")));
        let why = why.map_or_else(String::new, |why| format!(" # {why}"));
        format!("\t{}{}{why}\n", if it.right { '=' } else { '~' }, escaped(&it.answer))
    };
    answers.iter().map(line).collect()
}

/// A text in which no character is a sign.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if "\\~=#{}:".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
