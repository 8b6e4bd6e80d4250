//! Opens a shell, or says how to do it by hand.

use std::io::Write;

use anyhow::{Result, ensure};
use clap::{ArgMatches, FromArgMatches};
use shell::{Ended, Opening, Plan, Program, by_hand, opened};

use super::card::card;
use super::command_line::Common;
use super::declared::Shell;
use super::refused::explain;
use crate::help::complain;
use crate::status::AS_EXPECTED;

/// Opens the shell of the program `name` as the command line has it, and returns the exit status.
///
/// # Errors
/// What is wrong with the command line.
pub(crate) fn run(name: &str, shell: &Shell, matches: &ArgMatches) -> Result<u8> {
    let common = Common::from_arg_matches(matches)?;
    let plan = match (shell.plan)(matches) {
        Ok(plan) => plan,
        Err(error) => return refuse(name, error, &Plan::default()),
    };
    if common.list_tries {
        return list(&plan, &common);
    }
    match plan_of_words(name, &plan, &common) {
        Ok(status) => Ok(status),
        Err(error) => refuse(name, error, &plan),
    }
}

fn refuse(name: &str, error: anyhow::Error, plan: &Plan) -> Result<u8> {
    let Some(own) = error.downcast_ref::<ns_core::Error>() else { return Err(error) };
    let (line, status) = explain(own, plan);
    complain(name, &line);
    Ok(status)
}

fn plan_of_words(name: &str, plan: &Plan, common: &Common) -> Result<u8> {
    if common.by_hand {
        let mut stdout = common.screen.stdout()?;
        for line in by_hand(plan, &common.command)? {
            writeln!(stdout, "{line}")?;
        }
        return Ok(AS_EXPECTED);
    }
    let called = common.name.as_ref().map_or(name, |given| given.0.as_str());
    let other = common.name.as_ref().and_then(|_| opened().into_iter().find(|it| it.name == called));
    if let Some(other) = other {
        anyhow::bail!(
            "a shell called {called} is open, PID {}; give another --name, or end that one",
            other.pid
        );
    }
    for kind in plan.namespaces().kinds() {
        if let Some(unmet) = ns_core::probe::kind(kind) {
            return Err(ns_core::Error::Unmet(unmet).into());
        }
    }
    let opening = Opening::prepare(plan)?;
    let program = Program {
        of: name.into(),
        command: common.command.clone(),
        prompt: called.into(),
        card: card(plan, called, opening.lacking(), common.screen.layout()),
        variables: opening.variables(),
    };
    if !program.is_a_shell() {
        // A person reads it on the card.
        for (controller, unmet) in opening.lacking() {
            complain(name, &anyhow::anyhow!("no limit by {controller}: {}", crate::unmet::in_words(unmet)));
        }
    }
    Ok(match opening.open(&program, called)? {
        Ended::Status(status) => status,
        Ended::Signal(signal) => 128 + signal as u8,
    })
}

/// What the card says to try, a JSON object each.
fn list(plan: &Plan, common: &Common) -> Result<u8> {
    ensure!(common.command.is_empty(), "--list-tries goes without a command");
    let mut stdout = common.screen.stdout()?;
    for it in plan.tries() {
        let object = serde_json::json!({ "command": it.command, "expect": it.expect, "shows": it.shows });
        writeln!(stdout, "{object}")?;
    }
    Ok(AS_EXPECTED)
}
