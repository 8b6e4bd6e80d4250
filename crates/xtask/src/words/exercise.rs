//! The prose of an exercise's file: what a student reads, and what is wrong with a near miss.

use anyhow::Result;
use serde::Deserialize;
use toml::Spanned;

use super::prose::{self, Block, Kind};

#[derive(Deserialize)]
struct File {
    title: Spanned<String>,
    task: Spanned<String>,
    explanation: Spanned<String>,
    #[serde(default)]
    requirement: Vec<Requirement>,
    #[serde(default)]
    near_miss: Vec<NearMiss>,
}

#[derive(Deserialize)]
struct Requirement {
    #[serde(default)]
    hints: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
struct NearMiss {
    what: Spanned<String>,
}

/// Each text, with what a value stands in the place of as code. A hint that ends as no
/// sentence does is a command.
///
/// # Errors
/// When it is no file of that form.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>> {
    let file: File = toml::from_str(text)?;
    let hints = file.requirement.into_iter().flat_map(|it| it.hints);
    let hints = hints.filter(|it| it.get_ref().trim_end().ends_with(['.', '?', '!', ')']));
    let misses = file.near_miss.into_iter().map(|it| it.what);
    let texts = [file.title, file.task, file.explanation].into_iter().chain(hints).chain(misses);
    let mut blocks: Vec<Block> = texts.map(|it| block(text, &it)).collect();
    blocks.retain(prose::is_prose);
    Ok(blocks)
}

fn block(text: &str, it: &Spanned<String>) -> Block {
    let before = &text[..it.span().start];
    // A text of several lines begins below its quotation marks.
    let opens = usize::from(text[it.span().start..].starts_with("\"\"\"\n"));
    let mut block = Block::of(it.get_ref(), 1 + before.matches('\n').count() + opens);
    block.mask_values();
    block.kind = Kind::Output;
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_student_reads_is_read_and_commands_are_not() {
        let text = "title = \"A world of its own\"\ntask = \"\"\"\nStart a shell that is called {name}.\n\"\"\"\n\
                    explanation = \"\"\n[[requirement]]\nhints = [\"Which namespace is it in?\", \"unshare --uts bash\"]\n\
                    [[near_miss]]\nwhat = \"nobody sets the name\"\n";
        let read: Vec<_> =
            blocks(text).unwrap().iter().map(|it| (it.line(0), it.text.trim().to_string())).collect();
        let said = |line, text: &str| (line, text.to_string());
        assert_eq!(
            read,
            [
                said(1, "A world of its own"),
                said(3, "Start a shell that is called {name}."),
                said(7, "Which namespace is it in?"),
                said(9, "nobody sets the name"),
            ]
        );
    }
}
