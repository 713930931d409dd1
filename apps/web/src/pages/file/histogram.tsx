import { count, counted } from '../../text/numbers.ts';

interface Bin {
  from: number;
  to: number;
  examples: number;
}

const height = 120;
const span = ({ from, to }: Bin) => (from === to ? count(from) : `${count(from)}–${count(to)}`);

/** How many examples have so many tokens; those over `limit` stand out. The table below it says the same in words. */
export function Histogram({ bins, limit }: { bins: readonly Bin[]; limit: number }) {
  const most = Math.max(1, ...bins.map(({ examples }) => examples));
  const [first, last] = [bins[0], bins.at(-1)];
  if (!first || !last) return null;
  return (
    <figure class="histogram">
      <svg viewBox={`0 0 ${bins.length} ${height}`} preserveAspectRatio="none" aria-hidden="true">
        {bins.map((bin, i) => {
          // What is there at all can be seen.
          const tall = bin.examples === 0 ? 0 : Math.max(2, (bin.examples / most) * height);
          return (
            <rect
              key={bin.from}
              x={i + 0.06}
              width={0.88}
              y={height - tall}
              height={tall}
              data-over={bin.from > limit}
            >
              <title>{`${span(bin)} tokens: ${count(bin.examples)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="small soft">
        <span>{count(first.from)}</span>
        <span>tokens; the tallest bar is {counted(most, 'example')}</span>
        <span>{count(last.to)}</span>
      </figcaption>
      <details>
        <summary class="small">As a table</summary>
        <table>
          <thead>
            <tr>
              <th scope="col">Tokens</th>
              <th scope="col">Examples</th>
            </tr>
          </thead>
          <tbody>
            {bins.map((bin) => (
              <tr key={bin.from}>
                <th scope="row">
                  {span(bin)}
                  {bin.from > limit && ' (too long)'}
                </th>
                <td>{count(bin.examples)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}
