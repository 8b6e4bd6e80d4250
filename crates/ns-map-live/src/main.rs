//! `ns-map --live`: the namespaces of the machine on a terminal, with keys, while they come and go.
//!
//! One thread waits for a key, a signal or a change ([`map::Looks`]). A look at the machine becomes a map, the map becomes
//! rows, and of these the screen shows as many as it has room for.

mod browser;
mod cells;
mod details;
mod entering;
mod inside;
mod keys;
mod news;
mod palette;
mod rows;
#[cfg(test)]
mod screens;
mod tty;
mod view;
mod visit;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::{CommandFactory, FromArgMatches, Parser};
use lesson::{Help, Screen, complain, status};
use map::{Asked, Looks, Survey};
use ns_core::{Kind, Signal, namespace};

use browser::{Browser, Wish};
use palette::Palette;
use rows::Shape;
use tty::Tty;

const HELP: Help = Help {
    name: "ns-map-live",
    about: "the namespaces of this machine on a terminal, while they come and go",
    examples: &[
        ("ns-map --live", "the same: ns-map hands over to this program"),
        ("ns-map-live --tree pid", "begin with PID namespaces by their parents"),
        ("ns-map-live --filter kind=net", "begin with those that meet all conditions"),
        ("sudo ns-map-live --held --cgroups", "with all that keeps and limits them"),
    ],
    after: "The key ? lists the keys. Conditions of --filter: as of ns-map.\n\n\
            Exit status: 0 left by a key, 2 misused.",
};

/// Pages that its manual page leads to.
const SEE_ALSO: &[&str] = &["ns-map(1)", "ns-enter(1)", "inception(1)", "nsenter(1)", "namespaces(7)"];

/// While a look is taken, keys are attended to this often.
const PULSE: Duration = Duration::from_millis(15);

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    asked: Asked,

    #[command(flatten)]
    screen: Screen,
}

fn main() -> ExitCode {
    let parsed = lesson::arguments(&HELP, CommandLine::command(), SEE_ALSO);
    let ended = match parsed.map(|matches| CommandLine::from_arg_matches(&matches)) {
        Err(status) => return ExitCode::from(status),
        Ok(parsed) => parsed.map_err(Into::into).and_then(|line| line.run()),
    };
    let ended = ended.and_then(|ended| ended.map_or(Ok(()), tty::end_by));
    ExitCode::from(match ended {
        Ok(()) => status::AS_EXPECTED,
        Err(error) => {
            complain(HELP.name, &error);
            status::BROKEN
        }
    })
}

impl CommandLine {
    /// Runs the interface. Gives the signal that is to end this process.
    fn run(&self) -> Result<Option<Signal>> {
        ns_core::signals::start_afresh()?;
        ns_core::process::require_address_space()?;
        ensure!(
            self.screen.can_clear() && io::stdin().is_terminal(),
            "standard input and output are to be a terminal that can be cleared; ns-map shows the map anywhere"
        );
        let proc = Path::new("/proc");
        let choice = self.asked.choice(proc)?;
        let shape = match self.asked.tree() {
            None if self.asked.list => Shape::List,
            tree => Shape::Tree(tree.unwrap_or(Kind::User)),
        };
        let own = namespace::of(None)?;
        let plain = self.screen.layout().plain;
        let browser = Browser::new(choice, shape, self.asked.cgroups, own, plain);
        let coloured = self.screen.is_coloured();
        let survey = Survey { serials: true, ..self.asked.survey(proc) };
        let looks = Looks::begin(survey);
        let seat = Seat { browser, palette: Palette { coloured }, tty: Tty::take()? };
        run(looks, seat)
    }
}

/// Looks and waits, until a key or a signal ends it. Gives the signal that is to end this process.
fn run(mut looks: Looks, mut seat: Seat) -> Result<Option<Signal>> {
    loop {
        looks.survey().cgroups = seat.browser.cgroups;
        match seat.watch(&mut looks)? {
            Next::End(signal) => return Ok(signal),
            Next::Look => continue,
            Next::Wait => {}
        }
        loop {
            let next = match looks.wait(&seat.tty.waits_for())? {
                None => Next::Look,
                Some(_) => seat.attend()?,
            };
            match next {
                Next::Look => break,
                Next::Wait => seat.draw()?,
                Next::End(signal) => return Ok(signal),
            }
        }
    }
}

/// Where a person sits: the terminal, and what is shown on it.
struct Seat {
    browser: Browser,
    palette: Palette,
    tty: Tty,
}

/// What is to come next.
enum Next {
    Look,
    Wait,
    End(Option<Signal>),
}

impl Seat {
    /// Takes a look, and shows what it has found. On a large machine that takes a while, and keys are attended to meanwhile.
    fn watch(&mut self, looks: &mut Looks) -> Result<Next> {
        let mut attended = Instant::now();
        let mut next = Ok(Next::Wait);
        let map = looks.look_while(&mut || {
            if attended.elapsed() >= PULSE && matches!(next, Ok(Next::Wait)) {
                next = self.attend().and_then(|next| {
                    if let Next::Wait = next {
                        self.draw()?;
                    }
                    Ok(next)
                });
                attended = Instant::now();
            }
            matches!(next, Ok(Next::Wait))
        })?;
        if let Some(map) = map {
            self.browser.pace = pace(looks);
            self.browser.take(map, Instant::now());
            self.draw()?;
        }
        next
    }

    fn draw(&mut self) -> Result<()> {
        let Seat { browser, palette, tty } = self;
        tty.draw(|frame| view::draw(frame, browser, *palette, Instant::now()))
    }

    /// Does what the keys and the signals ask for that wait.
    fn attend(&mut self) -> Result<Next> {
        match self.take_signals()? {
            Next::Wait => self.press_keys(),
            next => Ok(next),
        }
    }

    fn press_keys(&mut self) -> Result<Next> {
        let Some(keys) = self.tty.keys()? else { return Ok(Next::End(Some(Signal::SIGHUP))) };
        let mut next = Next::Wait;
        for key in keys {
            match self.browser.press(key) {
                None => {}
                Some(Wish::Quit) => return Ok(Next::End(None)),
                Some(Wish::Interrupt) => return Ok(Next::End(Some(Signal::SIGINT))),
                Some(Wish::Stop) => nix::sys::signal::kill(ns_core::Pid::from_raw(0), Signal::SIGTSTP)?,
                Some(Wish::Redraw) => self.tty.clear()?,
                Some(Wish::Look) => next = Next::Look,
                Some(Wish::Shell(pid)) => {
                    if let Some(signal) = self.open_a_shell(pid)? {
                        return Ok(Next::End(Some(signal)));
                    }
                    next = Next::Look;
                }
            }
        }
        Ok(next)
    }

    fn open_a_shell(&mut self, pid: i32) -> Result<Option<Signal>> {
        let opened = visit::program().and_then(|it| self.tty.lend(|signals| visit::open(&it, pid, signals)));
        Ok(opened.unwrap_or_else(|error| {
            self.browser.message = Some(format!("{error:#}"));
            None
        }))
    }

    fn take_signals(&mut self) -> Result<Next> {
        for signal in self.tty.signals()? {
            match signal {
                Signal::SIGTSTP => self.tty.stop()?,
                // A shell that has stopped us may have changed the terminal.
                Signal::SIGCONT => self.tty.lend(|_| Ok(()))?,
                Signal::SIGWINCH => {}
                ending => return Ok(Next::End(Some(ending))),
            }
        }
        Ok(Next::Wait)
    }
}

/// How a change is found, in words.
fn pace(looks: &Looks) -> String {
    let within = looks.pace().as_micros().div_ceil(1000);
    if looks.hears_of_processes() {
        format!("by the kernel's events, or within {within} ms")
    } else {
        format!("within {within} ms; root, from Linux 6.6: by events")
    }
}
