//! What stands above the first prompt: where one is, and three things to try.

use ns_core::{Unmet, printable};
use shell::Plan;

use crate::render::Layout;
use crate::unmet;

const INDENT: &str = "   ";
/// How many things to try are shown.
const TRIES: usize = 3;

/// The card of a shell that is called `name`.
pub(super) fn card(plan: &Plan, name: &str, lacking: &[(&str, Unmet)], layout: Layout) -> String {
    let say = |text: &str| layout.wrap(&printable(text), INDENT, INDENT);
    let mut text = say(&format!("A shell in {}. {}", plan.place(), plan.who()));
    if plan.has_cgroup() {
        text += &say("Its cgroup's directory is $CGROUP.");
    }
    for (controller, unmet) in lacking {
        text += &say(&format!("No limit by {controller}: {}.", unmet::in_words(unmet)));
    }
    for (at, it) in plan.tries().iter().take(TRIES).enumerate() {
        let head = if at == 0 { "   try  " } else { "        " };
        text += &layout.wrap(&printable(&format!("$ {}", it.command)), head, "          ");
        text += &layout.wrap(&printable(&it.expect), "          -> ", "             ");
    }
    text + &say(&format!(
        "exit ends it, and all that runs in it. Another terminal enters it by ns-enter {name}."
    ))
}

#[cfg(test)]
mod tests {
    use ns_core::Namespaces;

    use super::*;

    #[test]
    fn a_card_is_a_few_lines_that_fit() {
        let mut plan = Plan::created(Namespaces::UTS | Namespaces::PID | Namespaces::NET);
        for _ in 0..3 {
            plan = plan.try_it("hostname tried; hostname", "tried; the machine keeps its hostname", "tried");
        }
        for (width, most) in [(80, 12), (60, 14), (100, 12)] {
            let text = card(&plan, "uts-demo", &[], Layout { width, plain: false });
            assert!(text.lines().count() <= most, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
    }
}
