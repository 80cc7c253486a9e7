"""Replication and balance: is every copy there, and does every broker carry its share."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, DATASOURCE, DOCS, INSTANCE, NONE_IS_BEST, NONE_IS_WELL, bars, colored, column,
                     dashboard, graph, row, stat, steps, table)
from words import BROKER, CLUSTER, rate

ONE_IS_WELL = steps("red", (1, "green"), (2, "red"))


def now():
    def count(title, description, metric, colors):
        return stat(title, description, f"sum({metric}{{{CLUSTER}}})", colors=colors, background=True)
    return row(
        None, 4,
        count("Offline", "Partitions that nobody can lead, or whose log cannot be opened.", "weir_offline_partitions", NONE_IS_WELL),
        count("Under min ISR", "Partitions that refuse acks=all.", "weir_under_min_isr_partitions", NONE_IS_WELL),
        count("Under-replicated", "Partitions with a replica that is not in sync.", "weir_under_replicated_partitions", NONE_IS_BEST),
        count("At min ISR", "One more replica out of sync, and they refuse acks=all. With one replica always.",
              "weir_at_min_isr_partitions", steps("blue")),
        count("Being moved", "Partitions whose replicas change.", "weir_reassigning_partitions", steps("blue")),
        count("Not preferred", "Partitions led by another than their first replica.", "weir_preferred_leader_imbalance_partitions",
              NONE_IS_BEST),
        count("Controllers", "One, always.", "weir_active_controller", ONE_IS_WELL),
        stat("Unclean elections", "Within the time shown: a replica that was not in sync became leader; records may be lost.",
             f'sum(increase(weir_leader_elections_total{{{CLUSTER},kind="unclean"}}[$__range]))', decimals=0, colors=NONE_IS_WELL,
             background=True),
    )


def replicas():
    return row(
        "Replication", 8,
        graph("Partitions by state", "Of the brokers chosen.", {"{{state}}": f"sum by (state) (weir_partitions{{{BROKER}}})"},
              stack=True, overrides=colored(online="green", offline="red")),
        graph("Not fully replicated", "By the broker that leads them.", {
            "under-replicated, {{instance}}": f"sum by (instance) (weir_under_replicated_partitions{{{BROKER}}})",
            "under min ISR, {{instance}}": f"sum by (instance) (weir_under_min_isr_partitions{{{BROKER}}})",
        }),
        graph("ISR changes", "Replicas per second that fell out of sync (shrink) or came back (expand).",
              {"{{direction}}": rate("weir_isr_changes_total", BROKER, "direction")}, unit="ops",
              overrides=colored(shrink="red", expand="green")),
        graph("Leader elections", "Per second. Clean: another replica in sync took over; preferred: leadership went home.",
              {"{{kind}}": rate("weir_leader_elections_total", CLUSTER, "kind")}, unit="ops",
              overrides=colored(unclean="red", clean="yellow", preferred="green")),
        graph("Controller", "Which broker it is.", {"{{instance}}": f"max by (instance) (weir_active_controller{{{BROKER}}})"}),
        graph("Recovery", "Share of its partitions that a broker has opened since its start.",
              {"{{instance}}": f"min by (instance) (weir_recovery_progress_ratio{{{BROKER}}})"}, unit="percentunit", most=1),
    )


def balance():
    def load(title, description, resource, unit):
        return bars(title, description, f'max by (instance) (weir_broker_load{{{BROKER},resource="{resource}"}})', unit=unit,
                    legend="{{instance}}", width=6)
    return row(
        "Balance", 6,
        load("Leaders", "Partitions that a broker leads: they take its CPU and network.", "leaders", "short"),
        load("Replicas", "Partitions that a broker holds.", "replicas", "short"),
        load("Disk", "Bytes of log that a broker holds.", "disk", "bytes"),
        bars("Traffic", "Bytes per second in and out.",
             f'{rate("weir_bytes_in_total", BROKER, "instance")} + {rate("weir_bytes_out_total", BROKER, "instance")}', unit="Bps",
             legend="{{instance}}", width=6),
        graph("Skew", "The most loaded broker over the mean of all; 1 is balanced. Dashed: the alert.",
              {"{{resource}}": f"max by (resource) (weir_balance_skew_ratio{{{CLUSTER}}})"}, width=12,
              limit="max(weir:threshold:balance_skew_ratio)"),
        table("Brokers", "What each carries.", {
            "leaders": f'max by (instance) (weir_broker_load{{{BROKER},resource="leaders"}})',
            "replicas": f'max by (instance) (weir_broker_load{{{BROKER},resource="replicas"}})',
            "disk": f'max by (instance) (weir_broker_load{{{BROKER},resource="disk"}})',
            "in": rate("weir_bytes_in_total", BROKER, "instance"),
            "out": rate("weir_bytes_out_total", BROKER, "instance"),
        }, by="instance", width=12, sort="disk",
            overrides=[column("disk", unit="bytes"), column("in", unit="Bps"), column("out", unit="Bps")]),
    )


DASHBOARD = dashboard(
    "weir-replication", "Weir: replication and balance", "Is every copy there, and does every broker carry its share?",
    [DATASOURCE, CLUSTER_VARIABLE, INSTANCE, DOCS],
    [now(), replicas(), balance()],
)
