//! One row per metric.

use prometheus::core::Collector;
use prometheus::proto::MetricType;

/// The families of these collectors, in the order of their names.
pub(super) fn metrics_table(collectors: &[Box<dyn Collector>]) -> String {
    let mut rows: Vec<String> = collectors.iter().flat_map(|collector| rows(collector.as_ref())).collect();
    rows.sort();
    let mut table = "| metric | type | unit | labels | meaning |\n| --- | --- | --- | --- | --- |\n".to_owned();
    rows.iter().for_each(|row| table.push_str(row));
    table
}

fn rows(collector: &dyn Collector) -> Vec<String> {
    let collected = collector.collect();
    let descs = collector.desc();
    let row = |desc: &&prometheus::core::Desc| {
        let family = collected.iter().find(|family| family.name() == desc.fq_name);
        let kind = match family.map(|family| family.get_field_type()) {
            Some(MetricType::COUNTER) => "counter",
            Some(MetricType::HISTOGRAM) => "histogram",
            _ => "gauge",
        };
        let labels = desc.variable_labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {kind} | {} | {labels} | {} |\n", desc.fq_name, unit(&desc.fq_name), desc.help)
    };
    descs.iter().map(row).collect()
}

/// What a name ends with, as Prometheus's conventions have it; whatever is counted otherwise is in the meaning.
fn unit(name: &str) -> &'static str {
    let name = name.strip_suffix("_total").unwrap_or(name);
    ["seconds", "bytes", "ratio"].into_iter().find(|unit| name.ends_with(unit)).unwrap_or_default()
}
