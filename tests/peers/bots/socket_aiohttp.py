"""slack_sdk's Socket Mode client on aiohttp."""

import asyncio
import signal

from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from wiring import API_URL, APP_TOKEN, BOT_TOKENS, answer_to

web = {team: AsyncWebClient(token=token, base_url=API_URL) for team, token in BOT_TOKENS.items()}


async def handle(client, request):
    await client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
    if request.type == "events_api":
        event = request.payload["event"]
        text = answer_to(event)
        if text:
            await web[request.payload["team_id"]].chat_postMessage(channel=event["channel"], text=text, thread_ts=event.get("thread_ts"))


async def main():
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    client = SocketModeClient(app_token=APP_TOKEN, web_client=AsyncWebClient(base_url=API_URL))
    client.socket_mode_request_listeners.append(handle)
    await client.connect()
    await ended.wait()
    await client.close()


asyncio.run(main())
