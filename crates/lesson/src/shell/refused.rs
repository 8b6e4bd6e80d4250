//! Why a shell was not opened, in one line with the remedy, and the exit status that goes with it.

use anyhow::Error;
use ns_core::probe::why_refused;
use shell::{Plan, innermost, why_not_entered};

use crate::refusal;
use crate::status::{BROKEN, NOTHING_ASKED};
use crate::unmet;

/// The line, and the exit status.
pub(super) fn explain(error: &ns_core::Error, plan: &Plan) -> (Error, u8) {
    if let ns_core::Error::Unmet(unmet) = error {
        return (Error::msg(unmet::in_words(unmet)), NOTHING_ASKED);
    }
    let Some(refused) = error.refused() else { return (Error::msg(innermost(error)), BROKEN) };
    let call = refused.call.clone();
    let line = format!("{call}: {}", observation::in_words(refused.errno));
    if call.contains("_map") || call.contains("/setgroups") {
        let remedy = "the kernel refuses this map; an ordinary user maps the own ID alone, with setgroups denied \
                      (user_namespaces(7)), and root any";
        return (Error::msg(format!("{line}; {remedy}")), BROKEN);
    }
    if let (true, Some(target)) = (call.starts_with("setns("), plan.target()) {
        return (
            Error::msg(format!("{}; to enter them: run as root: sudo …", why_not_entered(target))),
            NOTHING_ASKED,
        );
    }
    let call_error: Error = ns_core::Error::Call { call, errno: refused.errno }.into();
    match refusal::of(&call_error) {
        Some(_) => {
            let unmet = why_refused(refused, plan.namespaces());
            (Error::msg(unmet::in_words(&unmet)), NOTHING_ASKED)
        }
        None => (Error::msg(line), BROKEN),
    }
}
