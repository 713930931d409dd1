/** Bodies of requests that tests send. */
export function formOf(bytes: string): FormData {
  const form = new FormData();
  form.set('data', new Blob([bytes]), 'part');
  return form;
}

export function adapterForm(parent: string): FormData {
  const form = new FormData();
  form.set('base_model', 'tiny');
  form.set('name', 'x');
  form.set('parent', parent);
  form.append('file', new Blob(['{}']), 'adapter_config.json');
  form.append('file', new Blob(['x']), 'adapter_model.safetensors');
  return form;
}

export const targetOf = (adapter_id: string) => {
  const target = {
    name: 'x',
    runtime: 'vllm',
    url: 'http://127.0.0.1:9',
    tag: 'production',
    model_name: 'x',
    api_key: 'sk-x',
  };
  return { ...target, adapter_id };
};
