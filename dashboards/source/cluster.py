"""Cluster overview: is it healthy, and if not, what is it."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, DATASOURCE, DOCS, FREE, NONE_IS_BEST, NONE_IS_WELL, colored, column, dashboard,
                     dashboard_url, graph, row, stat, states, table, timeline, to)
from words import CLUSTER, DISK_FREE, LATE, in_trouble, largest_gauges, largest_rates, oldest_unread, quantile, rate

SEVERITIES = states(("critical", "critical", "red"), ("warning", "warning", "orange"))
FIRING = f'ALERTS{{alertstate="firing",alertname=~"Weir.+",{CLUSTER}}}'
CRITICAL = FIRING.replace("{", '{severity="critical",')
OBJECTS = ["cluster", "broker", "job", "instance", "api", "group", "topic", "connector", "task", "log_dir", "index", "resource"]


def tile(title, description, query, uid, **how):
    return stat(title, description, query, link=(title, dashboard_url(uid)), background=True, none="no data", **how)


def first_of(*numbered):
    """A number for the first of the conditions that holds; a condition is an expression that has an answer, or has none."""
    return " or ".join(f"vector({number}) and on () ({condition})" for number, condition in numbered) + " or vector(0)"


def health():
    reasons = f"weir_cluster_health_reason{{{CLUSTER}}}"
    return row(
        None, 6,
        stat("Health", """Well while no broker gives a reason why its cluster is not, and no alert fires. The table says which
             alert, the lanes below which reason. No rules: Prometheus has none of Weir's, so that no alert can fire.""",
             first_of((4, f"absent({reasons})"), (3, f"max({reasons}) > 0"), (2, f"count({CRITICAL})"),
                      (5, "absent(weir:threshold:broker_start_seconds)"), (1, f"count({FIRING})")),
             width=5, background=True,
             mappings=states((0, "Well", "green"), (1, "Warnings", "orange"), (2, "Critical", "red"), (3, "Not well", "red"),
                             (4, "No broker answers", "red"), (5, "No rules", "yellow"))),
        table("What is wrong", """Alerts that fire, critical ones first, and of what. The name leads to the page that says how to
              see the cause and what to do. Empty when all is well, and when Prometheus does not have Weir's rules.""",
              {"for": f"time() - (ALERTS_FOR_STATE{{{CLUSTER}}} and ignoring (alertstate) {FIRING})"},
              by=["severity", "alertname", *OBJECTS], width=19, sort=("severity", False), none="Nothing fires.",
              overrides=[
                  column("severity", mappings=SEVERITIES, width=90),
                  column("alertname", width=220, link=to("What to do", "${docs}/runbooks/${__value.raw}.md")),
                  column("for", unit="dtdurations", width=140),
              ]),
    )


def tiles():
    return row(
        None, 3,
        tile("Brokers missing", "Brokers that were there within a day and do not answer now.",
             f'count(max by (cluster, broker) (last_over_time(weir_broker_info{{{CLUSTER}}}[1d])) '
             f'unless on (cluster, broker) weir_broker_info{{{CLUSTER}}}) or vector(0)', "weir-brokers", colors=NONE_IS_WELL),
        tile("Partitions offline", "Nobody can write or read them.", f"sum(weir_offline_partitions{{{CLUSTER}}})",
             "weir-replication", colors=NONE_IS_WELL),
        tile("Refuse acks=all", "Partitions with fewer replicas in sync than min.insync.replicas.",
             f"sum(weir_under_min_isr_partitions{{{CLUSTER}}})", "weir-replication", colors=NONE_IS_WELL),
        tile("Under-replicated", "Partitions with a replica that is not in sync.",
             f"sum(weir_under_replicated_partitions{{{CLUSTER}}})", "weir-replication", colors=NONE_IS_BEST),
        tile("Oldest unread record", """The largest lag of any consumer group, in time. Yellow: of a group beyond its objective; red:
             far beyond.""", oldest_unread(CLUSTER), "weir-groups", unit="dtdurations", decimals=0, overrides=colored(**LATE)),
        tile("Groups in trouble", """Consumer groups that stand still (STALLED), are gone (STOPPED) for longer than their objective
             or have lost records (LOST).""", in_trouble(CLUSTER), "weir-groups", colors=NONE_IS_WELL),
        tile("Tasks failed", "Tasks of connectors that move nothing.",
             f'sum(weir_connect_tasks{{{CLUSTER},state="FAILED"}}) or vector(0)', "weir-connect", colors=NONE_IS_WELL),
        tile("Disk free", "Of the log folder that is fullest. Yellow below 15 %, red below 5 %.", f"min({DISK_FREE})",
             "weir-brokers", unit="percentunit", decimals=0, colors=FREE),
    )


def reasons():
    return row(
        None, 5,
        timeline("Reasons, over time", "A lane for each reason that a broker can give; red while it holds.",
                 f"max by (reason) (weir_cluster_health_reason{{{CLUSTER}}})", legend="{{reason}}",
                 mappings=states((0, "well", "green"), (1, "wrong", "red"))),
        timeline("Alerts, over time", "A lane for each alert that fired, red where it is critical; empty when none did.",
                 f"max by (alertname) (2 * {CRITICAL} or {FIRING})", legend="{{alertname}}",
                 mappings=states((1, "warning", "orange"), (2, "critical", "red")), none="No alert fired."),
    )


def traffic():
    return row(
        "What flows", 8,
        graph("Records in", "Records per second that clients append, by topic; the ten largest.",
              {"{{topic}}": largest_rates("weir_records_in_total", CLUSTER, "topic")}, unit="rps", stack=True),
        graph("Bytes in and out", "Of record batches as they are stored. Out above in: several groups read the same.",
              {"in": rate("weir_bytes_in_total", CLUSTER), "out, {{kind}}": rate("weir_bytes_out_total", CLUSTER, "kind")},
              unit="Bps"),
        graph("Through connectors", "Records per second, out of sources and into sinks.",
              {"{{connector}}": rate("weir_connect_records_total", CLUSTER, "connector")}, unit="rps",
              none="No connector runs."),
    )


def trouble():
    return row(
        "What hurts", 10,
        graph("Lag", "How long a group's first unread record has been there; the ten largest. Dashed: the objective.",
              {"{{group}}, {{topic}}": largest_gauges("weir_group_lag_seconds", CLUSTER, "group, topic")}, unit="s", table=True,
              limit='max(weir:threshold:group_lag_seconds{group="*"})', none="No group has committed."),
        graph("Produce and fetch, p99", """From a request's whole frame until its answer is ready. Fetch without the wait for
              records that are not there yet.""",
              {"produce": quantile(0.99, "weir_request_duration_seconds", f'{CLUSTER},api="Produce"'),
               "fetch, work": quantile(0.99, "weir_request_phase_seconds", f'{CLUSTER},api="Fetch",phase="local"')}, unit="s",
              limit="max(weir:threshold:produce_p99_seconds)"),
        graph("Errors answered", "Per second, by API and Kafka's name of the error. Some are part of normal life: a rebalance, say.",
              {"{{api}} {{error}}": f'{rate("weir_request_errors_total", CLUSTER, "api, error")} > 0'}, unit="reqps",
              none="No request was answered with an error."),
    )


DASHBOARD = dashboard(
    "weir-cluster", "Weir: cluster overview", "Is the cluster healthy, and if not, what is it? Start here.",
    [DATASOURCE, CLUSTER_VARIABLE, DOCS],
    [health(), tiles(), reasons(), traffic(), trouble()],
)
