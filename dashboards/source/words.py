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


def top(count, expr):
    return f"topk({count}, {expr})"
