import type { ReportTokens } from '@graft/client';
import { Facts } from '../../components/lists/facts.tsx';
import { count } from '../../text/numbers.ts';
import { Histogram } from './histogram.tsx';
import { Preview } from './preview.tsx';

/** How long the examples are, and some of them as the model sees them. */
export function TokenReport({ tokens, model }: { tokens: ReportTokens; model: string }) {
  const { lengths, preview, learnt } = tokens;
  return (
    <>
      {lengths && (
        <section class="file-part">
          <h3>Tokens in an example</h3>
          <Facts
            facts={[
              { name: 'Shortest', value: count(lengths.min) },
              { name: 'Half have at most', value: count(lengths.p50) },
              { name: 'Nine of ten', value: count(lengths.p90) },
              { name: '99 of 100', value: count(lengths.p99) },
              { name: 'Longest', value: count(lengths.max) },
              { name: 'Mean', value: count(Math.round(lengths.mean)) },
            ]}
          />
          <Histogram bins={lengths.histogram} limit={tokens.max_seq_length} />
        </section>
      )}
      {preview.length > 0 && (
        <section class="file-part">
          <h3>Examples as {model} sees them</h3>
          <p class="soft">
            {learnt === null ? (
              'Each text is learnt as a whole, by its class.'
            ) : (
              <>
                Each box is a token, or the tokens of one character. <mark class="token-learnt">Marked</mark>{' '}
                ones are learnt; the others are only read.
              </>
            )}
          </p>
          {preview.map((example) => (
            <Preview key={example.line} example={example} />
          ))}
        </section>
      )}
    </>
  );
}
