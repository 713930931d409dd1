import { useMutation, useQuery, useQueryClient } from '@tanstack/preact-query';
import { useLocation } from 'wouter-preact';
import exampleJob from '../../../../../examples/bike-shop/job.json';
import exampleData from '../../../../../examples/bike-shop/train.jsonl?url';
import { Button } from '../../components/forms/button.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { mergeJobs } from '../../data/jobs.ts';
import { usePermission } from '../../data/session.ts';

/** Shown before the team's first job: an explanation, and an example to train. */
export function FirstRun() {
  const canTrain = usePermission('jobs:write');
  const canUpload = usePermission('files:write');
  return (
    <section class="first-run stack">
      <h2>No jobs yet</h2>
      <p>
        A job trains an adapter from a base model and a file of examples. An adapter is a small file that
        changes the model's answers. You can follow the training, compare the result with the base model, call
        it through the API, or download it.
      </p>
      {canTrain && canUpload ? (
        <Example />
      ) : (
        <p class="soft">You have read-only access. A team member can start the first job.</p>
      )}
      <p class="small soft">
        The API is compatible with OpenAI’s clients: <a href="/docs">API reference</a>.
      </p>
    </section>
  );
}

function Example() {
  const cache = useQueryClient();
  const [, go] = useLocation();
  const { data: models, error } = useQuery({ queryKey: ['models'], queryFn: () => graft.models.list() });
  const bases = models?.filter(({ base_model }) => base_model === null).map(({ id }) => id);
  const base = bases?.includes(exampleJob.model) ? exampleJob.model : bases?.[0];
  const train = useMutation({
    mutationFn: async (model: string) => {
      const response = await fetch(exampleData);
      const content = new File([await response.blob()], 'bike-shop.jsonl', { type: 'application/jsonl' });
      const { id } = await graft.files.upload({ file: content, purpose: 'fine-tune' });
      return await graft.fineTuning.jobs.create({ ...exampleJob, model, training_file: id });
    },
    onSuccess: (job) => {
      mergeJobs(cache, [job]);
      go(`/jobs/${job.id}`);
    },
  });
  return (
    <div class="first-run-example panel card">
      <h3>Try it with an example</h3>
      <p>
        240 messages to a bicycle shop, labelled with a team and an urgency. The model learns to classify
        them, which takes a few minutes on two CPU cores.
      </p>
      <blockquote>
        <p>“Gear cable broke, leaving for the Alps first thing tomorrow.”</p>
        <p>
          <code>workshop/urgent</code>
        </p>
      </blockquote>
      {bases?.length === 0 ? (
        <p>
          There is no base model yet. The operator can add one with <code>graft admin base-models add</code>.
        </p>
      ) : (
        <Button
          kind="main"
          icon="play"
          busy={train.isPending}
          disabled={!base}
          onClick={() => base && train.mutate(base)}
        >
          {train.isPending ? 'Uploading…' : 'Train the example'}
        </Button>
      )}
      {(train.error ?? error) && <Problem error={train.error ?? error} />}
    </div>
  );
}
