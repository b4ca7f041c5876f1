"""A LiveKit worker whose voice and ears are services on sockets, at ``SERVICE``."""

import asyncio
import os

import aiohttp
import httpx
from livekit import rtc
from livekit.agents import AgentServer, JobContext, cli

RATE = 16_000
SERVICE = os.environ["SERVICE"]
server = AgentServer(num_idle_processes=1)


async def say(session: aiohttp.ClientSession, source: rtc.AudioSource, text: str) -> None:
    async with session.ws_connect(f"ws://{SERVICE}/v1/voice") as socket:
        await socket.send_json({"text": text})
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
            frame = rtc.AudioFrame(message.data, RATE, 1, len(message.data) // 2)
            await source.capture_frame(frame)
    await source.wait_for_playout()


async def hear(session: aiohttp.ClientSession, participant: rtc.RemoteParticipant) -> str:
    stream = rtc.AudioStream.from_participant(
        participant=participant, track_source=rtc.TrackSource.SOURCE_MICROPHONE, sample_rate=RATE
    )
    async with session.ws_connect(f"ws://{SERVICE}/v1/ears") as socket:

        async def send() -> None:
            async for event in stream:
                await socket.send_bytes(bytes(event.frame.data))

        sending = asyncio.create_task(send())
        heard = (await socket.receive_json())["heard"]
        sending.cancel()
    await stream.aclose()
    return heard


@server.rtc_session(agent_name="sockets")
async def entrypoint(context: JobContext) -> None:
    await context.connect()
    source = rtc.AudioSource(RATE, 1)
    track = rtc.LocalAudioTrack.create_audio_track("voice", source)
    await context.room.local_participant.publish_track(track)
    caller = await context.wait_for_participant()
    async with aiohttp.ClientSession() as session:
        await say(session, source, "Hello, how can I help you?")
        heard = await hear(session, caller)
        async with httpx.AsyncClient() as client:
            found = await client.get(f"http://{SERVICE}/shop/{len(heard)}")
        await say(session, source, f"Your table is number {found.json()['stock']}.")
    await asyncio.sleep(0.5)  # what was played out has to get there
    context.shutdown()


if __name__ == "__main__":
    cli.run_app(server)
