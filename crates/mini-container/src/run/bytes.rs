//! The bytes of an archive: decompressed if needed, and limited to the room that there is.
//!
//! A megabyte of gzip can become a gigabyte. So there are two limits on the decompressed size. One is for the whole
//! archive. The other is for the header of each file, since a parser holds that in memory at once.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Cursor, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ns_core::{Error, Named, Result};
use sha2::{Digest, Sha256};

use super::packer::Packer;

/// A part of an archive, such as a layer; or a file of a layout.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The file of a layout. `None`: the part is in the archive.
    pub(super) file: Option<Rc<File>>,
    pub(super) offset: u64,
    pub(super) length: u64,
}

pub(super) const WHOLE: Part = Part { file: None, offset: 0, length: u64::MAX };

/// The limit of a header: names and attributes of a file. It is large enough even for the maps of sparse files.
const LONGEST_HEADER: u64 = 1 << 20;
/// How much is read before the next look at the clock.
const SPELL: u64 = 8 << 20;
/// The time between two reports. The launcher waits 10 s for each.
const QUIET: Duration = Duration::from_secs(1);

/// An archive, or a layout in a directory. It can be read from any offset, any number of times.
pub(super) struct Bytes<'a> {
    pub(super) name: String,
    /// The archive. A layout is read by its parts alone.
    file: Option<&'a File>,
    /// How the archive itself is compressed.
    packed: Option<Packer>,
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
        let mut bytes = Bytes { file: Some(file), ..Bytes::of_layout(name, room, report) };
        let mut start = [0; 512];
        let read = file.read_at(&mut start, 0).named(|| format!("read(\"{}\")", bytes.name))?;
        bytes.packed = Packer::of(&start[..read]);
        let mut start = Vec::new();
        let read = bytes.stream(&WHOLE)?.take(512).read_to_end(&mut start);
        read.map_err(|error| bytes.damaged(&error))?;
        // "ustar" stands in the header of every archive since 1988 (tar(5)).
        if start.len() < 512 || start[257..262] != *b"ustar" {
            return Err(Error::Input(format!(
                "{0}: neither a directory nor a tar archive; if it is the command: mini-container run -- {0}",
                bytes.name
            )));
        }
        // The end of a compressed archive is verified when it is read.
        if bytes.packed.is_none() {
            bytes.must_be_whole(file)?;
        }
        Ok(bytes)
    }

    /// The same of a layout, whose parts have files of their own.
    pub(super) fn of_layout(name: String, room: u64, report: &'a dyn Fn() -> Result<()>) -> Bytes<'a> {
        Bytes {
            name,
            file: None,
            packed: None,
            room,
            header: Cell::new(u64::MAX),
            report,
            quiet: QUIET,
            reported: Cell::new(Instant::now()),
        }
    }

    /// A tar archive ends with two blocks of zeros. Without this check, one cut off between two files would look complete.
    fn must_be_whole(&self, file: &File) -> Result<()> {
        let length = file.metadata().named(|| format!("stat(\"{}\")", self.name))?.len();
        let mut end = [1; 1024];
        let read = file.read_exact_at(&mut end, length.saturating_sub(1024));
        if read.is_err() || end.iter().any(|byte| *byte != 0) {
            return Err(Error::Input(format!("{}: the archive is cut short; get it again", self.name)));
        }
        Ok(())
    }

    /// A part, decompressed if it is compressed itself.
    pub(super) fn stream(&self, part: &Part) -> Result<Stream<'_>> {
        self.expect_content();
        let packer = if part.file.is_some() { None } else { self.packed };
        let start = if packer.is_some() { 0 } else { part.offset };
        let whole: Box<dyn Read + '_> = match (&part.file, self.file) {
            (Some(file), _) => Box::new(self.at(Shared(Rc::clone(file)), start)?),
            (None, Some(file)) => Box::new(self.at(file, start)?),
            (None, None) => Box::new(io::empty()),
        };
        let whole = match packer {
            None => whole,
            Some(packer) => {
                let mut all = self.bounded(self.decoder(packer, whole, part)?, true);
                all.skip(part.offset).map_err(|error| self.damaged(&error))?;
                Box::new(all)
            }
        };
        let (inner, packed) = self.unpacked(whole, part)?;
        let mut stream = self.bounded(inner, packed || packer.is_some());
        stream.has_headers = true;
        stream.seeks = self.file.filter(|_| !packed && packer.is_none() && part.file.is_none() && start == 0);
        Ok(stream)
    }

    /// `file` from `offset` on.
    fn at<F: Seek>(&self, mut file: F, offset: u64) -> Result<F> {
        file.seek(SeekFrom::Start(offset)).named(|| format!("lseek(\"{}\")", self.name))?;
        Ok(file)
    }

    fn bounded<'b>(&'b self, inner: Box<dyn Read + 'b>, packed: bool) -> Stream<'b> {
        let left = if packed { self.room } else { u64::MAX };
        Stream { bytes: self, inner, has_headers: false, seeks: None, at: 0, left, spell: 0, digest: None }
    }

    /// Detects the compression by the first bytes, and decompresses.
    fn unpacked<'b>(&self, packed: Box<dyn Read + 'b>, part: &Part) -> Result<(Box<dyn Read + 'b>, bool)> {
        let mut packed = packed.take(part.length);
        let mut start = Vec::new();
        packed.by_ref().take(512).read_to_end(&mut start).map_err(|error| self.damaged(&error))?;
        let packer = Packer::of(&start);
        let whole: Box<dyn Read + 'b> = Box::new(Cursor::new(start).chain(packed));
        match packer {
            None => Ok((whole, false)),
            Some(packer) => Ok((self.decoder(packer, whole, part)?, true)),
        }
    }

    fn decoder<'b>(
        &self,
        packer: Packer,
        packed: Box<dyn Read + 'b>,
        part: &Part,
    ) -> Result<Box<dyn Read + 'b>> {
        packer.decoder(packed, self.room).map_err(|program| Error::Input(self.unknown(program, part)))
    }

    fn unknown(&self, packer: &str, part: &Part) -> String {
        let name = &self.name;
        let known = format!("compressed with {packer}, and only gzip and zstd are known here");
        if part.offset == 0 && part.file.is_none() {
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
            ErrorKind::OutOfMemory => {
                format!("{name}: {error}; make it again with gzip, or with zstd -19 at most")
            }
            _ => format!("{name}: the archive is damaged or cut short ({error}); get it again"),
        })
    }
}

/// A file of a layout, which several parts may share.
struct Shared(Rc<File>);

impl Read for Shared {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(into)
    }
}

impl Seek for Shared {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        (&*self.0).seek(to)
    }
}

/// A part of an archive as it is read.
pub(super) struct Stream<'a> {
    bytes: &'a Bytes<'a>,
    inner: Box<dyn Read + 'a>,
    /// Whether a parser reads it.
    has_headers: bool,
    /// The archive, if the offsets are those of its file.
    seeks: Option<&'a File>,
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
        if let Some(mut file) = self.seeks {
            self.at = self.at.checked_add(length).ok_or(ErrorKind::InvalidData)?;
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

    /// Zeros that begin like an archive.
    fn zeros(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        bytes[257..262].copy_from_slice(b"ustar");
        bytes
    }

    fn file_of(bytes: &[u8]) -> File {
        let mut file = File::from(memfd_create("packed", MemfdFlags::CLOEXEC).unwrap());
        file.write_all(bytes).unwrap();
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn no_more_comes_out_than_there_is_room_for() {
        for packed in [gzip(&zeros(3 << 20)), zstd(&zeros(3 << 20))] {
            assert!(packed.len() < 1 << 20);
            let file = file_of(&packed);
            let fits = Bytes::open("fits".into(), &file, 4 << 20, &|| Ok(())).unwrap();
            assert_eq!(fits.stream(&WHOLE).unwrap().finish().unwrap(), None);

            let bomb = Bytes::open("bomb".into(), &file, 1 << 20, &|| Ok(())).unwrap();
            let error = bomb.stream(&WHOLE).unwrap().finish().unwrap_err();
            let line = bomb.damaged(&error).to_string();
            assert!(
                line.starts_with("bomb: unpacks to more than 1 MiB, for which memory has no room"),
                "{line}"
            );
            // A part beyond the limit is not read either.
            let part = Part { file: None, offset: 2 << 20, length: 512 };
            assert!(bomb.stream(&part).err().unwrap().to_string().contains("more than 1 MiB"));
        }
    }

    #[test]
    fn who_reads_long_shows_signs_of_life() {
        let file = file_of(&gzip(&zeros(20 << 20)));
        let signs = Cell::new(0);
        let report = || {
            signs.set(signs.get() + 1);
            Ok(())
        };
        let mut bytes = Bytes::open("long".into(), &file, 1 << 30, &report).unwrap();
        bytes.quiet = Duration::ZERO;
        bytes.stream(&WHOLE).unwrap().finish().unwrap();
        assert!(signs.get() >= 2, "{signs:?}");
    }
}
