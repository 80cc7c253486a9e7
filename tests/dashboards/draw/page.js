// Draws the panels of one dashboard much as Grafana does, from the answers that live.py got. Global: DATA, uPlot.
const COLORS = { green: '#73bf69', yellow: '#fade2a', red: '#f2495c', orange: '#ff9830', blue: '#5794f2', purple: '#b877d9', text: '#8e8e9d' };
const PALETTE = ['#73bf69', '#f2cc0c', '#5794f2', '#ff9830', '#f2495c', '#b877d9', '#8ab8ff', '#ffb357', '#96d98d', '#ca95e5', '#fffa8a', '#c0d8ff'];
const color = (name) => COLORS[name] ?? name;
const UNIT = 38, GAP = 8, COLUMN = (1520 - 32) / 24;

function scaled(value, steps, base) {
  let at = 0;
  while (Math.abs(value) >= base && at < steps.length - 1) { value /= base; at++; }
  return `${Number(value.toPrecision(3))}${steps[at]}`;
}
function seconds(value) {
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  if (Math.abs(value) < 1) return value === 0 ? '0 s' : Math.abs(value) < 1e-3 ? `${Number((value * 1e6).toPrecision(3))} µs` : `${Number((value * 1e3).toPrecision(3))} ms`;
  const at = parts.findIndex(([size]) => Math.abs(value) >= size);
  return `${Number((value / parts[at][0]).toPrecision(3))} ${parts[at][1]}`;
}
function shown(value, unit) {
  if (value === null || Number.isNaN(value)) return '-';
  switch (unit) {
    case 's': case 'dtdurations': return seconds(value);
    case 'bytes': return scaled(value, [' B', ' KiB', ' MiB', ' GiB', ' TiB'], 1024);
    case 'Bps': return scaled(value, [' B/s', ' kB/s', ' MB/s', ' GB/s'], 1000);
    case 'percentunit': return `${Number((value * 100).toPrecision(3))} %`;
    case 'rps': return scaled(value, [' rec/s', ' K rec/s', ' M rec/s'], 1000);
    case 'reqps': return scaled(value, [' req/s', ' K req/s'], 1000);
    case 'ops': return scaled(value, [' ops/s', ' K ops/s'], 1000);
    default: return scaled(value, ['', ' K', ' Mil', ' Bil'], 1000);
  }
}
const mapped = (value, field) => field.mappings?.[0]?.options[String(value)];
function ofThreshold(value, thresholds) {
  return color(thresholds.steps.filter((step) => step.value === null || value >= step.value).at(-1).color);
}
function named(metric, legend) {
  if (!legend || legend === '__auto') return Object.entries(metric).filter(([key]) => key !== '__name__').map(([, value]) => value).join(' ');
  return legend.replace(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? '');
}
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
/** Series of all answers: name, and points as [seconds, value]. */
function series(answers) {
  return answers.flatMap(({ series = [], answer, legend }) => answer ? buckets(answer.aggregations) : series.map(({ metric, value, values }) => ({
    name: named(metric, legend), metric, points: (values ?? [value]).map(([at, text]) => [at, Number(text)]) })));
}
/** Elasticsearch's answer to a date histogram, within terms or alone. */
function buckets(aggregations) {
  const [inner] = Object.values(aggregations ?? {});
  if (!inner) return [];
  const points = (histogram) => histogram.buckets.map(({ key, doc_count: count }) => [key / 1000, count]);
  const within = inner.buckets.filter((bucket) => Object.values(bucket).some((value) => value?.buckets));
  if (!within.length) return [{ name: 'Count', metric: {}, points: points(inner) }];
  return within.map((bucket) => ({ name: String(bucket.key), metric: {}, points: points(Object.values(bucket).find((value) => value?.buckets)) }));
}
/** What a series, or a column, has of its own, by its name. */
function overridden(panel, name) {
  const found = panel.fieldConfig.overrides.find(({ matcher: { id, options } }) => id === 'byRegexp' ? new RegExp(options.slice(1, -2), 'i').test(name) : options === name);
  return Object.fromEntries((found?.properties ?? []).map(({ id, value }) => [id, value]));
}
function nothing(panel) { return element('div', 'none', panel.fieldConfig.defaults.noValue ?? 'No data'); }

const DRAW = {
  stat(panel, answers, body, frame) {
    const field = panel.fieldConfig.defaults, found = series(answers);
    if (!found.length) return body.append(nothing(panel));
    const figures = body.appendChild(element('div', 'figures'));
    for (const { name, points } of found) {
      const sums = panel.options.reduceOptions.calcs[0] === 'sum';
      const value = sums ? points.reduce((sum, point) => sum + point[1], 0) : points.at(-1)[1];
      const said = mapped(value, field), fixed = overridden(panel, name).color?.fixedColor;
      const chosen = said ? color(said.color) : fixed ? color(fixed) : ofThreshold(value, field.thresholds);
      const figure = figures.appendChild(element('div', 'figure', said?.text ?? shown(field.decimals === 0 && field.unit === 'short' ? Math.round(value) : value, field.unit)));
      figure.style.fontSize = `${Math.min(34, panel.gridPos.h * 8 + 6)}px`;
      if (panel.options.textMode === 'value_and_name') figure.append(element('div', '', name));
      if (panel.options.colorMode === 'background') { frame.style.background = chosen; frame.classList.add('painted'); }
      else figure.style.color = chosen;
    }
    if (panel.options.graphMode === 'area') plot(panel, found.slice(0, 1), body, { spark: true });
  },
  timeseries(panel, answers, body) {
    const found = series(answers).filter(({ points }) => points.length);
    if (!found.length) return body.append(nothing(panel));
    plot(panel, found, body, {});
  },
  bargauge(panel, answers, body) {
    const field = panel.fieldConfig.defaults, found = series(answers);
    if (!found.length) return body.append(nothing(panel));
    const most = field.max ?? Math.max(...found.map(({ points }) => points[0][1]), 1e-9);
    for (const { name, points: [[, value]] } of found.sort((a, b) => b.points[0][1] - a.points[0][1])) {
      const line = body.appendChild(element('div', 'bar'));
      line.append(element('span', '', name));
      const bar = line.appendChild(element('div')).appendChild(element('div'));
      bar.style.width = `${Math.min(100, 100 * value / most)}%`;
      bar.style.background = ofThreshold(value, field.thresholds);
      line.append(element('span', '', shown(value, field.unit)));
    }
  },
  'state-timeline'(panel, answers, body) {
    const found = series(answers), field = panel.fieldConfig.defaults;
    if (!found.length) return body.append(nothing(panel));
    const { from, to } = DATA;
    for (const { name, points } of found) {
      const lane = body.appendChild(element('div', 'lane'));
      lane.style.height = `${Math.min(24, (body.clientHeight - 4) / found.length)}px`;
      lane.append(element('span', '', name));
      const place = lane.appendChild(element('div'));
      points.forEach(([at, value], index) => {
        const piece = place.appendChild(element('i'));
        const end = Math.min(points[index + 1]?.[0] ?? at + DATA.step, at + DATA.step);
        piece.style.left = `${100 * (at - from) / (to - from)}%`;
        piece.style.width = `calc(${100 * (end - at) / (to - from)}% + 1px)`;
        piece.style.background = color(mapped(value, field)?.color ?? 'text');
      });
    }
  },
  table(panel, answers, body) {
    const organize = panel.transformations?.find(({ id }) => id === 'organize').options;
    const rows = new Map();
    let headings;
    if (organize) {
      const order = Object.keys(organize.indexByName);
      headings = order.map((name) => organize.renameByName[name] ?? name);
      const labels = order.filter((name) => !name.startsWith('Value'));
      for (const { series: found = [], legend } of answers) for (const { metric, value } of found) {
        const key = metric[labels[0] === 'severity' ? 'alertname' : labels[0]] + (labels[0] === 'severity' ? JSON.stringify(metric) : '');
        const row = rows.get(key) ?? rows.set(key, {}).get(key);
        labels.forEach((label) => { if (metric[label] !== undefined) row[label] = metric[label]; });
        row[legend] = Number(value[1]);
      }
    } else {
      headings = [panel.targets[0].bucketAggs[0].field, 'Count'];
      for (const bucket of Object.values(answers[0]?.answer?.aggregations ?? {})[0]?.buckets ?? [])
        rows.set(bucket.key, { [headings[0]]: bucket.key, Count: bucket.doc_count });
    }
    if (!rows.size) return body.append(nothing(panel));
    headings = headings.filter((heading) => [...rows.values()].some((row) => row[heading] !== undefined));
    const made = body.appendChild(element('table'));
    const head = made.appendChild(element('tr'));
    headings.forEach((heading) => head.append(element('th', '', heading)));
    const { displayName: by, desc } = panel.options.sortBy?.[0] ?? {};
    const sorted = [...rows.values()].sort((a, b) => (a[by] === undefined || (desc ? a[by] < b[by] : a[by] > b[by]) ? 1 : -1));
    for (const row of sorted) {
      const line = made.appendChild(element('tr'));
      for (const heading of headings) {
        const field = overridden(panel, heading);
        const value = row[heading], said = mapped(value, field);
        const cell = line.appendChild(element('td', '', said?.text ?? (typeof value === 'number' ? shown(value, field.unit ?? 'short') : value ?? '')));
        if (said) cell.style.background = color(said.color);
        else if (field.thresholds && value !== undefined) {
          const paint = ofThreshold(value, field.thresholds);
          if (paint !== COLORS.text) cell.style.color = paint;
        }
        if (cell.style.background) { cell.style.color = '#fff'; cell.style.fontWeight = 600; }
        if (field.links) cell.style.color = '#6e9fff';
      }
    }
  },
  logs(panel, answers, body) {
    const paints = { error: 'red', warn: 'orange', info: 'green', debug: 'blue' };
    for (const { _source: source } of answers[0]?.answer?.hits?.hits ?? []) {
      const line = body.appendChild(element('div', 'log', `${source['@timestamp']}  ${source.message ?? JSON.stringify(source)}`));
      line.style.borderColor = color(paints[source.level] ?? 'text');
    }
  },
};

/** Lines, areas or bars over the time of the page. */
function plot(panel, found, body, { spark }) {
  const custom = panel.fieldConfig.defaults.custom ?? {}, unit = panel.fieldConfig.defaults.unit;
  const times = [...new Set(found.flatMap(({ points }) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const stacked = custom.stacking?.mode === 'normal', base = times.map(() => 0);
  const lines = found.map((one, index) => {
    const own = overridden(panel, one.name);
    const at = new Map(one.points), free = own['custom.stacking']?.mode === 'none';
    const values = times.map((time, place) => {
      const value = at.get(time);
      if (value === undefined || !Number.isFinite(value)) return stacked && !free ? base[place] : null;
      return stacked && !free ? (base[place] += value) : value;
    });
    return { name: one.name, values, last: one.points.at(-1)[1], dash: own['custom.lineStyle']?.dash,
      paint: own.color ? color(own.color.fixedColor) : spark ? ofThreshold(0, panel.fieldConfig.defaults.thresholds ?? { steps: [{ value: null, color: 'blue' }] }) : PALETTE[index % PALETTE.length] };
  });
  const drawn = stacked ? [...lines].reverse() : lines;
  if (spark) { const holder = body.appendChild(element('div')); holder.style.cssText = 'position:absolute;left:0;right:0;bottom:0;height:45%;opacity:.6'; draw(holder); return; }
  const holder = body.appendChild(element('div'));
  const tall = panel.options.legend.displayMode === 'table';
  const legend = element('div', tall ? 'legend tall' : 'legend');
  body.append(legend);
  for (const { name, paint, last } of tall ? [...lines].sort((a, b) => b.last - a.last) : lines) {
    const entry = legend.appendChild(element('span'));
    entry.appendChild(element('i')).style.background = paint;
    entry.append(tall ? `${name}: ${shown(last, unit)}` : name);
  }
  holder.style.height = `${body.clientHeight - legend.clientHeight - 2}px`;
  draw(holder);
  function draw(place) {
    const fill = stacked ? 'cc' : custom.fillOpacity > 20 ? '88' : '18';
    const axis = { stroke: '#8e8e9d', grid: { stroke: '#23252b', width: 1 }, ticks: { show: false }, font: '11px Inter', };
    new uPlot({
      width: place.clientWidth, height: place.clientHeight, legend: { show: false }, cursor: { show: false },
      padding: spark ? [0, 0, 0, 0] : [8, 8, 0, 0],
      scales: { x: { range: [DATA.from, DATA.to] }, y: { distr: custom.scaleDistribution?.type === 'log' ? 3 : 1,
        range: custom.scaleDistribution?.type === 'log' ? undefined : (_, low, high) => [panel.fieldConfig.defaults.min ?? Math.min(custom.axisSoftMin ?? low, low), panel.fieldConfig.defaults.max ?? (high > low || high > 0 ? high * 1.1 : 1)] } },
      axes: [{ ...axis, show: !spark, values: (_, ticks) => ticks.map((at) => new Date(at * 1000).toTimeString().slice(0, 5)) },
        { ...axis, show: !spark, size: 64, values: (_, ticks) => ticks.map((value) => value === null ? '' : shown(value, unit)) }],
      series: [{}, ...drawn.map(({ name, paint, dash }) => ({ label: name, stroke: paint, width: 1.5, dash, points: { show: false }, spanGaps: false,
        fill: dash ? undefined : `${paint}${fill}`, paths: custom.drawStyle === 'bars' && !dash ? uPlot.paths.bars({ size: [0.9] }) : undefined }))],
    }, [times, ...drawn.map(({ values }) => values)], place);
  }
}

document.body.append(element('header'));
document.querySelector('header').append(element('h1', '', DATA.title), element('p', '', DATA.description));
const nav = document.body.appendChild(element('nav'));
for (const { name, label, type, query, includeAll } of DATA.variables.filter(({ hide }) => hide === 0)) {
  const choice = nav.appendChild(element('span', '', `${label} `));
  choice.append(element('b', '', type === 'textbox' ? query : type === 'datasource' ? 'default' : includeAll ? 'All' : DATA.offers[name]?.[0] ?? 'None'));
}
const grid = document.body.appendChild(element('div'));
grid.id = 'grid';
let bottom = 0;
for (const { panel, answers } of DATA.panels) {
  const { x, y, w, h } = panel.gridPos;
  bottom = Math.max(bottom, (y + h) * UNIT);
  const frame = grid.appendChild(element('div', panel.type === 'row' ? 'row' : 'panel'));
  frame.style.cssText = `left:${x * COLUMN}px;top:${y * UNIT}px;width:${w * COLUMN - GAP}px;height:${h * UNIT - GAP}px`;
  if (panel.type === 'row') { frame.textContent = `⌄ ${panel.title}`; continue; }
  frame.append(element('h2', '', panel.title));
  const body = frame.appendChild(element('div', 'body'));
  DRAW[panel.type](panel, answers, body, frame);
}
grid.style.height = `${bottom}px`;
document.title = String(bottom + 90);
