"""On both services, whatever can be asked is evaluated, and jobs that have not ended are awaited."""

import pytest

import gemtune
from both import OnGemini, OnVertex, make_world
from gemtune.errors import JobError, TuningCancelled
from vertex.service import BASE, PLACE, TRAIN, make_vertex

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

ROWS = [("seven", "eight"), ("one", "two")]
SERVED = {"OnGemini": "models/gemini-3.7-flash", "OnVertex": BASE}


@pytest.mark.parametrize("service", [OnGemini, OnVertex])
async def test_a_job_that_runs_is_awaited_and_stands_beside_the_base(service, tmp_path):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        models = {"base": SERVED[service.__name__], "tuned": job}
        found = await client.evaluate(models, ROWS, metrics="contains", journal=tmp_path)
        assert job.done
        assert [each.label for each in found.models] == ["base", "tuned"]
        assert found["tuned"].answered == found["base"].answered == 2
        before = len(app.requests)
        again = await client.evaluate({"base": models["base"], "tuned": await job}, ROWS, journal=tmp_path)
        assert all(answer.replayed for row in again.rows for answer in row.answers.values())
        assert len(app.requests) == before


@pytest.mark.parametrize("service", [OnGemini, OnVertex])
async def test_a_job_without_a_model_is_an_error_that_names_it_before_anything_is_asked(service):
    app = make_world()
    async with service.client(app) as client:
        job = await service.tune(client)
        if service is OnGemini:
            await client.tuned_models.delete(job.name)
        else:
            await job.cancel()
        with pytest.raises(JobError, match="tuned: ") as ended:
            await client.evaluate({"base": SERVED[service.__name__], "tuned": job}, ROWS)
        assert service is OnGemini or isinstance(ended.value, TuningCancelled)
        assert not app.requests.of("models.generateContent")


async def test_a_tuned_model_that_is_being_made_is_awaited():
    app = make_world()
    async with OnGemini.client(app) as client:
        job = await OnGemini.tune(client)
        model = await client.tuned_models.get(job.name)
        assert model.state == "CREATING"
        found = await client.evaluate(model, ROWS)
        assert found.models[0].answered == 2


async def test_models_checkpoints_endpoints_and_jobs_by_name_are_asked_on_vertex_ai():
    _, client = make_vertex()
    async with client:
        job = await client.tune(BASE, TRAIN, display_name="numbers")
        other = await client.tune(BASE, TRAIN)
        resource = await client.tuning_jobs.get(other.name)
        model = await job
        given = [BASE, model, model.checkpoints[0], model.endpoint, other.name, resource, client.job(job.name)]
        found = await client.evaluate(given, ROWS)
        labels = [each.label for each in found.models]
        assert labels[:3] == [BASE, "numbers", f"checkpoint {model.checkpoints[0].checkpoint_id}"]
        assert labels[3] == model.endpoint.rpartition("/")[2]
        assert labels[6] == "numbers (2)"
        assert len(set(labels)) == 7
        assert [each.answered for each in found.models] == [2] * 7
        assert found.models[4].model == found.models[5].model


async def test_a_journal_knows_a_model_by_the_number_of_its_project_and_by_its_id(tmp_path):
    app, client = make_vertex()
    async with client:
        model = await (await client.tune(BASE, TRAIN))
        short = model.endpoint.partition("us-central1/")[2]
        await client.evaluate(model, ROWS, journal=tmp_path)
        before = len(app.requests)
        found = await client.evaluate(f"{PLACE}/{short}", ROWS, journal=tmp_path)
        assert found.models[0].answered == 2
        assert len(app.requests) == before


async def test_the_services_own_batches_answer_for_half_the_price(tmp_path):
    app = make_world()
    async with OnGemini.client(app) as client:
        options = {"prices": (1_000_000, 0), "journal": tmp_path}
        found = await client.evaluate("models/gemini-3.7-flash", ROWS, engine="server", **options)
        assert found.models[0].answered == 2
        assert found.models[0].cost == found.models[0].prompt_tokens / 2
        assert not app.requests.of("models.generateContent")
        assert isinstance(client, gemtune.Client)
