"""Grafana's dashboard JSON (schema version 39) from as few words as a panel needs.

A dashboard is rows of panels; a panel says what it shows (title), how to read it (description) and its queries. Colours mean the
same everywhere: green is well, yellow wants a look, red wants somebody now, blue says nothing about health.

Never writes data sources' ids: they come from the variable `datasource`, so that a file works in any Grafana.
"""
import re

WIDTH = 24
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
SCHEMA_VERSION = 39
TAG = "weir"
ALL = "$__all"


def steps(*pairs):
    """Colours by value: the first is for all values below the second's."""
    first, *others = pairs
    base = {"color": first, "value": None}
    return {"mode": "absolute", "steps": [base, *({"color": color, "value": at} for at, color in others)]}


NEUTRAL = steps("blue")
NONE_IS_WELL = steps("green", (1, "red"))
NONE_IS_BEST = steps("green", (1, "yellow"))
OBJECTIVE = steps("green", (1, "yellow"), (6, "red"))
FREE = steps("red", (0.05, "yellow"), (0.15, "green"))
RETENTION = steps("green", (0.5, "yellow"), (0.8, "red"))
FILES_OPEN = steps("green", (0.6, "yellow"), (0.8, "red"))


def states(*mapped):
    """Value mappings from (value, text, colour); a value is matched as it is."""
    options = {str(value): {"text": text, "color": color, "index": index}
               for index, (value, text, color) in enumerate(mapped)}
    return [{"type": "value", "options": options}]


def target(expr, legend="__auto", *, instant=False, table=False, ref="A"):
    return {
        "refId": ref,
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": re.sub(r"\s+", " ", expr).strip(),
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
        **({"format": "table"} if table else {}),
    }


def targets(queries, **how):
    """`queries` is an expression, or expressions by legend."""
    if isinstance(queries, str):
        queries = {"__auto": queries}
    return [target(expr, legend, ref=chr(ord("A") + at), **how) for at, (legend, expr) in enumerate(queries.items())]


def panel(kind, title, description, width, queries, defaults, options, overrides=(), **more):
    return {
        "type": kind,
        "title": title,
        "description": " ".join(description.split()),
        "datasource": PROMETHEUS,
        "gridPos": {"w": width, "h": 0, "x": 0, "y": 0},
        "targets": queries,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)},
        "options": options,
        **more,
    }


def reduced(calc="lastNotNull", values=False):
    return {"calcs": [calc], "fields": "", "values": values}


def stat(title, description, query, *, unit="short", width=3, colors=NEUTRAL, mappings=(), none="-", name=False,
         background=False, decimals=None, spark=False, link=None, overrides=()):
    """One figure, or one for each series. `background` paints the whole tile: for what must be seen from afar."""
    defaults = {"unit": unit, "thresholds": colors, "color": {"mode": "thresholds"}, "mappings": list(mappings),
                "noValue": none, "links": [to(*link)] if link else []}
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "reduceOptions": reduced(),
        "colorMode": "background" if background else "value",
        "graphMode": "area" if spark else "none",
        "textMode": "value_and_name" if name else "value",
        "justifyMode": "center",
        "orientation": "auto",
        "wideLayout": True,
    }
    return panel("stat", title, description, width, targets(query, instant=not spark), defaults, options, overrides)


def line_of(name, *properties):
    return {"matcher": {"id": "byName", "options": name},
            "properties": [{"id": key, "value": value} for key, value in properties]}


def colored(**colors):
    """Series that keep a colour by name; `_` is a space."""
    return [line_of(name.replace("_", " "), ("color", {"mode": "fixed", "fixedColor": color}))
            for name, color in colors.items()]


LIMIT = line_of("limit", ("color", {"mode": "fixed", "fixedColor": "red"}), ("custom.fillOpacity", 0),
                ("custom.drawStyle", "line"), ("custom.lineStyle", {"fill": "dash", "dash": [8, 8]}), ("custom.lineWidth", 1),
                ("custom.stacking", {"mode": "none", "group": "A"}))


def graph(title, description, queries, *, unit="short", width=8, stack=False, limit=None, least=0, most=None,
          overrides=(), bars=False, none=None, table=False, log=False, exemplars=False):
    """Lines over time. `limit` is an expression: where the alert's threshold lies, drawn dashed in red. `table`: the legend has a
    line for each, the largest now first. `exemplars`: requests whose traces are kept are points between the lines."""
    queries = {"__auto": queries} if isinstance(queries, str) else dict(queries)
    if limit:
        queries["limit"] = limit
    custom = {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 60 if bars else 30 if stack else 8,
        "lineInterpolation": "linear",
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        **({} if least is None else {"axisSoftMin": least}),
        "scaleDistribution": {"type": "log", "log": 10} if log else {"type": "linear"},
        "thresholdsStyle": {"mode": "off"},
    }
    defaults = {"unit": unit, "custom": custom, "color": {"mode": "palette-classic"}, "thresholds": NEUTRAL}
    if most is not None:
        defaults |= {"max": most, "min": least}
    if none:
        defaults["noValue"] = none
    options = {
        "legend": {"displayMode": "table" if table else "list", "placement": "bottom", "showLegend": True,
                   "calcs": ["lastNotNull"] if table else [], **({"sortBy": "Last *", "sortDesc": True} if table else {})},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    asked = [one | ({"exemplar": True} if exemplars and one["legendFormat"] != "limit" else {}) for one in targets(queries)]
    return panel("timeseries", title, description, width, asked, defaults, options, [*overrides, *([LIMIT] if limit else [])])


def timeline(title, description, query, *, mappings, legend="__auto", width=12, none=None):
    """A lane for each series, coloured by its state."""
    defaults = {"unit": "short", "mappings": mappings, "thresholds": steps("text"), "color": {"mode": "thresholds"},
                "custom": {"fillOpacity": 80, "lineWidth": 0}}
    if none:
        defaults["noValue"] = none
    options = {"mergeValues": True, "showValue": "never", "alignValue": "left", "rowHeight": 0.8,
               "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
               "tooltip": {"mode": "single", "sort": "none"}}
    return panel("state-timeline", title, description, width, [target(query, legend)], defaults, options)


def bars(title, description, query, *, unit="short", legend="__auto", width=8, colors=NEUTRAL, least=0, most=None,
         none="-"):
    """A bar for each series, now."""
    defaults = {"unit": unit, "thresholds": colors, "color": {"mode": "thresholds"}, "min": least, "noValue": none}
    if most is not None:
        defaults["max"] = most
    options = {"reduceOptions": reduced(), "orientation": "horizontal", "displayMode": "basic", "valueMode": "color",
               "namePlacement": "left", "showUnfilled": True, "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 32,
               "sizing": "auto", "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []}}
    return panel("bargauge", title, description, width, [target(query, legend, instant=True)], defaults, options)


def column(name, unit=None, colors=None, mappings=None, width=None, link=None):
    """How the column `name` of a table looks: states are painted, figures written in their colour."""
    properties = []
    if unit:
        properties.append(("unit", unit))
    if mappings:
        properties.append(("mappings", mappings))
    if colors:
        properties.append(("thresholds", colors))
    if colors or mappings:
        cell = {"type": "color-background", "mode": "basic"} if mappings else {"type": "color-text"}
        properties.append(("custom.cellOptions", cell))
    if width:
        properties.append(("custom.width", width))
    if link:
        properties.append(("links", [link]))
    return line_of(name, *properties)


def table(title, description, columns, *, by, width=24, overrides=(), sort=None, none="none"):
    """A row for each `by` (label or labels), a column for each query: `columns` are expressions by heading. `sort` is a heading,
    for the largest first, or a heading and whether it is so."""
    by = [by] if isinstance(by, str) else list(by)
    queries = [target(expr, heading, instant=True, table=True, ref=chr(ord("A") + at))
               for at, (heading, expr) in enumerate(columns.items())]
    # Merged, the values are called by their query; with one query just Value.
    names = [f"Value #{query['refId']}" for query in queries] if len(queries) > 1 else ["Value"]
    renamed = dict(zip(names, columns))
    order = {name: at for at, name in enumerate([*by, *names])}
    transformations = [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": [*by, *names]}}},
        {"id": "organize", "options": {"indexByName": order, "excludeByName": {}, "renameByName": renamed}},
    ]
    defaults = {"unit": "short", "noValue": none, "thresholds": NEUTRAL, "color": {"mode": "thresholds"},
                "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": False, "inspect": False}}
    heading, desc = (sort, True) if isinstance(sort, str) else sort or (None, False)
    options = {"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": heading, "desc": desc}] if heading else []}
    return panel("table", title, description, width, queries, defaults, options, overrides,
                 transformations=transformations)


def text(content, *, width=24):
    return panel("text", "", "", width, [], {}, {"mode": "markdown", "content": content}, transparent=True)


def row(title, height, *panels):
    """Panels side by side; what does not fit goes below. Without a title there is no line above."""
    return title, height, panels


def to(title, url):
    return {"title": title, "url": url, "targetBlank": False}


def dashboard_url(uid, *variables):
    """A link that keeps the time and the given variables."""
    kept = "&".join(["${datasource:queryparam}", "${cluster:queryparam}", *variables, "${__url_time_range}"])
    return f"/d/{uid}?{kept}"


def laid_out(rows):
    """The panels with their places and ids."""
    panels, y = [], 0
    for title, height, members in rows:
        if title:
            panels.append({"type": "row", "title": title, "collapsed": False, "panels": [],
                           "gridPos": {"w": WIDTH, "h": 1, "x": 0, "y": y}})
            y += 1
        x = 0
        for member in members:
            width = member["gridPos"]["w"]
            if x + width > WIDTH:
                x, y = 0, y + height
            panels.append({**member, "gridPos": {"w": width, "h": height, "x": x, "y": y}})
            x += width
        y += height
    return [{"id": number, **each} for number, each in enumerate(panels, start=1)]


def variable(name, label, query, *, single=False):
    """A choice from what Prometheus knows: of several, with All first, or of one, the first."""
    chosen = {"selected": False, "text": "", "value": ""} if single else {"selected": True, "text": "All", "value": [ALL]}
    return {
        "name": name, "label": label, "type": "query", "datasource": PROMETHEUS,
        "query": {"query": query, "refId": f"Variable-{name}"}, "refresh": 2, "sort": 7, "multi": not single,
        "includeAll": not single, **({} if single else {"allValue": ".+"}),
        "current": chosen, "hide": 0, "regex": "", "options": [],
    }


DATASOURCE = {
    "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "regex": "", "hide": 0,
    "refresh": 1, "multi": False, "includeAll": False, "options": [],
    "current": {"selected": False, "text": "", "value": ""},
}
# One, so that groups, topics and instances of that name in others are not added up. Where the scrape configuration leaves the
# label out the choice is empty, and matches what has none.
CLUSTER = variable("cluster", "Cluster", "label_values(weir_build_info, cluster)", single=True)
INSTANCE = variable("instance", "Instance", 'label_values(weir_build_info{cluster=~"$cluster"}, instance)')
TOPIC = variable("topic", "Topic", 'label_values(weir_log_size_bytes{cluster=~"$cluster"}, topic)')
GROUP = variable("group", "Group", 'label_values(weir_group_members{cluster=~"$cluster"}, group)')
CONNECTOR = variable("connector", "Connector", 'label_values(weir_connect_task_state{cluster=~"$cluster"}, connector)')
# Where docs/ of this project is served; provisioning may replace it.
DOCS = {"name": "docs", "label": "Where the runbooks are", "type": "constant", "query": "http://localhost:9464/docs", "hide": 2,
        "current": {"selected": True, "text": "http://localhost:9464/docs", "value": "http://localhost:9464/docs"}, "options": []}


def annotation(name, expr, color, title, words):
    return {"name": name, "datasource": PROMETHEUS, "enable": True, "hide": False, "iconColor": color, "expr": expr,
            "step": "30s", "titleFormat": title, "textFormat": words, "useValueForTime": False}


ANNOTATIONS = [
    annotation("Starts", 'changes(process_start_time_seconds{cluster=~"$cluster",job=~".*weir.*"}[1m]) > 0', "blue", "Start",
               "{{instance}} was started"),
]


def dashboard(uid, title, description, variables, rows, annotations=ANNOTATIONS):
    return {
        "uid": uid,
        "title": title,
        "description": " ".join(description.split()),
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "fiscalYearStartMonth": 0,
        "weekStart": "",
        "timezone": "",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "refresh": "30s",
        "templating": {"list": variables},
        "annotations": {"list": list(annotations)},
        "links": [
            {"type": "dashboards", "title": "Weir", "tags": [TAG], "asDropdown": False, "includeVars": True, "keepTime": True,
             "targetBlank": False, "icon": "external link", "tooltip": "", "url": ""},
            {"type": "link", "title": "Runbooks", "url": "${docs}/runbooks/", "icon": "doc", "tooltip": "What to do for each alert",
             "asDropdown": False, "includeVars": False, "keepTime": False, "tags": [], "targetBlank": True},
        ],
        "panels": laid_out(rows),
    }
