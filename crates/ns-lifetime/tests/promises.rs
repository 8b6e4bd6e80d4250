//! `ns-lifetime` keeps the promises that every experiment makes.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_ns-lifetime"))
}
