//! Text of ours in ASCII: for screen readers, which name or drop what they do not know, and for terminals that cannot
//! show it. What the kernel said stays as it is.

use transcript::{Actor, Arm, ClaimHead, DeclaredAnswer, Event, Expectation, Hand, Row, Table};

/// The same words in ASCII. A character that has no counterpart stays.
pub fn in_ascii(text: &str) -> String {
    if text.is_ascii() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '…' => out.push_str("..."),
            '–' | '—' | '−' | '‑' | '─' | '━' | '═' => out.push('-'),
            '│' | '┃' => out.push('|'),
            '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => out.push('+'),
            '≠' => out.push_str("!="),
            '≤' => out.push_str("<="),
            '≥' => out.push_str(">="),
            '→' => out.push_str("->"),
            '×' => out.push('x'),
            '·' | '•' => out.push('-'),
            '‘' | '’' => out.push('\''),
            '“' | '”' => out.push('"'),
            '²' => out.push_str("^2"),
            '³' => out.push_str("^3"),
            'ⁿ' => out.push_str("^n"),
            'à' | 'á' | 'â' => out.push('a'),
            'è' | 'é' | 'ê' => out.push('e'),
            'µ' => out.push('u'),
            other => out.push(other),
        }
    }
    out
}

/// The same event, with the experiment's own words in ASCII. Values are the kernel's, and stay.
pub(super) fn event(event: &Event) -> Event {
    let mut event = event.clone();
    match &mut event {
        Event::Begin { question, notes, setup, in_short, claims, .. } => {
            [question, notes, setup, in_short].into_iter().for_each(set);
            claims.iter_mut().for_each(head);
        }
        Event::Step { title, calls, by_hand, .. } => {
            set(title);
            calls.iter_mut().for_each(set);
            for Hand { command, about } in &mut by_hand.typed {
                set(command);
                about.prints.iter_mut().flatten().for_each(set);
            }
        }
        Event::Actor(Actor { label, .. }) => set(label),
        Event::Saw(fact) => set(&mut fact.what),
        Event::Table(Table { title, columns, .. }) => {
            set(title);
            columns.iter_mut().for_each(set);
        }
        Event::Judged { control, treatment, rows, .. } => {
            [control, treatment].into_iter().for_each(arm);
            rows.iter_mut().for_each(|Row { label, .. }| set(label));
        }
        Event::Skipped { missing, remedy, .. } => [missing, remedy].into_iter().for_each(set),
        Event::End { broken, .. } => broken.iter_mut().for_each(set),
    }
    event
}

fn set(text: &mut String) {
    *text = in_ascii(text);
}

fn arm(Arm { facts, .. }: &mut Arm) {
    facts.iter_mut().for_each(|fact| set(&mut fact.what));
}

fn head(claim: &mut ClaimHead) {
    let ClaimHead { text, factor, expect, arms, question, answers, .. } = claim;
    [text, factor].into_iter().chain(arms).chain(question).for_each(set);
    if let Expectation::Varies { why } = expect {
        set(why);
    }
    for DeclaredAnswer { answer, why, .. } in answers {
        [answer].into_iter().chain(why).for_each(set);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ns_core::{Fact, Value};

    #[test]
    fn our_words_are_ascii_and_values_stay() {
        let name = Value::Name("naïve … ≠".into());
        let saw = Event::Saw(Fact::outside("echo … > cgroup.procs", name.clone()));
        assert_eq!(event(&saw), Event::Saw(Fact::outside("echo ... > cgroup.procs", name)));
    }

    #[test]
    fn what_has_no_counterpart_stays() {
        assert_eq!(in_ascii("a ≠ b, 호"), "a != b, 호");
    }
}
