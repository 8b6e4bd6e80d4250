//! What the kernel answers over rtnetlink(7).
#![no_main]
#![allow(dead_code)]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/ns-core/src/net"]
mod net {
    mod answer;
    mod inet;
    mod link;

    pub(crate) fn read(datagram: &[u8]) {
        // The sequence number that the datagram has itself, so that it is an answer to us.
        let sequence = datagram.get(8..12).and_then(|it| it.try_into().ok()).map_or(7, u32::from_ne_bytes);
        let mut answer = answer::Answer::to(sequence);
        let _ = answer.read(datagram);
        for record in &answer.records {
            read_body(&record.0);
        }
        read_body(datagram);
    }

    fn read_body(body: &[u8]) {
        let _ = link::Link::read(body);
        let _ = inet::Address::read(body);
        let _ = inet::Route::read(body);
    }
}

fuzz_target!(|data: &[u8]| net::read(data));
