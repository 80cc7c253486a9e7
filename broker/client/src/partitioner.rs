//! Which partition a key goes to: the one that Kafka's own producers choose.

use crate::client::TopicPartitions;

/// murmur2, as a positive number, modulo the count.
pub fn partition_of_key(key: &[u8], partitions: &TopicPartitions) -> i32 {
    let index = (murmur2(key) & 0x7fff_ffff) as usize % partitions.len().max(1);
    partitions.keys().nth(index).copied().unwrap_or(0)
}

/// Kafka's variant of murmur2 (`Utils.murmur2`): the default partitioner of its Java clients hashes keys with it.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ (key.len() as u32);
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        let mut word = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> 13).wrapping_mul(M);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_kafkas_own_clients() {
        // Values that the Java client computes.
        for (key, expected) in
            [("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536)]
        {
            assert_eq!(murmur2(key.as_bytes()) as i32, expected, "{key}");
        }
    }
}
