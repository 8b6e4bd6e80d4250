//! What every experiment promises, `user-ns-map` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_user-ns-map"))
}
