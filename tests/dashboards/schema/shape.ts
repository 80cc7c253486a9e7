// What a dashboard file may say, from the types that Grafana publishes: a panel's options are those of its kind.
import type { AnnotationQuery, Dashboard as AnyDashboard, FieldConfig, Panel, RowPanel } from 'grafana/dashboard';
import type * as BarGauge from 'grafana/composable/bargauge/panelcfg';
import type * as Logs from 'grafana/composable/logs/panelcfg';
import type * as Stat from 'grafana/composable/stat/panelcfg';
import type * as StateTimeline from 'grafana/composable/statetimeline/panelcfg';
import type * as Table from 'grafana/composable/table/panelcfg';
import type * as TimeSeries from 'grafana/composable/timeseries/panelcfg';
import type { ElasticsearchDataQuery } from 'grafana/composable/elasticsearch/dataquery';

/** Enums as the strings and numbers that JSON has for them. */
type Plain<T> =
  T extends string ? `${T}`
  : T extends number ? (`${T}` extends `${infer N extends number}` ? N : number)
  : T extends (infer E)[] ? Plain<E>[]
  : T extends object ? { [K in keyof T]: Plain<T[K]> }
  : T;

/** A Prometheus query, as the data source's editor writes it. */
interface PrometheusQuery {
  refId: string;
  datasource: { type: 'prometheus'; uid: string };
  editorMode: 'code' | 'builder';
  expr: string;
  legendFormat: string;
  instant: boolean;
  range: boolean;
  format?: 'time_series' | 'table' | 'heatmap';
  exemplar?: boolean;
}
type Query = PrometheusQuery | (ElasticsearchDataQuery & { datasource: { type: 'elasticsearch'; uid: string } });

interface Of<Kind extends string, Options, Custom = Record<string, never>>
  extends Omit<Panel, 'type' | 'options' | 'fieldConfig' | 'targets'> {
  type: Kind;
  title: string;
  description: string;
  options: Partial<Options>;
  fieldConfig: {
    defaults: Omit<FieldConfig, 'custom'> & { custom?: Partial<Custom> };
    overrides: NonNullable<Panel['fieldConfig']>['overrides'];
  };
  targets: Query[];
}

type AnyPanel =
  | Of<'bargauge', BarGauge.Options>
  | Of<'logs', Logs.Options>
  | Of<'stat', Stat.Options>
  | Of<'state-timeline', StateTimeline.Options, StateTimeline.FieldConfig>
  | Of<'table', Table.Options, Table.FieldConfig>
  | Of<'timeseries', TimeSeries.Options, TimeSeries.FieldConfig>
  | RowPanel;

/** An annotation of the Prometheus data source, whose query stands beside Grafana's own fields. */
interface Annotation extends AnnotationQuery {
  expr: string;
  step: string;
  titleFormat: string;
  textFormat: string;
  useValueForTime: boolean;
}

export type Dashboard = Plain<
  Omit<AnyDashboard, 'panels' | 'annotations'> & { annotations: { list: Annotation[] }; panels: AnyPanel[] }
>;
