"""Selectors and expressions that several dashboards use."""

CLUSTER = 'cluster=~"$cluster"'
BROKER = f'{CLUSTER},instance=~"$instance"'
TOPIC = f'{CLUSTER},topic=~"$topic"'
GROUP = f'{CLUSTER},group=~"$group"'
CONNECTOR = f'{CLUSTER},connector=~"$connector"'
# Families that every process has keep those of Weir's processes.
OF_WEIR = f'and on (cluster, job, instance) weir_build_info{{{CLUSTER}}}'
RATE = "[$__rate_interval]"

DISK_FREE = (f'min by (cluster, instance, log_dir) (weir_log_dir_free_bytes{{{CLUSTER}}}'
             f' / weir_log_dir_total_bytes{{{CLUSTER}}})')


def rate(metric, selector, by=""):
    """Per second; summed over everything but `by`."""
    by = f" by ({by})" if by else ""
    return f"sum{by} (rate({metric}{{{selector}}}{RATE}))"


def quantile(share, metric, selector, by=""):
    """Of a histogram, over everything but `by`."""
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({by}) (rate({metric}_bucket{{{selector}}}{RATE})))"


def mean(metric, selector, by=""):
    """Of a histogram: time spent over how often."""
    return f"{rate(f'{metric}_sum', selector, by)} / {rate(f'{metric}_count', selector, by)}"


def top(expr):
    """The ten largest, at one time."""
    return f"topk(10, {expr})"


def largest(expr, by, ranked):
    """Those series of `expr` that are the ten largest over the whole time shown, by `ranked`: over time topk alone would be
    another ten at each point, in pieces."""
    return f"({expr}) and on ({by}) topk(10, {ranked})"


def largest_rates(metric, selector, by):
    return largest(rate(metric, selector, by), by, f"sum by ({by}) (increase({metric}{{{selector}}}[$__range] @ end()))")


def largest_gauges(metric, selector, by, add="max"):
    """`add` is what becomes of the series that `by` does not tell apart."""
    return largest(f"{add} by ({by}) ({metric}{{{selector}}})", by,
                   f"{add} by ({by}) (max_over_time({metric}{{{selector}}}[$__range] @ end()))")


LATE = dict(within_the_objective="green", late="yellow", much_too_late="red")


def oldest_unread(selector):
    """The largest lag in time: of the groups that are far beyond their objective, or of those beyond it, or of all. One of the
    three has an answer; its colour is LATE's."""
    lag, ratio = f"weir_group_lag_seconds{{{selector}}}", f"weir:group_lag:objective_ratio{{{selector}}}"
    critical = f"{ratio} > on () group_left () weir:threshold:group_lag_critical_factor"
    late = f"{ratio} > 1"

    def of(those):
        return f"max({lag} and on (cluster, group, topic) ({those}))"
    return {"within the objective": f"(max({lag}) or vector(0)) unless on () ({late})",
            "late": f"{of(late)} unless on () ({critical})",
            "much too late": of(critical)}


def in_trouble(selector):
    """How many groups stand still or have lost records; or have no members for longer than their objective."""
    status = f"max by (cluster, group) (weir_group_lag_status{{{selector}}})"
    in_time = f"max by (cluster, group) (weir:group_lag:objective_ratio{{{selector}}}) <= 1"
    return f"count({status} >= 3 unless on (cluster, group) ({status} == 4 and on (cluster, group) ({in_time}))) or vector(0)"
