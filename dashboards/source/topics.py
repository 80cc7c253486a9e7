"""Topics and retention: who fills the disk, and how long records stay."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, DATASOURCE, DOCS, FREE, NONE_IS_BEST, NONE_IS_WELL, RETENTION,
                     TOPIC as TOPIC_VARIABLE, bars, column, dashboard, dashboard_url, graph, row, stat, table, to)
from words import CLUSTER, DISK_FREE, TOPIC, largest, largest_gauges, largest_rates, rate, top

CONSUMED = f'{TOPIC},kind="consume"'
TO_GROUPS = to("Who reads it", dashboard_url("weir-groups", "var-topic=${__value.raw}"))


def each(expr):
    return f"sum by (topic) ({expr})"


def health():
    return row(
        None, 4,
        stat("Partitions offline", "Of all topics: nobody can write or read them.", f"sum(weir_offline_partitions{{{CLUSTER}}})",
             colors=NONE_IS_WELL, background=True, width=5),
        stat("Under-replicated", "Partitions of all topics with a replica that is not in sync.",
             f"sum(weir_under_replicated_partitions{{{CLUSTER}}})", colors=NONE_IS_BEST, background=True, width=5),
        stat("Disk free", "Of the log folder that is fullest. Yellow below 15 %, red below 5 %.", f"min({DISK_FREE})",
             unit="percentunit", decimals=0, colors=FREE, background=True, width=4),
        stat("Retention risk", """How near retention is to records that a group has not read: at 100 % it deletes the first of them.
             Yellow above 50 %, red above 80 %.""", f"max(weir_group_unconsumed_retention_ratio{{{TOPIC}}})", unit="percentunit",
             decimals=0, colors=RETENTION, background=True, width=5, none="no group"),
        stat("Records lost", "Deleted before a group read them, within the time shown.",
             f"sum(increase(weir_group_lost_records_total{{{TOPIC}}}[$__range])) or vector(0)", decimals=0, colors=NONE_IS_WELL,
             background=True, width=5),
    )


def now():
    return row(
        None, 4,
        stat("Topics", "With partitions that somebody leads.", f"count(sum by (cluster, topic) (weir_log_size_bytes{{{TOPIC}}}))"),
        stat("Records in", "Per second.", rate("weir_records_in_total", TOPIC), unit="rps", spark=True, width=4),
        stat("Bytes in", "Per second.", rate("weir_bytes_in_total", TOPIC), unit="Bps", spark=True, width=4),
        stat("Bytes out", "Per second, to consumers.", rate("weir_bytes_out_total", CONSUMED), unit="Bps", spark=True, width=4),
        stat("On disk", "Logs of these topics.", f"sum(weir_log_size_bytes{{{TOPIC}}})", unit="bytes", spark=True, width=4),
        stat("Deleted by retention", "Bytes per second.", rate("weir_retention_deleted_bytes_total", TOPIC), unit="Bps",
             spark=True, width=5),
    )


def each_topic():
    return row(
        None, 9,
        table("Topics", """Largest first. Out: to consumers. Read, times: bytes out over bytes in; below 1 somebody is behind or
              nobody reads.""", {
            "size": each(f"weir_log_size_bytes{{{TOPIC}}}"),
            "segments": each(f"weir_log_segments{{{TOPIC}}}"),
            "records in": rate("weir_records_in_total", TOPIC, "topic"),
            "in": rate("weir_bytes_in_total", TOPIC, "topic"),
            "out": rate("weir_bytes_out_total", CONSUMED, "topic"),
            "read, times": f'{rate("weir_bytes_out_total", CONSUMED, "topic")} / ({rate("weir_bytes_in_total", TOPIC, "topic")} > 0)',
            "oldest record": f"max by (topic) (weir_log_oldest_record_age_seconds{{{TOPIC}}})",
            "groups": f"count by (topic) (max by (topic, group) (weir_group_lag_records{{{TOPIC}}}))",
        }, by="topic", sort="size", overrides=[
            column("topic", link=TO_GROUPS), column("size", unit="bytes"), column("records in", unit="rps"),
            column("in", unit="Bps"), column("out", unit="Bps"), column("oldest record", unit="dtdurations"),
        ]),
    )


def traffic():
    return row(
        "Traffic", 8,
        graph("Records in", "Per second; the ten largest.", {"{{topic}}": largest_rates("weir_records_in_total", TOPIC, "topic")},
              unit="rps", stack=True),
        graph("Bytes in", "Per second, as stored; the ten largest.",
              {"{{topic}}": largest_rates("weir_bytes_in_total", TOPIC, "topic")}, unit="Bps", stack=True),
        graph("Bytes out", "Per second, to consumers; the ten largest.",
              {"{{topic}}": largest_rates("weir_bytes_out_total", CONSUMED, "topic")}, unit="Bps", stack=True),
        graph("Bytes of a record", "As stored: with their share of the batch, and compressed where producers compress.",
              {"{{topic}}": f'{rate("weir_bytes_in_total", TOPIC, "topic")} / ({rate("weir_records_in_total", TOPIC, "topic")} > 0)'},
              unit="bytes"),
        graph("Growth", "Bytes per second that topics grow, after retention; below zero they shrink. Those that changed most.",
              {"{{topic}}": largest(f"deriv(sum by (topic) (weir_log_size_bytes{{{TOPIC}}})[10m:])", "topic",
                                      f"abs(sum by (topic) (delta(weir_log_size_bytes{{{TOPIC}}}[$__range] @ end())))")},
              unit="Bps", least=None),
        bars("Largest topics", "Bytes of log on disk; the ten largest.", top(each(f"weir_log_size_bytes{{{TOPIC}}}")),
             unit="bytes", legend="{{topic}}"),
    )


def retention():
    return row(
        "Retention", 8,
        graph("Oldest record", "How long ago it was appended: what retention really leaves, whatever it is set to.",
              {"{{topic}}": largest_gauges("weir_log_oldest_record_age_seconds", TOPIC, "topic")}, unit="dtdurations"),
        graph("Deleted", "Bytes per second, by reason: too old, too large, or DeleteRecords.",
              {"{{topic}}, {{reason}}": f'{rate("weir_retention_deleted_bytes_total", TOPIC, "topic, reason")} > 0'}, unit="Bps",
              stack=True, none="Nothing was deleted."),
        graph("Unread when deleted", """How near retention is to records that a group has not read: at 100 % it deletes the first
              of them. Dashed: the alert.""",
              {"{{group}}, {{topic}}": largest_gauges("weir_group_unconsumed_retention_ratio", TOPIC, "group, topic")},
              unit="percentunit", limit="max(weir:threshold:unconsumed_retention_ratio)"),
    )


DASHBOARD = dashboard(
    "weir-topics", "Weir: topics and retention", "What comes in and goes out, who fills the disk, and how long records stay.",
    [DATASOURCE, CLUSTER_VARIABLE, TOPIC_VARIABLE, DOCS],
    [health(), now(), each_topic(), traffic(), retention()],
)
