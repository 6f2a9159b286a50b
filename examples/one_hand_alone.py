"""Compares the parcels per hour of two hands that share TeamSort, and of one hand alone.

embodied eval TeamSort --policy expert examples.one_hand_alone:ALONE -o runs/team
"""

from contextlib import closing

from embodied.envs.config import EnvConfig
from embodied.envs.tasks.team_sort.alone import planner_alone
from embodied.envs.worlds import Worlds
from embodied.policies import policy_from_planner
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import rollout

PARCELS = 3  # per episode, which begins with an empty line
HORIZON_S = 60.0
# The policy of one hand, which the command above names.
ALONE = policy_from_planner(
    lambda worlds: planner_alone(worlds.agent_layout, worlds.state_layout, worlds.robot)
)


def main() -> None:
    """Prints the parcels per hour of two hands, and of one."""
    config = EnvConfig(
        "TeamSort",
        control_mode="ee_delta",
        control_hz=200,
        horizon_s=HORIZON_S,
        factors={"parcels": PARCELS},
    )

    for name, source in (("two hands", find_policy("expert")), ("one hand", ALONE)):
        with closing(Worlds(config, 2)) as worlds:
            results = rollout(worlds, source.make(worlds), [0, 1])

        # a failed episode takes its whole time, and its parcels do not count
        seconds = sum(result.time_to_success_s or HORIZON_S for result in results)
        sorted_parcels = PARCELS * sum(result.success_at_end for result in results)
        print(f"{name}: {3600 * sorted_parcels / seconds:.0f} parcels per hour")


if __name__ == "__main__":
    main()
