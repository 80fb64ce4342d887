"""The chat page's five tasks by keyboard alone, with answers that appear live. The judge is the simulator's record."""

import unittest

from page.browser import Browser
from selenium.webdriver.common.keys import Keys
from sim_process import Bot, Simulator


class Keyboard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = Simulator("page-keyboard")
        cls.addClassCleanup(cls.sim.stop)
        cls.app = cls.sim.app("socket")
        cls.bot = Bot(cls.sim, "socket_builtin.py", cls.app, "page-keyboard")
        cls.addClassCleanup(cls.bot.stop)
        cls.sim.wait_for_record("socket_opened", app=cls.app["id"])
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    def setUp(self):
        self.teams = self.sim.world()["teams"]
        self.team = self.teams[0]
        self.channel = self.team["channels"][0]
        self.browser.look()
        self.browser.driver.get("about:blank")  # so that every test begins with a page of its own
        self.browser.open(self.sim.page_url)
        self.assertEqual(self.browser.text("#channel-name"), f"#{self.channel['name']}")
        self.after = self.sim.last_n()

    def tearDown(self):
        self.browser.shot(self._testMethodName)
        self.assertTrue(self.browser.never_reloaded(), "the page was loaded again")
        self.assertEqual(self.browser.script_errors(), [])

    def posted(self, text, **members):
        """The record's entry of a person's message."""
        return self.sim.wait_for_record("posted", after=self.after, via="person", text=text, **members)

    def heading(self, team, channel):
        self.browser.until(
            f"#{channel['name']} of {team['name']}",
            lambda: self.browser.text("#channel-name") == f"#{channel['name']}" and self.browser.text("#channel-topic").startswith(team["name"]),
        )

    def test_1_switch_workspace(self):
        other = self.teams[1]
        self.browser.keys("w")
        self.assertTrue(self.browser.focused("#teams"))
        self.browser.keys(Keys.ARROW_DOWN, Keys.ENTER)
        self.heading(other, other["channels"][0])
        self.assertTrue(self.browser.focused("#channels"), "the focus goes on to the channels")
        self.browser.write("hello from the other house" + Keys.ENTER)
        self.posted("hello from the other house", team=other["id"])
        self.browser.until_row("heard: hello from the other house")

        # And from inside the message box, without leaving it.
        self.browser.write("")
        self.browser.chord(Keys.ALT, Keys.SHIFT, Keys.ARROW_UP)
        self.heading(self.team, self.channel)
        self.assertTrue(self.browser.focused("#write"))

    def test_2_switch_channel(self):
        other = self.team["channels"][1]
        self.browser.keys("c", Keys.ARROW_DOWN, Keys.ENTER)
        self.heading(self.team, other)
        self.assertTrue(self.browser.focused("#write"), "the focus goes on to the message box")
        self.browser.keys("hello in the second channel", Keys.ENTER)
        self.posted("hello in the second channel", channel=other["id"])
        self.browser.until_row("heard: hello in the second channel")
        self.browser.chord(Keys.ALT, Keys.ARROW_UP)
        self.heading(self.team, self.channel)

    def test_3_post_as_another_user(self):
        people = self.sim.people(self.team["id"])
        self.browser.write("hello as the first" + Keys.ENTER)
        self.posted("hello as the first", user=people[0]["id"])
        self.browser.chord(Keys.SHIFT, Keys.TAB)
        self.assertTrue(self.browser.focused("#composer select"))
        self.browser.keys(Keys.ARROW_DOWN, Keys.TAB)
        self.browser.write("hello as the second" + Keys.ENTER)
        self.posted("hello as the second", user=people[1]["id"])
        self.browser.until_row("heard: hello as the second")

        self.browser.leave_text()
        self.browser.keys("u", Keys.ARROW_UP)
        self.browser.write("hello as the first again" + Keys.ENTER)
        self.posted("hello as the first again", user=people[0]["id"])

    def test_4_answer_in_a_thread(self):
        self.browser.write("the root of a thread" + Keys.ENTER)
        root = self.posted("the root of a thread")["ts"]
        self.browser.until_row("the root of a thread")
        self.browser.leave_text()
        self.browser.keys("m")
        self.browser.until("the message has the focus", lambda: "the root of a thread" in self.browser.script("return document.activeElement.innerText"))
        self.browser.keys(Keys.ENTER)
        self.browser.until("the thread's box has the focus", lambda: self.browser.focused("#write-answer"))
        self.browser.keys("hello in here", Keys.ENTER)
        self.posted("hello in here", thread_ts=root)
        self.browser.until_row("heard: hello in here", within="#thread-scroll")
        self.assertFalse(any("heard: hello in here" in row for row in self.browser.texts("#scroll article")), "answers stay in their thread")
        self.browser.until("the root counts its answers", lambda: any("2 answers" in row for row in self.browser.texts("#scroll article")))
        self.browser.shot("thread")
        self.browser.keys(Keys.ESCAPE)
        self.browser.until("the thread is closed", lambda: self.browser.text("#thread") == "")
        self.assertTrue(self.browser.focused("#scroll article"), "the focus comes back to the message")

    def test_5_run_a_slash_command(self):
        self.browser.keys("/")
        self.browser.until("the commands are offered", lambda: "/report" in self.browser.text("#composer .offers"))
        hint = next(one for one in self.team["commands"] if one["command"] == "/report")["usage_hint"]
        self.assertIn(hint, self.browser.text("#composer .offers"))
        self.browser.shot("commands")
        self.browser.keys("rep", Keys.TAB)
        self.assertEqual(self.browser.script("return document.activeElement.value"), "/report ")
        self.browser.keys("the stalls", Keys.ENTER)
        run = self.sim.wait_for_record("command_run", after=self.after, command="/report", text="the stalls")
        self.assertEqual(run["channel"], self.channel["id"])
        self.browser.until_row("/report ran with: the stalls")
        name = self.sim.people(self.team["id"])[0]["real_name"]
        self.browser.until_row(f"Only visible to {name}")

    def test_6_a_command_that_is_not_offered_can_be_typed(self):
        self.browser.write("/nobody-offers-this")
        self.browser.until("the page says so", lambda: "Enter runs it all the same" in self.browser.text("#composer .offers"))
        self.browser.keys(Keys.ENTER)
        self.browser.until(
            "the simulator's refusal stands at the box, or the failure in the channel",
            lambda: self.browser.text("#composer .fault") or self.browser.count("#scroll article.failed"),
        )

    def test_7_the_help_names_the_five_tasks(self):
        self.assertIn("Keyboard", self.browser.text("#help-open"))
        self.browser.keys("?")
        self.browser.until("the help is open", lambda: self.browser.focused("#help"))
        help_text = self.browser.text("#help")
        for task in ("Switch workspace", "Switch channel", "Post as another user", "Answer in a thread", "Run a slash command"):
            self.assertIn(task, help_text)
        self.browser.shot("help")
        self.browser.keys(Keys.ESCAPE)
        self.browser.until("the help is closed", lambda: self.browser.text("#help") == "")

    def test_8_the_tab_key_reaches_every_part(self):
        reached = set()
        parts = ("#teams", "#channels", "#help-open", "#composer select", "#write", "#composer .send")
        for _ in range(14):
            self.browser.keys(Keys.TAB)
            reached |= {part for part in parts if self.browser.focused(part)}
        self.assertEqual(reached, set(parts))


if __name__ == "__main__":
    unittest.main()
