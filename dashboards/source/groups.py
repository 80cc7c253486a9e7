"""Consumer groups and lag: in seconds first."""
from grafana import (CLUSTER as CLUSTER_VARIABLE, DATASOURCE, DOCS, GROUP as GROUP_VARIABLE, NONE_IS_BEST, NONE_IS_WELL,
                     OBJECTIVE, RETENTION, TOPIC as TOPIC_VARIABLE, bars, colored, column, dashboard, graph, row, stat, states,
                     table, timeline)
from words import CLUSTER, GROUP, LATE, in_trouble, largest, largest_gauges, oldest_unread, rate, top

BOTH = f'{GROUP},topic=~"$topic"'
STATUSES = states((0, "OK", "green"), (1, "WARN", "yellow"), (2, "REWOUND", "blue"), (3, "STALLED", "orange"),
                  (4, "STOPPED", "red"), (5, "LOST", "purple"))
RECORDS = f"sum by (group, topic) (weir_group_lag_records{{{BOTH}}})"
SHRINKS = f"(-1 * sum by (group, topic) (deriv(weir_group_lag_records{{{BOTH}}}[10m])))"
# A moment's lag drains at once: what counts is what has gathered.
TO_DRAIN = f"{RECORDS} / ({SHRINKS} > 0) and max by (group, topic) (weir_group_lag_seconds{{{BOTH}}}) > 60"


def worst(metric, by="group, topic"):
    return f"max by ({by}) ({metric}{{{BOTH}}})"


def now():
    return row(
        None, 4,
        stat("Oldest unread record", "The largest lag, in time. Yellow: of a group beyond its objective; red: far beyond.",
             oldest_unread(BOTH), unit="dtdurations", decimals=0, background=True, width=6, none="no data",
             overrides=colored(**LATE)),
        stat("Groups in trouble", "STALLED, LOST, or STOPPED for longer than their objective.", in_trouble(GROUP),
             colors=NONE_IS_WELL, background=True),
        stat("Records lost", "Deleted before their group read them, within the time shown.",
             f"sum(increase(weir_group_lost_records_total{{{BOTH}}}[$__range])) or vector(0)", decimals=0, colors=NONE_IS_WELL,
             background=True),
        stat("Unread", "Records that groups have not read, over all.", f"sum(weir_group_lag_records{{{BOTH}}})", spark=True,
             width=4),
        stat("Read", "Records per second that groups get on by. Going back is not counted, what is read again is.",
             rate("weir_group_committed_offset_total", BOTH), unit="rps", spark=True, width=4),
        stat("Members idle", "Members of stable groups that got no partition: more members than partitions.",
             f"sum(weir_group_members_idle{{{GROUP}}})", colors=NONE_IS_BEST, width=4),
    )


def status():
    return row(
        None, 8,
        timeline("Status", """A lane for each group. WARN: lag did not fall over the window. REWOUND: it was set back. STALLED:
                 members, but no commits. STOPPED: nobody commits. LOST: retention was faster. `weir lag GROUP` says it in
                 words.""", f"max by (group) (weir_group_lag_status{{{GROUP}}})", legend="{{group}}", mappings=STATUSES,
                 none="No group has committed."),
        table("Groups", """The one that is furthest behind first. Of objective: above 100 % it is late. To drain: at the pace of the last ten
              minutes.""", {
            "status": f"max by (group) (weir_group_lag_status{{{GROUP}}})",
            "behind": worst("weir_group_lag_seconds", "group"),
            "of objective": worst("weir:group_lag:objective_ratio", "group"),
            "unread": f"sum by (group) (weir_group_lag_records{{{BOTH}}})",
            "read": rate("weir_group_committed_offset_total", BOTH, "group"),
            "to drain": f"max by (group) ({TO_DRAIN})",
            "members": f"max by (group) (weir_group_members{{{GROUP}}})",
            "last commit": f"time() - max by (group) (weir_group_last_commit_timestamp_seconds{{{GROUP}}} > 0)",
        }, by="group", width=12, sort="behind", overrides=[
            column("status", mappings=STATUSES, width=90), column("behind", unit="dtdurations"),
            column("of objective", unit="percentunit", colors=OBJECTIVE), column("read", unit="rps"),
            column("to drain", unit="dtdurations"), column("last commit", unit="dtdurations"),
        ]),
    )


def lag():
    return row(
        "Lag", 9,
        graph("Behind, in time", """How long a group's first unread record has been there, by the broker's clock. Dashed: the
              objective for groups without one of their own.""",
              {"{{group}}, {{topic}}": largest_gauges("weir_group_lag_seconds", BOTH, "group, topic")},
              unit="s", width=12, limit='max(weir:threshold:group_lag_seconds{group="*"})'),
        graph("Behind, in records", "Between what the group has committed and the ends of the partitions.",
              {"{{group}}, {{topic}}": largest_gauges("weir_group_lag_records", BOTH, "group, topic", "sum")}, width=12),
        graph("Time to drain", """At the pace of the last ten minutes, of groups that are over a minute behind; no line where lag
              does not shrink.""", {"{{group}}, {{topic}}": TO_DRAIN}, unit="dtdurations", none="No large lag shrinks."),
        graph("Catching up", "Records per second by which lag shrinks; below zero it grows: too little reads. Over ten minutes.",
              {"{{group}}, {{topic}}": largest(SHRINKS, "group, topic", f"sum by (group, topic) "
               f"(max_over_time(weir_group_lag_records{{{BOTH}}}[$__range] @ end()))")}, unit="rps", least=None),
        bars("Retention risk", "How near retention is to records not read: at 100 % it deletes the first of them.",
             top(worst("weir_group_unconsumed_retention_ratio")), unit="percentunit", legend="{{group}}, {{topic}}", most=1,
             colors=RETENTION, none="No group has committed."),
    )


def membership():
    return row(
        "Members and rebalances", 7,
        graph("Members", "Of each group.", {"{{group}}": f"max by (group) (weir_group_members{{{GROUP}}})"}, width=6),
        graph("Groups by state", "Empty: no members, offsets are kept.", {"{{state}}": f"sum by (state) (weir_groups{{{CLUSTER}}})"},
              stack=True, width=6, overrides=colored(Stable="green", Empty="blue", Dead="text", PreparingRebalance="yellow",
                                                     CompletingRebalance="orange")),
        graph("Rebalances", "In ten minutes, by reason. Dashed: the alert, of a group of three members; of a larger one it is higher.",
              {"{{group}}, {{reason}}": f"sum by (group, reason) (increase(weir_group_rebalances_total{{{GROUP}}}[10m])) > 0"},
              bars=True, width=6, limit="max(weir:threshold:group_rebalances_in_10m)", none="No group was rebalanced."),
        graph("Time of a rebalance", "From what began it until the group is stable again; members read nothing meanwhile.",
              {"mean": f"sum(rate(weir_group_rebalance_seconds_sum{{{CLUSTER}}}[10m])) "
                       f"/ sum(rate(weir_group_rebalance_seconds_count{{{CLUSTER}}}[10m]))"}, unit="s", width=6,
              none="No group was rebalanced."),
    )


DASHBOARD = dashboard(
    "weir-groups", "Weir: consumer groups and lag", "Who is behind, by how much time, since when, and whether it will catch up.",
    [DATASOURCE, CLUSTER_VARIABLE, GROUP_VARIABLE, TOPIC_VARIABLE, DOCS],
    [now(), status(), lag(), membership()],
)
