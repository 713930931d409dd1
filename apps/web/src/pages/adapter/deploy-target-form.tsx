import type { Adapter } from '@graft/client';
import { type RuntimeName, runtimeTitles } from '@graft/wire/lists';
import { Select, TextField } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
import { graft } from '../../data/graft.ts';

const runtimeOptions = Object.entries(runtimeTitles) as [RuntimeName, string][];

/** Form to add a runtime that follows a tag of the adapter. */
export function DeployTargetForm({
  adapter,
  invalidates,
  onClose,
}: {
  adapter: Adapter;
  invalidates: string[];
  onClose: () => void;
}) {
  const form = useForm({
    initial: {
      name: '',
      runtime: 'vllm' as RuntimeName,
      url: '',
      tag: adapter.tags[0]?.tag ?? 'production',
      model_name: adapter.name,
      folder: '',
      api_key: '',
    },
    run: async ({ folder, api_key, ...fields }) =>
      await graft.deployTargets.create({
        ...fields,
        adapter_id: adapter.id,
        ...(folder.trim() && { folder: folder.trim() }),
        ...(api_key && { api_key }),
      }),
    invalidates: [invalidates, ['audit']],
    onDone: onClose,
  });
  return (
    <FormDialog title="Add deploy target" action="Add" form={form} onClose={onClose}>
      <TextField label="Name" autofocus maxLength={64} {...form.field('name')} />
      <Select label="Runtime" {...form.field('runtime')} options={runtimeOptions} />
      <TextField
        label="URL"
        type="url"
        placeholder="https://vllm.example.com"
        hint="One server, without /v1."
        {...form.field('url')}
      />
      <TextField
        label="API key"
        type="password"
        autocomplete="off"
        hint="The key that the runtime was started with. Required if it is not on the internet."
        {...form.field('api_key')}
      />
      <TextField label="Tag" maxLength={32} {...form.field('tag')} />
      <TextField
        label="Model name"
        maxLength={128}
        hint="Requests to the runtime use this name and the version: support-v3."
        {...form.field('model_name')}
      />
      <TextField
        label="Folder"
        placeholder="/adapters"
        hint="Path at which the runtime sees your team's part of the shared folder, if it is another than here."
        {...form.field('folder')}
      />
    </FormDialog>
  );
}
