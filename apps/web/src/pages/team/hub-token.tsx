import type { Wire } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Checkbox, TextArea, TextField } from '../../components/forms/field.tsx';
import { ConfirmButton, Form, useForm } from '../../components/forms/form.tsx';
import { Problem } from '../../components/problem.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePermission } from '../../data/session.ts';
import { splitWords } from '../../text/words.ts';

const queryKey = ['integrations'];
const invalidates = [queryKey, ['audit']];

/** The team's token of the Hugging Face Hub, with which versions and exports are published. The token itself is never shown. */
export function HubToken() {
  const { data, error, refetch } = useQuery({ queryKey, queryFn: () => graft.integrations.list() });
  const canWrite = usePermission('integrations:write', 'admin');
  if (error) return <Problem error={error} onRetry={refetch} />;
  const stored = data?.find(({ type }) => type === 'huggingface');
  return (
    <>
      <section class="panel stack">
        <p class="soft">
          Graft publishes versions and exports on the Hub with this token. It is stored encrypted and never
          shown again.
        </p>
        {data && (
          <p>
            {stored ? (
              <>
                A token for <code>{stored.url}</code> is stored, set <Time at={stored.updated_at} /> by{' '}
                {stored.created_by ?? 'an unknown maker'}.
                {!stored.enabled && ` It is disabled: ${stored.disabled_reason} Save a token to enable it.`}
              </>
            ) : (
              'No token is stored.'
            )}
          </p>
        )}
        {canWrite && <TokenForm />}
        {canWrite && stored && (
          <div>
            <ConfirmButton
              button={{ kind: 'quiet', children: 'Delete token' }}
              title="Delete the token of the Hub?"
              action="Delete token"
              run={() => graft.integrations.delete('huggingface')}
              invalidates={invalidates}
            >
              <p>Publications that are not complete fail. Repositories on the Hub are not affected.</p>
            </ConfirmButton>
          </div>
        )}
      </section>
      <Rules canWrite={canWrite} />
    </>
  );
}

const rulesKey = ['publishing'];

/** To which repositories the team may publish. */
function Rules({ canWrite }: { canWrite: boolean }) {
  const { data, error, refetch } = useQuery({ queryKey: rulesKey, queryFn: () => graft.team.publishing() });
  if (error) return <Problem error={error} onRetry={refetch} />;
  if (!data) return null;
  const { repositories } = data;
  return (
    <section class="panel stack">
      <h2>Allowed repositories</h2>
      <p>
        {repositories.length === 0
          ? 'The team may publish to no repository yet.'
          : `The team may publish to ${repositories.join(', ')}, ${data.public ? 'also in public' : 'never in public'}.`}
      </p>
      {canWrite && <RulesForm key={data.updated_at} rules={data} />}
    </section>
  );
}

function RulesForm({ rules }: { rules: Wire.PublishingRules }) {
  const form = useForm({
    initial: { repositories: rules.repositories.join('\n'), isPublic: rules.public },
    run: ({ repositories, isPublic }) =>
      graft.team.setPublishing({ repositories: splitWords(repositories), public: isPublic }),
    invalidates: [rulesKey, ['audit']],
  });
  return (
    <Form form={form} action="Save repositories">
      <TextArea
        label="Owners and repositories"
        rows={4}
        {...form.field('repositories')}
        spellcheck={false}
        hint="One each line: acme, acme/support or acme/support-*."
      />
      <Checkbox label="Allow public publications" {...form.toggle('isPublic')} />
    </Form>
  );
}

function TokenForm() {
  const form = useForm({
    initial: { secret: '' },
    run: ({ secret }) => graft.integrations.set('huggingface', { secret: secret.trim() }),
    invalidates,
    onDone: () => form.set({ secret: '' }),
  });
  return (
    <Form form={form} action="Save token">
      <TextField
        label="Token"
        type="password"
        autocomplete="off"
        {...form.field('secret')}
        required
        maxLength={4096}
        spellcheck={false}
        hint="With the right to write to the repositories of your organisation."
      />
    </Form>
  );
}
