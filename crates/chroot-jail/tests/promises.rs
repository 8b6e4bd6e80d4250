//! What every experiment promises, `chroot-jail` keeps.

fn main() -> std::process::ExitCode {
    promises::kept(env!("CARGO_BIN_EXE_chroot-jail"))
}
