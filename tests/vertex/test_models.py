"""``client.tuned_models`` and ``client.endpoints`` on Vertex AI, over the emulator."""

import pytest

from gemtune import errors
from gemtune.types.training import Checkpoint
from vertex.service import BASE, TRAIN, make_vertex

pytestmark = pytest.mark.usefixtures("virtual_time")


@pytest.fixture
async def tuned(virtual_time):
    """A client, and a tuned model with its job."""
    _, client = make_vertex()
    job = await client.tune(BASE, TRAIN, display_name="my model", labels={"team": "a"})
    return client, job, await job


async def test_a_model_is_had_by_its_name_its_id_or_whatever_stands_for_it(tuned):
    client, job, model = tuned
    async with client:
        found = await client.tuned_models.get(model)
        assert found.name == model.name
        assert found.display_name == "my model"
        number = model.name.rpartition("/")[2].partition("@")[0]
        resource = await client.tuning_jobs.get(job)
        for given in (model.name, number, f"models/{number}", resource, resource.tuned_model, job, job.name):
            assert (await client.tuned_models.get(given)).name == model.name
        assert len(await client.tuned_models.versions(job).all()) == 1
        assert len(await client.tuned_models.checkpoints(job).all()) == 5
        unfinished = await client.tune(BASE, TRAIN)
        with pytest.raises(errors.InvalidInput, match="has no model yet"):
            await client.tuned_models.get(unfinished)
        for refused in ("tunedModels/x", 7, "../x"):
            with pytest.raises(errors.InvalidInput, match="name must"):
                await client.tuned_models.get(refused)


@pytest.mark.parametrize("parts", ["versions", "checkpoints"])
async def test_a_job_is_asked_for_its_model_once_however_many_pages_follow(tuned, parts):
    client, job, model = tuned
    async with client:
        await (await client.tune(model, TRAIN))
        before = client.statistics().requests
        pages = await getattr(client.tuned_models, parts)(job.name, page_size=1).all()
        assert len(pages) == {"versions": 2, "checkpoints": 5}[parts]
        assert client.statistics().requests - before == 1 + len(pages)


async def test_a_model_from_the_registry_can_be_asked_like_the_one_from_the_job(tuned):
    client, _, model = tuned
    async with client:
        found = await client.tuned_models.get(model)
        assert found.endpoint == model.endpoint
        assert (await client.generate_content(found, "seven")).text.startswith("eight")


async def test_models_are_listed_with_a_filter(tuned):
    client, _, model = tuned
    async with client:
        other = await (await client.tune(BASE, TRAIN, display_name="other"))
        names = {each.name async for each in client.tuned_models.list(page_size=1)}
        assert names == {model.name, other.name}
        (found,) = await client.tuned_models.list(filter='labels.team="a"').all()
        assert found.name == model.name
        with pytest.raises(errors.InvalidInput, match="page_size"):
            client.tuned_models.list(page_size=0)


async def test_continuous_tuning_makes_a_new_version_of_the_same_model(tuned):
    client, _, model = tuned
    async with client:
        second = await (await client.tune(model, TRAIN))
        stem = model.name.partition("@")[0]
        assert second.name == f"{stem}@2"
        versions = await client.tuned_models.versions(model).all()
        assert {each.name for each in versions} == {f"{stem}@1", f"{stem}@2"}
        assert (await client.tuned_models.get(second)).name == second.name


async def test_the_default_checkpoint_decides_what_the_model_s_endpoint_serves(tuned):
    client, job, model = tuned
    async with client:
        registered = await client.tuned_models.checkpoints(model).all()
        assert [(each.checkpoint_id, each.epoch, each.step) for each in registered] == [
            (each.checkpoint_id, each.epoch, each.step) for each in model.checkpoints
        ]
        await client.tuned_models.set_default_checkpoint(model, model.checkpoints[0])
        changed = await client.tuning_jobs.get(job)
        assert changed.tuned_model.endpoint == model.checkpoints[0].endpoint
        await client.tuned_models.set_default_checkpoint(model, 2)
        await client.tuned_models.set_default_checkpoint(model, "2")
        assert (await client.tuning_jobs.get(job)).tuned_model.endpoint == model.checkpoints[1].endpoint
        for wrong in ("../1", None, Checkpoint(), 1.5):
            with pytest.raises(errors.InvalidInput, match="checkpoint must be a checkpoint or its id"):
                await client.tuned_models.set_default_checkpoint(model, wrong)


async def test_a_checkpoint_can_be_tuned_on(tuned):
    client, _, model = tuned
    async with client:
        job = await client.tune(model.checkpoints[1], TRAIN)
        source = (await client.tuning_jobs.get(job)).pre_tuned_model
        assert (source.tuned_model_name, source.checkpoint_id) == (model.name, "2")
        job = await client.tune(model.endpoint, TRAIN)
        assert (await client.tuning_jobs.get(job)).pre_tuned_model.tuned_model_name == model.name


async def test_a_model_can_be_renamed_but_not_deleted_as_long_as_it_is_deployed(tuned):
    client, _, model = tuned
    async with client:
        changed = await client.tuned_models.update(model, display_name="new", description="d")
        assert (changed.display_name, changed.description) == ("new", "d")
        assert (await client.tuned_models.get(model)).display_name == "new"
        with pytest.raises(errors.BadRequest, match=r"is deployed .*endpoints/"):
            await client.tuned_models.delete(model)
        with pytest.raises(errors.InvalidInput, match="nothing to update"):
            await client.tuned_models.update(model)
        with pytest.raises(errors.InvalidInput, match="display_name must be a string of at most 128"):
            await client.tuned_models.update(model, display_name="x" * 129)


async def test_endpoints_are_read_by_what_they_serve(tuned):
    client, job, model = tuned
    async with client:
        every = await client.endpoints.list().all()
        assert {each.name for each in every} == {each.endpoint for each in model.checkpoints}
        endpoint = await client.endpoints.get(model)
        assert endpoint.name == model.endpoint
        assert endpoint.deployed_models[0].model.partition("@")[0] == model.name.partition("@")[0]
        for given in (model.endpoint, model.endpoint.rpartition("/")[2], job, endpoint):
            assert (await client.endpoints.get(given)).name == model.endpoint
        assert (await client.endpoints.get(model.checkpoints[0])).name == model.checkpoints[0].endpoint
        (found,) = await client.endpoints.list(filter=f"endpoint={model.endpoint.rpartition('/')[2]}").all()
        assert found == endpoint
        with pytest.raises(errors.InvalidInput, match="name must"):
            await client.endpoints.get("projects/p/locations/evil.example/endpoints/1")
