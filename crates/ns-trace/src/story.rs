//! The story: a line for each record, and processes in a tree.

use std::collections::HashMap;

use lesson::render::Layout;
use ns_core::printable;

use crate::lessons;
use crate::model::{Act, Begin, Born, Ended, Made, Record, What};
use crate::words;

/// What has been told by now, as far as later lines depend on it.
#[derive(Debug)]
pub(crate) struct Story {
    layout: Layout,
    /// How deep in the tree each process stands.
    depths: HashMap<i32, usize>,
    /// The PID that a process has in its own PID namespace, where it is another.
    inner: HashMap<i32, i32>,
}

/// The processes beyond this depth stand as deep as the last of it: a line has an end.
const DEEPEST: usize = 8;

impl Story {
    pub(crate) fn new(layout: Layout) -> Story {
        Story { layout, depths: HashMap::new(), inner: HashMap::new() }
    }

    /// The lines about a record.
    pub(crate) fn lines(&mut self, record: &Record) -> String {
        match &record.what {
            What::Begin(begun) => self.begin(begun),
            What::Process(born) => self.born(born),
            What::Call(made) => self.made(made),
            What::End(ended) => self.ended(ended),
            What::Note { pid, text } => self.line(*pid, "", text),
            What::Refused { call, errno } => self.layout.wrap(&format!("{call}: {errno}"), "", "  "),
            What::Left { processes: 0 } => String::new(),
            What::Left { processes } => {
                let text = match processes {
                    1 => "1 process goes on, and nothing more is reported".into(),
                    many => format!("{many} processes go on, and nothing more is reported"),
                };
                self.layout.wrap(&text, "", "  ")
            }
        }
    }

    fn begin(&mut self, begun: &Begin) -> String {
        self.depths.insert(begun.pid, 0);
        let mut text = String::new();
        if begun.no_new_privs {
            let said = "no_new_privs is set, as a filter of an ordinary user asks for: set-user-ID programs, such as sudo \
                        and newuidmap, gain nothing. Root traces without it.";
            text += &self.layout.wrap(said, "", "  ");
        }
        if !begun.filter {
            let said = if begun.command.is_empty() {
                format!("PID {} is traced from here on. It stops at every call, which is slower.", begun.pid)
            } else {
                "No filter is set, so every call stops, which is slower.".into()
            };
            text += &self.layout.wrap(&said, "", "  ");
        }
        text
    }

    fn born(&mut self, born: &Born) -> String {
        let depth = self.depths.get(&born.pid).map_or(0, |depth| (depth + 1).min(DEEPEST));
        self.depths.insert(born.child, depth);
        if let Some(inner) = born.inside.last() {
            self.inner.insert(born.child, *inner);
        }
        let inside = match born.inside.last() {
            Some(pid) => format!("; it is PID {pid} in its PID namespace"),
            None => String::new(),
        };
        let text = match born.pid {
            // Its creator was killed before it said so.
            0 => format!("is created{inside}"),
            pid => format!("is created by process {pid}{inside}"),
        };
        self.line(born.child, &born.name, &text)
    }

    fn made(&mut self, made: &Made) -> String {
        let lessons = lessons::of(&made.act);
        let arrow = self.layout.words("→");
        let link =
            if lessons.is_empty() { String::new() } else { format!("  {arrow} {}", lessons.join(", ")) };
        let thread = made.tid.map_or_else(String::new, |tid| format!("(thread {tid}) "));
        let text = printable(&words::sentence(made));
        // What it executes is its name from here on.
        let name = if matches!(made.act, Act::Execute { .. }) { "" } else { &made.name };
        self.line(made.pid, name, &format!("{thread}{text}{link}"))
    }

    fn ended(&mut self, ended: &Ended) -> String {
        let text = words::ending(ended);
        self.line(ended.pid, "", &text)
    }

    fn line(&self, pid: i32, name: &str, text: &str) -> String {
        let depth = self.depths.get(&pid).copied().unwrap_or(0);
        let bar = if self.layout.plain { "  " } else { "│ " };
        // At least half of the width is for words.
        let fitting = self.layout.width / 2 / 2;
        let indent = bar.repeat(depth.min(fitting));
        let inner = self.inner.get(&pid).map_or_else(String::new, |inner| format!(" [{inner}]"));
        let name = if name.is_empty() { String::new() } else { format!(" {}", printable(name)) };
        self.layout.wrap(&format!("{pid}{inner}{name} {text}"), &indent, &format!("{indent}    "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_stands_below_its_creator_with_its_inner_pid() {
        let mut story = Story::new(Layout { width: 60, plain: false });
        let begun =
            Begin { schema: 1, command: vec!["x".into()], pid: 40, filter: true, no_new_privs: false };
        let records = [
            What::Begin(begun),
            What::Process(Born { pid: 40, child: 41, inside: vec![1], name: "unshare".into() }),
            What::Call(Made {
                pid: 41,
                tid: None,
                name: "unshare".into(),
                call: "chroot".into(),
                result: Some(0),
                errno: None,
                took: 1,
                act: Act::Chroot { path: "/srv/\u{1b}[31m".into() },
            }),
            What::End(Ended { pid: 41, status: Some(0), signal: None }),
            What::End(Ended { pid: 40, status: None, signal: Some(9) }),
        ];
        let told: String = records.map(|what| story.lines(&Record { t: 0, what })).concat();
        let expected = "│ 41 [1] unshare is created by process 40; it is PID 1 in\n\
                        │     its PID namespace\n\
                        │ 41 [1] unshare changes its root directory to\n\
                        │     /srv/\\u{1b}[31m, by chroot()  → 18 chroot-jail\n\
                        │ 41 [1] ends with status 0\n\
                        40 is killed by SIGKILL\n";
        assert_eq!(told, expected);
    }
}
