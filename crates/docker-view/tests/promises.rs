//! What every experiment promises, `docker-view` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_docker-view"))
}
