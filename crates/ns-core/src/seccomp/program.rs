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
    /// Which argument, the bits of it that count, and what they are to be.
    argument: Option<(u8, u32, u32)>,
}

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

    /// Adds `action`, if the argument is as it is to be. Else the program goes on behind.
    fn write_test(self, action: Action, program: &mut Vec<sock_filter>) {
        if let Some((argument, bits, value)) = self.argument {
            program.extend([
                load(ARGUMENTS + 8 * u32::from(argument)),
                instruction(BPF_ALU | BPF_AND | BPF_K, bits, 0, 0),
                instruction(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
            ]);
        }
        program.push(answer(action.code()));
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
    rules.sort_by_key(|(rule, _)| rule.call as u32);
    let calls: Vec<_> = rules.chunk_by(|(one, _), (other, _)| one.call == other.call).collect();
    write_search(&calls, &mut program);
    Some(program)
}

/// Looks a call's number, which is loaded, up among those of the rules, by halves. When a filter is installed, the kernel
/// runs it once for each number that there is (kernel/seccomp.c, seccomp_cache_prepare), and later at each call.
fn write_search(calls: &[&[(Rule, Action)]], program: &mut Vec<sock_filter>) {
    /// So many are looked at one by one.
    const FEW: usize = 4;
    if calls.len() <= FEW {
        return write_one_by_one(calls, program);
    }
    let (lower, upper) = calls.split_at(calls.len() / 2);
    program.push(instruction(BPF_JMP | BPF_JGE | BPF_K, number(upper[0]), 0, 1));
    write_jump_over(program, |program| write_search(lower, program));
    write_search(upper, program);
}

fn write_one_by_one(calls: &[&[(Rule, Action)]], program: &mut Vec<sock_filter>) {
    for rules in calls {
        program.push(instruction(BPF_JMP | BPF_JEQ | BPF_K, number(rules), 1, 0));
        write_jump_over(program, |program| {
            rules.iter().for_each(|(rule, action)| rule.write_test(*action, program));
            if rules.iter().all(|(rule, _)| rule.argument.is_some()) {
                program.push(answer(libc::SECCOMP_RET_ALLOW));
            }
        });
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
}

/// The number of the call that all of these rules are about.
fn number(rules: &[(Rule, Action)]) -> u32 {
    rules[0].0.call as u32
}

/// A jump over the instructions that `write` adds. A conditional one reaches 255.
fn write_jump_over(program: &mut Vec<sock_filter>, write: impl FnOnce(&mut Vec<sock_filter>)) {
    let jump = program.len();
    program.push(instruction(BPF_JMP | BPF_JA, 0, 0, 0));
    write(program);
    program[jump].k = (program.len() - jump - 1) as u32;
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
        for length in 0..300 {
            let rules: Vec<_> = (0..length).map(|number| Rule::call(2 * number + 1)).collect();
            let program = refusing(&rules);
            for call in 0..2 * length + 2 {
                let refused = run(&program, ours, call, [0; 6]) != libc::SECCOMP_RET_ALLOW;
                assert_eq!(refused, call % 2 == 1 && call < 2 * length, "{call} of {length}");
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
