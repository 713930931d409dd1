import type { ReportTokens } from '@graft/client';
import { Facts } from '../../components/lists/facts.tsx';
import { count, counted } from '../../text/numbers.ts';
import { Preview, roleNames } from './preview.tsx';

const titled = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Such as "Line 1"; of several examples of a line "Line 1, example 2". */
function nameOf(preview: ReportTokens['preview'], index: number): string {
  const { line } = preview[index]!;
  const parts = preview.flatMap((each, i) => (each.line === line ? [i] : []));
  const part = parts.length > 1 ? `, example ${parts.indexOf(index) + 1}` : '';
  return `Line ${count(line)}${part}`;
}

export function TokenReport({ tokens, model }: { tokens: ReportTokens; model: string }) {
  const { lengths, longest, by_role } = tokens;
  return (
    <>
      {lengths && (
        <section class="panel file-part">
          <h3>Tokens per example</h3>
          <Facts
            facts={[
              { name: 'Shortest', value: count(lengths.min) },
              { name: 'Median', value: count(lengths.p50) },
              { name: '90th percentile', value: count(lengths.p90) },
              { name: '99th percentile', value: count(lengths.p99) },
              { name: 'Longest', value: count(lengths.max) },
              { name: 'Mean', value: count(Math.round(lengths.mean)) },
            ]}
          />
          <Histogram bins={lengths.histogram} limit={tokens.max_seq_length} />
          {longest.length > 0 && (
            <p class="small">
              Longest examples:{' '}
              {longest.map(({ line, tokens }) => `line ${count(line)} (${count(tokens)})`).join(', ')}
            </p>
          )}
        </section>
      )}
      {by_role && (
        <section class="panel file-part">
          <h3>Tokens by role</h3>
          <Facts
            facts={by_role.map(({ role, tokens, learnt }) => ({
              name: titled(roleNames[role]),
              value: count(tokens),
              note: learnt > 0 ? `${count(learnt)} trained on` : null,
            }))}
          />
        </section>
      )}
      <ExamplePreviews tokens={tokens} model={model} />
    </>
  );
}

export function ExamplePreviews({ tokens, model }: { tokens: ReportTokens; model: string }) {
  const { preview, by_role, learnt } = tokens;
  if (preview.length === 0) return null;
  return (
    <section class="panel file-part">
      <h3>Preview as tokenized for {model}</h3>
      <p class="soft">
        {learnt === null ? (
          'The model is trained to predict the class of each text.'
        ) : (
          <>
            Each box is a token, or the tokens of one character.{' '}
            <mark class="token-trained">Highlighted</mark> tokens count towards the loss
            {by_role ? ', and colors show roles:' : '.'}
            {by_role?.map(({ role }) => (
              <span key={role} class="role-key" data-role={role}>
                {roleNames[role]}
              </span>
            ))}
            {preview.some(({ sequences }) => sequences.some(({ role }) => role === 'chosen')) && (
              <>
                {' '}
                <span data-differs>Underlined twice</span>: only in one of the two answers.
              </>
            )}
          </>
        )}
      </p>
      {preview.map((example, i) => (
        <Preview
          key={i}
          example={example}
          name={nameOf(preview, i)}
          labelled={learnt === null ? 'class' : 'judged'}
        />
      ))}
    </section>
  );
}

type Bin = NonNullable<ReportTokens['lengths']>['histogram'][number];

const height = 120;
const range = ({ from, to }: Bin) => (from === to ? count(from) : `${count(from)}–${count(to)}`);

/** Histogram of example lengths, and how many a maximum length would cut; bins over `limit` are highlighted. A table has the same numbers for screen readers. */
function Histogram({ bins, limit }: { bins: readonly Bin[]; limit: number }) {
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
