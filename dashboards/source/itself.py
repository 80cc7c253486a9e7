"""Weir itself: versions, the runtime, and what watching it costs."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, DATASOURCE, DOCS, FILES_OPEN, INSTANCE, NONE_IS_BEST, NONE_IS_WELL, bars, colored, column,
                     dashboard, graph, row, stat, steps, table)
from words import BROKER, OF_WEIR, RATE, rate, top

UP = f'up{{{BROKER}}} {OF_WEIR}'


def each(expr):
    return f"max by (instance) ({expr})"


def now():
    return row(
        None, 4,
        stat("Processes", "Of Weir's, that answer.", f"count(weir_build_info{{{BROKER}}})"),
        stat("Do not answer", """Of the targets of jobs with weir in their name. What discovery no longer finds is no target any more:
             see the overview.""", f'count(up{{{BROKER},job=~".*weir.*"}} == 0) or vector(0)', colors=NONE_IS_WELL, background=True),
        stat("Versions", "One, but for the time of an upgrade.", f"count(count by (version, revision) (weir_build_info{{{BROKER}}}))",
             colors=steps("green", (2, "yellow")), background=True),
        stat("Slowest scrape", "As Prometheus sees it, with the network. Yellow above 1 second, red above 2.",
             f"max(scrape_duration_seconds{{{BROKER}}} {OF_WEIR})", unit="s", colors=steps("green", (1, "yellow"), (2, "red")),
             background=True),
        stat("Files open", "Of the limit, where it is nearest. Yellow above 60 %, red above 80 %.",
             f"max(process_open_fds{{{BROKER}}} / process_max_fds{{{BROKER}}} {OF_WEIR})", unit="percentunit", decimals=0,
             colors=FILES_OPEN, background=True),
        stat("Series dropped", "Rows beyond metrics.max.series.per.family: they share a series called __other__.",
             f"sum(weir_metrics_dropped_series{{{BROKER}}})", colors=NONE_IS_BEST, background=True),
        stat("Samples", "That Prometheus takes from Weir with each scrape.", f"sum(scrape_samples_scraped{{{BROKER}}} {OF_WEIR})",
             spark=True),
        stat("Memory", "Resident, all processes.", f"sum(process_resident_memory_bytes{{{BROKER}}} {OF_WEIR})", unit="bytes",
             spark=True),
    )


def processes():
    return row(
        None, 5,
        table("Processes", "What runs where.", {
            "up for": f"max by (instance, version, revision) (weir_build_info{{{BROKER}}} * on (cluster, job, instance) group_left () "
                      f"(time() - process_start_time_seconds{{{BROKER}}}))",
            "CPUs": each(f"rate(process_cpu_seconds_total{{{BROKER}}}{RATE}) {OF_WEIR}"),
            "memory": each(f"process_resident_memory_bytes{{{BROKER}}} {OF_WEIR}"),
            "threads": each(f"process_threads{{{BROKER}}} {OF_WEIR}"),
            "files": each(f"process_open_fds{{{BROKER}}} {OF_WEIR}"),
            "tasks": each(f"weir_runtime_tasks{{{BROKER}}}"),
            "samples": each(f"scrape_samples_scraped{{{BROKER}}} {OF_WEIR}"),
        }, by=["instance", "version", "revision"], sort="memory",
            overrides=[column("up for", unit="dtdurations"), column("memory", unit="bytes")]),
    )


def runtime():
    return row(
        "Runtime", 8,
        graph("CPU", "CPUs that a process keeps busy.",
              {"{{instance}}": f"sum by (instance) (rate(process_cpu_seconds_total{{{BROKER}}}{RATE}) {OF_WEIR})"}),
        graph("Memory", "Resident. It should not grow with time, only with load.",
              {"{{instance}}": each(f"process_resident_memory_bytes{{{BROKER}}} {OF_WEIR}")}, unit="bytes"),
        graph("Threads at work", "Of those that serve sockets and requests; dashed: how many there are.",
              {"{{instance}}": rate("weir_runtime_busy_seconds_total", BROKER, "instance")},
              limit=f"max(weir_runtime_workers{{{BROKER}}})"),
        graph("Tasks", "Connections, connectors, passes that live.", {"{{instance}}": each(f"weir_runtime_tasks{{{BROKER}}}")}),
        graph("Tasks that wait for a thread", "Above zero for long: too little CPU, or something blocks.",
              {"{{instance}}": each(f"weir_runtime_queued_tasks{{{BROKER}}}")}),
        graph("Open files", "Of the limit. Dashed: the alert.",
              {"{{instance}}": each(f"process_open_fds{{{BROKER}}} / process_max_fds{{{BROKER}}} {OF_WEIR}")}, unit="percentunit",
              most=1, limit="max(weir:threshold:open_fds_ratio)"),
        graph("Producers remembered", "Idempotent producers that partitions know, to refuse what comes twice.",
              {"{{instance}}": each(f"weir_producer_ids{{{BROKER}}}")}),
        graph("Compactions", "Of a partition, put in place; per second.",
              {"{{instance}}": rate("weir_compaction_runs_total", BROKER, "instance")}, unit="ops"),
        graph("Group rebalances", "Per second, over all groups.", {"{{reason}}": rate("weir_group_rebalances_total", BROKER, "reason")},
              unit="ops", none="No group was rebalanced."),
    )


def scrapes():
    return row(
        "What watching costs", 8,
        graph("Scrape", "Time to put the metrics together, in the process; dashed: the alert, for the whole scrape.",
              {"{{instance}}": each(f"weir_metrics_scrape_seconds{{{BROKER}}}"),
               "{{instance}}, whole": each(f"scrape_duration_seconds{{{BROKER}}} {OF_WEIR}")}, unit="s", log=True, least=0.001,
              limit="max(weir:threshold:scrape_seconds)", width=6),
        graph("Series", "Exported by each process.", {"{{instance}}": f"sum by (instance) (weir_metrics_series{{{BROKER}}})"}, width=6),
        bars("Largest families", "Series by metric; the ten largest.",
             top(f"sum by (family) (weir_metrics_series{{{BROKER}}})"), legend="{{family}}", width=6),
        graph("Spans", "Of traces, per second: sent, and lost because their receiver took none or too few. Both 0 while traces are off.",
              {"sent": rate("weir_trace_spans_exported_total", BROKER), "lost": rate("weir_trace_spans_dropped_total", BROKER)},
              unit="ops", width=6, overrides=colored(lost="red")),
    )


DASHBOARD = dashboard(
    "weir-itself", "Weir: itself", "Versions, the runtime, and what watching costs.",
    [DATASOURCE, CLUSTER_VARIABLE, INSTANCE, DOCS],
    [now(), processes(), runtime(), scrapes()],
)
