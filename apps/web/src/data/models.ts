import { GraftApiError } from '@graft/client';
import { useQuery, useQueryClient } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { useMay } from './session.ts';

/** What requests may name as `model`: base models and what the team made of them, newest first. */
export function useModels() {
  return useQuery({
    queryKey: ['models'],
    queryFn: () => graft.models.list(),
    enabled: useMay('models:read', 'viewer'),
    staleTime: 30_000,
  });
}

/** The system prompt that a model was trained with; null: none, or none that is known. */
async function systemPromptOf(model: string): Promise<string | null> {
  try {
    const { adapter, job } = await graft.models.retrieve(model);
    if (adapter) return (await graft.adapters.versions.retrieve(adapter.id, adapter.version)).system_prompt;
    // A checkpoint.
    return job && (await graft.fineTuning.jobs.retrieve(job)).system_prompt;
  } catch (error) {
    // Half a name that is still being written, or a key that may call the model and read nothing else.
    if (error instanceof GraftApiError && [403, 404].includes(error.status)) return null;
    throw error;
  }
}

/** The system prompt of the last of these models that was fine-tuned: `value` as soon as it is known, `read` waits for it. */
export function useSystemPrompt(models: readonly string[]): {
  model: string | null;
  value: string | null;
  read: () => Promise<string | null>;
} {
  const cache = useQueryClient();
  const mayRead = [useMay('models:read', 'viewer'), useMay('adapters:read', 'viewer')].every(Boolean);
  const model = models.findLast((name) => name.startsWith('ft:')) ?? null;
  const query = {
    queryKey: ['system-prompt', model],
    queryFn: () => systemPromptOf(model!),
    staleTime: 300_000,
  };
  const isAsked = model !== null && mayRead;
  const { data = null } = useQuery({ ...query, enabled: isAsked });
  return {
    model,
    value: data,
    // Where it cannot be read the question is asked all the same.
    read: async () => (isAsked ? await cache.fetchQuery(query).catch(() => null) : null),
  };
}
