"""Brokers: where the time of requests goes, and which resource runs out."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, DATASOURCE, DOCS, FILES_OPEN, FREE, INSTANCE, colored, column, dashboard, graph,
                     row, states, steps, table, timeline)
from words import BROKER, DISK_FREE, OF_WEIR, RATE, mean, quantile, rate

STATES = states((2, "recovering", "yellow"), (3, "running", "green"), (7, "shutting down", "orange"))
PHASES = colored(queue="yellow", local="blue", remote="purple", response_queue="orange", send="green")
PHASES_MEAN = """Stacked: together they are the mean time of a request. queue: behind earlier requests of its connection;
                 local: this broker works; remote: it waits, for a disk, records or other members; response_queue and send:
                 until the answer is on the wire."""


def each(expr):
    return f"max by (instance) ({expr})"


def now():
    return row(
        None, 5,
        table("Brokers", "One line for each that answers. Idle: share of time that its threads had nothing to do.", {
            "state": f"max by (instance, broker) (weir_broker_state{{{BROKER}}} "
                     f"* on (cluster, job, instance) group_left (broker) weir_broker_info)",
            "up for": each(f"time() - process_start_time_seconds{{{BROKER}}} {OF_WEIR}"),
            "leaders": each(f'weir_broker_load{{{BROKER},resource="leaders"}}'),
            "in": f"sum by (instance) (rate(weir_bytes_in_total{{{BROKER}}}{RATE}))",
            "out": f"sum by (instance) (rate(weir_bytes_out_total{{{BROKER}}}{RATE}))",
            "idle": each(f"weir_handler_idle_ratio{{{BROKER}}}"),
            "CPUs": each(f"rate(process_cpu_seconds_total{{{BROKER}}}{RATE}) {OF_WEIR}"),
            "memory": each(f"process_resident_memory_bytes{{{BROKER}}} {OF_WEIR}"),
            "disk free": f"min by (instance) (weir_log_dir_free_bytes{{{BROKER}}} / weir_log_dir_total_bytes{{{BROKER}}})",
            "files open": each(f"process_open_fds{{{BROKER}}} / process_max_fds{{{BROKER}}} {OF_WEIR}"),
        }, by=["instance", "broker"], sort="instance", none="No broker answers.", overrides=[
            column("state", mappings=STATES),
            column("up for", unit="dtdurations"),
            column("in", unit="Bps"), column("out", unit="Bps"),
            column("idle", unit="percentunit", colors=steps("red", (0.1, "yellow"), (0.3, "green"))),
            column("memory", unit="bytes"),
            column("disk free", unit="percentunit", colors=FREE),
            column("files open", unit="percentunit", colors=FILES_OPEN),
        ]),
    )


def phases(api):
    selector = f'{BROKER},api="{api}"'
    requests = rate("weir_requests_total", selector)
    return graph(f"{api}: mean time by phase", PHASES_MEAN,
                 {"{{phase}}": f'{rate("weir_request_phase_seconds_sum", selector, "phase")} / on () group_left () {requests}'},
                 unit="s", stack=True, width=8, overrides=PHASES)


def latency():
    p99 = {f"{api}": quantile(0.99, "weir_request_duration_seconds", f'{BROKER},api="{api}"')
           for api in ("Produce", "Metadata", "OffsetCommit")}
    return row(
        "Where the time goes", 8,
        phases("Produce"),
        phases("Fetch"),
        graph("p99 by API", """From a request's whole frame until its answer is ready. Fetch waits for records: see its phases. While
              traces are on, points are requests that one tells of: by their trace_id.""",
              p99, unit="s", limit="max(weir:threshold:produce_p99_seconds)", exemplars=True),
        graph("Requests", "Answered per second, by API.", {"{{api}}": f'{rate("weir_requests_total", BROKER, "api")} > 0'}, unit="reqps",
              width=6),
        graph("Errors answered", "Per second, by API and Kafka's name of the error.",
              {"{{api}} {{error}}": f'{rate("weir_request_errors_total", BROKER, "api, error")} > 0'}, unit="reqps", width=6,
              none="No request was answered with an error."),
        graph("Produce: spread", "Half of the requests are faster than p50, one in a hundred is slower than p99.",
              {f"p{share * 100:g}": quantile(share, "weir_request_duration_seconds", f'{BROKER},api="Produce"')
               for share in (0.5, 0.95, 0.99)}, unit="s", width=6),
        graph("Error budget", """Share of requests of the last hour that failed for reasons that are the broker's. Dashed: it uses up
              a month's budget within two days, which is the alert.""",
              {"{{instance}} {{api}}": f"max by (instance, api) (weir:request_failures:ratio_rate1h{{{BROKER}}}) > 0"},
              unit="percentunit", width=6, limit="14.4 * max(weir:threshold:error_budget_ratio)", none="Nothing fails."),
    )


def saturation():
    return row(
        "Saturation", 7,
        graph("Threads idle", "Share of time that the threads which serve sockets and requests had nothing to do. Dashed: too busy.",
              {"{{instance}}": each(f"weir_handler_idle_ratio{{{BROKER}}}")}, unit="percentunit", most=1,
              limit="max(weir:threshold:handler_idle_ratio)"),
        graph("Requests that wait", "In purgatory, by API: for records to fetch, for a disk, for other members of a group.",
              {"{{api}}": f'sum by (api) (weir_purgatory_size{{{BROKER},api=~"Produce|Fetch|JoinGroup|SyncGroup"}})'}),
        graph("Connections", "Open client connections, by listener.",
              {"{{instance}} {{listener}}": f"sum by (instance, listener) (weir_connections{{{BROKER}}})"}),
        graph("Requests in memory", "Bytes of requests that are being handled; queued.max.request.bytes bounds them.",
              {"{{instance}}": f"sum by (instance) (weir_request_bytes_in_flight{{{BROKER}}})"}, unit="bytes"),
        graph("Throttled", "Seconds per second that requests waited because too many bytes were in flight.",
              {"{{instance}}": rate("weir_throttle_seconds_total", BROKER, "instance")}, unit="s"),
        graph("CPU", "CPUs that the process keeps busy.",
              {"{{instance}}": f"sum by (instance) (rate(process_cpu_seconds_total{{{BROKER}}}{RATE}) {OF_WEIR})"}),
    )


def disk():
    free = DISK_FREE.replace('cluster=~"$cluster"', BROKER)
    return row(
        "Disk", 7,
        graph("Free", "Of the disk that each log folder is on. Dashed: the alert's threshold for a warning.",
              {"{{instance}} {{log_dir}}": free}, unit="percentunit", most=1,
              limit='max(weir:threshold:log_dir_free_ratio{severity="warning"})'),
        graph("Full in", "At the pace of the last hour; nothing where space is not shrinking. Under a day, dashed, wants somebody.",
              {"{{instance}} {{log_dir}}":
               f"weir_log_dir_free_bytes{{{BROKER}}} / (-deriv(weir_log_dir_free_bytes{{{BROKER}}}[1h]) > 1)"}, unit="s",
              limit="vector(86400)", none="No disk is filling."),
        graph("Append and flush, p99", "Append writes to the page cache; flush waits for the disk, and acks=all waits for flush.",
              {"append": quantile(0.99, "weir_log_append_seconds", BROKER),
               "flush": quantile(0.99, "weir_log_flush_seconds", BROKER)}, unit="s"),
        graph("Disk busy", "Share of time that the disk under a log folder had something to do, for whoever asked. Near 100 %: it is the limit.",
              {"{{instance}} {{log_dir}}": rate("weir_disk_io_seconds_total", BROKER, "instance, log_dir")}, unit="percentunit", most=1,
              none="No one disk is under a folder."),
        graph("Written and read", "Bytes per second that the process makes disks write and read. Reads mean: not in the page cache.",
              {"written": rate("weir_disk_written_bytes_total", BROKER), "read": rate("weir_disk_read_bytes_total", BROKER)},
              unit="Bps"),
        graph("Flush: mean", "How long the disk takes to make one partition durable.",
              {"{{instance}}": mean("weir_log_flush_seconds", BROKER, "instance")}, unit="s"),
        graph("Log folders", "Bytes of all logs, by folder.",
              {"{{instance}} {{log_dir}}": f"sum by (instance, log_dir) (weir_log_dir_size_bytes{{{BROKER}}})"}, unit="bytes", width=12),
        timeline("Log folders, over time", "A lane for each; red while its disk does not answer.",
                 f"min by (instance, log_dir) (weir_log_dir_online{{{BROKER}}})", legend="{{instance}} {{log_dir}}", width=12,
                 mappings=states((0, "does not answer", "red"), (1, "answers", "green"))),
    )


DASHBOARD = dashboard(
    "weir-brokers", "Weir: brokers", "Where the time of requests goes, and which resource runs out first.",
    [DATASOURCE, CLUSTER_VARIABLE, INSTANCE, DOCS],
    [now(), latency(), saturation(), disk()],
)
