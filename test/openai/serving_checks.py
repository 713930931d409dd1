"""Checks of models, completions and rejected requests, with the model that training_checks.py trained."""

import json
import threading
import time
import urllib.request

import openai
from suite import (
    base_url,
    check,
    client,
    connect,
    lenient,
    long_job,
    model,
    question,
    raises,
    seen,
    settings,
)


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
def embeddings():
    # By default the client asks for base64 and decodes it, which its strict validation rejects from any server.
    created = lenient.embeddings.create(model=settings["sentence_model"], input=["Hello", "Hello you"])
    assert created.object == "list" and created.usage.prompt_tokens == created.usage.total_tokens == 14
    first, second = created.data
    assert (first.index, second.index) == (0, 1) and first.embedding != second.embedding
    plain = client.embeddings.create(model=settings["sentence_model"], input="Hello", encoding_format="float")
    pairs = zip(plain.data[0].embedding, first.embedding, strict=True)
    assert all(abs(a - b) < 1e-7 for a, b in pairs)
    short = lenient.embeddings.create(model=settings["sentence_model"], input="Hello", dimensions=8)
    assert abs(sum(x * x for x in short.data[0].embedding) - 1) < 1e-5
    refused = raises(openai.BadRequestError, lambda: client.embeddings.create(model=model, input="Hello"))
    assert refused.code == "unsupported_task", refused


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
    # The prompt is counted once, the completion of every choice is counted.
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
    # Only the last chunk has a finish reason. The strict client requires one in each chunk, which OpenAI does not send either.
    chunks = list(lenient.completions.create(**tuned, max_tokens=6, stream=True))
    assert [one.choices[0].finish_reason for one in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert "".join(one.choices[0].text for one in chunks) == whole.choices[0].text
    sampled = {**tuned, "temperature": 1, "seed": 3, "max_tokens": 6, "n": 2}
    texts = [choice.text for choice in client.completions.create(**sampled).choices]
    assert len(texts) == 2 and texts == [choice.text for choice in client.completions.create(**sampled).choices]


@check
def probabilities_and_what_was_cached():
    first, again = (ask(logprobs=True, top_logprobs=3) for _ in range(2))
    tokens = first.choices[0].logprobs.content
    assert len(tokens) in (first.usage.completion_tokens, first.usage.completion_tokens - 1)
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token, "the likeliest is taken"
    assert first.choices == again.choices
    assert again.usage.prompt_tokens_details.cached_tokens <= again.usage.prompt_tokens
    text = client.completions.create(model=model, prompt="a", max_tokens=3, temperature=0, logprobs=2).choices[0]
    assert len(text.logprobs.tokens) == len(text.logprobs.token_logprobs) == len(text.logprobs.top_logprobs)


weather = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}, "metric": {"type": "boolean"}},
            "required": ["city", "metric"],
            "additionalProperties": False,
        },
    },
}


def call_a_tool(**more):
    # The model is untrained: it calls a tool because nothing else is possible.
    options = {"model": settings["tool_model"], "messages": question, "tools": [weather], "seed": 1, "max_tokens": 300}
    return {**options, "tool_choice": "required", "parallel_tool_calls": False, **more}


@check
def tools_are_called_whole_and_streamed():
    whole = client.chat.completions.create(**call_a_tool())
    [choice] = whole.choices
    [call] = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    assert call.id.startswith("call_") and call.type == "function" and call.function.name == "get_weather"
    arguments = json.loads(call.function.arguments)
    assert arguments["city"] in ("Paris", "Rome") and isinstance(arguments["metric"], bool) and len(arguments) == 2
    parts = []
    for chunk in client.chat.completions.create(**call_a_tool(), stream=True):
        parts += [part for one in chunk.choices for part in one.delta.tool_calls or []]
    assert parts[0].function.name == "get_weather" and parts[0].function.arguments == ""
    assert "".join(part.function.arguments for part in parts) == call.function.arguments
    with client.chat.completions.stream(**call_a_tool()) as events:
        final = events.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.parsed_arguments == arguments
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 degrees"}
    messages = [*question, choice.message, result]
    again = client.chat.completions.create(**call_a_tool(messages=messages, tool_choice="auto", max_tokens=8))
    assert again.usage.prompt_tokens > whole.usage.prompt_tokens and again.choices[0].message.content is not None


@check
def content_follows_a_schema():
    schema = {
        "type": "object",
        "properties": {"kind": {"type": "string", "enum": ["a", "b"]}, "sure": {"type": "boolean"}},
        "required": ["kind", "sure"],
        "additionalProperties": False,
    }
    response_format = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    options = {"model": settings["tool_model"], "messages": question, "max_tokens": 100}
    for seed in range(3):
        answer = client.chat.completions.create(**options, seed=seed, response_format=response_format)
        value = json.loads(answer.choices[0].message.content)
        assert value["kind"] in ("a", "b") and isinstance(value["sure"], bool) and len(value) == 2
    some = client.chat.completions.create(
        **{**options, "max_tokens": 12}, logit_bias={"120": 100}, presence_penalty=1, frequency_penalty=0.5
    )
    assert "x" in some.choices[0].message.content


@check
def what_graft_does_not_have_is_refused_by_name():
    refused = {
        "functions": {"functions": [{"name": "f", "parameters": {}}]},
        "audio": {"audio": {"voice": "alloy", "format": "wav"}},
        "web_search_options": {"web_search_options": {"search_context_size": "low"}},
    }
    for param, option in refused.items():
        error = raises(openai.BadRequestError, lambda: ask(**option))
        assert (error.code, error.param) == ("unsupported_parameter", param), error
    for param, value in {"echo": True, "best_of": 2, "suffix": "x"}.items():
        error = raises(openai.BadRequestError, lambda: client.completions.create(model=model, prompt="a", **{param: value}))
        assert (error.code, error.param) == ("unsupported_parameter", param), error
    # Parameters that change nothing are accepted.
    harmless = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "parallel_tool_calls": False, "tools": []}
    harmless |= {"store": True, "metadata": {"trace": "1"}}
    assert ask(max_tokens=2, **harmless).choices
    graded = {"type": "reinforcement", "reinforcement": {"grader": {"type": "multi", "name": "g", "graders": {}}}}
    # The file has chats, and no pairs.
    for method in (graded, {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.1}}}):
        with_method = {"model": model, "training_file": seen["file"].id, "method": method}
        error = raises(openai.BadRequestError, lambda: client.fine_tuning.jobs.create(**with_method))
        assert error.code == "unsupported_method", error
    for purpose in ("batch", "user_data"):
        raises(openai.BadRequestError, lambda: client.files.create(file=("a.jsonl", b"{}"), purpose=purpose))
    for call in (
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
    """In these settings a key may have two open streams; the client waits as long as Retry-After says."""
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
