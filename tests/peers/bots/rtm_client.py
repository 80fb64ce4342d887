"""slack_sdk's RTM client, second version."""

from slack_sdk.rtm_v2 import RTMClient
from wiring import API_URL, BOT_TOKENS, answer_to, until_asked_to_end

client = RTMClient(token=next(iter(BOT_TOKENS.values())), base_url=API_URL)


@client.on("message")
def handle(client, event):
    text = answer_to(event)
    if text:
        client.web_client.chat_postMessage(channel=event["channel"], text=text, thread_ts=event.get("thread_ts"))


client.connect()
until_asked_to_end()
client.close()
