//! Events, shown in every form. The first byte is the width.
#![no_main]

use lesson::render::{Cast, Jsonl, Junit, Renderer, Tap, Text};
use libfuzzer_sys::fuzz_target;
use ns_core::is_deceptive;
use transcript::Event;

fn rendered<R: Renderer>(events: &[Event], mut renderer: R) {
    for event in events {
        renderer.show(event).unwrap();
    }
    renderer.finish().unwrap();
}

/// That nothing is left that a terminal obeys, but for line ends and, where `styled`, our own styles.
fn is_safe(out: Vec<u8>, styled: bool) {
    let text = String::from_utf8(out).unwrap();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c == '\u{1b}' && styled {
            let end = rest.by_ref().skip(1).find(|c| !c.is_ascii_digit() && *c != ';');
            assert_eq!(end, Some('m'), "{text:?}");
        } else {
            assert!(c == '\n' || !is_deceptive(c), "{c:?} in {text:?}");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((width, lines)) = data.split_first() else { return };
    let width = usize::from(*width);
    let lines = lines.split(|byte| *byte == b'\n');
    let events: Vec<Event> = lines.filter_map(|line| serde_json::from_slice(line).ok()).collect();
    for (stable, verbose) in [(false, false), (true, true)] {
        let mut out = Vec::new();
        rendered(&events, Text::new(&mut out, width, stable, verbose));
        is_safe(out, true);
    }
    let mut out = Vec::new();
    rendered(&events, Tap::new(&mut out));
    is_safe(out, false);
    let mut out = Vec::new();
    rendered(&events, Junit::new(&mut out));
    is_safe(out, false);
    let mut out = Vec::new();
    rendered(&events, Cast::new(&mut out, width, false, true));
    is_safe(out, false);
    let mut out = Vec::new();
    rendered(&events, Jsonl::new(&mut out));
    let again = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let again: Vec<Event> = again.map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(again, events);
    is_safe(out, false);
});
