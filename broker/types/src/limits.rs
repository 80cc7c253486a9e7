//! The limits of the whole broker, by name. Those that Kafka has a key for are that key's default.
//!
//! Never a limit that only one module knows: such a constant lives in that module.

/// `socket.request.max.bytes`: the largest frame that an authenticated client may send.
pub const FRAME_BYTES_MAX: usize = 100 * 1024 * 1024;

/// The largest frame before a connection has authenticated: enough for ApiVersions and SASL, useless as a bomb.
pub const FRAME_BYTES_MAX_BEFORE_AUTHENTICATION: usize = 64 * 1024;

/// `max.message.bytes`: the largest record batch, its 12 bytes of offset and length included.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024 + 12;

/// What the records of one batch may decompress to. A batch of 1 MiB can claim a thousand times its size.
pub const DECOMPRESSED_BATCH_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Partitions that one broker hosts.
pub const PARTITIONS_MAX: usize = 100_000;

/// Bytes of requests in flight: this fraction of the machine's memory at most.
pub const IN_FLIGHT_MEMORY_DIVISOR: u64 = 4;

/// The longest legal topic name, as Kafka has it: a folder `<topic>-<partition>.<uuid>-delete` must fit 255 bytes.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;
