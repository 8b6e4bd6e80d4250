//! Rules, and the program of classic BPF that the kernel makes of them for each call.
//!
//! Written here, and not taken from a crate: DESIGN.md says which were looked at.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, c_long, sock_filter};
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

    /// The same for another number.
    #[must_use]
    pub const fn renumbered(self, call: c_long) -> Rule {
        Rule { call, ..self }
    }

    /// The number of the call.
    pub const fn number(&self) -> c_long {
        self.call
    }
}

impl Action {
    fn code(self) -> u32 {
        match self {
            Action::Allow => libc::SECCOMP_RET_ALLOW,
            Action::Refuse(errno) => libc::SECCOMP_RET_ERRNO | (errno as u32 & libc::SECCOMP_RET_DATA),
            Action::Kill => libc::SECCOMP_RET_KILL_PROCESS,
            Action::Ask => libc::SECCOMP_RET_USER_NOTIF,
        }
    }
}

/// The program: `action` for a call that a rule names, and nothing against any other. A call by another architecture's
/// numbers kills, since it would be looked up in the wrong table. `None` for an architecture that is not known here.
pub(super) fn program(rules: &[Rule], action: Action) -> Option<Vec<sock_filter>> {
    let (to, ret) = (BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K);
    let mut program = vec![
        load(ARCHITECTURE),
        instruction(to, architecture()?, 1, 0),
        instruction(ret, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ];
    for Rule { call, argument } in rules {
        // Each rule reads what it needs, and where it does not match, jumps to the next.
        let number = *call as u32;
        let found = instruction(ret, action.code(), 0, 0);
        program.push(load(NUMBER));
        match argument {
            None => program.extend([instruction(to, number, 0, 1), found]),
            Some((argument, bits, value)) => program.extend([
                instruction(to, number, 0, 4),
                load(ARGUMENTS + 8 * u32::from(*argument)),
                instruction(BPF_ALU | BPF_AND | BPF_K, *bits, 0, 0),
                instruction(to, *value, 0, 1),
                found,
            ]),
        }
    }
    program.push(instruction(ret, libc::SECCOMP_RET_ALLOW, 0, 0));
    Some(program)
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
                code if code == BPF_RET | BPF_K => return k,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    const RULES: [Rule; 3] = [Rule::call(5), Rule::call(6).with(1, 7), Rule::call(8).with_bits(0, 0x6)];

    #[test]
    fn the_call_and_its_arguments_decide() {
        let Some(ours) = architecture() else { return };
        let program = program(&RULES, Action::Refuse(Errno::EPERM)).unwrap();
        let [allow, refuse] = [Action::Allow, Action::Refuse(Errno::EPERM)].map(Action::code);
        let cases = [
            (5, [9; 6], refuse),
            (6, [0, 7, 0, 0, 0, 0], refuse),
            (6, [7, 0, 0, 0, 0, 0], allow),
            (6, [0, 7 | 1 << 32, 0, 0, 0, 0], refuse),
            (8, [0xf, 0, 0, 0, 0, 0], refuse),
            (8, [0x2, 0, 0, 0, 0, 0], allow),
            (9, [7; 6], allow),
        ];
        for (call, arguments, expected) in cases {
            assert_eq!(run(&program, ours, call, arguments), expected, "{call} {arguments:?}");
        }
    }

    #[test]
    fn another_architectures_numbers_kill() {
        let Some(ours) = architecture() else { return };
        let program = program(&RULES, Action::Allow).unwrap();
        assert_eq!(run(&program, ours ^ 1, 9, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
