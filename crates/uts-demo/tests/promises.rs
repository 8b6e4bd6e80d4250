//! What every experiment promises, `uts-demo` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_uts-demo"))
}
