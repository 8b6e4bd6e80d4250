//! A step before it is done: what it is for, its system calls, and the same by hand.

use std::slice;

use transcript::{Event, Hand, Hands, Need};

use super::command;
use super::layout::Layout;
use super::lines;
use super::plain;
use super::style::{styled, styled_lines};
use super::tone;

/// The first line below `calls`, and those that follow.
const BY_HAND: &str = "   by hand  ";
const BELOW: &str = "            ";

/// A step that is announced; nothing of any other event.
pub fn step_head(event: &Event, layout: Layout) -> String {
    let plain = layout.plain.then(|| plain::event(event));
    match plain.as_ref().unwrap_or(event) {
        Event::Step { number, title, calls, by_hand, .. } => head(*number, title, calls, by_hand, layout),
        _ => String::new(),
    }
}

pub(super) fn head(number: usize, goal: &str, calls: &[String], hands: &Hands, layout: Layout) -> String {
    let head = format!("{number}. ");
    let goal = lines::wrap(goal, layout.width, &head, &" ".repeat(head.len()));
    let mut text = format!("\n{}\n", styled(goal.trim_end(), tone::heading()));
    let set = |calls: &[String], head| lines::calls(calls, layout.width, head, BELOW);
    let calls = match calls {
        [] => String::new(),
        [first, rest @ ..] if layout.plain => {
            let rest = rest.iter().map(|call| set(slice::from_ref(call), BELOW));
            set(slice::from_ref(first), "   calls    ") + &rest.collect::<String>()
        }
        all => set(all, "   calls    "),
    };
    text += &styled_lines(&calls, tone::faint());
    text += &styled_lines(&by_hand(hands, layout), tone::faint());
    text
}

/// The commands, each with what it prints below it.
fn by_hand(hands: &Hands, layout: Layout) -> String {
    let mut text = String::new();
    let mut begins = BY_HAND;
    if let (Some(remark), false) = (remark(hands), hands.typed.is_empty()) {
        text += &lines::wrap(&remark, layout.width, begins, BELOW);
        begins = BELOW;
    }
    for Hand { command, about } in &hands.typed {
        let prompt = if about.root { "# " } else { "$ " };
        let head = format!("{begins}{prompt}");
        text += &command::lines(command, layout.width, &head, "                ");
        begins = BELOW;
        let arrow = if layout.plain { "-> " } else { "→ " };
        for line in about.prints.iter().flatten() {
            let head = format!("{BELOW}{arrow}");
            text += &lines::wrap(line, layout.width, &head, "              ");
        }
    }
    text
}

/// What is to be known before the first command is typed.
fn remark(hands: &Hands) -> Option<String> {
    let needs: Vec<String> = hands.needs().into_iter().map(Need::sentence).collect();
    let needs = (!needs.is_empty()).then(|| format!("needs {}", needs.join("; ")));
    let shell = hands.shell.map(|step| format!("in the shell of step {step}"));
    let all: Vec<String> = needs.into_iter().chain(shell).collect();
    (!all.is_empty()).then(|| all.join("; ") + ":")
}
