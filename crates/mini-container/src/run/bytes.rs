//! The bytes of an archive: unpacked where they are compressed, and never more of them than there is room for.
//!
//! A megabyte of gzip can become a gigabyte. So who reads sets two bounds, both on what comes *out*: how much in all,
//! and how much before the next file of the archive begins. The second is what a parser holds in memory at once.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use ns_core::{Error, Named, Result};
use sha2::{Digest, Sha256};

/// Some of an archive, such as a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) length: u64,
}

pub(super) const WHOLE: Part = Part { offset: 0, length: u64::MAX };

/// Names and attributes of a file are a few bytes. This is more than enough, even of sparse files' maps.
const LONGEST_HEADER: u64 = 1 << 20;
/// How much is read before the clock is looked at.
const SPELL: u64 = 8 << 20;
/// How long there is no sign of life. Who waits for one is patient for 10 s.
const QUIET: Duration = Duration::from_secs(1);

/// The archive, to be read from any place, any number of times.
pub(super) struct Bytes<'a> {
    pub(super) name: String,
    file: &'a File,
    /// Whether the file itself is compressed.
    packed: bool,
    /// The most that anything compressed in it may become.
    room: u64,
    /// How much may be read until the next file of the archive begins.
    header: Cell<u64>,
    tell: &'a dyn Fn() -> Result<()>,
    /// How long it may be quiet.
    quiet: Duration,
    /// When we said last that we live.
    told: Cell<Instant>,
}

impl<'a> Bytes<'a> {
    /// Opens an archive, of which what is compressed must not become more than `room`. `tell` is called now and then.
    ///
    /// # Errors
    /// [`Error::Input`] for a file that is no tar archive, or cut short, or compressed by what is not known here.
    pub(super) fn open(
        name: String,
        file: &'a File,
        room: u64,
        tell: &'a dyn Fn() -> Result<()>,
    ) -> Result<Bytes<'a>> {
        let mut bytes = Bytes {
            name,
            file,
            packed: false,
            room,
            header: Cell::new(u64::MAX),
            tell,
            quiet: QUIET,
            told: Cell::new(Instant::now()),
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
        // The end of gzip is a checksum, and read in its turn.
        if !bytes.packed {
            bytes.must_be_whole()?;
        }
        Ok(bytes)
    }

    /// A tar archive ends with two blocks of zeros. Cut off between two files it would pass for a shorter one.
    fn must_be_whole(&self) -> Result<()> {
        let length = self.file.metadata().named(|| format!("stat(\"{}\")", self.name))?.len();
        let mut end = [1; 1024];
        let read = self.file.read_exact_at(&mut end, length.saturating_sub(1024));
        if read.is_err() || end.iter().any(|byte| *byte != 0) {
            return Err(Error::Input(format!("{}: the archive is cut short; get it again", self.name)));
        }
        Ok(())
    }

    /// A part, unpacked if it is compressed itself.
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

    /// Looks at how it begins, and unpacks it.
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

    /// To be called before the next file of an archive is looked for.
    pub(super) fn expect_header(&self) {
        self.header.set(LONGEST_HEADER);
    }

    /// To be called before a file's content is read.
    pub(super) fn expect_content(&self) {
        self.header.set(u64::MAX);
    }

    /// Says that we live, if that is due. To be called often: what a name leads through can make each step slow.
    pub(super) fn tell(&self) -> Result<()> {
        if self.told.get().elapsed() < self.quiet {
            return Ok(());
        }
        self.told.set(Instant::now());
        (self.tell)()
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

/// What has compressed something that begins so.
fn packer(start: &[u8]) -> Option<&'static str> {
    match start {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', ..] => Some("xz"),
        // No decoder for it has bounds and needs no C compiler.
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [b'B', b'Z', b'h', ..] => Some("bzip2"),
        _ => None,
    }
}

/// A part of an archive as it is read.
pub(super) struct Stream<'a> {
    bytes: &'a Bytes<'a>,
    inner: Box<dyn Read + 'a>,
    /// Whether it is what a parser reads.
    has_headers: bool,
    /// Whether places in it are places in the file.
    seeks: bool,
    at: u64,
    left: u64,
    spell: u64,
    digest: Option<Sha256>,
}

impl Stream<'_> {
    /// Has a digest made of all that is read from here on.
    pub(super) fn digested(self) -> Self {
        Stream { digest: Some(Sha256::new()), ..self }
    }

    /// Reads what is left, and gives the SHA-256 of all that was read, if that was to be made.
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
            self.bytes.tell().map_err(io::Error::other)?;
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
    /// Forward alone, which is how a tar archive is looked through.
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

    /// Zeros, which look like an archive at the beginning, compressed and in a file.
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
        // Nor is a part looked for behind it.
        let part = Part { offset: 2 << 20, length: 512 };
        assert!(bomb.stream(part).err().unwrap().to_string().contains("more than 1 MiB"));
    }

    #[test]
    fn who_reads_long_shows_signs_of_life() {
        let file = packed(20 << 20);
        let signs = Cell::new(0);
        let tell = || {
            signs.set(signs.get() + 1);
            Ok(())
        };
        let mut bytes = Bytes::open("long".into(), &file, 1 << 30, &tell).unwrap();
        bytes.quiet = Duration::ZERO;
        bytes.stream(WHOLE).unwrap().finish().unwrap();
        assert!(signs.get() >= 2, "{signs:?}");
    }
}
