import type { ReportJudgements, ReportPairs } from '@graft/client';
import { type Fact, Facts } from '../../components/lists/facts.tsx';
import { count, measure, percent } from '../../text/numbers.ts';

/** Pairs of chosen and rejected answers, with what a model may learn from their lengths. */
export function PairFacts({ pairs: { count: all, answers } }: { pairs: ReportPairs }) {
  return (
    <section class="panel file-part">
      <h3>Pairs</h3>
      <Facts facts={[{ name: 'Pairs', value: count(all) }, ...(answers ? lengthFacts(answers, all) : [])]} />
      {answers && isBiased(answers, all) && (
        <p class="small">
          Most {answers.chosen_longer > answers.rejected_longer ? 'chosen' : 'rejected'} answers are longer,
          so the model may learn {answers.chosen_longer > answers.rejected_longer ? 'long' : 'short'} answers
          rather than good ones. Method simpo compares answers by their mean log-probability per token.
        </p>
      )}
    </section>
  );
}

type Answers = NonNullable<ReportPairs['answers']>;

/** In a small file most answers may be longer by chance. */
const fewestPairs = 20;
const biasedShare = 0.7;

const isBiased = ({ chosen_longer, rejected_longer }: Answers, all: number): boolean =>
  all >= fewestPairs && Math.max(chosen_longer, rejected_longer) > biasedShare * all;

const lengthFacts = ({ chosen, rejected, chosen_longer, rejected_longer }: Answers, all: number): Fact[] => [
  { name: 'Chosen answer', value: `${measure(chosen)} tokens`, note: 'mean, trained on' },
  { name: 'Rejected answer', value: `${measure(rejected)} tokens`, note: 'mean, trained on' },
  { name: 'Chosen is longer', value: count(chosen_longer), note: percent(chosen_longer / all) },
  { name: 'Rejected is longer', value: count(rejected_longer), note: percent(rejected_longer / all) },
];

/** Answers that are judged one by one, and the weights for an unbalanced file. */
export function JudgementFacts({ judgements }: { judgements: ReportJudgements }) {
  const { desirable, undesirable, suggested_weights: weights } = judgements;
  const range = ({ from, to }: { from: number; to: number }) => `${measure(from)} to ${measure(to)}`;
  return (
    <section class="panel file-part">
      <h3>Judged answers</h3>
      <Facts
        facts={[
          { name: 'Desirable', value: count(desirable) },
          { name: 'Undesirable', value: count(undesirable) },
        ]}
      />
      {weights && (
        <p class="small">
          Desirable answers should weigh 1 to 1.33 times as much as undesirable ones. Set either
          desirable_weight to {range(weights.desirable_weight)} or undesirable_weight to{' '}
          {range(weights.undesirable_weight)}.
        </p>
      )}
      {(desirable === 0 || undesirable === 0) && (
        <p class="small">
          All answers are {desirable === 0 ? 'undesirable' : 'desirable'}. Method kto learns from the
          difference between both kinds: add some of the other kind.
        </p>
      )}
    </section>
  );
}
