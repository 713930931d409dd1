"""The official OpenAI client for Python on every endpoint that Graft shares with OpenAI; answers are validated strictly.

usage: openai_suite.py SETTINGS

SETTINGS is a JSON file, suite-graft.ts says of what. Writes a JSON line per check, {"check", "error": null or a traceback}, and at
the end {"requests": [[method, path], ...]}: what was sent to the service.
"""

import json
import sys
import threading
import time
import traceback
import urllib.request

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
    """A client whose requests are written down. Strict ones raise where an answer is not what their types say."""
    note = {"request": [lambda request: requests.append([request.method, request.url.path])]}
    options = {"max_retries": 2, "timeout": 120, **options}
    http_client = openai.DefaultHttpxClient(event_hooks=note)
    return openai.OpenAI(
        base_url=base_url, api_key=key, http_client=http_client, _strict_response_validation=strict, **options
    )


# OpenAI's headers of organisation and project mean nothing to Graft, and harm nothing.
client = connect(settings["member_key"], organization="org-1", project="proj_1")
# Strictly, the client knows no job that is paused: its enumeration lacks the status that its own API names.
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
            assert error.code and error.message and set(error.body) == {"message", "type", "param", "code"}, error.body
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


@check
def files_create_retrieve_content():
    file = seen["file"] = upload("apples.jsonl")
    assert (file.object, file.filename, file.purpose, file.status) == ("file", "apples.jsonl", "fine-tune", "processed")
    assert file.id.startswith("file-") and file.bytes > 0 and abs(file.created_at - time.time()) < 600
    assert client.files.retrieve(file.id) == file
    assert client.files.wait_for_processing(file.id).status == "processed"
    with open(training_file, "rb") as data:
        whole = data.read()
    assert client.files.content(file.id).content == whole
    with client.files.with_streaming_response.content(file.id) as response:
        assert b"".join(response.iter_bytes(100)) == whole


@check
def files_list_pages():
    ids = [upload(f"page-{i}.jsonl").id for i in range(4)]
    seen["pages"] = ids
    first = client.files.list(limit=2)
    assert first.has_more and [one.id for one in first.data] == ids[:1:-1]
    second = first.get_next_page()
    assert [one.id for one in second.data] == ids[1::-1]
    assert [one.id for one in client.files.list(limit=2)][:4] == ids[::-1]
    ascending = [one.id for one in client.files.list(limit=2, order="asc", purpose="fine-tune")]
    assert ascending == [seen["file"].id, *ids], ascending
    assert list(client.files.list(purpose="batch")) == []


@check
def files_delete():
    for file_id in seen["pages"]:
        gone = client.files.delete(file_id)
        assert (gone.id, gone.object, gone.deleted) == (file_id, "file", True)
        raises(openai.NotFoundError, lambda: client.files.retrieve(file_id))


@check
def uploads():
    """Only where this Graft has them."""
    if not settings["has_uploads"]:
        return
    with open(training_file, "rb") as data:
        whole = data.read()
    half = len(whole) // 2
    opened = client.uploads.create(bytes=len(whole), filename="parts.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    parts = [client.uploads.parts.create(opened.id, data=piece).id for piece in (whole[:half], whole[half:])]
    done = client.uploads.complete(opened.id, part_ids=parts)
    assert done.status == "completed" and client.files.content(done.file.id).content == whole
    client.files.delete(done.file.id)
    opened = client.uploads.create(bytes=1, filename="no.jsonl", mime_type="text/jsonl", purpose="fine-tune")
    assert client.uploads.cancel(opened.id).status == "cancelled"


@check
def jobs_create_and_retrieve():
    before = time.time()
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=seen["file"].id,
        validation_file=seen["file"].id,
        suffix="orchard",
        seed=7,
        metadata={"fruit": "apple", "season": "autumn"},
        method={
            "type": "supervised",
            "supervised": {"hyperparameters": {"n_epochs": 4, "batch_size": 4, "learning_rate_multiplier": "auto"}},
        },
        extra_body={
            "peft": lora,
            "training": {"checkpoint_steps": 5, "precision": "fp32", "learning_rate": 0.02},
        },
    )
    assert job.object == "fine_tuning.job" and job.id.startswith("ftjob-")
    assert job.status in ("validating_files", "queued", "running")
    assert (job.model, job.training_file, job.validation_file) == (model, seen["file"].id, seen["file"].id)
    assert (job.seed, job.metadata, job.result_files) == (7, {"fruit": "apple", "season": "autumn"}, [])
    assert job.method.type == "supervised" and job.method.supervised.hyperparameters.n_epochs == 4
    assert job.hyperparameters.batch_size == 4 and job.error is None and job.organization_id
    assert abs(job.created_at - before) < 600 and job.fine_tuned_model is None and job.finished_at is None
    done = wait(job.id, lambda one: one.status in finished)
    assert done.status == "succeeded", done
    seen["job"] = job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.fine_tuned_model.startswith(f"ft:{model}:") and ":orchard:" in job.fine_tuned_model
    assert job.trained_tokens > 500 and job.finished_at >= job.created_at


@check
def jobs_of_old_clients():
    """`hyperparameters` at the top, deprecated and still sent."""
    job = client.fine_tuning.jobs.create(
        model=model, training_file=seen["file"].id, hyperparameters={"n_epochs": 1, "batch_size": "auto"}
    )
    assert job.hyperparameters.n_epochs == 1
    job = wait(job.id, lambda one: one.status in finished)
    assert job.status == "succeeded", job
    seen["old"] = client.fine_tuning.jobs.retrieve(job.id)


@check
def jobs_list_pages_and_filters():
    ids = [seen["old"].id, seen["job"].id]
    page = client.fine_tuning.jobs.list(limit=1)
    assert page.has_more and [one.id for one in page.data] == ids[:1]
    assert [one.id for one in client.fine_tuning.jobs.list(limit=1)] == ids
    assert [one.id for one in client.fine_tuning.jobs.list(after=ids[0])] == ids[1:]
    assert [one.id for one in client.fine_tuning.jobs.list(metadata={"fruit": "apple"})] == ids[1:]
    assert list(client.fine_tuning.jobs.list(metadata={"fruit": "pear"})) == []


@check
def jobs_list_events_pages():
    job_id = seen["job"].id
    whole = list(client.fine_tuning.jobs.list_events(job_id, limit=100))
    assert len(whole) > 3 and all(one.object == "fine_tuning.job.event" and one.message for one in whole)
    assert [one.created_at for one in whole] == sorted((one.created_at for one in whole), reverse=True)
    assert {one.type for one in whole} <= {"message", "metrics"}
    paged = list(client.fine_tuning.jobs.list_events(job_id, limit=2))
    assert [one.id for one in paged] == [one.id for one in whole]


@check
def jobs_checkpoints_list_pages():
    job = seen["job"]
    whole = list(client.fine_tuning.jobs.checkpoints.list(job.id))
    assert len(whole) >= 2, whole
    assert [one.step_number for one in whole] == sorted((one.step_number for one in whole), reverse=True)
    for one in whole:
        assert one.object == "fine_tuning.job.checkpoint" and one.id.startswith("ftckpt_")
        assert one.fine_tuning_job_id == job.id and one.metrics.step == one.step_number and one.metrics.train_loss > 0
        assert one.fine_tuned_model_checkpoint == f"{job.fine_tuned_model}:ckpt-step-{one.step_number}"
    paged = list(client.fine_tuning.jobs.checkpoints.list(job.id, limit=1))
    assert [one.id for one in paged] == [one.id for one in whole]


@check
def jobs_pause_resume_cancel():
    job = long_job()
    wait(job.id, lambda one: one.status in ("running", *finished))
    lenient.fine_tuning.jobs.pause(job.id)
    assert wait(job.id, lambda one: one.status in ("paused", *finished)).status == "paused"
    assert client.fine_tuning.jobs.resume(job.id).status in ("queued", "running")
    wait(job.id, lambda one: one.status in ("running", *finished))
    client.fine_tuning.jobs.cancel(job.id)
    assert wait(job.id, lambda one: one.status in finished).status == "cancelled"
    # 400, not 409: the client would try a conflict again and again.
    for change in ("cancel", "pause", "resume"):
        error = raises(openai.BadRequestError, lambda: getattr(client.fine_tuning.jobs, change)(job.id))
        assert error.code == "invalid_job_state", error


@check
def models_list_and_retrieve():
    tuned = seen["job"].fine_tuned_model
    models = {one.id: one for one in client.models.list()}
    assert model in models and tuned in models and all(one.object == "model" for one in models.values())
    one = client.models.retrieve(tuned)
    assert one.id == tuned and one.owned_by and one.created >= seen["job"].created_at
    assert client.models.retrieve(model).id == model


def ask(**more):
    options = {"model": seen["job"].fine_tuned_model, "messages": question, "max_tokens": 12, "temperature": 0}
    return client.chat.completions.create(**{**options, **more})


@check
def chat_completions():
    whole = ask()
    assert whole.object == "chat.completion" and whole.id.startswith("chatcmpl-") and whole._request_id
    [choice] = whole.choices
    assert choice.index == 0 and choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length") and choice.logprobs is None
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    assert 0 < whole.usage.completion_tokens <= 12
    assert ask(max_tokens=openai.NOT_GIVEN, max_completion_tokens=12).choices == whole.choices
    assert ask(model=model).choices != whole.choices
    seen["text"] = choice.message.content


@check
def chat_goes_on_with_the_clients_own_message():
    answer = ask(max_tokens=4).choices[0].message
    again = ask(max_tokens=4, messages=[*question, answer, {"role": "user", "content": "Sure?"}])
    assert again.choices[0].message.content is not None
    whole = answer.model_dump()
    assert ask(max_tokens=4, messages=[*question, whole, {"role": "user", "content": "Sure?"}]) is not None


@check
def chat_streams():
    with ask(stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)
    assert all(one.object == "chat.completion.chunk" and one.id == chunks[0].id for one in chunks)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(one.choices[0].delta.content or "" for one in chunks if one.choices) == seen["text"]
    reasons = [one.choices[0].finish_reason for one in chunks if one.choices]
    assert reasons[:-1] == [None] * (len(reasons) - 1) and reasons[-1] in ("stop", "length")
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0
    with client.chat.completions.stream(
        model=seen["job"].fine_tuned_model, messages=question, max_tokens=12, temperature=0
    ) as events:
        deltas = [event.delta for event in events if event.type == "content.delta"]
    assert "".join(deltas) == seen["text"]


@check
def chat_n_seed_and_stop():
    sampled = {"temperature": 1.0, "top_p": 0.9, "seed": 5, "max_tokens": 8}
    several = ask(n=3, **sampled)
    texts = [choice.message.content for choice in several.choices]
    assert [choice.index for choice in several.choices] == [0, 1, 2] and len(set(texts)) > 1, texts
    assert texts == [choice.message.content for choice in ask(n=3, **sampled).choices]
    assert texts[0] == ask(**sampled).choices[0].message.content
    # A prompt is counted once, and what was written for each choice.
    one = ask(**sampled).usage
    assert several.usage.prompt_tokens == one.prompt_tokens and several.usage.completion_tokens > one.completion_tokens
    streamed = ["", "", ""]
    for chunk in ask(n=3, stream=True, **sampled):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert streamed == texts
    stop = seen["text"][2:4]
    cut = ask(stop=[stop]).choices[0]
    assert cut.message.content == seen["text"].split(stop)[0] and cut.finish_reason == "stop"
    assert ask(stop=stop).choices[0].message.content == cut.message.content
    raises(openai.BadRequestError, lambda: ask(n=1000))


@check
def completions():
    tuned = {"model": seen["job"].fine_tuned_model, "prompt": "How many", "temperature": 0}
    whole = client.completions.create(**tuned, max_tokens=6)
    assert whole.object == "text_completion" and whole.id.startswith("cmpl-") and whole.choices[0].text
    assert whole.choices[0].finish_reason in ("stop", "length") and whole.usage.prompt_tokens > 0
    assert client.completions.create(**{**tuned, "prompt": ["How many"]}, max_tokens=6).choices == whole.choices
    # OpenAI's default for this route.
    assert client.completions.create(**tuned).usage.completion_tokens <= 16
    # Only the last chunk says why it ends; strictly the client wants a reason in each, which OpenAI does not send either.
    chunks = list(lenient.completions.create(**tuned, max_tokens=6, stream=True))
    assert [one.choices[0].finish_reason for one in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert "".join(one.choices[0].text for one in chunks) == whole.choices[0].text
    sampled = {**tuned, "temperature": 1, "seed": 3, "max_tokens": 6, "n": 2}
    texts = [choice.text for choice in client.completions.create(**sampled).choices]
    assert len(texts) == 2 and texts == [choice.text for choice in client.completions.create(**sampled).choices]


@check
def what_graft_does_not_have_is_refused_by_name():
    refused = {
        "logprobs": {"logprobs": True},
        "tools": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        "response_format": {"response_format": {"type": "json_object"}},
        "logit_bias": {"logit_bias": {"50256": -100}},
        "store": {"store": True},
        "frequency_penalty": {"frequency_penalty": 1},
        "presence_penalty": {"presence_penalty": 1},
        "audio": {"audio": {"voice": "alloy", "format": "wav"}},
        "web_search_options": {"web_search_options": {"search_context_size": "low"}},
    }
    for param, option in refused.items():
        error = raises(openai.BadRequestError, lambda: ask(**option))
        assert (error.code, error.param) == ("unsupported_parameter", param), error
    for param, value in {"logprobs": 1, "echo": True, "best_of": 2, "suffix": "x", "logit_bias": {"1": 1}}.items():
        error = raises(openai.BadRequestError, lambda: client.completions.create(model=model, prompt="a", **{param: value}))
        assert (error.code, error.param) == ("unsupported_parameter", param), error
    # And what changes nothing is taken.
    harmless = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "parallel_tool_calls": False, "tools": []}
    assert ask(max_tokens=2, **harmless).choices
    graded = {"type": "reinforcement", "reinforcement": {"grader": {"type": "multi", "name": "g", "graders": {}}}}
    for method in (graded, {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}):
        with_method = {"model": model, "training_file": seen["file"].id, "method": method}
        error = raises(openai.BadRequestError, lambda: client.fine_tuning.jobs.create(**with_method))
        assert error.code == "unsupported_method", error
    for purpose in ("batch", "user_data"):
        raises(openai.BadRequestError, lambda: client.files.create(file=("a.jsonl", b"{}"), purpose=purpose))
    for call in (
        lambda: client.embeddings.create(model=model, input="a"),
        lambda: client.responses.create(model=model, input="a"),
        lambda: client.batches.list(),
        lambda: client.moderations.create(input="a"),
        lambda: client.images.generate(prompt="a"),
        lambda: client.evals.list(),
        lambda: client.fine_tuning.alpha.graders.validate(grader=graded["reinforcement"]["grader"]),
    ):
        assert raises(openai.NotFoundError, call).code == "unknown_url"


@check
def errors_of_each_class():
    jobs = client.fine_tuning.jobs
    error = raises(openai.AuthenticationError, lambda: connect("graft_unknown1_" + "x" * 32).models.list())
    assert error.code == "invalid_api_key"
    viewer = connect(settings["viewer_key"])
    assert viewer.fine_tuning.jobs.retrieve(seen["job"].id) == seen["job"]
    error = raises(openai.PermissionDeniedError, lambda: viewer.files.delete(seen["file"].id))
    assert error.code == "insufficient_role"
    error = raises(openai.BadRequestError, lambda: jobs.create(model="no-such", training_file=seen["file"].id))
    assert (error.code, error.param) == ("model_not_found", "model")
    error = raises(openai.BadRequestError, lambda: jobs.create(model=model, training_file="file-none"))
    assert (error.code, error.param) == ("file_not_found", "training_file")
    error = raises(openai.BadRequestError, lambda: client.files.create(file=("a.jsonl", b"{nope"), purpose="fine-tune"))
    assert error.code == "invalid_jsonl" and "line 1" in error.message
    raises(openai.NotFoundError, lambda: client.models.retrieve("no-such"))
    raises(openai.NotFoundError, lambda: ask(model="no-such"))
    error = raises(openai.UnprocessableEntityError, lambda: reuse_idempotency_key())
    assert error.code == "idempotency_key_reused"


def reuse_idempotency_key():
    headers = {"Idempotency-Key": "suite-1"}
    for seed in (1, 2):
        client.fine_tuning.jobs.create(model=model, training_file=seen["file"].id, seed=seed, extra_headers=headers)


@check
def another_teams_ids_are_unknown():
    other = connect(settings["other_key"])
    job, file = seen["job"], seen["file"]
    assert list(other.fine_tuning.jobs.list()) == [] and list(other.files.list()) == []
    foreign = [
        (lambda c, i: c.files.retrieve(i), file.id, "file-none"),
        (lambda c, i: c.files.content(i), file.id, "file-none"),
        (lambda c, i: c.files.delete(i), file.id, "file-none"),
        (lambda c, i: c.fine_tuning.jobs.retrieve(i), job.id, "ftjob-none"),
        (lambda c, i: c.fine_tuning.jobs.cancel(i), job.id, "ftjob-none"),
        (lambda c, i: c.fine_tuning.jobs.list_events(i), job.id, "ftjob-none"),
        (lambda c, i: c.fine_tuning.jobs.checkpoints.list(i), job.id, "ftjob-none"),
        (lambda c, i: c.models.retrieve(i), job.fine_tuned_model, "ft:none"),
        (lambda c, i: c.models.delete(i), job.fine_tuned_model, "ft:none"),
    ]
    for call, theirs, unknown in foreign:
        bodies = []
        for one in (theirs, unknown):
            error = raises(openai.NotFoundError, lambda: call(other, one))
            bodies.append(json.dumps(error.body).replace(one, "ID"))
        assert bodies[0] == bodies[1], bodies


@check
def too_many_streams_are_retried():
    """The settings of this Graft allow a key two open streams; the client waits as Retry-After says."""
    job = long_job(metadata={"kept": "open"})
    headers = {"Authorization": f"Bearer {settings['member_key']}"}
    events = urllib.request.Request(f"{base_url}/fine_tuning/jobs/{job.id}/events?stream=true", headers=headers)
    streaming = {**dict(model=model, messages=question, max_tokens=2), "stream": True}
    with urllib.request.urlopen(events, timeout=60), urllib.request.urlopen(events, timeout=60):
        once = client.with_options(max_retries=0)
        error = raises(openai.RateLimitError, lambda: once.chat.completions.create(**streaming))
        assert error.code == "too_many_requests" and int(error.response.headers["retry-after"]) >= 1
        held = threading.Event()
        result = {}

        def retried():
            held.set()
            result["chunks"] = len(list(client.chat.completions.create(**streaming)))

        thread = threading.Thread(target=retried)
        thread.start()
        held.wait()
        time.sleep(1)
    thread.join()
    assert result.get("chunks", 0) > 1, result
    client.fine_tuning.jobs.cancel(job.id)


@check
def models_delete():
    tuned = seen["job"].fine_tuned_model
    gone = client.models.delete(tuned)
    assert (gone.id, gone.object, gone.deleted) == (tuned, "model", True)
    raises(openai.NotFoundError, lambda: client.models.retrieve(tuned))
    assert raises(openai.BadRequestError, lambda: client.models.delete(model)).code == "model_not_deletable"


for function in checks:
    error = None
    try:
        function()
    except Exception:
        error = traceback.format_exc()
    print(json.dumps({"check": function.__name__, "error": error}), flush=True)
print(json.dumps({"requests": requests, "version": openai.__version__}))
