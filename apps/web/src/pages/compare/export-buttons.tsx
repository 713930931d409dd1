import { seriesNames, useColours } from '../../components/chart/colours.ts';
import type { CurveView } from '../../components/chart/curve-view.tsx';
import { Button } from '../../components/forms/button.tsx';
import { toastError } from '../../components/toast.tsx';
import { chartPng, chartSvg } from './chart-svg.ts';
import { type Compared, type ComparedLines, namesOf } from './compared-lines.ts';

/** The loss curves as they are shown, as a picture or as numbers. */
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
  const asPng = async () => {
    try {
      save(await chartPng(svg()), 'loss.png');
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <>
      <Button icon="download" onClick={asPng}>
        PNG
      </Button>
      <Button icon="download" onClick={() => save(new Blob([svg()], { type: 'image/svg+xml' }), 'loss.svg')}>
        SVG
      </Button>
      <Button
        icon="download"
        onClick={() => save(new Blob([csvOf(compared)], { type: 'text/csv' }), 'loss.csv')}
      >
        CSV
      </Button>
    </>
  );
}

function save(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The download has begun by then.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A row for each point that is drawn: long series are summed up. */
function csvOf(compared: readonly Compared[]): string {
  const names = namesOf(compared);
  const rows = compared.flatMap(({ job, series }, i) =>
    series.map(({ kind, step, epoch, loss, token_accuracy, learning_rate, grad_norm, stretch }) =>
      [
        job.id,
        names[i],
        kind,
        step,
        epoch,
        stretch?.loss_mean ?? loss,
        token_accuracy,
        learning_rate,
        grad_norm,
      ]
        .map((value) => cell(value))
        .join(),
    ),
  );
  return `job,name,kind,step,epoch,loss,token_accuracy,learning_rate,grad_norm\n${rows.join('\n')}\n`;
}

/** Quoted where a comma or a quote is in it; what a spreadsheet would take for a formula is kept a text. */
function cell(value: unknown): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value.replace(/^[=+@-]/, "'$&") : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
