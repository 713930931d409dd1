import { GraftApiError } from '@graft/client';
import { useQuery, useQueryClient } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { usePermission } from './session.ts';

/** Base models and the team's fine-tuned models, newest first: valid values of `model` in requests. */
export function useModels() {
  return useQuery({
    queryKey: ['models'],
    queryFn: () => graft.models.list(),
    enabled: usePermission('models:read', 'viewer'),
    staleTime: 30_000,
  });
}

export function useBaseModels(): string[] {
  const { data = [] } = useModels();
  return data.flatMap(({ id, base_model }) => (base_model === null ? id : []));
}

/** The system prompt that a model was trained with; null: none or unknown. */
async function readSystemPrompt(model: string): Promise<string | null> {
  try {
    const { adapter, job } = await graft.models.retrieve(model);
    if (adapter) return (await graft.adapters.versions.retrieve(adapter.id, adapter.version)).system_prompt;
    // A checkpoint.
    return job && (await graft.fineTuning.jobs.retrieve(job)).system_prompt;
  } catch (error) {
    // An incomplete model name, or a key that can call the model but not read adapters or jobs.
    if (error instanceof GraftApiError && [403, 404].includes(error.status)) return null;
    throw error;
  }
}

/** The system prompt of the last fine-tuned model in the list: `value` once it is loaded; `read` waits for it. */
export function useSystemPrompt(models: readonly string[]): {
  model: string | null;
  value: string | null;
  read: () => Promise<string | null>;
} {
  const cache = useQueryClient();
  const canRead = [usePermission('models:read', 'viewer'), usePermission('adapters:read', 'viewer')].every(
    Boolean,
  );
  const model = models.findLast((name) => name.startsWith('ft:')) ?? null;
  const query = {
    queryKey: ['system-prompt', model],
    queryFn: () => readSystemPrompt(model!),
    staleTime: 300_000,
  };
  const isEnabled = model !== null && canRead;
  const { data = null } = useQuery({ ...query, enabled: isEnabled });
  return {
    model,
    value: data,
    // The prompt is sent even if the system prompt cannot be read.
    read: async () => (isEnabled ? await cache.fetchQuery(query).catch(() => null) : null),
  };
}
