//! Rules, and the program of classic BPF that the kernel makes of them for each call.
//!
//! Written here, and not taken from a crate: DESIGN.md says which were looked at.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long,
    sock_filter,
};
use nix::errno::Errno;

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It makes the call.
    Allow,
    /// It refuses the call with this errno.
    Refuse(Errno),
    /// It ends the whole process by SIGSYS.
    Kill,
    /// It lets a supervisor answer ([`super::Listener`]).
    Ask,
    /// It stops for the process that traces the caller (PTRACE_EVENT_SECCOMP), and then makes the call. Where nobody
    /// traces it, the call gets ENOSYS.
    Stop,
}

/// A call that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    call: c_long,
    argument: Option<Argument>,
}

/// Which argument, the bits of it that count, and what they are to be.
type Argument = (u8, u32, u32);

/// Where struct seccomp_data has the call's number, its architecture and its arguments (seccomp(2)).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

impl Rule {
    /// Every call of that number, such as `libc::SYS_mount`.
    pub const fn call(call: c_long) -> Rule {
        Rule { call, argument: None }
    }

    /// Only if argument `number` (from 0, six at most) is `value`. Its lower 32 bits are looked at, which is what the
    /// kernel takes of an int: the others could be anything.
    #[must_use]
    pub const fn with(self, number: u8, value: u32) -> Rule {
        Rule { argument: Some((number, u32::MAX, value)), ..self }
    }

    /// Only if all of these bits are set in argument `number` (from 0).
    #[must_use]
    pub const fn with_bits(self, number: u8, bits: u32) -> Rule {
        Rule { argument: Some((number, bits, bits)), ..self }
    }
}

impl Action {
    fn code(self) -> u32 {
        match self {
            Action::Allow => libc::SECCOMP_RET_ALLOW,
            Action::Refuse(errno) => libc::SECCOMP_RET_ERRNO | (errno as u32 & libc::SECCOMP_RET_DATA),
            Action::Kill => libc::SECCOMP_RET_KILL_PROCESS,
            Action::Ask => libc::SECCOMP_RET_USER_NOTIF,
            Action::Stop => libc::SECCOMP_RET_TRACE,
        }
    }
}

/// What a call by another architecture's numbers gets, since it would be looked up in the wrong table. A tracer keeps nobody
/// out, so such a call passes it.
fn for_other_architectures(rules: &[(Rule, Action)]) -> u32 {
    if rules.iter().any(|(_, action)| matches!(action, Action::Stop)) {
        return libc::SECCOMP_RET_ALLOW;
    }
    libc::SECCOMP_RET_KILL_PROCESS
}

/// The program: for a call that a rule names, the action of the first such rule, and nothing against any other. `None` for
/// an architecture that is not known here.
pub(super) fn program(rules: &[(Rule, Action)]) -> Option<Vec<sock_filter>> {
    let mut program = vec![
        load(ARCHITECTURE),
        instruction(BPF_JMP | BPF_JEQ | BPF_K, architecture()?, 1, 0),
        answer(for_other_architectures(rules)),
        load(NUMBER),
    ];
    // A call has a second number for the x32 ABI, with this bit, for which the kernel reports the same architecture.
    if std::env::consts::ARCH == "x86_64" {
        program.push(instruction(BPF_ALU | BPF_AND | BPF_K, !0x4000_0000, 0, 0));
    }
    let mut rules = rules.to_vec();
    // Those of one call stay in their order.
    rules.sort_by_key(|(rule, _)| number(rule));
    let mut spans = vec![Span { first: 0, tests: Vec::new() }];
    for rules in rules.chunk_by(|(one, _), (other, _)| one.call == other.call) {
        let (first, tests) =
            (number(&rules[0].0), rules.iter().map(|(rule, action)| (rule.argument, *action)).collect());
        // The call before it may have rules, too.
        if spans.last().is_some_and(|span| span.first == first) {
            spans.pop();
        }
        if spans.last().is_none_or(|span| span.tests != tests) {
            spans.push(Span { first, tests });
        }
        spans.push(Span { first: first + 1, tests: Vec::new() });
    }
    program.extend(search(&spans));
    Some(program)
}

/// Calls with numbers from `first` on, up to the next span, for which the same is done.
struct Span {
    first: u32,
    tests: Vec<(Option<Argument>, Action)>,
}

impl Span {
    /// The action of the first test that an argument passes. Without one, the kernel makes the call.
    fn answers(&self) -> Vec<sock_filter> {
        let mut program = Vec::new();
        for (argument, action) in &self.tests {
            if let Some((argument, bits, value)) = argument {
                program.extend([
                    load(ARGUMENTS + 8 * u32::from(*argument)),
                    instruction(BPF_ALU | BPF_AND | BPF_K, *bits, 0, 0),
                    instruction(BPF_JMP | BPF_JEQ | BPF_K, *value, 0, 1),
                ]);
            }
            program.push(answer(action.code()));
        }
        if self.tests.iter().all(|(argument, _)| argument.is_some()) {
            program.push(answer(Action::Allow.code()));
        }
        program
    }
}

fn number(rule: &Rule) -> u32 {
    rule.call as u32
}

/// Looks a call's number, which is loaded, up among the spans, by halves. The shorter, and the fewer on the way, the better.
/// When a filter is installed, the kernel compiles it, and runs it once for each number that there is (kernel/seccomp.c,
/// seccomp_cache_prepare).
fn search(spans: &[Span]) -> Vec<sock_filter> {
    if let [span] = spans {
        return span.answers();
    }
    let (lower, upper) = spans.split_at(spans.len() / 2);
    let first = upper[0].first;
    let (lower, upper) = (search(lower), search(upper));
    // A conditional jump reaches 255.
    let jump = match u8::try_from(lower.len()) {
        Ok(length) => vec![instruction(BPF_JMP | BPF_JGE | BPF_K, first, length, 0)],
        Err(_) => vec![
            instruction(BPF_JMP | BPF_JGE | BPF_K, first, 0, 1),
            instruction(BPF_JMP | BPF_JA, lower.len() as u32, 0, 0),
        ],
    };
    [jump, lower, upper].concat()
}

/// AUDIT_ARCH_… of linux/audit.h. All of them have the lower half of an argument first, as [`program`] reads it.
fn architecture() -> Option<u32> {
    match std::env::consts::ARCH {
        "x86_64" => Some(0xc000_003e),
        "aarch64" => Some(0xc000_00b7),
        "riscv64" => Some(0xc000_00f3),
        _ => None,
    }
}

fn answer(code: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, code, 0, 0)
}

fn load(from: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, from, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program answers to a call: the few instructions that are written, as socket filters have them
    /// (Documentation/networking/filter.rst).
    fn run(program: &[sock_filter], architecture: u32, call: c_long, arguments: [u64; 6]) -> u32 {
        let (mut at, mut register) = (0, 0_u32);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            match u32::from(code) {
                code if code == BPF_LD | BPF_W | BPF_ABS => {
                    register = match k {
                        NUMBER => call as u32,
                        ARCHITECTURE => architecture,
                        k => arguments[(k - ARGUMENTS) as usize / 8] as u32,
                    }
                }
                code if code == BPF_ALU | BPF_AND | BPF_K => register &= k,
                code if code == BPF_JMP | BPF_JEQ | BPF_K => {
                    at += usize::from(if register == k { jt } else { jf });
                }
                code if code == BPF_JMP | BPF_JGE | BPF_K => {
                    at += usize::from(if register >= k { jt } else { jf });
                }
                code if code == BPF_JMP | BPF_JA => at += k as usize,
                code if code == BPF_RET | BPF_K => return k,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    const RULES: [Rule; 4] =
        [Rule::call(6).with(1, 7), Rule::call(5), Rule::call(8).with_bits(0, 0x6), Rule::call(6).with(0, 1)];

    fn refusing(rules: &[Rule]) -> Vec<sock_filter> {
        let all: Vec<_> = rules.iter().map(|rule| (*rule, Action::Refuse(Errno::EPERM))).collect();
        program(&all).unwrap()
    }

    #[test]
    fn the_call_and_its_arguments_decide() {
        let Some(ours) = architecture() else { return };
        let program = refusing(&RULES);
        let [allow, refuse] = [Action::Allow, Action::Refuse(Errno::EPERM)].map(Action::code);
        let cases = [
            (5, [9; 6], refuse),
            (6, [0, 7, 0, 0, 0, 0], refuse),
            (6, [7, 0, 0, 0, 0, 0], allow),
            (6, [1, 0, 0, 0, 0, 0], refuse),
            (6, [0, 7 | 1 << 32, 0, 0, 0, 0], refuse),
            (8, [0xf, 0, 0, 0, 0, 0], refuse),
            (8, [0x2, 0, 0, 0, 0, 0], allow),
            (9, [7; 6], allow),
            (0, [7; 6], allow),
            #[cfg(target_arch = "x86_64")]
            (5 | 0x4000_0000, [9; 6], refuse),
        ];
        for (call, arguments, expected) in cases {
            assert_eq!(run(&program, ours, call, arguments), expected, "{call} {arguments:?}");
        }
    }

    #[test]
    fn the_first_rule_of_a_call_decides() {
        let Some(ours) = architecture() else { return };
        let rules = [
            (Rule::call(3).with(0, 1), Action::Refuse(Errno::ENOSYS)),
            (Rule::call(3), Action::Refuse(Errno::EPERM)),
        ];
        let program = program(&rules).unwrap();
        let answers = [1, 2].map(|argument| run(&program, ours, 3, [argument; 6]));
        assert_eq!(answers, [Errno::ENOSYS, Errno::EPERM].map(|errno| Action::Refuse(errno).code()));
    }

    #[test]
    fn each_of_many_calls_is_found_and_no_other() {
        let Some(ours) = architecture() else { return };
        for (length, every) in (0..600).flat_map(|length| [2, 3, 7].map(|every| (length, every))) {
            // Some of them are neighbours, if not every second one is left out.
            let is_refused = |call: c_long| call < length && call % every != 0;
            let rules: Vec<_> = (0..length).filter(|call| is_refused(*call)).map(Rule::call).collect();
            let program = refusing(&rules);
            for call in 0..length + 2 {
                let refused = run(&program, ours, call, [0; 6]) != libc::SECCOMP_RET_ALLOW;
                assert_eq!(refused, is_refused(call), "{call} of {length}, without each {every}th");
            }
        }
    }

    #[test]
    fn another_architectures_numbers_kill() {
        let Some(ours) = architecture() else { return };
        let program = refusing(&RULES);
        assert_eq!(run(&program, ours ^ 1, 9, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn a_tracer_keeps_nobody_out() {
        let Some(ours) = architecture() else { return };
        let rules: Vec<_> = RULES.iter().map(|rule| (*rule, Action::Stop)).collect();
        let program = program(&rules).unwrap();
        assert_eq!(run(&program, ours, 5, [0; 6]), libc::SECCOMP_RET_TRACE);
        assert_eq!(run(&program, ours ^ 1, 5, [0; 6]), libc::SECCOMP_RET_ALLOW);
    }
}
