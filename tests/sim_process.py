"""`callboard sim` as a child process, for tests that are not written in Rust.

The binary's path comes from the environment variable CALLBOARD_BIN. Everything that is waited for is a condition
with a deadline, and what happened is judged from the simulator's own record, never from what a client says.
"""

import json
import os
import select
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
LOGS = TARGET / "python-tests"
BOTS = Path(__file__).resolve().parent / "peers" / "bots"
DEADLINE_S = 30.0
START_DEADLINE_S = 20.0
STOP_DEADLINE_S = 10.0
POLL_S = 0.03


class Failed(AssertionError):
    """A condition that did not come true in time, or a child process that misbehaved."""


def wait_for(what, condition, deadline_s=DEADLINE_S, details=None):
    """Asks `condition` until it is true, and returns its value; fails naming `what` after the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            more = f"\n{details()}" if details else ""
            raise Failed(f"not seen within {deadline_s:g} s: {what}{more}")
        time.sleep(POLL_S)


def child_environment(**more):
    """This process's environment without proxies: everything here is on the loopback interface."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "PYTHONUNBUFFERED": "1", **more}


class Child:
    """A child process whose output goes to a log file under the target directory."""

    def __init__(self, name, command, environment=None, stdout=None):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log_path = LOGS / f"{name}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=stdout or log, stderr=log, env=environment or child_environment()
            )

    def log(self):
        """The end of what it wrote."""
        return f"--- {self.log_path.name}:\n" + self.log_path.read_text("utf-8", "replace")[-4000:]

    def stop(self):
        """Ends it by SIGTERM and returns its exit status; kills it, and fails, if it does not end in time."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Failed(f"{self.name} did not end within {STOP_DEADLINE_S:g} s of SIGTERM\n{self.log()}") from None
        finally:
            if self.process.stdout:
                self.process.stdout.close()


class Simulator:
    """A running `callboard sim`: its world, its page API and its record."""

    def __init__(self, name, listen="127.0.0.1:0"):
        binary = os.environ.get("CALLBOARD_BIN")
        if not binary or not os.access(binary, os.X_OK):
            raise Failed("set CALLBOARD_BIN to the path of the callboard binary, for example target/debug/callboard")
        self.child = Child(f"sim-{name}", [binary, "sim", "--listen", listen, "--json"], stdout=subprocess.PIPE)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.entries = []
        try:
            self.served = json.loads(self._first_line())
        except Exception:
            self.child.process.kill()
            self.child.process.wait()
            self.child.process.stdout.close()
            raise
        self.page_url = self.served["page_url"]
        self.teams = self.served["teams"]
        self.root = "{0.scheme}://{0.netloc}/".format(urllib.parse.urlsplit(self.page_url))
        self.listen = urllib.parse.urlsplit(self.page_url).netloc

    def _first_line(self):
        pipe = self.child.process.stdout
        ready, _, _ = select.select([pipe], [], [], START_DEADLINE_S)
        line = pipe.readline() if ready else b""
        if not line.strip():
            raise Failed(f"callboard sim --json printed no line within {START_DEADLINE_S:g} s\n{self.child.log()}")
        return line

    def stop(self):
        """Ends it; it must end in good order when asked to."""
        status = self.child.stop()
        if status != 0:
            raise Failed(f"callboard sim ended with status {status} on SIGTERM instead of 0\n{self.child.log()}")

    # ---- the world

    def app(self, transport):
        """The first app of a transport (`socket` or `rtm`), as the world tells it."""
        return next(app for app in self.world()["apps"] if app["transport"] == transport)

    def tokens(self, app):
        """The app's entry in the line that the simulator printed: `app_token` and `bot_tokens`."""
        return next(one for one in self.served["apps"] if one["name"] == app["name"])

    def team(self, team_id):
        return next(team for team in self.world()["teams"] if team["id"] == team_id)

    def people(self, team_id):
        return [user for user in self.team(team_id)["users"] if not user["is_bot"]]

    # ---- the page API

    def _request(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"} if data else {})
        try:
            with self.opener.open(request, timeout=DEADLINE_S) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            raise Failed(f"{path} answered {error.code}: {error.read().decode('utf-8', 'replace')}") from None

    def _call(self, path, body=None):
        answer = json.loads(self._request(path, body))
        if not answer.get("ok"):
            raise Failed(f"{path} refused: {answer}")
        return answer

    def world(self):
        return self._call("_sim/world")

    def messages(self, team, channel):
        query = urllib.parse.urlencode({"team": team, "channel": channel})
        return self._call(f"_sim/messages?{query}")["messages"]

    def post(self, team, channel, user, text, **more):
        """A person posts; returns the message's ts."""
        return self._call("_sim/post", {"team": team, "channel": channel, "user": user, "text": text, **more})["ts"]

    def command(self, team, channel, user, command, text=""):
        body = {"team": team, "channel": channel, "user": user, "command": command, "text": text}
        return self._call("_sim/command", body)

    def disconnect(self, app, reason="refresh_requested", then_close=True):
        return self._call("_sim/disconnect", {"app": app["id"], "reason": reason, "then_close": then_close})

    def goodbye(self, team):
        return self._call("_sim/goodbye", {"team": team})

    # ---- the record

    def record(self, what=None, **members):
        """All entries so far of the kind `what` whose members have these values."""
        after = self.entries[-1]["n"] if self.entries else 0
        lines = self._request(f"_sim/record?after={after}").splitlines()
        self.entries += [json.loads(line) for line in lines if line.strip()]
        return [
            entry
            for entry in self.entries
            if (what is None or entry["what"] == what) and all(entry.get(name) == value for name, value in members.items())
        ]

    def last_n(self):
        """The number of the newest entry; what comes later is greater."""
        self.record()
        return self.entries[-1]["n"] if self.entries else 0

    def wait_for_record(self, what, deadline_s=DEADLINE_S, after=0, **members):
        """Waits until the record has such an entry with a number above `after`, and returns the first."""
        found = wait_for(
            f"{what} {members} in the record",
            lambda: [entry for entry in self.record(what, **members) if entry["n"] > after],
            deadline_s,
            self.tail,
        )
        return found[0]

    def tail(self):
        """The record's end, for a failure's text."""
        return "--- the record's end:\n" + "\n".join(json.dumps(entry)[:400] for entry in self.entries[-15:])


class Bot(Child):
    """One of the bots under `peers/bots`, given the simulator's addresses and the app's tokens."""

    def __init__(self, simulator, script, app, name=None):
        wiring = {"api_url": simulator.served["api_url"].rstrip("/") + "/", **simulator.tokens(app)}
        super().__init__(
            f"bot-{name or Path(script).stem}",
            [sys.executable, str(BOTS / script)],
            child_environment(CALLBOARD_WIRING=json.dumps(wiring)),
        )

    def alive(self):
        """Fails if it ended by itself."""
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended by itself with status {self.process.returncode}\n{self.log()}")
        return True
