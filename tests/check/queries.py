#!/usr/bin/env python3
"""What a PromQL expression asks for, and whether Weir exports it: names, types and labels are held against
docs/metrics-reference.md, values of labels against the few that there are.

Not a parser: promtool says whether an expression parses; this finds the names in one that does. Run, it checks itself: prints
the nonsense that it takes for sense; exits 1 if any.
"""
import collections
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "dashboards/alerts"
# What Prometheus itself knows, and the labels that a scrape configuration adds.
OF_PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds", "scrape_samples_scraped"}
OF_SCRAPE = {"cluster", "job", "instance"}
OF_ALERTS = {"alertname", "alertstate", "severity"}
STATES_OF_TASKS = {"RUNNING", "PAUSED", "STOPPED", "UNASSIGNED", "RESTARTING", "FAILED"}
STATES_OF_GROUPS = {"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}
DIRECTIONS = {"in", "out"}
RESOURCES = {"leaders", "replicas", "disk"}
# Labels whose values are known, by metric.
VALUES = {
    "weir_balance_skew_ratio": {"resource": RESOURCES},
    "weir_broker_load": {"resource": RESOURCES},
    "weir_bytes_out_total": {"kind": {"consume", "replicate"}},
    "weir_cluster_health_reason": {"reason": {
        "offline_partitions", "under_min_isr_partitions", "under_replicated_partitions", "log_dir_offline", "no_controller"}},
    "weir_connect_bytes_total": {"direction": DIRECTIONS},
    "weir_connect_connectors": {"state": STATES_OF_TASKS},
    "weir_connect_records_total": {"direction": DIRECTIONS},
    "weir_connect_task_state": {"state": STATES_OF_TASKS},
    "weir_connect_tasks": {"state": STATES_OF_TASKS},
    "weir_group_rebalances_total": {"reason": {
        "member_joined", "member_left", "session_expired", "sync_expired", "metadata_changed", "leader_rejoined",
        "static_member_replaced", "assignment_not_stored"}},
    "weir_group_state": {"state": STATES_OF_GROUPS},
    "weir_groups": {"state": STATES_OF_GROUPS},
    "weir_index_documents_total": {"status": {"written", "skipped", "rejected"}},
    "weir_isr_changes_total": {"direction": {"shrink", "expand"}},
    "weir_leader_elections_total": {"kind": {"clean", "unclean", "preferred"}},
    "weir_partitions": {"state": {"online", "offline"}},
    "weir_request_phase_seconds": {"phase": {"queue", "local", "remote", "response_queue", "send"}},
    "weir_retention_deleted_bytes_total": {"reason": {"time", "size", "deleted_records"}},
    "ALERTS": {"alertstate": {"pending", "firing"}, "severity": {"warning", "critical"}},
}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "group_left", "group_right"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)?\s*\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
MADE = re.compile(r'label_(?:replace|join)\(.*?,\s*"(\w+)",\s*"')
AGGREGATION = re.compile(r"\bby\s*\(([^)]*)\)\s*\(")
OF_COUNTERS = re.compile(r"\b(rate|irate|increase|resets)\(\s*([A-Za-z_:][\w:]*)")
OF_GAUGES = re.compile(r"\b(deriv|delta|idelta|predict_linear)\(\s*([A-Za-z_:][\w:]*)")
NONSENSE = [
    "weir_topics_total",
    'weir_groups{status="Stable"}',
    'weir_groups{state="STABLE"}',
    'weir_connect_task_state{state=~"FAILED|FALED"}',
    'sum(rate(weir_request_phase_seconds_sum{phase="disk"}[5m]))',
    "rate(weir_group_lag_records[5m])",
    "increase(weir:group_lag:records[5m])",
    "deriv(weir_records_in_total[5m])",
    "sum by (group) (rate(weir_records_in_total[5m])) / on () group_left () sum(weir_group_lag_records)",
    "sum by (broker) (weir_connect_lag_seconds)",
    "max by (topic) (weir:group_lag_status:max)",
    'weir:group_lag_status:max{topic="orders"}',
]
SENSE = [
    'sum by (broker) (weir_offline_partitions * on (cluster, job, instance) group_left (broker) weir_broker_info)',
    'sum by (connector) (label_replace(weir_group_lag_seconds, "connector", "$1", "group", "connect-(.+)"))',
    'sum(rate(weir_bytes_out_total{kind=~".+"}[5m])) > 0 unless weir_records_in_total offset 10m',
    "rate(weir:request_failures:total[5m]) and on (api) histogram_quantile(0.9, rate(weir_request_duration_seconds_bucket[5m]))",
]
HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")

Metric = collections.namedtuple("Metric", ["kind", "labels"])


def exported():
    """Type and labels by name of each metric in the reference; histograms by the three names that they have in queries."""
    metrics = {}
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| \w* ?\| ([^|]*) \|", re.M)
    for name, kind, labels in row.findall((ROOT / "docs/metrics-reference.md").read_text()):
        labels = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            metrics |= {f"{name}_bucket": Metric(kind, labels | {"le"}), f"{name}_sum": Metric(kind, labels),
                        f"{name}_count": Metric(kind, labels)}
        else:
            metrics[name] = Metric(kind, labels)
    return metrics


def expression(rule):
    """What follows `expr:` in a rule's text, on its line or folded below it."""
    found = re.search(r"^ {8}expr: (?:>-\n((?: {10}.*\n?)+)|(.*))", rule, flags=re.M)
    return found[1] or found[2]


def recorded():
    """Type and labels by name of what rules record: the labels are all that its metrics have, and those that it makes."""
    texts = collections.defaultdict(list)
    for file in sorted(RULES.glob("*.yml")):
        for text in re.split(r"^ {6}- (?=alert: |record: )", file.read_text(), flags=re.M)[1:]:
            if found := re.match(r"record: (\S+)", text):
                texts[found[1]].append(text)
    metrics = exported()

    def labels(name, seen=()):
        if name in metrics:
            return metrics[name].labels
        found = set()
        for text in texts[name] if name in texts and name not in seen else ():
            expr = expression(text)
            static = re.search(r"labels: \{([^}]*)\}", text)
            found |= set(re.findall(r"(\w+):", static[1] if static else "")) | set(MADE.findall(expr))
            found = found.union(*(labels(other, (*seen, name)) for other, _ in asked(expr)[0] if other))
        return found
    return {name: Metric("counter" if name.endswith(":total") else "gauge", labels(name)) for name in list(texts)}


def asked(expr):
    """Pairs of a metric's name (or None) and the matchers that its selector has, then the labels of groupings."""
    groupings = {label.strip() for labels in GROUPING.findall(expr) for label in labels.split(",") if label.strip()}
    rest = GROUPING.sub(" ", expr)
    # Labels that an expression makes for itself.
    made = set(MADE.findall(rest))
    selectors = []
    for name, matchers in SELECTOR.findall(re.sub(r"\[[^\]]*\]", " ", rest)):
        selectors.append((name or None, MATCHER.findall(matchers)))
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', " ", SELECTOR.sub(" ", re.sub(r"\[[^\]]*\]", " ", rest)))
    for name in re.findall(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(?![\w:]*\s*\()", bare):
        if name.lower() not in KEYWORDS:
            selectors.append((name, []))
    return selectors, groupings - made


def closed(text):
    """`text` until the bracket that was opened before it is closed."""
    depth = 1
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[:at]
    return text


def labels_of(expr, known):
    """Labels that what an expression asks for may have."""
    found = OF_SCRAPE | set(MADE.findall(expr))
    for name, _ in asked(expr)[0]:
        if name in known:
            found |= known[name].labels
        elif name in OF_PROMETHEUS:
            found |= OF_ALERTS
    return found


def of_values(name, matchers):
    """Complaints about values that a label never has."""
    for label, how, text in matchers:
        values = VALUES.get(name, VALUES.get(HISTOGRAM.sub("", name), {})).get(label)
        for one in text.split("|") if values and "~" in how else [text]:
            if values and not any(re.fullmatch(one, value) if "~" in how else one == value for value in values):
                yield f"{label} of {name} is never {one}"


def of_functions(expr, known):
    for wanted, pattern in (("gauge", OF_GAUGES), ("counter", OF_COUNTERS)):
        for function, name in pattern.findall(expr):
            if name in known and (known[name].kind == "gauge") != (wanted == "gauge"):
                yield f"{function}() of {name}, which is a {known[name].kind}"


def of_groupings(expr, known):
    """`by` may name what is inside of its brackets, the others what the expression has anywhere."""
    for found in AGGREGATION.finditer(expr):
        inside = closed(expr[found.end():])
        wanted = {label.strip() for label in found[1].split(",")}
        yield from (f"by ({label}), but nothing inside has it: {inside.strip()}"
                    for label in sorted(wanted - labels_of(inside, known)))
    everywhere = labels_of(expr, known) | {"le"}
    yield from (f"no metric of it has the label {label}" for label in sorted(asked(expr)[1] - everywhere))


def complaints(expr, metrics, rules):
    """One line for each name that nobody exports, each label or value of one that a metric does not have, each function that does
    not fit a metric's type."""
    known = metrics | rules
    for name, matchers in asked(expr)[0]:
        if name in known:
            own = known[name].labels | OF_SCRAPE
            yield from (f"{name} has no label {label}" for label in sorted({label for label, *_ in matchers} - own))
        elif name not in OF_PROMETHEUS and name is not None:
            yield f"nothing exports {name}"
        yield from of_values(name, matchers) if name else ()
    yield from of_functions(expr, known)
    yield from of_groupings(expr, known)


def main():
    metrics, rules = exported(), recorded()
    findings = [f"is taken for sense: {expr}" for expr in NONSENSE if not list(complaints(expr, metrics, rules))]
    findings += [f"is taken for nonsense: {expr}: {said}" for expr in SENSE for said in complaints(expr, metrics, rules)]
    print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
