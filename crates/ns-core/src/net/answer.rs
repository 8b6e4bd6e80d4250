//! What the kernel says to one request: records, then an end.

use std::convert::Infallible;

use netlink_packet_core::{
    DecodeError, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_DUMP_INTR, NetlinkBuffer, NetlinkDeserializable,
    NetlinkHeader, NetlinkMessage, NetlinkPayload, NlasIterator, parse_string,
};
use nix::errno::Errno;

/// `struct nlmsghdr`, netlink(7).
const HEADER_LENGTH: usize = 16;
/// NLMSGERR_ATTR_MSG of linux/netlink.h: the kernel's words.
const WORDS: u16 = 1;

/// The body of one link, address or route, not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record(pub(super) Vec<u8>);

impl NetlinkDeserializable for Record {
    type Error = Infallible;

    fn deserialize(_: &NetlinkHeader, body: &[u8]) -> Result<Record, Infallible> {
        Ok(Record(body.to_vec()))
    }
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The request was carried out.
    Done,
    /// It was not, with the kernel's words if it had any.
    Refused { errno: Errno, words: Option<String> },
}

/// An answer as it comes in, datagram by datagram.
#[derive(Debug)]
pub(super) struct Answer {
    sequence: u32,
    pub(super) records: Vec<Record>,
    /// The table changed under the dump, so that records may be missing or double (NLM_F_DUMP_INTR).
    pub(super) interrupted: bool,
    pub(super) end: Option<End>,
}

impl Answer {
    /// The answer to the request with this sequence number.
    pub(super) fn to(sequence: u32) -> Answer {
        Answer { sequence, records: Vec::new(), interrupted: false, end: None }
    }

    /// Takes in a datagram, which may hold several messages, each padded to 4 bytes.
    pub(super) fn read(&mut self, datagram: &[u8]) -> Result<(), DecodeError> {
        let mut rest = datagram;
        while !rest.is_empty() && self.end.is_none() {
            let message = NetlinkMessage::<Record>::deserialize(rest)?;
            let padded = (message.header.length as usize).next_multiple_of(4);
            rest = rest.get(padded..).unwrap_or_default();
            // The tail of an answer to an earlier request, which was given up.
            if message.header.sequence_number == self.sequence {
                self.take(message)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, message: NetlinkMessage<Record>) -> Result<(), DecodeError> {
        let (header, payload) = message.into_parts();
        self.interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
        match payload {
            NetlinkPayload::InnerMessage(record) => self.records.push(record),
            NetlinkPayload::Error(error) => {
                let words = words_of_error(&header, &error.header);
                self.end = Some(ended(error.raw_code(), words));
            }
            NetlinkPayload::Done(done) => {
                self.end = Some(ended(done.code, words_among(&done.extended_ack)));
            }
            NetlinkPayload::Noop => {}
            _ => return Err("NLMSG_OVERRUN: data lost".into()),
        }
        Ok(())
    }
}

/// Both kinds of ending carry a negative errno, or 0.
fn ended(code: i32, words: Option<String>) -> End {
    match code {
        0 => End::Done,
        // i32::MIN has no counterpart, and is no errno either.
        code => End::Refused { errno: Errno::from_raw(code.saturating_neg()), words },
    }
}

/// The attributes come after the request that the kernel quotes: its header alone (NLM_F_CAPPED), or all of it.
fn words_of_error(header: &NetlinkHeader, quoted: &[u8]) -> Option<String> {
    if header.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let request = if header.flags & NLM_F_CAPPED != 0 {
        HEADER_LENGTH
    } else {
        (NetlinkBuffer::new_checked(quoted).ok()?.length() as usize).next_multiple_of(4)
    };
    words_among(quoted.get(request..)?)
}

fn words_among(attributes: &[u8]) -> Option<String> {
    let words = NlasIterator::new(attributes).flatten().find(|nla| nla.kind() == WORDS)?;
    parse_string(words.value()).ok().map(|words| words.trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A netlink message: length, type, flags, sequence number, port, body, padding.
    fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = (HEADER_LENGTH + body.len()) as u32;
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn error(errno: i32, quoted: &[u8], attributes: &[u8]) -> Vec<u8> {
        [&(-errno).to_ne_bytes(), quoted, attributes].concat()
    }

    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    const NEW_LINK: u16 = 16;

    fn answer_to_7(datagrams: &[Vec<u8>]) -> Answer {
        let mut answer = Answer::to(7);
        for datagram in datagrams {
            answer.read(datagram).unwrap();
        }
        answer
    }

    #[test]
    fn a_dump_is_its_records_over_several_datagrams() {
        let first = [message(NEW_LINK, 2, 7, &[1, 2, 3]), message(NEW_LINK, 2, 7, &[4])].concat();
        let second = message(NEW_LINK, 2, 7, &[5; 8]);
        let answer = answer_to_7(&[first, second, message(DONE, 2, 7, &[0; 4])]);
        assert_eq!(answer.records, [Record(vec![1, 2, 3]), Record(vec![4]), Record(vec![5; 8])]);
        assert_eq!((answer.end, answer.interrupted), (Some(End::Done), false));
    }

    #[test]
    fn an_answer_to_an_earlier_request_is_passed_over() {
        let late = [message(NEW_LINK, 2, 6, &[1]), message(DONE, 2, 6, &[0; 4])].concat();
        let answer = answer_to_7(&[late, message(ERROR, 0, 6, &error(1, &[0; 16], &[]))]);
        assert_eq!((answer.records, answer.end), (vec![], None));
    }

    #[test]
    fn an_interrupted_dump_says_so_wherever_the_flag_stands() {
        for flags in [[NLM_F_DUMP_INTR, 0], [0, NLM_F_DUMP_INTR]] {
            let datagrams = [message(NEW_LINK, flags[0], 7, &[1]), message(DONE, flags[1], 7, &[0; 4])];
            assert!(answer_to_7(&datagrams).interrupted, "{flags:?}");
        }
    }

    #[test]
    fn a_refusal_carries_the_kernels_words() {
        let words = attribute(WORDS, b"mtu less than device minimum\0");
        let quoted = message(NEW_LINK, 5, 7, &[9; 21]);
        let offset = attribute(2, &[0; 4]);
        for (flags, quoted) in
            [(NLM_F_ACK_TLVS, &quoted[..]), (NLM_F_ACK_TLVS | NLM_F_CAPPED, &quoted[..HEADER_LENGTH])]
        {
            let body = error(libc::EINVAL, quoted, &[offset.clone(), words.clone()].concat());
            let expected =
                End::Refused { errno: Errno::EINVAL, words: Some("mtu less than device minimum".into()) };
            assert_eq!(answer_to_7(&[message(ERROR, flags, 7, &body)]).end, Some(expected));
        }
    }

    #[test]
    fn a_refusal_without_words_is_one_too() {
        let body = error(libc::EEXIST, &[0; 16], &[]);
        let expected = End::Refused { errno: Errno::EEXIST, words: None };
        assert_eq!(answer_to_7(&[message(ERROR, NLM_F_CAPPED, 7, &body)]).end, Some(expected));
    }

    #[test]
    fn a_dump_can_fail_at_its_end() {
        let body = [&(-libc::ENOENT).to_ne_bytes()[..], &attribute(WORDS, b"no table\0")].concat();
        let expected = End::Refused { errno: Errno::ENOENT, words: Some("no table".into()) };
        assert_eq!(answer_to_7(&[message(DONE, 2, 7, &body)]).end, Some(expected));
    }

    #[test]
    fn an_error_of_zero_is_the_acknowledgement() {
        assert_eq!(answer_to_7(&[message(ERROR, 0, 7, &error(0, &[0; 16], &[]))]).end, Some(End::Done));
    }

    #[test]
    fn what_is_no_netlink_message_is_an_error() {
        let mut short = message(NEW_LINK, 2, 7, &[1; 8]);
        short.truncate(20);
        let mut nothing = message(NEW_LINK, 2, 7, &[]);
        nothing[0] = 0;
        for bytes in [vec![1, 2, 3], short, nothing, message(4, 0, 7, &[])] {
            assert!(Answer::to(7).read(&bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_errno_that_is_none_is_no_panic() {
        let body = [&i32::MIN.to_ne_bytes()[..], &[0; 16]].concat();
        let expected = End::Refused { errno: Errno::UnknownErrno, words: None };
        assert_eq!(answer_to_7(&[message(ERROR, 0, 7, &body)]).end, Some(expected));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes: Vec<u8>, kind in 0_u16..20, flags: u16, body: Vec<u8>) {
            let _ = Answer::to(7).read(&bytes);
            let _ = Answer::to(7).read(&message(kind, flags, 7, &body));
        }
    }
}
