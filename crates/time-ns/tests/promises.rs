//! What every experiment promises, `time-ns` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_time-ns"))
}
