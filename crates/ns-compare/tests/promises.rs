//! What every experiment promises, `ns-compare` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_ns-compare"))
}
