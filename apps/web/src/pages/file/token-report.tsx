import type { ReportTokens } from '@graft/client';
import { Facts } from '../../components/lists/facts.tsx';
import { count } from '../../text/numbers.ts';
import { Histogram } from './histogram.tsx';
import { Preview, roleNames } from './preview.tsx';

const titled = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** Such as "Line 1"; of several examples of a line "Line 1, example 2". */
function nameOf(preview: ReportTokens['preview'], index: number): string {
  const { line } = preview[index]!;
  const parts = preview.flatMap((each, i) => (each.line === line ? [i] : []));
  const part = parts.length > 1 ? `, example ${parts.indexOf(index) + 1}` : '';
  return `Line ${count(line)}${part}`;
}

/** Length statistics and a preview of tokenized examples. */
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

/** The first examples, token by token, with a legend. */
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
