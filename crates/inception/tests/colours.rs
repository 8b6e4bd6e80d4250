//! Every colour that a program of ours emits can be read on white and on black: its contrast with either is at least 4.5 to
//! 1 (WCAG 2, success criterion 1.4.3). Asked of what is emitted, not of what was meant.

mod bench;

use std::collections::BTreeSet;

use bench::{Bench, begin, end, first_demo, judged, say, skipped, text};
use lesson::render::{Cast, OneScreen, Renderer, Text};
use serde_json::{Value, json};
use transcript::Event;

/// The least contrast.
const LEAST: f64 = 4.5;

/// The styles in a text: each SGR sequence, as its parameters.
fn styles(text: &str) -> Vec<Vec<u16>> {
    let sequences = text.split("\u{1b}[").skip(1);
    let parameters = sequences.filter_map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
        assert_eq!(&rest[end..=end], "m", "no style: {:?}", &rest[..end.min(20)]);
        Some(rest[..end].split([';', ':']).map(|it| it.parse().unwrap_or(0)).collect())
    });
    parameters.collect()
}

/// What is wrong with a style; `colours` takes the number of each that it sets.
fn fault(style: &[u16], colours: &mut BTreeSet<u8>) -> Option<String> {
    let mut rest = style;
    loop {
        rest = match rest {
            [] => return None,
            [38, 5, number, rest @ ..] => {
                let number = u8::try_from(*number).ok()?;
                if number < 16 {
                    return Some(format!("{number} of the sixteen is what the terminal makes of it"));
                }
                colours.insert(number);
                let [white, black] = contrasts(number);
                if white.min(black) < LEAST {
                    return Some(format!("{number} has {white:.2} on white and {black:.2} on black"));
                }
                rest
            }
            [38, ..] => return Some("a foreground whose contrast is not known here".into()),
            [48, ..] | [40..=47, ..] | [100..=107, ..] => return Some("a background".into()),
            [30..=37, ..] | [90..=97, ..] => return Some("one of the sixteen base colours".into()),
            [2, ..] => return Some("faint, which is as faint as the terminal makes it".into()),
            [7 | 8, ..] => return Some("reversed or hidden".into()),
            // None, bold, italic, underlined, and the ends of these.
            [0 | 1 | 3 | 4 | 22 | 23 | 24 | 39, rest @ ..] => rest,
            [other, ..] => return Some(format!("{other} is no style that is known here")),
        };
    }
}

/// The contrast of a colour of the 256 with white and with black.
fn contrasts(number: u8) -> [f64; 2] {
    let linear = |level: u8| {
        let level = f64::from(level) / 255.0;
        if level <= 0.040_45 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = levels(number).map(linear);
    let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    [1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05]
}

/// Red, green and blue of a colour from 16 on: a cube of six levels, then 24 greys.
fn levels(number: u8) -> [u8; 3] {
    if number >= 232 {
        return [8 + 10 * (number - 232); 3];
    }
    let place = number - 16;
    [place / 36, place / 6 % 6, place % 6].map(|level| if level == 0 { 0 } else { 55 + 40 * level })
}

/// Complains of a text in which a style cannot be read, or that has none.
fn can_be_read(what: &str, text: &str, colours: &mut BTreeSet<u8>) {
    let styles = styles(text);
    assert!(!styles.is_empty(), "{what} has no style: {text}");
    for style in styles {
        if let Some(fault) = fault(&style, colours) {
            panic!("{what} emits {style:?}: {fault}");
        }
    }
}

#[test]
fn contrast_is_reckoned_as_the_standard_says() {
    for (number, white, black) in [(16, 21.0, 1.0), (231, 1.0, 21.0), (243, 4.54, 4.62), (196, 4.0, 5.25)] {
        let [on_white, on_black] = contrasts(number);
        assert!((on_white - white).abs() < 0.01 && (on_black - black).abs() < 0.01, "{number}");
    }
    for bad in [&[31][..], &[1, 92], &[2], &[38, 5, 2], &[38, 5, 226], &[38, 2, 0, 0, 0], &[41], &[7]] {
        assert!(fault(bad, &mut BTreeSet::new()).is_some(), "{bad:?}");
    }
    assert_eq!(styles("a\u{1b}[38;5;29;1mb\u{1b}[0m"), [vec![38, 5, 29, 1], vec![0]]);
}

/// A run in which all happens that has a colour.
fn events(sabotage: bool) -> Vec<Value> {
    let mut begin = begin(&["holds", "refuted", "inconclusive", "surprise", "skipped"]);
    begin["sabotage"] = sabotage.into();
    begin["sandbox"] = json!({"namespaces": ["uts"], "uid": 0});
    begin["in_short"] = "So it is.".into();
    let row =
        transcript::Row { label: "a row".into(), control: Some("a".into()), treatment: Some("b".into()) };
    let fact = |value: &str| {
        serde_json::to_value(ns_core::Fact::inside("child", "getpid()", ns_core::Value::Text(value.into())))
            .unwrap()
    };
    let judged = |id: &str, verdict: &str, expected: bool| {
        let mut event = judged(id, verdict, expected);
        event["rows"] = json!([row]);
        event["control"]["facts"] = json!([fact("a")]);
        event["treatment"]["facts"] = json!([fact("b")]);
        event
    };
    let mut end = end(2, 1, 1, 1, 1);
    end["tally"]["inconclusive"] = 1.into();
    vec![
        begin,
        json!({"event": "step", "number": 1, "title": "Ask.", "calls": ["getpid()"], "by_hand": ["id"]}),
        json!({"event": "actor", "label": "child", "pids": [812, 1], "elsewhere": []}),
        judged("holds", "holds", true),
        judged("refuted", "refuted", true),
        judged("inconclusive", "inconclusive", true),
        judged("surprise", "holds", false),
        skipped("skipped"),
        end,
    ]
}

fn parsed(sabotage: bool) -> Vec<Event> {
    events(sabotage).into_iter().map(|event| serde_json::from_value(event).unwrap()).collect()
}

#[test]
fn what_renderers_emit_can_be_read() {
    let mut colours = BTreeSet::new();
    for sabotage in [false, true] {
        for broken in [None, Some("it broke".to_string())] {
            let mut events = parsed(sabotage);
            if let (Some(Event::End { broken: end, .. }), Some(_)) = (events.last_mut(), &broken) {
                end.clone_from(&broken);
            }
            for (width, plain) in [(80, false), (80, true), (40, false)] {
                let mut out = Vec::new();
                let mut screen = OneScreen::new(&mut out, width, false, plain);
                events.iter().for_each(|event| screen.show(event).unwrap());
                drop(screen);
                can_be_read("the one screen", &text(&out), &mut colours);
                let mut out = Vec::new();
                let mut steps = Text::new(&mut out, width, false, true).plain(plain);
                events.iter().for_each(|event| steps.show(event).unwrap());
                drop(steps);
                can_be_read("the steps", &text(&out), &mut colours);
            }
            let mut out = Vec::new();
            let mut cast = Cast::new(&mut out, 80, false, false);
            events.iter().for_each(|event| cast.show(event).unwrap());
            drop(cast);
            let said = text(&out).replace("\\u001b", "\u{1b}");
            can_be_read("the recording", &said, &mut colours);
        }
    }
    assert!(colours.len() >= 5, "what is told apart by colour too: {colours:?}");
}

#[test]
fn what_commands_emit_can_be_read() {
    let all = |sabotage| say(&events(sabotage)) + "exit 1";
    let script = format!(
        "case \"$*\" in\n*list-claims*) {} ;;\n*lockstep*) {} ;;\n*sabotage*) {} ;;\n*) {} ;;\nesac",
        say(events(false)[0]["claims"].as_array().unwrap()),
        all(false),
        all(true),
        all(false)
    );
    let bench = Bench::with("colours", &script);
    let name = first_demo();
    let transcript = |file: &str, verdict: &str| {
        let path = bench.folder.join(file);
        let kernel = file.trim_end_matches(".jsonl");
        let mut begin = begin(&["a"]);
        begin["kernel"] = kernel.into();
        let (holds, refuted) = (usize::from(verdict == "holds"), usize::from(verdict == "refuted"));
        let events = [begin, judged("a", verdict, true), end(holds, refuted, 0, 0, 0)];
        let lines: Vec<_> = events.iter().map(|event| format!("{event}\n")).collect();
        std::fs::write(&path, lines.concat()).unwrap();
        path.display().to_string()
    };
    let (one, other) = (transcript("6.1.jsonl", "holds"), transcript("6.12.jsonl", "refuted"));
    let answers = bench.folder.join("answers");
    std::fs::write(&answers, "1\n".repeat(9)).unwrap();
    let answers = answers.display().to_string();
    let commands: &[&[&str]] = &[
        &["list"],
        &["doctor"],
        &["read", "11"],
        &["read", &name],
        &["run", &name],
        &["run", &name, &name, "--all"],
        &["run", &name, "--steps", "--verbose"],
        &["run", &name, "--plain"],
        &["run", &name, "--sabotage"],
        &["run", &name, "--quiet"],
        &["run", &name, "--predict", "--answers", &answers],
        &["claims", &name],
        &["claims", &name, "--list"],
        &["claims", "--coverage"],
        &["diff", &one, &other],
        &["diff", "--all", &one, &one],
    ];
    let mut colours = BTreeSet::new();
    for command in commands {
        let mut inception = bench.command(&[*command, &["--color", "always"]].concat());
        let output = bench::output(inception.env("XDG_STATE_HOME", &bench.folder));
        let said = text(&output.stdout);
        can_be_read(&command.join(" "), &said, &mut colours);
    }
    assert!(colours.len() >= 5, "what is told apart by colour too: {colours:?}");
}

#[test]
fn plain_output_is_ascii_and_fits() {
    let script = format!(
        "case \"$*\" in *list-claims*) {} ;; *) {}exit 1;; esac",
        say(events(false)[0]["claims"].as_array().unwrap()),
        say(&events(false))
    );
    let bench = Bench::with("plain", &script);
    let name = first_demo();
    let commands: &[&[&str]] = &[
        &["list"],
        &["doctor"],
        &["run", &name],
        &["run", &name, &name, "--all"],
        &["run", &name, "--steps", "--verbose"],
        &["run", &name, "--quiet"],
        &["claims", &name],
        &["claims", &name, "--list"],
        &["claims", "--coverage"],
    ];
    for command in commands {
        for width in ["40", "80", "100"] {
            let output = bench.run(&[*command, &["--plain", "--width", width]].concat());
            let said = text(&output.stdout);
            let what = command.join(" ");
            assert!(!said.is_empty(), "{what}: {}", text(&output.stderr));
            let foreign: BTreeSet<char> = said.chars().filter(|c| !c.is_ascii()).collect();
            assert!(foreign.is_empty(), "{what}: {foreign:?}");
            fits(&what, &said, width);
        }
    }
    // The control: the same is drawn with more.
    assert!(!text(&bench.run(&["run", &name, "--all"]).stdout).is_ascii());
}

#[test]
fn every_doc_reads_in_plain_text() {
    for name in bench::demos() {
        let bench = Bench::new(&format!("plain-{name}"));
        let output = bench.run(&["read", &name, "--plain", "--width", "80"]);
        let said = text(&output.stdout);
        let foreign: BTreeSet<char> = said.chars().filter(|c| !c.is_ascii()).collect();
        assert!(foreign.is_empty(), "{name}: {foreign:?}");
        assert!(said.lines().count() > 20, "{name}: {said}");
        fits(&name, &said, "80");
    }
}

/// No line is longer than the width, but a word that is.
fn fits(what: &str, text: &str, width: &str) {
    let width: usize = width.parse().unwrap();
    let too_long = text.lines().find(|line| line.chars().count() > width && line.trim().contains(' '));
    assert_eq!(too_long, None, "{what} at {width}");
}

/// What no test has run is held to it as well.
#[test]
fn colours_are_chosen_in_one_file() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<_> =
        std::fs::read_dir(crates).unwrap().map(|it| it.unwrap().path().join("src")).collect();
    let names = ["black", "red", "green", "yellow", "blue", "magenta", "purple", "cyan", "white", "dimmed"];
    let mut palettes = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(source) = std::fs::read_to_string(&path) else { continue };
            for name in names {
                let calls = [format!(".{name}()"), format!(".bright_{name}()"), format!(".on_{name}()")];
                let found = calls.iter().find(|call| source.contains(*call));
                assert_eq!(found, None, "{}", path.display());
            }
            palettes += usize::from(source.contains("XtermColors"));
        }
    }
    assert_eq!(palettes, 1, "files that choose a colour by its number");
}
