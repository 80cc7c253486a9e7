//! The topics in a consumer's metadata: the one thing the coordinator reads in it.
//!
//! ```text
//! ConsumerProtocolSubscription, v0 and later
//! i16     version
//! array   topics: i32 count, then strings (i16 length, UTF-8)
//! …       user data and what later versions add: not read
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
