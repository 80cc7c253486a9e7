//! Documents on disk: shards, their writers, and the offsets that land with the documents.
//!
//! Reading order: [`name`] (which shard), [`schema`] and [`tokenizer`] (how a shard looks), [`document`] (from JSON to
//! fields), [`offsets`], [`shard`] (one tantivy index), [`shards`] (all of them), [`commits`] (what waits
//! for one), [`checkpoint`].
//!
//! Invariants:
//! - A commit's payload holds exactly the offsets of the documents in it: there is one way to commit, and it sets
//!   the payload.
//! - A checkpoint is written after the shards' commits that it stands for, never before.

pub(crate) mod checkpoint;
pub(crate) mod commits;
pub(crate) mod document;
pub(crate) mod name;
pub(crate) mod offsets;
pub(crate) mod schema;
pub(crate) mod shard;
pub(crate) mod shards;
pub(crate) mod tokenizer;
