import { exportFormats, parseExportOptions } from '@graft/peft-core/exports';

export const created = 1_790_000_000;
export const adapterId = 'adpt-51e7c09a2f6b4d38';
export const sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const exportId = 'exp-7c09a2f6b4d3851e';
const exportPath = `/v1/adapters/${adapterId}/versions/1/exports/${exportId}`;
const publicationId = 'pub-5b3d8f21c7e04a96';
const repository = 'acme/poet';
const commit = '7c09a2f6b4d3851e4c1f0a9be27d4e357c09a2f6';
const exported = exportFormats[0]!;
const exportOptions = parseExportOptions(exported);

/** Values for examples of exports, publications and deploy targets: a part of `exampleValues`. */
export const examplesOfDeparture: Record<string, unknown> = {
  'AdapterExport.id': exportId,
  'DeletedAdapterExport.id': exportId,
  'AdapterExport.status': 'succeeded',
  'AdapterExport.format': exported.name,
  'AdapterExport.options': exportOptions,
  'AdapterExport.bytes': 269_060_552,
  'AdapterExport.reserved_bytes': 272_000_000,
  'AdapterExport.notes': [],
  'AdapterExport.keep': false,
  'AdapterExport.expires_at': created + 604_800,
  'AdapterExport.finished_at': created + 20,
  'AdapterExport.download_path': `${exportPath}/download`,
  'AdapterExport.files': [
    {
      path: 'model.safetensors',
      bytes: 269_060_552,
      sha256,
      download_path: `${exportPath}/download?path=model.safetensors`,
    },
  ],
  'CreateAdapterExport.format': exported.name,
  'CreateAdapterExport.options': exportOptions,
  'CreateAdapterExport.keep': false,
  'ChangeAdapterExport.keep': true,
  'AdapterExportFormatList.data': [
    {
      name: exported.name,
      object: 'adapter.export_format',
      title: exported.title,
      summary: exported.summary,
      runtimes: exported.runtimes,
      options: exported.options,
      refusal: null,
      bytes: 272_000_000,
    },
  ],
  export_id: exportId,
  publication_id: publicationId,
  'AdapterPublication.id': publicationId,
  'DeletedAdapterPublication.id': publicationId,
  'AdapterPublication.export_id': exportId,
  'AdapterPublication.format': exported.name,
  'AdapterPublication.repository': repository,
  'AdapterPublication.public': false,
  'AdapterPublication.card': true,
  'AdapterPublication.status': 'succeeded',
  'AdapterPublication.commit': commit,
  'AdapterPublication.url': `https://huggingface.co/${repository}/commit/${commit}`,
  'AdapterPublication.changed_files': 9,
  'AdapterPublication.bytes': 269_060_552,
  'AdapterPublication.attempts': 1,
  'AdapterPublication.finished_at': created + 20,
  'CreateAdapterPublication.repository': repository,
  'CreateAdapterPublication.export_id': exportId,
  'CreateAdapterPublication.public': false,
  'CreateAdapterPublication.card': true,
  'DeployTarget.id': 'dpt-7f31d0a9be27e4c5',
  'DeletedDeployTarget.id': 'dpt-7f31d0a9be27e4c5',
  'DeployTarget.url': 'https://vllm.acme.example',
  'DeployTarget.name': 'shop in Lyon',
  'DeployTarget.runtime': 'vllm',
  'DeployTarget.tag': 'production',
  'DeployTarget.folder': '/adapters',
  'DeployTarget.model_name': 'support',
  'DeployTarget.state': 'deployed',
  'DeployTarget.reason': null,
  'DeployTarget.deployed_version': 3,
  'DeployTarget.served_model': 'support-v3',
  'DeployTarget.failing_since': null,
  'DeployTarget.keep_seconds': 300,
};
