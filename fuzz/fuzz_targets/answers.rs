//! The file of answers that `--answers` names.
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

mod plain;

#[path = "../../crates/inception/src/classroom"]
mod classroom {
    mod answers;
    mod order;
    mod question;

    use std::os::fd::AsRawFd;

    use ns_core::is_deceptive;
    use transcript::{ClaimHead, DeclaredAnswer};

    use crate::plain;

    /// One that asks for one of three answers.
    fn claim() -> ClaimHead {
        let answer = |text: &str, right| DeclaredAnswer { answer: text.into(), right, why: None };
        ClaimHead {
            question: Some("What is read?".into()),
            answers: vec![answer("1", true), answer("0", false), answer("EPERM", false)],
            ..ClaimHead::default()
        }
    }

    pub(crate) fn read(data: &[u8]) {
        let file = plain::file(data);
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut answers = answers::Answers::open(path.as_ref()).unwrap();
        let question = question::Question::of(&claim(), 0).unwrap();
        // Each answer takes a line at least, so there is an end.
        for _ in 0..=data.len() {
            match answers.next(&question, "claim") {
                Ok(place) => assert!(place < question.answers.len()),
                Err(error) => {
                    let line = format!("{error:#}");
                    assert!(line.starts_with(&path) && !line.chars().any(is_deceptive), "{line:?}");
                    if line.contains("none is left") {
                        return;
                    }
                }
            }
        }
        panic!("it has no end");
    }
}

fuzz_target!(|data: &[u8]| classroom::read(data));
