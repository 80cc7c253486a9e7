"""Logs: what the search node holds, through Grafana's Elasticsearch data source."""
from grafana import DOCS, NEUTRAL, NONE_IS_BEST, NONE_IS_WELL, dashboard, panel, row

LOGS = {"type": "elasticsearch", "uid": "${logs}"}
TIME = "@timestamp"
QUERY = "$query"
LEVELS = [("error|err|fatal|crit.*", "red"), ("warn.*", "orange"), ("info", "green"), ("debug|trace", "blue")]


def searched(metrics, buckets=(), query=QUERY):
    return [{"refId": "A", "datasource": LOGS, "query": query, "timeField": TIME, "alias": "", "metrics": metrics,
             "bucketAggs": list(buckets)}]


def count(query=QUERY, by=None):
    over_time = {"id": "2", "type": "date_histogram", "field": TIME,
                 "settings": {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"}}
    values = {"id": "3", "type": "terms", "field": by, "settings": {"size": "10", "order": "desc", "orderBy": "_count", "min_doc_count": "1"}}
    return searched([{"id": "1", "type": "count"}], [*([values] if by else []), over_time], query)


def of_logs(kind, title, description, width, queries, defaults, options, overrides=()):
    return {**panel(kind, title, description, width, queries, defaults, options, overrides), "datasource": LOGS}


def tile(title, description, query, colors, background=True):
    defaults = {"unit": "short", "color": {"mode": "thresholds"}, "thresholds": colors, "noValue": "0"}
    options = {"reduceOptions": {"calcs": ["sum"], "fields": "", "values": False},
               "colorMode": "background" if background else "value", "graphMode": "area", "textMode": "value", "justifyMode": "center", "orientation": "auto", "wideLayout": True}
    return of_logs("stat", title, description, 8, count(query), defaults, options)


def volume(title, description, by, width, overrides=()):
    defaults = {"unit": "short", "color": {"mode": "palette-classic"},
                "custom": {"drawStyle": "bars", "fillOpacity": 70, "lineWidth": 0, "stacking": {"mode": "normal", "group": "A"}}}
    options = {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
               "tooltip": {"mode": "multi", "sort": "desc"}}
    return of_logs("timeseries", title, description, width, count(by=by), defaults, options, overrides)


def most(title, description, field, width=8):
    values = {"id": "2", "type": "terms", "field": field,
              "settings": {"size": "10", "order": "desc", "orderBy": "_count", "min_doc_count": "1"}}
    defaults = {"unit": "short", "color": {"mode": "palette-classic"}, "noValue": "no such field",
                "custom": {"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False}}
    return of_logs("table", title, description, width, searched([{"id": "1", "type": "count"}], [values]), defaults,
                   {"showHeader": True, "cellHeight": "sm"})


def lines():
    options = {"showTime": True, "showLabels": False, "showCommonLabels": False, "wrapLogMessage": False, "prettifyLogMessage": False,
               "enableLogDetails": True, "dedupStrategy": "none", "sortOrder": "Descending"}
    return of_logs("logs", "Lines", "The newest first; open one to see its fields.", 24,
                   searched([{"id": "1", "type": "logs", "settings": {"limit": "500"}}]), {}, options)


def by_level():
    return [{"matcher": {"id": "byRegexp", "options": f"/^({names})$/i"},
             "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": color}}]} for names, color in LEVELS]


VARIABLES = [
    {"name": "logs", "label": "Logs", "type": "datasource", "query": "elasticsearch", "regex": "", "hide": 0, "refresh": 1,
     "multi": False, "includeAll": False, "options": [], "current": {"selected": False, "text": "", "value": ""}},
    {"name": "query", "label": "Search", "type": "textbox", "query": "*", "hide": 0,
     "current": {"selected": True, "text": "*", "value": "*"}, "options": [{"selected": True, "text": "*", "value": "*"}]},
    DOCS,
]

DASHBOARD = dashboard(
    "weir-logs", "Weir: logs", "What came in as logs, searched as in `level:error AND \"timed out\"`.",
    VARIABLES,
    [
        row(None, 4,
            tile("Found", "Lines that match the search, within the time shown.", QUERY, NEUTRAL, background=False),
            tile("Errors", "Of them, with the level error or worse.", f"({QUERY}) AND level:(error OR fatal OR critical)", NONE_IS_WELL),
            tile("Warnings", "Of them, with the level warn.", f"({QUERY}) AND level:(warn OR warning)", NONE_IS_BEST)),
        row(None, 7,
            volume("Volume by level", "Lines that have a level.", "level", 16, by_level()),
            most("Levels", "Lines by level.", "level")),
        row(None, 20, lines()),
    ],
    annotations=[],
)
