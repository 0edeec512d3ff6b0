"""A sweep that nobody runs: it goes through scenes."""

from gemtune.sweep.shown import ShownSweep


class Shown(ShownSweep):
    """A sweep that shows its first scene; running it leads to the last."""

    def __init__(self, *scenes):
        self.scenes = list(scenes)

    def picture(self):
        return self.scenes[0]

    async def run(self):
        while len(self.scenes) > 1:
            del self.scenes[0]

    def _left_note(self):
        return "left; the jobs continue"
