# SPDX-License-Identifier: MIT
"""What happens to a process while it is looked at from outside: its figures, its profile, its timeline. It goes on as if nobody
looked, whatever is seen makes sense, and the timeline tells its end.

The programs are those of tests/life: each ends with a status that says whether all went well there.
"""
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tap

sys.path.insert(0, os.path.join(tap.SOURCE, "tools", "live"))
import board
import memory
import profiled
import reading

LIBRARY = os.environ["HK_TEST_SO"]
LIFE = os.path.join(tap.BUILD, "tests", "life")
WAIT = 250


class Events(tap.Case):
    def program(self, name, *arguments):
        path = os.path.join(LIFE, name)
        if not os.path.exists(path):
            self.skipTest("there is no " + path)
        return [path, *arguments]

    def look_on(self, process):
        """Looks at it in each way until it has ended. Returns how many looks there were, and the most that was live."""
        looks, most, found, profile = [0, 0], 0, None, None
        while process.poll() is None:
            try:
                if found is None:
                    seen = memory.Process(process.pid)
                    self.addCleanup(seen.close)
                    found, profile = board.Finder().find(seen), None
                of = reading.look(found).of
                self.assertLessEqual(of["resident_bytes"], 8 << 30)
                self.assertLessEqual(of["live_bytes"], of["mapped_bytes"] + (64 << 20))
                most, looks[0] = max(most, of["live_bytes"]), looks[0] + 1
                profile = profile or profiled.Stacks(found)
                stacks = profile.most(3)
                looks[1] += bool(stacks)
                self.assertTrue(all(live <= 8 << 30 for live, _ in stacks), stacks)
            except memory.Moved:
                found = None # it executes
            except memory.Trouble as trouble:
                self.assertIn(trouble.kind, ("gone", "none"), trouble)
                found = None
                time.sleep(0.005)
        return looks, most

    def looked_at(self, command, options=None):
        process = self.start(*command, env={"LD_PRELOAD": LIBRARY, "EVENTS_INSIDE": "1", **(options or {})})
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        looks, most = self.look_on(process)
        out, err = process.communicate(timeout=WAIT)
        self.assertEqual(process.returncode, 0, out + err)
        return looks, most

    def timeline_of(self, command, options):
        path = os.path.join(self.dir, "t.json")
        for _ in range(20):  # whoever has ended before the first look is begun again
            process = self.start(sys.executable, "-I", "-S", os.path.join(tap.SOURCE, "tools", "live", "live.py"), "run",
                                 "timeline", path, LIBRARY, "0", *command, env={"EVENTS_INSIDE": "1", **options})
            self.addCleanup(process.kill)
            out, err = process.communicate(timeout=WAIT)
            self.assertEqual(process.returncode, 0, out + err)
            if "ended before it could be looked at" not in err:
                break
        told = json.loads(self.wait_for(path))
        self.assertGreater(told["looks"], 0)
        self.assertGreater(told["peak"]["live_bytes"], 0)

    def check(self, *command, **options):
        """With a profile of all blocks, and as timeline. Whoever has ended before the first look is begun again."""
        looks = [0, 0]
        for _ in range(20):
            looks, _ = self.looked_at(command, {"HAKMEM_PROFILE": os.path.join(self.dir, "p.folded") + ",1", **options})
            if all(looks):
                break
        self.assertGreater(looks[0], 0)
        self.assertGreater(looks[1], 0)
        self.timeline_of(command, options)

    def test_execs(self):
        self.check(*self.program("life_events_preload", "looked", "execs"))

    def test_unloaded(self):
        library = self.program("life_events_library.so")[0]
        self.check(*self.program("life_events_preload", "looked", "unloaded", library), EVENTS_ROUNDS="100")

    def test_refused(self):
        self.check(*self.program("life_events_preload", "looked", "refused"))

    def test_many_threads(self):
        self.check(*self.program("life_events_preload", "looked", "threads"))

    def test_signals(self):
        self.check(*self.program("life_events_preload", "looked", "signals"))

    def test_forks(self):
        self.check(*self.program("life_fork_storm_preload", "30", "all"))

    def test_many_threads_at_once(self):
        """They sleep, each with a block; it makes a profile by itself."""
        looks, most = self.looked_at(self.program("life_leaks_shared", "threads", "4000"), {"LD_PRELOAD": ""})
        self.assertGreater(looks[0], 0)
        self.assertGreater(looks[1], 0)
        self.assertGreater(most, 100000)


if __name__ == "__main__":
    tap.main()
