import type { Wire } from '@graft/client';
import { Button } from '../../components/forms/button.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { bytes, count, measure, percent, rough } from '../../text/numbers.ts';
import { span } from '../../text/times.ts';
import type { Faults } from './draft.ts';

type Plan = Wire.FineTuningPlan;

/** What the job comes to, or what is in its way; and the button. */
export function Outcome({
  plan,
  faults,
  missing,
  isOld,
  error,
  onRetry,
  onChange,
  isBusy,
}: {
  plan: Plan | null;
  faults: Faults;
  /** What is still to be chosen. */
  missing: readonly string[];
  isOld: boolean;
  error: unknown;
  onRetry: () => unknown;
  /** Takes over options with which it fits. */
  onChange: (training: Record<string, unknown>) => void;
  isBusy: boolean;
}) {
  const isReady = missing.length === 0 && faults.size === 0;
  return (
    <section class="outcome" aria-label="What it comes to" aria-busy={isOld}>
      <div class="outcome-text" role="status">
        {faults.size > 0 && <FaultList faults={faults} />}
        {missing.length > 0 ? (
          <p class="soft">Choose {missing.join(' and ')}: then this says what the job comes to.</p>
        ) : faults.size > 0 ? null : error ? (
          <Problem error={error} onRetry={onRetry} />
        ) : plan ? (
          <PlanView plan={plan} onChange={onChange} />
        ) : (
          <p class="soft">The data are looked at…</p>
        )}
      </div>
      <Button kind="main" type="submit" busy={isBusy} disabled={!isReady}>
        {plan && plan.trials > 1 ? `Start ${count(plan.trials)} trials` : 'Start training'}
      </Button>
    </section>
  );
}

const FaultList = ({ faults }: { faults: Faults }) => (
  <>
    <h2>{faults.size === 1 ? 'One thing to mend' : `${count(faults.size)} things to mend`}</h2>
    <ul>
      {[...faults].map(([param, message]) => (
        <li key={param}>
          {param && <code>{param}</code>} {message}
        </li>
      ))}
    </ul>
  </>
);

function PlanView({ plan, onChange }: { plan: Plan; onChange: (training: Record<string, unknown>) => void }) {
  const { trainable_parameters: trained, total_parameters: total, workers, seconds, fits } = plan;
  return (
    <>
      <h2>What it comes to</h2>
      <Facts
        facts={[
          { name: 'Time', value: span(seconds) },
          { name: 'Memory', value: bytes(plan.peak_memory_bytes) },
          { name: 'Steps', value: count(plan.steps) },
          { name: 'Tokens', value: rough(plan.tokens) },
          { name: 'Trained', value: rough(trained), note: percent(trained / total) },
          { name: 'Learning rate', value: measure(plan.training.learning_rate) },
        ]}
      />
      {plan.warnings?.map(({ param, message }) => (
        <p key={param} role="note">
          {message}
        </p>
      ))}
      <p class="small soft">
        {workers === 0
          ? 'No worker that could take it is running: it waits until one is.'
          : fits === null
            ? `${count(workers)} running ${workers === 1 ? 'worker' : 'workers'} could take it; not all say what memory they have.`
            : fits
              ? `It fits: ${plan.device === 'gpu' ? 'a GPU' : 'a CPU'} with ${bytes(plan.memory_bytes)} for it is running.`
              : null}
      </p>
      {fits === false && (
        <div class="outcome-unfit" role="alert">
          <p>
            It does not fit: the largest running worker has {bytes(plan.memory_bytes)}.
            {plan.changes.length > 0 ? ' It would with:' : ' No option changes that enough.'}
          </p>
          {plan.changes.map(({ training, peak_memory_bytes }) => (
            <Button
              key={JSON.stringify(training)}
              small
              onClick={() => onChange(training as Record<string, unknown>)}
            >
              {Object.entries(training)
                .map(([name, value]) => `${name} ${value}`)
                .join(', ')}{' '}
              ({bytes(peak_memory_bytes)})
            </Button>
          ))}
        </div>
      )}
    </>
  );
}
