import type { Wire } from '@graft/client';
import { Button } from '../../components/forms/button.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { bytes, compact, count, counted, measure, percent } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import type { Faults } from './draft.ts';

type Plan = Wire.FineTuningPlan;

/** The job's estimate, or what is missing or invalid, and the button that creates it. */
export function EstimatePanel({
  plan,
  faults,
  missing,
  isStale,
  error,
  onRetry,
  onChange,
  isBusy,
}: {
  plan: Plan | null;
  faults: Faults;
  /** Required fields that are empty. */
  missing: readonly string[];
  isStale: boolean;
  error: unknown;
  onRetry: () => unknown;
  /** Applies options that make the job fit. */
  onChange: (training: Record<string, unknown>) => void;
  isBusy: boolean;
}) {
  const isReady = missing.length === 0 && faults.size === 0;
  return (
    <section class="estimate-panel stack card" aria-label="Estimate" aria-busy={isStale}>
      <div class="estimate-panel-text panel" role="status">
        {faults.size > 0 && <FaultList faults={faults} />}
        {missing.length > 0 ? (
          <p class="soft">Choose {missing.join(' and ')} to see an estimate.</p>
        ) : faults.size > 0 ? null : error ? (
          <Problem error={error} onRetry={onRetry} />
        ) : plan ? (
          <PlanView plan={plan} onChange={onChange} />
        ) : (
          <p class="soft">Estimating…</p>
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
    <h2>{counted(faults.size, 'problem')}</h2>
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
  const { learning_rate_if_known: known } = plan.training;
  return (
    <>
      <h2>Estimate</h2>
      <Facts
        facts={[
          { name: 'Time', value: duration(seconds) },
          { name: 'Memory', value: bytes(plan.peak_memory_bytes) },
          { name: 'Steps', value: count(plan.steps) },
          { name: 'Tokens', value: compact(plan.tokens) },
          { name: 'Trainable parameters', value: compact(trained), note: percent(trained / total) },
          {
            name: 'Learning rate',
            value: measure(plan.training.learning_rate),
            ...(known !== undefined && { note: `${measure(known)} if the base model gives these answers` }),
          },
        ]}
      />
      {plan.warnings?.map(({ param, message }) => (
        <p key={param} role="note">
          {message}
        </p>
      ))}
      <p class="small soft">
        {workers === 0
          ? 'No suitable worker is running. The job will wait for one.'
          : fits === null
            ? `${counted(workers, 'suitable worker')} running. Not all of them report their memory.`
            : fits
              ? `Fits: a ${plan.device === 'gpu' ? 'GPU' : 'CPU'} worker with ${bytes(plan.memory_bytes)} available is running.`
              : null}
      </p>
      {fits === false && (
        <div class="estimate-panel-unfit tight" role="alert">
          <p>
            Does not fit: the largest running worker has {bytes(plan.memory_bytes)}.
            {plan.changes.length > 0 ? ' Try:' : ' No change of options would make it fit.'}
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
