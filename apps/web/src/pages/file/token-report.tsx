import type { ReportTokens } from '@graft/client';
import { Facts } from '../../components/lists/facts.tsx';
import { count } from '../../text/numbers.ts';
import { Histogram } from './histogram.tsx';
import { Preview } from './preview.tsx';

/** Length statistics and a preview of tokenized examples. */
export function TokenReport({ tokens, model }: { tokens: ReportTokens; model: string }) {
  const { lengths, preview, learnt } = tokens;
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
        </section>
      )}
      {preview.length > 0 && (
        <section class="panel file-part">
          <h3>Preview as tokenized for {model}</h3>
          <p class="soft">
            {learnt === null ? (
              'The model is trained to predict the class of each text.'
            ) : (
              <>
                Each box is a token, or the tokens of one character.{' '}
                <mark class="token-trained">Highlighted</mark> tokens count towards the loss.
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
