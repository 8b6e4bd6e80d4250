//! Markdown on a terminal. The first byte is the width, and the second says whether it is plain.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/inception/src/markdown.rs"]
mod markdown;

fuzz_target!(|data: &[u8]| {
    let [width, plain, text @ ..] = data else { return };
    let text = String::from_utf8_lossy(text);
    let layout = lesson::render::Layout { width: usize::from(*width), plain: plain % 2 == 1 };
    let shown = markdown::render(&text, layout);
    let mut rest = shown.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' {
            let end = rest.by_ref().skip(1).find(|c| !c.is_ascii_digit() && *c != ';');
            assert_eq!(end, Some('m'), "{shown:?}");
        } else {
            assert!(c == '\n' || !ns_core::is_deceptive(c), "{c:?} in {shown:?}");
        }
    }
    let _ = markdown::section(&text, "Try it");
});
