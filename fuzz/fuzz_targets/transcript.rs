//! Transcripts: what `inception diff`, `report` and `claims` read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ns_core::is_deceptive;
use transcript::{Reader, Runs};

fuzz_target!(|data: &[u8]| {
    let whole = Runs::read("file", data, |_, _| Ok(()));
    let (recovered, faults) = Runs::recover(data).unwrap();
    match &whole {
        Ok(runs) => assert_eq!((runs.all.len(), faults.len()), (recovered.all.len(), 0), "{faults:?}"),
        Err(error) => {
            assert!(format!("{error:#}").starts_with("file: "), "{error:#}");
            assert!(data.is_empty() || !faults.is_empty(), "{error:#}");
        }
    }
    for run in &recovered.all {
        let _ = (run.steps().count(), run.step(), run.broken(), run.actors().count());
        for claim in &run.claims {
            let _ = (run.correction(&claim.head), claim.head.numbers());
        }
    }
    let mut reader = Reader::default();
    for line in data.split(|byte| *byte == b'\n') {
        if let Err(error) = reader.take(line) {
            assert!(error.to_string().len() < 2000, "{error}");
        }
    }
    let _ = faults.iter().filter(|fault| fault.chars().any(is_deceptive)).count();
});
