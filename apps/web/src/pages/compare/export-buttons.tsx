import { seriesNames, useColours } from '../../components/chart/colours.ts';
import type { CurveView } from '../../components/chart/curve-view.tsx';
import { Button } from '../../components/forms/button.tsx';
import { toastError } from '../../components/toast.tsx';
import { saveFile } from '../../data/save-file.ts';
import { chartPng, chartSvg } from './chart-svg.ts';
import { type Compared, type ComparedLines, uniqueNames } from './compared-lines.ts';

/** Exports the loss curves as an image or as CSV. */
export function ExportButtons({
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
      const loss = row.stretch?.loss_mean ?? row.loss;
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
