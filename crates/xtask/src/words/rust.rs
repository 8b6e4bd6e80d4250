//! The prose of Rust source: comments, and the texts of programs.

use std::ops::Range;

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ExprTuple, FieldValue, File, Item, LitStr, Macro, Member};

use super::markdown;
use super::prose::{self, Block, Kind};

/// Fields whose texts are commands, calls and names.
const CODE: &[&str] = &["by_hand", "calls", "man", "name"];

/// The comments and the texts of a file, without its tests.
///
/// # Errors
/// When it is no Rust.
pub(super) fn blocks(source: &str) -> Result<Vec<Block>> {
    let file = syn::parse_file(source).context("no Rust source")?;
    let mut seen = Texts::default();
    seen.visit_file(&file);
    let mut literals = Vec::new();
    let tokens: TokenStream = source.parse().ok().context("no Rust tokens")?;
    collect(tokens, source, &mut literals);
    let mut blocks = comments(source, &literals, &tests(&file));
    for block in &mut blocks {
        let line = block.line(0);
        block.kind =
            if seen.helps.iter().any(|it| it.contains(&line)) { Kind::Output } else { Kind::Comment };
    }
    blocks.extend(seen.found);
    Ok(blocks)
}

/// The lines of what is for tests alone.
fn tests(file: &File) -> Vec<Range<usize>> {
    struct Tests(Vec<Range<usize>>);
    impl<'ast> Visit<'ast> for Tests {
        fn visit_item(&mut self, item: &'ast Item) {
            if let Some(from) = for_tests(item) {
                self.0.push(from);
            } else {
                visit::visit_item(self, item);
            }
        }
    }
    let mut tests = Tests(Vec::new());
    tests.visit_file(file);
    tests.0
}

/// The lines of an item that is for tests alone.
fn for_tests(item: &Item) -> Option<Range<usize>> {
    let attributes = match item {
        Item::Mod(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Const(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => return None,
    };
    let test = attributes.iter().find(|it| is_test(it))?;
    let span = syn::spanned::Spanned::span(item);
    let begin = syn::spanned::Spanned::span(test).start().line;
    Some(begin.min(span.start().line)..span.end().line + 1)
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("test")
        || (attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test"))
}

/// Whether it derives a command line from a type.
fn is_command_line(attribute: &Attribute) -> bool {
    let derives = |it: &syn::MetaList| {
        let derived = it.tokens.to_string();
        ["Parser", "Args", "Subcommand", "ValueEnum"].iter().any(|name| derived.contains(name))
    };
    attribute.path().is_ident("derive") && attribute.meta.require_list().is_ok_and(derives)
}

/// Where literals are, as bytes of the source: `//` in them begins no comment.
fn collect(tokens: TokenStream, source: &str, literals: &mut Vec<Range<usize>>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect(group.stream(), source, literals),
            TokenTree::Literal(literal) => {
                let range = literal.span().byte_range();
                // A doc comment is a token too.
                if !source[range.clone()].starts_with("//") {
                    literals.push(range);
                }
            }
            _ => {}
        }
    }
}

/// Comments. Those on lines of their own, one below the other, are one text, which is Markdown.
fn comments(source: &str, literals: &[Range<usize>], tests: &[Range<usize>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let (mut group, mut kind, mut next) = (Vec::<(usize, String)>::new(), String::new(), 0);
    let mut offset = 0;
    for (number, line) in (1..).zip(source.split_inclusive('\n')) {
        let begin = offset;
        offset += line.len();
        let is_code = |at: usize| literals.iter().any(|it| it.contains(&(begin + at)));
        let found = line.match_indices("//").map(|(at, _)| at).find(|at| !is_code(*at));
        let Some(at) = found.filter(|_| !tests.iter().any(|it| it.contains(&number))) else { continue };
        let comment = line[at..].trim_end();
        let marker: String = comment.chars().take_while(|it| matches!(it, '/' | '!')).collect();
        let text = &comment[marker.len()..];
        let begins_line = line[..at].trim().is_empty();
        if !begins_line || number != next || marker != kind {
            blocks.extend(read(&group));
            group.clear();
        }
        group.push((number, text.strip_prefix(' ').unwrap_or(text).to_string()));
        (kind, next) = (marker, if begins_line { number + 1 } else { 0 });
    }
    blocks.extend(read(&group));
    blocks
}

fn read(lines: &[(usize, String)]) -> Vec<Block> {
    let text: String = lines.iter().map(|(_, text)| format!("{text}\n")).collect();
    let number = |line: usize| lines.get(line).or(lines.last()).map_or(1, |(number, _)| *number);
    markdown::blocks(&text, number)
}

#[derive(Default)]
struct Texts {
    found: Vec<Block>,
    /// Comments in commands are read, and nothing else there.
    is_command: bool,
    /// The lines of types whose doc comments are the help of options.
    helps: Vec<Range<usize>>,
}

impl Texts {
    fn add(&mut self, text: &str, line: usize) {
        if self.is_command {
            if let Some((_, comment)) = text.rsplit_once(" # ") {
                self.found.push(Block::of(comment, line));
            }
            return;
        }
        for (below, paragraph) in paragraphs(text) {
            // A literal that breaks its lines by a backslash is one line here: what it says stands near its first.
            let mut block = Block::of(paragraph, line + below);
            block.kind = Kind::Output;
            block.mask_values();
            if prose::is_prose(&block) {
                self.found.push(block);
            }
        }
    }

    fn scan(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Literal(literal) => {
                    let line = literal.span().start().line;
                    if let Ok(text) = syn::parse_str::<LitStr>(&literal.to_string()) {
                        self.add(&text.value(), line);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Texts {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Struct(it) => it.attrs.as_slice(),
            Item::Enum(it) => it.attrs.as_slice(),
            _ => &[],
        };
        if attributes.iter().any(is_command_line) {
            let span = syn::spanned::Spanned::span(item);
            self.helps.push(span.start().line..span.end().line + 1);
        }
        if for_tests(item).is_none() {
            visit::visit_item(self, item);
        }
    }

    fn visit_field_value(&mut self, field: &'ast FieldValue) {
        let Member::Named(name) = &field.member else { return visit::visit_field_value(self, field) };
        if name == "examples" {
            Examples(self).visit_field_value(field);
            return;
        }
        let before = self.is_command;
        self.is_command |= CODE.iter().any(|it| name == it);
        visit::visit_field_value(self, field);
        self.is_command = before;
    }

    // A doc comment is among the comments.
    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if !attribute.path().is_ident("doc") {
            if let Ok(list) = attribute.meta.require_list() {
                self.scan(list.tokens.clone());
            }
        }
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.add(&text.value(), text.span().start().line);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.scan(item.tokens.clone());
    }
}

/// Of a command line and what it is for, the second.
struct Examples<'a>(&'a mut Texts);

impl<'ast> Visit<'ast> for Examples<'_> {
    fn visit_expr_tuple(&mut self, tuple: &'ast ExprTuple) {
        if let Some(what) = tuple.elems.iter().nth(1) {
            self.0.visit_expr(what);
        }
    }
}

/// What stands between empty lines, and each line that is indented: the line below the first, and the text.
fn paragraphs(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let (mut from, mut first) = (0, 0);
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim().is_empty() || line.starts_with("  ") {
            found.push((first, &text[from..offset]));
            (from, first) = (offset, number);
        }
        offset += line.len();
    }
    found.push((first, &text[from..]));
    found.retain(|(_, paragraph)| !paragraph.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Vec<(usize, String)> {
        blocks(source).unwrap().into_iter().map(|it| (it.line(0), it.text.trim_end().to_string())).collect()
    }

    #[test]
    fn comments_and_texts_are_read_and_tests_are_not() {
        let source = "//! About\n//! it all.\n\n/// A thing.\nconst A: &str = \"no // comment at all\"; // behind it\n\
                      fn b() { println!(\"{} of the world\", 1); }\n\
                      #[cfg(test)]\nmod tests {\n    // Not this.\n    const C: &str = \"nor this one here\";\n}\n";
        let expected = [
            (1, "About it all."),
            (4, "A thing."),
            (5, "behind it"),
            (5, "no // comment at all"),
            (6, "{} of the world"),
        ];
        assert_eq!(read(source), expected.map(|(line, text)| (line, text.to_string())));
    }

    #[test]
    fn commands_names_and_calls_are_no_prose() {
        let source = "const A: B = B { by_hand: &[\"sleep for a while\", \"ls  # what is there now\"],\n\
                      examples: &[(\"run this one now\", \"what it does\")], calls: &[\"a b c d\"],\n\
                      title: \"for a in b c d; do echo $a; done\" };\n";
        let expected = [(1, "what is there now"), (2, "what it does")];
        assert_eq!(read(source), expected.map(|(line, text)| (line, text.to_string())));
    }

    #[test]
    fn what_is_indented_is_a_paragraph_of_its_own() {
        assert_eq!(paragraphs("a\nb\n\nc\n  d\n"), [(0, "a\nb\n"), (2, "\nc\n"), (4, "  d\n")]);
    }
}
