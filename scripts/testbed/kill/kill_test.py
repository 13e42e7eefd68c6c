"""Kills the real server process in the windows that lose or double a machine.

    python kill_test.py --binary PATH/TO/http-server --counterpart sim [--seed N]

The server works through the fault proxy, which sends it SIGKILL at an exact moment of a call to the cloud: the
request is there and not forwarded; it was forwarded and the reply is held; the reply was passed on, and 0 to 15 ms
later the commit that follows it is under way or just done. After each kill the server starts again on the same
data, and the client repeats what it asked for.

At the end the cloud's own listing and the API's must agree, every slot must have had one machine, and after the
release nothing of ours may be left, while the machines made by hand are as they were. What the store held at each
restart is counted, not judged. Exit codes: 0 every promise held, 1 one did not (said on standard error).

Where a cloud takes no token (`tokenless`), two more things happen: a create call sits in a queue while its server is
killed, and arrives after its slot was filled anew, which makes the one machine too many that nobody can avoid, and
that has to be ended; and a create call is lost whose lease ends before the server is back, which must not be sent.
"""

import argparse
import collections
import datetime
import os
import random
import shutil
import signal
import sys
import tempfile
import time

import clouds
from parts import WINDOWS, Api, HttpServer, Violation, launches, require, state_of, touched, until

# Waits are for a loaded machine; what is waited for takes seconds, but for a power order that never arrived: that
# is given again after a minute.
KILL_WITHIN_S = 180
CONVERGE_WITHIN_S = 600
LIVES_S = 20
LIVES_TRIED_MAX = 3
UNWANTED = 2
PROGRESS_EVERY = 9


def second_of(text):
    """RFC 3339 in UTC as a whole second since 1970, rounded down."""
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp()


def moment_of(text):
    """RFC 3339 in UTC as seconds since 1970."""
    return second_of(text) + float("0" + text[19:].rstrip("Z"))


class Run:
    """One counterpart, from its start to its end."""

    def __init__(self, cloud, server, seed):
        self.cloud, self.server, self.dice = cloud, server, random.Random(seed)
        self.cloud.shorten(float(os.environ.get("INFRA_KILL_SHARE") or 1))
        self.apis = [Api(server, user) for user in ("ada", "bob")]
        self.kills = collections.Counter()
        self.states = collections.Counter()
        self.restarts_with = collections.Counter()
        self.wanted = {}  # reservation id -> (api, count)
        self.short = 0  # leases that end by themselves
        self.copies = 0  # machines that were made again from a copy of the one that was turned off
        self.late = set()  # machines whose create call was kept until its slot was filled anew
        self.unwanted = 0  # leases that were over before anything was made
        self.off = set()
        self.started = time.monotonic()

    def say(self, text):
        print(f"kill {self.cloud.name}: {text} ({time.monotonic() - self.started:.0f} s)", flush=True)

    # ------------------------------------------------------------ one kill

    def shoot(self, window, match, ask):
        """Arms a kill, asks for what leads to the call, waits for the death, starts again. Answers what `ask` did."""
        delay_s = self.dice.randrange(16) / 1000 if window == "after" else 0
        proxy = self.cloud.before(match)
        proxy.arm(match, self.kill_at(window, delay_s))
        answer = ask()
        require(
            self.server.wait_killed(KILL_WITHIN_S),
            f"no call {match} came within {KILL_WITHIN_S} s of {answer}, so nothing was killed",
        )
        [entry] = proxy.fired("killed")
        same = entry["operation"] == match.get("operation", entry["operation"])
        require(same and entry["at"] == WINDOWS[window], f"another kill happened: {entry}")
        self.restart()
        return answer

    def kill_at(self, window, delay_s=0):
        return {"at": WINDOWS[window], "then": "kill_pid", "pid": self.server.process.pid, "delay_s": delay_s}

    def restart(self):
        found = collections.Counter(state_of(launch) for launch in launches(self.server.data))
        self.states += found
        self.restarts_with.update(found.keys())
        self.server.start()

    # ------------------------------------------------------------ the phases

    def reserve_under_fire(self):
        """Every client repeats its request with its Idempotency-Key after the kill, whatever it was answered."""
        most = self.cloud.reservations
        satellites = [kind for kind in self.cloud.creates if kind != "machine"]
        for number in range(most):
            window = list(WINDOWS)[number % 3]
            what = satellites[number // 9 % len(satellites)] if number % 9 >= 6 else "machine"
            api, count, key = self.apis[number // 3 % 2], 1 + number // 2 % self.cloud.count_max, f"kill-{number}"
            request = dict(self.cloud.request, count=count, name=f"r{number}")
            request["region"] = self.cloud.regions[number // 6 % len(self.cloud.regions)]
            if number % 4 == 0:
                request["duration_s"] = 3600
            first = self.shoot(window, self.cloud.creates[what], lambda: api.reserve(request, key))
            self.kills[window] += 1
            self.repeat(api, request, key, first)
            if "duration_s" in request and number % 8 == 0:
                self.extend(api, key, request)
            if (number + 1) % PROGRESS_EVERY == 0 and number + 1 < most:
                self.say(f"{number + 1} of {most} reservations, {sum(self.kills.values())} kills")
        self.say(f"{most} reservations, {sum(self.kills.values())} kills")

    def repeat(self, api, request, key, first):
        ids = {first[1]["id"]} if first[0] in (200, 202) else set()
        require(first[0] in (None, 200, 202), f"the server refused {request}: {first}")
        for _ in range(2):
            status, again = api.reserve(request, key)
            require(status in (200, 202), f"the repeated request was refused: {status} {again}")
            ids.add(again["id"])
        require(len(ids) == 1, f"one Idempotency-Key made several reservations: {ids}")
        self.wanted[ids.pop()] = (api, request.get("count", 1))

    def extend(self, api, key, request):
        [identity] = [one for one, (owner, _) in list(self.wanted.items())[-1:] if owner is api]
        ends_at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5)
        body = {"ends_at": ends_at.strftime("%Y-%m-%dT%H:%M:%SZ")}
        status, answer = api.call("PATCH", f"/reservations/{identity}", body)
        require(status == 200, f"{key} {request} was not extended: {status} {answer}")

    def off_under_fire(self):
        for number, (identity, (api, _)) in enumerate(list(self.wanted.items())[: self.cloud.powered]):
            # Each window of one call, then of the next.
            self.power(list(WINDOWS)[number % 3], identity, api, "off", number // 3)
        self.say(f"{self.kills['power']} kills while turning machines off")

    def on_under_fire(self):
        """An order that never arrived is given again only after a minute; the half that turns off shows that."""
        chosen = list(self.wanted.items())[: self.cloud.powered // 2]
        for number, (identity, (api, count)) in enumerate(chosen):
            self.power(("held", "after")[number % 2], identity, api, "on")
            self.copies += count if self.cloud.off_is_copy else 0
        self.say(f"{self.kills['power']} kills while turning machines off and on")

    def power(self, window, identity, api, power, nth=0):
        patch = lambda: api.call("PATCH", f"/reservations/{identity}", {"power": power})  # noqa: E731
        calls = self.cloud.power[power]
        first = self.shoot(window, calls[nth % len(calls)], patch)
        status, again = patch()
        require(first[0] in (None, 200) and status == 200, f"power {power} was refused: {first} {status} {again}")
        self.kills["power"] += 1
        (self.off.add if power == "off" else self.off.discard)(identity)

    def end_while_down(self):
        """A short lease whose server is dead when its end comes."""
        until(self.ended_while_down, LIVES_TRIED_MAX * CONVERGE_WITHIN_S, "the server was always killed too late")
        self.say(f"a lease of {LIVES_S} s ended by itself although its server was dead at its end")

    def ended_while_down(self):
        """False when the machine is so slow that the end came before the kill: that shows nothing."""
        require(self.short < LIVES_TRIED_MAX, f"{self.short} times the server was killed too late")
        self.short += 1
        api, key = self.apis[0], f"kill-short-{self.short}"
        request = dict(self.cloud.request, count=1, name="short", duration_s=LIVES_S)
        first = api.reserve(request, key)
        require(first[0] == 202, f"{first}")
        identity = first[1]["id"]
        view = until(lambda: self.seen_ready(api, identity), CONVERGE_WITHIN_S, lambda: f"{api.get(identity)}")
        self.server.kill_9()
        in_time = view["state"] == "ready" and time.time() < second_of(view["ends_at"])
        if in_time:
            [machine] = [unit["provider_id"] for unit in view["units"]]
            self.kills["down"] += 1
            time.sleep(max(0, second_of(view["ends_at"]) - time.time()) + 2)
            require(self.alive(machine), "the cloud ended a machine by itself: this shows nothing")
        self.restart()
        until(lambda: api.get(identity)["state"] == "released", CONVERGE_WITHIN_S, lambda: f"{api.get(identity)}")
        require(not in_time or not self.alive(machine), "a reservation is released and its machine runs")
        return in_time

    @staticmethod
    def seen_ready(api, identity):
        view = api.get(identity)
        return view if view["state"] in ("ready", "releasing", "released") else None

    def alive(self, identity):
        return any(one["id"] == identity and one["alive"] for one in self.cloud.things())

    def release_under_fire(self):
        chosen = list(self.wanted.items())
        self.dice.shuffle(chosen)
        for identity, (api, _) in chosen:
            release = lambda: api.call("DELETE", f"/reservations/{identity}")  # noqa: E731
            shot = self.kills["ending"]
            if shot < self.cloud.ended_under_fire and not (self.cloud.off_is_copy and identity in self.off):
                first = self.shoot(list(WINDOWS)[shot % 3], self.cloud.end, release)
                require(first[0] in (None, 202), f"the release was refused: {first}")
                self.kills["ending"] += 1
            status, answer = release()
            require(status in (202, 410), f"the release was refused: {status} {answer}")
        self.say(f"{self.kills['ending']} kills while ending")

    # ------------------------------------------------------------ without a token

    def arrive_late(self):
        """Create calls sit in a queue; their server dies, their slots get other machines; then they arrive."""
        match, asked = self.cloud.creates["machine"], []
        proxy = self.cloud.before(match)
        proxy.arm(match, {"at": WINDOWS["before"], "then": "hold", "times": self.cloud.late})
        for number in range(self.cloud.late):
            api, key = self.apis[number % 2], f"kill-late-{number}"
            region = self.cloud.regions[number // 2 % len(self.cloud.regions)]
            request = dict(self.cloud.request, count=1, region=region)
            asked.append((api, request, key, api.reserve(request, key)))
        proxy.fired(*["held"] * self.cloud.late)
        self.server.kill_9()
        self.kills["late"] += 1
        self.restart()
        for one in asked:
            self.repeat(*one)
        self.all_as_wanted()
        before = {one["id"] for one in self.machines()}
        require(proxy.let_pass() == self.cloud.late, "a create call left the queue too early")

        def born():
            found = {one["id"] for one in self.machines()} - before
            return found if len(found) >= self.cloud.late else None

        self.late = until(born, CONVERGE_WITHIN_S, "the late calls made nothing")
        require(len(self.late) == self.cloud.late, f"{self.cloud.late} late calls made {self.late}")
        self.say(f"{len(self.late)} create calls arrived after their slots were filled anew")

    def late_ones_end(self):
        def alive():
            return {one["id"] for one in self.machines() if one["alive"]} & self.late

        until(lambda: not alive(), CONVERGE_WITHIN_S, lambda: f"born late, and not ended: {alive()}")

    def never_resumed(self):
        """Two lost create calls, one of which had made its machine, whose leases are over when the server is back."""
        before, api, match = len(self.machines()), self.apis[0], self.cloud.creates["machine"]
        ends_at = time.time() + LIVES_S
        moment = datetime.datetime.fromtimestamp(ends_at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        proxy = self.cloud.before(match)
        proxy.arm(match, {"at": WINDOWS["before"], "then": "drop"}, self.kill_at("held"))
        for number in range(UNWANTED):
            request = dict(self.cloud.request, count=1, region=self.cloud.regions[0], ends_at=moment)
            api.reserve(request, f"kill-unwanted-{number}")
        require(self.server.wait_killed(KILL_WITHIN_S), "nothing was killed")
        proxy.fired("dropped", "killed")
        in_time = time.time() < ends_at
        self.kills["unwanted"] += 1
        time.sleep(max(0, ends_at - time.time()) + 2)
        sent = proxy.calls(match["operation"])
        self.restart()
        found = [one["id"] for one in api.list(everything=True) if (one["ends_at"] or "")[:19] == moment[:19]]
        self.unwanted = len(found)
        require(self.unwanted == UNWANTED, f"{UNWANTED} were asked for, {found} are there")
        states = lambda: [api.get(one)["state"] for one in found]  # noqa: E731
        until(lambda: set(states()) == {"released"}, CONVERGE_WITHIN_S, lambda: f"{states()}")
        # Whoever still waits for a hold to be over would send now.
        time.sleep(self.cloud.unknown_hold_s)
        require(in_time, f"the kill took more than {LIVES_S} s: this shows nothing")
        now, made = proxy.calls(match["operation"]), len(self.machines()) - before
        require(now == sent, f"{now - sent} create calls were sent for leases that were over")
        require(made == 1, f"{made} machines were made, and one of the lost calls had made one")
        self.say("nothing was sent again for leases that were over")

    # ------------------------------------------------------------ what must hold

    def converge(self):
        """Every reservation is what its owner wants, and cloud and API name the same machines."""
        self.all_as_wanted()
        self.agree()

    def all_as_wanted(self):

        def missing():
            wrong = {}
            for api in self.apis:
                for view in api.list():
                    state = "stopped" if view["id"] in self.off else "ready"
                    if view["id"] in self.wanted and view["state"] != state:
                        wrong[view["id"]] = (view["state"], state, view["reason"])
            return wrong

        until(lambda: not missing(), CONVERGE_WITHIN_S, lambda: f"not as wanted: {missing()}")

    def agree(self):
        time.sleep(self.cloud.lag_s)
        views = {view["id"]: view for api in self.apis for view in api.list()}
        require(set(views) == set(self.wanted), f"reservations {set(views) ^ set(self.wanted)} are too many or missing")
        slots, copied = collections.defaultdict(set), 0
        for identity, view in views.items():
            for unit in view["units"]:
                if self.cloud.off_is_copy and identity in self.off:
                    require(unit["provider_id"] is None, f"off, and it has a machine: {view}")
                    copied += 1
                else:
                    slots[unit["provider_id"]].add((identity, unit["slot"]))
            require(len(view["units"]) == self.wanted[identity][1], f"units of {view}")
        machines = {one["id"] for one in self.machines() if one["alive"]}
        copies = [one["id"] for one in self.ours() if one["kind"] == "snapshot" and one["alive"]]
        require(len(copies) == copied, f"{copied} machines are off, and their copies are {copies}")
        leaked, lost = machines - set(slots), set(slots) - machines
        require(not leaked, f"machines without reservation: {leaked}")
        require(not lost, f"units without machine: {lost}")
        require(all(len(of) == 1 for of in slots.values()), f"one machine in two slots: {slots}")
        self.foreign_untouched()
        of = f" and its {copied} copies" if copied else ""
        self.say(f"the cloud's {len(machines)} machines{of} are the API's {sum(map(len, slots.values())) + copied} units")

    def machines(self):
        return [one for one in self.ours() if one["kind"] == "machine"]

    def ours(self):
        return [one for one in self.cloud.things() if one["ours"]]

    def made_once(self):
        """Not one machine more was ever made than slots were asked for, those included that are gone by now.

        Without a token there is one exception: what an attempt made whose slot was filled anew after the hold. Such a
        one must have been ended.
        """
        made = {one["id"]: one["alive"] for one in self.machines()}
        asked = sum(count for _, count in self.wanted.values()) + self.short
        # Of the lost calls whose leases were over, one had made its machine.
        asked += self.copies + (1 if self.unwanted else 0)
        self.born_late = self.allowed_doubles() if self.cloud.tokenless else set()
        require(self.late <= self.born_late <= set(made), f"{self.late} came late, known is {self.born_late} of {made}")
        self.late_left = {one for one in self.born_late if made[one]}
        require(not self.late_left, f"born late, and not ended: {self.late_left}")
        self.doubled = len(made) - len(self.born_late) - asked
        require(self.doubled == 0, f"{len(made)} machines were made for {asked} slots")
        self.say(f"{len(made)} machines were ever made for {asked} slots and {len(self.born_late)} late births")

    def allowed_doubles(self):
        """What attempts made whose slots were filled anew, none of them before its hold was over."""
        rows = [row for row in launches(self.server.data) if "machine" in row["frozen"]["body"]]
        given_up = [row for row in rows if row["superseded"]]
        for row in given_up:
            held_until = moment_of(row["sends"][-1]["at"]) + self.cloud.unknown_hold_s
            slots = lambda one: (one["reservation"], set(range(one["units"]["start"], one["units"]["end"])))  # noqa: E731
            identity, units = slots(row)
            for other in rows:
                of, its = slots(other)
                if of == identity and its & units and other["created_at"] > row["created_at"]:
                    early = held_until - moment_of(other["created_at"])
                    require(early <= 0, f"a slot was filled anew {early:.1f} s before its hold was over: {row} {other}")
        return {thing["id"] for row in given_up for thing in row["things"]}

    def remember_foreign(self):
        def running():
            found = {one["id"]: one for one in self.cloud.things() if not one["ours"]}
            states = {one["state"] for one in found.values() if one["kind"] == "machine"}
            return states == {self.cloud.hand_made_running} and found

        self.foreign = until(running, CONVERGE_WITHIN_S, "the machines made by hand do not run")

    def foreign_untouched(self):
        now = {one["id"]: one for one in self.cloud.things() if not one["ours"]}
        self.touched = touched(self.foreign, now)
        require(not self.touched, f"touched: {self.foreign} was, {now} is")

    def nothing_left(self):
        def open_ones():
            return {view["id"]: (view["state"], view["reason"]) for api in self.apis for view in api.list()}

        until(lambda: not open_ones(), CONVERGE_WITHIN_S, lambda: f"not released: {open_ones()}")
        every = [view for api in self.apis for view in api.list(everything=True)]
        require({view["state"] for view in every} == {"released"}, f"{[(one['id'], one['state']) for one in every]}")
        keys = len(self.wanted) + self.short + self.unwanted
        require(len(every) == keys, f"{len(every)} reservations for {keys} keys")
        left = [(one["kind"], one["id"], one["state"]) for one in self.ours() if one["alive"]]
        require(not left, f"everything is released, and there is still {left}")
        self.foreign_untouched()

    # ------------------------------------------------------------ all of it

    def begin(self):
        self.cloud.make_by_hand()
        self.server.start()
        for api in self.apis:
            api.join(self.cloud.key(api.user))
        self.remember_foreign()

    def play(self):
        self.begin()
        self.reserve_under_fire()
        self.converge()
        self.off_under_fire()
        self.end_while_down()
        self.converge()
        self.on_under_fire()
        if self.cloud.tokenless:
            self.arrive_late()
            self.late_ones_end()
            self.never_resumed()
        self.converge()
        self.release_under_fire()
        self.nothing_left()
        self.made_once()

    def report(self):
        """The figures; nothing is counted that was not checked above."""
        least = self.cloud.kills_per_window_min
        for window in (*WINDOWS, "ending"):
            require(self.kills[window] >= least, f"only {self.kills[window]} kills in {window}")
        require(self.states["sent"] > 0, "no restart found a launch that was sent and not answered")
        names = ("sent", "unknown", "planned", "live", "ending", "closed")
        print("COUNT kill_states", *(f"{name}={self.states[name]}" for name in names))
        print("COUNT kill_restarts_with", *(f"{name}={self.restarts_with[name]}" for name in names))
        names = (*WINDOWS, "ending", "power", "down", *(("late", "unwanted") if self.cloud.tokenless else ()))
        windows = " ".join(f"kills_{name}={self.kills[name]}" for name in names)
        late = f"late_calls={len(self.late)} late_births={len(self.born_late)} late_births_left={len(self.late_left)} " if self.cloud.tokenless else ""
        reservations = len(self.wanted) + self.short + self.unwanted
        leaked = sum(one["alive"] for one in self.ours())
        print(
            f"COUNT kill_9 counterpart={self.cloud.name} reservations={reservations} {windows} "
            f"foreign={len(self.foreign)} {late}leaked={leaked} doubled={self.doubled} foreign_touched={len(self.touched)}",
            flush=True,
        )


def play(options, folder):
    cloud = clouds.BY_NAME[options.counterpart](options.binary, folder)
    run = None
    try:
        cloud.start(folder)
        server = HttpServer(options.binary, os.path.join(folder, "server"), cloud.server_arguments())
        run = Run(cloud, server, options.seed)
        run.play()
        run.report()
        run.say(f"every promise held, {server.starts} starts")
    except Violation as violation:
        print(f"kill {cloud.name}: VIOLATION {violation}", file=sys.stderr)
        if run is not None:
            print(f"the end of the server's log:\n{run.server.tail()}", file=sys.stderr)
        return 1
    finally:
        if run is not None:
            run.server.stop()
        cloud.stop()
    return 0


def main():
    parser = argparse.ArgumentParser(description="kill -9 in the windows that lose or double a machine")
    parser.add_argument("--binary", required=True, type=os.path.abspath, help="the built http-server")
    parser.add_argument("--counterpart", required=True, choices=sorted(clouds.BY_NAME))
    parser.add_argument("--seed", type=int, default=1, help="of the delays and of the order of release")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs")
    options = parser.parse_args()
    # Whoever ends the test ends its processes: an exit runs every `finally`.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix="infra-kill-")
    try:
        return play(options, folder)
    finally:
        if options.keep:
            print(f"kept: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
