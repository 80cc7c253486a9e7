//! Which partition of `__consumer_offsets` a group belongs to: Kafka's rule, which tools and other brokers rely on.

/// `None` when there are no partitions.
pub(super) fn partition_of(group: &str, partition_count: usize) -> Option<usize> {
    let hash = java_hash_code(group);
    // Java's smallest integer has no positive twin; Kafka takes 0 for it.
    let hash = hash.checked_abs().unwrap_or(0);
    usize::try_from(hash).ok()?.checked_rem(partition_count)
}

/// `java.lang.String.hashCode`: over UTF-16 code units.
fn java_hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_land_where_kafka_puts_them() {
        // Seen in the partitions of a real Kafka.
        assert_eq!(partition_of("g1", 50), Some(42));
        assert_eq!(partition_of("g2", 50), Some(43));
        assert_eq!(partition_of("g3", 50), Some(44));
        // Outside of the basic plane Java counts two units.
        assert_eq!(java_hash_code("\u{1F600}"), 0xD83D_i32.wrapping_mul(31).wrapping_add(0xDE00));
    }

    #[test]
    fn the_smallest_hash_goes_to_the_first_partition() {
        assert_eq!(java_hash_code("polygenelubricants"), i32::MIN);
        assert_eq!(partition_of("polygenelubricants", 50), Some(0));
    }

    #[test]
    fn without_partitions_there_is_no_place() {
        assert_eq!(partition_of("g", 0), None);
    }
}
