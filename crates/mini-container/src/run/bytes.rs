//! The bytes of an archive: decompressed if needed, and limited to the room that there is.
//!
//! A megabyte of gzip can become a gigabyte. So there are two limits on the decompressed size. One is for the whole
//! archive. The other is for the header of each file, since a parser holds that in memory at once.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use ns_core::{Error, Named, Result};
use sha2::{Digest, Sha256};

/// A part of an archive, such as a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) length: u64,
}

pub(super) const WHOLE: Part = Part { offset: 0, length: u64::MAX };

/// The limit of a header: names and attributes of a file. It is large enough even for the maps of sparse files.
const LONGEST_HEADER: u64 = 1 << 20;
/// How much is read before the next look at the clock.
const SPELL: u64 = 8 << 20;
/// The time between two reports. The launcher waits 10 s for each.
const QUIET: Duration = Duration::from_secs(1);

/// The archive. It can be read from any offset, any number of times.
pub(super) struct Bytes<'a> {
    pub(super) name: String,
    file: &'a File,
    /// Whether the file itself is compressed.
    packed: bool,
    /// The limit of the decompressed size.
    room: u64,
    /// How much may still be read of the present header.
    header: Cell<u64>,
    report: &'a dyn Fn() -> Result<()>,
    /// The time between two reports.
    quiet: Duration,
    /// The time of the last report.
    reported: Cell<Instant>,
}

impl<'a> Bytes<'a> {
    /// Opens an archive. Its decompressed size is limited to `room`. `report` is called regularly.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no tar archive, is cut short, or has an unknown compression.
    pub(super) fn open(
        name: String,
        file: &'a File,
        room: u64,
        report: &'a dyn Fn() -> Result<()>,
    ) -> Result<Bytes<'a>> {
        let mut bytes = Bytes {
            name,
            file,
            packed: false,
            room,
            header: Cell::new(u64::MAX),
            report,
            quiet: QUIET,
            reported: Cell::new(Instant::now()),
        };
        let mut start = [0; 512];
        let read = file.read_at(&mut start, 0).named(|| format!("read(\"{}\")", bytes.name))?;
        bytes.packed = packer(&start[..read]) == Some("gzip");
        let mut start = Vec::new();
        let read = bytes.stream(WHOLE)?.take(512).read_to_end(&mut start);
        read.map_err(|error| bytes.damaged(&error))?;
        // "ustar" stands in the header of every archive since 1988 (tar(5)).
        if start.len() < 512 || start[257..262] != *b"ustar" {
            return Err(Error::Input(format!("{}: neither a directory nor a tar archive", bytes.name)));
        }
        // The end of gzip is a checksum, which is verified when it is read.
        if !bytes.packed {
            bytes.must_be_whole()?;
        }
        Ok(bytes)
    }

    /// A tar archive ends with two blocks of zeros. Without this check, one cut off between two files would look complete.
    fn must_be_whole(&self) -> Result<()> {
        let length = self.file.metadata().named(|| format!("stat(\"{}\")", self.name))?.len();
        let mut end = [1; 1024];
        let read = self.file.read_exact_at(&mut end, length.saturating_sub(1024));
        if read.is_err() || end.iter().any(|byte| *byte != 0) {
            return Err(Error::Input(format!("{}: the archive is cut short; get it again", self.name)));
        }
        Ok(())
    }

    /// A part, decompressed if it is compressed itself.
    pub(super) fn stream(&self, part: Part) -> Result<Stream<'_>> {
        self.expect_content();
        let start = if self.packed { 0 } else { part.offset };
        let mut file = self.file;
        file.seek(SeekFrom::Start(start)).named(|| format!("lseek(\"{}\")", self.name))?;
        let mut whole: Box<dyn Read + '_> = Box::new(file);
        if self.packed {
            let mut all = self.bounded(Box::new(MultiGzDecoder::new(file)), true);
            all.skip(part.offset).map_err(|error| self.damaged(&error))?;
            whole = Box::new(all);
        }
        let (inner, packed) = self.unpacked(whole, part)?;
        let mut stream = self.bounded(inner, packed || self.packed);
        stream.has_headers = true;
        stream.seeks = !packed && !self.packed && part.offset == 0;
        Ok(stream)
    }

    fn bounded<'b>(&'b self, inner: Box<dyn Read + 'b>, packed: bool) -> Stream<'b> {
        let left = if packed { self.room } else { u64::MAX };
        Stream { bytes: self, inner, has_headers: false, seeks: false, at: 0, left, spell: 0, digest: None }
    }

    /// Detects the compression by the first bytes, and decompresses.
    fn unpacked<'b>(&self, packed: Box<dyn Read + 'b>, part: Part) -> Result<(Box<dyn Read + 'b>, bool)> {
        let mut packed = packed.take(part.length);
        let mut start = Vec::new();
        packed.by_ref().take(512).read_to_end(&mut start).map_err(|error| self.damaged(&error))?;
        let packer = packer(&start);
        let whole = Cursor::new(start).chain(packed);
        match packer {
            None => Ok((Box::new(whole), false)),
            Some("gzip") => Ok((Box::new(MultiGzDecoder::new(whole)), true)),
            Some(other) => Err(Error::Input(self.unknown(other, part))),
        }
    }

    fn unknown(&self, packer: &str, part: Part) -> String {
        let name = &self.name;
        let known = format!("compressed with {packer}, and gzip alone is known here");
        if part.offset == 0 {
            format!("{name}: {known}; unpack it first: {packer} -d {name}")
        } else {
            format!(
                "{name}: its layers are {known}; let the engine unpack them: \
                 docker export $(docker create IMAGE) > rootfs.tar"
            )
        }
    }

    /// To be called before the header of the next file is read.
    pub(super) fn expect_header(&self) {
        self.header.set(LONGEST_HEADER);
    }

    /// To be called before a file's content is read.
    pub(super) fn expect_content(&self) {
        self.header.set(u64::MAX);
    }

    /// Reports progress, if a report is due. To be called often, since symbolic links can make each lookup slow.
    pub(super) fn report_if_due(&self) -> Result<()> {
        if self.reported.get().elapsed() < self.quiet {
            return Ok(());
        }
        self.reported.set(Instant::now());
        (self.report)()
    }

    pub(super) fn damaged(&self, error: &io::Error) -> Error {
        let name = &self.name;
        Error::Input(match error.kind() {
            ErrorKind::FileTooLarge => format!(
                "{name}: unpacks to more than {} MiB, for which memory has no room; unpack it into a directory, and \
                 give that",
                self.room >> 20
            ),
            _ => format!("{name}: the archive is damaged or cut short ({error}); get it again"),
        })
    }
}

/// The compression of data with these first bytes.
fn packer(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz"),
        // There is no decoder for it that has limits and needs no C compiler.
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        _ => None,
    }
}

/// A part of an archive as it is read.
pub(super) struct Stream<'a> {
    bytes: &'a Bytes<'a>,
    inner: Box<dyn Read + 'a>,
    /// Whether a parser reads it.
    has_headers: bool,
    /// Whether its offsets are those of the file.
    seeks: bool,
    at: u64,
    left: u64,
    spell: u64,
    digest: Option<Sha256>,
}

impl Stream<'_> {
    /// Computes a digest of everything that is read from here on.
    pub(super) fn digested(self) -> Self {
        Stream { digest: Some(Sha256::new()), ..self }
    }

    /// Reads the rest, and returns the SHA-256 of everything that was read, if a digest was requested.
    pub(super) fn finish(mut self) -> io::Result<Option<String>> {
        io::copy(&mut self, &mut io::sink())?;
        let digest = self.digest.map(Sha256::finalize);
        Ok(digest.map(|it| it.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    fn pull(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 && !into.is_empty() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(&mut into[..most])?;
        if let Some(digest) = &mut self.digest {
            digest.update(&into[..read]);
        }
        let read_bytes = read as u64;
        self.at += read_bytes;
        self.left -= read_bytes;
        self.spell += read_bytes;
        if self.spell > SPELL {
            self.spell = 0;
            self.bytes.report_if_due().map_err(io::Error::other)?;
        }
        Ok(read)
    }

    fn skip(&mut self, length: u64) -> io::Result<()> {
        if self.seeks {
            self.at = self.at.checked_add(length).ok_or(ErrorKind::InvalidData)?;
            let mut file = self.bytes.file;
            file.seek(SeekFrom::Start(self.at))?;
            self.inner = Box::new(file);
            return Ok(());
        }
        let mut left = length;
        let mut block = [0; 1 << 14];
        while left > 0 {
            let most = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.pull(&mut block[..most])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                read => left -= read as u64,
            }
        }
        Ok(())
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if !self.has_headers {
            return self.pull(into);
        }
        let header = self.bytes.header.get();
        let most = into.len().min(usize::try_from(header).unwrap_or(usize::MAX));
        if most == 0 && !into.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidData, "a name of more than a megabyte"));
        }
        let read = self.pull(&mut into[..most])?;
        if header < u64::MAX {
            self.bytes.header.set(header - read as u64);
        }
        Ok(read)
    }
}

impl Seek for Stream<'_> {
    /// Only forward, which is enough for a tar archive.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Current(length @ 0..) = to else { return Err(ErrorKind::Unsupported.into()) };
        self.skip(length.unsigned_abs())?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    /// A compressed file of zeros that begins like an archive.
    fn packed(length: usize) -> File {
        let mut bytes = vec![0; length];
        bytes[257..262].copy_from_slice(b"ustar");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&bytes).unwrap();
        let mut file = File::from(memfd_create("packed", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(&encoder.finish().unwrap()).unwrap();
        file
    }

    #[test]
    fn no_more_comes_out_than_there_is_room_for() {
        let file = packed(3 << 20);
        let fits = Bytes::open("fits".into(), &file, 4 << 20, &|| Ok(())).unwrap();
        assert_eq!(fits.stream(WHOLE).unwrap().finish().unwrap(), None);

        let bomb = Bytes::open("bomb".into(), &file, 1 << 20, &|| Ok(())).unwrap();
        let error = bomb.stream(WHOLE).unwrap().finish().unwrap_err();
        let line = bomb.damaged(&error).to_string();
        assert!(line.starts_with("bomb: unpacks to more than 1 MiB, for which memory has no room"), "{line}");
        // A part beyond the limit is not read either.
        let part = Part { offset: 2 << 20, length: 512 };
        assert!(bomb.stream(part).err().unwrap().to_string().contains("more than 1 MiB"));
    }

    #[test]
    fn who_reads_long_shows_signs_of_life() {
        let file = packed(20 << 20);
        let signs = Cell::new(0);
        let report = || {
            signs.set(signs.get() + 1);
            Ok(())
        };
        let mut bytes = Bytes::open("long".into(), &file, 1 << 30, &report).unwrap();
        bytes.quiet = Duration::ZERO;
        bytes.stream(WHOLE).unwrap().finish().unwrap();
        assert!(signs.get() >= 2, "{signs:?}");
    }
}
