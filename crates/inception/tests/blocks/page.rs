//! The pages, and what stands in them to be run.

use std::collections::BTreeMap;

use crate::shell::value::{self, Kind};

/// Blocks that are run in one shell, one after another.
#[derive(Debug)]
pub(crate) struct Session {
    /// `docs/NN-name.md`.
    pub(crate) page: String,
    pub(crate) blocks: Vec<Block>,
}

/// A fenced block and the comment above it.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// The line of the fence, from 1.
    pub(crate) line: usize,
    pub(crate) entries: Vec<Entry>,
    pub(crate) says: Says,
}

/// A command, and what it prints.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) line: usize,
    pub(crate) root: bool,
    pub(crate) command: String,
    /// None: nothing is said of the output, and the command is to succeed.
    pub(crate) prints: Option<Vec<String>>,
}

/// `<!-- block: … -->`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Says {
    /// `not run: REASON`.
    pub(crate) not_run: Option<String>,
    /// `needs WORD, …`.
    pub(crate) needs: Vec<String>,
    /// `KIND VALUE, …`.
    pub(crate) values: BTreeMap<String, Kind>,
    /// `columns`: blanks are as wide as the values beside them leave room for.
    pub(crate) columns: bool,
    /// `machine`: it is about the machine's own processes, which a PID namespace of the check's own would hide.
    pub(crate) machine: bool,
    /// `after: COMMAND`: what has been done before, and is not worth showing.
    pub(crate) after: Option<String>,
    /// `continues`: in the shell of the block before.
    pub(crate) continues: bool,
}

/// What needs a word of its own, with what it means to the reader of a skip.
pub(crate) const NEEDS: &[(&str, &str)] = &[
    ("busybox", "busybox: apt install busybox-static"),
    ("cc", "a C compiler: apt install gcc libc6-dev"),
    ("cgroup", "a cgroup v2 of one's own"),
    ("controllers", "cgroup v2 alone, with its controllers: scripts/vm 13"),
    ("docker", "Docker's engine, started by scripts/docker-lab"),
    ("jq", "jq: apt install jq"),
    ("solutions", "the solutions, which students do not get: docs/teacher.md"),
    ("systemd", "systemd as init: scripts/vm 13"),
];

/// The sessions of a page; its transcripts are left to cargo xtask docs.
pub(crate) fn sessions(page: &str, text: &str) -> Result<Vec<Session>, String> {
    let mut sessions: Vec<Session> = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut generated = false;
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        if line.ends_with(": written by cargo xtask docs -->") {
            generated = true;
        } else if line == "<!-- end -->" {
            generated = false;
        }
        let fence = line.trim_start().starts_with("```");
        if !fence {
            if line.starts_with("<!-- block:")
                && !lines.get(at + 1).is_some_and(|next| next.starts_with("```"))
            {
                return Err(format!("{page}:{}: no block below", at + 1));
            }
            at += 1;
            continue;
        }
        let end = (at + 1..lines.len())
            .find(|&end| lines[end].trim() == "```")
            .ok_or_else(|| format!("{page}:{}: the block has no end", at + 1))?;
        let language = line.trim_start().trim_start_matches('`');
        if !generated && matches!(language, "console" | "sh") {
            let says = match at.checked_sub(1).and_then(|before| lines[before].strip_prefix("<!-- block:")) {
                None => Says::default(),
                Some(words) => {
                    let words =
                        words.strip_suffix("-->").ok_or(format!("{page}:{at}: the comment does not end"))?;
                    read_comment(words).map_err(|why| format!("{page}:{at}: {why}"))?
                }
            };
            let body = &lines[at + 1..end];
            let entries = match language {
                _ if says.not_run.is_some() => Vec::new(),
                "sh" => plain(body, at + 2),
                _ => typed(body, at + 2).map_err(|why| format!("{page}:{why}"))?,
            };
            let block = Block { line: at + 1, entries, says };
            every_value_occurs(&block, body).map_err(|why| format!("{page}:{}: {why}", at + 1))?;
            match sessions.last_mut().filter(|_| block.says.continues) {
                Some(session) => session.blocks.push(block),
                None => sessions.push(Session { page: page.into(), blocks: vec![block] }),
            }
        }
        at = end + 1;
    }
    Ok(sessions)
}

fn read_comment(words: &str) -> Result<Says, String> {
    let mut says = Says::default();
    for clause in words.split(';').map(str::trim).filter(|clause| !clause.is_empty()) {
        let (word, rest) = clause.split_once(' ').unwrap_or((clause, ""));
        let list = || rest.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_string);
        match (word, Kind::called(word)) {
            ("not", _) => {
                let why = rest.strip_prefix("run:").map(str::trim).filter(|why| !why.is_empty());
                says.not_run = Some(why.ok_or("say: not run: REASON")?.to_string());
            }
            ("needs", _) => {
                for need in list() {
                    if !NEEDS.iter().any(|(known, _)| *known == need) {
                        return Err(format!("needs what? {need:?} is not in tests/blocks/page.rs"));
                    }
                    says.needs.push(need);
                }
            }
            ("after:", _) => says.after = Some(rest.to_string()),
            ("columns", _) => says.columns = true,
            ("machine", _) => says.machine = true,
            ("continues", _) => says.continues = true,
            (_, Some(kind)) => {
                for value in list() {
                    if says.values.insert(value.clone(), kind).is_some() {
                        return Err(format!("{value} is declared twice"));
                    }
                }
            }
            _ => return Err(format!("unknown: {clause:?}; docs/STYLE.md has the words")),
        }
    }
    Ok(says)
}

/// A block of lines with prompts.
fn typed(body: &[&str], first: usize) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (first..).zip(body) {
        let prompt = line.strip_prefix("$ ").map(|command| (false, command));
        let prompt = prompt.or_else(|| line.strip_prefix("# ").map(|command| (true, command)));
        let last = entries.last_mut();
        match (prompt, last) {
            (_, Some(last)) if goes_on => {
                last.command.push('\n');
                last.command.push_str(line);
                goes_on = line.ends_with('\\');
            }
            (Some((root, command)), _) => {
                goes_on = command.ends_with('\\');
                entries.push(Entry { line: number, root, command: command.into(), prints: Some(Vec::new()) });
            }
            (None, Some(last)) => match (line.strip_prefix("> "), last.prints.as_mut()) {
                (Some(more), Some(prints)) if prints.is_empty() => {
                    last.command.push('\n');
                    last.command.push_str(more);
                }
                (_, Some(prints)) => prints.push((*line).into()),
                _ => unreachable!("a typed block's output is always compared"),
            },
            (None, None) => {
                return Err(format!("{number}: output without a command; a prompt is '$ ' or '# '"));
            }
        }
    }
    if entries.is_empty() {
        return Err(format!("{first}: no command"));
    }
    Ok(entries)
}

/// A block of commands alone.
fn plain(body: &[&str], first: usize) -> Vec<Entry> {
    let commands = (first..).zip(body).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    commands
        .map(|(line, command)| Entry { line, root: false, command: (*command).into(), prints: None })
        .collect()
}

/// A value that is declared and not there was mistyped on one side.
fn every_value_occurs(block: &Block, body: &[&str]) -> Result<(), String> {
    let printed = || block.entries.iter().filter_map(|entry| entry.prints.as_ref()).flatten();
    match block.says.values.keys().find(|value| !printed().any(|line| value::find(line, value).is_some())) {
        Some(value) if block.says.not_run.is_none() => {
            Err(format!("{value:?} is declared, and is not in the {} lines of the block", body.len()))
        }
        _ => Ok(()),
    }
}
