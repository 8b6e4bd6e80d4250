//! The document: promises, and a table of each kind of trial.

use std::fmt::Write as _;

use super::data::{Became, ByHand, Input, Kill, Machine};
use super::faults::{FAULTS, PARSERS};

/// What was tried.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) machines: Vec<Machine>,
    pub(super) kills: Vec<Kill>,
    pub(super) inputs: Vec<Input>,
    pub(super) by_hand: Vec<ByHand>,
}

impl Tried {
    /// What a promise forbids and a run had all the same, a line each.
    pub(super) fn broken_promises(&self) -> Vec<String> {
        let machines = self.machines.iter().filter(|it| it.wrong + it.broken > 0);
        let machines = machines
            .map(|it| format!("machine '{}': {} wrong, {} broken off", it.machine, it.wrong, it.broken));
        let kills = self.kills.iter().filter(|it| it.left > 0);
        let kills =
            kills.map(|it| format!("{}, {}: something was left {} times", it.program, it.mode, it.left));
        let inputs = self.inputs.iter().filter(|it| it.faults > 0);
        let inputs = inputs.map(|it| format!("fuzz target '{}': {} faults", it.target, it.faults));
        let failed = self.by_hand.iter().filter(|it| it.result == Became::Failed);
        let by_hand = failed.map(|it| format!("by hand, {} on {}: prints another", it.session, it.kernel));
        machines.chain(kills).chain(inputs).chain(by_hand).collect()
    }

    /// The document, made on `machine`.
    pub(super) fn document(&self, machine: &str) -> String {
        let mut text = format!("{HEAD}<!-- this machine: {machine} -->\n\n{PROMISES}");
        text.push_str(&self.machines());
        text.push_str(&faults());
        text.push_str(&self.kills());
        text.push_str(&self.inputs());
        text.push_str(&self.by_hand());
        text
    }

    fn machines(&self) -> String {
        let sum = |of: fn(&Machine) -> u64| self.machines.iter().map(of).sum::<u64>();
        let mut text = format!(
            "\n## Machines\n\n{MACHINES}\n\
             On {} machines, {} runs of an experiment: {} verdicts as on the plain machine, {} skipped, {} wrong, {} runs \
             broken off.\n\n",
            self.machines.len(),
            sum(|it| it.experiments),
            sum(|it| it.same),
            sum(|it| it.skipped),
            sum(|it| it.wrong),
            sum(|it| it.broken),
        );
        let heads = [
            "machine",
            "how it is made",
            "experiments",
            "same",
            "skipped",
            "wrong",
            "broken off",
            "slowest, ms",
        ];
        let rows = self.machines.iter().map(|it| {
            let numbers = [it.experiments, it.same, it.skipped, it.wrong, it.broken, it.slowest_ms];
            [vec![cell(&it.machine), cell(&it.how)], numbers.map(|it| it.to_string()).to_vec()].concat()
        });
        text.push_str(&table(&heads, rows));
        text
    }

    fn kills(&self) -> String {
        let sum = |of: fn(&Kill) -> u64| self.kills.iter().map(of).sum::<u64>();
        let mut text = format!(
            "\n## Kills\n\n{KILLS}\n{} kills; something was left after {} of them.\n\n",
            sum(|it| it.kills),
            sum(|it| it.left)
        );
        let rows = self.kills.iter().map(|it| {
            let numbers = [it.kills, it.left, it.slowest_ms].map(|it| it.to_string());
            [vec![cell(&it.program), cell(&it.mode)], numbers.to_vec()].concat()
        });
        text.push_str(&table(&["program", "who was killed", "kills", "left", "slowest, ms"], rows));
        text
    }

    fn by_hand(&self) -> String {
        let mut kernels: Vec<(&str, &str)> = Vec::new();
        for ByHand { kernel, user, .. } in &self.by_hand {
            let kernel = (kernel.as_str(), user.as_str());
            if !kernels.contains(&kernel) {
                kernels.push(kernel);
            }
        }
        kernels.sort_unstable();
        let rows = kernels.into_iter().map(|(kernel, user)| {
            let of = |became: Option<Became>| {
                let all =
                    self.by_hand.iter().filter(|it| (it.kernel.as_str(), it.user.as_str()) == (kernel, user));
                let all = all.filter(move |it| became.is_none_or(|became| it.result == became));
                all.map(move |it| if became.is_some() { it.commands - it.left_out } else { it.commands })
                    .sum::<u64>()
            };
            let (shown, passed, failed) = (of(None), of(Some(Became::Passed)), of(Some(Became::Failed)));
            let numbers = [shown, passed + failed, shown - passed - failed, failed].map(|it| it.to_string());
            [vec![cell(kernel), cell(user)], numbers.to_vec()].concat()
        });
        let heads = ["kernel", "typed by", "shown", "run", "skipped", "in sessions with a fault"];
        format!("\n## By hand\n\n{BY_HAND}\n{}", table(&heads, rows))
    }

    fn inputs(&self) -> String {
        let mut text = format!("\n## Hostile input\n\n{INPUTS}\n");
        let rows = PARSERS.iter().map(|it| vec![cell(it.what), tests(it.tests)]);
        text.push_str(&table(&["parsed", "property tests"], rows));
        let cases: u64 = self.inputs.iter().map(|it| it.cases).sum();
        let _ = write!(text, "\n{FUZZED}\n{cases} inputs in all.\n\n");
        let rows = self.inputs.iter().map(|it| {
            let numbers = [it.cases, it.seconds, it.faults].map(|it| it.to_string());
            [vec![cell(&it.target), cell(&it.parses)], numbers.to_vec()].concat()
        });
        text.push_str(&table(&["target", "parses", "inputs", "seconds", "faults"], rows));
        text
    }
}

fn faults() -> String {
    let rows = FAULTS.iter().map(|it| vec![cell(it.what), tests(it.tests)]);
    format!("\n## Faults\n\n{FOUND}\n{}", table(&["what happened", "tests"], rows))
}

fn tests(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", heads.join(" | "), " --- |".repeat(heads.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// Text in a cell: on one line, and without the bar that would end it.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

const HEAD: &str = "\
<!-- Written by cargo xtask reliability: change nothing here by hand. -->

# What is promised, and how it was tried

";

const PROMISES: &str = "\
A verdict is the kernel's, or there is none.

- **Verdicts.** Everything printed was observed in that run. Every claim has a control in which only the factor differs.
- **Skips.** What the machine cannot answer is skipped, with the call, the errno, the cause and a remedy. It is never
  refuted.
- **Residue.** Nothing is left on the host: no process, mount, cgroup, network link or file. That holds after SIGKILL too.
- **Misuse.** Bad input gets one line on standard error, and exit status 2. There is no panic and no hang.

What `mini-container` resists, and what it does not, is in [SECURITY.md](../SECURITY.md).
";

const MACHINES: &str = "\
A test makes each of these machines, and runs experiments on it. A verdict is to be that of the plain machine, or the
claim is skipped with its cause. No experiment may break off, panic, run longer than 15 s, or leave anything.
";

const FOUND: &str = "\
Each of these was seen once, and is mended. Its tests fail where it comes back.
";

const KILLS: &str = "\
A program runs, and SIGKILL hits it at a chosen or at a random moment. Then nothing of it may be left within 3 s. The
slowest is the longest time until nothing was left.
";

const INPUTS: &str = "\
What parses text or bytes of others is tried with generated input, whenever the tests run. It must not panic; it must
read what its writer writes; and an error must name the thing.
";

const BY_HAND: &str = "\
Each step of an experiment shows commands to be typed by hand, and what they print. A test types them, and compares.
";

const FUZZED: &str = "\
Coverage-guided fuzzing tried each of these for longer (`fuzz/README.md`).
";

#[cfg(test)]
mod tests {
    use super::super::data::lines;
    use super::super::names::named;
    use super::*;

    const MACHINES: &str = r#"
{"machine":"plain","how":"nothing is changed","experiments":20,"same":500,"skipped":4,"wrong":0,"broken":0,"slowest_ms":900}
{"machine":"no | setns","how":"seccomp: setns(2) gives\nEPERM","experiments":6,"same":80,"skipped":20,"wrong":0,"broken":0,"slowest_ms":1200}
"#;
    const KILLS: &str = r#"{"program":"uts-demo","mode":"parent alone","kills":40,"left":0,"slowest_ms":80}"#;
    const INPUTS: &str = r#"{"target":"netlink","parses":"answers","cases":1000000,"seconds":9,"faults":0}"#;

    const BY_HAND: &str = r#"
{"kernel":"6.12","user":"root","session":"a/1 as root","commands":3,"left_out":1,"result":"passed"}
{"kernel":"6.12","user":"root","session":"a/2 as root","commands":4,"left_out":0,"result":"skipped"}
"#;

    fn tried() -> Tried {
        Tried {
            machines: lines("machines", MACHINES).unwrap(),
            kills: lines("kills", KILLS).unwrap(),
            inputs: lines("inputs", INPUTS).unwrap(),
            by_hand: lines("by hand", BY_HAND).unwrap(),
        }
    }

    #[test]
    fn every_trial_is_a_row_and_counted() {
        let text = tried().document("kernel 6.18");
        for part in [
            "<!-- this machine: kernel 6.18 -->",
            "On 2 machines, 26 runs of an experiment: 580 verdicts as on the plain machine, 24 skipped, 0 wrong, 0 runs",
            "| no \\| setns | seccomp: setns(2) gives EPERM | 6 | 80 | 20 | 0 | 0 | 1200 |\n",
            "40 kills; something was left after 0 of them.",
            "| uts-demo | parent alone | 40 | 0 | 80 |\n",
            "1000000 inputs in all.",
            "| netlink | answers | 1000000 | 9 | 0 |\n",
            "| 6.12 | root | 7 | 2 | 5 | 0 |\n",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert_eq!(tried().broken_promises(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_and_every_parser_names_a_test() {
        let text = tried().document("kernel 6.18");
        let named = named(&text);
        for tests in FAULTS.iter().map(|it| it.tests).chain(PARSERS.iter().map(|it| it.tests)) {
            assert!(!tests.is_empty());
            for test in tests {
                assert!(named.contains(test), "{test} would not be looked for");
            }
        }
    }

    #[test]
    fn a_promise_that_was_broken_is_told() {
        let mut tried = tried();
        tried.machines[1].wrong = 2;
        tried.kills[0].left = 1;
        tried.inputs[0].faults = 3;
        tried.by_hand[1].result = Became::Failed;
        assert_eq!(
            tried.broken_promises(),
            [
                "machine 'no | setns': 2 wrong, 0 broken off",
                "uts-demo, parent alone: something was left 1 times",
                "fuzz target 'netlink': 3 faults",
                "by hand, a/2 as root on 6.12: prints another"
            ]
        );
    }
}
