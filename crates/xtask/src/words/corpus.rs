//! Which files a person reads, and what of them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::prose::{Block, Kind};
use super::{exercise, html, markdown, rust, shell};
use crate::project::{self, Project};

/// What a program writes as a whole: the texts that it is made of are read instead.
const WRITTEN: &[&str] = &["docs/claims.md", "docs/kernels.md", "docs/performance.md", "docs/reliability.md"];

/// The document whose items are sentences of the notes: of them we read what we say, from these words on.
const NOTES: (&str, &str) = ("docs/notes.md", "Not judged:");

/// The folder of files in which names stand between `@`.
const TEMPLATES: &str = "/template/";

/// The texts of all files.
///
/// # Errors
/// When a file cannot be read.
pub(super) fn read(project: &Project) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for file in files(project)? {
        let text = project.read(&file)?;
        let mut found = of(&file, &text).with_context(|| format!("cannot read {file}"))?;
        found.iter_mut().for_each(|block| block.file.clone_from(&file));
        blocks.append(&mut found);
    }
    Ok(blocks)
}

/// What of a file a person reads.
pub(super) fn of(file: &str, text: &str) -> Result<Vec<Block>> {
    if file.contains(TEMPLATES) {
        // A name that is filled in later.
        return of(&file.replace(TEMPLATES, "/"), &text.replace('@', ""));
    }
    if file.ends_with(".rs") {
        return rust::blocks(text);
    }
    if file.ends_with(".html") {
        return Ok(html::blocks(text));
    }
    if file.ends_with(".toml") {
        return exercise::blocks(text);
    }
    if !file.ends_with(".md") {
        return Ok(shell::blocks(text));
    }
    let mut blocks = markdown::blocks(text, |line| line + 1);
    if file == NOTES.0 {
        blocks.retain_mut(our_words);
    }
    Ok(blocks)
}

/// Leaves of an item of the notes what we say of it.
fn our_words(block: &mut Block) -> bool {
    let is_item = block.text.split(' ').next().is_some_and(|it| {
        it.len() > 1 && it.starts_with(['N', 'P', 'M']) && it[1..].bytes().all(|it| it.is_ascii_digit())
    });
    if !is_item {
        return true;
    }
    let Some(at) = block.text.find(NOTES.1) else { return false };
    let ours = at + NOTES.1.len();
    let mut kept = Block::default();
    kept.push(&block.text[ours..], block.line(ours));
    kept.kind = Kind::Document;
    *block = kept;
    true
}

/// All files with prose, below the project's directory, in their order.
fn files(project: &Project) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for folder in ["", "solutions", "fuzz", "demos", "exercises"] {
        list(project, folder, false, &mut found)?;
    }
    for folder in ["docs", "scripts", "crates"] {
        list(project, folder, true, &mut found)?;
    }
    found.retain(|file| is_prose(project, file));
    found.sort();
    Ok(found)
}

fn list(project: &Project, folder: &str, is_deep: bool, found: &mut Vec<String>) -> Result<()> {
    let directory = project.root.join(folder);
    if !directory.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&directory).with_context(|| format!("cannot list {folder}/"))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = Path::new(folder).join(&name).display().to_string();
        let kind = entry.file_type()?;
        if kind.is_dir() && is_deep && !["target", "node_modules", "tests"].contains(&name.as_str()) {
            list(project, &path, true, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn is_prose(project: &Project, file: &str) -> bool {
    if WRITTEN.contains(&file) {
        return false;
    }
    let is_source = file.starts_with("crates/") && [".rs", ".html"].iter().any(|end| file.ends_with(end));
    let is_exercise = file.starts_with("exercises/") && file.ends_with(".toml");
    if file.ends_with(".md") || is_source || is_exercise {
        return true;
    }
    let is_script = |text: String| {
        text.starts_with("#!/usr/bin/env bash")
            || text.starts_with("#!/bin/sh")
            || text.starts_with("# shellcheck shell=")
    };
    (file.starts_with("scripts/") || file.starts_with("demos/") || file.contains(TEMPLATES))
        && project::read(&project.root.join(file)).is_ok_and(is_script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_notes_only_what_we_say_is_read() {
        let text = "# Notes\n\n- **N1** A world.\n- **P2** It is.\n  *Not judged:* for a reason.\n";
        let said: Vec<_> =
            of("docs/notes.md", text).unwrap().into_iter().map(|it| (it.line(0), it.text)).collect();
        assert_eq!(said, [(1, "Notes".to_string()), (5, " for a reason.".to_string())]);
    }

    #[test]
    fn this_checkout_has_documents_programs_and_scripts() {
        let files = files(&Project::of_this_checkout()).unwrap();
        for file in
            ["README.md", "docs/STYLE.md", "scripts/test", "crates/xtask/src/words.rs", "demos/stage.sh"]
        {
            assert!(files.iter().any(|it| it == file), "{file}");
        }
        assert!(!files.iter().any(|it| it == "docs/claims.md"));
    }
}
