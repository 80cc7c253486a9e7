//! The topics in a consumer's metadata, and whether it was assigned any partition: the only things that the coordinator
//! reads in them.
//!
//! ```text
//! ConsumerProtocolSubscription, v0 and later
//! i16     version
//! array   topics: i32 count, then strings (i16 length, UTF-8)
//! …       user data and what later versions add: not read
//!
//! ConsumerProtocolAssignment, v0 and later
//! i16     version
//! array   topics: i32 count, then each topic with its partitions
//! …       not read
//! ```

use std::collections::HashSet;
use std::sync::Arc;

use super::records::wire::Reader;

/// `None` when the bytes are not a subscription: then nothing may be concluded from it.
pub(super) fn subscribed_topics(metadata: &[u8]) -> Option<HashSet<Arc<str>>> {
    let mut reader = Reader::new(metadata);
    reader.i16("version").ok()?;
    let count = reader.array_count("topics").ok()?;
    (0..count).map(|_| reader.string("topic").ok().map(Arc::from)).collect()
}

/// Whether the assignment names any topic; `None` when the bytes are no assignment.
pub(super) fn has_partitions(assignment: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(assignment);
    reader.i16("version").ok()?;
    Some(reader.array_count("topics").ok()? > 0)
}
