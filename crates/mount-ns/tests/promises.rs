//! What every experiment promises, `mount-ns` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_mount-ns"))
}
