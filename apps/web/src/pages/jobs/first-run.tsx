import { useMutation, useQuery, useQueryClient } from '@tanstack/preact-query';
import { useLocation } from 'wouter-preact';
import exampleJob from '../../../../../examples/bike-shop/job.json';
import exampleData from '../../../../../examples/bike-shop/train.jsonl?url';
import '../../styles/pages/first-run.css';
import { Button } from '../../components/forms/button.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { mergeJobs } from '../../data/jobs.ts';
import { useMay } from '../../data/session.ts';

/** Before the first job: what will happen here, and an example that can be trained at once. */
export function FirstRun() {
  const mayTrain = useMay('jobs:write');
  const mayUpload = useMay('files:write');
  return (
    <section class="first-run">
      <h2>Nothing has been trained here yet</h2>
      <p>
        A job takes a base model and a file of examples, and trains an adapter: a small file that changes what
        the model answers. You watch it learn, try it beside its base, and take it along or call it from here.
      </p>
      {mayTrain && mayUpload ? (
        <Example />
      ) : (
        <p class="soft">
          With your role you see what others train. A member of the team begins the first job.
        </p>
      )}
      <p class="small soft">
        Programs do the same by the API, in the wire format of OpenAI’s clients:{' '}
        <a href="/docs">its documentation</a>.
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
    <div class="first-run-example">
      <h3>Try it with an example</h3>
      <p>
        240 messages to a bicycle shop, each with the team that it belongs to and how urgent it is. The model
        learns to sort them, which takes a few minutes on two cores.
      </p>
      <blockquote>
        <p>“Gear cable broke, leaving for the Alps first thing tomorrow.”</p>
        <p>
          <code>workshop/urgent</code>
        </p>
      </blockquote>
      {bases?.length === 0 ? (
        <p>
          There is no base model yet: the operator of this service adds one with{' '}
          <code>graft admin base-models add</code>.
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
