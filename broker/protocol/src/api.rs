//! What is known of each Kafka API: key, name, versions, and where its flexible versions begin.
//!
//! Written by hand and never taken from the codec's ranges: what the codec can read says nothing about what the
//! broker can answer. The broker advertises the rows it has a handler for, no others.

/// One API. Version ends are inclusive, as Kafka writes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSpec {
    pub key: i16,
    pub name: &'static str,
    /// The lowest version that ApiVersions shows; may be lower than what is served (KAFKA-18659).
    pub advertised_min: i16,
    pub served_min: i16,
    pub max: i16,
    /// The first version with compact strings and tagged fields; `None` when no version has them.
    pub first_flexible: Option<i16>,
}

impl ApiSpec {
    const fn new(key: i16, name: &'static str, min: i16, max: i16, first_flexible: i16) -> Self {
        Self { key, name, advertised_min: min, served_min: min, max, first_flexible: Some(first_flexible) }
    }

    const fn served_from(mut self, min: i16) -> Self {
        self.served_min = min;
        self
    }

    const fn never_flexible(mut self) -> Self {
        self.first_flexible = None;
        self
    }

    pub fn serves(&self, version: i16) -> bool {
        (self.served_min..=self.max).contains(&version)
    }

    pub fn is_flexible(&self, version: i16) -> bool {
        self.first_flexible.is_some_and(|first| version >= first)
    }

    /// 2 when tagged fields follow the client id, else 1.
    pub fn request_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// 1 when tagged fields follow the correlation id, else 0. ApiVersions is always 0: its reader does not know yet
    /// which versions the broker speaks (KIP-511).
    pub fn response_header_version(&self, version: i16) -> i16 {
        if self.key != API_VERSIONS.key && self.is_flexible(version) { 1 } else { 0 }
    }
}

// Produce advertises 0 though 0–2 are dead: librdkafka up to 2.11 otherwise turns compression off (KAFKA-18659).
pub const PRODUCE: ApiSpec = ApiSpec::new(0, "Produce", 0, 13, 9).served_from(3);
pub const FETCH: ApiSpec = ApiSpec::new(1, "Fetch", 4, 17, 12);
pub const LIST_OFFSETS: ApiSpec = ApiSpec::new(2, "ListOffsets", 1, 10, 6);
pub const METADATA: ApiSpec = ApiSpec::new(3, "Metadata", 0, 13, 9);
pub const OFFSET_COMMIT: ApiSpec = ApiSpec::new(8, "OffsetCommit", 2, 9, 8);
pub const OFFSET_FETCH: ApiSpec = ApiSpec::new(9, "OffsetFetch", 1, 9, 6);
pub const FIND_COORDINATOR: ApiSpec = ApiSpec::new(10, "FindCoordinator", 0, 6, 3);
pub const JOIN_GROUP: ApiSpec = ApiSpec::new(11, "JoinGroup", 0, 9, 6);
pub const HEARTBEAT: ApiSpec = ApiSpec::new(12, "Heartbeat", 0, 4, 4);
pub const LEAVE_GROUP: ApiSpec = ApiSpec::new(13, "LeaveGroup", 0, 5, 4);
pub const SYNC_GROUP: ApiSpec = ApiSpec::new(14, "SyncGroup", 0, 5, 4);
pub const DESCRIBE_GROUPS: ApiSpec = ApiSpec::new(15, "DescribeGroups", 0, 6, 5);
pub const LIST_GROUPS: ApiSpec = ApiSpec::new(16, "ListGroups", 0, 5, 3);
pub const API_VERSIONS: ApiSpec = ApiSpec::new(18, "ApiVersions", 0, 4, 3);
pub const CREATE_TOPICS: ApiSpec = ApiSpec::new(19, "CreateTopics", 2, 7, 5);
pub const DELETE_TOPICS: ApiSpec = ApiSpec::new(20, "DeleteTopics", 1, 6, 4);
pub const DELETE_RECORDS: ApiSpec = ApiSpec::new(21, "DeleteRecords", 0, 2, 2);
pub const INIT_PRODUCER_ID: ApiSpec = ApiSpec::new(22, "InitProducerId", 0, 5, 2);
pub const OFFSET_FOR_LEADER_EPOCH: ApiSpec = ApiSpec::new(23, "OffsetForLeaderEpoch", 2, 4, 4);
pub const DESCRIBE_CONFIGS: ApiSpec = ApiSpec::new(32, "DescribeConfigs", 1, 4, 4);
pub const ALTER_CONFIGS: ApiSpec = ApiSpec::new(33, "AlterConfigs", 0, 2, 2);
pub const DESCRIBE_LOG_DIRS: ApiSpec = ApiSpec::new(35, "DescribeLogDirs", 1, 4, 2);
pub const CREATE_PARTITIONS: ApiSpec = ApiSpec::new(37, "CreatePartitions", 0, 3, 2);
pub const DELETE_GROUPS: ApiSpec = ApiSpec::new(42, "DeleteGroups", 0, 2, 2);
pub const INCREMENTAL_ALTER_CONFIGS: ApiSpec = ApiSpec::new(44, "IncrementalAlterConfigs", 0, 1, 1);
pub const LIST_PARTITION_REASSIGNMENTS: ApiSpec = ApiSpec::new(46, "ListPartitionReassignments", 0, 0, 0);
pub const OFFSET_DELETE: ApiSpec = ApiSpec::new(47, "OffsetDelete", 0, 0, 0).never_flexible();
pub const DESCRIBE_CLUSTER: ApiSpec = ApiSpec::new(60, "DescribeCluster", 0, 2, 0);
pub const LIST_CONFIG_RESOURCES: ApiSpec = ApiSpec::new(74, "ListConfigResources", 0, 1, 0);
pub const DESCRIBE_TOPIC_PARTITIONS: ApiSpec = ApiSpec::new(75, "DescribeTopicPartitions", 0, 0, 0);

/// Every API named above, for tests and tools that go through all of them.
pub const ALL: &[ApiSpec] = &[
    PRODUCE,
    FETCH,
    LIST_OFFSETS,
    METADATA,
    OFFSET_COMMIT,
    OFFSET_FETCH,
    FIND_COORDINATOR,
    JOIN_GROUP,
    HEARTBEAT,
    LEAVE_GROUP,
    SYNC_GROUP,
    DESCRIBE_GROUPS,
    LIST_GROUPS,
    API_VERSIONS,
    CREATE_TOPICS,
    DELETE_TOPICS,
    DELETE_RECORDS,
    INIT_PRODUCER_ID,
    OFFSET_FOR_LEADER_EPOCH,
    DESCRIBE_CONFIGS,
    ALTER_CONFIGS,
    DESCRIBE_LOG_DIRS,
    CREATE_PARTITIONS,
    DELETE_GROUPS,
    INCREMENTAL_ALTER_CONFIGS,
    LIST_PARTITION_REASSIGNMENTS,
    OFFSET_DELETE,
    DESCRIBE_CLUSTER,
    LIST_CONFIG_RESOURCES,
    DESCRIBE_TOPIC_PARTITIONS,
];

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::ApiKey;

    use super::*;

    #[test]
    fn header_versions_agree_with_the_codec_for_every_served_version() {
        for spec in ALL {
            let key = ApiKey::try_from(spec.key).unwrap_or_else(|()| panic!("codec knows {}", spec.name));
            assert!(key.valid_versions().min <= spec.served_min, "{} min", spec.name);
            assert!(key.valid_versions().max >= spec.max, "{} max", spec.name);
            for version in spec.served_min..=spec.max {
                assert_eq!(key.request_header_version(version), spec.request_header_version(version), "{}", spec.name);
                assert_eq!(
                    key.response_header_version(version),
                    spec.response_header_version(version),
                    "{}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn keys_are_listed_once() {
        let mut keys: Vec<i16> = ALL.iter().map(|spec| spec.key).collect();
        keys.dedup();
        assert_eq!(keys.len(), ALL.len());
        assert!(keys.is_sorted());
    }

    #[test]
    fn produce_shows_version_0_but_serves_from_3() {
        assert_eq!(PRODUCE.advertised_min, 0);
        assert!(!PRODUCE.serves(2));
        assert!(PRODUCE.serves(3));
    }
}
