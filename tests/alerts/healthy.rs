//! What stays well beside each wave: a pipeline and a group, both of which keep up.

use anyhow::Result;

use crate::minutes;
use crate::stage::Stage;

pub(super) async fn set_up(stage: &mut Stage) -> Result<()> {
    sqlx::raw_sql("create table rows (line bigint)").execute(&stage.postgres.pool().await?).await?;
    let log = stage.disk("healthy", "256m")?.join("app.log");
    let yaml = format!(
        "connectors:\n\
         \x20 tail: {{class: file-tail, paths: ['{log}'], topic: app, transforms: [{{parse: {{type: json}}}}]}}\n\
         \x20 rows: {{class: postgres, topics: [app], url: '{url}', table: rows}}\n\
         \x20 docs: {{class: search, topics: [app], url: embedded, index: app}}\n",
        log = log.display(),
        url = stage.postgres.url(),
    );
    stage.cluster_on_its_disk("healthy", &[], &yaml, &[]).await?;
    stage.weir_says("healthy", &["topics", "create", "orders", "--partitions", "3"])?;
    stage.program("produce", "healthy", &["20", "orders"])?;
    stage.program("consume", "healthy", &["orders", "keeps-up", "0"])?;
    stage.append(&log, "{\"line\": 1}\n", minutes(0.05))
}
