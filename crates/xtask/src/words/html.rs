//! The prose of a page's template.

use super::prose::{self, Block, Kind};

/// Elements that stand in a sentence. Every other begins a text of its own.
const INLINE: &[&str] = &["a", "abbr", "b", "code", "em", "i", "span", "strong"];

/// What stands between tags. What a value is put in the place of counts as a word, and an instruction is none.
pub(super) fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut current) = (Vec::new(), Block::default());
    let (mut rest, mut line) = (text, 1);
    while !rest.is_empty() {
        let (piece, after) = cut(rest);
        if let Some(tag) = piece.strip_prefix('<') {
            let name = tag.trim_start_matches('/');
            let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
            if !INLINE.contains(&name.as_str()) {
                blocks.push(std::mem::take(&mut current));
            }
        } else if piece.starts_with("{{") {
            current.push_code(piece, line);
        } else if !piece.starts_with('{') {
            current.push_with_code(piece, line);
        }
        line += piece.matches('\n').count();
        rest = after;
    }
    blocks.push(current);
    blocks.retain(prose::is_prose);
    blocks.iter_mut().for_each(|block| block.kind = Kind::Output);
    blocks
}

/// The first tag, value, instruction or text, and what follows it.
fn cut(text: &str) -> (&str, &str) {
    let ends = [("<", ">"), ("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
    let end = ends.iter().find(|(begin, _)| text.starts_with(begin));
    let at = match end {
        Some((_, end)) => text.find(end).map(|at| at + end.len()),
        None => ends.iter().filter_map(|(begin, _)| text.find(begin)).min(),
    };
    text.split_at(at.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_tags_is_read() {
        let page = "<style>a { b }</style>\n<p>One of <b>these {{ it.name }}</b> words.\n{% if x %}</p><p>And two more here.\n";
        let found: Vec<_> = blocks(page).iter().map(|it| (it.line(0), it.text.trim().to_string())).collect();
        assert_eq!(
            found,
            [(2, "One of these {{ it.name }} words.".to_string()), (3, "And two more here.".to_string())]
        );
    }
}
