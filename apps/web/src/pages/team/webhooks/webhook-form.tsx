import type { Webhook, WebhookEventType, WebhookWithSecret } from '@graft/client';
import { CheckboxGroup, TextField } from '../../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../../components/forms/form.tsx';
import { graft } from '../../../data/graft.ts';

/** Labels of all event types. The type check fails if the API has a new one. */
const eventTexts: Record<WebhookEventType, string> = {
  'fine_tuning.job.running': 'Job running',
  'fine_tuning.job.paused': 'Job paused',
  'fine_tuning.job.succeeded': 'Job succeeded',
  'fine_tuning.job.failed': 'Job failed',
  'fine_tuning.job.cancelled': 'Job cancelled',
  'export.succeeded': 'Export succeeded',
  'export.failed': 'Export failed',
  'export.cancelled': 'Export cancelled',
  'budget.warning': 'Budget nearly spent',
  'budget.exceeded': 'Budget spent',
};
const eventOptions = Object.entries(eventTexts) as [WebhookEventType, string][];
const defaultEvents: WebhookEventType[] = [
  'fine_tuning.job.succeeded',
  'fine_tuning.job.failed',
  'fine_tuning.job.cancelled',
];

export function WebhookForm({
  webhook,
  onCreated,
  onClose,
}: {
  webhook?: Webhook;
  onCreated?: (webhook: WebhookWithSecret) => void;
  onClose: () => void;
}) {
  const form = useForm({
    initial: {
      url: webhook?.url ?? '',
      description: webhook?.description ?? '',
      events: webhook?.events ?? defaultEvents,
    },
    check: ({ events }) => (events.length === 0 ? { events: 'Select at least one event.' } : {}),
    run: async ({ url, description, events }): Promise<Webhook | WebhookWithSecret> => {
      const fields = { url: url.trim(), description: description.trim() || null, events };
      return webhook ? await graft.webhooks.update(webhook.id, fields) : await graft.webhooks.create(fields);
    },
    invalidates: [['webhooks'], ['webhook'], ['audit']],
    onDone: (saved) => {
      onClose();
      if ('secret' in saved) onCreated?.(saved);
    },
  });
  return (
    <FormDialog
      title={webhook ? 'Edit endpoint' : 'Add endpoint'}
      action={webhook ? 'Save' : 'Add'}
      form={form}
      onClose={onClose}
    >
      <TextField
        label="URL"
        type="url"
        autofocus
        placeholder="https://example.com/graft"
        {...form.field('url')}
      />
      <TextField label="Description" maxLength={256} {...form.field('description')} />
      <CheckboxGroup
        class="checks tight"
        label="Send these events"
        options={eventOptions}
        value={form.values.events}
        onValue={(events) => form.set({ events })}
        error={form.errorAt('events')}
      />
    </FormDialog>
  );
}
