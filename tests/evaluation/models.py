"""Models of the tests: a service that answers for each model as it is told."""

import json
import re

from batch.service import Service, answer

BASE, TUNED, JUDGE = "models/gemini-3.7-flash", "tunedModels/abc", "models/gemini-judge"
ROWS = [("hi", "re: hi"), ("ho", "re: he"), ("ha", "re: ha")]
_BLOCK = re.compile(r"<<<answer ([AB]) (\w+)\n(.*?)\nanswer \1 \2>>>", re.DOTALL)


class Models(Service):
    """Answers for one model as it is told, and counts who was asked what."""

    def __init__(self, seconds=1.0):
        super().__init__(seconds)
        self.of_models = {}
        self.requests = []

    async def __call__(self, request):
        model = request.url.path.partition("/v1beta/")[2].partition(":")[0]
        text = json.loads(request.content)["contents"][-1]["parts"][-1]["text"]
        self.requests.append((model, text))
        told = self.of_models.get(model)
        found = await super().__call__(request)
        return (told(text) if callable(told) else told) or found

    def asked_of(self, model):
        """Return what a model was asked, in the order of the requests."""
        return [text for name, text in self.requests if name == model]


def says(text):
    """Return a reply with a text."""
    reply = answer("")
    body = json.loads(reply.content)
    body["candidates"][0]["content"]["parts"][0]["text"] = text
    return type(reply)(200, json=body)


def judging(better):
    """Return how a judge replies: with the answer that a function of both finds better, wherever it stands."""

    def reply(prompt):
        shown = {name: text for name, _, text in _BLOCK.findall(prompt)}
        verdict = better(shown["A"], shown["B"])
        return says(json.dumps({"reason": "so it is", "verdict": verdict}))

    return reply


async def evaluate(service, models=(BASE, TUNED), data=ROWS, **options):
    """Evaluate models of a service."""
    async with service.client() as client:
        return await client.evaluate(models, data, **options)
