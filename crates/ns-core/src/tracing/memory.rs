//! The memory of another process, read and never written: process_vm_readv(2).

use std::io::IoSliceMut;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// The least size of a page: what begins in one may end in one that cannot be read.
const PAGE: usize = 4096;

/// As much of a text is read at first.
const FIRST: usize = 256;

/// The memory of a thread that is stopped.
#[derive(Debug, Clone, Copy)]
pub struct Memory(Pid);

impl Memory {
    /// That of `thread`.
    pub fn of(thread: Pid) -> Memory {
        Memory(thread)
    }

    /// `length` bytes at `address`.
    ///
    /// # Errors
    /// EFAULT where not all of them can be read.
    pub fn bytes(self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut buffer = vec![0; length];
        let read = self.read(address, &mut buffer)?;
        if read < length { Err(Errno::EFAULT) } else { Ok(buffer) }
    }

    /// Up to `limit` bytes at `address`, up to a NUL, which is left out. What is no UTF-8 is replaced.
    ///
    /// # Errors
    /// EFAULT where there is no NUL before what cannot be read.
    pub fn text(self, address: u64, limit: usize) -> Result<String, Errno> {
        let mut text = Vec::new();
        while text.len() < limit {
            let at = address.wrapping_add(text.len() as u64);
            // To the end of its page at most, and at first a little: most texts are short.
            let step = (PAGE - at as usize % PAGE).min(if text.is_empty() { FIRST } else { PAGE });
            let mut part = vec![0; step.min(limit - text.len())];
            let read = self.read(at, &mut part)?;
            let end = part[..read].iter().position(|byte| *byte == 0);
            text.extend_from_slice(&part[..end.unwrap_or(read)]);
            if end.is_some() {
                break;
            }
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The texts at `wanted`, each an address and a limit, as [`Memory::text`] gives them. One call reads the first part of
    /// all, and most texts are short.
    pub fn texts(self, wanted: &[(u64, usize)]) -> Vec<Result<String, Errno>> {
        let first =
            |(address, limit): &(u64, usize)| (PAGE - *address as usize % PAGE).min(FIRST).min(*limit);
        let lengths: Vec<usize> = wanted.iter().map(first).collect();
        let parts = wanted.iter().zip(&lengths);
        let parts: Vec<RemoteIoVec> =
            parts.map(|((address, _), len)| RemoteIoVec { base: *address as usize, len: *len }).collect();
        let mut buffer = vec![0; lengths.iter().sum()];
        // It ends with the first that cannot be read.
        let read = process_vm_readv(self.0, &mut [IoSliceMut::new(&mut buffer)], &parts).unwrap_or(0);
        let mut rest = &buffer[..read];
        let text = |((address, limit), length): (&(u64, usize), usize)| {
            let (part, after) = rest.split_at(length.min(rest.len()));
            rest = after;
            match part.iter().position(|byte| *byte == 0) {
                Some(end) => Ok(String::from_utf8_lossy(&part[..end]).into_owned()),
                None => self.text(*address, *limit),
            }
        };
        wanted.iter().zip(lengths).map(text).collect()
    }

    /// The numbers of the machine's word from `address` on, up to a 0, which is left out, up to `most`, and up to what cannot
    /// be read.
    pub fn list(self, address: u64, most: usize) -> Vec<u64> {
        let mut list = Vec::new();
        while list.len() < most {
            let at = address.wrapping_add(8 * list.len() as u64);
            // To the end of its page: the next may be one that cannot be read.
            let count = ((PAGE - at as usize % PAGE) / 8).clamp(1, most - list.len());
            let Ok(words) = self.words(at, count) else { break };
            let end = words.iter().position(|word| *word == 0);
            list.extend_from_slice(&words[..end.unwrap_or(words.len())]);
            if end.is_some() {
                break;
            }
        }
        list
    }

    /// `count` numbers of the machine's word at `address`.
    ///
    /// # Errors
    /// EFAULT where not all of them can be read.
    pub fn words(self, address: u64, count: usize) -> Result<Vec<u64>, Errno> {
        let bytes = self.bytes(address, count * size_of::<u64>())?;
        let word = |it: &[u8]| u64::from_ne_bytes(it.try_into().unwrap_or_default());
        Ok(bytes.chunks_exact(8).map(word).collect())
    }

    /// `count` numbers of 32 bits at `address`.
    ///
    /// # Errors
    /// EFAULT where not all of them can be read.
    pub fn halves(self, address: u64, count: usize) -> Result<Vec<u32>, Errno> {
        let bytes = self.bytes(address, count * size_of::<u32>())?;
        let half = |it: &[u8]| u32::from_ne_bytes(it.try_into().unwrap_or_default());
        Ok(bytes.chunks_exact(4).map(half).collect())
    }

    fn read(self, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let from = RemoteIoVec { base: address as usize, len: buffer.len() };
        process_vm_readv(self.0, &mut [IoSliceMut::new(buffer)], &[from])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Memory {
        Memory::of(nix::unistd::getpid())
    }

    #[test]
    fn a_text_ends_at_its_nul_or_at_the_limit() {
        let text = [b"first".as_slice(), b"\0second\0"].concat();
        let address = text.as_ptr() as u64;
        assert_eq!(own().text(address, 100), Ok("first".into()));
        assert_eq!(own().text(address + 6, 3), Ok("sec".into()));
        let long = [vec![b'x'; 9000], vec![0]].concat();
        assert_eq!(own().text(long.as_ptr() as u64, 20_000).map(|text| text.len()), Ok(9000));
    }

    #[test]
    fn several_texts_are_as_each_alone() {
        let long = [vec![b'x'; 9000], vec![0]].concat();
        let texts = [c"one".as_ptr() as u64, 8, long.as_ptr() as u64, c"two".as_ptr() as u64];
        let wanted: Vec<_> = texts.map(|address| (address, 20_000)).into();
        let alone: Vec<_> = texts.map(|address| own().text(address, 20_000)).into();
        assert_eq!(own().texts(&wanted), alone);
        assert_eq!(own().texts(&[(texts[0], 2), (texts[3], 20)]), [Ok("on".into()), Ok("two".into())]);
        assert!(own().texts(&[]).is_empty());
    }

    #[test]
    fn a_list_ends_at_its_zero_or_at_the_limit() {
        let list = [7_u64, 8, 0, 9];
        assert_eq!(own().list(list.as_ptr() as u64, 4), [7, 8]);
        assert_eq!(own().list(list.as_ptr() as u64, 1), [7]);
        assert_eq!(own().list(8, 4), Vec::<u64>::new());
    }

    #[test]
    fn an_address_that_is_none_is_told() {
        assert_eq!(own().text(8, 10), Err(Errno::EFAULT));
        assert_eq!(own().bytes(u64::MAX - 3, 2), Err(Errno::EFAULT));
    }

    #[test]
    fn numbers_are_read_as_the_machine_has_them() {
        let numbers = [7_u64, 1 << 40];
        assert_eq!(own().words(numbers.as_ptr() as u64, 2), Ok(numbers.to_vec()));
        let numbers = [7_u32, 1 << 30];
        assert_eq!(own().halves(numbers.as_ptr() as u64, 2), Ok(numbers.to_vec()));
    }
}
