"""Shared by the checks: settings, clients that record their requests, and the results of earlier checks."""

import json
import sys
import time

import openai

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)
base_url, model, training_file = (settings[name] for name in ("base_url", "model", "training_file"))
requests = []
checks = []
seen = {}
finished = ("succeeded", "failed", "cancelled")
question = [{"role": "user", "content": "How many red apples grow on tree 3?"}]
lora = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}


def connect(key, strict=True, **options):
    """Returns a client that records its requests. A strict one raises if a response does not match its types."""
    note = {"request": [lambda request: requests.append([request.method, request.url.path])]}
    options = {"max_retries": 2, "timeout": 120, **options}
    http_client = openai.DefaultHttpxClient(event_hooks=note)
    return openai.OpenAI(
        base_url=base_url, api_key=key, http_client=http_client, _strict_response_validation=strict, **options
    )


# Graft ignores OpenAI's headers for organisation and project.
client = connect(settings["member_key"], organization="org-1", project="proj_1")
# The strict client rejects paused jobs, because its enumeration lacks the status that OpenAI's API has.
lenient = connect(settings["member_key"], strict=False)


def check(function):
    checks.append(function)
    return function


def raises(kind, call):
    try:
        call()
    except kind as error:
        assert type(error) is kind, f"{type(error).__name__}: {error}"
        if isinstance(error, openai.APIStatusError):
            assert error.request_id, "no request id"
            # Graft's own `details` list every fault of a request.
            own = set(error.body) - {"details"}
            assert error.code and error.message and own == {"message", "type", "param", "code"}, error.body
        return error
    raise AssertionError(f"nothing raised, {kind.__name__} expected")


def wait(job_id, done, seconds=300):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = lenient.fine_tuning.jobs.retrieve(job_id)
        if done(job):
            return job
        time.sleep(0.3)
    raise TimeoutError(f"the job is still {job.status}")


def upload(name="train.jsonl"):
    with open(training_file, "rb") as data:
        return client.files.create(file=(name, data), purpose="fine-tune")


def long_job(**more):
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50, "batch_size": 1}}}
    extra = {"peft": lora, "training": {"precision": "fp32", "learning_rate": 0.0001}}
    return client.fine_tuning.jobs.create(
        model=model, training_file=seen["file"].id, method=method, extra_body=extra, **more
    )
