//! Groups: behind, stopped, set back, or overtaken by retention. An hour of it, for what stays well beside them.

use anyhow::Result;
use weir_tests::prometheus::Prometheus;

use crate::stage::Stage;
use crate::wave::Wave;
use crate::{Fault, fault, minutes, seconds};

/// One topic for each group that goes wrong, and one whose records have gathered by then.
const TOPICS: [&str; 6] = ["high", "critical", "growing", "stalled", "gone", "storm"];
const GATHERED: &str = "rewound";
/// Two that keep records for so many minutes only, in segments of so many.
const BRIEF: [(&str, f64, f64); 2] = [("risk", 20.0, 1.0), ("lost", 3.0, 0.5)];
/// Records of each topic in a second.
const RATE: &str = "20";
/// Groups whose lag in time is no trouble to anybody: one waits for retention, one has to read again.
pub(super) const OBJECTIVES: &str = "groups:\n  - name: of-this-test\n    rules:\n\
    \x20     - record: weir:threshold:group_lag_seconds\n        labels: {group: risk}\n        expr: vector(+Inf)\n\
    \x20     - record: weir:threshold:group_lag_seconds\n        labels: {group: rewound}\n        expr: vector(+Inf)\n";

pub(super) struct Groups;

impl Wave for Groups {
    const NAME: &'static str = "groups";
    const FAULTS: &'static [Fault] = &[
        fault("a consumer is ten minutes behind", "WeirGroupLagHigh", "groups", "high", 20.0),
        fault("a consumer is 45 minutes behind", "WeirGroupLagCritical", "groups", "critical", 55.0),
        fault("a consumer falls behind little by little", "WeirGroupLagGrowing", "groups", "growing", 100.0),
        fault("a member reads and never commits", "WeirConsumerStalled", "groups", "stalled", 15.0),
        fault("a consumer is stopped", "WeirConsumerGone", "groups", "gone", 18.0),
        fault("a group is set back", "WeirGroupRewound", "groups", GATHERED, 6.0),
        fault("members join and leave again and again", "WeirRebalanceStorm", "groups", "storm", 20.0),
        fault("retention comes near what a group has not read", "WeirDataLossRisk", "groups", "risk", 28.0),
        fault("retention passes a slow group", "WeirDataLost", "groups", "lost", 10.0),
    ];
    const AT_LEAST: f64 = 60.0;

    async fn set_up(stage: &mut Stage) -> Result<Self> {
        stage.cluster("groups", "256m").await?;
        for topic in TOPICS.into_iter().chain([GATHERED]) {
            stage.weir_says("groups", &["topics", "create", topic])?;
        }
        for (topic, retention, segment) in BRIEF {
            let kept = format!("retention.ms={}", minutes(retention).as_millis());
            let rolled = format!("segment.ms={}", minutes(segment).as_millis());
            stage.weir_says("groups", &["topics", "create", topic, "--config", &kept, "--config", &rolled])?;
        }
        stage.program("produce", "groups", &[RATE, GATHERED])?;
        Ok(Self)
    }

    async fn cause(&mut self, stage: &mut Stage, _: &Prometheus) -> Result<()> {
        stage.weir_says("groups", &["consume", GATHERED, "--from-beginning", "--group", GATHERED, "-n", "200"])?;
        // From here on records grow old.
        let brief = BRIEF.map(|(topic, ..)| topic);
        stage.program("produce", "groups", &[&[RATE][..], &TOPICS[..], &brief[..]].concat())?;
        consume(stage, "high", 10.0)?;
        consume(stage, "critical", 45.0)?;
        consume(stage, "risk", 18.0)?;
        // From a minute and a half, for more than an hour, up to less than what is wrong in itself.
        stage.now("groups", "growing");
        stage.program("consume", "groups", &["growing", "growing", &seconds(1.5), "0.028", &seconds(4.3)])?;
        stage.now("groups", "storm");
        stage.program("storm", "groups", &["storm", "storm"])?;
        for group in ["stalled", "gone", "lost"] {
            stage.now("groups", group);
            stage.weir_says("groups", &["consume", group, "--from-beginning", "--group", group, "-n", RATE])?;
        }
        stage.program("hold", "groups", &["stalled", "stalled"])?;
        // That it was further must have been seen.
        tokio::time::sleep(minutes(2.0)).await;
        let back = ["groups", "reset-offsets", GATHERED, "--topic", GATHERED, "--to-earliest", "--execute"];
        stage.now("groups", GATHERED);
        stage.weir_says("groups", &back)?;
        // Twice as fast as records come: it catches up, but not at once.
        stage.program("crawl", "groups", &[GATHERED, GATHERED, "40"])
    }
}

/// A group that reads each record of its topic once it is so many minutes old.
fn consume(stage: &mut Stage, group: &'static str, behind: f64) -> Result<()> {
    stage.now("groups", group);
    stage.program("consume", "groups", &[group, group, &seconds(behind)])
}
