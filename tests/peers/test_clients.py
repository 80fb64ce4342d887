"""Slack's official Python clients, unchanged but for their base URL, against `callboard sim`.

Each connects, receives a message, acks it, answers with chat.postMessage, is sent away, comes back, and answers
another. The judge is the simulator's record.
"""

import unittest

from sim_process import Bot, Simulator, wait_for


class Peer:
    """What every client must manage; a subclass names the bot and how its kind of connection is ended."""

    script = None
    transport = "socket"

    def setUp(self):
        self.sim = Simulator(f"{self.id().split('.')[-2]}-{self._testMethodName}")
        self.addCleanup(self.sim.stop)
        self.app = self.sim.app(self.transport)
        self.team = next(iter(self.sim.tokens(self.app)["bot_tokens"]))
        self.channel = self.sim.team(self.team)["channels"][0]["id"]
        self.user = self.sim.people(self.team)[0]["id"]
        self.bot = Bot(self.sim, self.script, self.app, f"{self.script}-{self._testMethodName}")
        self.addCleanup(self.bot.stop)
        self.socket = self.opened(after=0)

    def opened(self, after):
        """The number of the socket that the bot opened after that entry of the record."""
        wait_for(
            "a socket of the bot",
            lambda: self.bot.alive() and [e for e in self.sim.record("socket_opened", app=self.app["id"]) if e["n"] > after],
            details=self.bot.log,
        )
        return [e for e in self.sim.record("socket_opened", app=self.app["id"]) if e["n"] > after][0]["socket"]

    def hello(self, text, **more):
        """A person says `text`; the bot's answer must appear, exactly once, in the right place."""
        after = self.sim.last_n()
        ts = self.sim.post(self.team, self.channel, self.user, text, **more)
        answer = self.sim.wait_for_record("posted", via="call", after=after, text=f"heard: {text}")
        self.assertEqual((answer["team"], answer["channel"]), (self.team, self.channel))
        self.assertEqual(answer.get("thread_ts"), more.get("thread_ts"))
        shown = [m for m in self.sim.messages(self.team, self.channel) if m["text"] == f"heard: {text}"]
        self.assertEqual(len(shown), 1, shown)
        self.assertTrue(shown[0].get("bot_id"), shown[0])
        return ts

    def taken(self, ts):
        """Checks from the record that the message was delivered to the bot, and owned by it."""
        raise NotImplementedError

    def send_away(self):
        raise NotImplementedError

    def test_answers_before_and_after_reconnecting(self):
        first = self.hello("hello one")
        self.taken(first)
        after = self.sim.last_n()
        self.send_away()
        self.sim.wait_for_record("disconnect_sent", after=after, socket=self.socket)
        fresh = self.opened(after)
        self.assertNotEqual(fresh, self.socket)
        self.sim.wait_for_record("socket_closed", after=after, socket=self.socket)
        wait_for("one open socket, the new one", lambda: self.sim.app(self.transport)["sockets"] == 1, details=self.sim.tail)
        second = self.hello("hello two")
        self.taken(second)
        self.assertEqual(len(self.sim.record("posted", via="call")), 2)

    def test_answers_in_the_thread(self):
        root = self.sim.post(self.team, self.channel, self.user, "the root of a thread")
        self.taken(self.hello("hello in the thread", thread_ts=root))

    def run_command(self):
        """Runs `/report` and returns its envelope's id, having checked that the ack carried the answer to the user."""
        after = self.sim.last_n()
        self.sim.command(self.team, self.channel, self.user, "/report", "stalls")
        run = self.sim.wait_for_record("command_run", after=after, command="/report")
        shown = self.sim.wait_for_record("ephemeral_shown", after=after, via="ack", envelope_id=run["envelope_id"])
        self.assertEqual((shown["user"], shown["channel"]), (self.user, self.channel))
        self.assertEqual(shown["text"], "/report ran with: stalls")
        self.assertTrue(self.sim.record("ack", envelope_id=run["envelope_id"])[0]["has_payload"])
        self.assertEqual(self.sim.record("command_failed"), [])
        return run["envelope_id"]


class SocketMode(Peer):
    def taken(self, ts):
        sent = self.sim.record("envelope_sent", ts=ts)
        self.assertEqual([one["attempt"] for one in sent], [0], "delivered once, at the first attempt")
        ack = self.sim.wait_for_record("ack", envelope_id=sent[0]["envelope_id"])
        self.assertFalse(ack["is_late"] or ack["is_repeated"], ack)
        self.assertEqual(self.sim.record("deadline_missed"), [])

    def send_away(self):
        self.sim.disconnect(self.app, "refresh_requested", then_close=True)


class Builtin(SocketMode, unittest.TestCase):
    script = "socket_builtin.py"

    def test_answers_a_command_in_the_ack(self):
        self.run_command()


class Aiohttp(SocketMode, unittest.TestCase):
    script = "socket_aiohttp.py"


class Bolt(SocketMode, unittest.TestCase):
    script = "bolt_app.py"

    def test_answers_a_command_in_the_ack_and_later(self):
        envelope = self.run_command()
        later = self.sim.wait_for_record("ephemeral_shown", via="response_url", envelope_id=envelope)
        self.assertEqual(later["text"], "and later, for stalls")


class Rtm(Peer, unittest.TestCase):
    script = "rtm_client.py"
    transport = "rtm"

    def taken(self, ts):
        frames = [one["frame"] for one in self.sim.record("rtm_sent", team=self.team)]
        self.assertEqual(len([one for one in frames if one.get("type") == "message" and one.get("ts") == ts]), 1)

    def send_away(self):
        self.sim.goodbye(self.team)


if __name__ == "__main__":
    unittest.main()
