"""How a tuned model is created exactly once, though the service knows no idempotency key.

The client chooses the id, once per logical call, and sends the same one on every attempt. What is left is to tell apart
who created what exists under that id:

1. If the caller chose the id, it may be taken, so that a look before the first attempt tells an older model from one of
   this call. An id made up here (62 random bits) needs no such look.
2. After a failure that leaves open whether the service acted, the model is looked up, and only if it is not there the
   creation is sent again.
3. A refusal as a duplicate (409) after an attempt that arrived, or may have, is the service's word that this very
   attempt succeeded: the model is looked up and is the result.
4. Before the call is given up, one more look: it costs little beside a model that is tuned and paid for unseen.
5. If even that brings no certainty, AmbiguousOutcome says how to find out. Nothing is ever sent on the chance.

``tests/proofs/never_twice.md`` lists every fault at every step and what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import attrs

from gemtune.config import ONCE, RetryPolicy
from gemtune.errors import (
    AlreadyExists,
    BadRequest,
    CallError,
    NotFound,
    PermissionDenied,
    TuningUnavailable,
)
from gemtune.http.caller import Caller
from gemtune.protocol import gemini
from gemtune.remedy import Argument, ClientCall, Remedy
from gemtune.resources.attempts import Attempts, time_left
from gemtune.resources.drafts import MANY, off_loop
from gemtune.types import CreateTunedModelMetadata, Operation, TunedModel


@attrs.define(eq=False)
class Creation:
    """One logical creation of a tuned model.

    Args:
        caller: Carries out the calls.
        model: What to create.
        tuned_model_id: The id, the same on every attempt.
        chosen: Whether the caller chose the id, so that it may be taken.
        adopt: Whether a model that exists under this id is taken over as it is.
        wanted: Says whether it is still to be created, if that can change; None if it cannot.
        adopted: Whether one was.
    """

    caller: Caller
    model: TunedModel
    tuned_model_id: str
    chosen: bool
    adopt: bool
    wanted: Callable[[], bool] | None = None
    adopted: bool = attrs.field(default=False, init=False)

    @property
    def large(self) -> bool:
        """Whether there are so many examples that writing them takes its time."""
        task = self.model.tuning_task
        data = task.training_data.examples if task is not None and task.training_data is not None else None
        return data is not None and len(data.examples) > MANY

    @property
    def name(self) -> str:
        """The name that the model has or will have."""
        return f"tunedModels/{self.tuned_model_id}"

    async def run(self, *, timeout: float | None, retry: RetryPolicy | None) -> Operation:
        """Create the model, or adopt it; if only the model is known, the operation holds it and has no name.

        Raises:
            AlreadyExists: The id is taken, and not by this call.
            TuningUnavailable: The service does not tune this base model.
            AmbiguousOutcome: Nobody could say whether the creation happened; the message says how to find out.
            NotWanted: It does not exist, as far as this credential may see, and is not to be created any more.
            CallError: What else went wrong.
        """
        # One time for all: the looks, the attempts and the waits together.
        begun, left = anyio.current_time(), timeout
        if self.chosen:
            found = await self._look_before(timeout, retry)
            if found is not None:
                return self._adopted(found)
            left = time_left(timeout, begun)
        call = await off_loop(self.large, partial(gemini.create_tuned_model, self.model, self.tuned_model_id))
        try:
            return await self._attempts().run(call, left, retry)
        except AlreadyExists:
            # Taken before or since the look, by somebody else: the look says by whom, and whether it can be adopted.
            theirs = await self._look_before(time_left(timeout, begun), retry)
            if theirs is None:
                raise self._foreign() from None
            return self._adopted(theirs)
        except (NotFound, BadRequest) as error:
            # Google has taken tuning away from one base model after the other, and answers with either of these.
            unavailable = await self._why_unavailable(error)
            if unavailable is not None:
                raise unavailable from None
            raise

    def _attempts(self) -> Attempts[Operation]:
        look = Remedy("look with ", ClientCall("tuned_models.get", self.name))
        again = (Argument("tuned_model_id"), " and ", Argument("if_exists", "adopt"))
        return Attempts(self.caller, self._look_after, (look, Remedy("tune again with the same ", *again)), self.wanted)

    async def _look_before(self, timeout: float | None, retry: RetryPolicy | None) -> TunedModel | None:
        try:
            return await self.caller.call(gemini.get_tuned_model(self.name), timeout=timeout, retry=retry)
        except (NotFound, PermissionDenied):
            # Permission is checked before existence (AIP-193): only the creation itself will show.
            return None

    async def _look_after(self, timeout: float) -> Operation | None:
        try:
            found = await self.caller.call(gemini.get_tuned_model(self.name), timeout=timeout, retry=ONCE)
        except NotFound:
            return None
        # An id of our own making is ours wherever it is found; one that the caller chose may have been taken meanwhile.
        if not self._same_source(found):
            raise self._taken(found)
        return _found(found)

    def _adopted(self, found: TunedModel) -> Operation:
        if not self.adopt or not self._same_source(found):
            raise self._taken(found)
        self.adopted = True
        return _found(found)

    def _same_source(self, found: TunedModel) -> bool:
        wanted = self.model
        if wanted.base_model:
            return found.base_model == wanted.base_model
        theirs, ours = found.tuned_model_source, wanted.tuned_model_source
        return theirs is not None and ours is not None and theirs.tuned_model == ours.tuned_model

    def _foreign(self) -> AlreadyExists:
        return AlreadyExists(
            f"{self.name} exists already, and this credential may not read it",
            Remedy("choose another ", Argument("tuned_model_id")),
            status=409,
            reason="ALREADY_EXISTS",
            resource=self.name,
        )

    def _taken(self, found: TunedModel) -> AlreadyExists:
        remedies = [Remedy("choose another ", Argument("tuned_model_id"))]
        why = ": it was tuned from another base, so it cannot be adopted" if self.adopt else ""
        if not self.adopt:
            remedies.append(Remedy("take it over with ", Argument("if_exists", "adopt")))
        return AlreadyExists(
            f"{self.name} exists already ({found.state or 'state unknown'}, created {found.create_time}, from "
            f"{found.base_model or 'a tuned model'}){why}",
            *remedies,
            status=409,
            reason="ALREADY_EXISTS",
            resource=self.name,
        )

    async def _why_unavailable(self, error: CallError) -> TuningUnavailable | None:
        """Find out whether the creation was refused because the base cannot be tuned here."""
        base = self.model.base_model
        if not base.startswith("models/"):
            return None
        # The error in hand is raised whatever comes of this, so that one page, asked for once, has to do.
        try:
            page = await self.caller.call(gemini.list_models(page_size=1000), retry=ONCE)
        except CallError:
            return None
        offered = {model.name: model for model in page}
        if base in offered and offered[base].supports("createTunedModel"):
            return None
        if isinstance(error, BadRequest) and base not in offered:
            return None
        tunable = sorted(name for name, model in offered.items() if model.supports("createTunedModel"))
        advice = (
            f"models that can be tuned here: {', '.join(tunable[:10])}"
            if tunable
            else "the service offers tuning for no model at present: tune on Vertex AI (Gemini Enterprise Agent "
            "Platform), or develop against `gemtune emulator`"
        )
        what = "cannot be tuned here" if base in offered else "is not offered here"
        return TuningUnavailable(f"{base} {what} ({error.message}); {advice}")


def _found(model: TunedModel) -> Operation:
    # Not done: the model is there, and how its training stands is for the model itself to say.
    return Operation(name="", metadata=CreateTunedModelMetadata(tuned_model=model.name), response=model)
