import type { Webhook, WebhookEventType, WebhookWithSecret } from '@graft/client';
import { useState } from 'preact/hooks';
import { Checkbox, TextField } from '../../../components/forms/field.tsx';
import { FormDialog } from '../../../components/forms/form.tsx';
import { faultOf, restOf, useAction } from '../../../data/action.ts';
import { graft } from '../../../data/graft.ts';

/** Every kind, in the order of a job's life; the compiler says when the API has another. */
const eventTexts: Record<WebhookEventType, string> = {
  'fine_tuning.job.running': 'A job runs',
  'fine_tuning.job.paused': 'A job is paused',
  'fine_tuning.job.succeeded': 'A job succeeded',
  'fine_tuning.job.failed': 'A job failed',
  'fine_tuning.job.cancelled': 'A job was cancelled',
  'budget.warning': 'The budget is nearly spent',
  'budget.exceeded': 'The budget is spent',
};
const eventNames = Object.keys(eventTexts) as WebhookEventType[];
const usual: WebhookEventType[] = [
  'fine_tuning.job.succeeded',
  'fine_tuning.job.failed',
  'fine_tuning.job.cancelled',
];

/** A new endpoint, or changes of one. */
export function WebhookForm({
  of: webhook,
  onDone,
  onClose,
}: {
  of?: Webhook;
  onDone: (webhook: Webhook | WebhookWithSecret) => void;
  onClose: () => void;
}) {
  const [url, setUrl] = useState(webhook?.url ?? '');
  const [description, setDescription] = useState(webhook?.description ?? '');
  const [events, setEvents] = useState<readonly WebhookEventType[]>(webhook?.events ?? usual);
  const [isNone, setIsNone] = useState(false);
  const save = useAction({
    run: async (form: {
      url: string;
      description: string | null;
      events: WebhookEventType[];
    }): Promise<Webhook | WebhookWithSecret> =>
      webhook ? await graft.webhooks.update(webhook.id, form) : await graft.webhooks.create(form),
    touches: [['webhooks'], ['webhook'], ['audit']],
    quiet: true,
    onDone,
  });
  const submit = () => {
    setIsNone(events.length === 0);
    if (events.length === 0) return;
    save.mutate({ url: url.trim(), description: description.trim() || null, events: [...events] });
  };
  return (
    <FormDialog
      title={webhook ? 'Change the endpoint' : 'Add an endpoint'}
      action={webhook ? 'Save' : 'Add it'}
      busy={save.isPending}
      error={restOf(save.error, ['url', 'description'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label="Address"
        type="url"
        autofocus
        placeholder="https://example.com/graft"
        value={url}
        onValue={setUrl}
        error={faultOf(save.error, 'url')}
      />
      <TextField
        label="Note"
        maxLength={256}
        value={description}
        onValue={setDescription}
        error={faultOf(save.error, 'description')}
      />
      <fieldset class="checks">
        <legend>It is told when</legend>
        {eventNames.map((name) => (
          <Checkbox
            key={name}
            label={eventTexts[name]}
            checked={events.includes(name)}
            onChecked={(isOn) => setEvents(isOn ? [...events, name] : events.filter((each) => each !== name))}
          />
        ))}
        {isNone && (
          <p class="small field-error" role="alert">
            Choose at least one: an endpoint that is told nothing is of no use.
          </p>
        )}
      </fieldset>
    </FormDialog>
  );
}
