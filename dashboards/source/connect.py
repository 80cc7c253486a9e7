"""Connect and search: does what comes in arrive."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, CONNECTOR as CONNECTOR_VARIABLE, DATASOURCE, DOCS, NONE_IS_BEST, NONE_IS_WELL,
                     bars, column, dashboard, graph, row, stat, states, steps, table, timeline)
from words import CLUSTER, CONNECTOR, mean, quantile, rate

NUMBERS = {"RUNNING": (1, "green"), "PAUSED": (2, "blue"), "STOPPED": (3, "text"), "UNASSIGNED": (4, "yellow"),
           "RESTARTING": (5, "orange"), "FAILED": (6, "red")}
STATES = states(*((number, state, color) for state, (number, color) in NUMBERS.items()))
SECONDS = steps("green", (60, "yellow"), (300, "red"))


def state_number(by):
    """The state of each task as a number: exactly one of its series is 1."""
    every = " or ".join(f'{number} * weir_connect_task_state{{{CONNECTOR},state="{state}"}}'
                        for state, (number, _) in NUMBERS.items())
    return f"max by ({by}) ({every})"


def now():
    return row(
        None, 4,
        stat("Tasks failed", "They move nothing.", f'sum(weir_connect_tasks{{{CLUSTER},state="FAILED"}})', colors=NONE_IS_WELL,
             background=True, none="no worker"),
        stat("Tasks running", "Of all connectors.", f'sum(weir_connect_tasks{{{CLUSTER},state="RUNNING"}})', none="no worker"),
        stat("Sinks behind by", "The oldest record that a sink has not written. Yellow above 1 minute, red above 5.",
             f"max(weir_connect_lag_seconds{{{CONNECTOR}}}) or vector(0)", unit="dtdurations", decimals=0, colors=SECONDS,
             background=True, width=4),
        stat("Dead letters", "Records put aside within the time shown.",
             f"sum(increase(weir_connect_dlq_records_total{{{CONNECTOR}}}[$__range])) or vector(0)", decimals=0, colors=NONE_IS_BEST,
             background=True, width=4),
        stat("Records", "Per second, read from sources and written to sinks.", rate("weir_connect_records_total", CONNECTOR),
             unit="rps", spark=True, width=5, none="no connector"),
        stat("Documents", "Per second into the index.", rate("weir_index_documents_total", CLUSTER), unit="rps", spark=True,
             width=5, none="no search node"),
    )


def tasks():
    return row(
        None, 8,
        timeline("Tasks", "A lane for each task.", state_number("connector, task"), legend="{{connector}}/{{task}}",
                 mappings=STATES, none="No connector runs."),
        table("Connectors", "Errors are records that could not be used: set aside or skipped.", {
            "state": state_number("connector"),
            "records": rate("weir_connect_records_total", CONNECTOR, "connector"),
            "bytes": rate("weir_connect_bytes_total", CONNECTOR, "connector"),
            "behind": f"max by (connector) (weir_connect_lag_seconds{{{CONNECTOR}}})",
            "unwritten": f"sum by (connector) (weir_connect_lag_records{{{CONNECTOR}}})",
            "errors": f"sum by (connector) (increase(weir_connect_errors_total{{{CONNECTOR}}}[$__range]))",
            "dead letters": f"sum by (connector) (increase(weir_connect_dlq_records_total{{{CONNECTOR}}}[$__range]))",
            "last error": f"time() - max by (connector) (weir_connect_last_error_timestamp_seconds{{{CONNECTOR}}} > 0)",
        }, by="connector", width=12, sort="state", none="No connector runs.", overrides=[
            column("state", mappings=STATES, width=110), column("records", unit="rps"), column("bytes", unit="Bps"),
            column("behind", unit="dtdurations", colors=SECONDS), column("last error", unit="dtdurations"),
            column("errors", colors=steps("text", (1, "yellow"))), column("dead letters", colors=steps("text", (1, "orange"))),
        ]),
    )


def flow():
    by_connector = {"{{connector}}": rate("weir_connect_records_total", CONNECTOR, "connector")}
    return row(
        "Connectors", 8,
        graph("Records", "Per second: out of a source, into a sink.", by_connector, unit="rps"),
        graph("Sinks behind", "The oldest record that a sink has not written. Dashed: the alert.",
              {"{{connector}}": f"max by (connector) (weir_connect_lag_seconds{{{CONNECTOR}}})"}, unit="s",
              limit="max(weir:threshold:sink_lag_seconds)", none="No sink runs."),
        graph("Records unwritten", "In a sink's topics.",
              {"{{connector}}": f"sum by (connector) (weir_connect_lag_records{{{CONNECTOR}}})"}, none="No sink runs."),
        graph("Errors", "Records per second that could not be used, by stage.",
              {"{{connector}}, {{stage}}": f'{rate("weir_connect_errors_total", CONNECTOR, "connector, stage")} > 0'}, unit="rps",
              width=6, none="No record was refused."),
        graph("Share of errors", "Of what a connector handled within ten minutes. Dashed: the alert, from ten errors on.",
              {"{{connector}}": f"weir:connector_errors:ratio_rate10m{{{CONNECTOR}}} > 0"}, unit="percentunit", width=6,
              limit="max(weir:threshold:connector_errors_ratio)", none="No record was refused."),
        graph("Dead letters and retries", "Per second. Retries: calls repeated because the other side did not answer well.",
              {"{{connector}}, dead letters": f'{rate("weir_connect_dlq_records_total", CONNECTOR, "connector")} > 0',
               "{{connector}}, retries": f'{rate("weir_connect_retries_total", CONNECTOR, "connector")} > 0'}, unit="ops", width=6,
              none="No record was put aside, no call repeated."),
        graph("Time of a batch", "Mean time to write or flush one.",
              {"{{connector}}": mean("weir_connect_batch_seconds", CONNECTOR, "connector")}, unit="s", width=6),
    )


def search():
    return row(
        "Search node", 8,
        graph("Documents in", "Per second, by what became of them.",
              {"{{index}}, {{status}}": rate("weir_index_documents_total", CLUSTER, "index, status")}, unit="rps",
              none="No search node."),
        graph("Searches", "Time of a request. Half are faster than p50, one in a hundred is slower than p99.",
              {f"p{share * 100:g}": quantile(share, "weir_search_seconds", CLUSTER) for share in (0.5, 0.99)}, unit="s",
              none="Nobody searches."),
        graph("Until searches find it", "How old the oldest document is that is not committed, by index, and how long commits take. "
              "Dashed: the alert on the age.",
              {"{{index}}": f"max by (index) (weir_index_uncommitted_age_seconds{{{CLUSTER}}})",
               "commit, p99": quantile(0.99, "weir_index_commit_seconds", CLUSTER)}, unit="s",
              limit="max(weir:threshold:index_uncommitted_seconds)", none="No search node."),
        bars("Size", "On disk, by index; the ten largest.", f"topk(10, sum by (index) (weir_index_size_bytes{{{CLUSTER}}}))",
             unit="bytes", legend="{{index}}", none="No search node."),
        table("Indexes", "Segments: few and large search fast.", {
            "documents": f"sum by (index) (weir_index_docs{{{CLUSTER}}})",
            "size": f"sum by (index) (weir_index_size_bytes{{{CLUSTER}}})",
            "segments": f"sum by (index) (weir_index_segments{{{CLUSTER}}})",
        }, by="index", width=8, sort="index", none="No search node.", overrides=[column("size", unit="bytes")]),
        graph("Searches answered with an error", "Per second.", {"errors": rate("weir_search_errors_total", CLUSTER)}, unit="reqps"),
    )


DASHBOARD = dashboard(
    "weir-connect", "Weir: Connect and search", "Does what comes in arrive, how late, and what was put aside?",
    [DATASOURCE, CLUSTER_VARIABLE, CONNECTOR_VARIABLE, DOCS],
    [now(), tasks(), flow(), search()],
)
