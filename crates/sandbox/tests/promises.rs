//! What every experiment promises, `sandbox` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_sandbox"))
}
