"""Checks of files, uploads and fine-tuning jobs. They depend on each other's order."""

import json
import time

import openai
from suite import (
    check,
    client,
    finished,
    lenient,
    lora,
    long_job,
    model,
    raises,
    seen,
    settings,
    training_file,
    upload,
    wait,
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
    """Skipped if this Graft has no uploads."""
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
    """The deprecated top-level `hyperparameters`, which old clients still send."""
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
def jobs_that_try_several_configurations():
    job = client.fine_tuning.jobs.create(
        model=model,
        training_file=seen["file"].id,
        validation_file=seen["file"].id,
        hyperparameters={"n_epochs": 1},
        extra_body={"sweep": {"learning_rate": [0.001, 0.01]}},
    )
    done = wait(job.id, lambda one: one.status in finished)
    assert done.status == "succeeded", done
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model


@check
def jobs_that_learn_from_preferences():
    said = lambda role, content: [{"role": role, "content": content}]  # noqa: E731
    pairs = [
        {
            "input": {"messages": said("user", f"How many apples grow on tree {i}?"), "tools": [], "parallel_tool_calls": True},
            "preferred_output": said("assistant", f"{i} apples."),
            "non_preferred_output": said("assistant", "No idea."),
        }
        for i in range(12)
    ]
    data = "\n".join(json.dumps(pair) for pair in pairs).encode()
    file = client.files.create(file=("pairs.jsonl", data), purpose="fine-tune")
    hyperparameters = {"beta": 0.2, "n_epochs": "auto", "batch_size": 4, "learning_rate_multiplier": "auto"}
    job = client.fine_tuning.jobs.create(
        model=model, training_file=file.id, method={"type": "dpo", "dpo": {"hyperparameters": hyperparameters}}
    )
    assert job.method.type == "dpo" and job.method.dpo.hyperparameters.beta == 0.2, job.method
    assert job.method.supervised is None and job.method.dpo.hyperparameters.n_epochs == "auto"
    done = wait(job.id, lambda one: one.status in finished)
    assert done.status == "succeeded", done
    job = client.fine_tuning.jobs.retrieve(job.id)
    assert job.method.dpo.hyperparameters.beta == 0.2 and job.hyperparameters.n_epochs >= 1, job
    [listed] = client.fine_tuning.jobs.list(limit=1).data
    assert listed == job
    # Without a method, dpo trains on pairs too.
    other = client.fine_tuning.jobs.create(model=model, training_file=file.id)
    assert other.method.type == "dpo" and other.method.dpo.hyperparameters.beta == "auto", other.method
    client.fine_tuning.jobs.cancel(other.id)
    assert wait(other.id, lambda one: one.status in finished).status in finished


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
    # 400, not 409: the client would retry a conflict.
    for change in ("cancel", "pause", "resume"):
        error = raises(openai.BadRequestError, lambda: getattr(client.fine_tuning.jobs, change)(job.id))
        assert error.code == "invalid_job_state", error
