//! One member of a classic group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::NEW_MEMBER_JOIN_TIMEOUT;
use super::event::{Join, JoinedMember, Protocol, RequestId};
use super::records::MemberMetadata;

#[derive(Debug)]
pub struct Member {
    pub(super) id: Arc<str>,
    pub(super) instance_id: Option<Arc<str>>,
    pub(super) client_id: Arc<str>,
    pub(super) client_host: Arc<str>,
    pub(super) session_timeout: Duration,
    pub(super) rebalance_timeout: Duration,
    pub(super) protocols: Vec<Protocol>,
    pub(super) assignment: Bytes,
    /// The join that is answered when the group's next generation starts.
    pub(super) joining: Option<RequestId>,
    /// The sync that is answered when the leader's assignment is durable.
    pub(super) syncing: Option<RequestId>,
    /// Whether it has asked for the assignment of this generation.
    pub(super) has_synced: bool,
    /// Whether it has yet to complete its first join.
    pub(super) is_new: bool,
    pub(super) session_deadline: Duration,
}

impl Member {
    pub(super) fn new(id: Arc<str>, request: RequestId, join: &Join, now: Duration) -> Self {
        Self {
            id,
            instance_id: join.instance_id.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            joining: Some(request),
            syncing: None,
            has_synced: false,
            is_new: true,
            session_deadline: now + NEW_MEMBER_JOIN_TIMEOUT,
        }
    }

    /// As the log says it; its session starts anew.
    pub(super) fn loaded(metadata: &MemberMetadata, protocol: Option<&Arc<str>>) -> Self {
        let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let protocols = protocol
            .map(|name| Protocol { name: name.clone(), metadata: metadata.subscription.clone() })
            .into_iter()
            .collect();
        Self {
            id: metadata.member_id.as_str().into(),
            instance_id: metadata.group_instance_id.as_deref().map(Into::into),
            client_id: metadata.client_id.as_str().into(),
            client_host: metadata.client_host.as_str().into(),
            session_timeout: millis(metadata.session_timeout_ms),
            rebalance_timeout: millis(metadata.rebalance_timeout_ms),
            protocols,
            assignment: metadata.assignment.clone(),
            joining: None,
            syncing: None,
            has_synced: true,
            is_new: false,
            session_deadline: Duration::MAX,
        }
    }

    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub fn instance_id(&self) -> Option<&Arc<str>> {
        self.instance_id.as_ref()
    }

    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    pub fn client_host(&self) -> &str {
        &self.client_host
    }

    pub fn assignment(&self) -> &Bytes {
        &self.assignment
    }

    /// What it sent for this protocol; empty if it does not speak it.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        self.protocols.iter().find(|offered| &*offered.name == protocol).map_or_else(Bytes::new, |p| p.metadata.clone())
    }

    pub(super) fn speaks(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|offered| &*offered.name == protocol)
    }

    pub(super) fn renew_session(&mut self, now: Duration) {
        self.session_deadline = now + self.session_timeout;
    }

    /// When to give it up, if nothing comes from it. One that waits for the coordinator is not asked for heartbeats,
    /// but if it never got a generation, it may wait only so long.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let is_waiting = self.joining.is_some() || self.syncing.is_some();
        (self.is_new || !is_waiting).then_some(self.session_deadline)
    }

    pub(super) fn as_joined(&self, protocol: &str) -> JoinedMember {
        JoinedMember {
            member_id: self.id.clone(),
            instance_id: self.instance_id.clone(),
            metadata: self.metadata(protocol),
        }
    }

    pub(super) fn as_record(&self, protocol: &str, assignment: Bytes) -> MemberMetadata {
        let millis = |duration: Duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        MemberMetadata {
            member_id: self.id.to_string(),
            group_instance_id: self.instance_id.as_deref().map(str::to_owned),
            client_id: self.client_id.to_string(),
            client_host: self.client_host.to_string(),
            rebalance_timeout_ms: millis(self.rebalance_timeout),
            session_timeout_ms: millis(self.session_timeout),
            subscription: self.metadata(protocol),
            assignment,
        }
    }
}
