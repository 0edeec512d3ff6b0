"""google-generativeai over REST, the last of Google's clients that could tune on this API."""

import warnings

import pytest
import requests

from emulator.emulated import BASE, PAIRS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it announces its own end on import
    import google.generativeai as genai
    from google.api_core import exceptions

pytestmark = [pytest.mark.socket, pytest.mark.filterwarnings("ignore")]  # of Google's code

ROWS = [{"text_input": text, "output": output} for text, output in PAIRS]


@pytest.fixture
def emulator(serve):
    emulator = serve(answers={"LXIII": "LXIV"})
    genai.configure(api_key="K", transport="rest", client_options={"api_endpoint": emulator.url})
    return emulator


@pytest.fixture
def tuned(emulator):
    genai.create_tuned_model(BASE, ROWS, id="tuned", display_name="Tuned")
    emulator.app.advance(1000)
    return genai.get_tuned_model("tunedModels/tuned")


def test_a_job_is_created_and_followed_with_its_progress_bar(emulator):
    operation = genai.create_tuned_model(
        BASE, ROWS, id="mine", display_name="My Model", description="d", temperature=0.5, top_p=0.9, top_k=20,
        epoch_count=5, batch_size=4, learning_rate=0.001,
    )  # fmt: skip
    assert operation.name.startswith("tunedModels/mine/operations/")
    assert operation.metadata.total_steps == 19
    progress = []
    for status in operation.wait_bar(disable=True):
        progress.append((status.completed_steps, len(status.snapshots)))
        emulator.app.advance(5.0)
    assert progress[0] == (0, 0)
    assert len(progress) > 3
    assert all(steps == snapshots for steps, snapshots in progress)
    assert progress == sorted(set(progress))
    model = operation.result()
    assert (model.name, model.display_name, model.description) == ("tunedModels/mine", "My Model", "d")
    assert (model.state.name, model.temperature, model.top_p, model.top_k) == ("ACTIVE", 0.5, 0.9, 20)
    snapshots = model.tuning_task.snapshots
    assert [snapshot["step"] for snapshot in snapshots] == list(range(1, 20))
    assert [snapshot.get("epoch", 0) for snapshot in snapshots] == [step * 4 // 15 for step in range(1, 20)]
    used = model.tuning_task.hyperparameters
    assert (used.epoch_count, used.batch_size, used.learning_rate) == (5, 4, 0.001)
    assert model.create_time < model.tuning_task.start_time < model.tuning_task.complete_time == model.update_time


def test_a_failed_job_raises_its_reason(emulator):
    emulator.app.faults.add({"method": "tunedModels.create", "job": {"fail_at_step": 3, "message": "out of luck"}})
    operation = genai.create_tuned_model(BASE, ROWS)
    emulator.app.advance(1000)
    with pytest.raises(exceptions.GoogleAPICallError, match="out of luck"):
        operation.result()


def test_an_operation_is_taken_up_again_by_its_name(emulator):
    operation = genai.create_tuned_model(BASE, ROWS)
    emulator.app.advance(1000)
    assert genai.get_operation(operation.name).result().name == operation.metadata.tuned_model


def test_every_form_of_training_data_arrives(emulator):
    columns = {"text_input": [text for text, _ in PAIRS], "output": [output for _, output in PAIRS]}
    renamed = [{"question": text, "answer": output} for text, output in PAIRS]
    operations = [
        genai.create_tuned_model(BASE, ROWS),
        genai.create_tuned_model(BASE, PAIRS),
        genai.create_tuned_model(BASE, columns),
        genai.create_tuned_model(BASE, renamed, input_key="question", output_key="answer"),
    ]
    assert [operation.metadata.total_steps for operation in operations] == [19] * 4


def test_a_tuned_model_is_tuned_further(tuned):
    operation = genai.create_tuned_model(tuned, [("a", "b")], id="second")
    model = genai.get_tuned_model(operation.metadata.tuned_model)
    assert (model.source_model, model.base_model) == ("tunedModels/tuned", BASE)


def test_a_taken_id_and_a_missing_model_have_errors_of_their_own(tuned):
    with pytest.raises(exceptions.Conflict):
        genai.create_tuned_model(BASE, ROWS, id="tuned")
    with pytest.raises(exceptions.NotFound, match="Tuned model tunedModels/none does not exist"):
        genai.get_tuned_model("tunedModels/none")


def test_cancelling_fails_as_it_does_on_the_service(emulator):
    """The client asks v1beta, where no cancel is bound."""
    operation = genai.create_tuned_model(BASE, ROWS)
    with pytest.raises(exceptions.NotFound):
        operation.cancel()
    assert emulator.app.requests[-1].path == f"/v1beta/{operation.operation.name}:cancel"


def test_tuned_models_are_listed_changed_and_deleted(emulator):
    for number in range(3):
        genai.create_tuned_model(BASE, ROWS, id=f"number-{number}")
    listed = [model.name for model in genai.list_tuned_models(page_size=2)]
    assert listed == [f"tunedModels/number-{number}" for number in range(3)]
    assert len(emulator.app.requests.of("tunedModels.list")) == 2
    changed = genai.update_tuned_model("tunedModels/number-0", {"display_name": "New", "description": "D"})
    assert (changed.display_name, changed.description) == ("New", "D")
    genai.delete_tuned_model("tunedModels/number-0")
    assert [model.name for model in genai.list_tuned_models()] == listed[1:]


def test_base_models_are_listed_and_read(emulator):
    tunable = [m.name for m in genai.list_models() if "createTunedModel" in m.supported_generation_methods]
    assert BASE in tunable
    assert genai.get_base_model(BASE).input_token_limit == 30720
    assert genai.GenerativeModel(BASE).count_tokens("one two three").total_tokens > 0


def test_permissions_are_listed_granted_changed_withdrawn_and_transferred(tuned):
    (owner,) = tuned.permissions.list()
    assert (owner.role.name, owner.email_address) == ("OWNER", "you@example.com")
    reader = tuned.permissions.create(role="READER", email_address="ada@example.com")
    everyone = tuned.permissions.create(role="READER", grantee_type="EVERYONE")
    assert tuned.permissions.get(everyone.name).grantee_type.name == "EVERYONE"
    reader.update({"role": "WRITER"})
    roles = {p.email_address: p.role.name for p in tuned.permissions.list()}
    assert roles == {"you@example.com": "OWNER", "ada@example.com": "WRITER", None: "READER"}
    everyone.delete()
    assert len(list(tuned.permissions.list())) == 2
    tuned.permissions.transfer_ownership("ada@example.com")
    roles = {p.email_address: p.role.name for p in tuned.permissions.list()}
    assert roles == {"you@example.com": "WRITER", "ada@example.com": "OWNER"}
    with pytest.raises(exceptions.Forbidden, match="You do not have permission to access tuned model"):
        genai.delete_tuned_model(tuned.name)


def test_a_tuned_model_answers_at_once_and_piece_by_piece(tuned):
    model = genai.GenerativeModel(tuned.name)
    reply = model.generate_content("LXIII", generation_config={"max_output_tokens": 10, "temperature": 0.1})
    assert (reply.text, reply.candidates[0].finish_reason.name) == ("LXIV", "STOP")
    assert len(reply.candidates[0].safety_ratings) == 4
    chunks = list(model.generate_content("1", stream=True))
    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks) == "2 (emulator: nearest training example)"


def test_a_stream_that_breaks_off_is_an_error(emulator, tuned):
    emulator.app.faults.add({"method": "tunedModels.streamGenerateContent", "after": 1, "drop": True})
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        list(genai.GenerativeModel(tuned.name).generate_content("1", stream=True))
