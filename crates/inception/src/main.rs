//! Runs, reads and lists the experiments.
//!
//! It knows none of them by name. The numbered list is what stands in demos/ and docs/ when it is built. An experiment
//! is any program of a demo's name that speaks docs/events.md.

mod cargo;
mod claims;
mod classroom;
mod demos;
mod diff;
mod doctor;
mod exercise;
mod format;
mod grade;
mod handin;
mod lint;
mod list;
#[cfg(feature = "manual")]
mod manual;
mod markdown;
mod markup;
mod program;
mod read;
mod report;
mod review;
mod run;
mod series;
mod shell;
mod stdout;
mod summary;
mod trial;
mod walk;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use lesson::{Help, complain, is_reader_gone, status};

const HELP: Help = Help {
    name: "inception",
    about: "learn what containers are made of, by experiments on your own kernel",
    examples: &[
        ("inception list", "what there is to ask, in the order to take it"),
        ("inception walk 16", "by hand: each command shown, and run when you say so"),
        ("inception run 11", "ask: what can kill PID 1?"),
        ("inception run 11 --predict", "say first what it will answer"),
        ("inception read 11", "read what it means, and two things to try"),
        ("inception shell 11", "a shell in its namespaces: try it yourself"),
        ("inception run", "ask everything, and sum up"),
        ("inception report -o lab.html", "the same as a page, with pictures"),
        ("inception exercise list", "tasks to do by hand, which the kernel checks"),
        ("inception doctor", "what this machine can be asked, and what it lacks"),
        ("inception claims --list", "every sentence that is put to the kernel"),
        ("inception diff A.jsonl B.jsonl", "what two kernels say differently"),
    ],
    after: concat!(
        "A claim is a sentence about the kernel. An experiment tries its claims, each with\n\
         its factor and without. A demo is an experiment by its number, with a\n\
         walkthrough (demos/) and a doc (docs/).\n\n",
        lesson::exit_status!()
    ),
};

const COMMANDS: &[Help] = &[
    Help {
        name: "inception list",
        about: "the demos in the order to take them, and which are done",
        examples: &[
            ("inception list", "each with its question, and what to take first"),
            ("inception list --format jsonl", "the same as data: number, name, question, needs, done"),
        ],
        after: "A demo is done when every question of its core was predicted (inception run NN\n--predict), right or wrong.",
    },
    Help {
        name: "inception run",
        about: "run experiments, and sum up",
        examples: &[
            ("inception run 11", "one, by its number"),
            ("inception run time-ns uts-demo", "two, by their names"),
            ("inception run --quiet", "all, and the summary alone"),
            ("inception run --all --jobs 1", "every claim, one experiment at a time"),
            ("inception run 11 --sabotage", "without the factors: no claim holds"),
            ("inception run --format jsonl", "all, as data"),
            ("inception run 11 --pause", "stop at each step, for a class; ? lists the keys"),
            ("inception run 11 --predict", "be asked what you expect, before it is shown"),
        ],
        after: concat!(
            lesson::exit_status!(),
            "\nWith --predict --answers: 0 also every answer is right, 1 one is wrong or a verdict is\n\
             not as expected."
        ),
    },
    Help {
        name: "inception walk",
        about: "do it by hand: each command is shown, and run when you press Enter",
        examples: &[
            ("inception walk 16", "one, with the experiment at its end; ? lists the keys"),
            ("inception walk 16 11 14", "one after another, with a pause between them"),
            ("inception walk 16 --no-pause", "without a pause, as in a pipe"),
        ],
        after: concat!(
            "It runs demos/NN-NAME.sh, which is to be read too. Nothing is left behind.\n\n",
            lesson::exit_status!()
        ),
    },
    Help {
        name: "inception shell",
        about: "a shell in a demo's namespaces, with three things to try",
        examples: &[
            ("inception shell 16", "by its number"),
            ("inception shell uts-demo --hostname x -- uname -n", "by its name: a command there"),
            ("inception shell 11 --by-hand", "the same commands, to be typed"),
            ("inception shell 11 --help", "the options of this demo's shell"),
        ],
        after: "Exit status: that of the command or the shell, or 128 + N if signal N ended it. 2 misused,\n77 the machine lacks something.",
    },
    Help {
        name: "inception read",
        about: "read a demo's doc",
        examples: &[
            ("inception read 11", "by its number"),
            ("inception read pid-ns-init --color always | less -R", "by its name, page by page"),
        ],
        after: "",
    },
    Help {
        name: "inception report",
        about: "run experiments, and make a page of what was seen, with pictures",
        examples: &[
            ("inception report -o lab.html", "all, as one page that needs no other file"),
            ("inception report 09 11 -o lab.html", "two of them"),
            ("inception report --from lab.jsonl -o lab.html", "of a run that was kept: run --format jsonl"),
            ("inception report 11 -o - --stable > page.html", "to standard output, the same in every run"),
            ("inception report --pictures figures", "each picture as an SVG file of its own"),
        ],
        after: lesson::exit_status!(),
    },
    Help {
        name: "inception review",
        about: "ask again what was predicted wrong, with the experiments run anew",
        examples: &[
            ("inception review", "all that was missed when last asked about"),
            ("inception review 11", "of one demo"),
            ("inception review --list", "what that is"),
            ("inception review --csv lab.csv", "all predictions and votes, as a table"),
        ],
        after: "The score is kept in $XDG_STATE_HOME/inception/predictions.jsonl, by default below ~/.local/state;\nunder sudo, in that of whoever typed it.",
    },
    Help {
        name: "inception claims",
        about: "every claim, and what this kernel says to it",
        examples: &[
            ("inception claims", "run all quietly, and show each verdict"),
            ("inception claims 11", "those of one demo"),
            ("inception claims --list", "judge none"),
            ("inception claims --coverage", "what the notes say, and which claims judge it"),
            ("inception claims --gift questions.gift", "the core questions, for Moodle"),
        ],
        after: concat!(
            lesson::exit_status!(),
            "\nWith --coverage: 0 every sentence of the notes is judged or has a reason, 1 one\nhas neither."
        ),
    },
    Help {
        name: "inception diff",
        about: "verdicts side by side, and why they differ",
        examples: &[
            ("inception run --format jsonl > here.jsonl", "a transcript, on each kernel"),
            ("inception diff there.jsonl here.jsonl", "the claims whose verdicts differ"),
            ("inception diff --all 6.1.jsonl 6.12.jsonl 6.18.jsonl", "every claim"),
            ("inception diff --format markdown *.jsonl", "every claim, as a document"),
        ],
        after: "Exit status: 0 every difference is explained by the claim itself, 1 one is not, 2 misused.",
    },
    Help {
        name: "inception doctor",
        about: "what this machine can be asked, and how to get what it lacks",
        examples: &[
            ("inception doctor", "each check, by trying"),
            ("sudo inception doctor", "what root can be asked"),
            ("inception doctor --format jsonl", "the same as data"),
        ],
        after: "Exit status: 0, whatever is missing; 2 misused.",
    },
];

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Run(run::Run),
    Walk(walk::Walk),
    Shell(shell::Shell),
    Read(read::Read),
    Review(review::Review),
    Report(report::Report),
    Claims(claims::Claims),
    Diff(diff::Diff),
    Grade(grade::Grade),
    Doctor(doctor::Doctor),
    Exercise(exercise::Exercise),
}

fn main() -> ExitCode {
    doctor::as_a_child_of_ours();
    if let Some(ended) = classroom::as_the_watchdog() {
        return ended;
    }
    let mut command = CommandLine::command();
    for help in COMMANDS.iter().chain(exercise::COMMANDS) {
        command = led(command, help, help.name.trim_start_matches("inception "));
    }
    #[cfg(feature = "manual")]
    if let Some(directory) = lesson::manual::directory() {
        return manual::write(&HELP, command, &directory).map_or_else(
            |error| {
                complain(HELP.name, &error);
                ExitCode::from(status::BROKEN)
            },
            |()| ExitCode::SUCCESS,
        );
    }
    let parsed =
        HELP.parse_from(command, shell::arguments()).map(|matches| CommandLine::from_arg_matches(&matches));
    let ended = match parsed {
        Err(status) => return ExitCode::from(status),
        Ok(parsed) => parsed.map_err(Into::into).and_then(|line| run(&line.command)),
    };
    ExitCode::from(ended.unwrap_or_else(|error| {
        if is_reader_gone(&error) {
            return status::AS_EXPECTED;
        }
        complain(HELP.name, &error);
        status::BROKEN
    }))
}

/// The same command, in which `help` leads that of these `words`: one of its own, or one of theirs.
fn led(command: clap::Command, help: &Help, words: &str) -> clap::Command {
    match words.split_once(' ') {
        Some((word, rest)) => command.mut_subcommand(word, |inner| led(inner, help, rest)),
        None => command.mut_subcommand(words, |inner| help.lead(inner)),
    }
}

fn run(command: &Command) -> Result<u8> {
    ns_core::signals::start_afresh()?;
    ns_core::process::require_address_space()?;
    match command {
        Command::List(list) => list.run(),
        Command::Run(run) => run.run(),
        Command::Walk(walk) => walk.run(),
        Command::Shell(shell) => shell.run(),
        Command::Read(read) => read.run(),
        Command::Review(review) => review.run(),
        Command::Report(report) => report.run(),
        Command::Claims(claims) => claims.run(),
        Command::Diff(diff) => diff.run(),
        Command::Grade(grade) => grade.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Exercise(exercise) => exercise.run(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_command_line_is_taken_or_refused_in_one_line(
            command in "(list|run|walk|shell|read|review|report|claims|diff|doctor|exercise|grade)?",
            arguments in proptest::collection::vec(
                "--(format|width|sabotage|step|list|all|stable|color|predict|answers|score|csv|gift|notes|from|coverage|kernels|pictures|section|no-pause)(=[a-z0-9-]{0,5})?|-[a-zA-Z]|[0-9]{1,20}|text|.{0,9}",
                0..6,
            ),
        ) {
            let arguments = ["inception".to_string(), command].into_iter().filter(|it| !it.is_empty()).chain(arguments);
            if let Ok(matches) = CommandLine::command().try_get_matches_from(arguments) {
                let _ = CommandLine::from_arg_matches(&matches);
            }
        }
    }
}
