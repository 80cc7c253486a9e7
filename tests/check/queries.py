"""What a PromQL expression asks for, and whether Weir exports it: names and labels are held against docs/metrics-reference.md.

Not a parser: promtool says whether an expression parses; this finds the names in one that does.
"""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What Prometheus itself knows, and the labels that a scrape configuration adds.
OF_PROMETHEUS = {"up", "ALERTS", "ALERTS_FOR_STATE", "scrape_duration_seconds", "scrape_samples_scraped"}
OF_SCRAPE = {"cluster", "job", "instance"}
OF_ALERTS = {"alertname", "alertstate", "severity"}
KEYWORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "by", "without", "on", "ignoring", "group_left", "group_right"}
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
SELECTOR = re.compile(r"([A-Za-z_:][\w:]*)?\s*\{([^}]*)\}")
LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
MADE = re.compile(r'label_(?:replace|join)\(.*?,\s*"(\w+)",\s*"')


def exported():
    """Labels by name of each metric in the reference; histograms by the three names that they have in queries."""
    metrics = {}
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", re.M)
    for name, kind, labels in row.findall((ROOT / "docs/metrics-reference.md").read_text()):
        labels = set(re.findall(r"`(\w+)`", labels))
        if kind == "histogram":
            metrics |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            metrics[name] = labels
    return metrics


def recorded():
    """Names of the rules that record."""
    rules = "".join(file.read_text() for file in sorted((ROOT / "dashboards/alerts").glob("*.yml")))
    return set(re.findall(r"record: (\S+)", rules))


def asked(expr):
    """Pairs of a metric's name (or None) and the labels that its selector has, then the labels of groupings."""
    groupings = {label.strip() for labels in GROUPING.findall(expr) for label in labels.split(",") if label.strip()}
    rest = GROUPING.sub(" ", expr)
    # Labels that an expression makes for itself.
    made = set(MADE.findall(rest))
    selectors = []
    for name, matchers in SELECTOR.findall(re.sub(r"\[[^\]]*\]", " ", rest)):
        selectors.append((name or None, set(LABEL.findall(matchers))))
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', " ", SELECTOR.sub(" ", re.sub(r"\[[^\]]*\]", " ", rest)))
    for name in re.findall(r"(?<![\w:.$])([A-Za-z_:][\w:]*)(?![\w:]*\s*\()", bare):
        if name.lower() not in KEYWORDS:
            selectors.append((name, set()))
    return selectors, groupings - made


def complaints(expr, metrics, rules):
    """One line for each name that nobody exports and each label that a metric does not have."""
    selectors, groupings = asked(expr)
    known = set(OF_SCRAPE) | OF_ALERTS | {"le"}
    for name, labels in selectors:
        if name in metrics:
            own = metrics[name] | OF_SCRAPE
            yield from (f"{name} has no label {label}" for label in sorted(labels - own))
            known |= own
        elif name in rules or name in OF_PROMETHEUS or name is None:
            known |= set().union(*metrics.values())
        else:
            yield f"nothing exports {name}"
    yield from (f"no metric of it has the label {label}" for label in sorted(groupings - known))
