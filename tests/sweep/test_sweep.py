"""A sweep from its points to its best model, on both services and both backends."""

import anyio
import pytest

from gemtune.errors import BadRequest, InvalidInput, JournalBusy, JournalMismatch, MisuseError, PermissionDenied
from gemtune.metrics import judge
from gemtune.sweep import PointState
from gemtune.sweep import events as told
from sweep.emulated import FACES, ROWS, Gemini, GiveUp, Vertex, Wire, kinds

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]
GRID = {"epoch_count": [1, 2, 3]}


@pytest.fixture(params=FACES, ids=lambda face: face.name)
def face(request):
    return request.param


@pytest.mark.both_backends
async def test_every_point_of_a_grid_is_tuned_and_the_one_with_the_lowest_loss_is_best(face):
    app = face.app()
    async with face.client(app) as client:
        # Where a curve begins follows from the job's name, which is new each time: twelve epochs outdo that.
        space = {"epoch_count": [1, 2, 12]}
        async with client.sweep(face.base, ROWS, space=space, objective="loss", validation=None) as sweep:
            said = [event async for event in sweep]
        trained = [event for event in said if isinstance(event, told.PointEnded)]
    assert [event.point.number for event in said if isinstance(event, told.PointPlanned)] == [0, 1, 2]
    assert {event.state for event in trained} == {PointState.TRAINED}
    assert len(face.jobs(app)) == 3
    assert sweep.best.point.values == {"epoch_count": 12}
    assert sweep.best.objective == min(event.objective for event in trained)
    assert sweep.best_model.name == sweep.best.job
    assert sweep.picture().ended
    assert sweep.picture().elapsed > 10


async def test_one_watcher_follows_all_and_every_step_of_every_point_is_reported_once(face):
    async with (
        face.client(face.app()) as client,
        client.sweep(face.base, ROWS, space=GRID, objective="loss", validation=None) as sweep,
    ):
        steps = [
            (event.point.number, event.event.step)
            async for event in sweep
            if isinstance(event, told.PointProgress) and event.event.kind == "snapshot"
        ]
    assert len(steps) == len(set(steps)) == sweep.statistics().steps


async def test_the_data_goes_to_the_cloud_once_for_all_points():
    wire = Wire(Vertex.app())
    async with Vertex.client(wire.app, wire) as client:
        await client.sweep(Vertex.base, ROWS, space=GRID, validation=0.25).run()
    assert wire.seen["upload"] == 2  # to train on, and to validate with
    assert wire.seen["storage"] == 2  # and each was looked for once


async def test_the_creation_of_a_fresh_point_pays_no_search_for_its_id(face):
    wire = Wire(face.app())
    async with (
        face.client(wire.app, wire) as client,
        client.sweep(face.base, ROWS, space=GRID, objective="loss", validation=None) as sweep,
    ):
        async for event in sweep:
            if event.kind == "point_started" and event.point.number == 2:
                break
        now = anyio.current_time()
    assert now < 1.0
    assert wire.seen["create"] == 3


async def test_what_is_trained_is_evaluated_and_in_the_end_compared_with_the_base(face, tmp_path):
    async with face.client(face.app()) as client:
        sweep = client.sweep(
            face.base, ROWS, space=GRID, metrics=["exact_match"], validation=0.4, journal=tmp_path / "sweep"
        )
        picture = await sweep.run()
    assert next(each.label for each in sweep.evaluation.models) == "base"
    assert len(sweep.evaluation.models) == 4
    assert picture.objective == "exact_match"
    assert picture.comparisons[0].other == "base"
    assert all(set(each.scores) == {"exact_match"} for each in picture.points)


async def test_a_judge_compares_every_model_with_the_base_which_is_asked_once():
    wire = Wire(Vertex.app())
    async with Vertex.client(wire.app, wire) as client:
        sweep = client.sweep(Vertex.base, ROWS, space=GRID, metrics=judge("gemini-2.5-flash"), validation=0.4)
        await sweep.run()
    rows = len(sweep.evaluation.rows)
    judged = sum(each.answered for each in sweep.evaluation.judges.values())
    assert sweep.picture().objective == "judge"
    assert wire.seen["ask"] == 4 * rows + judged
    assert all(each.objective is not None for each in sweep.points)


async def test_no_answer_of_an_evaluation_is_asked_for_twice(face, tmp_path):
    wire = Wire(face.app())
    async with face.client(wire.app, wire) as client:
        for _ in range(2):
            sweep = client.sweep(
                face.base, ROWS, space=GRID, metrics=["exact_match"], validation=0.4, journal=tmp_path / "sweep"
            )
            await sweep.run()
    assert wire.seen["ask"] == 4 * len(sweep.evaluation.rows)


async def test_a_rule_stops_a_point_and_what_that_saves_is_said(face):
    app = face.app()
    async with (
        face.client(app) as client,
        client.sweep(
            face.base, ROWS * 3, space={"epoch_count": [8, 1]}, objective="loss", validation=None, stop=GiveUp(0)
        ) as sweep,
    ):
        said = [event async for event in sweep]
    (stopped,) = [event for event in said if isinstance(event, told.PointStopped)]
    assert stopped.point.number == 0
    assert stopped.reason.startswith("the test says so")
    assert stopped.saved_steps > 0
    assert stopped.saved_tokens > 0
    assert [each.state for each in sweep.points] == [PointState.STOPPED, PointState.TRAINED]
    assert sweep.best.point.number == 1
    assert sweep.picture().saved_steps == stopped.saved_steps


async def test_a_point_with_all_of_its_steps_done_is_not_stopped_because_nothing_would_be_saved(face):
    class AtTheEnd:
        def verdict(self, curve, others):
            del others
            return "too late" if curve.total and curve.losses and curve.losses[-1][0] == curve.total else None

    wire = Wire(face.app())
    async with (
        face.client(wire.app, wire) as client,
        client.sweep(
            face.base, ROWS, space={"epoch_count": [2]}, objective="loss", validation=None, stop=AtTheEnd()
        ) as sweep,
    ):
        said = await kinds(sweep)
    assert said[-1] == "point_ended 0"
    assert sweep.points[0].state is PointState.TRAINED
    assert sweep.points[0].reason == ""
    assert wire.seen["cancel"] == 0


@pytest.mark.parametrize("fault", ["503", "lost", "refused", "503 after"])
async def test_a_cancellation_that_fails_is_sent_again(face, fault):
    wire = Wire(face.app(), lambda kind, count: fault if kind == "cancel" and count < 9 else None)
    async with (
        face.client(wire.app, wire) as client,
        client.sweep(
            face.base, ROWS * 9, space={"epoch_count": [20, 1]}, objective="loss", validation=None, stop=GiveUp(0)
        ) as sweep,
    ):
        await kinds(sweep)
    assert sweep.points[0].state is PointState.STOPPED
    assert sweep.points[0].reason.startswith("the test says so at step")


async def test_a_point_that_the_service_does_not_cancel_runs_on_and_that_is_said():
    wire = Wire(
        Gemini.app(), lambda kind, _: "400 FAILED_PRECONDITION it is too late for that" if kind == "cancel" else None
    )
    async with (
        Gemini.client(wire.app, wire) as client,
        client.sweep(
            Gemini.base, ROWS * 3, space={"epoch_count": [8]}, objective="loss", validation=None, stop=GiveUp(0)
        ) as sweep,
    ):
        reasons = {sweep.points[0].reason async for _ in sweep}
    assert any("it is too late for that" in reason for reason in reasons)
    assert sweep.points[0].state is PointState.TRAINED
    assert wire.seen["cancel"] == 1


async def test_leaving_a_sweep_touches_no_job(face):
    wire = Wire(face.app())
    async with (
        face.client(wire.app, wire) as client,
        client.sweep(face.base, ROWS * 3, space=GRID, objective="loss", validation=None) as sweep,
    ):
        async for event in sweep:
            if event.kind == "point_progress":
                break
    assert wire.seen["cancel"] == 0
    assert len(face.jobs(wire.app)) == 3
    for follow in (sweep.run, sweep.show):  # nobody follows the jobs, so nothing is shown as if somebody did
        with pytest.raises(MisuseError, match="make another, with the same journal to resume"):
            await follow()


async def test_an_error_in_the_users_own_block_is_raised_as_it_is(face):
    async with face.client(face.app()) as client:
        sweep = client.sweep(face.base, ROWS, space=GRID, objective="loss", validation=None)

        async def read():
            async with sweep:
                async for _ in sweep:
                    raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await read()


async def test_cancel_stops_every_job_and_begins_no_further_one(face):
    wire = Wire(face.app())
    async with face.client(wire.app, wire) as client:
        async with client.sweep(
            face.base, ROWS * 9, space={"epoch_count": [9, 10, 11]}, objective="loss", validation=None, concurrency=2
        ) as sweep:
            async for event in sweep:
                if event.kind == "point_progress" and event.point.number == 1:
                    await sweep.cancel()
                    break
            await kinds(sweep)
        with pytest.raises(MisuseError):
            await sweep.cancel()
    assert [each.state for each in sweep.points] == [PointState.STOPPED, PointState.STOPPED, PointState.PLANNED]
    assert sweep.points[0].reason == "the sweep was cancelled"
    assert wire.seen["create"] == 2


async def test_a_job_that_somebody_else_cancels_is_a_failure_and_no_stop():
    app = Gemini.app()
    async with (
        Gemini.client(app) as client,
        client.sweep(Gemini.base, ROWS * 3, space={"epoch_count": [8]}, objective="loss", validation=None) as sweep,
    ):
        async for event in sweep:
            if event.kind == "point_started":
                await client.job(event.job).cancel()
    assert sweep.points[0].state is PointState.FAILED
    assert sweep.points[0].reason == "its job was cancelled by somebody else"


async def test_a_point_that_the_service_refuses_fails_alone(face):
    def trouble(kind, count):
        return "400 INVALID_ARGUMENT adapter_size 32 is not supported" if kind == "create" and count == 2 else None

    wire = Wire(face.app(), trouble)
    async with face.client(wire.app, wire) as client:
        sweep = client.sweep(face.base, ROWS, space=GRID, objective="loss", validation=None)
        await sweep.run()
    states = [each.state for each in sweep.points]
    assert states == [PointState.TRAINED, PointState.FAILED, PointState.TRAINED]
    assert "adapter_size 32 is not supported" in sweep.points[1].reason


async def test_what_the_service_has_against_all_points_ends_the_sweep_after_two():
    said = "400 INVALID_ARGUMENT the training data is bad"
    wire = Wire(Gemini.app(), lambda kind, _: said if kind == "create" else None)
    async with Gemini.client(wire.app, wire) as client:
        with pytest.raises(BadRequest, match="the training data is bad"):
            await client.sweep(Gemini.base, ROWS, space={"epoch_count": [1, 2, 3, 4]}, validation=None).run()
    assert wire.seen["create"] == 2


async def test_a_refusal_for_good_ends_the_sweep_with_one_error_and_leaves_what_runs(face):
    def trouble(kind, count):
        return "403 PERMISSION_DENIED you may not" if kind == "create" and count == 2 else None

    wire = Wire(face.app(), trouble)
    async with face.client(wire.app, wire) as client:
        sweep = client.sweep(face.base, ROWS, space=GRID, objective="loss", validation=None)
        with pytest.raises(PermissionDenied, match="you may not"):
            await sweep.run()
    assert wire.seen["create"] == 2
    assert wire.seen["cancel"] == 0
    assert sweep.points[0].state in (PointState.RUNNING, PointState.WAITING)


async def test_one_process_runs_a_sweep_at_a_time(tmp_path):
    async with Gemini.client(Gemini.app()) as client:
        asked = {"space": GRID, "objective": "loss", "validation": None, "journal": tmp_path / "sweep"}
        async with client.sweep(Gemini.base, ROWS, **asked):
            with pytest.raises(JournalBusy, match="the sweep in .* is running already"):
                await client.sweep(Gemini.base, ROWS, **asked).run()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": {"epoch_count": [1, 2]}}, "another space"),
        ({"data": ROWS[:-1]}, "written by a sweep with other data;"),
        ({"validation": 0.25}, "written by a sweep with other data or another split of it;"),
        ({"hyperparameters": {"batch_size": 4}}, "another setting that all points share"),
        ({"base": "models/gemini-1.5-flash-001-tuning"}, "belongs to a sweep over models/gemini-1.0-pro-001"),
    ],
)
async def test_another_sweep_under_the_same_journal_is_refused_in_words(tmp_path, change, said):
    from gemtune import Hyperparameters

    asked = {"space": GRID, "objective": "loss", "validation": None, "journal": tmp_path / "sweep"}
    base, data = change.pop("base", Gemini.base), change.pop("data", ROWS)
    if "hyperparameters" in change:
        change["hyperparameters"] = Hyperparameters(**change["hyperparameters"])
    async with Gemini.client(Gemini.app()) as client:
        async with client.sweep(Gemini.base, ROWS, **asked):
            pass
        with pytest.raises(JournalMismatch, match=said):
            await client.sweep(base, data, **(asked | change)).run()


async def test_a_folder_that_holds_something_else_is_refused(tmp_path):
    (tmp_path / "points.journal").write_text("this is mine\n")
    asked = {"space": GRID, "objective": "loss", "validation": None}
    async with Gemini.client(Gemini.app()) as client:
        with pytest.raises(JournalMismatch, match="is not the journal of a sweep"):
            await client.sweep(Gemini.base, ROWS, **asked, journal=tmp_path).run()
    assert (tmp_path / "points.journal").read_text() == "this is mine\n"


async def test_a_sweep_runs_once(face):
    async with face.client(face.app()) as client:
        sweep = client.sweep(face.base, ROWS, space=GRID, objective="loss", validation=None)
        with pytest.raises(MisuseError, match="has not begun"):
            await anext(sweep)
        async with sweep:
            pass
        with pytest.raises(MisuseError, match="runs once"):
            async with sweep:
                pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "a sweep needs a space"),
        ({"space": GRID, "budget": 3.0}, "budget: money is counted by the price"),
        ({"space": GRID, "objective": "eval_loss"}, "the Gemini API measures no loss on validation data"),
        ({"space": GRID, "objective": "f1", "metrics": "exact_match"}, "f1 is none of eval_loss, loss, exact_match"),
        ({"space": GRID, "validation": 1.5}, "validation must be a share between 0 and 1"),
        ({"space": GRID, "validation": None, "metrics": "exact_match"}, "there is no validation"),
        ({"space": GRID, "validation_data": ROWS}, "a sweep has no validation_data of its own"),
        ({"space": GRID, "queue": True}, "the sweep waits for free places itself"),
        ({"space": GRID, "concurrency": 0}, "concurrency must be a positive whole number"),
        ({"space": GRID, "title": "x" * 31}, "title must be a string of at most 30 characters"),
        ({"space": GRID, "stop": "luck"}, "luck"),
        ({"space": GRID, "method": "luck"}, "method"),
        ({"space": GRID, "method": "preference"}, "the Gemini API has no tuning by preference"),
        ({"space": GRID, "labels": {"team": "a"}}, "labels has no counterpart on the Gemini API"),
        ({"space": GRID, "checkpoints": "all"}, "checkpoints has no counterpart on the Gemini API"),
        ({"space": GRID, "temperature": 7.0}, "temperature must be"),
        ({"space": GRID, "objective": "exact"}, "objective: exact is none of eval_loss, loss, contains, exact_match"),
        ({"space": 5}, "space must be a mapping of hyperparameters to .*, not int"),
    ],
)
async def test_an_argument_that_is_wrong_is_refused_where_it_is_written(options, said):
    async with Gemini.client(Gemini.app()) as client:
        with pytest.raises(InvalidInput, match=said):
            client.sweep(Gemini.base, ROWS, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": {"No Label": "a"}}, "labels"),
        ({"checkpoints": "some"}, "checkpoints must be 'all' or 'last'"),
        ({"kms_key": "key"}, "kms_key must be"),
        ({"temperature": 0.5}, "temperature is no property of a tuned model on Vertex AI"),
    ],
)
async def test_what_vertex_ai_would_refuse_of_all_points_is_refused_where_it_is_written(options, said):
    async with Vertex.client(Vertex.app()) as client:
        with pytest.raises(InvalidInput, match=said):
            client.sweep(Vertex.base, ROWS, space=GRID, **options)


@pytest.mark.parametrize(("metric", "reads"), [("number", "a number"), ("json_equal", "JSON")])
async def test_a_metric_that_could_score_no_row_is_refused_before_anything_is_created(face, metric, reads):
    app = face.app()
    words = [(f"question {at}", "yes" if at % 2 else "no") for at in range(16)]
    async with face.client(app) as client:
        sweep = client.sweep(face.base, words, space=GRID, validation=0.25, metrics=["exact_match", metric])
        for refused in (sweep.plan, sweep.run):
            with pytest.raises(InvalidInput, match=f"no row expects {reads}, which is what {metric} compares with"):
                await refused()
    assert face.jobs(app) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"data": []}, "data is empty: give at least one"),
        ({"data": "none.csv"}, "data: none.csv cannot be read"),
        ({"data": 5}, "data must be pairs"),
        ({"validation": []}, "validation is empty: give at least one"),
        ({"validation": "none.csv"}, "validation: none.csv cannot be read"),
        ({"data": ROWS[:1]}, "validation: 0.1 of the data leaves 1 row to train on and 0 rows to validate with"),
        ({"base_model": "no model"}, "base_model must look like"),
    ],
)
async def test_what_cannot_be_read_is_said_of_the_argument_that_it_is(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"base_model": Gemini.base, "data": ROWS, "space": GRID} | options
    async with Gemini.client(Gemini.app()) as client:
        with pytest.raises(InvalidInput, match=f"^{said}") as raised:
            await client.sweep(**given).plan()
    assert raised.value.field == said.split(":")[0].split()[0]


async def test_a_plan_counts_the_rows_once_and_says_what_the_split_did_with_the_others():
    alike = [(f"what is item {at}?", f"answer {at}") for at in range(40)] * 2
    async with Gemini.client(Gemini.app()) as client:
        said = str(await client.sweep(Gemini.base, alike, space={"epoch_count": [1]}, validation=0.25).plan())
    first, counted, *others = said.splitlines()
    assert first == "1 point, as many jobs at a time as the quota lets"
    assert "examples to train on" in counted
    assert "rows to validate with" in counted
    assert sum("to train on" in line for line in others) == 0
    assert any(line.startswith("in the split, ") for line in others)


async def test_rows_to_evaluate_on_are_asked_for_before_anything_is_created(face):
    app = face.app()
    async with face.client(app) as client:
        sweep = client.sweep(face.base, ROWS, space=GRID, validation=None, objective="loss", metrics="exact_match")
        with pytest.raises(InvalidInput, match="metrics: models are evaluated on rows that were held out"):
            await sweep.run()
    assert face.jobs(app) == []


async def test_a_row_that_is_wrong_is_found_before_anything_is_sent():
    wire = Wire(Gemini.app())
    async with Gemini.client(wire.app, wire) as client:
        with pytest.raises(InvalidInput, match="row 3"):
            await client.sweep(Gemini.base, [*ROWS[:2], ("question", "")], space=GRID).run()
    assert not wire.seen


async def test_without_a_bucket_nothing_begins_on_vertex_ai():
    app = Vertex.app()
    async with Vertex.client(app) as client:
        client.storage  # noqa: B018
    import gemtune

    async with gemtune.Client(vertexai=True, project="my-project", token="t", location="us-central1") as client:
        with pytest.raises(InvalidInput, match="there is no bucket for the training data"):
            await client.sweep(Vertex.base, ROWS, space=GRID).run()
