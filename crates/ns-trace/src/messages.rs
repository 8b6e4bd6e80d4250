//! The bytes that a call sends or has received: write(2), sendmsg(2) and their like.

use ns_core::tracing::Memory;

/// As much of a message is read, and as many parts.
const BYTES: usize = 65_536;
const PARTS: usize = 32;

/// What `call` is about to send; nothing where it cannot be read.
pub(crate) fn sent(call: &str, memory: Memory, arguments: [u64; 6]) -> Vec<u8> {
    gathered(call, memory, arguments, BYTES)
}

/// The `length` bytes that `call` has received.
pub(crate) fn received(call: &str, memory: Memory, arguments: [u64; 6], length: usize) -> Vec<u8> {
    gathered(call, memory, arguments, length.min(BYTES))
}

fn gathered(call: &str, memory: Memory, arguments: [u64; 6], limit: usize) -> Vec<u8> {
    let [_, second, third, ..] = arguments;
    match call {
        "writev" => of_vector(memory, second, third as usize, limit),
        "sendmsg" | "recvmsg" => {
            // struct msghdr: a name and its length, then a vector and its length.
            let words = memory.words(second, 4).unwrap_or_default();
            let [_, _, vector, count] = words[..] else { return Vec::new() };
            of_vector(memory, vector, count as usize, limit)
        }
        _ => memory.bytes(second, (third as usize).min(limit)).unwrap_or_default(),
    }
}

/// What is in the parts of a vector: struct iovec.
fn of_vector(memory: Memory, address: u64, count: usize, limit: usize) -> Vec<u8> {
    let words = memory.words(address, 2 * count.min(PARTS)).unwrap_or_default();
    let mut all = Vec::new();
    for part in words.chunks_exact(2) {
        let length = (part[1] as usize).min(limit - all.len());
        all.extend(memory.bytes(part[0], length).unwrap_or_default());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_vector_are_put_together() {
        let memory = Memory::of(nix::unistd::getpid());
        let (first, second) = (b"0 1000", b" 1\n");
        let vector = [first.as_ptr() as u64, 6, second.as_ptr() as u64, 3];
        let arguments = [3, vector.as_ptr() as u64, 2, 0, 0, 0];
        assert_eq!(sent("writev", memory, arguments), b"0 1000 1\n");
        let header = [0, 0, vector.as_ptr() as u64, 2];
        let arguments = [3, header.as_ptr() as u64, 0, 0, 0, 0];
        assert_eq!(received("recvmsg", memory, arguments, 8), b"0 1000 1");
        assert_eq!(sent("write", memory, [3, 16, 5, 0, 0, 0]), b"");
    }
}
