"""A small slack_bolt app over Socket Mode, for the first workspace that installed it."""

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from wiring import API_URL, APP_TOKEN, BOT_TOKENS, until_asked_to_end

app = App(client=WebClient(token=next(iter(BOT_TOKENS.values())), base_url=API_URL))


@app.message("hello")
def hello(message, say):
    say(text=f"heard: {message['text']}", thread_ts=message.get("thread_ts"))


@app.command("/report")
def report(ack, command, respond):
    ack(f"{command['command']} ran with: {command['text']}")
    respond(f"and later, for {command['text']}")


handler = SocketModeHandler(app, APP_TOKEN)
handler.connect()
until_asked_to_end()
handler.close()
