//! Data compressed by zstd(1): RFC 8878.
//!
//! The decoder keeps a *window* of what it has decoded, whose size a frame chooses, up to terabytes. So the header of each
//! frame is read here first, and a large window is refused.

use std::io::{self, Cursor, ErrorKind, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The limit of a window: the one that zstd(1) itself has.
const WIDEST: u64 = 128 << 20;
/// How much is decoded at once. A block has 128 KiB at most.
const PORTION: usize = 128 << 10;

const FRAME: u32 = 0xfd2f_b528;
/// Frames with data for other programs; the last digit is theirs.
const SKIPPABLE: u32 = 0x184d_2a50;

/// A reader of the decompressed bytes: of all frames, one after the other.
pub(super) struct Zstd<R> {
    packed: R,
    decoder: FrameDecoder,
    widest: u64,
}

impl<R: Read> Zstd<R> {
    /// `room`: the memory that there is, in bytes.
    pub(super) fn new(packed: R, room: u64) -> Zstd<R> {
        Zstd { packed, decoder: FrameDecoder::new(), widest: WIDEST.min(room) }
    }

    /// Begins the next frame. Returns whether there is one.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let mut magic = [0; 4];
            match self.packed.read(&mut magic[..1])? {
                0 => return Ok(false),
                _ => self.packed.read_exact(&mut magic[1..])?,
            }
            match u32::from_le_bytes(magic) {
                FRAME => {
                    let header = [&magic[..], &self.header()?].concat();
                    self.decoder.init(Cursor::new(header)).map_err(damaged)?;
                    return Ok(true);
                }
                other if other & !0xf == SKIPPABLE => {
                    let length = u64::from(u32::from_le_bytes(self.take()?));
                    let skipped = io::copy(&mut self.packed.by_ref().take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                }
                _ => return Err(ErrorKind::InvalidData.into()),
            }
        }
    }

    /// The header of a frame after its first four bytes (RFC 8878, 3.1.1.1).
    fn header(&mut self) -> io::Result<Vec<u8>> {
        let [descriptor] = self.take()?;
        let mut header = vec![descriptor];
        let is_one_segment = descriptor & 0x20 != 0;
        let window = match is_one_segment {
            true => 0,
            false => {
                let [byte] = self.take()?;
                header.push(byte);
                let base = 1_u64 << (10 + (byte >> 3));
                base + base / 8 * u64::from(byte & 7)
            }
        };
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content = [usize::from(is_one_segment), 2, 4, 8][usize::from(descriptor >> 6)];
        let mut rest = vec![0; dictionary + content];
        self.packed.read_exact(&mut rest)?;
        let mut length = [0; 8];
        length[..content].copy_from_slice(&rest[dictionary..]);
        // In a single segment, the window is the content.
        let window = if is_one_segment { u64::from_le_bytes(length) } else { window };
        if window > self.widest {
            return Err(io::Error::new(
                ErrorKind::OutOfMemory,
                format!("a zstd window of {} MiB, and {} MiB are allowed", window >> 20, self.widest >> 20),
            ));
        }
        header.extend(rest);
        Ok(header)
    }

    fn take<const LENGTH: usize>(&mut self) -> io::Result<[u8; LENGTH]> {
        let mut bytes = [0; LENGTH];
        self.packed.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Compares the checksum of the frame that has ended, if it has one.
    fn check(&self) -> io::Result<()> {
        match self.decoder.get_checksum_from_data() {
            Some(expected) if self.decoder.get_calculated_checksum() != Some(expected) => {
                Err(io::Error::new(ErrorKind::InvalidData, "a zstd frame has another checksum"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.decoder.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            if self.decoder.is_finished() {
                self.check()?;
                if !self.begin()? {
                    return Ok(0);
                }
            } else {
                let portion = BlockDecodingStrategy::UptoBytes(PORTION);
                self.decoder.decode_blocks(&mut self.packed, portion).map_err(damaged)?;
            }
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> io::Error {
    // What the reader below says, such as that the data is cut short, is in its text.
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of these bytes: their last block as it is, after one block of repetitions.
    fn frame(repeated: u32, text: &[u8]) -> Vec<u8> {
        // A window of 1 KiB to 2^41, here 128 KiB; no checksum.
        let mut frame = [&FRAME.to_le_bytes()[..], &[0, 7 << 3]].concat();
        let block = |kind: u32, size: u32, is_last: u32| {
            (size << 3 | kind << 1 | is_last).to_le_bytes()[..3].to_vec()
        };
        frame.extend(block(1, repeated, 0));
        frame.push(b'r');
        frame.extend(block(0, text.len() as u32, 1));
        frame.extend(text);
        frame
    }

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Zstd::new(packed, u64::MAX).read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn frames_are_one_stream() {
        let skipped = [&(SKIPPABLE | 7).to_le_bytes()[..], &3_u32.to_le_bytes(), b"???"].concat();
        let two = [frame(5, b"one"), skipped.clone(), frame(100_000, b"two"), skipped].concat();
        let expected = [&b"rrrrrone"[..], &vec![b'r'; 100_000], b"two"].concat();
        assert!(unpacked(&two).unwrap() == expected);
        assert_eq!(unpacked(b"").unwrap(), b"");
        for length in 1..two.len() {
            // Between two frames, there is no sign that one is missing.
            if let Ok(all) = unpacked(&two[..length]) {
                assert!(expected.starts_with(&all) && [16, 27, two.len() - 11].contains(&length), "{length}");
            }
        }
    }

    #[test]
    fn a_checksum_is_compared() {
        let mut packed = ruzstd::encoding::compress_to_vec(
            &b"hello hello hello"[..],
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        assert_eq!(unpacked(&packed).unwrap(), b"hello hello hello");
        let last = packed.len() - 1;
        packed[last] ^= 1;
        assert!(unpacked(&packed).unwrap_err().to_string().contains("checksum"));
    }

    #[test]
    fn a_large_window_is_refused_at_once() {
        for header in [
            // 2^41 bytes, and 256 MiB.
            &[0, 0xf8][..],
            &[0, 18 << 3],
            // A single segment of 2^63 bytes.
            &[0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80],
        ] {
            let packed = [&FRAME.to_le_bytes()[..], header, &[0; 20]].concat();
            let error = unpacked(&packed).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutOfMemory, "{header:?}: {error}");
            assert!(error.to_string().contains("a zstd window of"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(
            damage in proptest::collection::vec((proptest::prelude::any::<usize>(), proptest::prelude::any::<u8>()), 0..6),
        ) {
            let mut packed = ruzstd::encoding::compress_to_vec(&[b'a'; 3000][..], ruzstd::encoding::CompressionLevel::Fastest);
            packed.extend(frame(9, b"text"));
            for (at, byte) in damage {
                let length = packed.len();
                packed[at % length] = byte;
            }
            let mut bounded = Zstd::new(packed.as_slice(), u64::MAX).take(1 << 20);
            let _ = io::copy(&mut bounded, &mut io::sink());
        }
    }
}
