"""CubeToPlate: the robot takes the cube from the table and sets it onto the plate."""

from functools import partial

import mujoco

from embodied.envs import (
    COMMON,
    FreeBody,
    Hand,
    Layout,
    Needs,
    Outcome,
    TableSize,
    TaskSpec,
    add_free_box,
    add_table,
    add_view,
    dot,
    pick_and_place,
    row,
    start_station,
    tolerance,
)

CUBE_M = (0.05, 0.05, 0.05)
TOP_Z = TableSize().top_z
PLATE_RADIUS_M = 0.08
PLATE_HEIGHT_M = 0.012

WORDS = ["Put the cube onto the plate.", "Set the cube down on the plate."]
OTHER_WORDS = ["The cube belongs on the plate."]
TASK_VARIABLES = (
    row("cube_x", "layout", "m", L1=0.5, L2=(0.45, 0.55), L3=(0.4, 0.6), held_out=(0.36, 0.4)),
    row("cube_y", "layout", "m", L1=(-0.2, -0.1), L2=(-0.25, -0.1), L3=(-0.3, -0.1), held_out=-0.35),
    row("cube_yaw", "layout", "rad", L1=0.0, L2=(-0.4, 0.4), L3=(-0.6, 0.6), held_out=(0.6, 0.78)),
    row("plate_y", "layout", "m", L1=0.15, L2=(0.1, 0.2), L3=(0.05, 0.25), held_out=(0.25, 0.3)),
    row("words", "instruction", L1=WORDS[:1], L2=WORDS, held_out=OTHER_WORDS),
)  # fmt: skip


def build(robot):
    """Returns the scene with a robot in it."""
    spec = start_station("cube_to_plate", robot)
    add_table(spec, TableSize())
    add_free_box(spec, "cube", CUBE_M, mass=0.15, rgba=(0.90, 0.42, 0.10, 1))

    plate_pos = (0.5, 0.15, TOP_Z + PLATE_HEIGHT_M)
    plate = spec.worldbody.add_body(name="plate", pos=plate_pos)
    plate.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=(PLATE_RADIUS_M, PLATE_HEIGHT_M / 2, 0),
        pos=(0, 0, -PLATE_HEIGHT_M / 2),
        rgba=(0.2, 0.4, 0.7, 1),
    )

    # the camera's position, the point to look at, and the vertical field of view
    add_view(spec, "overview", (1.15, 0.0, 1.35), (0.42, 0.0, 0.76), fovy_deg=48)
    add_view(spec, "hall", (1.95, -1.40, 1.75), (0.25, 0.0, 0.90), fovy_deg=40)
    return spec


class CubeToPlate:
    """The task in N worlds of an engine; arrays are (N, ...), in m and m/s."""

    state_layout = Layout(
        (("cube_pos_w", 3), ("cube_rot6d", 6), ("cube_vel_w", 3), ("plate_pos_w", 3))
    )

    def __init__(self, engine, robot):
        self.engine = engine
        self.cube = FreeBody(engine, "cube")
        self.hand = Hand(engine, robot)
        self.plate = engine.model.body("plate").id
        engine.model_view("body_pos")  # worlds will differ in it

    def memory(self):
        return {}

    def before_step(self, tick):
        pass

    def start(self, world, seed, variation):
        episode = variation.sample_each(seed, TASK_VARIABLES)
        # the cube's centre: half its height above the table, and 0.2 mm to not touch it yet
        cube_pos = (episode["cube_x"], episode["cube_y"], TOP_Z + 0.0252)
        self.cube.place(world, cube_pos, episode["cube_yaw"])
        self.engine.model_view("body_pos")[world, self.plate, 1] = episode["plate_y"]
        return {**episode, "instruction": episode["words"]}

    def plate_pos_w(self):
        return self.engine.view("xpos")[:, self.plate]  # (N, 3), of its upper face

    def state(self):
        cube = self.cube
        parts = [cube.pos_w(), cube.rot6d(), cube.vel_w(), self.plate_pos_w()]
        return self.engine.xp.concat(parts, axis=1)

    def judge(self):
        xp = self.engine.xp
        cube = self.cube.pos_w()
        velocity = self.cube.vel_w()
        to_hand = self.hand.pos_w() - cube
        offset = cube - self.plate_pos_w()
        hand_m = xp.sqrt(dot(to_hand, to_hand))  # (N,)
        aside_m = xp.sqrt(dot(offset[:, :2], offset[:, :2]))  # (N,)

        # distances in m; a speed below 0.02 m/s is rest
        lies_flat = xp.abs(offset[:, 2] - CUBE_M[2] / 2) < 0.005
        is_let_go = hand_m > 0.06
        is_at_rest = dot(velocity, velocity) < 0.02**2
        success = (aside_m < 0.04) & lies_flat & is_let_go & is_at_rest

        # the rewards are 1 within 0.02 m, and fall to 0.1 at 0.42 m
        reached = tolerance(hand_m, 0.02, 0.4)
        brought = tolerance(aside_m, 0.02, 0.4)
        progress = xp.where(success, 1.0, 0.3 * reached + 0.6 * brought)
        return Outcome(success=success, progress=progress, lost=cube[:, 2] < 0.5)


CUBE_TO_PLATE = TaskSpec(
    name="CubeToPlate",
    summary="put the cube onto the plate",
    needs=Needs(opening_m=0.06, reach_m=0.75),
    cameras=("overview",),
    horizon_s=15.0,
    table=(*TASK_VARIABLES, *COMMON),
    build=build,
    bind=CubeToPlate,
    expert=partial(pick_and_place, thing="cube", goal="plate", size=CUBE_M),
    beauty_camera="hall",
    constant=("plate_pos_w.0", "plate_pos_w.2"),  # the plate's x and z never vary
)
