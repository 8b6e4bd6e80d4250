//! How a run is to be shown, and of what kind it is.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::locale::{is_dumb, is_utf8};
use crate::render::{Layout, OneScreen, Renderer, Text};
use crate::steps::Steps;

/// How an experiment is to be run and shown.
#[derive(Debug, Clone, Args)]
pub struct Settings {
    /// What to write: text for people, jsonl: one JSON object an event (docs/events.md), tap or junit: for graders
    #[arg(long, value_enum, default_value_t = Transcript::Text)]
    pub format: Transcript,

    /// What it is shown on.
    #[command(flatten)]
    pub screen: Screen,

    /// Which steps are done.
    #[command(flatten)]
    pub steps: Steps,

    /// How text looks.
    #[command(flatten)]
    pub look: Look,

    /// Record the text too, for asciinema's player, at the pace of a reader
    #[arg(long, value_name = "FILE.cast")]
    pub record: Option<PathBuf>,

    /// Stop at each step until a key is pressed; ? lists the keys
    #[arg(long)]
    pub pause: bool,

    /// With --pause or --predict: the teacher's notes and the time go to a second terminal (its tty), a FIFO, a Unix
    /// socket that is listened on, or a file
    #[arg(long, value_name = "FILE")]
    pub notes: Option<PathBuf>,

    /// Ask for a prediction before each verdict, and keep the score
    #[arg(long)]
    pub predict: bool,

    /// With --predict: take the answers from a file, one a line (-: standard input)
    #[arg(long, value_name = "FILE", requires = "predict", conflicts_with = "pause")]
    pub answers: Option<PathBuf>,

    /// With --predict: write what was predicted, and how much of it was right, to a file, as JSON (-: standard output)
    #[arg(long, value_name = "FILE", requires = "predict")]
    pub score: Option<PathBuf>,

    /// With --predict: ask about these claims alone
    #[arg(long, value_name = "CLAIM", requires = "predict", hide = true)]
    pub ask: Vec<String>,

    /// Wait after each step for a line on standard input (docs/events.md)
    #[arg(long, hide = true)]
    pub lockstep: bool,

    /// Wait for a turn beside other experiments: a lock of this file
    #[arg(long, value_name = "FILE", hide = true)]
    pub turn: Option<PathBuf>,

    /// The negative control: leave the factors out, so that no claim may hold
    #[arg(long)]
    pub sabotage: bool,

    /// Count a skipped claim as a failure (also LAB_MUST_RUN=1)
    #[arg(long)]
    pub must_run: bool,

    /// Whose run it is: it stands in what is exported
    #[arg(long, value_name = "NAME")]
    pub student: Option<String>,

    /// List the claims, and judge none
    #[arg(long)]
    pub list_claims: bool,

    /// List the steps, what to type by hand and what that prints, and run none
    #[arg(long, conflicts_with = "list_claims")]
    pub list_steps: bool,
}

/// How text looks.
#[derive(Debug, Clone, Default, Args)]
pub struct Look {
    /// Show each step: its system calls, the same by hand, and what every claim rests on
    #[arg(long)]
    pub steps: bool,

    /// As --steps, and say who reported what, and which namespaces each process is in
    #[arg(short, long)]
    pub verbose: bool,

    /// Names in the place of what differs from run to run.
    // Not in the comment above, where rustdoc would take it for HTML.
    #[arg(long, help = "Show <pid A>, <name B> and the like for what differs from run to run")]
    pub stable: bool,
}

impl Look {
    /// What shows a run of these steps to people: one screen, or else step by step.
    pub fn renderer<W: io::Write + 'static>(
        &self,
        steps: &Steps,
        out: W,
        layout: Layout,
    ) -> Box<dyn Renderer> {
        let Layout { width, plain } = layout;
        if self.is_long(steps) {
            Box::new(Text::new(out, width, self.stable, self.verbose).plain(plain))
        } else {
            Box::new(OneScreen::new(out, width, self.stable, plain))
        }
    }

    /// Whether a run of these steps is shown step by step, which is longer than a screen.
    pub fn is_long(&self, steps: &Steps) -> bool {
        self.steps || self.verbose || !steps.is_core()
    }

    /// The same as options.
    pub fn options(&self) -> Vec<&'static str> {
        let options = [(self.steps, "--steps"), (self.verbose, "--verbose"), (self.stable, "--stable")];
        options.into_iter().filter(|(is_on, _)| *is_on).map(|(_, option)| option).collect()
    }
}

/// What text is shown on.
#[derive(Debug, Clone, Args)]
pub struct Screen {
    /// When to use colour; NO_COLOR and CLICOLOR_FORCE count for auto
    // Of several, the last counts: a pager's writer gets what its reader can show (pager.rs).
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN", overrides_with = "color")]
    pub color: Color,

    /// Columns to fill [default: the terminal's, at most 100; else 80]
    #[arg(long, value_parser = clap::value_parser!(u16).range(20..=400), overrides_with = "width")]
    pub width: Option<u16>,

    /// One fact a line, in ASCII, without tables: for screen readers
    #[arg(long, overrides_with = "plain")]
    pub plain: bool,
}

/// What is written of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Transcript {
    /// For people.
    Text,
    /// One JSON object an event.
    Jsonl,
    /// The Test Anything Protocol: a claim is a test, which passes if its verdict is as expected.
    Tap,
    /// JUnit's XML: the same.
    Junit,
}

/// What is written of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object an entry.
    Jsonl,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Transcript {
    /// The word that asks for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Transcript::Text => "text",
            Transcript::Jsonl => "jsonl",
            Transcript::Tap => "tap",
            Transcript::Junit => "junit",
        }
    }
}

impl Color {
    /// The word that asks for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Color::Auto => "auto",
            Color::Always => "always",
            Color::Never => "never",
        }
    }
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> anstream::ColorChoice {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }
}

impl Settings {
    /// As [`Screen::columns`].
    pub fn columns(&self) -> usize {
        self.screen.columns()
    }

    /// Whether people read what may be longer than a screen.
    pub(crate) fn is_long(&self) -> bool {
        self.format == Transcript::Text && !self.lockstep && self.look.is_long(&self.steps)
    }

    /// As [`Screen::stdout`].
    ///
    /// # Errors
    /// When standard output was closed.
    pub fn stdout(&self) -> Result<anstream::AutoStream<io::Stdout>> {
        self.screen.stdout()
    }
}

/// Whether `notes` are wanted where there `is_a_class`.
///
/// # Errors
/// One line, if they are wanted where there is none.
pub fn require_a_class(notes: Option<&Path>, is_a_class: bool) -> Result<()> {
    ensure!(
        notes.is_none() || is_a_class,
        "--notes goes with --pause or --predict: the notes are for who holds a class"
    );
    Ok(())
}

/// # Errors
/// When standard output was closed before this program began.
pub(crate) fn require_stdout() -> Result<()> {
    ensure!(
        !ns_core::stdout_was_closed(),
        "standard output is closed: redirect it to a file, or to /dev/null to discard it"
    );
    Ok(())
}

impl Screen {
    /// The same as options, as far as they were given.
    pub fn options(&self) -> Vec<String> {
        let color = (self.color != Color::Auto).then(|| format!("--color={}", self.color.word()));
        let width = self.width.map(|width| format!("--width={width}"));
        let plain = self.plain.then(|| "--plain".to_string());
        color.into_iter().chain(width).chain(plain).collect()
    }

    /// The number of columns to fill.
    pub fn columns(&self) -> usize {
        const READABLE: u16 = 100;
        let terminal =
            || terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0.clamp(20, READABLE));
        usize::from(self.width.or_else(terminal).unwrap_or(80))
    }

    /// The number of lines that the terminal shows at once; none where standard output is no terminal.
    pub fn rows(&self) -> Option<usize> {
        const LEAST: u16 = 10;
        terminal_size::terminal_size_of(io::stdout()).map(|(_, rows)| usize::from(rows.0.max(LEAST)))
    }

    /// Whether text may be cleared from the screen: a terminal that is moved about on by the standard sequences, and
    /// whose reader looks at it, and is not read to.
    pub fn can_clear(&self) -> bool {
        io::stdout().is_terminal() && !is_dumb() && !self.plain
    }

    /// How text is laid out. It is plain when that is asked for, and on a poor terminal. That is one whose TERM is
    /// `dumb`, or whose locale has another encoding than UTF-8.
    pub fn layout(&self) -> Layout {
        let is_poor =
            || io::stdout().is_terminal() && (is_dumb() || !is_utf8(|name| std::env::var(name).ok()));
        Layout { width: self.columns(), plain: self.plain || is_poor() }
    }

    /// Whether colour is wanted on standard output.
    pub fn is_coloured(&self) -> bool {
        let stream = anstream::AutoStream::new(io::stdout(), self.color.into());
        stream.current_choice() != anstream::ColorChoice::Never
    }

    /// Standard output, which takes styled text and strips it where colour is not wanted.
    ///
    /// # Errors
    /// When standard output was closed.
    pub fn stdout(&self) -> Result<anstream::AutoStream<io::Stdout>> {
        require_stdout()?;
        Ok(anstream::AutoStream::new(io::stdout(), self.color.into()))
    }
}
