"""Uses Graft through OpenAI's official Python client, like a user's program.

usage: openai_client.py BASE_URL API_KEY MODEL TRAINING_FILE

Writes the client's results to standard output as one JSON object.
"""

import json
import sys
import time

import openai

base_url, api_key, model, training_file = sys.argv[1:5]
client = openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=2, timeout=120)
seen = {}
finished = ("succeeded", "failed", "cancelled")
messages = [{"role": "user", "content": "How many red apples grow on tree 3?"}]


def wait(job_id, done, seconds=240):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if done(job):
            return job
        time.sleep(0.3)
    raise TimeoutError(f"the job is still {job.status}")


# Files
with open(training_file, "rb") as data:
    file = client.files.create(file=data, purpose="fine-tune")
seen["file"] = file.model_dump()
seen["file_retrieved"] = client.files.retrieve(file.id).model_dump()
seen["files"] = [one.id for one in client.files.list()]
with open(training_file, "rb") as data:
    seen["content_is_the_file"] = client.files.content(file.id).content == data.read()

# A job, from its creation to its model
options = {
    "peft": {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
    "training": {"learning_rate": 0.02, "checkpoint_steps": 5, "precision": "fp32"},
}
job = client.fine_tuning.jobs.create(
    model=model,
    training_file=file.id,
    suffix="orchard",
    seed=7,
    hyperparameters={"n_epochs": 4, "batch_size": 4},
    extra_body=options,
)
seen["created"] = job.model_dump()
job = wait(job.id, lambda one: one.status in finished)
seen["job"] = job.model_dump()
seen["jobs"] = [one.id for one in client.fine_tuning.jobs.list()]
seen["events"] = [one.model_dump() for one in client.fine_tuning.jobs.list_events(job.id, limit=100)]
seen["checkpoints"] = [one.model_dump() for one in client.fine_tuning.jobs.checkpoints.list(job.id)]
seen["models"] = [one.id for one in client.models.list()]

# A job that is cancelled during training
long_job = client.fine_tuning.jobs.create(
    model=model,
    training_file=file.id,
    method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 50, "batch_size": 1}}},
    extra_body={"peft": options["peft"], "training": {"precision": "fp32"}},
)
seen["seen_running"] = wait(long_job.id, lambda one: one.status in ("running", *finished)).status
started = time.monotonic()
client.fine_tuning.jobs.cancel(long_job.id)
seen["cancelled"] = wait(long_job.id, lambda one: one.status in finished).status
seen["cancel_seconds"] = time.monotonic() - started

# Calls of the adapter, its checkpoints and the base model
tuned = job.fine_tuned_model
if tuned:
    seen["model"] = client.models.retrieve(tuned).model_dump()
    ask = {"messages": messages, "max_tokens": 12, "temperature": 0}
    whole = client.chat.completions.create(model=tuned, **ask)
    seen["chat"] = whole.model_dump()
    chunks = list(client.chat.completions.create(model=tuned, stream=True, stream_options={"include_usage": True}, **ask))
    seen["streamed"] = {
        "text": "".join(c.choices[0].delta.content or "" for c in chunks if c.choices),
        "finish_reasons": [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason],
        "usage": chunks[-1].usage.model_dump() if chunks[-1].usage else None,
    }
    seen["checkpoint_chats"] = [
        client.chat.completions.create(model=one["fine_tuned_model_checkpoint"], **ask).choices[0].finish_reason
        for one in seen["checkpoints"]
    ]
    seen["base_chat"] = client.chat.completions.create(model=model, **ask).choices[0].message.content
    seen["completion"] = client.completions.create(
        model=tuned, prompt="How many", max_tokens=5, temperature=0
    ).model_dump()
    sampled = {"messages": messages, "max_tokens": 8, "temperature": 1.0, "top_p": 0.9, "seed": 5, "model": tuned}
    seen["sampled"] = [client.chat.completions.create(**sampled).choices[0].message.content for _ in range(2)]

# Errors, as exceptions of the client
faults = {
    "wrong_key": lambda: openai.OpenAI(base_url=base_url, api_key="graft_unknown1_" + "x" * 32).models.list(),
    "unknown_model": lambda: client.chat.completions.create(model="no-such-model", messages=messages),
    "unknown_file": lambda: client.files.retrieve("file-doesnotexist"),
    "unknown_job_model": lambda: client.fine_tuning.jobs.create(model="no-such-model", training_file=file.id),
    "unknown_peft_option": lambda: client.fine_tuning.jobs.create(
        model=model, training_file=file.id, extra_body={"peft": {"peft_type": "LORA", "rank": 4}}
    ),
    "unimplemented_peft_option": lambda: client.fine_tuning.jobs.create(
        model=model, training_file=file.id, extra_body={"peft": {"peft_type": "LORA", "use_qalora": True}}
    ),
    "unmatched_target_modules": lambda: client.fine_tuning.jobs.create(
        model=model, training_file=file.id, extra_body={"peft": {"peft_type": "LORA", "target_modules": ["q_prj"]}}
    ),
}
seen["faults"] = {}
for name, call in faults.items():
    try:
        call()
        seen["faults"][name] = None
    except openai.APIStatusError as error:
        seen["faults"][name] = {
            "type": type(error).__name__,
            "status": error.status_code,
            "code": error.code,
            "param": error.param,
            "message": error.message,
        }

seen["file_deleted"] = client.files.delete(file.id).deleted
print(json.dumps(seen, default=str))
