//! What a program in Rust costs from start to exit: one line, and nothing else. The floor of `NAME --help`, built as the
//! experiments are, with the same libc.
//! Build: rustc -C opt-level=3 -C strip=symbols -o hello hello.rs
//! Beside ours, by turns: by-turns 100 0 - ./hello ';' - target/release/uts-demo --help ';'
fn main() {
    println!("hello");
}
