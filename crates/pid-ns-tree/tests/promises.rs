//! What every experiment promises, `pid-ns-tree` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_pid-ns-tree"))
}
