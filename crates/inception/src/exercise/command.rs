//! The command, and the commands that it has.

use anyhow::Result;
use clap::{Args, Subcommand};
use lesson::Help;

use super::check::Check;
use super::export::Export;
use super::hint::Hint;
use super::list::List;
use super::reset::Reset;
use super::solution::Solution;
use super::start::Start;
use super::watch::Watch;
use crate::grade::Grade;
use crate::lint::Lint;

const EXIT_STATUS: &str = "Exit status: 0 done, 1 not yet, 2 misused, 77 the machine lacks something.";
const KEPT: &str = "Attempts are kept in $XDG_STATE_HOME/inception/exercises.jsonl, by default below ~/.local/state;\n\
                    under sudo, in that of whoever typed it.";

const GRADE_EXAMPLES: &[(&str, &str)] = &[
    ("inception grade hand-ins -o class.csv", "a row a student"),
    ("inception grade hand-ins -o class.csv --class class.toml", "with a deadline, points and penalties"),
    ("inception grade hand-ins --html class.html", "a page, with what was hardest"),
    ("inception grade submission --gradescope results.json", "of one student, for Gradescope"),
];
const GRADE_AFTER: &str = "A flag (late, a seed that is not the student's, the same log as another's) changes no points.\n\
                           Exit status: 0 all are marked, 1 a file is no hand-in, 2 misused.";

/// The help of the command, and of those that it has.
pub(crate) const COMMANDS: &[Help] = &[
    Help {
        name: "inception exercise",
        about: "tasks to do by hand, which the kernel checks",
        examples: &[
            ("inception exercise list", "what there is, and what is done"),
            ("inception exercise start own-hostname", "the task"),
            ("inception exercise check", "what of it is met"),
            ("inception exercise watch", "the same, whenever something changes"),
            ("inception exercise hint", "from the idea to the command"),
            ("inception exercise solution", "one way to do it, after a check"),
            ("inception exercise reset", "end what was started, and begin anew"),
        ],
        after: KEPT,
    },
    Help {
        name: "inception exercise list",
        about: "the exercises by level, and which are done",
        examples: &[
            ("inception exercise list", "each with its title"),
            ("inception exercise list --format jsonl", "the same as data"),
            ("inception exercise list --from DIR", "those of a directory"),
        ],
        after: "",
    },
    Help {
        name: "inception exercise start",
        about: "begin an exercise",
        examples: &[
            ("inception exercise start own-hostname", "the task, with your values"),
            ("inception exercise start own-hostname --student ada --class 2026a", "those of ada in a class"),
        ],
        after: "Exit status: 0 begun, 2 misused, 77 the machine lacks something.",
    },
    Help {
        name: "inception exercise check",
        about: "look at the kernel, and say what of the task is met",
        examples: &[
            ("inception exercise check", "of the exercise that is open"),
            ("sudo inception exercise check", "the processes of root too"),
        ],
        after: EXIT_STATUS,
    },
    Help {
        name: "inception exercise watch",
        about: "look whenever something changes, until the task is done",
        examples: &[("inception exercise watch", "in a second terminal; Ctrl-C leaves")],
        after: EXIT_STATUS,
    },
    Help {
        name: "inception exercise hint",
        about: "a hint on the first requirement that is not met",
        examples: &[("inception exercise hint", "the idea; then the tool; then the command")],
        after: "",
    },
    Help {
        name: "inception exercise solution",
        about: "one way to do it, and why it works",
        examples: &[("inception exercise solution own-hostname", "once it was checked")],
        after: "It is in the package inception-teacher, in a checkout, or in the directory of --from.",
    },
    Help {
        name: "inception exercise reset",
        about: "end what was started for an exercise, and begin it anew",
        examples: &[
            ("inception exercise reset", "the next attempt, with other values"),
            ("inception exercise reset --end", "no next attempt"),
        ],
        after: "It ends the processes that met a requirement, and removes their cgroups, the mounts in the\n\
                attempt's directory, and that directory. What was there before stays.",
    },
    Help {
        name: "inception exercise export",
        about: "write a hand-in: your attempts, for your teacher",
        examples: &[
            ("inception exercise export -o ada.json", "what you began, did and looked up"),
            ("inception exercise export -o - | jq .", "the same, to read"),
        ],
        after: "It has the seeds, the times, the hints that you saw, and what each check said.",
    },
    Help {
        name: "inception exercise grade",
        about: "mark the hand-ins of a class (also: inception grade)",
        examples: GRADE_EXAMPLES,
        after: GRADE_AFTER,
    },
    Help {
        name: "inception exercise lint",
        about: "type each solution and each near miss, and compare what the checker says",
        examples: &[
            ("inception exercise lint", "all exercises, as this user"),
            ("inception exercise lint own-hostname", "one"),
            ("inception exercise lint --from DIR", "exercises of your own"),
        ],
        after: "Exit status: 0 all as their files say, 1 one is not, 2 misused, 77 all were skipped.",
    },
    Help {
        name: "inception grade",
        about: "mark the hand-ins of a class",
        examples: GRADE_EXAMPLES,
        after: GRADE_AFTER,
    },
];

/// What to do with exercises.
#[derive(Debug, Args)]
pub(crate) struct Exercise {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Start(Start),
    Check(Check),
    Watch(Watch),
    Hint(Hint),
    Solution(Solution),
    Reset(Reset),
    Export(Export),
    Grade(Grade),
    Lint(Lint),
}

impl Exercise {
    /// Does it.
    pub(crate) fn run(&self) -> Result<u8> {
        match &self.command {
            Command::List(list) => list.run(),
            Command::Start(start) => start.run(),
            Command::Check(check) => check.run(),
            Command::Watch(watch) => watch.run(),
            Command::Hint(hint) => hint.run(),
            Command::Solution(solution) => solution.run(),
            Command::Reset(reset) => reset.run(),
            Command::Export(export) => export.run(),
            Command::Grade(grade) => grade.run(),
            Command::Lint(lint) => lint.run(),
        }
    }
}
