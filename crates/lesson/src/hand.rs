//! What a step declares to be typed by hand.

use transcript::{About, Need};

/// A shell command that does what a step does, and what it prints. The commands of a step are one session: a variable of
/// one is there for the next. An ordinary user types it, if nothing else is said.
#[derive(Debug, Clone, Copy)]
pub struct Hand {
    command: &'static str,
    prints: Option<&'static str>,
    root: bool,
    status: Option<i32>,
    needs: &'static [Need],
    goes_on: bool,
}

/// A command to type.
pub const fn hand(command: &'static str) -> Hand {
    Hand { command, prints: None, root: false, status: None, needs: &[], goes_on: false }
}

impl Hand {
    /// What it prints, a line a line: `…` in a line is any text, a line `…` any lines. An errno's name is its message, and
    /// alone on a line any line that has it. Nothing: `""`.
    pub const fn prints(self, lines: &'static str) -> Hand {
        Hand { prints: Some(lines), ..self }
    }

    /// Root types it.
    pub const fn as_root(self) -> Hand {
        Hand { root: true, ..self }
    }

    /// Its exit status, where that is the point.
    pub const fn status(self, status: i32) -> Hand {
        Hand { status: Some(status), ..self }
    }

    /// What it needs, and not every machine has.
    pub const fn needs(self, needs: &'static [Need]) -> Hand {
        Hand { needs, ..self }
    }

    /// It is typed into the shell of the step before that has commands.
    pub const fn in_the_same_shell(self) -> Hand {
        Hand { goes_on: true, ..self }
    }

    pub(crate) const fn goes_on(&self) -> bool {
        self.goes_on
    }

    pub(crate) const fn is_root(&self) -> bool {
        self.root
    }

    pub(crate) fn data(&self) -> transcript::Hand {
        let about = About {
            root: self.root,
            prints: self.prints.map(|lines| lines.lines().map(str::to_string).collect()),
            status: self.status,
            needs: self.needs.to_vec(),
        };
        transcript::Hand { command: self.command.into(), about }
    }
}
