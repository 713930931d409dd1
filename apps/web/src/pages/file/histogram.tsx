import type { ReportTokens } from '@graft/client';
import { count, counted } from '../../text/numbers.ts';

type Bin = NonNullable<ReportTokens['lengths']>['histogram'][number];

const height = 120;
const range = ({ from, to }: Bin) => (from === to ? count(from) : `${count(from)}–${count(to)}`);

/** Histogram of example lengths, and how many a maximum length would cut; bins over `limit` are highlighted. A table has the same numbers for screen readers. */
export function Histogram({ bins, limit }: { bins: readonly Bin[]; limit: number }) {
  const max = Math.max(1, ...bins.map(({ examples }) => examples));
  const [first, last] = [bins[0], bins.at(-1)];
  if (!first || !last) return null;
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${bins.length} ${height}`} preserveAspectRatio="none" aria-hidden="true">
        {bins.map((bin, i) => {
          // At least 2 px, so that every non-empty bin is visible.
          const barHeight = bin.examples === 0 ? 0 : Math.max(2, (bin.examples / max) * height);
          return (
            <rect
              key={bin.from}
              x={i + 0.06}
              width={0.88}
              y={height - barHeight}
              height={barHeight}
              data-over={bin.from > limit}
            >
              <title>{`${range(bin)} tokens: ${count(bin.examples)}. A maximum of ${count(bin.to)} tokens would cut ${counted(bin.longer, 'example')}.`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="between small soft">
        <span>{count(first.from)}</span>
        <span>tokens per example; tallest bar: {counted(max, 'example')}</span>
        <span>{count(last.to)}</span>
      </figcaption>
      <details>
        <summary class="small">Show as table</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">Tokens</th>
              <th scope="col">Examples</th>
              <th scope="col">Longer</th>
            </tr>
          </thead>
          <tbody>
            {bins.map((bin) => (
              <tr key={bin.from}>
                <th scope="row">
                  {range(bin)}
                  {bin.from > limit && ' (too long)'}
                </th>
                <td>{count(bin.examples)}</td>
                <td>{count(bin.longer)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
