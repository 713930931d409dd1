import type { Webhook, WebhookEventType, WebhookWithSecret } from '@graft/client';
import { useState } from 'preact/hooks';
import { Checkbox, TextField } from '../../../components/forms/field.tsx';
import { FormDialog } from '../../../components/forms/form.tsx';
import { fieldError, otherError, useAction } from '../../../data/action.ts';
import { graft } from '../../../data/graft.ts';

/** Labels of all event types. The type check fails if the API has a new one. */
const eventTexts: Record<WebhookEventType, string> = {
  'fine_tuning.job.running': 'Job running',
  'fine_tuning.job.paused': 'Job paused',
  'fine_tuning.job.succeeded': 'Job succeeded',
  'fine_tuning.job.failed': 'Job failed',
  'fine_tuning.job.cancelled': 'Job cancelled',
  'budget.warning': 'Budget nearly spent',
  'budget.exceeded': 'Budget spent',
};
const eventNames = Object.keys(eventTexts) as WebhookEventType[];
const defaultEvents: WebhookEventType[] = [
  'fine_tuning.job.succeeded',
  'fine_tuning.job.failed',
  'fine_tuning.job.cancelled',
];

/** Form to add or edit a webhook endpoint. */
export function WebhookForm({
  webhook,
  onDone,
  onClose,
}: {
  webhook?: Webhook;
  onDone: (webhook: Webhook | WebhookWithSecret) => void;
  onClose: () => void;
}) {
  const [url, setUrl] = useState(webhook?.url ?? '');
  const [description, setDescription] = useState(webhook?.description ?? '');
  const [events, setEvents] = useState<readonly WebhookEventType[]>(webhook?.events ?? defaultEvents);
  const [isMissing, setIsMissing] = useState(false);
  const save = useAction({
    run: async (form: {
      url: string;
      description: string | null;
      events: WebhookEventType[];
    }): Promise<Webhook | WebhookWithSecret> =>
      webhook ? await graft.webhooks.update(webhook.id, form) : await graft.webhooks.create(form),
    invalidates: [['webhooks'], ['webhook'], ['audit']],
    quiet: true,
    onDone,
  });
  const submit = () => {
    setIsMissing(events.length === 0);
    if (events.length === 0) return;
    save.mutate({ url: url.trim(), description: description.trim() || null, events: [...events] });
  };
  return (
    <FormDialog
      title={webhook ? 'Edit endpoint' : 'Add endpoint'}
      action={webhook ? 'Save' : 'Add'}
      busy={save.isPending}
      error={otherError(save.error, ['url', 'description'])}
      onSubmit={submit}
      onClose={onClose}
    >
      <TextField
        label="URL"
        type="url"
        autofocus
        placeholder="https://example.com/graft"
        value={url}
        onValue={setUrl}
        error={fieldError(save.error, 'url')}
      />
      <TextField
        label="Description"
        maxLength={256}
        value={description}
        onValue={setDescription}
        error={fieldError(save.error, 'description')}
      />
      <fieldset class="checks">
        <legend>Send these events</legend>
        {eventNames.map((name) => (
          <Checkbox
            key={name}
            label={eventTexts[name]}
            checked={events.includes(name)}
            onChecked={(isOn) => setEvents(isOn ? [...events, name] : events.filter((each) => each !== name))}
          />
        ))}
        {isMissing && (
          <p class="small field-error" role="alert">
            Select at least one event.
          </p>
        )}
      </fieldset>
    </FormDialog>
  );
}
