//! The compressions of archives and layers, by the first bytes of the data.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::zstd::Zstd;

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packer {
    Gzip,
    Zstd,
    /// One that is not decoded here, by the name of its program.
    Other(&'static str),
}

impl Packer {
    /// The compression of data with these first bytes.
    pub(super) fn of(start: &[u8]) -> Option<Packer> {
        match start {
            [0x1f, 0x8b, ..] => Some(Packer::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packer::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Some(Packer::Other("xz")),
            [b'B', b'Z', b'h', ..] => Some(Packer::Other("bzip2")),
            _ => None,
        }
    }

    /// The decompressed bytes. `room`: the memory that there is for what a decoder holds, in bytes.
    ///
    /// # Errors
    /// The name of the program that can decompress them, if it cannot be done here.
    pub(super) fn decoder<'a>(
        self,
        packed: Box<dyn Read + 'a>,
        room: u64,
    ) -> Result<Box<dyn Read + 'a>, &'static str> {
        match self {
            Packer::Gzip => Ok(Box::new(MultiGzDecoder::new(packed))),
            Packer::Zstd => Ok(Box::new(Zstd::new(packed, room))),
            Packer::Other(program) => Err(program),
        }
    }
}
