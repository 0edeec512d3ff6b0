"""Client: what users hold. It owns connections and a credential, and no background task.

Which service it talks to is decided here, once, and nowhere below: handles, watchers and batches ask the
``TuningService`` that they are given.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, Unpack, cast, overload

from gemtune._version import __version__
from gemtune.config import RetryPolicy, Timeouts, WatchPolicy
from gemtune.errors import SettingsError
from gemtune.http.auth.choose import make_credentials
from gemtune.http.caller import Caller, Statistics, user_agent
from gemtune.http.headers import extra_headers
from gemtune.http.wire import OnRequest
from gemtune.http.wires import make_wires
from gemtune.jobs import TuningJob
from gemtune.limiter.limiter import Limiter
from gemtune.looks.batches import observe_batch
from gemtune.looks.either import JobsOfAllKinds
from gemtune.looks.followers import Followers
from gemtune.looks.gemini import GeminiTuning
from gemtune.looks.service import TuningService, moment
from gemtune.protocol.names import is_batch_name
from gemtune.resources.drafts import TuneOptions, draft_of
from gemtune.resources.given import BatchOptions, JobLike, ModelLike, Prompts, spelled_out
from gemtune.resources.inference import Inference
from gemtune.resources.mirror import Mirror, batches_of
from gemtune.settings import Settings, given, resolve
from gemtune.telemetry import logs
from gemtune.telemetry.options import Telemetry
from gemtune.telemetry.switch import observatory
from gemtune.workbench import Workbench

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

    from gemtune.batch import Batch, BatchResults
    from gemtune.datasets.accepted import TrainingDataLike
    from gemtune.jobs.batch import BatchJob
    from gemtune.resources.batches.collection import Batches
    from gemtune.types.batches import GenerateContentBatch
    from gemtune.types.vertex import PreTunedModel
    from gemtune.watch import Watcher


class Client(Inference, Mirror, Workbench):
    """Talks to the Gemini API or to Vertex AI: tunes models and puts them to work.

    Use ``async with Client() as client``, or call ``aclose()`` at the end. You may make a client outside an event loop;
    it belongs to the loop in which you first use it. It runs nothing in the background.

    Every argument is optional. What you leave out is taken from the environment, and ``client.settings`` says where
    each setting came from.

    Args:
        api_key: An API key; by default ``GOOGLE_API_KEY``, then ``GEMINI_API_KEY``.
        token: An access token, or a function (plain or async) that returns one.
        credentials: A google-auth credentials object. Without any of the three, Application Default Credentials.
        vertexai: Whether to use Vertex AI rather than the Gemini API; by default ``GOOGLE_GENAI_USE_VERTEXAI``. There,
            a credential other than an API key is needed.
        project: The project of jobs and models on Vertex AI; by default ``GOOGLE_CLOUD_PROJECT``. On both services
            also the quota project to bill (``x-goog-user-project``); by default ``GOOGLE_CLOUD_QUOTA_PROJECT``, then
            the credentials' own.
        location: Where on Vertex AI, such as ``europe-west4``; by default ``GOOGLE_CLOUD_LOCATION``, then us-central1.
        bucket: Your bucket of Cloud Storage for training data on Vertex AI; by default ``GEMTUNE_BUCKET``.
        base_url: Another address of the service. Plain http is allowed to this machine, to ``trusted_hosts`` and, with
            a warning, to a name without a dot, which only a network of one's own can have.
        trusted_hosts: Hosts (``gateway`` or ``gateway:4000``) to which the credential may go in plain http, and
            ``GOOGLE_GEMINI_BASE_URL`` and its like may point, because the network up to there is yours.
        headers: Headers for every request, such as a gateway asks for. None can take the place of the client's own.
        transport: Another ``httpx.AsyncBaseTransport``, such as ``httpx.ASGITransport`` or ``httpx.MockTransport``.
        timeouts: How long to wait, in seconds.
        retry: How often to try.
        watch: How often to look at jobs.
        limiter: A Limiter; every attempt of a generate call waits for a permit from it. Pass the same one to a batch to
            share the quota.
        ssl_context: TLS settings, such as a private certificate authority.
        trust_env: Whether proxies and certificates are taken from the environment.
        max_connections: Most connections open at a time to one address; further calls wait for one.
        user_agent_suffix: A string added to the user agent, to name your application.
        on_request: A function that is called with the method, the target (path and query) and the body of every
            request before it is sent, repeats included. It sees no header, and therefore no credential.
        telemetry: Whether calls, jobs and batches are seen through OpenTelemetry (extra ``otel``), or a
            ``gemtune.telemetry.Telemetry`` that says more. By default ``GEMTUNE_TELEMETRY`` decides, or else whether
            your program has imported OpenTelemetry.

    Raises:
        SettingsError: A setting is wrong or contradicts another.
    """

    _service: TuningService

    def __init__(
        self,
        *,
        api_key: str | None = None,
        token: object | None = None,
        credentials: object | None = None,
        vertexai: bool | None = None,
        project: str | int | None = None,
        location: str | None = None,
        bucket: str | None = None,
        base_url: str | None = None,
        trusted_hosts: Iterable[str] | None = None,
        headers: Mapping[str, str] | None = None,
        transport: AsyncBaseTransport | None = None,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        watch: WatchPolicy | None = None,
        limiter: Limiter | None = None,
        ssl_context: ssl.SSLContext | None = None,
        trust_env: bool = True,
        max_connections: int = 1000,
        user_agent_suffix: str | None = None,
        on_request: OnRequest | None = None,
        telemetry: bool | Telemetry | None = None,
    ) -> None:
        logs.heed(os.environ)
        try:
            self._settings = resolve(
                os.environ, api_key=api_key, token=token, credentials=credentials, base_url=base_url, project=project,
                vertexai=vertexai, location=location, bucket=bucket, trusted_hosts=trusted_hosts,
            )  # fmt: skip
            extra = extra_headers(headers, self._settings.credential)
            credential = make_credentials(
                self._settings, token=token, credentials=credentials, ssl_context=ssl_context, trust_env=trust_env
            )
        except SettingsError as error:
            # The frames below hold the secrets as they were given; no traceback may lead there, nor show this frame's.
            error.__context__ = None
            raise error.with_traceback(None) from None
        finally:
            api_key = token = credentials = base_url = headers = None
        timeouts = given("timeouts", timeouts, Timeouts) or Timeouts()
        wires = make_wires(self._settings, timeouts, transport, ssl_context, trust_env, max_connections, on_request)
        retry = given("retry", retry, RetryPolicy) or RetryPolicy()
        agent, limiter = user_agent(__version__, user_agent_suffix), given("limiter", limiter, Limiter)
        self._observer = observatory(telemetry, os.environ, self._settings.service, wires.routes)
        self._caller = Caller(wires, credential, timeouts, retry, agent, limiter, extra, self._observer)
        self._watch = given("watch", watch, WatchPolicy) or WatchPolicy()
        self._service, self._jobs = _services_of(self._settings, self._caller, self._watch)
        self._followers = Followers(self._jobs, self._watch, self._observer)

    def __repr__(self) -> str:
        settings = getattr(self, "_settings", None)  # a traceback shows a client that is half made
        return f"<Client {settings.base_url} {settings.credential}>" if settings else "<Client without settings>"

    @property
    def settings(self) -> Settings:
        """The settings and where each came from; printing them explains them, with secrets masked."""
        return self._settings

    def statistics(self) -> Statistics:
        """Return the counts of calls, requests, failures and open connections."""
        return self._caller.statistics()

    async def aclose(self) -> None:
        """Close all connections; jobs on the service are not touched. Closing twice is harmless."""
        await self._caller.wires.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @overload
    def job(  # type: ignore[overload-overlap]  # a batch has the names that a model has
        self, name: GenerateContentBatch | BatchJob
    ) -> BatchJob: ...
    @overload
    def job(self, name: JobLike) -> TuningJob: ...
    def job(self, name: JobLike | GenerateContentBatch | BatchJob) -> TuningJob | BatchJob:
        """Return a handle on a job, including one that another process created; no request is made.

        It shows what other handles and the watchers of this client know of the job. A name in full that is a batch's
        gives a BatchJob; ``client.batches.job(name)`` is the same, and tells type checkers so.

        Args:
            name: The name of the tuned model, of the operation, or of a batch.

        Raises:
            InvalidInput: It is the name of none of these.
        """
        if is_batch_name(name):
            return _batch_job(self._followers, self._jobs, cast("str | GenerateContentBatch", name))
        return TuningJob(self._followers.find(*self._jobs.job_names(name)))

    def watch(
        self,
        jobs: JobLike | Iterable[JobLike] = (),
        *,
        policy: WatchPolicy | None = None,
        filter: str | None = None,
        resume: str | None = None,
    ) -> Watcher:
        """Return a watcher, which follows many jobs at once; nothing happens before it is entered or started.

        Args:
            jobs: Handles, models, batches or names; you can add more at any time.
            policy: How often to look, and how many requests that may cost; by default the client's. Its
                ``terminal_freshness`` is also the interval between sweeps through the list.
            filter: Which jobs to discover automatically, such as ``owner:me``; None discovers no job.
            resume: The ``resume_token()`` of an earlier watcher or subscription, or an event's cursor, which covers
                its own job only. Snapshots and terminal events before it are not repeated; Added, StateChanged,
                Restarted, Progress and outages may be.

        Raises:
            InvalidInput: A name or another argument is invalid.
        """
        from gemtune.watch import Watcher

        return Watcher(
            self._jobs,
            jobs,
            policy=self._watch if policy is None else policy,
            filter=filter,
            resume=resume,
            handles=self._followers,
        )

    @spelled_out(TuneOptions)
    async def tune(
        self,
        base_model: ModelLike | PreTunedModel,
        training_data: TrainingDataLike,
        *,
        method: Literal["supervised", "preference"] = "supervised",
        tuned_model_id: str | None = None,
        if_exists: Literal["error", "adopt"] = "error",
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        **options: Unpack[TuneOptions],
    ) -> TuningJob:
        """Start a tuning job and return a handle on it at once. It is created exactly once, whatever the network does.

        Args:
            base_model: A base model that can be tuned, or a tuned model to continue from.
            training_data: (input, output) pairs, dicts or objects with ``text_input`` and ``output``, a data frame,
                columns, chats of one turn, or a CSV, TSV, JSONL or JSON file, by its path or open. All of it is
                checked before anything is sent; ``job.data`` says what was read.
            method: ``supervised``, or ``preference`` (Vertex AI).
            tuned_model_id: Your own id, at most 40 characters a-z, 0-9 and ``-``. Without it, the client makes one up.
            if_exists: What to do if your own id is taken: ``error`` raises, ``adopt`` takes over the model that exists,
                so that you can safely run a notebook cell or a restarted process again.
            timeout: Seconds for this call; the job itself takes as long as it takes.
            options: ``display_name`` (at most 40 characters) and ``description``, for people; ``hyperparameters``:
                epochs, batch size, learning rate or its multiplier; ``temperature`` and ``top_p`` (0 to 1) and
                ``top_k``: by default the base model's; ``input`` and ``output``: the columns, if their names are
                unusual; ``heading``: whether line 1 of a table names its columns (None finds out, and refuses what
                could be either); ``delimiter``: what separates them. On Vertex AI alone: ``validation_data``;
                ``labels``; ``service_account`` that reads the data; ``kms_key``; ``checkpoints``: ``all`` or ``last``;
                ``bucket`` for data that has to be uploaded; ``queue``: a job that
                waits, rather than an error, if the quota is used up; whoever looks at it sends it again.

        Raises:
            InvalidInput: An argument or a row of the data is wrong, or the service lacks it; nothing was sent.
            TuningUnavailable: The service does not tune this base model.
            AlreadyExists: Your id is taken.
            AmbiguousOutcome: The job may or may not have been created; the message says how to find out.
            CallError: The job was not created.
        """
        draft = draft_of(base_model, training_data, method, options)
        started = await self._service.create(draft, tuned_model_id, if_exists, timeout=timeout, retry=retry)
        return TuningJob(self._followers.created(started.seen), started.data, started.adopted)

    @spelled_out(BatchOptions)
    def batch(self, model: ModelLike, inputs: Prompts, **options: Unpack[BatchOptions]) -> Batch:
        """Send every prompt of an input to a model, as fast as the service allows: ``async with``, then ``async for``.

        A failure is a result like any other. The run stops early only if no further request can succeed; the item that
        revealed this gets no result, because it did nothing wrong, and the same call with the same journal asks it
        again. Transient failures do not count: during an outage all items wait. ``results.progress`` says how far it
        is, how fast, and what holds it back. With a journal, a loop that was stopped is simply run again: it gets the
        result of each row once, what the journal holds from the file (``result.replayed``) and without a request.

        Args:
            model: A name, a TunedModel, a Model or a TuningJob.
            inputs: An iterable or async iterable, which may be endless, of prompts (str, Part, Content or a list of
                these), of requests (GenerateContentRequest or its JSON), or of rows (key, prompt or request), which may
                be written ``{"key": ..., "request": ...}``. A dict gives rows. A key is a string or a whole number,
                and unique: against the whole journal, or the last 65,536 keys without one. Of a data frame pass rows:
                ``zip(frame["id"], frame["prompt"])``.
            concurrency: Requests in flight: a number, or ``auto`` to find out how many the service takes.
            rpm: Most requests a minute; None for no limit. Likewise ``tpm`` input tokens a minute, ``rpd`` a day.
            policy: How patiently a busy service is treated.
            limiter: A Limiter shared with others, instead of these; by default the client's, if it has one.
            order: ``completed``, or ``input``: early results are held back, and little new begins while many wait.
            journal: A file to which every result is written before you get it. The same call continues with what the
                file does not hold, and ``await results.export(PATH)`` writes the results of all runs as JSONL.
            resume: ``all`` yields what the journal holds as well, when its row is met; ``rest`` only what it does not.
            durability: ``batch``: on the disk within 0.1 s; ``sync``: before you get it; ``none``: some time later.
            on_error: ``keep`` yields failures, ``raise`` raises the first one.
            retry_failed: Whether items that failed in an earlier run are asked again.
            accept: Which replies are answers: a set of finish reasons (``{"STOP"}``), or a plain function of the reply.
                Others are asked again, now and by the next run, and fail with ``NotAccepted`` (by default the empty).
            max_failures: How many items may fail before the run ends: a number, or a share of those finished (0.1).
            item_timeout: Seconds for one item with all its attempts and waits; None for no end.
            timeout: The same for the whole run.
            engine: ``local`` asks from here; ``server`` has the service run batches, at half the price within a day,
                which the same call with the same journal collects; ``auto`` takes what ``await batch.plan()`` says.
            finish: What becomes of items that such batches leave: failures (``keep``), or asked from here (``local``).
            deadline: Seconds until everything has to be there, which the plan keeps; else nothing is begun.
            budget: What may be spent, by ``prices``; a local run ends when it is used up.
            prices: Of a million input and output tokens: ``(0.30, 2.50)``, or a ``gemtune.batch.TokenPrices``.
            system_instruction: For requests that bring none, as the other arguments of ``generate_content``.

        Raises:
            InvalidInput: An argument is wrong.
        """
        from gemtune.batch import make_batch

        # The batch holds a permit for each request itself; its requests must not wait for a second one.
        name, limiter, permitted = self._service.model_name, self._caller.limiter, self._with_permits()
        observer = self._observer.batch if self._observer is not None else None
        return make_batch(self, name, model, inputs, limiter, permitted, observer, self._jobs.open_batches, **options)

    @property
    def batches(self) -> Batches[BatchJob]:
        """Batches that the service runs, for half the price: create, get, list, cancel, delete, results."""
        from gemtune.batch.engines.asked import read_requests
        from gemtune.resources.batches.collection import Batches

        name = self._service.model_name
        handle = partial(_batch_job, self._followers, self._jobs)
        return Batches(self._jobs.batches, name, partial(read_requests, name), handle)

    @spelled_out(BatchOptions)
    async def generate_many(self, model: ModelLike, prompts: Prompts, **options: Unpack[BatchOptions]) -> BatchResults:
        """Return one result for every prompt of a short list, in order; the arguments are those of ``batch``.

        With a journal, the results of earlier runs are read from it and cost no request. Their ``attempts`` and
        ``seconds`` are those of the run that made them.

        Raises:
            BatchStopped: No further request could succeed. Its ``results`` hold what was answered until then,
                including what earlier runs brought; so do those of every other error of gemtune's that ends the run.
        """
        options["order"] = "input"  # the only order in which a list can be read beside the prompts
        return await self.batch(model, prompts, **options).collect()


def _batch_job(
    followers: Followers,
    jobs: JobsOfAllKinds,
    batch: str | GenerateContentBatch | BatchJob,
    *,
    created: bool = False,
    numbered: bool = False,
) -> BatchJob:
    from gemtune.jobs.batch import BatchJob
    from gemtune.types.batches import GenerateContentBatch

    if created and isinstance(batch, GenerateContentBatch):
        return BatchJob(followers.created(observe_batch(batch, moment())), jobs.batches, numbered)
    return BatchJob(followers.find(*jobs.job_names(batch)), jobs.batches)


def _services_of(settings: Settings, caller: Caller, watch: WatchPolicy) -> tuple[TuningService, JobsOfAllKinds]:
    service: TuningService
    if settings.service == "vertex":
        from gemtune.looks.vertex import VertexTuning  # whoever uses the Gemini API loads nothing of it

        service = VertexTuning.through(caller, settings)
    else:
        service = GeminiTuning.through(caller, watch)
    return service, JobsOfAllKinds(service, partial(batches_of, caller, settings))
