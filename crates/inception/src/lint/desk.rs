//! The terminals of one learner: `@2 ` at the beginning of a line is the second one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::poll::{PollFd, PollFlags};
use ns_core::poll_until;

use super::terminal::{Terminal, Typed, Wait};

/// How often is looked whether a program that keeps its terminal rests: no event reports that.
const AGAIN: Duration = Duration::from_millis(20);

/// The terminals that are open, by their number.
pub(super) struct Desk {
    directory: PathBuf,
    environment: Vec<(String, String)>,
    terminals: BTreeMap<u8, Terminal>,
}

impl Desk {
    /// None is open yet. Each begins in `directory`, with this `environment`.
    pub(super) fn new(directory: PathBuf, environment: Vec<(String, String)>) -> Desk {
        Desk { directory, environment, terminals: BTreeMap::new() }
    }

    /// Types a line of `steps`, and waits until the next can be typed. An empty line and a comment are none.
    ///
    /// # Errors
    /// When a terminal cannot be opened or read.
    pub(super) fn type_line(&mut self, line: &str) -> Result<()> {
        let (number, line) = place(line);
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            return Ok(());
        }
        if !self.terminals.contains_key(&number) {
            let (terminal, wait) = Terminal::open(&self.directory, &self.environment)?;
            self.terminals.insert(number, terminal);
            self.wait(number, wait)?;
        }
        if let Some(terminal) = self.terminals.get_mut(&number) {
            let wait = terminal.type_line(line)?;
            self.wait(number, wait)?;
        }
        Ok(())
    }

    fn wait(&mut self, number: u8, mut wait: Wait) -> Result<()> {
        loop {
            self.read_until(Instant::now() + AGAIN)?;
            match self.terminals.get(&number).map(|terminal| terminal.follow(wait)) {
                Some(Typed::Waiting(more)) => wait = more,
                _ => return Ok(()),
            }
        }
    }

    /// Reads what is printed until something is, or `end`: a terminal that nobody reads stops who writes to it.
    ///
    /// # Errors
    /// Those of read(2).
    pub(super) fn read_until(&mut self, end: Instant) -> Result<()> {
        let open = self.terminals.values().filter(|terminal| terminal.is_open());
        let mut fds: Vec<_> = open.map(|terminal| PollFd::new(terminal.fd(), PollFlags::POLLIN)).collect();
        let is_ready = poll_until(&mut fds, Some(end))?;
        drop(fds);
        if is_ready {
            self.terminals.values_mut().filter(|terminal| terminal.is_open()).try_for_each(Terminal::read)?;
        }
        Ok(())
    }

    /// What stands on the terminals.
    pub(super) fn printed(&self) -> String {
        self.terminals.values().map(Terminal::printed).collect()
    }

    /// Closes all of them.
    pub(super) fn hang_up(self) {
        self.terminals.into_values().for_each(Terminal::hang_up);
    }
}

/// The number of the terminal that a line is for, and the line.
fn place(line: &str) -> (u8, &str) {
    let numbered = line.strip_prefix('@').and_then(|line| line.split_once(' '));
    let number = numbered
        .and_then(|(number, line)| Some((number.parse().ok().filter(|it| (1..=9).contains(it))?, line)));
    number.unwrap_or((1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn desk() -> Desk {
        let path = ("PATH".to_string(), std::env::var("PATH").unwrap());
        Desk::new("/".into(), vec![path, ("TERM".into(), "dumb".into())])
    }

    #[test]
    fn the_second_terminal_is_named_in_the_line() {
        assert_eq!(place("@2 exit"), (2, "exit"));
        for line in ["exit", "@0 exit", "@x exit", "@2"] {
            assert_eq!(place(line), (1, line));
        }
    }

    #[test]
    fn a_line_is_typed_once_the_shell_asks_for_it() {
        let mut desk = desk();
        for line in [
            "# a comment",
            "bash",
            "sh",
            "echo $((6*7))",
            "exit",
            "cat <<X",
            "a $HOME",
            "X",
            "@2 echo $((7*9)); exit",
        ] {
            desk.type_line(line).unwrap();
        }
        let printed = desk.printed();
        desk.hang_up();
        assert!(printed.contains("\n42\r") && printed.contains("\n63\r"), "{printed}");
        assert!(!printed.contains("comment"), "{printed}");
    }

    #[test]
    fn a_program_that_keeps_the_terminal_is_no_end_and_a_key_ends_it() {
        let mut desk = desk();
        for line in ["sleep 1000", "^C", "env -i /bin/bash", "exit", "echo $((6*7))", "cat", "^D"] {
            desk.type_line(line).unwrap();
        }
        let printed = desk.printed();
        let began = Instant::now();
        desk.hang_up();
        assert!(printed.contains("\n42\r") && began.elapsed() < Duration::from_secs(5), "{printed}");
    }
}
