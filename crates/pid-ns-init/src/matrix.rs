//! The matrix: which signals init receives, by sender and by whether init handles them.
//!
//! Each cell is a process of its own. It always handles SIGPWR, the fence, which follows the signal under test. The
//! kernel delivers the pending signal with the lowest number first, and SIGPWR's number is higher than all that are
//! tested. If the child handles SIGPWR first, the kernel dropped the other signal.

use anyhow::Result;
use lesson::{Claim, Picture, Step, inside};
use nix::unistd::getpid;
use ns_core::Signal::{
    SIGABRT, SIGHUP, SIGINT, SIGKILL, SIGPWR, SIGQUIT, SIGSEGV, SIGSTOP, SIGTERM, SIGUSR1,
};
use ns_core::{Child, Fact, Namespaces, Pid, Reporter, Signal, Value, signals};

use crate::sender::{Sender, UNTRACED, send};

const SIGNALS: [Signal; 9] = [SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGUSR1, SIGSEGV, SIGTERM, SIGSTOP, SIGKILL];
const FENCE: Signal = SIGPWR;

const SENDERS: [Sender; 3] = [Sender::Outside, Sender::Member, Sender::Itself];

const MATRIX: Claim = Claim::holds(
    "matrix",
    "Of nine signals, init receives those that it handles, and SIGKILL and SIGSTOP from outside; the others are dropped.",
)
.factor("CLONE_NEWPID")
.notes(&[87, 88, 90])
.requires(&[UNTRACED]);

pub(crate) const FILL: Step = Step {
    title: "Send init nine signals, with and without a handler: from outside, from a member and from itself.",
    calls: &["sigaction(signal, handler)", "kill(init, signal)"],
    by_hand: &[],
    claims: &[MATRIX],
    run: |lab| {
        let matrices = lab.arms(Namespaces::NONE, Namespaces::PID, Matrix::of)?;
        lab.picture(
            Picture::Heat(2),
            "What a signal does to init",
            &["signal", "init handles it", "from outside", "from a member", "from itself"],
            matrices.treatment().rows(),
        )?;
        lab.judge(MATRIX, matrices.map(|matrix| matrix.facts())).shows(inside("cells unlike the claim").is(0))
    },
};

struct Cell {
    signal: Signal,
    handled: bool,
    sender: Sender,
    result: String,
}

struct Matrix(Vec<Cell>);

impl Matrix {
    fn of(namespaces: Namespaces) -> Result<Matrix> {
        let mut cells = Vec::new();
        for signal in SIGNALS {
            for handled in [false, true] {
                // SIGKILL and SIGSTOP cannot be handled (signal(7)).
                if handled && (signal == SIGKILL || signal == SIGSTOP) {
                    continue;
                }
                for sender in SENDERS {
                    let result = try_one(namespaces, signal, handled, sender)?;
                    cells.push(Cell { signal, handled, sender, result });
                }
            }
        }
        Ok(Matrix(cells))
    }

    fn rows(&self) -> Vec<Vec<Value>> {
        self.0
            .chunks(SENDERS.len())
            .map(|row| {
                let mut values = vec![row[0].signal.into(), row[0].handled.into()];
                values.extend(row.iter().map(|cell| Value::from(cell.result.as_str())));
                values
            })
            .collect()
    }

    fn facts(&self) -> Vec<Fact> {
        let count = |word: &str| self.0.iter().filter(|cell| cell.result == word).count();
        let wrong = self.0.iter().filter(|cell| cell.result != cell.expected()).count();
        let mut facts = vec![Fact::inside("matrix", "cells unlike the claim", wrong)];
        for word in ["handled", "dropped", "killed", "stopped"] {
            facts.push(Fact::inside("matrix", word, format!("{} of {}", count(word), self.0.len())));
        }
        facts
    }
}

impl Cell {
    /// What the claim predicts for this cell.
    fn expected(&self) -> &'static str {
        match self.signal {
            _ if self.handled => "handled",
            SIGKILL if self.sender == Sender::Outside => "killed",
            SIGSTOP if self.sender == Sender::Outside => "stopped",
            _ => "dropped",
        }
    }
}

fn try_one(namespaces: Namespaces, signal: Signal, handled: bool, sender: Sender) -> Result<String> {
    let mut child = Child::spawn("init", namespaces, target(signal, handled, sender))?;
    child.fact()?; // its handlers are installed
    if sender == Sender::Outside {
        child.signal(signal)?;
        // If the signal has ended the child already, the fence fails with ESRCH.
        let _ = child.try_signal(FENCE)?;
    } else {
        child.wake()?;
    }
    let first = child.next("handled first")?.value.to_string();
    Ok(match first.as_str() {
        name if name == signal.as_str() => "handled",
        name if name == FENCE.as_str() => "dropped",
        end if end == format!("killed by {signal}") => "killed",
        state if state == format!("stopped by {signal}") => "stopped",
        other => other,
    }
    .into())
}

/// The process under test.
fn target(
    signal: Signal,
    handled: bool,
    sender: Sender,
) -> impl FnOnce(&mut Reporter) -> ns_core::Result<()> {
    move |me| {
        let handlers = [FENCE, signal];
        let mut caught = signals::catch(if handled { &handlers } else { &handlers[..1] })?;
        me.report("ready", "yes")?;
        let init = getpid();
        match sender {
            Sender::Outside => {}
            Sender::Member => {
                me.checkpoint()?;
                // No facts, or the error of the member.
                Child::spawn("member", Namespaces::NONE, move |_| send_both(init, signal))?.facts()?;
            }
            Sender::Itself => {
                me.checkpoint()?;
                send_both(init, signal)?;
            }
        }
        me.report("handled", caught.wait()?.signal)
    }
}

fn send_both(init: Pid, signal: Signal) -> ns_core::Result<()> {
    send(init, signal)?;
    send(init, FENCE)
}
