//! What every experiment promises, `mini-container` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_mini-container"))
}
