"""One call by voice, whatever wire carries it: when the caller speaks, cuts in, waits and hangs up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

from simulate import determinism
from simulate.conversation.blocking import Blocked, interrupted_after
from simulate.conversation.callers.caller import HangUp, Listen, Say
from simulate.conversation.callers.script import Script, describe, waited
from simulate.conversation.engine import TrialSession
from simulate.conversation.voice import caller_line, effects
from simulate.conversation.voice.audio_bridge import AudioBridge, Wire
from simulate.conversation.voice.background import SPOKEN, spoken_noise
from simulate.conversation.voice.cutting_in import CutIns
from simulate.conversation.voice.dtmf import tones
from simulate.conversation.voice.fillers import is_filler
from simulate.conversation.voice.pcm import Pcm
from simulate.conversation.voice.pressure import Machine
from simulate.conversation.voice.recording_place import open_recording
from simulate.conversation.voice.seats import seats
from simulate.conversation.voice.segmenter import Hearing, Listener
from simulate.conversation.voice.senses import Senses
from simulate.conversation.voice.turn_taking import SENTENCE_GAP
from simulate.errors import AgentFault, Fault
from simulate.model.persona import Persona
from simulate.model.transcript import EndedBy, Utterance
from simulate.model.verdict import Verdict

YIELDED = 0.6
"""Seconds after the caller's words within which an agent that fell silent did so because of them."""
GOODBYE = 1.5
"""Seconds, after its patience, in which a caller that wants to hang up still takes a last word or the agent's
own hanging up."""
GOODBYES = 3
"""How often it does: an agent that always has another word is hung up on."""
LAST_ERRORS = 5
"""Of the agent's own errors, so many of the last stand beside what went wrong."""
LISTENS = 10
LISTEN_SECONDS = 10.0
"""How long a caller with nothing to say waits for the agent, and how often in a row."""


class CallWire(Wire, Protocol):
    """A wire that can be picked up and put down."""

    async def open(self, line: AudioBridge) -> None:
        """Connect, and give the agent's sound to ``line`` from now on. Raises a Fault of whoever
        is not there."""
        ...

    async def hang_up(self) -> None:
        """The caller leaves; returns when the agent has ended its side too, or will not."""
        ...


class VoiceCall:
    """Carries one conversation; used once."""

    def __init__(self, session: TrialSession, wire: CallWire, senses: Senses) -> None:
        self.session = session
        self.conversation = session.conversation
        self.limits = session.scenario.limits
        self.wire = wire
        self.senses = senses
        own = session.scenario.persona
        persona = own if isinstance(own, Persona) else Persona()
        self.voice = persona.voice
        self.voice_name = senses.voice_name(persona)
        self.speed = caller_line.speed_of(persona)
        self.patience = caller_line.PATIENCE[self.voice.waits]
        self.chance = random.Random(session.spec.seed)
        self.line = caller_line.line_of(wire, self.voice, session.spec.seed, senses)
        session.call.background = bool(self.voice.noise or self.voice.echo)
        session.call.agent = self.line.agent_levels
        self.listener = Listener(self.line, senses.stt)
        self.line.beat = self.listener.beat
        self.cut_ins = CutIns(
            self.line, self.listener, self.conversation, self._script(), self.voice.interrupts, self.chance
        )
        self.recorded: dict[str, Pcm] = {}
        """The caller's lines as a recording has them."""
        self.turn = 0
        self._goodbyes = 0
        self.said_until = 0.0
        """When the caller's last words ended."""

    async def carry(self) -> None:
        """The whole call. What was said until a fault is in the conversation."""
        async with seats() as places:
            await self._rehearse()
            try:
                await self._carry()
            finally:
                places.learn(self.session.measures)

    async def _carry(self) -> None:
        tape = open_recording(self.session)
        self.line.tape = tape
        clock = determinism.current().clock
        beating: asyncio.Task[None] | None = None
        limit = asyncio.timeout(self.limits.time)
        machine = Machine()
        try:
            async with limit, AsyncExitStack() as stack:
                stack.enter_context(interrupted_after(self.limits.time))
                dialled = clock.monotonic()
                await self.wire.open(self.line)
                self.session.call.cuts_known = self.line.tells_cuts
                self.session.measures["join_seconds"] = round(clock.monotonic() - dialled, 3)
                self.conversation.started_ns = clock.time_ns()
                self.session.tools.began = clock.monotonic()
                beating = asyncio.create_task(self.line.run())
                await self._watched(self._talk(), beating)
        except (TimeoutError, Blocked) as error:
            if isinstance(error, TimeoutError) and not limit.expired():
                raise
            self._end("limit", f"the limit of {self.limits.time:g} s was reached")
        except BaseException as error:
            self._end("fault", error.message if isinstance(error, Fault) else None)
            if isinstance(error, AgentFault):
                error.proof = error.proof or "\n".join(self.line.errors[-LAST_ERRORS:]) or None
                # where this machine kept no time, it cannot be known whether the agent was at fault
                self.line.pacing.judge()
            raise
        finally:
            await self._hang_up(beating)
            self.line.write_out()
            tape.close()
            self.session.call.cuts += self.line.cuts
            self.session.notes += [f"the agent had an error {error}" for error in self.line.errors]
            self.session.measures |= self.line.pacing.measures() | machine.measures()
        if self.conversation.ended_by == "agent" and self.line.failure is not None:
            raise self.line.failure  # it did not hang up but broke, as is known only now
        self.line.pacing.judge()

    # -- before and after

    async def _rehearse(self) -> None:
        """Speak the lines that are known and load the models, so that nothing of it falls into the call."""
        voice, seed = self.voice, self.session.spec.seed
        if voice.noise in SPOKEN:  # made anew: it needs a voice
            spoken = await spoken_noise(voice.noise, self.senses.tts, self.voice_name, seed)
            self.line.spoils = effects.outgoing(voice, seed, self.senses.root, spoken)
        script = self._script()
        lines = script.lines if script is not None else ()
        if self.voice.recording:
            self.recorded = caller_line.recorded_lines(self.senses.file(self.voice.recording), lines)
        for line in lines:
            text = line.says or line.backchannel or line.aside
            if text:
                await self._spoken(Say(text, pauses=line.pauses or 0.0))
        await self.senses.stt.transcribe(Pcm(self.line.kept(0, 0).samples))

    async def _watched(self, talk: Any, beating: asyncio.Task[None]) -> None:
        """Talk while the line's beat goes on; a beat that breaks ends the talk."""
        talking = asyncio.ensure_future(talk)
        try:
            await asyncio.wait({talking, beating}, return_when=asyncio.FIRST_COMPLETED)
            if beating.done() and not talking.done():
                beating.result()
            await talking
        finally:
            if not talking.done():
                talking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await talking

    async def _hang_up(self, beating: asyncio.Task[None] | None) -> None:
        self.line.hush()
        await self.wire.hang_up()
        if beating is not None:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    # -- the conversation

    async def _talk(self) -> None:
        if self.session.scenario.speaks_first == "agent":
            heard = await self._reply(self.limits.reply)
            if not heard and not self._gone():
                raise AgentFault("the agent should speak first and said nothing", where="turn 0")
        listens = 0
        while not self._gone():
            match await self.session.caller.act(self.conversation):
                case HangUp(reason, at_once=at_once):
                    if at_once or not await self._last_words():
                        self._end("caller", reason)
                case Listen(seconds) if seconds > 0:
                    await self._be_silent(seconds)
                case Listen():
                    await self._await_more()
                    listens += 1
                    if listens >= LISTENS:
                        self._end("caller", f"the caller said nothing {listens} times in a row")
                case Say() as line:
                    listens = 0
                    await self._say_and_hear(line)

    async def _say_and_hear(self, line: Say) -> None:
        if line.takes_turn and self.turn >= self.limits.turns:
            self._end("limit", f"the limit of {self.limits.turns} turns was reached")
            return
        await self._say(line)
        if self._gone():
            return
        heard = await self._reply(caller_line.UNASKED_SECONDS.get(line.kind, self.limits.reply))
        if not heard and line.takes_turn and not self._gone():
            raise AgentFault(
                f"the agent said nothing for {self.limits.reply:g} s",
                where=f"turn {self.turn}",
                hint="raise `limits: {reply: …}` if it may take that long",
            )
        over = self.session.over_limit()
        if over is not None:
            self._end("limit", over)

    async def _say(self, line: Say, *, into: Hearing | None = None) -> None:
        """Say or press it, to the end; ``into`` what the agent is saying, as soon as it is in a word."""
        sound = None if line.dtmf else await self._spoken(line)
        if line.after:
            await self.line.until(lambda: False, line.after)
        if into is not None:
            await self.line.until(self._ready_to_speak(lambda: self.line.agent_sounds))
        if line.takes_turn:
            self.turn += 1
            self.listener.turn = self.session.tools.turn = self.turn
        start = self.line.now
        if sound is None and not await self.wire.press(line.text):
            sound = tones(line.text)
        if sound is not None:
            self.line.play(sound)
            await self.line.until(lambda: not self.line.speaking)
        said = Utterance("caller", line.text, self.turn, start, start, first=start, kind=line.kind)
        if sound is not None:
            said.end = min(self.line.now, start + sound.seconds)
            self.session.call.played.append((said, caller_line.sounds_of(sound, start, said.end)))
        if sound is not None and self.line.speaking and not line.dtmf:
            # the other side hung up into the line
            said.interrupted = True
            said.heard = caller_line.words_within(line.text, (said.end - start) / sound.seconds)
        if line.kind == "speech":
            self.said_until = said.end
        self.conversation.add(said)

    async def _last_words(self) -> bool:
        """Before the caller hangs up: whether the agent says something more, or hangs up itself, in the time
        that people leave each other at the end of a call."""
        self._goodbyes += 1
        if self._goodbyes > GOODBYES:
            return False
        return await self._reply(GOODBYE) or self._gone()

    async def _await_more(self) -> None:
        """The caller has nothing to say, so the agent is due; where it says nothing, what the script still
        holds cannot be said."""
        start, script = self.line.now, self._script()
        spoke = await self._reply(LISTEN_SECONDS)
        until = self.conversation.by("agent")[-1].start if spoke else self.line.now
        self.session.call.waits.append((start, max(start, until)))
        if not spoke and script is not None and script.line is not None and not self._gone(final=False):
            fact = (
                f"{describe(script.line)} was never said{waited(script.line)}: the caller waited for "
                f"{until - start:.0f} s, and the agent said nothing"
            )
            expected = "the caller says all lines of the script"
            self.session.verdicts.append(Verdict("script", expected, "not_run", fact, turn=self.turn))

    async def _be_silent(self, seconds: float) -> None:
        start = self.line.now
        silence = Utterance("caller", "", self.turn, start, start + seconds, first=start, kind="silence")
        self.conversation.add(silence)
        await self.line.until(lambda: False, seconds)
        silence.end = self.line.now
        if self.listener.current is not None:
            await self._reply(0.0)

    async def _reply(self, limit: float) -> bool:
        """Hear the agent out; cut in where the next line or the persona wants to. Whether it spoke."""
        spoke = False
        cuts = self.cut_ins.spontaneous()
        while await self.line.until(lambda: self.listener.current is not None, limit):
            await self.line.until(self._ready_to_speak(self.cut_ins.moment(spontaneous=cuts)))
            if self._gone(final=False) or self.listener.silent_for(self.patience):
                if self._talked_over():
                    await self._take(interrupted=True)
                    continue
                spoke = await self._take() or spoke
                if (
                    spoke
                    and is_filler(self.conversation.by("agent")[-1].text)
                    and not self._gone(final=False)
                ):
                    await self._while_it_works()
                break
            cuts = False
            spoke = True
            if not await self._cut():
                break
            limit = self.limits.reply
        return spoke

    async def _while_it_works(self) -> None:
        """Where the agent asked for a moment, wait for what it has to say then."""
        if not is_filler(self.conversation.by("agent")[-1].text):
            return
        start = self.line.now
        await self.line.until(lambda: self.listener.current is not None, self.limits.reply)
        self.session.call.waits.append((start, self.line.now))
        await self._reply(0.0)

    def _talked_over(self) -> bool:
        """The agent began while the caller spoke, and fell silent again: that was not a reply."""
        hearing = self.listener.current
        return (
            hearing is not None
            and hearing.start < self.said_until
            and hearing.end <= self.said_until + YIELDED
        )

    def _ready_to_speak(self, due: Callable[[], bool] | None) -> Callable[[], bool]:
        return lambda: self.listener.silent_for(self.patience) or (due is not None and due())

    async def _cut(self) -> bool:
        """Cut in; False where the caller ended the call instead. A backchannel leaves the agent its turn."""
        hearing = self.listener.current
        if hearing is None:
            return True
        text = (
            await self.listener.text_so_far(hearing)
            if hearing.utterance is None and self.cut_ins.asks()
            else ""
        )
        if hearing.utterance is None:
            hearing.utterance = Utterance(
                "agent", text, hearing.turn, hearing.start, self.line.now, first=hearing.start
            )
            self.conversation.add(hearing.utterance)
        match await self.session.caller.act(self.conversation):
            case HangUp(reason):
                await self._take(interrupted=True)
                self._end("caller", reason)
                return False
            case Listen(seconds):
                await self.line.until(lambda: False, seconds)
            case Say() as line:
                await self._say(line, into=hearing)
                if line.takes_turn:
                    await self._yielded(hearing, self.line.now)
        return not self._gone(final=False)

    async def _yielded(self, hearing: Hearing, end: float) -> None:
        """After the caller's words: did the agent stop for them, or talk on to its own end? What it begins
        after them belongs to the caller's new turn, also where it leaves no pause before its answer."""
        if self.listener.current is not hearing:
            return
        await self.line.until(lambda: self.line.now - hearing.end >= self.patience)
        later = self.listener.split(hearing, end)
        went_on = later is not None and later.start - hearing.end <= SENTENCE_GAP
        await self._take(interrupted=hearing.end <= end + YIELDED and not went_on)
        self.listener.current = self.listener.current or later

    async def _take(self, *, interrupted: bool = False) -> bool:
        """The agent's utterance goes into the conversation; whether there was a word in it."""
        utterance = await self.listener.take(interrupted=interrupted)
        if utterance is None:
            return False
        if utterance not in self.conversation.utterances:
            self.conversation.add(utterance)
        return True

    # -- small things

    def _script(self) -> Script | None:
        script = getattr(self.session.caller, "script", None)
        return script if isinstance(script, Script) else None

    async def _spoken(self, line: Say) -> Pcm:
        own = self.recorded, self.senses.tts, self.voice_name, self.speed
        return await caller_line.sound_of(line, *own, self.session.spec.seed)

    def _gone(self, *, final: bool = True) -> bool:
        """Whether it is over; an agent that has hung up is noticed here, and one that broke is a fault."""
        if self.line.closed is not None and final and self.conversation.ended_by is None:
            if self.line.failure is not None:
                raise self.line.failure
            self._end("agent", self.line.closed)
        return self.conversation.ended_by is not None or self.line.closed is not None

    def _end(self, by: EndedBy, reason: str | None) -> None:
        if self.conversation.ended_by is None:
            self.conversation.ended_by, self.conversation.end_reason = by, reason
        self.conversation.duration = self.line.now
