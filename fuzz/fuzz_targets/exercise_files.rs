//! The file of an exercise.
#![no_main]

use exercise::Exercise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let given = |path: &str| (path == "docs/c/a.c").then(|| "int main(void) {}".to_string());
    match Exercise::parse("an-exercise", &text, "an-exercise.toml", &given) {
        Ok(exercise) => {
            assert!(!exercise.requirements.is_empty() && (1..=10).contains(&exercise.level));
            for (at, requirement) in exercise.requirements.iter().enumerate() {
                let first = exercise.requirements.iter().position(|it| it.name == requirement.name);
                assert_eq!(first, Some(at), "each name is another");
            }
        }
        Err(fault) => {
            let line = fault.to_string();
            assert!(line.starts_with("an-exercise.toml") && !line.contains('\n'), "one line: {line:?}");
            assert!(fault.line.is_none_or(|line| line <= text.lines().count().max(1) + 1), "{line}");
        }
    }
});
