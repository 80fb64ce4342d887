"""What a test hands to a bot: the base URL of the Web API and the app's tokens, in CALLBOARD_WIRING."""

import json
import logging
import os
import signal
import threading

WIRING = json.loads(os.environ["CALLBOARD_WIRING"])
API_URL = WIRING["api_url"]
APP_TOKEN = WIRING.get("app_token")
BOT_TOKENS = WIRING["bot_tokens"]  # team id -> token

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")


def answer_to(event):
    """The text to answer with, or None: only what people write and that has a hello in it is answered."""
    if event.get("type") != "message" or event.get("bot_id") or event.get("subtype"):
        return None
    text = event.get("text", "")
    return f"heard: {text}" if "hello" in text else None


def until_asked_to_end():
    """Blocks until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
