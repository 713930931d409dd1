/**
 * Every stable `code` of an error answer, its usual HTTP status and what it means: /docs lists them.
 * Clients retry 408, 409, 429 and ≥ 500, so nothing that a retry cannot mend has one of those.
 */
export const errorCodes = {
  // Requests
  invalid_json: [400, 'The body is not valid JSON in UTF-8.'],
  json_too_deep: [400, 'The body nests objects and arrays too deeply.'],
  unknown_parameter: [400, 'The request holds a parameter that does not exist; `param` names the first one.'],
  missing_required_parameter: [400, 'A required parameter is absent; `param` names the first one.'],
  invalid_value: [400, 'A parameter has the wrong type or is out of range.'],
  invalid_cursor: [400, '`after` names no object of this list.'],
  unsupported_parameter: [400, 'A parameter of the OpenAI API that Graft does not implement.'],
  bad_request: [400, 'The request is malformed.'],
  missing_api_key: [401, 'No `Authorization: Bearer` header.'],
  invalid_api_key: [401, 'The API key is wrong or revoked.'],
  insufficient_role: [403, 'The role of the API key does not allow this.'],
  unknown_url: [404, 'No such method and path.'],
  request_timeout: [408, 'The body did not arrive in time.'],
  body_too_large: [413, 'A JSON body is larger than 1 MB.'],
  unsupported_media_type: [415, 'The Content-Type is not one that this route reads.'],
  range_not_satisfiable: [416, 'The asked range lies outside the resource.'],
  idempotency_key_reused: [422, 'The Idempotency-Key was used before, with another body.'],
  internal_error: [500, 'A fault of the server; its log has the details under the x-request-id.'],
  service_unavailable: [503, 'The database is away; retry after the seconds of Retry-After.'],
  // Files
  file_not_found: [404, 'No such file. In the body of a new job: 400.'],
  invalid_jsonl: [400, 'Lines of the file are not training examples; the message lists all of them.'],
  empty_file: [400, 'The file holds no example.'],
  file_too_large: [413, 'The file is larger than this server accepts.'],
  file_in_use: [400, 'A job that has not finished reads the file.'],
  upload_incomplete: [400, 'The upload broke off or its multipart encoding is broken.'],
  // Jobs
  job_not_found: [404, 'No such fine-tuning job.'],
  invalid_file_purpose: [400, 'The file was not uploaded with purpose `fine-tune`.'],
  unsupported_method: [400, 'Only `supervised` fine-tuning is available.'],
  unsupported_integration: [400, '`integrations` must be empty or null.'],
  unknown_peft_type: [400, '`peft.peft_type` is not a PEFT method.'],
  unimplemented_peft_type: [400, 'A PEFT method that Graft does not implement.'],
  unknown_peft_option: [400, '`peft` holds a key that its method does not have.'],
  unimplemented_peft_option: [
    400,
    '`peft` holds an option of Hugging Face PEFT that Graft does not implement.',
  ],
  invalid_peft_config: [400, 'A value in `peft` has the wrong type, is out of range or contradicts another.'],
  unknown_training_option: [400, '`training` holds a key that does not exist.'],
  invalid_training_option: [400, 'A value in `training` is out of range or contradicts another.'],
  invalid_hyperparameter: [400, 'A value in `hyperparameters` cannot be used.'],
  target_modules_not_found: [400, '`target_modules` matches nothing; the message names the nearest modules.'],
  target_modules_required: [400, '`target_modules` must be given for this model.'],
  unsupported_model: [400, 'The architecture of the base model cannot be fine-tuned.'],
  rank_too_large: [400, 'The rank is larger than a matrix that it should factor.'],
  invalid_job_state: [400, 'The job is in a state that does not allow this.'],
  unsupported_task: [400, 'The model cannot be used for `peft.task_type`, or to write text.'],
  adapter_without_effect: [
    400,
    'On a failed job: the trained adapter answers exactly as the base model does.',
  ],
  adapter_not_reproduced: [500, 'On a failed job: the files, loaded again, are not the trained model.'],
  data_unfit_for_task: [400, 'Lines of this kind are not what `peft.task_type` learns from.'],
  invalid_labels: [400, 'On a failed job: the labels of the training file make no classes.'],
  invalid_training_file: [400, 'Examples are too long or empty. On a failed job: `error.code`.'],
  // Models and adapters
  model_not_found: [404, 'No such model. In the body of a new job: 400, naming the base models.'],
  base_model_changed: [400, 'The weights of the base model are not those that the adapter was trained on.'],
  base_model_unavailable: [
    500,
    'A base model of the catalogue cannot be fetched or opened: a fault of the server.',
  ],
  model_not_deletable: [400, 'Only fine-tuned models can be deleted.'],
  adapter_not_found: [404, 'No such adapter.'],
  adapter_version_not_found: [404, 'No such version of the adapter.'],
  // Completions
  context_length_exceeded: [400, 'Prompt and answer do not fit in the context of the model.'],
  no_worker_available: [503, 'No worker is free to answer; retry after the seconds of Retry-After.'],
  worker_failed: [502, 'The worker that answered broke off.'],
} as const satisfies Record<string, readonly [status: number, meaning: string]>;

export type ErrorCode = keyof typeof errorCodes;
