//! What every experiment promises, `ipc-ns` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_ipc-ns"))
}
