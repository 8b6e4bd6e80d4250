//! What becomes of many experiments, at a glance.

use std::time::Duration;
use transcript::{Claim, ClaimResult, Verdict};

use lesson::render::{Layout, beside, negative_control, tone, wrap};
use lesson::status;
use ns_core::printable;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;

use crate::trial::Account;

/// What stands left of a list's lines, as in an experiment's own text.
const INDENT: usize = 12;

/// How many claims came out how. Each counts once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Count {
    hold: usize,
    refuted: usize,
    unexpected: usize,
    skipped: usize,
}

impl Count {
    /// Of all claims of these experiments.
    pub(crate) fn of(accounts: &[Account]) -> Count {
        let mut count = Count::default();
        for claim in accounts.iter().flat_map(Account::claims) {
            match claim.result {
                Some(ClaimResult::Judged { expected: false, .. }) => count.unexpected += 1,
                Some(ClaimResult::Judged { verdict: Verdict::Holds, .. }) => count.hold += 1,
                Some(ClaimResult::Judged { .. }) => count.refuted += 1,
                Some(ClaimResult::Skipped { .. }) => count.skipped += 1,
                None => {}
            }
        }
        count
    }

    fn judged(self) -> usize {
        self.hold + self.refuted + self.unexpected
    }
}

/// The exit status: the worst that happened, and 77 when nothing did.
pub(crate) fn status(accounts: &[Account]) -> u8 {
    let any = |status| accounts.iter().any(|account| account.status == status);
    let count = Count::of(accounts);
    if any(status::BROKEN) {
        status::BROKEN
    } else if any(status::UNEXPECTED) || count.unexpected > 0 {
        status::UNEXPECTED
    } else if count.judged() == 0 {
        status::NOTHING_ASKED
    } else {
        status::AS_EXPECTED
    }
}

/// The summary's text: a table, then whatever needs a word, then one line that says it all. `elapsed` is how long all of
/// it took; `None` leaves the times out.
pub(crate) fn text(
    accounts: &[Account],
    elapsed: Option<Duration>,
    sabotage: bool,
    layout: Layout,
) -> String {
    let seconds = |elapsed: Duration| format!("{:.3} s", elapsed.as_secs_f64());
    let time = |own: Duration| elapsed.map_or_else(String::new, |_| seconds(own));
    let rows: Vec<Vec<String>> = accounts
        .iter()
        .map(|account| {
            let count = Count::of(std::slice::from_ref(account));
            let unexpected =
                if account.broken.is_some() { "BROKEN".into() } else { count.unexpected.to_string() };
            let numbers =
                [count.hold.to_string(), count.refuted.to_string(), unexpected, count.skipped.to_string()];
            [account.demo.title()].into_iter().chain(numbers).chain([time(account.elapsed)]).collect()
        })
        .collect();
    let heads = ["demo", "hold", "refuted,\nas expected", "unexpected", "skipped", "time"];
    let mut text = format!("\n{}", layout.table(&heads, &rows));
    for account in accounts {
        text += &worth_a_word(account, sabotage, layout);
    }
    text += &skips(accounts, layout);
    let (line, style) = last_line(accounts, sabotage);
    let line = elapsed.map_or_else(|| line.clone(), |elapsed| format!("{line} ({})", seconds(elapsed)));
    format!("{text}\n{}\n", wrap(&line, layout.width, "", "  ").trim_end().style(style))
}

/// The claims of an experiment that came out otherwise than they should, and why it broke.
fn worth_a_word(account: &Account, sabotage: bool, layout: Layout) -> String {
    let title = account.demo.title();
    let mut lines = Vec::new();
    for Claim { head, result, .. } in account.claims() {
        let Some(ClaimResult::Judged { verdict, expected }) = result else { continue };
        if sabotage && *verdict == Verdict::Holds {
            lines.push(("HOLDS", format!("{title}: {}, though its factor was left out", head.id)));
        } else if !sabotage && !expected {
            let (id, verdict, expect) = (&head.id, verdict.word(), &head.expect);
            lines
                .push(("UNEXPECTED", format!("{title}: {id}: {verdict}; this kernel was to say '{expect}'")));
        }
    }
    lines.extend(account.broken.iter().map(|why| ("BROKEN", format!("{title}: {why}"))));
    lines.iter().map(|(word, line)| item(word, line, tone::bad(), layout)).collect()
}

/// Why claims were skipped.
#[derive(Debug, Serialize)]
pub(crate) struct Reason {
    missing: String,
    remedy: String,
    count: usize,
    demos: Vec<String>,
}

/// Every reason for a skip once, with what would supply what is missing.
pub(crate) fn reasons(accounts: &[Account]) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = Vec::new();
    for account in accounts {
        for claim in account.claims() {
            let Some(ClaimResult::Skipped { missing, remedy }) = &claim.result else { continue };
            let (missing, remedy) = (printable(missing), printable(remedy));
            let known = reasons.iter().position(|it| it.missing == missing && it.remedy == remedy);
            let at = known.unwrap_or_else(|| {
                reasons.push(Reason { missing, remedy, count: 0, demos: Vec::new() });
                reasons.len() - 1
            });
            let (reason, title) = (&mut reasons[at], account.demo.title());
            reason.count += 1;
            if !reason.demos.contains(&title) {
                reason.demos.push(title);
            }
        }
    }
    reasons
}

fn skips(accounts: &[Account], layout: Layout) -> String {
    let mut text = String::new();
    for Reason { missing, remedy, count, demos } in reasons(accounts) {
        let demos = demos.join(", ");
        let line = format!("{count} in {demos}\nmissing: {missing}\nto get it: {remedy}");
        text += &item("SKIPPED", &line, tone::note(), layout);
    }
    text
}

/// What came of all, and its style.
fn last_line(accounts: &[Account], sabotage: bool) -> (String, Style) {
    let count = Count::of(accounts);
    let broken: Vec<_> = accounts.iter().filter(|it| it.broken.is_some()).map(|it| it.demo.name).collect();
    if !broken.is_empty() {
        return (format!("inception: BROKEN: {}", broken.join(", ")), tone::bad());
    }
    if sabotage {
        return negative_control(count.judged(), held(accounts));
    }
    let mut parts = vec![format!("{} hold", count.hold)];
    for (number, word) in [(count.refuted, "refuted as expected"), (count.skipped, "skipped")] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    parts.push(match (status(accounts), count.unexpected) {
        (status::NOTHING_ASKED, _) => "nothing could be asked here".into(),
        (status::UNEXPECTED, 0) => "all as expected, BUT NONE MAY BE SKIPPED".into(),
        (_, 0) => "all as expected".into(),
        (_, unexpected) => format!("{unexpected} NOT AS EXPECTED"),
    });
    let bad = status(accounts) == status::UNEXPECTED;
    let style = if bad { tone::bad() } else { tone::strong() };
    (format!("inception: {}", parts.join(", ")), style)
}

/// How many claims hold, expected or not.
fn held(accounts: &[Account]) -> usize {
    let holds =
        |claim: &&Claim| matches!(claim.result, Some(ClaimResult::Judged { verdict: Verdict::Holds, .. }));
    accounts.iter().flat_map(Account::claims).filter(holds).count()
}

/// A word, and beside it what there is to say.
pub(crate) fn item(word: &str, text: &str, style: Style, layout: Layout) -> String {
    beside(word, text, style, layout, INDENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demos::Demo;
    use anstream::adapter::strip_str;
    use transcript::Run;
    use transcript::{ClaimHead, Event, SCHEMA, Sandbox};

    const LAYOUT: Layout = Layout { width: 100, plain: false };
    const DEMOS: [Demo; 2] = [
        Demo { number: 5, name: "cgroup-limits", question: "", needs: &[], place: 0, doc: "", reference: "" },
        Demo { number: 11, name: "pid-ns-init", question: "", needs: &[], place: 0, doc: "", reference: "" },
    ];
    const HOLDS: Option<ClaimResult> = Some(ClaimResult::Judged { verdict: Verdict::Holds, expected: true });
    const REFUTED: Option<ClaimResult> =
        Some(ClaimResult::Judged { verdict: Verdict::Refuted, expected: true });
    const WRONG: Option<ClaimResult> =
        Some(ClaimResult::Judged { verdict: Verdict::Refuted, expected: false });
    const TOO_GOOD: Option<ClaimResult> =
        Some(ClaimResult::Judged { verdict: Verdict::Holds, expected: false });

    fn skipped() -> Option<ClaimResult> {
        Some(ClaimResult::Skipped { missing: "CAP_SYS_RESOURCE".into(), remedy: "run as root".into() })
    }

    fn account(demo: &'static Demo, status: u8, results: Vec<Option<ClaimResult>>) -> Account {
        let head =
            |at| ClaimHead { id: format!("claim-{at}"), text: "So it is.".into(), ..ClaimHead::default() };
        let begin = Event::Begin {
            schema: SCHEMA,
            experiment: demo.name.into(),
            question: String::new(),
            notes: String::new(),
            man: Vec::new(),
            kernel: String::new(),
            machine: String::new(),
            sabotage: false,
            must_run: false,
            origin: Box::default(),
            sandbox: Sandbox { namespaces: Vec::new(), uid: 0 },
            setup: String::new(),
            in_short: String::new(),
            of: results.len(),
            claims: (0..results.len()).map(head).collect(),
        };
        let mut run = Run::begin(begin).unwrap();
        for (claim, result) in run.claims.iter_mut().zip(results) {
            claim.result = result;
        }
        let broken = (status == status::BROKEN).then(|| "it ended without its last word".into());
        Account { demo, run: Some(run), status, broken, elapsed: Duration::from_millis(1500) }
    }

    fn text(accounts: &[Account], sabotage: bool, layout: Layout) -> String {
        let elapsed = accounts.iter().map(|account| account.elapsed).sum();
        super::text(accounts, Some(elapsed), sabotage, layout)
    }

    fn last(accounts: &[Account], sabotage: bool) -> (u8, String) {
        let text = strip_str(&text(accounts, sabotage, LAYOUT)).to_string();
        (status(accounts), text.lines().last().unwrap().into())
    }

    #[test]
    fn every_claim_counts_once() {
        let results = vec![HOLDS, HOLDS, REFUTED, WRONG, TOO_GOOD, skipped(), None];
        let count = Count::of(&[account(&DEMOS[0], 1, results)]);
        assert_eq!(count, Count { hold: 2, refuted: 1, unexpected: 2, skipped: 1 });
    }

    #[test]
    fn the_last_line_says_the_worst() {
        let [fine, wrong, broken, none, lacking] = [
            || account(&DEMOS[0], 0, vec![HOLDS, REFUTED]),
            || account(&DEMOS[1], 1, vec![HOLDS, WRONG]),
            || account(&DEMOS[1], 2, vec![HOLDS]),
            || account(&DEMOS[0], 77, vec![skipped()]),
            || account(&DEMOS[0], 1, vec![HOLDS, skipped()]),
        ];
        let said = |status, line: &str| (status, line.to_string());
        let all = last(&[fine(), none()], false);
        assert_eq!(
            all,
            said(0, "inception: 1 hold, 1 refuted as expected, 1 skipped, all as expected (3.000 s)")
        );
        let one = last(&[fine(), wrong()], false);
        assert_eq!(one, said(1, "inception: 2 hold, 1 refuted as expected, 1 NOT AS EXPECTED (3.000 s)"));
        assert_eq!(last(&[wrong(), broken()], false), said(2, "inception: BROKEN: pid-ns-init (3.000 s)"));
        let nothing = last(&[none()], false);
        assert_eq!(nothing, said(77, "inception: 0 hold, 1 skipped, nothing could be asked here (1.500 s)"));
        let must = last(&[lacking()], false);
        assert_eq!(
            must,
            said(1, "inception: 1 hold, 1 skipped, all as expected, BUT NONE MAY BE SKIPPED (1.500 s)")
        );
    }

    #[test]
    fn sabotage_is_well_when_nothing_holds() {
        let well = last(&[account(&DEMOS[0], 0, vec![REFUTED, REFUTED, skipped()])], true);
        let line = "None of 2 claims holds without its factor: as it should be. (1.500 s)";
        assert_eq!(well, (0, line.to_string()));
        let accounts = [account(&DEMOS[0], 1, vec![REFUTED, TOO_GOOD])];
        let ill = last(&accounts, true);
        assert_eq!(ill, (1, "1 of 2 claims HOLDS without its factor. (1.500 s)".to_string()));
        let named = strip_str(&text(&accounts, true, LAYOUT)).to_string();
        assert!(named.contains("05 cgroup-limits: claim-1, though its factor was left out"), "{named}");
    }

    #[test]
    fn a_reason_for_skips_stands_once() {
        let accounts = [
            account(&DEMOS[0], 0, vec![HOLDS, skipped(), skipped()]),
            account(&DEMOS[1], 0, vec![HOLDS, skipped()]),
        ];
        let text = strip_str(&skips(&accounts, LAYOUT)).to_string();
        let expected = "\
SKIPPED     3 in 05 cgroup-limits, 11 pid-ns-init
            missing: CAP_SYS_RESOURCE
            to get it: run as root
";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_width_will_do() {
        let accounts =
            [account(&DEMOS[0], 2, vec![HOLDS, WRONG, skipped()]), account(&DEMOS[1], 1, vec![TOO_GOOD])];
        for width in 20..=400 {
            let layout = Layout { width, plain: width % 5 == 0 };
            assert!(text(&accounts, width % 2 == 0, layout).contains("cgroup-limits"));
        }
    }
}
