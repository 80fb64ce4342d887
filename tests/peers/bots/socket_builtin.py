"""slack_sdk's Socket Mode client without dependencies; also answers slash commands in the ack."""

from slack_sdk import WebClient
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from wiring import API_URL, APP_TOKEN, BOT_TOKENS, answer_to, until_asked_to_end

web = {team: WebClient(token=token, base_url=API_URL) for team, token in BOT_TOKENS.items()}


def handle(client, request):
    if request.type == "slash_commands":
        text = f"{request.payload['command']} ran with: {request.payload['text']}"
        client.send_socket_mode_response(SocketModeResponse(request.envelope_id, {"text": text}))
        return
    client.send_socket_mode_response(SocketModeResponse(request.envelope_id))
    if request.type == "events_api":
        event = request.payload["event"]
        text = answer_to(event)
        if text:
            web[request.payload["team_id"]].chat_postMessage(channel=event["channel"], text=text, thread_ts=event.get("thread_ts"))


client = SocketModeClient(app_token=APP_TOKEN, web_client=WebClient(base_url=API_URL))
client.socket_mode_request_listeners.append(handle)
client.connect()
until_asked_to_end()
client.close()
