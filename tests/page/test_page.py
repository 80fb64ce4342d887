"""What the chat page shows, and how it bears loss, floods and hostile text."""

import unittest

from page.browser import Browser
from selenium.webdriver.common.keys import Keys
from sim_process import Bot, Simulator

# For every visible text: its colour against the nearest ground that is painted, as WCAG counts contrast.
CONTRAST = """
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgb = (colour) => {
  canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const light = ([r, g, b]) => {
  const part = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const over = (top, base) => top.slice(0, 3).map((v, i) => (v * top[3] + base[i] * (255 - top[3])) / 255);
const ground = (node) => {
  const layers = [];
  for (let at = node; at; at = at.parentElement) {
    const colour = rgb(getComputedStyle(at).backgroundColor);
    if (colour[3]) layers.push(colour);
    if (colour[3] === 255) break;
  }
  return layers.reverse().reduce((base, layer) => over(layer, base), [255, 255, 255]);
};
const poor = [];
let seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !node.checkVisibility({ opacityProperty: true, visibilityProperty: true }) || node.closest(".unseen, .skip, option, script, noscript")) continue;
  seen += 1;
  const base = ground(node), text = over(rgb(getComputedStyle(node).color), base);
  const [a, b] = [light(base), light(text)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) poor.push(`${walker.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}
return { seen, poor };
"""

NAMELESS = """
return [...document.querySelectorAll("button, select, textarea, input, [role=feed], [role=article], article, nav, aside, main, dialog")]
  .filter((one) => one.checkVisibility() && !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
    || one.labels?.length || one.textContent.trim()))
  .map((one) => one.outerHTML.slice(0, 120));
"""


class Page(unittest.TestCase):
    def setUp(self):
        self.sim = Simulator(f"page-{self._testMethodName}")
        self.addCleanup(lambda: self.sim.stop())
        self.app = self.sim.app("socket")
        self.team = self.sim.world()["teams"][0]
        self.channel, self.other = self.team["channels"][:2]
        self.people = self.sim.people(self.team["id"])
        self.user = self.people[0]["id"]
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def tearDown(self):
        self.browser.shot(self._testMethodName)
        self.assertEqual(self.browser.script_errors(), [])

    def open(self):
        self.browser.open(self.sim.page_url)

    def post(self, text, channel=None, **more):
        return self.sim.post(self.team["id"], (channel or self.channel)["id"], self.user, text, **more)

    def app_line(self):
        return next((one for one in self.browser.texts("#apps li") if one.startswith(self.app["name"])), "")

    def test_apps_show_whether_they_are_connected(self):
        self.open()
        self.assertIn("not connected", self.app_line())
        bot = Bot(self.sim, "socket_builtin.py", self.app, "page-apps")
        self.addCleanup(bot.stop)
        self.browser.until("the app is connected", lambda: "1 socket" in self.app_line())

    def test_a_command_without_its_app_fails_in_words(self):
        self.open()
        self.browser.write("/report curtains")
        self.browser.keys(Keys.ENTER)
        self.browser.until_row("/report failed")
        row = next(row for row in self.browser.texts("#scroll article") if "/report failed" in row)
        self.assertIn("no open connection", row)
        self.assertIn("Start the bot", row)
        self.browser.until("the note of its handing over is gone", lambda: self.browser.text("#composer .state") == "")
        self.browser.leave_text()
        self.browser.keys("m", Keys.TAB, Keys.ENTER)
        self.assertTrue(self.browser.focused("#write"))
        self.assertEqual(self.browser.script("return document.activeElement.value"), "/report curtains", "written again as it was")
        self.assertTrue(self.sim.record("command_failed", command="/report"))

    def test_the_page_comes_back_by_itself(self):
        self.post("before the gap")
        self.open()
        self.browser.until_row("before the gap")
        self.sim.stop()
        self.browser.until("the page says that it reconnects", lambda: "Reconnecting" in self.browser.text("#link"))
        self.assertIn("Reconnecting by itself", self.browser.text("#banner"))
        self.browser.write("kept while nobody answers" + Keys.ENTER)
        self.browser.until("the fault stands at the box", lambda: "cannot be reached" in self.browser.text("#composer .fault"))
        self.assertEqual(self.browser.script("return document.getElementById('write').value"), "kept while nobody answers")
        self.browser.shot("reconnecting")
        self.sim = Simulator("page-comes-back", listen=self.sim.listen)
        self.post("written in the gap")
        self.browser.until("the page is live again", lambda: self.browser.text("#link") == "Live")
        self.browser.until_row("written in the gap")
        self.assertFalse(any("before the gap" in row for row in self.browser.texts("#scroll article")), "the lists were read again")
        self.assertEqual(self.browser.text("#banner"), "")
        self.assertTrue(self.browser.never_reloaded())
        self.browser.keys(Keys.ENTER)
        self.browser.until_row("kept while nobody answers")

    def test_hostile_text_stays_text(self):
        self.open()
        hostile = "<img src=x onerror=document.title='broken'> <script>document.title='broken'</script> <javascript:alert(1)|click> &lt;b&gt;bold&lt;/b&gt;"
        self.post(hostile)
        self.post("*strong* _slanted_ ~gone~ `code` <https://example.org/a?b=c|a link> <@%s> <#%s|%s>" % (self.user, self.other["id"], self.other["name"]))
        self.post("```\nif a &lt; b:\n    *not bold*\n```")
        self.browser.until_row("not bold")
        self.assertEqual(self.browser.count("#scroll article img, #scroll article script, #scroll article b"), 0)
        self.assertNotIn("broken", self.browser.driver.title)
        self.assertEqual(self.browser.texts("#scroll article strong"), ["strong"])
        self.assertEqual(self.browser.texts("#scroll article em"), ["slanted"])
        self.assertEqual(self.browser.texts("#scroll article s"), ["gone"])
        self.assertEqual(self.browser.texts("#scroll article .said :not(pre) > code, #scroll article p > code"), ["code"])
        self.assertEqual(self.browser.texts("#scroll article pre"), ["if a < b:\n    *not bold*"])
        links = self.browser.script("return [...document.querySelectorAll('#scroll .said a')].map((one) => [one.href, one.textContent])")
        self.assertEqual(links, [["https://example.org/a?b=c", "a link"]])
        self.assertEqual(self.browser.texts("#scroll .mention"), [f"@{self.people[0]['name']}", f"#{self.other['name']}"])

    def test_what_is_typed_is_sent_as_slacks_clients_send_it(self):
        self.open()
        other = self.people[1]
        typed = f"1 < 2 & @{other['name']} in #{self.other['name']}: https://example.org/x."
        sent = f"1 &lt; 2 &amp; <@{other['id']}> in <#{self.other['id']}|{self.other['name']}>: <https://example.org/x>."
        self.browser.write(typed)
        self.browser.keys(Keys.ENTER)
        self.sim.wait_for_record("posted", via="person", text=sent)
        self.browser.until_row(f"1 < 2 & @{other['name']} in #{self.other['name']}: https://example.org/x.")

    def test_unread_marks(self):
        self.open()
        self.post("somewhere else", self.other)
        far = self.sim.world()["teams"][1]
        self.sim.post(far["id"], far["channels"][0]["id"], self.sim.people(far["id"])[0]["id"], "in another house")
        mark = lambda list_name, name: next(one for one in self.browser.texts(f"#{list_name} button") if name in one)
        self.browser.until("the channel's mark", lambda: mark("channels", self.other["name"]).endswith("1"))
        self.browser.until("the workspace's mark", lambda: mark("teams", far["name"]).endswith("1"))
        self.assertTrue(self.browser.driver.title.startswith("(2)"), self.browser.driver.title)
        self.browser.keys("c", Keys.ARROW_DOWN, Keys.ENTER)
        self.browser.until_row("somewhere else")
        self.browser.until("the mark is gone", lambda: not mark("channels", self.other["name"]).endswith("1"))

    def test_a_long_history_keeps_the_document_bounded(self):
        for number in range(1, 621):
            self.post(f"notice {number}.")
        self.open()
        self.browser.until_row("notice 620.")
        self.assertEqual(self.browser.count("#scroll article"), 500)
        for number in range(621, 641):
            self.post(f"notice {number}.")
        self.browser.until_row("notice 640.")
        self.assertEqual(self.browser.count("#scroll article"), 500, "new rows push old ones out")
        self.browser.keys("m", Keys.HOME, Keys.ARROW_UP)
        self.assertIn("Show older (140 more)", self.browser.script("return document.activeElement.textContent"))
        self.browser.keys(Keys.ENTER)
        self.browser.until("the oldest rows", lambda: "notice 1." in self.browser.texts("#scroll article")[0])
        self.assertEqual(self.browser.count("#scroll article"), 640)

    def test_new_messages_are_announced(self):
        self.open()
        self.sim.post(self.team["id"], self.channel["id"], self.people[1]["id"], "a word for all")
        spoken = lambda: self.browser.script("return document.querySelector('[role=log][aria-live=polite]').textContent")
        self.browser.until("the live region says it", lambda: f"{self.people[1]['real_name']}: a word for all" in spoken())

    def test_looks(self):
        """Readable contrast, names for all controls, no sideways scrolling: both schemes, both widths."""
        bot = Bot(self.sim, "socket_builtin.py", self.app, "page-looks")
        self.addCleanup(bot.stop)
        self.sim.wait_for_record("socket_opened", app=self.app["id"])
        root = self.post("hello, *everybody*: the `fit-up` starts at ten. <https://example.org|The plan>")
        self.post("and hello in the thread", thread_ts=root)
        self.sim.wait_for_record("posted", via="call", thread_ts=root)
        self.sim.command(self.team["id"], self.channel["id"], self.user, "/report", "stalls")
        self.open()
        self.sim.command(self.team["id"], self.channel["id"], self.user, "/report", "circle")
        self.browser.until_row("/report ran with: circle")
        self.browser.keys("m", Keys.HOME, Keys.ENTER)
        self.browser.until("the thread is open", lambda: self.browser.focused("#write-answer"))
        for scheme in ("light", "dark"):
            for width in (1280, 700):
                with self.subTest(scheme=scheme, width=width):
                    self.browser.look(width, 800, scheme)
                    self.browser.until("the size is taken", lambda: self.browser.script("return innerWidth") == width)
                    found = self.browser.script(CONTRAST)
                    self.assertGreater(found["seen"], 20)
                    self.assertEqual(found["poor"], [])
                    self.assertEqual(self.browser.script(NAMELESS), [])
                    self.assertLessEqual(self.browser.script("return document.documentElement.scrollWidth"), width)
                    self.browser.shot(f"looks-{scheme}-{width}")


if __name__ == "__main__":
    unittest.main()
