//! What every experiment promises, `@name@` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_@name@"))
}
