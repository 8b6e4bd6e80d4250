//! What every experiment promises, `net-ns` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_net-ns"))
}
