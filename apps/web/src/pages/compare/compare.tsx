import type { FileObject, FineTuningJob } from '@graft/client';
import { useQueries, useQuery, useQueryClient } from '@tanstack/preact-query';
import { useMemo } from 'preact/hooks';
import { Chart } from '../../components/chart/chart.tsx';
import { seriesNames, useColours } from '../../components/chart/colours.ts';
import { CurveOptions, type CurveView, useCurveView } from '../../components/chart/curve-view.tsx';
import { Cut } from '../../components/cut.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button, LinkButton } from '../../components/forms/button.tsx';
import { Select } from '../../components/forms/field.tsx';
import { Table } from '../../components/lists/table.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { toastError } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { useJobOptions } from '../../data/job-options.ts';
import { isFinished, jobKey } from '../../data/jobs.ts';
import { metricsOf, metricValue } from '../../data/metrics.ts';
import { saveFile } from '../../data/save-file.ts';
import { seriesOptions } from '../../data/series.ts';
import { trainingLoss, type XAxis } from '../../data/series-lines.ts';
import { useTrainingFiles } from '../../data/use-training-files.ts';
import { useQueryState } from '../../router/query-state.ts';
import { jobName, methodName } from '../../text/job-names.ts';
import { metricFormats } from '../../text/metric-formats.ts';
import { valueText } from '../../text/numbers.ts';
import { chartPng, chartSvg } from './chart-svg.ts';
import {
  type Compared,
  type ComparedLines,
  comparedEvaluations,
  comparedLines,
  uniqueNames,
} from './compared-lines.ts';
import { FinalMetrics } from './final-metrics.tsx';

/** One job per colour of the palette. */
const maxJobs = 8;
/** Poll interval for unfinished jobs, in milliseconds. */
const pollMs = 5_000;

/** Overlaid curves of several jobs, and the differences in their options. The job ids are in the URL. */
export function Compare() {
  const cache = useQueryClient();
  const [{ jobs }, setState] = useQueryState({ jobs: '' });
  const ids = [...new Set(jobs.split(',').filter(Boolean))].slice(0, maxJobs);
  const setIds = (next: string[]) => setState({ jobs: next.join() });
  const view = useCurveView();
  const results = useQueries({
    queries: ids.map((id) => ({
      queryKey: jobKey(id),
      queryFn: () => graft.fineTuning.jobs.retrieve(id),
      refetchInterval: (query: { state: { data?: FineTuningJob | undefined } }) =>
        query.state.data && isFinished(query.state.data.status) ? (false as const) : pollMs,
    })),
  });
  const loaded = results.flatMap(({ data }) => data ?? []);
  const series = useQueries({
    queries: loaded.map((job) => ({
      ...seriesOptions(cache, job, null),
      refetchInterval: isFinished(job.status) ? (false as const) : pollMs,
    })),
  });
  const compared = loaded.map(
    (job, i): Compared => ({ job, series: series[i]?.data ?? [], colour: ids.indexOf(job.id) }),
  );
  const fingerprint = compared
    .map(({ job, series: each }) => `${job.id} ${job.status} ${each.length}`)
    .join();
  const lines = useMemo(
    () => comparedLines(compared, view.xAxis, view.weight),
    [fingerprint, view.xAxis, view.weight],
  );
  const options = useJobOptions().data;
  const preferences = useMemo(
    () => preferenceCharts(compared, options, view.xAxis),
    [fingerprint, options, view.xAxis],
  );
  const missing = results.flatMap(({ error }, i) => (error ? [{ id: ids[i]!, error }] : []));
  const { window, onWindow, formatX, isLog } = view;
  const common = {
    window,
    onWindow,
    formatX,
    sync: 'compare',
    empty: series.some(({ isPending }) => isPending) ? '' : 'No values yet',
  };

  return (
    <>
      <PageHead
        title="Compare"
        actions={compared.length > 0 && <ExportButtons compared={compared} lines={lines} view={view} />}
      >
        <p class="soft">Training curves and differences in options.</p>
      </PageHead>
      <AddJob ids={ids} onAdd={(id) => setIds([...ids, id])} />
      {missing.map(({ id, error }) => (
        <Problem
          key={id}
          error={error}
          onRetry={() => setIds(ids.filter((each) => each !== id))}
          retry="Remove"
        />
      ))}
      {ids.length === 0 && (
        <Empty title="Choose jobs to compare">
          <p>Select jobs in the job list, or add them here. You can compare up to {maxJobs} jobs.</p>
          <LinkButton href="/jobs">Go to jobs</LinkButton>
        </Empty>
      )}
      {compared.length > 0 && (
        <>
          <FinalMetrics compared={compared} onRemove={(id) => setIds(ids.filter((each) => each !== id))} />
          <section class="stack" aria-label="Curves">
            <CurveOptions view={view} />
            <Chart title="Training loss" lines={lines.training} height={300} isLog={isLog} {...common} />
            <Chart title="Evaluation loss" lines={lines.evaluation} height={220} isLog={isLog} {...common} />
            {preferences.map(({ metric: { name, label, unit }, lines }) => (
              <Chart
                key={name}
                title={label}
                lines={lines}
                height={220}
                formatY={metricFormats[unit]}
                isShare={unit === 'share'}
                {...common}
              />
            ))}
          </section>
          {compared.length > 1 && <Differences compared={compared} />}
        </>
      )}
    </>
  );
}

/**
 * The metrics of jobs that learn from preferences, in evaluations, of which more or less is better: losses of different methods, or of
 * different betas, do not compare.
 */
function preferenceCharts(
  compared: readonly Compared[],
  options: Parameters<typeof metricsOf>[0],
  xAxis: XAxis,
) {
  const some = compared.filter(({ job }) => job.training.preference !== undefined);
  return metricsOf(
    options,
    some.map(({ job }) => job),
  )
    .filter(({ better, measured }) => better !== null && measured.includes('evaluation'))
    .map((metric) => ({
      metric,
      lines: comparedEvaluations(compared, xAxis, (row) => metricValue(metric, row)),
    }))
    .filter(({ lines }) => lines.length > 0);
}

function AddJob({ ids, onAdd }: { ids: readonly string[]; onAdd: (id: string) => void }) {
  const { data } = useQuery({
    queryKey: ['latest-jobs'],
    queryFn: () => graft.fineTuning.jobs.list({ limit: 100 }).toArray(100),
  });
  const others = (data ?? []).filter(({ id, progress }) => !ids.includes(id) && progress !== null);
  if (ids.length >= maxJobs) return null;
  return (
    <div class="compare-add">
      <Select
        label="Add job"
        value=""
        onValue={(id) => id && onAdd(id)}
        options={[
          ['', others.length > 0 ? 'Select a recent job…' : 'No other jobs'],
          ...others.map((job) => [job.id, `${jobName(job)} · ${methodName(job)} · ${job.model}`] as const),
        ]}
      />
    </div>
  );
}

interface Row {
  option: string;
  values: string[];
}

/** The options that differ between the jobs, including data and seed. */
function Differences({ compared }: { compared: readonly Compared[] }) {
  const names = uniqueNames(compared);
  const files = useTrainingFiles().data ?? noFiles;
  const rows = findDifferences(compared, files);
  return (
    <section class="panel">
      <h2>Differences</h2>
      {rows.length === 0 ? (
        <p class="soft">None: the jobs have the same configuration, data and seed.</p>
      ) : (
        <Table
          label="Differences"
          minWidth={`${14 + 10 * compared.length}rem`}
          rows={rows}
          rowKey={({ option }) => option}
          columns={[
            { head: 'Option', width: '14rem', cell: ({ option }) => <code>{option}</code> },
            ...compared.map((_, i) => ({
              head: <Cut text={names[i]} />,
              cell: ({ values }: Row) => values[i],
            })),
          ]}
        />
      )}
    </section>
  );
}

const noFiles: readonly FileObject[] = [];

/** Files are shown by their names, and equal if their bytes are. */
function findDifferences(compared: readonly Compared[], files: readonly FileObject[]): Row[] {
  const options = compared.map(({ job }): Record<string, unknown> => {
    const { model, start_from, training_file, validation_file, training_files, validation_files } = job;
    const data = { training_file, validation_file, training_files, validation_files };
    const { preference, ...training } = job.training;
    return { model, start_from, ...data, method: job.method.type, ...preference, ...training, ...job.peft };
  });
  const names = [...new Set(options.flatMap((each) => Object.keys(each)))];
  const known = new Map(files.map((file) => [file.id, file]));
  const textWith = (value: unknown, read: (file: FileObject) => string) =>
    valueText(value).replaceAll(/file-\w+/g, (id) => {
      const file = known.get(id);
      return file ? read(file) : id;
    });
  return names.flatMap((option) => {
    const values = options.map((each) => each[option]);
    const isFile = /^(training|validation)_files?$/.test(option);
    const contents = values.map((value) =>
      isFile ? textWith(value, ({ sha256 }) => sha256) : valueText(value),
    );
    if (new Set(contents).size === 1) return [];
    const shown = values.map((value) =>
      isFile ? textWith(value, ({ filename }) => filename) : valueText(value),
    );
    // Different files of one name also have the beginning of their digest.
    const isClear = new Set(shown).size === new Set(contents).size;
    return [
      {
        option,
        values: isClear
          ? shown
          : values.map((value) => textWith(value, (file) => `${file.filename} (${file.sha256.slice(0, 8)})`)),
      },
    ];
  });
}

function ExportButtons({
  compared,
  lines,
  view,
}: {
  compared: readonly Compared[];
  lines: ComparedLines;
  view: CurveView;
}) {
  const colours = useColours(['ink', 'ink-soft', 'line', 'surface', ...seriesNames]);
  const svg = () =>
    chartSvg('Training loss', lines.training, {
      ...view,
      colours: { ...colours, series: seriesNames.map((name) => colours[name]) },
    });
  const savePng = async () => {
    try {
      saveFile('loss.png', 'image/png', [await chartPng(svg())]);
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <>
      <Button icon="download" onClick={savePng}>
        PNG
      </Button>
      <Button icon="download" onClick={() => saveFile('loss.svg', 'image/svg+xml', [svg()])}>
        SVG
      </Button>
      <Button icon="download" onClick={() => saveFile('loss.csv', 'text/csv', [toCsv(compared)])}>
        CSV
      </Button>
    </>
  );
}

/** One row per point of the charts, which are downsampled for long series. */
function toCsv(compared: readonly Compared[]): string {
  const names = uniqueNames(compared);
  const rows = compared.flatMap(({ job, series }, i) =>
    series.map((row) => {
      const loss = trainingLoss(row);
      const metrics = [row.token_accuracy, row.learning_rate, row.grad_norm];
      return [job.id, names[i], row.kind, row.step, row.epoch, loss, ...metrics].map(cell).join();
    }),
  );
  return `job,name,kind,step,epoch,loss,token_accuracy,learning_rate,grad_norm\n${rows.join('\n')}\n`;
}

/** A CSV cell, quoted if necessary. An apostrophe keeps spreadsheets from reading text as a formula. */
function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value.replace(/^[=+@-]/, "'$&") : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
