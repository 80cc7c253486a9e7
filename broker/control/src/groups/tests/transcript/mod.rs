//! Runs a transcript against one coordinator.
//!
//! A client (`a`, `b`…) remembers its member id and generation as a real one would; `key=value` overrides. The disk
//! writes at once unless `disk holds` is said; then `written` and `failed` end the oldest append.

mod show;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use weir_types::TopicPartition;

use super::super::records::CoordinatorRecord;
use super::super::*;

const GROUP: &str = "g";

pub(super) fn check(file: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/groups/tests").join(file);
    let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let actual = Play::default().run(&expected);
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_some() {
        std::fs::write(&path, actual).unwrap();
        return;
    }
    assert!(actual == expected, "{file} says:\n{expected}\nbut it went:\n{actual}");
}

#[derive(Default)]
struct Client {
    member_id: String,
    generation: i32,
    joins: u32,
}

struct Play {
    coordinator: Coordinator,
    config: GroupConfig,
    now: Now,
    clients: BTreeMap<String, Client>,
    requests: HashMap<RequestId, String>,
    disk_holds: bool,
    appends: VecDeque<(AppendId, Vec<CoordinatorRecord>)>,
    log: Vec<CoordinatorRecord>,
    out: String,
}

impl Default for Play {
    fn default() -> Self {
        let config = GroupConfig { initial_rebalance_delay: Duration::ZERO, ..GroupConfig::default() };
        Self {
            coordinator: Coordinator::new(config.clone()),
            config,
            now: Now { monotonic: Duration::from_secs(1000), wall_ms: 1_000_000 },
            clients: BTreeMap::new(),
            requests: HashMap::new(),
            disk_holds: false,
            appends: VecDeque::new(),
            log: Vec::new(),
            out: String::new(),
        }
    }
}

struct Args<'a>(Vec<&'a str>);

impl<'a> Args<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(|word| word.split_once('='))
    }
}

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
    let number: u64 = number.parse().unwrap();
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        "h" => Duration::from_secs(number * 3600),
        "d" => Duration::from_secs(number * 86_400),
        _ => panic!("no such unit of time: {unit}"),
    }
}

fn partition(text: &str) -> TopicPartition {
    let (topic, index) = text.rsplit_once('-').unwrap();
    TopicPartition { topic: topic.into(), partition: index.parse().unwrap() }
}

/// `sub:a+b` is a consumer's subscription to a and b; anything else stands for itself.
fn metadata(text: &str) -> Bytes {
    let Some(topics) = text.strip_prefix("sub:") else { return Bytes::copy_from_slice(text.as_bytes()) };
    let topics: Vec<&str> = topics.split('+').collect();
    let mut bytes = vec![0, 3];
    bytes.extend(i32::try_from(topics.len()).unwrap().to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).unwrap().to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend(u32::MAX.to_be_bytes());
    bytes.into()
}

impl Play {
    fn run(mut self, script: &str) -> String {
        for line in script.lines() {
            let Some(command) = line.strip_prefix("> ") else {
                if !line.starts_with("  ") {
                    self.out += line;
                    self.out.push('\n');
                }
                continue;
            };
            writeln!(self.out, "{line}").unwrap();
            self.command(command);
        }
        self.out
    }

    fn command(&mut self, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let args = Args(words[1..].to_vec());
        match (words[0], words.get(1).copied()) {
            ("config", _) => self.configure(&args),
            ("wait", Some(time)) => self.wait(duration(time)),
            ("disk", Some(mode)) => self.disk_holds = mode == "holds",
            ("written", _) => self.end_append(None),
            ("failed", _) => self.end_append(Some(AppendFailure::Unavailable)),
            ("restart", _) => self.restart(),
            ("show", _) => self.show(),
            ("expire", _) => self.step(Event::ExpireOffsets),
            ("topics-deleted", Some(topic)) => self.step(Event::TopicsDeleted { topics: vec![topic.into()] }),
            ("delete", _) => {
                let request = self.request("tool");
                self.step(Event::DeleteGroup { request, group: GROUP.into() });
            }
            ("delete-offsets", _) => {
                let partitions = args.0.iter().map(|word| partition(word)).collect();
                let request = self.request("tool");
                self.step(Event::DeleteOffsets { request, group: GROUP.into(), partitions });
            }
            (client, Some("join")) => self.join(client, &args),
            (client, Some("sync")) => self.sync(client, &args),
            (client, Some("heartbeat")) => self.heartbeat(client, &args),
            (client, Some("leave")) => self.leave(client, &args),
            (client, Some("commit")) => self.commit(client, &args),
            _ => panic!("no such command: {command}"),
        }
    }

    fn configure(&mut self, args: &Args<'_>) {
        for (key, value) in args.pairs() {
            match key {
                "initial-delay" => self.config.initial_rebalance_delay = duration(value),
                "size-max" => self.config.group_size_max = value.parse().unwrap(),
                "retention" => self.config.offsets_retention = duration(value),
                "metadata-max" => self.config.offset_metadata_bytes_max = value.parse().unwrap(),
                _ => panic!("no such setting: {key}"),
            }
        }
        self.coordinator.set_config(self.config.clone());
    }

    fn request(&mut self, who: &str) -> RequestId {
        let request = RequestId(self.requests.len() as u64);
        self.requests.insert(request, who.to_owned());
        request
    }

    fn join(&mut self, name: &str, args: &Args<'_>) {
        let client = self.clients.entry(name.to_owned()).or_default();
        client.joins += 1;
        let protocols = args.get("protocols").unwrap_or("range");
        let protocols = protocols.split(',').map(|offered| {
            let (name, content) = offered.split_once('/').unwrap_or((offered, "sub:orders"));
            Protocol { name: name.into(), metadata: metadata(content) }
        });
        let version: i16 = args.get("v").unwrap_or("9").parse().unwrap();
        let join = Join {
            group: args.get("group").unwrap_or(GROUP).into(),
            member_id: args.get("id").unwrap_or(&client.member_id).into(),
            new_member_id: format!("{name}-{}", client.joins).into(),
            instance_id: args.get("instance").map(Into::into),
            client_id: name.into(),
            client_host: "/127.0.0.1".into(),
            session_timeout: args.get("session").map_or(Duration::from_secs(10), duration),
            rebalance_timeout: args.get("rebalance").map_or(Duration::from_secs(60), duration),
            protocol_type: args.get("type").unwrap_or("consumer").into(),
            protocols: protocols.collect(),
            requires_known_member_id: version >= 4,
            can_skip_assignment: version >= 9,
        };
        let request = self.request(name);
        self.step(Event::Join { request, join });
    }

    fn identity(&mut self, name: &str, args: &Args<'_>) -> (Arc<str>, Option<Arc<str>>, i32) {
        let client = self.clients.entry(name.to_owned()).or_default();
        let generation = args.get("generation").map_or(client.generation, |generation| generation.parse().unwrap());
        (args.get("id").unwrap_or(&client.member_id).into(), args.get("instance").map(Into::into), generation)
    }

    fn sync(&mut self, name: &str, args: &Args<'_>) {
        let (member_id, instance_id, generation) = self.identity(name, args);
        let assignments = args.pairs().filter(|(key, _)| self.clients.contains_key(*key));
        let assignments =
            assignments.map(|(name, what)| (self.clients[name].member_id.as_str().into(), metadata(what)));
        let sync = Sync {
            group: args.get("group").unwrap_or(GROUP).into(),
            member_id,
            instance_id,
            generation,
            protocol_type: args.get("type").map(Into::into),
            protocol: args.get("protocol").map(Into::into),
            assignments: assignments.collect(),
        };
        let request = self.request(name);
        self.step(Event::Sync { request, sync });
    }

    fn heartbeat(&mut self, name: &str, args: &Args<'_>) {
        let (member_id, instance_id, generation) = self.identity(name, args);
        let request = self.request(name);
        let group = args.get("group").unwrap_or(GROUP).into();
        self.step(Event::Heartbeat { request, group, member_id, instance_id, generation });
    }

    /// `a leave` or `tool leave a b instance:host-1`
    fn leave(&mut self, name: &str, args: &Args<'_>) {
        let whom = if args.0.len() > 1 { &args.0[1..] } else { &[name] };
        let leavers = whom.iter().map(|who| match who.strip_prefix("instance:") {
            Some(instance) => Leaver { member_id: "".into(), instance_id: Some(instance.into()) },
            None => {
                let known = self.clients.get(*who).map(|client| client.member_id.as_str());
                Leaver { member_id: known.unwrap_or(who).into(), instance_id: None }
            }
        });
        let leavers = leavers.collect();
        let request = self.request(name);
        self.step(Event::Leave { request, group: GROUP.into(), leavers });
    }

    /// A client that has joined commits as a member, any other as one without group management.
    fn commit(&mut self, name: &str, args: &Args<'_>) {
        let (member_id, instance_id, generation) = self.identity(name, args);
        let is_member = !member_id.is_empty();
        let commit_timestamp_ms = self.now.wall_ms;
        let partitions = args.pairs().filter(|(key, _)| key.contains('-'));
        let partitions = partitions.map(|(key, value)| {
            let (offset, metadata) = value.split_once('/').unwrap_or((value, ""));
            let offset = CommittedOffset {
                offset: offset.parse().unwrap(),
                leader_epoch: Some(0),
                metadata: metadata.into(),
                commit_timestamp_ms,
                expire_timestamp_ms: None,
            };
            CommitPartition { partition: partition(key), offset }
        });
        let partitions = partitions.collect();
        let generation = is_member.then_some(generation).or(args.get("generation").map(|g| g.parse().unwrap()));
        let commit = Commit { group: GROUP.into(), member_id, instance_id, generation, partitions };
        let request = self.request(name);
        self.step(Event::Commit { request, commit });
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now.monotonic + time;
        while let Some(deadline) = self.coordinator.next_deadline().filter(|deadline| *deadline <= end) {
            self.advance_to(deadline);
            self.step(Event::Tick);
        }
        self.advance_to(end);
    }

    fn advance_to(&mut self, moment: Duration) {
        let passed = moment.saturating_sub(self.now.monotonic);
        self.now.monotonic += passed;
        self.now.wall_ms += i64::try_from(passed.as_millis()).unwrap();
    }

    fn step(&mut self, event: Event) {
        for effect in self.coordinator.step(self.now, event) {
            self.show_effect(&effect);
            if let Effect::Append { append, records } = effect {
                self.appends.push_back((append, records));
            }
        }
        while !self.disk_holds && !self.appends.is_empty() {
            self.end_append(None);
        }
    }

    fn end_append(&mut self, failure: Option<AppendFailure>) {
        let (append, records) = self.appends.pop_front().expect("an append to end");
        match failure {
            Some(failure) => self.step(Event::AppendFailed { append, failure }),
            None => {
                self.log.extend(records);
                self.step(Event::Appended { append });
            }
        }
    }

    /// What is in the log is all that is left.
    fn restart(&mut self) {
        self.coordinator = Coordinator::new(self.config.clone());
        for record in &self.log {
            self.coordinator.replay(&record.key, record.value.as_deref()).unwrap();
        }
        self.coordinator.finish_loading(self.now);
    }
}
