"""Teleoperation: devices, what their commands do, and the takes they make."""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embodied.core import ACTORS, SKILLS, Observation
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import Header
from embodied.datasets.storage import part_files
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.teleop.device import EVENTS, Command, axis
from embodied.policies.teleop.gamepad import Gamepad
from embodied.policies.teleop.keyboard import DRIVES, EVENT_KEYS, MOVES, TURNS, Keyboard
from embodied.policies.teleop.operator import HAND_M_S, TURN_RAD_S, Operator
from embodied.policies.teleop.registry import BUILT_IN, MEMBERS, find_device
from embodied.policies.teleop.script import Script
from embodied.policies.teleop.spacemouse import FULL_DEFLECTION, SpaceMouse
from embodied.policies.teleop.takes import Labels, Takes
from tests.commands import TASK, embodied, refused
from tests.ground import expert_worlds
from tests.teleop_person import SeeingPerson, write_script

SEED = 3
HZ = 200
HORIZON_S = 40.0


class Watching:
    """A screen that tells the person when a take is over."""

    def __init__(self, person: SeeingPerson) -> None:
        self._person = person

    def on_start(self, *_: object) -> None:
        """The person looks at the world itself."""

    def on_step(self, *_: object) -> None:
        """The person looks at the world itself."""

    def on_end(self, *_: object) -> None:
        self._person.ended()

    def ask(self, result: object) -> None:
        """The person has been told already."""


@contextlib.contextmanager
def session(
    path: Path, ends: tuple[str, ...], **settings: Any
) -> Iterator[tuple[Takes, SeeingPerson]]:
    """Yields a session of a person who can see."""
    settings = {"level": "L1", "horizon_s": HORIZON_S, **settings}
    with contextlib.closing(expert_worlds(1, **settings)) as worlds:
        person = SeeingPerson(worlds, ends)
        operator = Operator(worlds, person)
        header = Header(worlds.metadata(), "person", 20, 8.0)
        with EpisodeWriter(path, header) as writer:
            labels = Labels("Ada", person.name)
            takes = Takes(worlds, operator, person, writer, labels, Watching(person))
            yield takes, person


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A dataset of two takes, and all that the person did in them as a script."""
    folder = tmp_path_factory.mktemp("by_hand")
    path = folder / "by_hand.hdf5"
    with session(path, ("keep", "mark")) as (takes, person):
        results = takes.record([SEED, SEED + 1])
        assert all(result.success_at_end for result in results)
    return path, write_script(folder / "script.jsonl", person.said)


@pytest.mark.slow
def test_a_scripted_device_completes_a_task(by_hand: tuple[Path, Path]) -> None:
    with Dataset(by_hand[0]) as dataset:
        assert dataset.header.policy == "person"
        assert [meta.marked for meta in dataset.episodes] == [False, True]
        for number, meta in enumerate(dataset.episodes):
            assert meta.success
            assert (meta.operator, meta.device) == ("Ada", "seeing")
            assert meta.takeovers is None

            # a person did it, and the planner said at each moment what was to be done
            episode = dataset.episode(number)
            by_person = ACTORS.index("person")
            assert (episode.streams["executed_by"].value == by_person).all()
            assert (episode.streams["intended_by"].value == by_person).all()
            skills = {SKILLS[index] for index in episode.plans["subtask"]}
            assert {"grasp", "carry", "place"} <= skills


@pytest.mark.slow
def test_takes_replay_bit_for_bit(by_hand: tuple[Path, Path]) -> None:
    assert embodied("data", "replay", by_hand[0], "--verify") == 0


@pytest.mark.slow
def test_the_same_commands_make_the_same_takes(
    by_hand: tuple[Path, Path], tmp_path: Path
) -> None:
    path, script = by_hand
    again = tmp_path / "again.hdf5"
    assert teleop(again, script, "--operator", "Ada", "--episodes", 2) == 0
    with Dataset(path) as one, Dataset(again) as other:
        for number in range(2):
            streams = one.episode(number).streams
            for name, stream in other.episode(number).streams.items():
                assert np.array_equal(stream.value, streams[name].value), name


def teleop(path: Path, script: Path, *words: object) -> int:
    """Runs the verb with a script, in the same world as `session`."""
    fixed = ["teleop", TASK, "-o", path, "--device", f"script:{script}", "--headless"]
    fixed += ["--level", "L1", "--seed", SEED, "--no-cameras"]
    return embodied(*fixed, "--horizon-s", HORIZON_S, *words)


def test_what_is_thrown_away_is_begun_again(tmp_path: Path) -> None:
    # a take of one second, thrown away; then half of one, at which the session ends
    motion = {"move": [0.5, 0, 0], "steps": HZ}
    lines = [motion, {"events": ["discard"]}, motion, {"events": ["quit"]}]
    script = tmp_path / "script.jsonl"
    script.write_text("\n".join(map(json.dumps, lines)))
    path = tmp_path / "none.hdf5"
    assert teleop(path, script) == 1  # there is no file for the next command
    assert not path.exists()
    assert not path.with_name("none.hdf5.parts").exists()


def test_a_take_of_nothing_is_kept_if_the_person_wants_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a script that stays at rest for a horizon of 0.5 s, throws it away, and keeps the next
    rest: dict[str, Any] = {"steps": HZ // 2}
    lines = [rest, {"events": ["discard"]}, rest, {}, {"events": ["keep"]}]
    script = tmp_path / "script.jsonl"
    script.write_text("\n".join(map(json.dumps, lines)))
    path = tmp_path / "one.hdf5"
    assert teleop(path, script, "--horizon-s", 0.5, "--operator", "Ada") == 0
    with Dataset(path) as dataset:
        [meta] = dataset.episodes
        assert (meta.seed, meta.success, meta.device) == (SEED, False, "script")

    # a session that goes on takes the next seed, with a file of the same world only
    again = ("-o", path, "--device", f"script:{script}", "--headless")
    assert "--overwrite to replace it" in refused(capsys, "teleop", TASK, *again)
    words = ("--horizon-s", 0.5, "--operator", "Bo", "--episodes", 2, "--resume")
    assert teleop(path, script, *words) == 0
    with Dataset(path) as dataset:
        assert [meta.operator for meta in dataset.episodes] == ["Ada", "Bo"]


def test_a_take_is_safe_as_soon_as_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "by_hand.hdf5"
    with session(path, ("keep", "keep"), horizon_s=0.5) as (takes, _):
        takes.record([SEED])
        # as a crash now would leave it
        assert not path.exists()
        assert [part.name for part in part_files(path)] == [f"seed_{SEED}.hdf5"]
        with Dataset(path) as dataset:
            assert dataset.episodes[0].operator == "Ada"
        # the same seed is not asked for twice
        takes.record([SEED, SEED + 1])
    with Dataset(path) as dataset:
        assert [meta.seed for meta in dataset.episodes] == [SEED, SEED + 1]


class Says:
    """A device that says one thing again and again."""

    name = "says"
    keys = ()

    def __init__(self, command: Command) -> None:
        self.command = command

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to let go of."""

    def read(self) -> Command:
        return self.command


def moved(
    command: Command, aid: str = "free", robot: str = "arm", seconds: float = 1.0
) -> tuple[Observation, Observation, Worlds]:
    """Returns what a world shows before and after a command was held for a while."""
    with contextlib.closing(expert_worlds(1, robot=robot)) as worlds:
        operator = Operator(worlds, Says(command), aid)
        worlds.reset(np.array([0]), [SEED])
        first = worlds.observe()
        operator.reset(np.array([0]), first, [SEED])
        for _ in range(int(seconds * HZ)):
            worlds.step(operator.act(worlds.observe()))
        return first, worlds.observe(), worlds


def part(observation: Observation, worlds: Worlds, name: str) -> np.ndarray:
    return observation.agent_pos[0, worlds.agent_layout.slices()[name]]


@pytest.mark.parametrize("robot", ["arm", "wheeled_arm"])
@pytest.mark.parametrize(
    "move", [(-1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, -0.5), (-0.5, -0.5, 0.0)]
)
def test_the_hand_moves_as_commanded(
    move: tuple[float, float, float], robot: str
) -> None:
    first, last, worlds = moved(Command(move=move), robot=robot, seconds=0.6)
    way_m = part(last, worlds, "tcp_pos_w") - part(first, worlds, "tcp_pos_w")
    if robot == "arm":
        wanted_m = 0.6 * HAND_M_S * np.array(move)
        assert way_m == pytest.approx(wanted_m, abs=0.03)
    # a robot that is turned moves along its own axes, as far
    length_m = 0.6 * HAND_M_S * np.linalg.norm(move)
    assert np.linalg.norm(way_m) == pytest.approx(length_m, abs=0.035)


def test_the_hand_turns_as_commanded_and_stays_otherwise() -> None:
    first, last, worlds = moved(Command(turn=(0.0, 0.0, 0.5)), seconds=0.6)
    before = part(first, worlds, "tcp_rot6d")[:3]
    after = part(last, worlds, "tcp_rot6d")[:3]
    angle = np.arccos(np.clip(before @ after, -1, 1))
    assert angle == pytest.approx(0.6 * 0.5 * TURN_RAD_S, abs=0.12)

    first, last, worlds = moved(Command())
    for name in ("tcp_pos_w", "tcp_rot6d"):
        change = part(last, worlds, name) - part(first, worlds, name)
        assert np.abs(change).max() < 0.01


def test_a_level_hand_keeps_its_tilt_while_it_moves_and_yaws() -> None:
    command = Command(move=(0.0, 0.6, 0.0), turn=(0.0, 0.0, 0.6))
    first, last, worlds = moved(command, aid="level")
    tilts = []
    for observation in (first, last):
        rot6d = part(observation, worlds, "tcp_rot6d")
        tilts.append(np.cross(rot6d[:3], rot6d[3:])[2])
    assert tilts[0] == pytest.approx(tilts[1], abs=0.01)


def test_the_gripper_closes_by_an_event_and_by_the_number() -> None:
    for closing in (Command(grip=-1.0), Command(events=frozenset({"grip"}))):
        with contextlib.closing(expert_worlds(1)) as worlds:
            device = Says(Command())
            operator = Operator(worlds, device)
            worlds.reset(np.array([0]), [SEED])
            observation = worlds.observe()
            operator.reset(np.array([0]), observation, [SEED])
            assert operator.act(observation)[0, -1] == 1
            device.command = closing
            assert operator.act(observation)[0, -1] == -1
            # a new take begins with an open hand
            device.command = Command()
            operator.reset(np.array([0]), observation, [SEED])
            assert operator.act(observation)[0, -1] == 1


@pytest.mark.parametrize("name", [*BUILT_IN, "script:x.jsonl"])
def test_every_device_is_one(name: str) -> None:
    device = find_device(name)
    assert all(hasattr(device, member) for member in MEMBERS)
    assert name.startswith(device.name)


def test_a_keyboard_tells_each_key() -> None:
    keyboard = Keyboard()
    for table, field in ((MOVES, "move"), (TURNS, "turn"), (DRIVES, "drive")):
        for key, (place, direction) in table.items():
            keyboard.press(key)
            assert getattr(keyboard.read(), field)[place] == direction, key
            keyboard.release(key)
            assert keyboard.read() == Command()

    for key, event in EVENT_KEYS.items():
        keyboard.press(key)
        keyboard.press(key)  # as a held key repeats
        assert keyboard.read().events == {event}
        assert not keyboard.read().events
        keyboard.release(key)
    assert set(EVENT_KEYS.values()) == set(EVENTS)

    keyboard.press("left shift")
    keyboard.press("w")
    assert keyboard.read().move[0] == 0.25


class Pad:
    """A gamepad as pygame shows one."""

    def __init__(self) -> None:
        self.axes = {2: -1.0, 5: -1.0}
        self.buttons: set[int] = set()

    def init(self) -> None:
        """It is there."""

    def get_axis(self, number: int) -> float:
        return self.axes.get(number, 0.0)

    def get_button(self, number: int) -> bool:
        return number in self.buttons


def fake_pygame(pads: list[Pad]) -> Any:
    joystick = SimpleNamespace(
        init=lambda: None, get_count=lambda: len(pads), Joystick=lambda k: pads[k]
    )
    event = SimpleNamespace(pump=lambda: None)
    display = SimpleNamespace(init=lambda: None)
    return SimpleNamespace(display=display, joystick=joystick, event=event)


def test_a_gamepad_moves_and_says_each_event_once() -> None:
    pad = Pad()
    gamepad = Gamepad(fake_pygame([pad]))
    gamepad.open()
    assert gamepad.read() == Command()
    pad.axes |= {1: -1.0, 0: 0.05, 5: 1.0}
    assert gamepad.read().move == (1.0, 0.0, 1.0)
    pad.buttons = {4}
    assert gamepad.read().drive == (1.0, 0.0, 1.0, 0.0)
    pad.buttons = {0}
    assert gamepad.read().grip == -1
    pad.buttons = {7}
    assert gamepad.read().events == {"keep"}
    assert not gamepad.read().events
    pad.buttons = {6, 7}
    assert gamepad.read().events == {"quit"}
    with pytest.raises(EmbodiedError, match="no gamepad is connected"):
        Gamepad(fake_pygame([])).open()


class Knob:
    """A SpaceMouse as hidapi shows one: reports in a queue."""

    def __init__(self) -> None:
        self.reports: list[bytes] = []

    def open_path(self, path: bytes) -> None:
        assert path == b"here"

    def set_nonblocking(self, on: int) -> None:
        assert on

    def read(self, size: int) -> list[int]:
        return list(self.reports.pop(0)) if self.reports else []

    def close(self) -> None:
        """It is let go of."""


def test_a_spacemouse_moves_turns_and_says_each_event_once() -> None:
    knob = Knob()
    found = {"vendor_id": 0x256F, "product_string": "SpaceMouse Wireless"}
    hid = SimpleNamespace(
        enumerate=lambda: [
            {"vendor_id": 1, "product_string": "a mouse", "path": b"there"},
            found | {"path": b"here"},
        ],
        device=lambda: knob,
    )
    mouse = SpaceMouse(hid)
    mouse.open()
    full = int(FULL_DEFLECTION)
    knob.reports = [b"\x01" + struct.pack("<3h", full, -full, 0)]
    assert mouse.read().move == (1.0, -1.0, 0.0)
    knob.reports = [b"\x02" + struct.pack("<3h", 0, 0, -full)]
    command = mouse.read()
    assert command.turn == (0.0, 0.0, 1.0)
    assert command.move == (1.0, -1.0, 0.0)  # still pushed
    # wireless ones send both at once
    knob.reports = [b"\x01" + struct.pack("<6h", 0, 0, -full, 0, 0, 0)]
    assert mouse.read() == Command(move=(0.0, 0.0, 1.0))
    knob.reports = [b"\x03\x01", b"\x03\x01"]
    assert mouse.read().events == {"grip", "keep"}
    knob.reports = [b"\x03\x00", b"\x03\x02"]
    assert mouse.read().events == {"discard"}

    hid.enumerate = list
    with pytest.raises(EmbodiedError, match="no SpaceMouse is connected"):
        SpaceMouse(hid).open()


def test_a_stick_at_rest_is_at_rest() -> None:
    assert axis(0.1, 0.12) == 0
    assert axis(1.0, 0.12) == 1
    assert axis(-2.0, 0.12) == -1
    assert 0 < axis(0.13, 0.12) < 0.02


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "is not JSON"),
        ("[1]", "must be an object"),
        ('{"mvoe": [0, 0, 0]}', "Did you mean"),
        ('{"move": [0, 0]}', "move must be 3 numbers"),
        ('{"move": [0, 0, 2]}', "move must be 3 numbers from -1 to 1"),
        ('{"grip": "shut"}', "grip must be 1 numbers"),
        ('{"events": ["jump"]}', "event of"),
        ('{"steps": 0}', "steps must be a number from 1 on"),
    ],
)
def test_a_line_that_is_no_command_is_named(
    line: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "script.jsonl"
    path.write_text(f'{{"steps": 2}}\n\n{line}\n')
    with pytest.raises(EmbodiedError, match="line 3") as error:
        Script(path).open()
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--device", "joystik"], "unknown device 'joystik'"),
        (["--device", "json:dumps", "--headless"], "device json:dumps raised"),
        (["--device", "builtins:dict", "--headless"], "is no device: it has no name"),
        (["--device", "script:none.jsonl", "--headless"], "no script can be read"),
        (["--headless"], "the keyboard belongs to a window"),
        (["--horizon-s", -1, "--headless"], "horizon_s"),
        (["--device", "script:x", "--headless", "--record-hz", 7], "--record-hz"),
        (["--headless", "--episodes", 0], "--episodes must be at least 1"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    words: list[object],
    reason: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "x.hdf5"
    assert reason in refused(capsys, "teleop", TASK, "-o", path, *words)
    assert not list(tmp_path.iterdir())
